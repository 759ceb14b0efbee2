"""The command `countless scatter`: a scan, its image and mu map in, expected scatter out."""

import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from recon import backend, quantity, text
from recon.agreement import check_per_cm, check_position
from recon.command_line import command_line
from recon.corrections.energy_window import check_energies
from recon.corrections.multiple_scatter import PRECISION
from recon.corrections.scatter_estimate import USUAL, estimate_scatter
from recon.io import (
    FileError,
    check_counts,
    check_picture,
    provenance,
    write_sinogram,
)
from recon.io.provenance import files_read, read_sidecar, sha256
from recon.measurement import Measurement, read_mu_map
from recon.reconstruction import counts_of
from recon.scatter_profile import ScatterProfile, draw
from recon.sinogram_output import check_sinogram_output, study_of

SINGLE = "single scatter only: multiple scatter is left out, as asked"
STANDS_IN = f"{SINGLE}, and the scale from the tails stands in for some of it"
TOTAL = (
    "single scatter simulated for each line; multiple scatter as that convolved, how much and how "
    "wide from a Monte Carlo simulation of the same object"
)
_ARRAYS = 5  # prompts, factors, randoms, scatter; the mask of the tails and a view's sums
_FAR = 1.4  # from what is explained; more than single and multiple scatter are known to
_BAD_FIT = 1.5  # chi square per degree of freedom


def scatter(
    scan: Path,
    *,
    image: Path,
    mu_map: Path,
    output: Annotated[Path, Parameter(alias="-o")],
    efficiency: Path | None = None,
    randoms: Path | None = None,
    scale: Literal["tails", "absolute"] = "tails",
    multiple: bool = True,
    point_mm: float = USUAL.point_mm,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    picture: Path | None = None,
    config: Path | None = None,
):
    """Estimate a scan's scatter from its image and mu map, for `countless recon --scatter`.

    It has time of flight where the scan has it.

    Args:
        scan: Prompts as counted, a header of STIR (.hs) or Siemens (.s.hdr).
        image: Activity (.nii.gz, .nii or .hv) that `countless recon` made of this scan with this
            efficiency; in Bq/mL or SUV its .json says how to go back to counts.
        mu_map: Attenuation at 511 keV in 1/cm (.hv, .nii, .nii.gz), bed and all.
        output: Sinogram to write (.hs), with a .json beside it that says how.
        efficiency: Sinogram m that multiplies expected counts, without attenuation; as for `recon`.
        randoms: Sinogram of expected randoms in counts, as `countless randoms` makes it.
        scale: 'tails' fits a scale to each plane where no true coincidence can be; where that
            counts too little, it stays near that at which the image's trues and scatter add up to
            the prompts less randoms. 'absolute' fits nothing.
        multiple: Whether photons that scatter more than once are simulated, too.
        point_mm: Largest side of the blocks of the mu map that have one scatter point each: twice
            as much takes an eighth of the time, and is good enough for a first estimate.
        device: Where to simulate; 'auto' is the GPU where there is one.
        picture: Picture to draw of counts and scatter across the scanner (.png, .pdf, .svg, .jpg).
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    if not 0 < point_mm < math.inf:
        raise ValueError(f"--point-mm takes a positive number of mm, got {point_mm:g}")
    sampling = replace(USUAL, point_mm=point_mm)
    measurement = Measurement(scan=scan, efficiency=efficiency,
                              background=(randoms,) if randoms else ())
    layout = measurement.layout
    inputs = (*measurement.paths, image, mu_map, *filter(None, [config]))
    _check_outputs(settings, layout, inputs)
    check_energies(layout.scanner)
    activity, mu, converted = _read_images(measurement, image, mu_map)
    device, reason = backend.find_device(device)
    notes = [*filter(None, [converted]), *_notes(settings, measurement)]
    print(text.table([
        ("scan", f"{scan}, {text.layout(layout)}"),
        ("image", f"{image}, {text.grid(activity[1])}"),
        ("mu map", f"{mu_map}, {text.grid(mu[1])}, at most {mu[0].max():.3g} 1/cm"),
        ("factors", ", ".join(measurement.factor_names())),
        ("randoms", randoms or "none"),
        ("device", f"{device} ({reason})"),
        *(("note", note) for note in notes),
    ]), flush=True)
    prompts, factors, background = measurement.load()
    counts = counts_of(prompts, factors, background)
    began = time.perf_counter()
    (x, grid), (mu_per_cm, mu_grid) = (
        (backend.to_device(array, device), its) for array, its in (activity, mu)
    )
    estimate = estimate_scatter(
        prompts, factors, background, x, grid, mu_per_cm, mu_grid, layout, scale=scale,
        multiple=multiple, sampling=sampling,
    )
    del factors
    expected, found = estimate.scatter, estimate.scale
    profile = ScatterProfile.of(layout, prompts, background, estimate)
    del prompts
    sums = Sums(
        prompts=counts.prompts,
        randoms=counts.background,
        single=estimate.single_counts,
        multiple=estimate.multiple_counts,
        relative_sd=found.scan_sd / found.scan,
    )
    model = TOTAL if multiple else STANDS_IN if scale == "tails" else SINGLE
    record = provenance(
        command=command_line(scatter, settings),
        configuration=settings,
        inputs=inputs,
        unit="counts",
        model=model,
        scatter_scale={"from": scale, "likely": estimate.balance} | asdict(found),
        sums=asdict(sums) | {"scatter": sums.scatter, "scatter_fraction": sums.fraction},
        profile=asdict(profile),
        sampling=asdict(sampling),
        multiple_scatter=asdict(estimate.multiple) if estimate.multiple else None,
        device=f"{device} ({reason})",
        notes=notes,
    )
    study = study_of(measurement.info)
    write_sinogram(output, expected, layout, study,
                   sidecar=record | {"quantity": "expected scattered coincidences"})
    if picture:
        draw(profile, picture, title=f"{scan.name}   {sums.words()}")
    print(text.table([
        *_scale_rows(found, scale, estimate.balance),
        *_sum_rows(sums, counts, estimate.multiple),
        ("written", f"{output} after {time.perf_counter() - began:.1f} s"),
        ("note", record["model"]),
    ]))


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Counts of a whole scan.

    Attributes:
        prompts, randoms: counts.
        single, multiple: scatter in counts: scattered once, and more often.
        relative_sd: standard deviation of the scatter as a fraction of it, that of its scale; NaN
            where nothing was fitted.
    """

    prompts: float
    randoms: float
    single: float
    multiple: float
    relative_sd: float

    @property
    def scatter(self):
        """Single and multiple scatter."""
        return self.single + self.multiple

    @property
    def fraction(self):
        """Scatter / (prompts − randoms); NaN where randoms leave nothing."""
        left = self.prompts - self.randoms
        return self.scatter / left if left > 0 else math.nan

    def words(self):
        """The scatter fraction with its standard deviation."""
        if math.isnan(self.fraction):
            return "no scatter fraction: there are no more prompts than randoms"
        words = f"scatter fraction {100 * self.fraction:.1f}"
        if not math.isnan(self.relative_sd):
            words += f" ± {100 * self.fraction * self.relative_sd:.1f}"
        return f"{words} %"


def _check_outputs(settings, layout, inputs):
    """Refuses outputs that cannot be written, before anything is read."""
    check_sinogram_output(settings["output"], layout, inputs, arrays=_ARRAYS)
    if settings["picture"]:
        check_picture(settings["picture"], "--picture", inputs)


def _read_images(measurement, image, mu_map):
    """Activity and mu map, each (array, Grid), that may be of one scan as far as can be told.

    And a sentence on how the activity's unit was converted, None where it was not.

    Raises:
        FileError: they are of another unit, position or place, or hold what cannot be.
    """
    position, scan = measurement.info["patient_position"], measurement.scan
    check_per_cm(mu_map)
    for path in (image, mu_map):
        check_position(path, position, scan)
    activity, grid, converted = quantity.activity_in(image, measurement.unit, position)
    check_counts(activity, image, "activities", axes=("x", "y", "z"))
    found = (activity, grid), read_mu_map(mu_map, position)
    if not activity.any():
        raise FileError(f"{image} is 0 everywhere, so nothing scatters; give the scan's image")
    ends = (grid.extent for _, grid in found)
    for axis, (low, high), (first, last) in zip("xyz", *ends, strict=True):
        if high <= first or low >= last:
            raise FileError(
                f"{image} lies at {axis} from {low:g} to {high:g} mm and does not overlap "
                f"{mu_map}, {first:g} to {last:g} mm; 0 is the scanner's centre"
            )
    return *found, converted


def _notes(settings, measurement):
    """What was assumed, and what may be wrong; sentences."""
    scan, image, mu_map = measurement.scan, settings["image"], settings["mu_map"]
    yield from Measurement(
        scan=scan, efficiency=measurement.efficiency, mu_map=mu_map
    ).notes()
    if not measurement.background and settings["scale"] == "tails":
        yield "without --randoms all that the tails count is taken for scatter"
    used = quantity.hashes(read_sidecar(image))
    for path in filter(None, (scan, measurement.efficiency)):
        if used and sha256(files_read(path)[-1]) not in used:
            yield (
                f"{image} was not made with {path}, says the .json beside it: the scale of the "
                "simulation may be off"
            )


def _scale_rows(found, scale, balance):
    yield "scale", found.note
    if scale == "absolute":
        return
    low, high = int(found.planes.argmin()), int(found.planes.argmax())
    yield "planes", (
        f"{found.planes[low]:.3f} ± {found.planes_sd[low]:.3f} to "
        f"{found.planes[high]:.3f} ± {found.planes_sd[high]:.3f}; all are in the .json"
    )
    if not 1 / _FAR <= found.scan / balance <= _FAR:
        yield "note", (
            f"the tails count {found.scan / balance:.2f} times the scatter that the image and the "
            f"mu map explain, which is a scale of {balance:.3f}: activity beyond the scanner's "
            "ends, what scatters and is not in the mu map, or a mu map that lies beside the "
            "patient can make that"
        )
    if found.misfit > _BAD_FIT:
        yield "note", (
            f"the tails do not fit: chi square per bin is {found.misfit:.1f} rather than 1, so "
            "the scale's uncertainty is larger than stated; is all that attenuates in the mu map, "
            "in its place, and are the randoms this scan's?"
        )


def _sum_rows(sums, counts, multiple):
    yield "prompts", text.number(sums.prompts)
    yield "randoms", text.number(sums.randoms)
    yield "scatter", f"{text.number(sums.scatter)}, {sums.words()} of prompts − randoms"
    if multiple:
        yield "of which", (
            f"{text.number(sums.single)} scattered once, {text.number(sums.multiple)} more often; "
            f"their ratio is {multiple.to_single:.3f} ± {multiple.to_single_sd:.3f} in "
            f"{text.number(multiple.pairs)} photon pairs simulated"
        )
        if multiple.relative_sd > PRECISION:
            yield "note", (
                f"the simulation of multiple scatter stopped at {text.number(multiple.pairs)} "
                f"photon pairs, the most that it draws, and its noise is "
                f"{100 * multiple.relative_sd:.2g} % of the scatter rather than "
                f"{100 * PRECISION:g} %, for few of them are counted"
            )
    if counts.masked_prompts:
        yield "note", f"{text.number(counts.masked_prompts)} prompts are in bins of no efficiency"
    if sums.fraction > 1:
        yield "note", "more scatter than prompts less randoms: is the image of this scan?"
