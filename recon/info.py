"""The command `countless info`: what a sinogram or an image is, from its header and its numbers."""

from pathlib import Path

import numpy as np

from recon import text
from recon.io import FileError, like, read_image, read_layout, read_sinogram
from recon.io.image import is_interfile
from recon.io.provenance import read_sidecar


def info(file: Path):
    """Say what a sinogram (.hs) or an image (.hv, .nii, .nii.gz) is: its layout, counts, unit.

    Args:
        file: Header of a sinogram or an image, or a NIfTI image.
    """
    if file.suffix == ".hs":
        _sinogram(file)
    elif file.name.endswith((".hv", ".nii", ".nii.gz")):
        _image(file)
    else:
        raise FileError(f"info takes a file that ends in .hs, .hv, .nii or .nii.gz, got {file}")


def _sinogram(path):
    layout, study = read_layout(path)
    number_type = text.number_type(study["number_type"])
    rows = [
        ("file", path),
        ("type", f"sinogram ({study.get('pet_data_type', 'Emission')}), {number_type}"),
        ("scanner", text.scanner(layout.scanner)),
        ("layout", text.layout(layout)),
    ]
    if layout.tof:
        rows.append(("TOF", text.time_of_flight(layout)))
    rows += [
        ("corrections", ", ".join(study["applied_corrections"]) or "none applied"),
        ("position", text.position(study["patient_position"])),
        *_study(study),
    ]
    if "unit" in study:
        rows.append(("unit", f"{study['unit']}, of images that it turns into counts"))
    # Told before the data are read: a template has none, and says so in an error.
    print(text.table(rows))
    print(text.table(_numbers(read_sinogram(path)[0])))


def _image(path):
    grid, frame = like(path)
    array, _, study = read_image(path)
    sidecar = read_sidecar(path)
    known = (study.get("unit"), sidecar.get("unit"))
    rows = [
        ("file", path),
        ("type", f"image, {'Interfile' if is_interfile(path) else 'NIfTI'}"),
        ("grid", text.grid(grid)),
        ("orientation", text.orientation(grid.affine if frame is None else frame.affine)),
        ("unit", next(filter(None, known), "not said")),
    ]
    if is_interfile(path):
        rows.insert(4, ("position", text.position(study["patient_position"])))
    rows += _study(study)
    for name in ("quantity", "algorithm", "factors", "background", "command", "version", "date"):
        value = sidecar.get(name)
        if value:
            rows.append((name, " × ".join(value) if isinstance(value, list) else value))
    print(text.table([*rows, *_numbers(array)]))


def _study(study):
    """Rows of what a header says about the study."""
    if "duration_s" in study:
        yield "duration", f"{study['duration_s']:g} s"
    if "isotope" in study:
        yield "isotope", study["isotope"]
    if "energy_window_kev" in study:
        yield "energy", "{:g} to {:g} keV".format(*study["energy_window_kev"])
    for note in study["notes"]:
        yield "note", note


def _numbers(array):
    """Rows of what an array sums to, and of what should not be in it."""
    total, negative, bad, least, most = 0.0, 0, 0, np.inf, -np.inf
    for part in array:
        finite = part[np.isfinite(part)]
        bad += part.size - finite.size
        if finite.size:
            total += float(finite.sum(dtype=np.float64))
            negative += int((finite < 0).sum())
            least, most = min(least, float(finite.min())), max(most, float(finite.max()))
    yield "sum", f"{text.number(total)} over {array.size:,} values"
    if least <= most:
        yield "range", f"{text.number(least)} to {text.number(most)}"
    if negative or bad:
        yield "note", f"{negative:,} values are negative, {bad:,} NaN or infinite"
