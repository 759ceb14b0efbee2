"""What an image is: its voxels, how they lie, what its numbers are."""

from recon import text
from recon.agreement import is_per_cm
from recon.doctor.file import (
    IMAGE,
    File,
    made_rows,
    next_row,
    note_rows,
    position_row,
    study_rows,
)
from recon.doctor.numbers import Numbers, count_misfits
from recon.io import like, read_image
from recon.io.image import is_interfile
from recon.io.provenance import read_sidecar
from recon.plausibility import attenuation_misfits

MU_MAP, ACTIVITY, HOUNSFIELD = "mu map", "activity", "CT"
_AIR_HU, _BONE_HU = -500, 200
_MU_PER_CM = 0.5
_PER_LENGTH = ("1/mm", "mm-1", "1/m", "m-1")


def examine(path, say):
    """Says what an image is and returns its File.

    Raises:
        FileError: it cannot be read.
    """
    grid, frame = like(path)
    array, _, info = read_image(path)
    sidecar, numbers = read_sidecar(path), Numbers.of(array)
    unit = info.get("unit") or sidecar.get("unit")
    file = File(path=path, kind=IMAGE, grid=grid, info=info, sidecar=sidecar)
    file.role, why = _role(unit, numbers, path)
    rows = [
        ("type", f"image, {'Interfile' if is_interfile(path) else 'NIfTI'}"),
        ("grid", text.grid(grid)),
        ("orientation", text.orientation(grid.affine if frame is None else frame.affine)),
    ]
    if is_interfile(path):
        rows.append(position_row(info))
    rows += [("unit", unit or "not said"), ("meaning", why), *study_rows(info)]
    if file.role == MU_MAP and numbers.least <= numbers.most:
        found = list(attenuation_misfits(array, path))
        file.misfits += found or count_misfits(array, path, "attenuation", axes=("x", "y", "z"))
    rows += [*note_rows(info.get("notes", ())), *note_rows(file.misfits), *made_rows(sidecar),
             *numbers.rows()]
    say([*rows, *([] if file.misfits else [_next(file)])])
    return file


def _role(unit, numbers, path):
    """What the numbers are, and why that is so."""
    if unit and (is_per_cm(unit) or str(unit).strip().lower() in _PER_LENGTH):
        return MU_MAP, "attenuation, as its unit says"
    air = numbers.least <= _AIR_HU  # with bone, or as a CT stores it
    if unit == "HU" or (air and (numbers.most >= _BONE_HU or (not unit and numbers.whole))):
        return HOUNSFIELD, f"a CT in HU, as its {'unit' if unit else 'range'} says"
    if unit:
        if numbers.negative:
            return ACTIVITY, "activity; some of it is negative, which OSEM never gives"
        return ACTIVITY, "activity, as its unit says"
    words = path.name.lower()
    if "mu" in words or "attn" in words or "atten" in words:
        return MU_MAP, "taken as attenuation, for its name"
    if 0 <= numbers.least <= numbers.most <= _MU_PER_CM:
        return "", (
            "not said: activity, or attenuation in 1/cm (water 0.096) or 1/mm (water 0.0096)"
        )
    return ACTIVITY, "not said: taken as activity"


def _next(file):
    path = file.path
    if file.role == HOUNSFIELD:
        return next_row("countless mu-map", path, "-o mu-map.nii.gz --kvp 120")
    if file.role == MU_MAP:
        return next_row("countless recon SCAN.hs -o image.nii.gz --mu-map", path)
    if file.sidecar.get("unit") == "counts/mm":
        return next_row("countless quantify", path, "-o bq.nii.gz --calibration-factor C.json")
    return next_row("countless recon SCAN.hs -o image.nii.gz --grid-like", path)
