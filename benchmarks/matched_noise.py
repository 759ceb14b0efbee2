"""`countless benchmark matched-noise`: contrast of lesions where all methods are as noisy."""

import sys
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from benchmarks import machine
from benchmarks.ensembles import largest_cube
from benchmarks.image_metrics import nrmse
from benchmarks.matched_noise_report import draw_curves, table
from benchmarks.matched_noise_summary import (
    PLACES,
    REFERENCE,
    RESAMPLES,
    STATISTICS,
    Person,
    qualities,
    sentences,
    summarise,
)
from benchmarks.methods import TUNING_PHANTOMS, Method, check_unseen, find_methods
from benchmarks.noise_curves import Curve, Ensemble
from benchmarks.reconstructions import Reconstruction
from benchmarks.regions import Regions
from recon import backend
from recon.io import FileError
from recon.io.files import check_writable
from recon.io.provenance import plain, write_json
from recon.names import plain_name
from recon.operators import GaussianBlur
from recon.reconstruction import post_filter
from sim.dataset import Pair, open_study
from sim.dose import parts

FWHM_MM = (0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0, 16.0)
BLENDS = tuple(np.linspace(0, 1, 9))  # the network's part


def matched_noise(
    study: Path,
    *,
    methods: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("unet", "map-rdp"),
    factor: int = 20,
    realisations: int = 20,
    phantoms: int | None = None,
    points: int = 5,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    output: Annotated[Path, Parameter(alias="-o")],
):
    """Compare methods in lesion contrast at equal noise, on the test split of a study with scans.

    The counts of each standard-dose scan are split at random into so many parts as the dose is
    lower: of Poisson counts they are independent scans of that dose. Noise is the standard
    deviation between their images in the liver, never that in one image. Each method traces a curve
    of contrast against noise by its own knob: OSEM by the FWHM of a Gaussian; a baseline or a
    reconstruction by its strength or passes; a network, which denoises OSEM under the study's
    post-filter or is unrolled, by the part it has in a blend with that image. Contrast is read off
    at the noise of OSEM under the Gaussian with the least NRMSE in the validation split. Writes a
    JSON file, and a picture (.png) beside it.

    Args:
        study: Folder of a study that keeps its scans (keep_scans: true).
        methods: Beside OSEM under Gaussians: nlm, bilateral, tv, ct-guided, osem (by passes),
            map-rdp, kem, pnp, dip, a shipped model's name or a checkpoint's file.
        factor: How much lower the dose is, a whole number: parts of a scan.
        realisations: Parts that are reconstructed, of all standard-dose scans of a phantom.
        phantoms: Of the test split, the first so many; all by default.
        points: Values of a strength, or of passes, over the method's range.
        device: Where reconstructions and networks run: auto takes a GPU where there is one.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    for flag, value, least in (("--factor", factor, 2), ("--realisations", realisations, 2),
                               ("--points", points, 2),
                               ("--phantoms", 1 if phantoms is None else phantoms, 1)):
        if value < least:
            raise ValueError(f"{flag} takes a whole number from {least}, got {value}")
    if output.suffix != ".json":
        raise ValueError(f"--output takes a file's name that ends in .json, got {output}")
    check_writable(output)
    device, _ = backend.find_device(device)
    traced = _traced(methods, points)
    with open_study(study) as data:
        _check(data, factor, realisations, study)
        check_unseen([one.method for one in traced], data)
        test = data.numbers["test"][:phantoms]
        regions = {number: Regions.of(data, number) for number in test}
        for number, found in regions.items():
            if found.inside is None:
                raise ValueError(
                    f"phantom {number} holds no organ in whose inside noise could be measured; "
                    "take a study of phantoms with a liver or another part of some size"
                )
        tuning = data.numbers["validation"][:TUNING_PHANTOMS]
        with tqdm(total=(len(tuning) + len(test) * realisations) * len(traced), unit="curve",
                  desc="reconstructing", file=sys.stderr, dynamic_ncols=True) as bar:
            errors = _errors(data, tuning, traced, factor, device, bar.update)
            people = [
                _person(data, number, regions[number], traced, factor, realisations, device,
                        bar.update)
                for number in test
            ]
        results = machine.origin(device)
        results |= _settings(data, traced, factor, realisations, test, tuning)
    tuned = {name: int(np.argmin(values)) for name, values in errors.items()}
    results["validation"] = [
        {"method": one.name, "knob": one.knob, "values": one.values, "nrmse": errors[one.name],
         "least_at": one.values[tuned[one.name]],
         "at_end": tuned[one.name] in (0, len(one.values) - 1)}
        for one in traced
    ]
    results["summary"] = summarise(people, tuned)
    results["qualities"] = qualities(people, tuned)
    results["notes"] = sentences(people, tuned, results["summary"])
    results["curves"] = [_told(person, one) for person in people for one in traced]
    results = plain(results)
    write_json(output, results)
    draw_curves(output.with_suffix(".png"), results)
    print(table(results))
    print(f"all numbers: {output}; curves: {output.with_suffix('.png')}")
    return results


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A method, and the knob by which it traces its curve.

    Attributes:
        method: `benchmarks.methods.Method`.
        knob, values: its name, and the values that are taken.
    """

    method: Method
    knob: str
    values: tuple

    @property
    def name(self):
        """Of the method."""
        return self.method.name

    @classmethod
    def of(cls, method, points):
        """A Method with its knob; of a strength so many values.

        Raises:
            ValueError: it does not begin with a low dose, or is that image as it is.
        """
        if method.denoiser is None or method.source != "low":
            raise ValueError(
                f"matched-noise --methods takes denoisers and reconstructions, got {method.name}; "
                "OSEM at the low dose, under Gaussians, is always there"
            )
        if method.name == REFERENCE:
            return cls(method=method, knob="fwhm_mm", values=FWHM_MM)
        if not method.tuned:
            return cls(method=method, knob="blend", values=BLENDS)
        values = np.geomspace(*method.denoiser.range, points)
        if method.parameter == "passes":
            values = np.unique(np.round(values))
        return cls(method=method, knob=method.parameter, values=tuple(map(float, values)))

    def images(self, scan, plain_image, data, number, settings, device):
        """Yields the image (x, y, z) of a scan at each value.

        Args:
            scan: `sim.dataset.Scan`.
            plain_image: of OSEM, without a filter.
            data, number: StoredStudy and phantom.
            settings: dict, the study's reconstruction.
            device: "cpu" or "cuda".
        """
        if self.knob == "fwhm_mm":
            for fwhm_mm in self.values:
                yield _filtered(plain_image, scan.grid, fwhm_mm)
            return
        file, make = data.file(number), self.method.denoiser
        ct, filtered = file["ct"][:], _filtered(plain_image, scan.grid, settings["post_filter_mm"])
        if self.knob != "blend":
            for value in self.values:
                yield (make(scan, ct, value, device) if self.method.reconstructs else
                       self.method.image(filtered, data.grid(number), file["labels"][:] > 0, value,
                                         ct))
            return
        if self.method.reconstructs:
            answer = make(scan, ct, device=device)
        else:
            from denoise.inference import denoise

            answer = denoise(filtered, data.grid(number), make, ct=ct, device=device,
                             progress=False).image
        for part in self.values:
            yield np.float32(part) * answer + np.float32(1 - part) * filtered


def low_scans(data, number, factor):
    """Yields independent scans of a phantom at 1 / factor of the dose, as shorter scans count.

    Counts of its standard-dose scans are split (`sim.dose.parts`). Expected randoms and scatter are
    the standard dose's estimates, shared out alike: a low-dose scan's own would be noisier.

    Args:
        data: StoredStudy that keeps its scans.
        number: of the phantom.
        factor: whole number of parts of each scan.
    Yields:
        `sim.dataset.Scan`, factor times the study's realisations.
    """
    seed = data.index["recipe"]["seed"]
    # No key of `sim.study.Study.rng`, by which the counts were drawn, has a 3 there.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 3)))
    share = np.float32(1 / factor)
    for realisation in range(data.realisations):
        pair = Pair(number=number, factor=data.factors[0], realisation=realisation)
        scan = data.scan(pair, standard=True)
        own = replace(scan, factors=scan.factors * share, background=scan.background * share)
        for prompts in parts(scan.prompts, factor, rng):
            yield replace(own, prompts=prompts)


def _traced(names, points):
    names = (REFERENCE, *(name for name in names if plain_name(name) != REFERENCE))
    return [Traced.of(method, points) for method in find_methods(names)]


def _check(data, factor, realisations, study):
    """Refuses a study that this cannot be done with."""
    if not data.keeps_scans:
        raise FileError(f"{study} keeps no scans beside its images; simulate it with "
                        "`keep_scans: true`")
    for split in ("validation", "test"):
        if not data.numbers[split]:
            raise ValueError(
                f"matched-noise takes a study with phantoms in its {split} split, got {study} with "
                f"none; simulate more phantoms, or set split.{split}"
            )
    most = factor * data.realisations
    if realisations > most:
        raise ValueError(
            f"--realisations takes up to {most}, {factor} parts of each of the study's "
            f"{data.realisations} scans, got {realisations}; simulate a study of more realisations"
        )


def _images(data, number, traced, scan, device):
    """Yields (Traced, its images) of a scan."""
    settings = data.index["recipe"]["reconstruction"]
    osem = Reconstruction(algorithm="osem", passes=settings["iterations"])
    plain_image = osem(scan, None, device=device)
    for one in traced:
        yield one, one.images(scan, plain_image, data, number, settings, device)


def _errors(data, numbers, traced, factor, device, progress):
    """Mean NRMSE over phantoms, one scan of each, of each method at each value, a dict."""
    found = {one.name: [] for one in traced}
    for number in numbers:
        truth, body = data.file(number)["truth"][:], data.file(number)["labels"][:] > 0
        scan = next(low_scans(data, number, factor))
        for one, images in _images(data, number, traced, scan, device):
            found[one.name].append([nrmse(image, truth, body) for image in images])
            progress()
    return {name: np.mean(errors, axis=0) for name, errors in found.items()}


def _person(data, number, regions, traced, factor, realisations, device, progress):
    """A phantom's curves, a Person."""
    cube = largest_cube(regions.inside)
    ensembles = {one.name: [Ensemble(regions, cube) for _ in one.values] for one in traced}
    for scan in islice(low_scans(data, number, factor), realisations):
        for one, images in _images(data, number, traced, scan, device):
            for ensemble, image in zip(ensembles[one.name], images, strict=True):
                ensemble.add(image)
            progress()
    return Person(
        number=number, diameters_mm=np.array([lesion.diameter_mm for lesion in regions.lesions]),
        curves={name: Curve.of(several) for name, several in ensembles.items()},
    )


def _filtered(image, grid, fwhm_mm):
    """An image under a Gaussian, as `countless recon` filters."""
    blur = GaussianBlur(grid.shape, grid.voxel_mm, fwhm_mm) if fwhm_mm else None
    return post_filter(blur)(image)


def _settings(data, traced, factor, realisations, test, tuning):
    """What was compared, and by which rules."""
    return {
        "study": data.index["hash"], "reconstruction": data.index["recipe"]["reconstruction"],
        "phantoms": {"test": test, "validation": tuning}, "factor": factor,
        "realisations": realisations, "reference": REFERENCE,
        "methods": [{"name": one.name, "sha256": one.method.sha256, "domain": one.method.domain}
                    for one in traced],
        "rules": {
            "scans": "the standard dose's counts split at random into as many parts as the factor, "
                     "with as much of its background's estimate each",
            "noise": "square root of the mean variance between realisations over the images' mean, "
                     "in the inside of the liver or the largest organ",
            "reference": "OSEM under the Gaussian with the least NRMSE in the validation split",
            "matched": "read off by straight lines between the points of a curve",
            "gain": "how much nearer to 1 contrast recovery is, each lesion's mean over "
                    "realisations; or how much less NRMSE is",
            "interval": f"95 %, {RESAMPLES} draws of phantoms, of each one's lesions, and of each "
                        "one's realisations",
        },
        "statistics": STATISTICS, "places": PLACES,
    }


def _told(person, traced):
    """A curve as JSON holds it: means over realisations at each value."""
    curve = person.curves[traced.name]
    values = curve.values(curve.whole())[0]
    return {
        "phantom": person.number, "method": traced.name, "knob": traced.knob,
        "values": traced.values, "noise": curve.noise(curve.whole())[0],
        "nrmse": values[:, -2], "bias": values[:, -1], "pattern": curve.patterns,
        "diameters_mm": person.diameters_mm, "recoveries": values[:, :-2],
        "recoveries_sd": curve.recoveries.std(axis=1, ddof=1), "noise_powers_mm3": curve.powers,
    }
