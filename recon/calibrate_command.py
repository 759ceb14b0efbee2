"""The command `countless calibrate`: a phantom of known activity to the calibration factor."""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from recon import quantity, text
from recon.command_line import command_line
from recon.corrections.calibration import calibration_factor
from recon.field_of_view import same_place
from recon.io import FileError, check_output, provenance, read_image
from recon.io.provenance import write_json


def calibrate(
    image: Path,
    *,
    activity_bq_ml: float,
    output: Annotated[Path, Parameter(alias="-o")],
    region_radius_mm: float | None = None,
    mask: Path | None = None,
    activity_age_min: Annotated[float, Parameter(allow_leading_hyphen=True)] = 0.0,
    isotope: str | None = None,
    duration_s: float | None = None,
    start_s: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None,
    live_fraction: float = 1.0,
    config: Path | None = None,
):
    """Find the calibration factor from a phantom's image, for `quantify --calibration-factor`.

    It holds for all isotopes, and for images made with the same kind of efficiency.

    Args:
        image: Phantom in counts/mm, that `countless recon` made with all corrections.
        activity_bq_ml: What it holds, in Bq/mL, where the region lies.
        output: File to write (.json).
        region_radius_mm: The region is a sphere of this radius about the image's centre of mass.
        mask: The region is where this image, on the same voxels, is above 0.
        activity_age_min: Minutes from when the activity was measured to the reference time, from
            which the frame's start counts: the scan's start.
        isotope: Such as Ge-68, in place of the scan's own.
        duration_s: Of the frame, in place of the scan's own.
        start_s: When the frame begins, after the reference time; in place of the scan's own.
        live_fraction: Part of the frame in which the scanner could count; 1 where the efficiency
            holds the dead time, as `countless norm` makes it.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    if (region_radius_mm is None) == (mask is None):
        raise ValueError("the region takes --region-radius-mm or --mask; give one of them")
    if output.suffix != ".json":
        raise FileError(f"--output takes a name that ends in .json, got {output}")
    files = [image, *filter(None, (mask, config))]
    check_output(output, files)
    array, grid, info = read_image(image)
    unit = info.get("unit")
    if unit != quantity.COUNTS:
        raise FileError(
            f"{image} {f'is in {unit}' if unit else 'says no unit'}, where counts/mm was expected; "
            "give the image that countless recon made, without calibration"
        )
    scan = quantity.calibration_of(info, image, 1.0, isotope=isotope, duration_s=duration_s,
                                   start_s=start_s, live_fraction=live_fraction)
    inside, region = _region(image, array, grid, region_radius_mm, mask)
    values = array[inside].astype(np.float64)
    mean, spread = float(values.mean()), float(values.std())
    if not math.isfinite(activity_age_min):
        raise ValueError(f"--activity-age-min takes a number, got {activity_age_min}")
    activity = activity_bq_ml * scan.isotope.decay(60 * activity_age_min)
    factor = calibration_factor(mean, activity, isotope=scan.isotope, duration_s=scan.duration_s,
                                start_s=scan.start_s, live_fraction=scan.live_fraction)
    terms = scan.record()
    for name in ("calibration_factor", "bq_per_ml_per_count_per_mm"):  # of C = 1
        del terms[name]
    write_json(output, provenance(
        command=command_line(calibrate, settings),
        configuration=settings,
        inputs=files,
        unit=quantity.FACTOR_UNIT,
        quantity="calibration factor C",
        calibration_factor=factor,
        bq_per_ml_at_reference_time=activity,
        region={"of": region, "voxels": int(inside.sum()), "mean": mean, "sd": spread},
        **terms,
    ))
    print(text.table([
        ("image", f"{image}, {text.grid(grid)}"),
        ("region", f"{region}: {values.size:,} voxels of {mean:.6g} ± {spread:.2g} counts/mm (sd)"),
        ("activity", f"{activity:.6g} Bq/mL of {scan.isotope.name} at the reference time, "
                     f"{scan.start_s:g} s before the frame of {scan.duration_s:g} s began"),
        ("calibration", f"C = {factor:.6g} {quantity.FACTOR_UNIT}, written to {output}"),
    ]))


def _region(path, array, grid, radius_mm, mask):
    """Which voxels to average, bool (x, y, z), and what they are, in words."""
    if mask:
        chosen, its, _ = read_image(mask)
        if not same_place(its, grid):
            raise FileError(
                f"{mask} has {text.grid(its)}, where {path} has {text.grid(grid)}; draw it on the "
                "image's voxels"
            )
        inside, words = chosen > 0, f"where {mask} is above 0"
    else:
        if not 0 < radius_mm < math.inf:
            raise ValueError(f"--region-radius-mm takes a radius above 0 mm, got {radius_mm:g}")
        centre = _centre_of_mass(path, array, grid)
        x, y, z = np.ix_(*(grid.centres(axis) - centre[axis] for axis in range(3)))
        inside = x**2 + y**2 + z**2 <= radius_mm**2
        place = ", ".join(f"{value:.4g}" for value in centre)
        words = f"a sphere of {radius_mm:g} mm about the centre of mass, ({place}) mm"
        for value, (low, high) in zip(centre, grid.extent, strict=True):
            if value - radius_mm < low or value + radius_mm > high:
                raise ValueError(
                    f"--region-radius-mm {radius_mm:g} reaches out of {path}; give a smaller one"
                )
    if not inside.any():
        raise ValueError(f"{words} there is no voxel of {path}; give a larger region")
    return inside, words


def _centre_of_mass(path, array, grid):
    total = float(array.sum(dtype=np.float64))
    if not total > 0:
        raise FileError(f"{path} is 0 everywhere; give the phantom's image")
    sums = (array.sum(axis=others, dtype=np.float64) for others in ((1, 2), (0, 2), (0, 1)))
    return [float(grid.centres(axis) @ each) / total for axis, each in enumerate(sums)]
