import re
import shutil

import numpy as np
import pytest

from recon import Scanner
from recon.io import FileError
from recon.io.siemens_norm import read_norm


@pytest.fixture
def norm(reference, tmp_path):
    """A copy of the real normalization that a test may damage."""
    for name in ("norm.n", "norm.n.hdr"):
        shutil.copy(reference / "mmr_norm" / name, tmp_path / name)
        (tmp_path / name).chmod(0o644)
    return tmp_path / "norm.n.hdr"


def change(path, pattern, replacement):
    text = path.read_text()
    changed = re.sub(pattern, replacement, text)
    assert changed != text
    path.write_text(changed, newline="")


def test_components_have_the_sizes_of_the_mmr(reference):
    components = read_norm(reference / "mmr_norm" / "norm.n.hdr")
    assert components.scanner == Scanner.preset("mMR")
    assert (components.span, components.max_ring_difference) == (11, 60)
    assert components.geometric.shape == (127, 344)
    assert components.interference.shape == (344, 9)
    assert components.efficiencies.shape == (64, 504)
    assert components.axial.shape == components.more_axial.shape == (837,)
    assert components.paralyzing_s.shape == components.non_paralyzing_s.shape == (64,)
    assert components.crystal_dead_time_s.shape == (9,)
    assert components.notes == ()


def test_efficiencies_are_those_of_the_file_one_crystal_later(reference):
    path = reference / "mmr_norm" / "norm.n.hdr"
    stored = np.fromfile(path.with_suffix(""), "<f4", 64 * 504, offset=187136).reshape(64, 504)
    read = read_norm(path).efficiencies
    np.testing.assert_array_equal(read[:, 1:], stored[:, :-1])
    np.testing.assert_array_equal(read[:, 0], stored[:, -1])


def test_calibration_factors_are_read(reference):
    components = read_norm(reference / "mmr_norm" / "norm.n.hdr")
    assert (components.calibration, components.cross_calibration) == (1.98459e7, 0.96)


@pytest.mark.parametrize("ending", ["\r\n", "\r\r\n", "\r"])
def test_carriage_returns_change_nothing(norm, ending):
    before = read_norm(norm)
    norm.write_text(norm.read_text().replace("\n", ending), newline="")
    after = read_norm(norm)
    np.testing.assert_array_equal(after.axial, before.axial)
    assert after.calibration == before.calibration


def test_components_are_found_by_name_and_offset_in_any_order(norm):
    before = read_norm(norm)
    text = norm.read_text()
    for key in ("%normalization component", "data offset in bytes", "%matrix size"):
        one, other = (re.search(rf"{key} \[{k}\]:=(.*)", text).group(1) for k in (1, 3))
        text = text.replace(f"{key} [1]:={one}", f"{key} [1]:={other}", 1)
        text = text.replace(f"{key} [3]:={other}", f"{key} [3]:={one}", 1)
    norm.write_text(text)
    after = read_norm(norm)
    np.testing.assert_array_equal(after.efficiencies, before.efficiencies)
    np.testing.assert_array_equal(after.geometric, before.geometric)


def test_an_unknown_component_is_told_and_left_out(norm):
    change(norm, r"components:=8", "components:=9")
    change(norm, r"(%normalization component \[8\].*\n)", r"\1%normalization component [9]:=new\n")
    assert "unknown component 'new'" in read_norm(norm).notes[0]


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"system:=2008", "system:=1104", "line 3.*2008.*mMR.*1104.*another scanner"),
        (r"rings:=64", "rings:=55", "number of rings.*64, as Siemens mMR has, got `55`"),
        (r"\{504,64\}", "{624,55}", r"matrix size \[3\].*\{504,64\}.*got `\{624,55\}`"),
        (r"\[4\]:=\{837\}", "[4]:={621}", r"matrix size \[4\].*axial effects"),
        (r"compression:=11", "compression:=9", r"matrix size \[4\]"),
        (r"component \[3\]:=.*", "component [3]:=other", "lacks.*crystal efficiencies"),
        (r"bytes \[3\]:=187136", "bytes [3]:=200000000", "has 323404 bytes, crystal efficiencies"),
        (r"bytes \[4\]:=316160", "bytes [4]:=319508", "axial effects that are not positive"),
        (r"ORDER:=LITTLE|order:=LITTLE", "order:=BIG", "imagedata byte order"),
        (r"file:=norm.n", "file:=other.n", "other.n cannot be read"),
        (r"data offset in bytes \[8\].*\n", "", r"lacks the key `data offset in bytes \[8\]`"),
        (r"%axial compression.*\n", "", r"lacks the key `%axial compression`, which is needed"),
        (r"!name of data file.*\n", "", r"lacks the key `name of data file`, which is needed"),
        (r"%matrix size \[4\].*\n", "", r"lacks the key `%matrix size \[4\]`, which is needed"),
        (r"%normalization component \[2\].*\n", "", r"lacks the key `%normalization comp.* \[2\]`"),
        (r"compression:=11", "compression:=10", "axial compression.*span"),
    ],
)
def test_a_wrong_header_is_refused_with_what_was_expected(norm, pattern, replacement, message):
    change(norm, pattern, replacement)
    with pytest.raises(FileError, match=message):
        read_norm(norm)


def test_a_truncated_data_file_is_refused(norm):
    data = norm.with_suffix("")
    data.write_bytes(data.read_bytes()[:319000])
    with pytest.raises(FileError, match=r"319000 bytes, axial effects end at byte 319508"):
        read_norm(norm)


def test_efficiencies_that_are_not_numbers_are_refused(norm):
    data = norm.with_suffix("")
    values = np.fromfile(data, "<f4")
    values[187136 // 4 + 5] = np.nan
    values.tofile(data)
    with pytest.raises(FileError, match=r"1 of 32256 values of crystal efficiencies.*finite.*nan"):
        read_norm(norm)
