"""Expected scatter of a scan, in counts: simulated, times what multiplies counts, and scaled.

Single scatter is simulated for each line, multiple scatter is made from it by what a Monte Carlo
simulation of the same object says, and the tails of the scan scale their sum.

Before the tails are looked at, the scale is taken for the one at which the image's trues and its
scatter add up to the prompts less randoms. An image made without scatter correction is too bright
by its scatter; simulated from it, scatter is as much too much, and the next image too dark. So a
chain without tails would swing about the truth, the more the more scatter there is (40 % after two
rounds where scatter is half the trues); the ratio of scatter to trues is right from the first on.
"""

import math
from dataclasses import dataclass

import numpy as np

from recon import backend
from recon.corrections.attenuation import PER_MM
from recon.corrections.multiple_scatter import MultipleScatter, multiple_scatter
from recon.corrections.scatter import ScatterSampling, coarse_single_scatter
from recon.corrections.scatter_scale import ScatterScale, scatter_scale, tails
from recon.corrections.scatter_widening import single_share, widened
from recon.projectors import SinogramProjector

SCALES = ("tails", "absolute")
USUAL = ScatterSampling()
# Times as far apart are the points of a first estimate: the last one moves by 2e-3 (RMS), of a
# person in the demo scanner, and by 6e-3, of a cylinder 90 mm wide, whose points are few.
COARSER = 2.0


@dataclass(frozen=True, kw_only=True)
class ScatterEstimate:
    """Expected scatter of a scan.

    Attributes:
        scatter: float32 of layout.shape in counts, on the CPU: what to add to the background.
        single_share: which part of it is single scatter, by radial bins, (radial,) float64.
        single_counts, multiple_counts: how much of it scattered once, and more often.
        multiple: MultipleScatter; None where it is left out.
        scale: ScatterScale.
        balance: the scale that was expected before the tails were looked at.
        tails: (views, radial, planes) bool: the lines that can count, but no trues of the object;
            the scale is fitted there.
    """

    scatter: np.ndarray
    single_share: np.ndarray
    single_counts: float
    multiple_counts: float
    multiple: MultipleScatter | None
    scale: ScatterScale
    balance: float
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
        found = multiple
        if not isinstance(multiple, MultipleScatter):
            found = multiple_scatter(
                *images, layout, seed=sampling.seed or 0, threads=threads
            )
        wide = widened(coarse, pairs, found)
        share = single_share(coarse, wide, pairs)
        coarse += wide
        del wide
    expected = backend.to_device(pairs.to_bins(coarse, layout, threads), "cpu")
    del coarse
    expected *= factors[:, :, None] if expected.ndim > factors.ndim else factors
    mask = tails(mu_per_cm, mu_grid, layout, threads=threads)
    live = factors > 0
    mask &= live.any(axis=2) if live.ndim > mask.ndim else live
    del live
    balance = 1.0
    if scale == "tails":
        balance = _balance(prompts, factors, background, expected, images, layout, threads)
        fitted = scatter_scale(prompts, expected, background, mask, likely=balance)
    else:
        fitted = _absolute(layout.planes)
    counts = np.zeros(layout.radial_bins)
    for view in expected:
        view *= fitted.planes.astype(np.float32)
        counts += view.sum(axis=tuple(range(1, view.ndim)), dtype=np.float64)
    return ScatterEstimate(
        scatter=expected, single_share=share, single_counts=float(counts @ share),
        multiple_counts=float(counts @ (1 - share)), multiple=found, scale=fitted,
        balance=balance, tails=mask,
    )


def _balance(prompts, factors, background, scatter, images, layout, threads):
    """The scale at which trues and scatter of an image add up to the prompts less randoms.

    1 where there are no more prompts than randoms.
    """
    activity, grid, mu_per_cm, mu_grid = images
    xp = backend.array_module(activity)
    mu_per_mm = mu_per_cm * xp.float32(PER_MM)
    emitting = SinogramProjector(layout, grid, threads=threads)
    absorbing = SinogramProjector(layout.without_tof(), mu_grid, threads=threads)
    net = explained = 0.0
    for view, m in enumerate(factors):
        part = slice(view, view + 1)
        survival = xp.exp(-absorbing.subset(part)(mu_per_mm))[0]
        trues = emitting.subset(part)(activity)[0]
        trues *= survival[:, None] if layout.tof else survival
        trues = backend.to_device(trues, "cpu")
        m = m if m.ndim == trues.ndim else m[:, None]
        trues *= m
        explained += float(trues.sum(dtype=np.float64) + scatter[view].sum(dtype=np.float64))
        live = m > 0
        net += float(prompts[view].sum(where=live, dtype=np.float64))
        if background is not None:
            net -= float(background[view].sum(where=live, dtype=np.float64))
    return net / explained if net > 0 and explained > 0 else 1.0


def _absolute(planes):
    """The ScatterScale of 1 in all planes."""
    return ScatterScale(
        scan=1.0, scan_sd=math.nan, planes=np.ones(planes), planes_sd=np.full(planes, math.nan),
        tail_counts=math.nan, tail_scatter=math.nan, misfit=math.nan,
        note="the simulation's absolute scale is used, as asked",
    )
