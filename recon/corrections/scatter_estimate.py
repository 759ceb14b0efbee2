"""Expected scatter of a scan, in counts: simulated, times what multiplies counts, and scaled."""

import math
from dataclasses import dataclass

import numpy as np

from recon import backend
from recon.corrections.scatter import ScatterSampling, single_scatter
from recon.corrections.scatter_scale import ScatterScale, scatter_scale, tails

SCALES = ("tails", "absolute")
USUAL = ScatterSampling()


@dataclass(frozen=True, kw_only=True)
class ScatterEstimate:
    """Expected scatter of a scan.

    Attributes:
        scatter: float32 of layout.shape in counts, on the CPU: what to add to the background.
        single_counts, multiple_counts: how much of it scattered once, and more often, as scaled.
        multiple_to_single: multiple over single scatter, before factors; 0 if not simulated.
        scale: ScatterScale.
        tails: (views, radial, planes) bool: the bins that can count and whose lines miss the
            object; the scale is fitted there.
    """

    scatter: np.ndarray
    single_counts: float
    multiple_counts: float
    multiple_to_single: float
    scale: ScatterScale
    tails: np.ndarray


def estimate_scatter(
    prompts, factors, background, activity, grid, mu_per_cm, mu_grid, layout, *,
    scale="tails", sampling=USUAL, threads=None,
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
        scale: "tails" or "absolute": fitted where lines miss the object, or 1.
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
    expected = backend.to_device(
        single_scatter(activity, grid, mu_per_cm, mu_grid, layout, sampling=sampling,
                       threads=threads),
        "cpu",
    )
    expected *= factors[:, :, None] if expected.ndim > factors.ndim else factors
    mask = tails(mu_per_cm, mu_grid, layout)
    mask &= (factors.max(axis=2) if factors.ndim == 4 else factors) > 0
    if scale == "tails":
        found = scatter_scale(prompts, expected, background, mask)
    else:
        found = _absolute(layout.planes)
    expected *= found.planes.astype(np.float32)
    return ScatterEstimate(
        scatter=expected, single_counts=float(expected.sum(dtype=np.float64)), multiple_counts=0.0,
        multiple_to_single=0.0, scale=found, tails=mask,
    )


def _absolute(planes):
    """The ScatterScale of 1 in all planes."""
    return ScatterScale(
        scan=1.0, scan_sd=math.nan, planes=np.ones(planes), planes_sd=np.full(planes, math.nan),
        tail_counts=math.nan, tail_scatter=math.nan, misfit=math.nan,
        note="the simulation's absolute scale is used, as asked",
    )
