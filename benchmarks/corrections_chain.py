"""Estimates of a noisy scan, as the chain of `countless recon` makes them, and their errors."""

from dataclasses import dataclass

import numpy as np

from recon.acquisition import AcquisitionModel
from recon.algorithms import osem
from recon.corrections.randoms import randoms_from_delayeds
from recon.corrections.scatter_estimate import estimate_scatter
from recon.projectors import SinogramProjector

PASSES = (2, 2, 2)  # of OSEM: before the first estimate of scatter, before the second, after it


@dataclass(frozen=True, kw_only=True)
class Errors:
    """How far estimates of one scan are from the truth, as fractions of it.

    Attributes:
        randoms: estimated over true counts, less 1; and `randoms_bins`, the RMS of the bins' errors
            (summed over time of flight) over the bins' mean.
        scatter: the scale's error: estimated over true counts of all scatter, less 1; and
            `scatter_planes`, the RMS of the same of each plane.
        scale, scale_sd: that the tails gave, and its standard deviation; not errors.
        misfit: of the tails, see ScatterScale.
        region: mean of a uniform region of the image over that of the noise-free scan
            reconstructed with its true background, less 1.
    """

    randoms: float
    randoms_bins: float
    scatter: float
    scatter_planes: float
    scale: float
    scale_sd: float
    misfit: float
    region: float


def errors(problem, truth, reference, *, prompts, rng, threads=None):
    """Simulates the noise of one scan, estimates its randoms and scatter, and compares.

    Args:
        problem: Problem.
        truth: its Truth.
        reference: mean of the region, of `reference_mean`.
        prompts: expected number of them.
        rng: numpy Generator; None for a scan without noise.
        threads: CPU threads; the result does not depend on it.
    Returns:
        Errors.
    """
    layout, grid, mu = problem.layout, problem.grid, truth.mu_per_cm
    counted, delayed = (
        _counted(array, prompts, rng) for array in (truth.prompts, truth.delayeds)
    )
    randoms, _ = randoms_from_delayeds(delayed, problem.delayed_layout, target=layout)
    del delayed
    factors = truth.efficiency * np.float32(prompts)
    background, estimate = randoms, None
    for passes in PASSES[:2]:
        image = _image(problem, truth, counted, factors, background, passes, threads)
        estimate = estimate_scatter(
            counted, factors, randoms, image, grid, mu, grid, layout,
            sampling=problem.sampling, threads=threads,
            multiple=estimate.multiple if estimate else True,
        )
        background = randoms + estimate.scatter
    image = _image(problem, truth, counted, factors, background, PASSES[2], threads)
    axes = tuple(range(len(layout.shape) - 1))
    planes = [
        array.sum(axis=axes, dtype=np.float64) for array in (estimate.scatter, truth.scatter)
    ]
    off = planes[0] / (prompts * planes[1]) - 1
    true_randoms = truth.randoms * np.float32(prompts)
    away = randoms - true_randoms
    away = away.sum(axis=2) if layout.tof else away
    return Errors(
        randoms=float(randoms.sum(dtype=np.float64) / true_randoms.sum(dtype=np.float64) - 1),
        randoms_bins=float(
            np.sqrt(np.mean(away**2, dtype=np.float64))
            / true_randoms.sum(dtype=np.float64) * away.size
        ),
        scatter=float(planes[0].sum() / (prompts * planes[1].sum()) - 1),
        scatter_planes=float(np.sqrt(np.mean(off**2))),
        scale=estimate.scale.scan, scale_sd=estimate.scale.scan_sd, misfit=estimate.scale.misfit,
        region=float(image[problem.in_region()].mean(dtype=np.float64) / reference - 1),
    )


def reference_mean(problem, truth):
    """Mean of the region without noise and with the true background; the mu map stays wrong."""
    image = _image(problem, truth, truth.prompts, truth.efficiency,
                   truth.scatter + truth.randoms, PASSES[2], None)
    return float(image[problem.in_region()].mean(dtype=np.float64))


def _counted(expected, prompts, rng):
    mean = expected * np.float32(prompts)
    return mean if rng is None else rng.poisson(mean).astype(np.float32)


def _image(problem, truth, counted, factors, background, passes, threads):
    projector = SinogramProjector(problem.layout, problem.grid, threads=threads)
    model = AcquisitionModel(
        projector, factors=factors * truth.attenuation, background=background
    )
    updates = osem(model, counted, subsets=problem.subsets)
    for _ in range(passes * problem.subsets):
        image = next(updates)
    return image
