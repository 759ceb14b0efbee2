"""Files on disk: one exception for all that can be wrong with them; all-or-nothing writing."""

import contextlib
import errno
import importlib
import os
import tempfile
from pathlib import Path

import numpy as np

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


class FileError(ValueError):
    """What is wrong with a file, in one sentence that says what to do; the command exits with 2."""


def opened(path, mode="rb", **options):
    """Open a file for reading, or say in one sentence why that fails."""
    try:
        return open(path, mode, **options)
    except IsADirectoryError:
        raise FileError(f"{path} is a folder; give the name of a file in it") from None
    except OSError as reason:
        raise FileError(
            f"{path} cannot be read ({_why(reason)}); check the name and the permissions"
        ) from reason


def optional(package, extra, use):
    """An optional package, or a sentence that says how to get it.

    Args:
        package: its name, as it is imported.
        extra: of Countless, that brings it.
        use: what takes it, for the message.
    Raises:
        FileError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as reason:
        raise FileError(
            f"{use} takes the package {package}, which is not installed; "
            f"pip install 'countless[{extra}]'"
        ) from reason


def check_writable(path):
    """Refuse a place where no file can be written: no such folder, a folder, no permission.

    Raises:
        FileError: with what to do.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileError(f"{path} cannot be written: there is no folder {path.parent}; create it")
    if path.is_dir():
        raise FileError(f"{path} cannot be written: it is a folder; give the name of a file in it")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise FileError(f"{path} cannot be written: permission denied; choose another folder")


@contextlib.contextmanager
def replacing(*paths):
    """Temporary names beside `paths`; when the block ends well they take the final names.

    Whatever ends the block early, the final names keep what they had and nothing else stays. The
    last path is the one that makes the others valid (a header for its data): it disappears first
    and appears last, so that it never stands beside data of another run.

    Raises:
        FileError: a place cannot be written, or something that the block reads cannot be read.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        check_writable(path)
    temporary = []
    try:
        for path in paths:
            # The final name comes last: writers choose their format by suffix.
            handle, name = tempfile.mkstemp(prefix=".", suffix="." + path.name, dir=path.parent)
            os.close(handle)
            temporary.append(Path(name))
        yield temporary if len(paths) > 1 else temporary[0]
        mask = os.umask(0)
        os.umask(mask)
        for name in temporary:
            os.chmod(name, 0o666 & ~mask)  # mkstemp's files are private to the user
        if len(paths) > 1:
            paths[-1].unlink(missing_ok=True)
        for name, path in zip(temporary, paths, strict=True):
            os.replace(name, path)
    except OSError as reason:
        if _is_of_writing(reason, paths):
            raise FileError(
                f"{paths[-1]} cannot be written ({_why(reason)}); free space or choose another "
                "folder"
            ) from reason
        raise FileError(
            f"{reason.filename or 'a file'} failed ({_why(reason)}) while {paths[-1]} was being "
            "written, which was left as it was; check the disk and try again"
        ) from reason
    finally:
        for name in temporary:
            name.unlink(missing_ok=True)


def _is_of_writing(reason, paths):
    """Whether an OSError is about writing these, and not about what is read meanwhile."""
    if reason.errno in _FULL:
        return True
    if reason.filename is None:
        # NumPy's own error of a full disk has no number: "800 requested and 96 written".
        return reason.errno in _FORBIDDEN or (reason.errno is None and "written" in str(reason))
    folder, name = os.path.split(os.path.abspath(str(reason.filename)))
    return any(
        folder == os.path.abspath(path.parent)
        and (name == path.name or (name.startswith(".") and name.endswith("." + path.name)))
        for path in paths
    )


def check_counts(array, path, what="prompts", *, axes=None, infinite=False):
    """Refuse counts (or activities, factors) that nothing gives: NaN, negative or infinite.

    Args:
        array: (view, radial, [tof,] plane), or with other `axes`.
        path: the file it came from, for the message.
        what: what the numbers are said to be.
        axes: names of the axes, by default those of a sinogram.
        infinite: allow infinity, as a correction has it in gaps between detectors.
    Raises:
        FileError: with how many are bad, and the first one's place and value.
    """
    if axes is None:
        axes = ("view", "radial", *(("tof",) if array.ndim == 4 else ()), "plane")
    bad, first = 0, None
    for index, part in enumerate(array):  # a view at a time: no second array of the whole size
        good = part >= 0 if infinite else (part >= 0) & (part < np.inf)
        count = good.size - int(np.count_nonzero(good))
        if count and first is None:
            place = tuple(int(i) for i in np.argwhere(~good)[0])
            first = (index, *place), float(part[place])
        bad += count
    if bad:
        place, value = first
        remedy = "correct the file"
        if what == "prompts":
            remedy = "give data as measured, before anything is subtracted from it"
        raise FileError(
            f"{path} has {bad} of {array.size} values that cannot be {what} (negative, NaN or "
            f"infinite), the first {value:g} at ({', '.join(axes)}) = {place}; {remedy}"
        )


def _why(reason):
    return (reason.strerror or str(reason)).lower()
