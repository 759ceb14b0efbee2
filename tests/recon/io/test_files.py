import os
import stat

import numpy as np
import pytest

from recon.io.files import FileError, check_counts, check_writable, replacing


def test_files_appear_under_their_names_when_the_block_ends_well(tmp_path):
    with replacing(tmp_path / "a.s", tmp_path / "a.hs") as (data, header):
        data.write_text("data")
        header.write_text("header")
        assert not (tmp_path / "a.s").exists()
    assert (tmp_path / "a.s").read_text() == "data"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.hs", "a.s"]


def test_temporary_names_keep_the_suffix(tmp_path):
    with replacing(tmp_path / "a.nii.gz") as name:
        assert name.name.endswith(".a.nii.gz")


def test_files_get_the_permissions_that_new_files_have(tmp_path):
    mask = os.umask(0o022)
    try:
        with replacing(tmp_path / "a.s") as name:
            name.write_text("data")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.s").stat().st_mode) == 0o644


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, SystemExit])
def test_an_interrupted_block_leaves_what_was_there_and_nothing_else(tmp_path, interruption):
    path = tmp_path / "a.s"
    path.write_text("old")
    with pytest.raises(interruption), replacing(path) as name:
        name.write_text("half")
        raise interruption
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_between_data_and_header_leaves_no_header(tmp_path, monkeypatch):
    paths = [tmp_path / "a.s", tmp_path / "a.hs"]
    for path in paths:
        path.write_text("old")

    def interrupted(source, target, replace=os.replace):
        if target == paths[1]:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(*paths) as names:
        for name in names:
            name.write_text("new")
    assert list(tmp_path.iterdir()) == [paths[0]]


def test_a_full_disk_is_one_sentence(tmp_path):
    message = r"a\.s cannot be written \(no space left on device\); free space"
    with pytest.raises(FileError, match=message), replacing(tmp_path / "a.s"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_an_output_in_no_folder_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"there is no folder .*absent; create it"):
        check_writable(tmp_path / "absent" / "image.nii")


def test_a_folder_is_no_output(tmp_path):
    with pytest.raises(FileError, match="it is a folder; give the name of a file in it"):
        check_writable(tmp_path)


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(FileError, match="permission denied; choose another folder"):
        check_writable(tmp_path / "image.nii")


def counts(shape=(3, 4, 5), **changed):
    array = np.ones(shape, np.float32)
    for value in changed.values():
        array[1, 2, 3] = value
    return array


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, -np.inf])
def test_counts_that_cannot_be_are_refused_with_their_place(value):
    message = rf"scan\.s has 1 of 60 .*first {value:g} at \(view, radial, plane\) = \(1, 2, 3\)"
    with pytest.raises(FileError, match=message):
        check_counts(counts(value=value), "scan.s")


def test_all_counts_that_cannot_be_are_counted():
    array = np.ones((3, 4, 2, 5), np.float32)
    array[1:] = -2
    with pytest.raises(FileError, match=r"has 80 of 120 .*\(view, radial, tof, plane\) = \(1, 0"):
        check_counts(array, "scan.s")


def test_zeros_and_large_counts_pass():
    check_counts(counts(value=0.0), "scan.s")
    check_counts(counts(value=1e20), "scan.s")


def test_a_correction_may_be_infinite_in_gaps_and_still_not_nan():
    check_counts(counts(value=np.inf), "c.s", "a correction", infinite=True)
    with pytest.raises(FileError, match="that cannot be a correction"):
        check_counts(counts(value=np.nan), "c.s", "a correction", infinite=True)


def test_other_axes_may_be_named():
    with pytest.raises(FileError, match=r"\(x, y, z\) = \(1, 2, 3\)"):
        check_counts(counts(value=-1), "mu.hv", "attenuation", axes=("x", "y", "z"))
