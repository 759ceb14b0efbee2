"""`countless benchmark matched-noise`: contrast of lesions where all methods are as noisy."""

import sys
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from benchmarks import machine
from benchmarks.ensembles import largest_cube
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
from benchmarks.methods import Compared, check_unseen, find_methods
from benchmarks.noise_curves import Curve, Ensemble
from benchmarks.pool import pool
from benchmarks.reconstructions import Reconstruction
from benchmarks.regions import Regions
from benchmarks.traced import FWHM_MM, NEAR, SCOUTED, Traced, low_scans
from benchmarks.tuning import TUNING_PHANTOMS
from recon import backend
from recon.io import FileError
from recon.io.files import check_writable
from recon.io.provenance import plain, write_json
from recon.names import plain_name
from sim.dataset import open_study


def matched_noise(
    study: Path,
    *,
    methods: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("unet", "map-rdp"),
    factor: int = 20,
    realisations: int = 20,
    phantoms: int | None = None,
    points: int = 4,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int = 0,
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
        points: Values of a strength, about the one that has the reference's noise in validation.
        device: Where reconstructions and networks run: auto takes a GPU where there is one.
        workers: Processes, each with a phantom at a time, which share the cores and the GPU; 0 for
            this one alone.
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
    names = (REFERENCE, *(name for name in methods if plain_name(name) != REFERENCE))
    chosen = find_methods(names)
    traced = [Traced.of(method) for method in chosen]
    with pool(workers) as in_order, open_study(study) as data:
        _check(data, factor, realisations, study)
        check_unseen(chosen, data)
        test = data.numbers["test"][:phantoms]
        tuning = data.numbers["validation"][:TUNING_PHANTOMS]
        for number in (*tuning, *test):
            if Regions.of(data, number).inside is None:
                raise ValueError(
                    f"phantom {number} holds no organ in whose inside noise could be measured; "
                    "take a study of phantoms with a liver or another part of some size"
                )
        compared = Compared(data=data, methods=chosen, names=names)
        with tqdm(total=(2 * len(tuning) + len(test) * realisations) * len(traced), unit="curve",
                  desc="reconstructing", file=sys.stderr, dynamic_ncols=True) as bar:

            def people_of(numbers, many):
                values = [one.values for one in traced]
                return list(in_order(partial(_person, compared, values, factor, many, device),
                                     numbers, bar.update))

            validation = _validated(people_of(tuning, 2), traced)
            found = {row["method"]: row for row in validation}
            target = found[REFERENCE]["noise"][FWHM_MM.index(found[REFERENCE]["least_at"])]
            traced = [one.near(found[one.name], target, points) for one in traced]
            people = people_of(test, realisations)
        results = machine.origin(device) | {"workers": workers}
        results |= _settings(data, traced, factor, realisations, test, tuning)
    tuned = {one.name: one.values.index(found[one.name]["least_at"]) for one in traced}
    results["validation"] = validation
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


def _validated(people, traced):
    """Noise and NRMSE of each method, means over validation's phantoms, a list of dict."""
    rows = []
    for one in traced:
        curves = [person.curves[one.name] for person in people]
        errors = np.mean([curve.errors.mean(axis=1) for curve in curves], axis=0)
        best = int(errors.argmin())
        rows.append({
            "method": one.name, "knob": one.knob, "values": one.values, "nrmse": errors,
            "noise": np.mean([curve.noise(curve.whole())[0] for curve in curves], axis=0),
            "least_at": one.values[best], "at_end": best in (0, len(errors) - 1),
        })
    return rows


def _person(compared, values, factor, realisations, device, number, progress):
    """A phantom's curves, a Person; `values` are those of each method's knob."""
    data, traced = compared.data, [replace(Traced.of(method), values=own) for method, own
                                   in zip(compared.methods, values, strict=True)]
    regions = Regions.of(data, number)
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
            "strengths": f"{SCOUTED} over a method's range in validation; of those tested, some "
                         f"from {NEAR:g} times the reference's noise there to as much below it, "
                         "and that of the least NRMSE there",
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
