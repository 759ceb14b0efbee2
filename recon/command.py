"""The command `countless recon`: one function is its schema, help, YAML and command line."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from recon import backend, text
from recon.command_line import command_line
from recon.field_of_view import image_grid
from recon.io import provenance, write_image
from recon.measurement import Measurement
from recon.plan import Plan, divisor_nearest
from recon.reconstruction import counts_of, reconstruct


def _whole(_, tokens):
    """A whole number; int() of a float would cut it short in silence."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"takes a whole number, got {tokens[0].value}") from None


WHOLE = Parameter(converter=_whole)
OneOrThree = Annotated[
    tuple[float, ...] | None, Parameter(consume_multiple=(1, 3), negative_iterable=())
]
Three = Annotated[tuple[float, float, float] | None, Parameter(negative_iterable=())]


def recon(
    scan: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    mu_map: Path | None = None,
    efficiency: Path | None = None,
    correction: Path | None = None,
    background: Path | None = None,
    additive: Path | None = None,
    subsets: Annotated[int | None, WHOLE] = None,
    iterations: Annotated[int, WHOLE] = 3,
    psf_mm: OneOrThree = None,
    post_filter_mm: OneOrThree = None,
    start: Path | None = None,
    tof: bool = True,
    voxel_mm: Three = None,
    grid_like: Path | None = None,
    lor_angles: Literal["crystals", "stir"] = "crystals",
    subset_order: Literal["spread", "sequential"] = "spread",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    save_every: Annotated[int | None, WHOLE] = None,
    preview: Path | None = None,
    config: Path | None = None,
):
    """Reconstruct a sinogram by OSEM, with the model y = m (A x) + b.

    Args:
        scan: Prompts as counted, a header of STIR (.hs) or Siemens (.s.hdr).
        output: Image to write (.nii.gz, .nii or .hv), with a .json beside it that says how.
        mu_map: Attenuation in 1/cm (.hv, .nii, .nii.gz), applied as a factor.
        efficiency: Sinogram that multiplies expected counts, m; it holds the number of crystal
            pairs per bin, too. `%unit := X` in its header says that m turns an image in X into
            counts, so the image is in X; else it is in counts/mm.
        correction: Its inverse, as STIR writes it; infinite or 1e20 in gaps.
        background: Sinogram of expected randoms and scatter in counts, b.
        additive: The same divided by all factors, as STIR writes it: b = additive × m.
        subsets: Of the views, view k, k + subsets, …; by default the divisor of the number of
            views nearest 21.
        iterations: Passes over all subsets.
        psf_mm: FWHM of a Gaussian point spread function, one value or three (x, y, z).
        post_filter_mm: FWHM of a Gaussian that smooths what is written, one value or three.
        start: First image, on the output's grid; by default 1 in a cylinder and 0 outside.
        tof: Use time of flight where the scan has it, or sum its bins.
        voxel_mm: Sides of a voxel; by default half the ring spacing along z, and near that across.
        grid_like: Image whose voxels, index order and affine to take.
        lor_angles: 'stir' leaves interleaving out, for data that STIR simulated.
        subset_order: 'spread' keeps successive subsets far apart in angle.
        device: Where to compute; 'auto' is the GPU where there is one.
        save_every: Keep the image of every so many passes, as image.pass2.nii.gz.
        preview: Picture to draw of the image (.png, .pdf, .svg, .jpg).
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    measurement = Measurement(
        scan=scan,
        efficiency=efficiency,
        correction=correction,
        background=background,
        additive=additive,
        mu_map=mu_map,
        tof=tof,
        interleaved=lor_angles == "crystals",
    )
    layout, position = measurement.layout, measurement.info["patient_position"]
    grid, frame = image_grid(layout, position, voxel_mm=voxel_mm, grid_like=grid_like)
    device, reason = backend.find_device(device)
    plan = Plan(
        measurement=measurement,
        output=output,
        grid=grid,
        frame=frame,
        start=start,
        subsets=divisor_nearest(layout.views) if subsets is None else subsets,
        iterations=iterations,
        order=subset_order,
        psf_mm=_three("psf_mm", psf_mm),
        post_filter_mm=_three("post_filter_mm", post_filter_mm),
        save_every=save_every,
        preview=preview,
        device=device,
        device_reason=reason,
        inputs=(*measurement.paths, *filter(None, (start, grid_like, config))),
    )
    print(plan, flush=True)
    _run(plan, settings)


def _run(plan, settings):
    """Loads the data, reconstructs and writes what the plan says."""
    data = plan.measurement.load(plan.device)
    counts, unit = counts_of(*data), plan.measurement.unit
    print(text.table(counts.rows()), flush=True)
    record = provenance(
        command=command_line(recon, settings),
        configuration=settings,
        inputs=plan.inputs,
        unit=unit,
        quantity=plan.measurement.quantity,
        factors=plan.measurement.factor_names(),
        background=plan.measurement.background_name(),
        counts=asdict(counts),
        subsets=plan.subsets,
        tof_sigmas=plan.projector.tof_sigmas if plan.measurement.layout.tof else None,
        grid=asdict(plan.grid),
        device=f"{plan.device} ({plan.device_reason})",
    )
    log, began = [], time.perf_counter()
    for number, image in reconstruct(plan, *data):
        image = backend.to_device(image, "cpu")
        seconds = round(time.perf_counter() - began, 3)
        sums = {"sum": float(image.sum(dtype=float)), "maximum": float(image.max())}
        log.append({"pass": number, "seconds": seconds, **sums})
        if number in plan.kept_passes:
            done = {"algorithm": plan.algorithm(number), "pass": number, "passes": log}
            more = {"frame": plan.frame, "info": plan.measurement.info, "sidecar": record | done}
            write_image(plan.image_path(number), image, plan.grid, unit=unit, **more)
    print(text.table([("written", f"{plan.output} after {seconds:.1f} s, in {unit}")]))
    if plan.preview:
        from recon.preview import draw

        title = f"{plan.output.name}   {plan.algorithm()}"
        draw(image, plan.grid, plan.preview, title=title, unit=unit)


def _three(name, values):
    """Widths along x, y, z, of one, three or none."""
    if values is None:
        return (0.0, 0.0, 0.0)
    values = np.ravel(values)
    if values.size not in (1, 3) or not (np.isfinite(values).all() and (values >= 0).all()):
        flag = f"--{name.replace('_', '-')}"
        raise ValueError(f"{flag} takes one or three widths of 0 mm or more, got {values.tolist()}")
    return tuple(map(float, np.broadcast_to(values, 3)))
