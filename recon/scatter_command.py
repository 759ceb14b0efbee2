"""The command `countless scatter`: a scan, its image and mu map in, expected scatter out."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from recon import backend, text
from recon.agreement import check_per_cm, check_position, refuse
from recon.command_line import command_line
from recon.corrections.compton import angle_table
from recon.corrections.scatter import ScatterSampling, single_scatter
from recon.corrections.scatter_scale import ScatterScale, scatter_scale, tails
from recon.io import (
    FileError,
    check_counts,
    check_picture,
    provenance,
    read_image,
    write_sinogram,
)
from recon.io.provenance import files_read, read_sidecar, sha256
from recon.measurement import Measurement
from recon.plausibility import attenuation_misfits
from recon.reconstruction import counts_of
from recon.scatter_profile import ScatterProfile, draw
from recon.sinogram_output import check_sinogram_output, study_of

SINGLE = "single scatter only: multiple scatter is not simulated"
STANDS_IN = f"{SINGLE}, and the scale from the tails stands in for some of it"
_ARRAYS = 5  # prompts, factors, randoms, scatter; the mask of the tails and a view's sums
_BAD_FIT = 2.0  # chi square per degree of freedom


def scatter(
    scan: Path,
    *,
    image: Path,
    mu_map: Path,
    output: Annotated[Path, Parameter(alias="-o")],
    efficiency: Path | None = None,
    randoms: Path | None = None,
    background_out: Path | None = None,
    scale: Literal["tails", "absolute"] = "tails",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    picture: Path | None = None,
    config: Path | None = None,
):
    """Estimate a scan's scatter from its image and mu map, for `countless recon --background`.

    It has time of flight where the scan has it.

    Args:
        scan: Prompts as counted, a header of STIR (.hs) or Siemens (.s.hdr).
        image: Activity (.nii.gz, .nii or .hv) that `countless recon` made of this scan with this
            efficiency.
        mu_map: Attenuation at 511 keV in 1/cm (.hv, .nii, .nii.gz), bed and all.
        output: Sinogram to write (.hs), with a .json beside it that says how. Single scatter only:
            multiple scatter is not simulated; the scale from the tails stands in for some of it.
        efficiency: Sinogram m that multiplies expected counts, without attenuation; as for `recon`.
        randoms: Sinogram of expected randoms in counts, as `countless randoms` makes it.
        background_out: Sinogram to write of randoms and scatter (.hs).
        scale: 'tails' fits a scale to each plane where lines miss the object, and stays near the
            simulation's absolute scale where they count too little; 'absolute' fits nothing.
        device: Where to simulate; 'auto' is the GPU where there is one.
        picture: Picture to draw of counts and scatter across the scanner (.png, .pdf, .svg, .jpg).
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    measurement = Measurement(scan=scan, efficiency=efficiency, background=randoms)
    layout = measurement.layout
    inputs = (*measurement.paths, image, mu_map, *filter(None, [config]))
    _check_outputs(settings, layout, inputs)
    angle_table(1, layout.scanner)  # refuses a scanner that does not state its energies
    activity, mu = _read_images(measurement, image, mu_map)
    device, reason = backend.find_device(device)
    notes = list(_notes(settings, measurement))
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
    expected = _simulated(activity, mu, layout, device)
    expected *= factors[:, :, None] if expected.ndim > factors.ndim else factors
    mask = tails(mu[0], mu[1], layout)
    mask &= (factors.max(axis=2) if factors.ndim == 4 else factors) > 0
    del factors
    found = _scale(scale, prompts, expected, background, mask)
    expected *= found.planes.astype(np.float32)
    profile = ScatterProfile.of(layout, prompts, background, expected, mask)
    del prompts, mask
    sums = Sums(
        prompts=counts.prompts,
        randoms=counts.background,
        scatter=float(profile.scatter.sum()),
        relative_sd=found.scan_sd / found.scan,
    )
    record = provenance(
        command=command_line(scatter, settings),
        configuration=settings,
        inputs=inputs,
        unit="counts",
        model=STANDS_IN if scale == "tails" else SINGLE,
        scatter_scale={"from": scale} | asdict(found),
        sums=asdict(sums) | {"scatter_fraction": sums.fraction},
        sampling=asdict(ScatterSampling()),
        device=f"{device} ({reason})",
        notes=notes,
    )
    study = study_of(measurement.info)
    write_sinogram(output, expected, layout, study,
                   sidecar=record | {"quantity": "expected scattered coincidences"})
    if background_out:
        background += expected
        write_sinogram(background_out, background, layout, study,
                       sidecar=record | {"quantity": "expected randoms and scatter"})
    if picture:
        draw(profile, picture, title=f"{scan.name}   {sums.words()}")
    print(text.table([
        *_scale_rows(found, scale),
        *_sum_rows(sums, counts),
        ("written", f"{output} after {time.perf_counter() - began:.1f} s"),
        *([("written", f"{background_out}, with the randoms")] if background_out else []),
        ("note", record["model"]),
    ]))


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Counts of a whole scan.

    Attributes:
        prompts, randoms, scatter: counts.
        relative_sd: standard deviation of the scatter as a fraction of it, that of its scale; NaN
            where nothing was fitted.
    """

    prompts: float
    randoms: float
    scatter: float
    relative_sd: float

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
    output, background_out, picture = (
        settings[name] for name in ("output", "background_out", "picture")
    )
    if background_out and not settings["randoms"]:
        raise ValueError(
            "--background-out takes --randoms beside it, for it is randoms plus scatter; give "
            f"them, or use {output} itself as the background"
        )
    for path in filter(None, (output, background_out)):
        check_sinogram_output(path, layout, inputs, arrays=_ARRAYS)
    if background_out and output.resolve() == background_out.resolve():
        raise FileError(
            f"--output and --background-out are both {output}; give one another name"
        )
    if picture:
        check_picture(picture, "--picture", inputs)


def _read_images(measurement, image, mu_map):
    """Activity and mu map, each (array, Grid), that may be of one scan as far as can be told.

    Raises:
        FileError: they are of another unit, position or place, or hold what cannot be.
    """
    position, scan = measurement.info["patient_position"], measurement.scan
    check_per_cm(mu_map)
    found = []
    for path, what in ((image, "activities"), (mu_map, "attenuation in 1/cm")):
        check_position(path, position, scan)
        array, grid, info = read_image(path, position)
        if path == mu_map:
            refuse(attenuation_misfits(array, path))
        check_counts(array, path, what, axes=("x", "y", "z"))
        found.append((array, grid))
        if path == image and info.get("unit", measurement.unit) != measurement.unit:
            raise FileError(
                f"{image} is in {info['unit']}, where the factors make counts of "
                f"{measurement.unit}; give the image that countless recon made with this "
                "--efficiency"
            )
    if not found[0][0].any():
        raise FileError(f"{image} is 0 everywhere, so nothing scatters; give the scan's image")
    ends = (grid.extent for _, grid in found)
    for axis, (low, high), (first, last) in zip("xyz", *ends, strict=True):
        if high <= first or low >= last:
            raise FileError(
                f"{image} lies at {axis} from {low:g} to {high:g} mm and does not overlap "
                f"{mu_map}, {first:g} to {last:g} mm; 0 is the scanner's centre"
            )
    return found


def _notes(settings, measurement):
    """What was assumed, and what may be wrong; sentences."""
    scan, image, mu_map = measurement.scan, settings["image"], settings["mu_map"]
    yield from Measurement(
        scan=scan, efficiency=measurement.efficiency, mu_map=mu_map
    ).notes()
    if not measurement.background and settings["scale"] == "tails":
        yield "without --randoms all that the tails count is taken for scatter"
    used = {entry.get("sha256") for entry in read_sidecar(image).get("inputs", [])}
    for path in filter(None, (scan, measurement.efficiency)):
        if used and sha256(files_read(path)[-1]) not in used:
            yield (
                f"{image} was not made with {path}, says the .json beside it: the scale of the "
                "simulation may be off"
            )


def _simulated(activity, mu, layout, device):
    """Single scatter in every bin, float32 on the CPU."""
    images = [(backend.to_device(array, device), grid) for array, grid in (activity, mu)]
    (x, grid), (mu_per_cm, mu_grid) = images
    return backend.to_device(single_scatter(x, grid, mu_per_cm, mu_grid, layout), "cpu")


def _scale(scale, prompts, expected, background, mask):
    """The ScatterScale; of 1 in all planes for 'absolute'."""
    if scale == "tails":
        return scatter_scale(prompts, expected, background, mask)
    planes = expected.shape[-1]
    return ScatterScale(
        scan=1.0, scan_sd=math.nan, planes=np.ones(planes), planes_sd=np.full(planes, math.nan),
        tail_counts=math.nan, tail_scatter=math.nan, misfit=math.nan,
        note="the simulation's absolute scale is used, as asked",
    )


def _scale_rows(found, scale):
    yield "scale", found.note
    if scale == "absolute":
        return
    low, high = int(found.planes.argmin()), int(found.planes.argmax())
    yield "planes", (
        f"{found.planes[low]:.3f} ± {found.planes_sd[low]:.3f} to "
        f"{found.planes[high]:.3f} ± {found.planes_sd[high]:.3f}; all are in the .json"
    )
    if found.misfit > _BAD_FIT:
        yield "note", (
            f"the tails do not fit: chi square per bin is {found.misfit:.1f} rather than 1, so "
            "the scale's uncertainty is larger than stated; is all that attenuates in the mu map, "
            "in its place, and are the randoms this scan's?"
        )


def _sum_rows(sums, counts):
    yield "prompts", text.number(sums.prompts)
    yield "randoms", text.number(sums.randoms)
    yield "scatter", f"{text.number(sums.scatter)}, {sums.words()} of prompts − randoms"
    if counts.masked_prompts:
        yield "note", f"{text.number(counts.masked_prompts)} prompts are in bins of no efficiency"
    if sums.fraction > 1:
        yield "note", "more scatter than prompts less randoms: is the image of this scan?"
