"""`countless benchmark contrast-noise`: what noise costs contrast, over iterations and filters."""

import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from benchmarks import machine
from benchmarks.contrast_noise_figure import draw_curves
from benchmarks.methods import Method, find_methods
from benchmarks.nema_quality import nema_quality
from benchmarks.quality_measure import SWEEP_MM
from benchmarks.study import example
from denoise.baselines import find_baseline
from recon import backend
from recon.io.outputs import make_folder
from recon.io.provenance import plain, write_json
from sim.acquire import draw, expect
from sim.dose import at_dose
from sim.protocol import check_memory
from sim.reconstruct import estimated, passes
from sim.study import Phantoms
from sim.study_file import read_study
from sim.study_phantom import ARRAYS, draw_phantom, fine_grid, image_grid

NAME = "contrast-noise"
PHANTOM = "nema-iq"
STRENGTHS = 5  # of a baseline, over its range
GAUSSIAN = Method(name="Gaussian", source="low", denoiser=find_baseline("gaussian"))


def contrast_noise(
    study: Path | None = None,
    *,
    methods: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    iterations: int = 8,
    realisations: int = 4,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    output: Annotated[Path, Parameter(alias="-o")],
):
    """Draw contrast recovery against background variability of the NEMA image quality phantom.

    The phantom is scanned at the standard dose and at each low one, and reconstructed with randoms
    and scatter estimated from the noisy scan. The image after each iteration is measured as it is,
    under Gaussians of several widths and, with the study's post-filter, by each method: a network
    at every iteration, a baseline at several strengths at the study's iterations. Writes
    contrast-noise.json and contrast-noise.png.

    Args:
        study: YAML file of `countless simulate`, whose scanner, doses, reconstruction and seed are
            taken; its people make room for the phantom, whose mu map is known. Without it, that
            which --example prints.
        methods: Denoisers beside the Gaussians: nlm, bilateral, tv, ct-guided, a shipped model's
            name or a checkpoint's file.
        iterations: Of which each is kept, at least the study's own.
        realisations: Noisy scans at each dose.
        device: Where scans, reconstructions and networks run: auto takes a GPU where there is one.
        output: Folder, made where there is none.
    Returns:
        What contrast-noise.json holds, a dict.
    """
    chosen = find_methods(methods)
    for method in chosen:
        if method.denoiser is None or method.source != "low" or method.reconstructs:
            raise ValueError(
                f"{NAME} --methods takes denoisers, got {method.name}; images as they are, and "
                "the standard dose, are always there"
            )
    made = read_study(study) if study else example("demo")
    made = replace(made, phantoms=Phantoms(kind=PHANTOM, count=1), realisations=realisations,
                   scan=made.scan.with_(bed_mm=0.0))  # the spheres in the scanner's middle
    least = made.reconstruction.iterations
    if iterations < least:
        raise ValueError(f"--iterations takes the study's {least} or more, got {iterations}")
    check_memory(made.scan, "a smaller scan.max_ring_difference or a larger scan.span",
                 arrays=ARRAYS)
    device, _ = backend.find_device(device)
    folder = make_folder(output)
    results = machine.origin(device) | {
        "phantom": PHANTOM, "study": made.recipe(), "iterations": iterations,
        "methods": [{"name": method.name, "sha256": method.sha256, "domain": method.domain}
                    for method in chosen],
        "rows": means(measured(made, iterations, chosen, device)),
    }
    results = plain(results)
    write_json(folder / f"{NAME}.json", results)
    draw_curves(folder / f"{NAME}.png", results)
    print(f"curves of {len(results['rows'])} images: {folder / f'{NAME}.png'}, and their numbers "
          f"beside it in {NAME}.json")
    return results


def measured(study, iterations, methods, device="cpu"):
    """Yields (key, what `nema_quality` finds) of each image of each scan.

    Args:
        study: Study of the phantom.
        iterations: how many images are kept of each reconstruction.
        methods: list of Method.
        device: "cpu" or "cuda".
    Yields:
        Key: dose reduction factor, iteration, method's name, and strength, None of a network.
    """
    scanned, grid, settings = draw_phantom(study, 1), image_grid(study), study.reconstruction
    images, fine = scanned.images(grid), fine_grid(study, scanned)
    nema_quality(images["activity"], grid, scanned)  # refuses voxels that do not hold its slices
    activity = scanned.images(fine, 2, ("activity", "mu_per_cm"))
    expected = expect(activity["activity"], activity["mu_per_cm"], fine, study.scan,
                      isotope=scanned.isotope, rng=study.rng(1), device=device)
    factors = (1.0, *study.doses.factors)
    with tqdm(total=len(factors) * study.realisations * iterations, unit="image",
              desc="reconstructing", file=sys.stderr, dynamic_ncols=True) as bar:
        for factor in factors:
            low = at_dose(expected, study.dose(factor))
            for realisation in range(study.realisations):
                counts = draw(low, study.rng(1, realisation, factor))
                made = _passes(study, counts, low.efficiency, images["mu_per_cm"], device)
                for iteration, image in enumerate(islice(made, iterations), 1):
                    own = methods if iteration == settings.iterations else [
                        method for method in methods if not method.tuned]
                    for *which, found in _filtered(image, images, grid, settings, own, device):
                        yield (factor, iteration, *which), nema_quality(found, grid, scanned)
                    bar.update()


def _passes(study, counts, efficiency, mu_per_cm, device):
    """Yields the image after each pass over a noisy scan, without end."""
    layout, settings = study.scan.layout, study.reconstruction
    grid = settings.grid(layout)
    factors, at_random, estimate = estimated(counts.prompts, counts.delayeds, efficiency, mu_per_cm,
                                             grid, layout, settings, device=device)
    images = passes(counts.prompts, factors, at_random + estimate.scatter, layout, grid,
                    settings.subsets, settings.psf_mm, device=device)
    yield from (backend.to_device(image, "cpu") for image in images)


def _filtered(image, images, grid, settings, methods, device):
    """Yields (method's name, strength, what it makes) of an image that no filter has touched."""
    body, ct = images["labels"] > 0, images["hu"]
    for fwhm_mm in SWEEP_MM:
        found = GAUSSIAN.image(image, grid, body, fwhm_mm, ct) if fwhm_mm else image
        yield GAUSSIAN.name, fwhm_mm, found
    if methods and settings.post_filter_mm:
        image = GAUSSIAN.image(image, grid, body, settings.post_filter_mm, ct)
    for method in methods:
        strengths = np.geomspace(*method.denoiser.range, STRENGTHS) if method.tuned else (None,)
        for strength in strengths:
            yield method.name, strength, method.image(image, grid, body, strength, ct, device)


def means(found):
    """Means over realisations of what `measured` yields: a list of dict.

    Each has factor, iteration, method, strength, and spheres, a list of dict: diameter_mm, recovery
    with its standard deviation between realisations, recovery_sd, and variability; recovery is None
    where any scan has none, recovery_sd with one scan.
    """
    images = {}
    for key, one in found:
        images.setdefault(key, []).append(one["spheres"])
    rows = []
    for key, spheres in images.items():
        row = dict(zip(("factor", "iteration", "method", "strength"), key, strict=True))
        row["spheres"] = []
        for same in zip(*spheres, strict=True):
            values = [one["recovery"] for one in same]
            known = None not in values
            row["spheres"].append({
                "diameter_mm": same[0]["diameter_mm"],
                "recovery": float(np.mean(values)) if known else None,
                "recovery_sd": float(np.std(values, ddof=1)) if known and values[1:] else None,
                "variability": float(np.mean([one["variability"] for one in same])),
            })
        rows.append(row)
    return rows
