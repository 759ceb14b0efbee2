"""`countless benchmark image-quality`: what comes of the NEMA spheres, and how noise falls.

Without noise, the image of a simulated scan is compared with the spheres convolved with the
resolution that the simulation states (`sim.resolution.total_fwhm_mm`). With noise, the variance
over realisations at two numbers of counts is compared with what a linear reconstruction must show.
"""

import sys
from collections import deque
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from benchmarks import machine
from recon import AcquisitionModel, Grid, Scanner, SinogramProjector
from recon.algorithms import fbp, osem
from recon.algorithms.subsets import divisor_nearest
from recon.corrections.attenuation import attenuate
from recon.io.files import check_writable
from recon.io.provenance import write_json
from recon.layout import FWHM_PER_SIGMA
from sim.acquire import draw, expect
from sim.dose import Dose, at_dose
from sim.objects.nema import nema_iq
from sim.protocol import Protocol
from sim.resolution import total_fwhm_mm
from sim.shapes import paint

FEWER = 10.0  # times fewer counts of the second ensemble
_FINE_MM = 0.25
_WARM = 0.8  # of the background: what has less in the mean image is not warm
_BOOTSTRAPS = 200


def image_quality(
    *,
    scanner: str = "mMR",
    max_ring_difference: int = 2,
    passes: int = 16,
    realisations: int = 40,
    noise_scanner: str = "demo",
    output: Path | None = None,
):
    """Scan the NEMA image quality phantom: recovery without noise, variance with it.

    Args:
        scanner: Preset of the scan without noise.
        max_ring_difference: Of that scan, at span 1.
        passes: Of OSEM over all subsets, without resolution in its model.
        realisations: Noisy scans at each of the two numbers of counts.
        noise_scanner: Preset of these.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    if output is not None:
        check_writable(output)
    results = machine.origin()
    protocol = Protocol(
        scanner=Scanner.preset(scanner), span=1, max_ring_difference=max_ring_difference
    )
    noisy = Protocol(
        scanner=Scanner.preset(noise_scanner), span=3, view_mashing=2, minutes=30.0
    )
    results["spheres"] = recovery(simulated(protocol, voxel_mm=2.0, fine_mm=1.0), passes)
    print(f"{'sphere':>8} {'stated':>9} {'found':>9} {'off':>7}")
    for row in results["spheres"]:
        print(f"{row['diameter_mm']:>5} mm {row['stated']:>9.3f} {row['found']:>9.3f} "
              f"{row['off']:>+7.1%}")
    results["variance"] = variances(simulated(noisy, voxel_mm=8.0, fine_mm=4.0), realisations)
    print(f"\nvariance at 1 / {FEWER:g} of the counts over that at all of them, {FEWER:g} where it "
          f"goes with 1 / counts")
    for name, row in results["variance"].items():
        print(f"{name:8} {row['ratio']:.2f} ± {row['sd']:.2f}")
    if output is not None:
        write_json(output, results)
    return results


@dataclass(frozen=True, kw_only=True)
class Scan:
    """An expected scan of the phantom, and the model that reconstructs it with all corrections."""

    expected: object
    grid: Grid
    factors: np.ndarray

    def model(self, dose=1.0):
        """AcquisitionModel of the scan at a part of its counts; its background is known."""
        scale = np.float32(dose)
        return AcquisitionModel(
            SinogramProjector(self.expected.layout, self.grid), factors=self.factors * scale,
            background=(self.expected.scatter + self.expected.randoms) * scale,
        )


def simulated(protocol, voxel_mm, fine_mm, seed=1):
    """The Scan of the phantom on a grid of about its own size."""
    phantom = nema_iq()
    low, high = np.array(phantom.extent).T
    fine = _around(low, high, (fine_mm,) * 3)
    images = phantom.images(fine, samples=3, names=("activity", "mu_per_cm"))
    expected = expect(images["activity"], images["mu_per_cm"], fine, protocol,
                      rng=np.random.default_rng(seed))
    scanner = protocol.scanner
    half = scanner.rings * scanner.ring_spacing_mm / 2
    low, high = np.r_[low[:2] - 20, -half], np.r_[high[:2] + 20, half]
    grid = _around(low, high, (voxel_mm, voxel_mm, scanner.ring_spacing_mm / 2))
    factors = expected.efficiency.copy()
    attenuate(factors, images["mu_per_cm"], fine, expected.layout)
    return Scan(expected=expected, grid=grid, factors=factors)


def recovery(scan, passes):
    """Mean activity of each sphere over the background's, stated and found: a list of dict."""
    expected, phantom = scan.expected, nema_iq()
    prompts = expected.trues + expected.scatter + expected.randoms
    subsets = divisor_nearest(expected.layout.views)
    updates = osem(scan.model(), prompts, subsets=subsets)
    bar = tqdm(islice(updates, passes * subsets), total=passes * subsets, desc="without noise",
               unit="update", file=sys.stderr, dynamic_ncols=True)
    image = deque(bar, maxlen=1).pop()
    scanner, background = expected.layout.scanner, phantom.find("background")[0].activity_bq_ml
    return [sphere(region, image, scan.grid, scanner, background) for region in phantom.lesions]


def sphere(region, image, grid, scanner, background):
    """One sphere: the mean in it over the background."""
    low, high = np.array(region.solid.extent).T
    diameter, centre = float(high[0] - low[0]), (low + high) / 2
    part = paint([region.solid], [[1.0]], grid, samples=8)[0]
    found = float((part * image).sum(dtype=float) / part.sum(dtype=float) / background)
    stated = convolved_mean(diameter, region.activity_bq_ml / background,
                            _sigmas(scanner, float(np.hypot(*centre[:2]))))
    return {"diameter_mm": round(diameter), "stated": stated, "found": found,
            "off": found / stated - 1}


def _sigmas(scanner, radius_mm):
    """Radial, tangential and axial, in mm, at a distance from the axis."""
    here, axis = (total_fwhm_mm(scanner, "F-18", mm) for mm in (radius_mm, 0.0))
    fwhm = here["radial"]["total"], axis["radial"]["total"], here["axial"]["total"]
    return np.array(fwhm) / FWHM_PER_SIGMA


def convolved_mean(diameter_mm, activity, sigmas_mm, wall_mm=1.0):
    """Mean inside a sphere with a cold wall, in a background of 1, after a Gaussian blur."""
    half = diameter_mm / 2 + wall_mm + _FINE_MM  # beyond, all is as at the faces
    n = 2 * int(np.ceil(half / _FINE_MM)) + 1
    x = (np.arange(n) - n // 2) * _FINE_MM
    r = np.sqrt(sum(np.ix_(x**2, x**2, x**2)))
    inside = np.clip((diameter_mm / 2 - r) / _FINE_MM + 0.5, 0, 1)
    wall = np.clip((diameter_mm / 2 + wall_mm - r) / _FINE_MM + 0.5, 0, 1)
    blurred = ndimage.gaussian_filter(
        inside * activity + 1 - wall, np.array(sigmas_mm) / _FINE_MM, mode="nearest"
    )
    return float((blurred * inside).sum() / inside.sum())


def variances(scan, realisations, passes=2, seed=1):
    """Variance in warm voxels at 1 / FEWER of the counts over that at all counts, by algorithm.

    Its standard deviation is found by drawing the realisations again, with replacement.
    """
    subsets = 4
    images = {"FBP": ([], []), "OSEM": ([], [])}
    seeds = np.random.SeedSequence(seed).spawn(2 * realisations)
    with tqdm(total=2 * realisations, unit="scan", file=sys.stderr, dynamic_ncols=True) as bar:
        for k, dose in enumerate((1.0, 1 / FEWER)):
            model = scan.model(dose)
            expected = at_dose(scan.expected, Dose(factor=1 / dose))
            for number in range(realisations):
                rng = np.random.default_rng(seeds[k * realisations + number])
                prompts = draw(expected, rng).prompts
                images["FBP"][k].append(fbp(model, prompts))
                images["OSEM"][k].append(
                    next(islice(osem(model, prompts, subsets=subsets), passes * subsets - 1, None))
                    .copy()
                )
                bar.update()
    background = nema_iq().find("background")[0].activity_bq_ml
    warm = np.mean(images["OSEM"][0], axis=0) > _WARM * background
    return {name: _ratio(np.array(many)[:, warm], np.array(few)[:, warm], seed)
            for name, (many, few) in images.items()}


def _ratio(many, few, seed):
    """Mean variance of `few` over that of `many`, (realisation, voxel) each, with its spread."""
    def ratio(first, second):
        return second.var(axis=0, ddof=1).mean() / first.var(axis=0, ddof=1).mean()

    rng, n = np.random.default_rng(seed), len(many)
    again = [ratio(many[rng.integers(n, size=n)], few[rng.integers(n, size=n)])
             for _ in range(_BOOTSTRAPS)]
    return {"ratio": float(ratio(many, few)), "sd": float(np.std(again)), "voxels": many.shape[1]}


def _around(low, high, voxel_mm):
    shape = np.ceil((high - low) / voxel_mm).astype(int)
    return Grid.centred(shape=tuple(shape), voxel_mm=voxel_mm, centre_mm=tuple((low + high) / 2))
