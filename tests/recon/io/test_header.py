import pytest

from recon.io import FileError
from recon.io.header import read_header


def header(tmp_path, *lines):
    path = tmp_path / "scan.hs"
    path.write_text("\n".join(["!INTERFILE :=", *lines, "!END OF INTERFILE :="]) + "\n")
    return read_header(path)


def test_a_key_is_found_whatever_its_capitals_spaces_underscores_and_exclamation_mark(tmp_path):
    read = header(tmp_path, "  !Number_of   RINGS:=  64 ", "!matrix size[ 2 ] :=7")
    assert read["number of rings"] == ("64", 2)
    assert read["matrix size [2]"] == ("7", 3)


def test_comments_blank_lines_and_carriage_returns_are_passed_over(tmp_path):
    path = tmp_path / "scan.hs"
    path.write_bytes(
        b"; made by hand\r\n!INTERFILE :=\r\n\r\n;number of rings := 5\r\nnumber of rings := 6\r\n"
        b"!END OF INTERFILE :=\r\n"
    )
    assert read_header(path)["number of rings"] == ("6", 5)


def test_what_follows_the_end_is_not_read(tmp_path):
    path = tmp_path / "scan.hs"
    path.write_text("!INTERFILE :=\n!END OF INTERFILE := junk\nnumber of rings := 6\n")
    assert "number of rings" not in read_header(path)


def test_junk_after_a_heading_is_passed_over(tmp_path):
    read = header(tmp_path, "end scanner parameters:=o", "number of rings := 6")
    assert read.integer("number of rings") == 6


def test_a_list_may_go_on_over_lines(tmp_path):
    read = header(tmp_path, "matrix size [2] := { 1, 2,", " 3 }", "number of rings := 6")
    assert read.integers("matrix size [2]") == [1, 2, 3]
    assert read["number of rings"] == ("6", 4)


def test_a_list_that_never_closes_is_named_with_its_line(tmp_path):
    with pytest.raises(FileError, match=r"line 2: the list of `matrix size \[2\]` opens"):
        header(tmp_path, "matrix size [2] := { 1, 2", "number of rings := 6")


def test_one_number_without_braces_is_a_list_of_one(tmp_path):
    assert header(tmp_path, "matrix size [2] := 11").integers("matrix size [2]") == [11]


def test_an_index_of_one_may_be_left_out(tmp_path):
    assert header(tmp_path, "data offset in bytes := 8").integer("data offset in bytes [1]") == 8


def test_a_comment_after_a_number_is_not_part_of_it(tmp_path):
    assert header(tmp_path, "number of rings := 8 ; of 9").integer("number of rings") == 8


def test_old_names_of_keys_are_the_new_ones(tmp_path):
    read = header(tmp_path, "image data byte order := BIGENDIAN", "Timing resolution (ps) := 400")
    assert read.text("imagedata byte order") == "BIGENDIAN"
    assert read.number("tof timing resolution (ps)") == 400.0


def test_a_header_without_its_end_was_cut_short(sinogram_header):
    path = sinogram_header()
    path.write_text(path.read_text()[:700])
    with pytest.raises(FileError, match=r"scan\.hs has no `!END OF INTERFILE :=`.*cut short"):
        read_header(path)


def test_siemens_headers_have_no_end(reference):
    read = read_header(reference / "mmr_norm" / "norm.n.hdr", complete=False)
    assert read.integers("%matrix size [1]") == [344, 127]


def test_a_data_file_is_no_header(tmp_path):
    path = tmp_path / "scan.s"
    path.write_bytes(bytes(5000))
    with pytest.raises(FileError, match=r"is not an Interfile header.*not the data file"):
        read_header(path)


def test_a_header_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileError, match=r"absent\.hs cannot be read \(no such file"):
        read_header(tmp_path / "absent.hs")


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(FileError, match=r"scan\.hs lacks the key `number of rings`"):
        header(tmp_path, "scanner type := none").integer("number of rings")


def test_a_key_without_a_value_is_named_with_its_line(tmp_path):
    with pytest.raises(FileError, match="line 2: `number of rings` has no value"):
        header(tmp_path, "number of rings := ").integer("number of rings")


@pytest.mark.parametrize("value", ["many", "6.5", "nan", "inf", "0", "1 024"])
def test_what_is_no_positive_whole_number_is_refused_with_its_line(tmp_path, value):
    with pytest.raises(FileError, match=f"line 2: `number of rings` takes a whole.*got `{value}`"):
        header(tmp_path, f"number of rings := {value}").integer("number of rings", least=1)


def test_an_unknown_value_is_named_with_its_line_and_what_is_known(tmp_path):
    read = header(tmp_path, "number format := roman")
    with pytest.raises(FileError, match=r"line 2: `number format` takes `float`, got `roman`"):
        read.choice("number format", {"float": "f"})


def test_a_misspelt_key_is_refused_with_its_line_and_the_nearest_one(tmp_path):
    read = header(tmp_path, "!data ofset in bytes[1] := 8")
    with pytest.raises(FileError, match=r"line 2: unknown key `data ofset.*`data offset in bytes`"):
        read.unknown_keys()


def test_a_misspelt_key_explains_a_missing_one(tmp_path):
    read = header(tmp_path, "!matrx size [1] := 8")
    with pytest.raises(FileError, match="line 2: unknown key `matrx size"):
        read.integer("matrix size [1]")


def test_a_key_of_someone_else_is_told_and_not_refused(tmp_path):
    read = header(tmp_path, "gantry serial := 8")
    assert read.unknown_keys() == ["gantry serial (line 2)"]
