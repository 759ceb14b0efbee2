"""The command `countless mu-map`: a CT to linear attenuation coefficients at 511 keV."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from recon import text
from recon.agreement import check_per_cm
from recon.command_line import command_line
from recon.corrections.hounsfield import bone_line, clip_hounsfield, mu_at_511
from recon.grid import Grid
from recon.io import FileError, check_output, like, provenance, read_image, write_image
from recon.operators import GaussianBlur
from recon.resampling import coverage, resample

SOURCE = "Carney et al., Med. Phys. 33, 976-983, 2006"
MOST_PER_CM = 0.5  # of a bed; bone has 0.17, and aluminium 0.23
Three = Annotated[tuple[float, float, float], Parameter(negative_iterable=())]


def mu_map(
    ct: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    kvp: float | None = None,
    grid_like: Path | None = None,
    voxel_mm: Three | None = None,
    bed: Path | None = None,
    smooth_mm: float = 0.0,
    scanner_centre_mm: Three = (0.0, 0.0, 0.0),
    config: Path | None = None,
):
    """Turn a CT into a mu map at 511 keV, in 1/cm.

    Args:
        ct: Folder of a DICOM series, or an image in HU (.nii, .nii.gz, .hv).
        output: Mu map to write (.nii.gz, .nii or .hv), with a .json beside it that says how.
        kvp: Tube voltage of the CT: 80, 100, 110, 120, 130 or 140. DICOM says it itself.
        grid_like: Image whose voxels, index order and affine to take; without it, the CT's own.
        voxel_mm: Sides of a voxel instead, over what the CT covers.
        bed: Mu map of the bed or a coil in 1/cm, in scanner coordinates, to be added.
        smooth_mm: FWHM of a Gaussian, to match the PET's resolution.
        scanner_centre_mm: Where the scanner's centre lies in the CT's world (right, anterior,
            superior); that point becomes (0, 0, 0), which is where `recon` has it.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    if not 0 <= smooth_mm < np.inf:
        raise ValueError(f"--smooth-mm takes a width of 0 mm or more, got {smooth_mm:g}")
    check_output(output, [path for path in (ct, grid_like, bed, config) if path and path.is_file()])
    array, grid, info = _read(ct)
    kvp = _voltage(ct, info, kvp)
    notes = [*info["notes"], *clip_hounsfield(array, ct)]
    onto, frame = _grid(grid, scanner_centre_mm, voxel_mm, grid_like)
    notes += _uncovered(ct, grid, onto, scanner_centre_mm, grid_like)
    shift_mm = [-centre for centre in scanner_centre_mm]
    mu = resample(mu_at_511(array, kvp), grid, onto, shift_mm=shift_mm)
    if bed:
        mu += resample(*_bed(bed), onto)
    if smooth_mm:
        mu = GaussianBlur(onto.shape, onto.voxel_mm, smooth_mm)(mu)
    rows = [
        ("CT", f"{ct}, {kvp:g} kVp, {info['series'] or 'series not named'}"),
        ("voxels", text.grid(grid)),
        ("mu map", text.grid(onto)),
        ("table", f"{bone_line(kvp)[0]:g} (HU + 1000) + {bone_line(kvp)[1]:g} 1/cm in bone"),
        ("range", f"{mu.min():.4g} to {mu.max():.4g} 1/cm"),
        *(("note", note) for note in notes),
    ]
    print(text.table(rows), flush=True)
    record = provenance(
        command=command_line(mu_map, settings),
        configuration=settings,
        inputs=[*info["files"], *filter(None, (grid_like, bed, config))],
        unit="1/cm",
        quantity="linear attenuation coefficient at 511 keV",
        kvp=kvp,
        source=SOURCE,
        notes=notes,
        grid=asdict(onto),
    )
    write_image(output, mu, onto, unit="1/cm", sidecar=record, frame=frame)
    print(text.table([("written", f"{output}, in 1/cm")]))


def _read(ct):
    if ct.is_dir():
        from recon.io.dicom import read_ct

        return read_ct(ct)
    if not ct.exists():
        raise FileError(
            f"{ct} is not there; give the folder of a DICOM series, or an image in HU"
        )
    array, grid, info = read_image(ct)
    return array, grid, {"kvp": None, "series": ct.name, "files": [ct]} | info


def _voltage(ct, info, kvp):
    said = info["kvp"]
    if kvp is None and said is None:
        raise ValueError(
            f"{ct} does not say its tube voltage; give it, for instance --kvp 120: with another "
            "one bone would be several per cent off"
        )
    if kvp is not None and said is not None and kvp != said:
        raise FileError(
            f"{ct} was taken with {said:g} kVp, and --kvp says {kvp:g}; leave --kvp out"
        )
    bone_line(said if kvp is None else kvp)  # refused before the work
    return said if kvp is None else kvp


def _grid(grid, centre_mm, voxel_mm, grid_like):
    """What to write on: another image's Grid, or the CT's with the scanner's centre at 0."""
    if voxel_mm and grid_like:
        raise ValueError("--voxel-mm and --grid-like both set the voxels; give one of them")
    if grid_like:
        return like(grid_like, grid.patient_position)
    signs = np.diag(grid.affine)[:3] / grid.voxel_mm
    middle = np.array(grid.centre) - signs * centre_mm
    shape, sides = grid.shape, grid.voxel_mm
    if voxel_mm:
        if not all(0 < side < np.inf for side in voxel_mm):
            raise ValueError(f"--voxel-mm takes three sides above 0 mm, got {voxel_mm}")
        lengths = np.multiply(shape, sides)
        shape, sides = np.ceil(lengths / voxel_mm - 1e-6).astype(int), voxel_mm
    onto = Grid.centred(
        shape=shape, voxel_mm=sides, centre_mm=middle, patient_position=grid.patient_position
    )
    return onto, None


def _uncovered(ct, grid, onto, centre_mm, grid_like):
    """A sentence for each axis along which the CT ends inside the mu map.

    Raises:
        FileError: they do not overlap at all.
    """
    notes = []
    for axis, part in enumerate(coverage(grid, onto, shift_mm=[-c for c in centre_mm])):
        if part.max() <= 0:
            raise FileError(
                f"{ct} and {grid_like or 'the mu map'} do not overlap along {'xyz'[axis]}; check "
                "that they are of one patient in one frame of reference, or give "
                "--scanner-centre-mm"
            )
        # An edge voxel that sticks out is the rounding of a size, not a CT that is too short.
        short = int(np.count_nonzero(part < 0.5))
        if grid_like and short:
            length = (part.size - part.sum()) * onto.voxel_mm[axis]
            notes.append(
                f"the CT does not cover {length:.4g} mm ({short} of {part.size} voxels) along "
                f"{'xyz'[axis]}: taken as air, so what lies there is not corrected"
            )
    return notes


def _bed(path):
    check_per_cm(path)
    array, grid, _ = read_image(path)
    if not (array.min() >= 0 and array.max() <= MOST_PER_CM):  # NaN, too
        raise FileError(
            f"{path} takes attenuation coefficients of 0 to {MOST_PER_CM} 1/cm, found "
            f"{array.min():g} to {array.max():g}; give the bed in 1/cm"
        )
    return array, grid
