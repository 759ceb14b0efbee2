import pytest

from recon.io import FileError
from recon.io.lists import open_list
from tests.recon.io.castor import packed, written

NAMED = ("path", "inputs", "scanner", "layout", "info", "known_notes", "notes", "end_ms", "last_ms",
         "size", "chunks", "record")


def test_an_mmr_list_is_a_list(reference):
    path = reference / "mmr_brain_0.6s" / "PET_ACQ_small.l.hdr.STIR"
    events = open_list(path)
    assert not [name for name in NAMED if not hasattr(events, name)]
    assert events.size == "254,816 words"
    assert [file.name for file in events.inputs] == [path.name, "small_listmode_file.l"]


def test_a_siemens_header_of_any_name_is_known_by_its_content(reference, tmp_path):
    there = reference / "mmr_brain_0.6s"
    (tmp_path / "small_listmode_file.l").symlink_to(there / "small_listmode_file.l")
    header = tmp_path / "list.txt"
    header.write_bytes((there / "PET_ACQ_small.l.hdr.STIR").read_bytes())
    assert open_list(header).end_ms == open_list(there / "PET_ACQ_small.l.hdr.STIR").end_ms


@pytest.mark.parametrize(("content", "words"), [
    (b"\x89HDF\r\n\x1a\n" + bytes(100), "binary form"),
    (b'{"yardl":{"version":1}}', "binary form"),
    (b"anything else", "Siemens mMR's header"),
    (b"", "Siemens mMR's header"),
])
def test_other_files_are_refused_with_what_to_give(tmp_path, content, words):
    path = tmp_path / "scan.bin"
    path.write_bytes(content)
    with pytest.raises(FileError, match=words):
        open_list(path)


def test_a_castor_list_takes_a_scanner_file_from_elsewhere(tmp_path):
    path = written(tmp_path, {"Number of events": 1}, packed("III", (0, 0, 4)))
    (tmp_path / "PET_hand.geom").rename(tmp_path / "other.geom")
    with pytest.raises(FileError, match="Scanner name"):
        open_list(path)
    assert open_list(path, tmp_path / "other.geom").scanner.rings == 2


def test_other_lists_take_no_scanner_file(tmp_path):
    with pytest.raises(ValueError, match="goes with CASToR's lists"):
        open_list(tmp_path / "scan.petsird", tmp_path / "other.geom")


def test_no_file_is_said(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        open_list(tmp_path / "none.bin")
