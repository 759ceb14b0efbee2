"""The command `countless info`: what files are, whether they fit, and what to do next."""

from pathlib import Path

from recon import text
from recon.doctor import image, raw, sinogram
from recon.doctor.file import CT, IMAGE, LIST, NORM, SINOGRAM, File, kind_of
from recon.doctor.fits import misfits
from recon.io import FileError

_EXAMINE = {
    SINOGRAM: sinogram.examine,
    IMAGE: image.examine,
    LIST: raw.examine_list,
    NORM: raw.examine_norm,
    CT: raw.examine_ct,
}


def info(file: Path, *others: Path):
    """Say what files are: layout, corrections, counts, unit; and whether they fit the first.

    Of each it says what comes next. Of several it lists all that keeps one from being used with the
    first, and ends with exit code 2 where there is something.

    Args:
        file: Sinogram (.hs, .s.hdr), image (.hv, .nii, .nii.gz), list mode (.l.hdr, .petsird,
            .cdh), normalization (.n.hdr), or the folder of a CT in DICOM.
        others: Files to compare with it.
    """
    if not others:
        _examine(file)
        return
    found, wrong = [], {}
    for path in (file, *others):
        try:
            found.append(_examine(path))
        except FileError as reason:
            _say([("misfit", str(reason))])
            wrong[path] = True
            found.append(None)
        print()
    _say([("first", file)])
    for path, one in zip((file, *others), found, strict=True):
        if one is not None:
            wrong[path] = _compare(one, found[0], file)
    bad = [str(path) for path, misfit in wrong.items() if misfit]
    if bad:
        raise FileError(
            f"{text.plural(len(bad), 'file')} of {len(found)} cannot be used with the others: "
            f"{', '.join(bad)}; what is wrong with each stands above"
        )


def _examine(path):
    """Says what a file is and returns its File."""
    kind = kind_of(path)
    _say([("file", path)])
    return _EXAMINE[kind](path, _say)


def _compare(file: File, first: File | None, name):
    """Says whether a file fits the first, and returns whether it does not."""
    compared = misfits(file, first) if first is not None and file is not first else None
    found = file.misfits + (compared or [])
    what = file.role or file.kind
    if file is not first and not found:
        fits = "cannot be compared" if compared is None else f"fits {name}"
        _say([("fits", f"{file.path} ({what}) {fits}")])
    for misfit in found:
        _say([("misfit", misfit)])
    return bool(found)


def _say(rows):
    rows = list(rows)
    if rows:
        print(text.table(rows), flush=True)
