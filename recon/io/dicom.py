"""CT series in DICOM: a folder of slices, to HU on a Grid. pydicom is imported where it is used.

DICOM's world is (left, posterior, superior) in mm, NIfTI's (right, anterior, superior): x and y
change their signs. Element 0 of ImageOrientationPatient is where a row leads, that is where the
column index grows; element 0 of PixelSpacing is the distance between rows.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from recon.grid import PATIENT_AXES, Grid
from recon.io.files import FileError, optional

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NEEDED = (
    *("SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("Rows", "Columns", "RescaleSlope", "RescaleIntercept"),
)
_LENGTHS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
_ALIKE = ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "KVP")
_POSITION_MM = 0.1  # positions are often rounded to this
_SPACING = 0.02  # of the distance between slices


def read_ct(folder):
    """Read a CT series.

    Args:
        folder: that holds the slices of one series, in any order, under any names.
    Returns:
        float32 array (x, y, z) in HU, its Grid, and info: kvp (None where not said), series,
        patient_position, files (a list of paths), notes (a list of sentences).
    Raises:
        FileError: no pydicom, no CT, several series, slices missing, doubled or unevenly spaced,
            a tilted gantry, a number without meaning.
    """
    folder = Path(folder)
    headers, notes = _headers(folder)
    headers = _one_series(folder, headers)
    affine, headers = _geometry(folder, headers)
    path, first = headers[0]
    position = str(first.get("PatientPosition", ""))
    if position not in PATIENT_AXES:
        notes.append(f"patient position {position or 'not said'}: taken as HFS, which places alike")
        position = "HFS"
    promised = int(first.get("ImagesInAcquisition") or 0)
    if promised > len(headers):
        notes.append(
            f"{len(headers)} of the {promised} slices that the headers speak of are there: some at "
            "an end may be missing"
        )
    shape = (int(first.Columns), int(first.Rows), len(headers))
    try:
        grid, order = Grid.from_affine(shape, _LPS_TO_RAS @ affine, position)
    except ValueError as reason:
        raise FileError(f"{folder}: {reason}") from reason
    stored = np.empty(shape, np.float32)
    for index, (path, header) in enumerate(headers):
        stored[:, :, index] = _hounsfield(path, header).T
    info = {
        "kvp": float(first.KVP) if first.get("KVP") else None,
        "patient_position": position,
        "series": str(first.get("SeriesDescription", "")),
        "files": [path for path, _ in headers],
        "notes": notes,
    }
    return np.ascontiguousarray(order.to_grid(stored)), grid, info


def pydicom():
    """The package, or a sentence that says how to get it."""
    return optional("pydicom", "dicom", "reading DICOM")


def _headers(folder):
    """(path, header) of every image in the folder, and notes on what was left out."""
    dicom = pydicom()
    if not folder.is_dir():
        raise FileError(f"{folder} takes a folder of DICOM slices; give the folder they lie in")
    found, others = [], []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.name == "DICOMDIR":
            continue
        try:
            header = dicom.dcmread(path, stop_before_pixels=True)
        except dicom.errors.InvalidDicomError:
            others.append(path.name)
            continue
        except (OSError, EOFError, ValueError, KeyError, AttributeError) as reason:
            raise FileError(
                f"{path} cannot be read as DICOM ({reason}); export the series again"
            ) from reason
        if _is_slice(header):
            found.append((path, header))
        else:
            others.append(path.name)
    if not found:
        raise FileError(f"{folder} has no DICOM images among its files; give the series' folder")
    if not others:
        return found, []
    return found, [f"files that are not slices left out: {len(others)}, such as {others[0]}"]


def _is_slice(header):
    """Not a scout, a report or a directory; what cannot be told is refused later, not dropped."""
    if "LOCALIZER" in (header.get("ImageType") or ()) or "DirectoryRecordSequence" in header:
        return False
    return "Rows" in header or header.get("Modality", "CT") == "CT"


def _one_series(folder, headers):
    """Refuses other modalities, frames in one file, what lacks a number, and several series."""
    for path, header in headers:
        if header.get("Modality") != "CT":
            raise FileError(
                f"{path} takes modality CT, found {header.get('Modality', 'none')}; "
                "give the folder of the CT"
            )
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise FileError(
                f"{path} takes one slice a file, found {header.NumberOfFrames} frames; "
                "convert it to NIfTI first, for instance with dcm2niix"
            )
        lacking = [name for name in _NEEDED if header.get(name) in (None, "")]
        if lacking:
            raise FileError(
                f"{path} lacks {', '.join(lacking)}, which a CT's slices have; export it again"
            )
        for name, count in _LENGTHS.items():
            if np.size(header.get(name)) != count:
                raise FileError(
                    f"{path} takes {count} numbers as {name}, found {header.get(name)}; "
                    "export it again"
                )
        if header.get("RescaleType", "HU") not in ("HU", "US", ""):
            raise FileError(
                f"{path} takes rescale type HU, found {header.RescaleType}; reconstruct or export "
                "the CT in Hounsfield units"
            )
    named = {str(header.SeriesInstanceUID): header for _, header in headers}
    counts = Counter(str(header.SeriesInstanceUID) for _, header in headers)
    if len(named) > 1:
        each = "; ".join(
            f"{header.get('SeriesDescription', '')!r} with {counts[uid]} slices"
            for uid, header in named.items()
        )
        raise FileError(
            f"{folder} takes one series, found {len(named)} ({each}); "
            "put the CT for attenuation into a folder of its own"
        )
    first_path, first = headers[0]
    for path, header in headers[1:]:
        for name in _ALIKE:
            values = [np.ravel(h.get(name) or 0).astype(float) for h in (first, header)]
            if len(values[0]) != len(values[1]) or not np.allclose(*values, rtol=0, atol=1e-4):
                raise FileError(
                    f"{folder} takes slices that are alike, found {name} {first.get(name)} in "
                    f"{first_path.name} and {header.get(name)} in {path.name}; separate them"
                )
    return headers


def _geometry(folder, headers):
    """Affine from (column, row, slice) to DICOM's mm, and the headers in the slices' order."""
    if len(headers) < 2:
        raise FileError(f"{folder} takes a series of slices, found one; give the whole series")
    first = headers[0][1]
    along_row, along_column = np.reshape(first.ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(along_row, along_column)
    corners = np.array([h.ImagePositionPatient for _, h in headers], float)
    order = np.argsort(corners @ normal, kind="stable")
    headers, corners = [headers[i] for i in order], corners[order]
    _check_spacing(folder, corners @ normal, [path.name for path, _ in headers])
    step = (corners[-1] - corners[0]) / (len(corners) - 1)
    # A tilted gantry shifts each slice within its plane; so does a series that was cut oddly.
    aside = step - (step @ normal) * normal
    drift = corners - corners[0] - np.arange(len(corners))[:, None] * step
    if np.linalg.norm(aside) * (len(corners) - 1) > 2 * _POSITION_MM:
        tilt = np.degrees(np.arctan2(np.linalg.norm(aside), step @ normal))
        raise FileError(
            f"{folder} takes slices square to the direction they follow each other in, found "
            f"{tilt:.3g} degrees off: a tilted gantry; resample the CT first, for instance with "
            "dcm2niix, which corrects the tilt"
        )
    drift -= np.outer(drift @ normal, normal)
    if np.abs(drift).max() > 2 * _POSITION_MM:
        raise FileError(
            f"{folder} takes slices that lie above each other, found some "
            f"{np.abs(drift).max():.3g} mm aside; they belong to several scans: separate them"
        )
    between_rows, between_columns = map(float, first.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along_row * between_columns, along_column * between_rows
    affine[:3, 2], affine[:3, 3] = step, corners[0]
    return affine, headers


def _check_spacing(folder, heights, names):
    """Refuses slices that are doubled, missing or unevenly spaced; heights grow, in mm."""
    steps = np.diff(heights)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower median: gaps are larger
    tolerance = max(_POSITION_MM + 1e-6, _SPACING * usual)
    if steps.min() < tolerance:
        at = int(np.argmin(steps))
        raise FileError(
            f"{folder} has two slices at the same place, {names[at]} and {names[at + 1]} at "
            f"{heights[at]:.5g} mm; it holds copies or several phases: separate them"
        )
    off = np.abs(steps - usual) > tolerance
    if not off.any():
        return
    at = int(np.argmax(off))
    ratios = steps[off] / usual
    whole = np.abs(ratios - np.round(ratios)) * usual <= tolerance
    if whole.all():
        missing = int(np.sum(np.round(ratios) - 1))
        raise FileError(
            f"{folder} lacks {missing} of {missing + len(heights)} slices, the first between "
            f"{heights[at]:.5g} and {heights[at + 1]:.5g} mm (they are {usual:.4g} mm apart); "
            "export the whole series"
        )
    raise FileError(
        f"{folder} takes evenly spaced slices, found {usual:.4g} mm and, between {names[at]} and "
        f"{names[at + 1]}, {steps[at]:.4g} mm; export one series, or resample it to NIfTI first"
    )


def _hounsfield(path, header):
    """A slice in HU, (row, column); the rescale may differ from slice to slice."""
    try:
        stored = pydicom().dcmread(path).pixel_array
    except Exception as reason:  # which one depends on the decoder, and on how it was cut
        why = (str(reason).splitlines() or [type(reason).__name__])[0]
        raise FileError(
            f"{path}: its pixels cannot be read ({why}); the file was cut short, or is compressed: "
            "pip install pylibjpeg pylibjpeg-libjpeg, or export it anew"
        ) from reason
    if stored.shape != (header.Rows, header.Columns):
        raise FileError(
            f"{path} takes one grey slice of {header.Rows} x {header.Columns} pixels, found the "
            f"shape {stored.shape}; export it again"
        )
    return stored * np.float32(header.RescaleSlope) + np.float32(header.RescaleIntercept)
