"""The command `countless efficiencies`: a scan of a known object to the crystals' efficiencies."""

import csv
import io
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from recon import progress, text
from recon.agreement import check_position
from recon.command_line import command_line
from recon.corrections.coincidences import real_crystals
from recon.corrections.normalization import (
    QUANTITY,
    crystal_efficiencies,
    efficiency_factors,
)
from recon.io import (
    FileError,
    check_counts,
    check_output,
    provenance,
    read_image,
    read_layout,
    write_sinogram,
)
from recon.io.files import replacing
from recon.measurement import Measurement
from recon.projectors import SinogramProjector
from recon.sinogram_output import check_sinogram_output

_ARRAYS = 6  # prompts, what is expected, background; numbers of pairs, a projection, factors
_TOLERANCE = 1e-4  # leaves errors of 2e-4 on the demo scanner, far below statistical ones


def efficiencies(
    phantom: Path,
    *,
    activity: Path,
    output: Annotated[Path, Parameter(alias="-o")],
    mu_map: Path | None = None,
    background: Path | None = None,
    like: Path | None = None,
    crystals_out: Path | None = None,
    config: Path | None = None,
):
    """Estimate crystal efficiencies from a phantom's scan, for `countless recon --efficiency`.

    Of any scanner, by maximum likelihood: what a pair of crystals counts is the product of their
    efficiencies times the attenuated line through the phantom. They average 1, so the image that
    they make is in counts/mm. Geometry and dead time are not told apart from them.

    Args:
        phantom: Prompts of the phantom as counted (.hs); best at span 1.
        activity: Image of where its activity is (.nii.gz, .nii, .hv), in any unit.
        output: Sinogram of factors m to write (.hs), with a .json beside it that says how.
        mu_map: Its attenuation at 511 keV in 1/cm (.nii.gz, .nii, .hv).
        background: Sinogram of its expected randoms and scatter in counts (.hs).
        like: Sinogram whose bins to take (.hs), of the same scanner; by default the phantom's.
        crystals_out: Table to write of each crystal's efficiency and its statistical error (.csv).
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    scan = Measurement(scan=phantom, background=(background,) if background else (),
                       mu_map=mu_map, tof=False)
    layout, position = scan.layout, scan.info["patient_position"]
    target = read_layout(like)[0].without_tof() if like else layout
    inputs = [*scan.paths, activity, *filter(None, [config])]
    _check(settings, layout, target, inputs)
    check_position(activity, position, phantom)
    print(text.table([
        ("phantom", f"{phantom}, {text.layout(scan.stored_layout)}"),
        ("activity", f"{activity}, attenuation {mu_map or 'none'}"),
        ("background", background or "none"),
        ("layout", f"of {like}: {text.layout(target)}" if like else "the phantom's"),
        *(("note", note) for note in scan.info["notes"]),
    ]), flush=True)
    prompts, expected, added = scan.load()
    _project(expected, activity, layout, position)
    with progress.updates() as watch:
        fit = crystal_efficiencies(prompts, layout, expected, background=added,
                                   tolerance=_TOLERANCE, watch=watch)
    total = float(prompts.sum(dtype=np.float64))
    del prompts, expected, added
    if not fit.converged:
        raise ValueError(
            f"no efficiencies explain {phantom}: {text.fit(fit)}; give a longer scan (it has "
            f"{total:,.0f} prompts for {int(real_crystals(layout.scanner).sum()):,} crystals), or "
            "an activity and a mu map that reach as far as the phantom does; nothing was written"
        )
    found = _summary(fit, layout.scanner)
    record = provenance(
        command=command_line(efficiencies, settings),
        configuration=settings,
        inputs=inputs,
        unit="1",
        quantity=QUANTITY,
        prompts=total,
        crystals=found,
        updates=fit.updates,
        largest_change=fit.change,
        attenuation=False,
    )
    study = {"patient_position": position}
    write_sinogram(output, efficiency_factors(target, fit.values), target, study, sidecar=record)
    if crystals_out:
        _write_table(crystals_out, fit, layout.scanner)
    print(text.table([
        ("fit", text.fit(fit)),
        ("efficiency", f"{found['least']:.4g} to {found['most']:.4g}, mean 1, standard deviation "
                       f"{found['sd']:.3g}"),
        ("errors", f"statistical, {100 * found['median_error']:.2g} % of a crystal's efficiency in "
                   f"the median, {100 * found['largest_error']:.2g} % at most"),
        *_silent_rows(found),
        ("written", f"{output}" + (f" and {crystals_out}" if crystals_out else "")),
    ]))


def _check(settings, layout, target, inputs):
    """Refuses files that do not fit each other, before anything is read or written."""
    phantom, like, table = (settings[name] for name in ("phantom", "like", "crystals_out"))
    named = [*inputs, *([like] if like else [])]
    for each in (layout, target):
        check_sinogram_output(settings["output"], each, named, arrays=_ARRAYS)
    if table:
        if table.suffix != ".csv":
            raise FileError(f"--crystals-out takes a name that ends in .csv, got {table}")
        check_output(table, named)
    for path, each in ((phantom, layout), (like, target)):
        if each.radial_mm is not None:
            raise FileError(
                f"{path} is arc-corrected, so its bins belong to no crystals; give a scan as "
                "counted"
            )
    ours, theirs = layout.scanner, target.scanner
    if (ours.rings, ours.crystals) != (theirs.rings, theirs.crystals):
        raise FileError(
            f"{like} is of {theirs.name}, {phantom} of {ours.name}; give a scan of the same scanner"
        )


def _project(factors, activity, layout, position):
    """Turns pairs × attenuation into what a pair of each bin would count, in place."""
    image, grid, _ = read_image(activity, position)
    check_counts(image, activity, "activities", axes=("x", "y", "z"))
    crystals, rings = layout.pair_counts()
    pairs = crystals * rings
    np.divide(factors, pairs, out=factors, where=pairs > 0)
    factors *= SinogramProjector(layout, grid)(image)
    if not factors.any():
        raise FileError(f"{activity} is 0 wherever the scanner looks; give the phantom's activity")


def _summary(fit, scanner):
    values, errors = fit.values, fit.errors
    counting, real = values > 0, real_crystals(scanner)
    return {
        "crystals": int(real.sum()),
        "silent": int((real & ~counting).sum()),
        "least": float(values[counting].min()),
        "most": float(values.max()),
        "sd": float(values[counting].std()),
        "median_error": float(np.median(errors[counting])),
        "largest_error": float(errors[counting].max()),
    }


def _silent_rows(found):
    if found["silent"]:
        yield "note", (
            f"{found['silent']:,} of {found['crystals']:,} crystals counted nothing, or see none "
            "of the phantom: their bins are masked"
        )


def _write_table(path, fit, scanner):
    """One line for each crystal that is one: ring, crystal, efficiency, its relative error."""
    text_file = io.StringIO()
    rows = csv.writer(text_file, lineterminator="\n")
    rows.writerow(("ring", "crystal", "efficiency", "relative_sd"))
    for ring, crystal in np.argwhere(real_crystals(scanner)):
        value, error = fit.values[ring, crystal], fit.errors[ring, crystal]
        known = f"{error:.3g}" if value else ""
        rows.writerow((ring, crystal, f"{value:.6g}", known))
    with replacing(path) as name:
        name.write_text(text_file.getvalue(), encoding="utf-8")
