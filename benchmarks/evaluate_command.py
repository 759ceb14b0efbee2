"""The command `countless evaluate`: one image against a reference."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from benchmarks.image_metrics import compare, default_range
from denoise import scaling
from recon.command_line import command_line
from recon.field_of_view import same_place
from recon.io import FileError, check_output, provenance, read_image
from recon.io.provenance import write_json
from recon.quantity import conversion
from recon.resampling import resample


def evaluate(
    image: Path,
    *,
    reference: Path,
    mask: Path | None = None,
    data_range: float | None = None,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
):
    """Compare an image with a reference: NRMSE, PSNR and SSIM in three dimensions.

    Args:
        image: Image (.nii.gz, .nii or .hv).
        reference: What it shall be like, on the same voxels; where the two have different units,
            the .json beside the image turns one into the other. An image that does not say its
            unit is taken to be in the other's, which is said.
        mask: Image that is above 0 in the voxels that count; without it, those of the reference's
            body are found.
        data_range: Of PSNR and SSIM, in the reference's unit; without it 10 times the reference's
            mean in the mask, in a whole body about an SUV of 10.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    settings = dict(locals())
    inputs = [path for path in (image, reference, mask) if path is not None]
    if output is not None:
        check_output(output, inputs)
    array, grid, info = read_image(image)
    wanted, reference_grid, reference_info = read_image(reference)
    if not same_place(grid, reference_grid):
        raise FileError(
            f"{image} has {grid.shape} voxels of {grid.voxel_mm} mm from {grid.origin_mm}, and "
            f"{reference} {reference_grid.shape} of {reference_grid.voxel_mm} mm from "
            f"{reference_grid.origin_mm}; an image is compared on the reference's own voxels, "
            f"which `countless recon --grid-like {reference}` makes"
        )
    scaling.check_finite(array, image)
    scaling.check_finite(wanted, reference)
    own, unit = info.get("unit"), reference_info.get("unit")
    notes = [f"{path} does not say its unit, and is taken to be in {other or 'the same'}"
             for path, said, other in ((image, own, unit), (reference, unit, own)) if not said]
    unit = unit or own
    array = array * np.float32(_scale(image, own, unit, reference))
    inside = _inside(mask, wanted, grid)
    found = {"data_range": default_range(wanted, inside) if data_range is None else data_range}
    found |= compare(array, wanted, inside, found["data_range"])
    found |= {"unit": unit, "voxels": int(np.count_nonzero(inside))}
    print(f"NRMSE  {100 * found['nrmse']:.2f} %\nPSNR   {found['psnr']:.2f} dB\n"
          f"SSIM   {found['ssim']:.4f}\nin {found['voxels']} voxels of the "
          f"{'mask' if mask else 'body'}; data range {found['data_range']:.5g} {unit or ''}",
          *(f"\nnote   {note}" for note in notes))
    results = found | provenance(
        command=command_line(evaluate, settings), configuration=settings, inputs=inputs, unit=unit,
        notes=notes,
    )
    if output is not None:
        write_json(output, results)
    return results


def _scale(path, unit, wanted, reference):
    """What turns an image's numbers into the reference's unit.

    Raises:
        FileError: nothing is known that does.
    """
    try:
        return conversion(path, unit, wanted)
    except FileError as reason:
        raise FileError(
            f"{path} is in {unit} and {reference} in {wanted}, and the .json beside {path} does "
            "not turn one into the other; make both with `countless quantify`"
        ) from reason


def _inside(path, reference, grid):
    """The voxels that count."""
    if path is None:
        return scaling.body(reference, grid.voxel_mm)
    marks, mask_grid, _ = read_image(path)
    return resample((marks > 0).astype(np.float32), mask_grid, grid) > 0.5
