import errno
import os
import stat

import numpy as np
import pytest

from recon.io.files import FileError, check_counts, check_writable, optional, replacing


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


@pytest.mark.parametrize("reason", [
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EFBIG, "File too large", "elsewhere"),
    OSError(errno.EROFS, "Read-only file system"),
    PermissionError(errno.EACCES, "Permission denied"),
    OSError("1000 requested and 24 written"),
])
def test_what_is_about_writing_is_said_of_the_output(tmp_path, reason):
    message = r"a\.hs cannot be written \(.*\); free space or choose another folder"
    with pytest.raises(FileError, match=message), replacing(tmp_path / "a.s", tmp_path / "a.hs"):
        raise reason
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.s", ".xyz.a.s"])
def test_what_fails_under_a_final_or_temporary_name_is_about_writing(tmp_path, name):
    with (pytest.raises(FileError, match=r"a\.hs cannot be written \(input/output error\)"),
          replacing(tmp_path / "a.s", tmp_path / "a.hs")):
        raise OSError(errno.EIO, "Input/output error", str(tmp_path / name))


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
@pytest.mark.parametrize("name", ["other/a.s", "in.a.s"])
def test_an_input_that_fails_meanwhile_is_named_and_what_was_there_stays(tmp_path, name, number):
    path, read = tmp_path / "a.s", tmp_path / name
    path.write_text("old")
    message = rf"{read} failed \(.* error\) while {path} was being written"
    with pytest.raises(FileError, match=message), replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError(number, "Some error", str(read))
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_reading_that_fails_without_a_name_is_not_said_of_the_disks_space(tmp_path):
    with (pytest.raises(FileError, match=r"a file failed \(input/output error\) while .*a\.s was"),
          replacing(tmp_path / "a.s")):
        raise OSError(errno.EIO, "Input/output error")


def test_an_optional_package_that_is_not_installed_is_named_with_what_brings_it():
    message = r"drawing takes the package not_there, .*; pip install 'countless\[more\]'"
    with pytest.raises(FileError, match=message):
        optional("not_there", "more", "drawing")
    assert optional("json", "more", "drawing").dumps([]) == "[]"


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
