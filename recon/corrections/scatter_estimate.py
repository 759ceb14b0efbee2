"""Expected scatter of a scan, in counts: simulated, times what multiplies counts, and scaled.

Single scatter is simulated for each line, multiple scatter is made from it by what a Monte Carlo
simulation of the same object says, and the tails of the scan scale their sum.
"""

import math
from dataclasses import dataclass

import numpy as np

from recon import backend
from recon.corrections.multiple_scatter import MultipleScatter, multiple_scatter
from recon.corrections.scatter import ScatterSampling, coarse_single_scatter
from recon.corrections.scatter_scale import ScatterScale, scatter_scale, tails
from recon.corrections.scatter_widening import single_share, widened

SCALES = ("tails", "absolute")
USUAL = ScatterSampling()


@dataclass(frozen=True, kw_only=True)
class ScatterEstimate:
    """Expected scatter of a scan.

    Attributes:
        scatter: float32 of layout.shape in counts, on the CPU: what to add to the background.
        single_share: which part of it is single scatter, by radial bins, (radial,) float64.
        single_counts, multiple_counts: how much of it scattered once, and more often.
        multiple: MultipleScatter; None where it is left out.
        scale: ScatterScale.
        tails: bool of layout.shape: the bins that can count, but no trues of the object; the scale
            is fitted there.
    """

    scatter: np.ndarray
    single_share: np.ndarray
    single_counts: float
    multiple_counts: float
    multiple: MultipleScatter | None
    scale: ScatterScale
    tails: np.ndarray

    @property
    def multiple_to_single(self):
        """Multiple over single scatter, in counts."""
        return self.multiple_counts / self.single_counts if self.single_counts else 0.0


def estimate_scatter(
    prompts, factors, background, activity, grid, mu_per_cm, mu_grid, layout, *,
    scale="tails", multiple=True, sampling=USUAL, threads=None,
):
    """Expected scatter of a scan from an image of it, in counts.

    Args:
        prompts: (views, radial, [tof,] planes), as counted.
        factors: what multiplies expected counts, less attenuation; of layout.shape, with or without
            its time-of-flight axis. 0 where a bin counts nothing.
        background: expected randoms, of layout.shape, or None.
        activity: (x, y, z) float32, as reconstructed with these factors.
        grid: its Grid.
        mu_per_cm: linear attenuation coefficients at 511 keV in 1/cm, (x, y, z) float32, with bed
            and all. It and the activity say where is simulated: NumPy's or CuPy's arrays.
        mu_grid: its Grid.
        layout: SinogramLayout.
        multiple: whether multiple scatter is simulated, too.
        scale: "tails" or "absolute": fitted where no true coincidence can be, or 1.
        sampling: ScatterSampling.
        threads: CPU threads; the result does not depend on it.
    Returns:
        ScatterEstimate.
    Raises:
        ValueError: an unknown scale, shapes that do not fit, a mu map that scatters nowhere or a
            scanner that does not state its energies.
    """
    if scale not in SCALES:
        raise ValueError(f"estimate_scatter takes scale {' or '.join(SCALES)}, got {scale!r}")
    factors = backend.to_device(factors, "cpu")
    images = activity, grid, mu_per_cm, mu_grid
    coarse, pairs = coarse_single_scatter(*images, layout, sampling=sampling, threads=threads)
    found, share = None, np.ones(layout.radial_bins)
    if multiple:
        found = multiple_scatter(*images, layout, seed=sampling.seed or 0)
        wide = widened(coarse, pairs, found)
        share = single_share(coarse, wide, pairs)
        coarse += wide
        del wide
    expected = backend.to_device(pairs.to_bins(coarse, layout, threads), "cpu")
    del coarse
    expected *= factors[:, :, None] if expected.ndim > factors.ndim else factors
    mask = tails(mu_per_cm, mu_grid, layout, threads=threads)
    live = factors > 0
    mask &= live[:, :, None] if mask.ndim > live.ndim else live
    del live
    fitted = (
        scatter_scale(prompts, expected, background, mask)
        if scale == "tails" else _absolute(layout.planes)
    )
    counts = np.zeros(layout.radial_bins)
    for view in expected:
        view *= fitted.planes.astype(np.float32)
        counts += view.sum(axis=tuple(range(1, view.ndim)), dtype=np.float64)
    return ScatterEstimate(
        scatter=expected, single_share=share, single_counts=float(counts @ share),
        multiple_counts=float(counts @ (1 - share)), multiple=found, scale=fitted, tails=mask,
    )


def _absolute(planes):
    """The ScatterScale of 1 in all planes."""
    return ScatterScale(
        scan=1.0, scan_sd=math.nan, planes=np.ones(planes), planes_sd=np.full(planes, math.nan),
        tail_counts=math.nan, tail_scatter=math.nan, misfit=math.nan,
        note="the simulation's absolute scale is used, as asked",
    )
