"""How much more scatter a scan has than its single scatter: fitted where the object is not.

Lines that miss the object count scatter and randoms only. There the prompts are Poisson with mean
a_p s + b: s the simulated scatter times all multiplicative factors but attenuation (data stay as
they were counted), b the randoms, a_p the scale of plane p. The scales are the most probable ones
under a_p ~ N(a, (spread a)^2) and a ~ N(1, PRIOR^2): with many counts each plane finds its own,
with few they share one, and with none at all a stays 1, the absolute scale of the simulation.
Nothing is divided by counts, so that a plane without any is no special case.
"""

from dataclasses import dataclass

import numpy as np

from recon import backend
from recon.corrections.attenuation import PER_MM
from recon.projectors import SinogramProjector

PRIOR = 0.5  # standard deviation of the scan's scale about 1, before its tails are looked at
LEAST = 0.05  # no scale is below
_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class ScatterScale:
    """Scales of a scan's planes.

    Attributes:
        scan: scale of the whole scan, and `scan_sd` its standard deviation.
        planes: (planes,) float64, and `planes_sd` their standard deviations.
        tail_counts: prompts in the tails.
        tail_scatter: what the simulation expects there.
        misfit: chi square per degree of freedom of the tails; about 1 where all is well.
        note: a sentence that says what was done.
    """

    scan: float
    scan_sd: float
    planes: np.ndarray
    planes_sd: np.ndarray
    tail_counts: float
    tail_scatter: float
    misfit: float
    note: str


def tails(mu_per_cm, grid, layout, *, margin_mm=15.0, most=0.01):
    """Which bins' lines miss the object by a margin.

    Args:
        mu_per_cm: linear attenuation coefficients at 511 keV in 1/cm, with bed and all.
        grid: its Grid.
        layout: SinogramLayout.
        margin_mm: how far, across the scanner, the nearest line through the object must be.
        most: line integral of mu (no unit) that counts as missing it.
    Returns:
        (views, radial, planes) bool, NumPy.
    """
    xp = backend.array_module(mu_per_cm)
    projector = SinogramProjector(layout.without_tof(), grid)
    mu_per_mm = mu_per_cm * xp.float32(PER_MM)
    s = layout.rays()[0, :, 2]
    within = np.abs(s[:, None] - s[None]) <= margin_mm
    mask = np.zeros(projector.out_shape, bool)
    for view in range(layout.views):
        chords = backend.to_device(projector.subset(slice(view, view + 1))(mu_per_mm), "cpu")[0]
        mask[view] = within.astype(np.float32) @ (chords > most).astype(np.float32) == 0
    return mask


def scatter_scale(prompts, scatter, background, mask, *, spread=0.05):
    """Fits the scales of a scan's planes to its tails (this module's docstring has the model).

    Args:
        prompts: (views, radial, [tof,] planes), as counted.
        scatter: expected scatter before scaling, of the same shape, in counts.
        background: expected randoms, of the same shape, or None.
        mask: (views, radial, planes) bool: `tails`, less bins that count nothing (gaps).
        spread: how much the planes' scales may differ, as a fraction.
    Returns:
        ScatterScale.
    """
    if not prompts.shape == scatter.shape or (prompts.shape[:2], prompts.shape[-1]) != (
        mask.shape[:2],
        mask.shape[-1],
    ):
        raise ValueError(
            f"scatter_scale takes prompts, scatter and a mask of the same bins, got shapes "
            f"{prompts.shape}, {scatter.shape} and {mask.shape}"
        )
    y, s, b = (_over_views(array, mask) for array in (prompts, scatter, background))
    used = s > 0  # bins in no tail of any view, and those that nothing scatters into, say nothing
    y, s, b = (np.where(used, array, 0.0) for array in (y, s, b))
    planes = np.ones(s.shape[1])
    scan = 1.0
    for _ in range(_STEPS):
        # Fisher scoring: unlike Newton's, its curvature does not vanish where nothing was counted.
        mean = np.where(used, s * planes + b, 1.0)  # above 0 where used; elsewhere all are 0
        information = (s**2 / mean).sum(0)
        slope = (y * s / mean - s).sum(0)
        alone = planes + np.divide(slope, information, np.zeros_like(slope), where=information > 0)
        variance = (spread * scan) ** 2
        precision = information / (1 + information * variance)
        total = precision.sum() + 1 / PRIOR**2
        scan = max(LEAST, ((precision * alone).sum() + 1 / PRIOR**2) / total)
        before = planes
        planes = (information * alone + scan / variance) / (information + 1 / variance)
        planes = np.clip(planes, np.maximum(LEAST, before / 2), before * 2)
        if np.abs(planes - before).max() < 1e-6:
            break
    planes_sd = 1 / np.sqrt(information + 1 / ((spread * scan) ** 2 + 1 / total))
    expected = s * planes + b
    some = expected > 5  # where a count's spread is nearly normal
    misfit = np.mean((y[some] - expected[some]) ** 2 / expected[some]) if some.any() else np.nan
    scan_sd = float(1 / np.sqrt(total))
    return ScatterScale(
        scan=float(scan), scan_sd=scan_sd, planes=planes, planes_sd=planes_sd,
        tail_counts=float(y.sum()), tail_scatter=float(s.sum()), misfit=float(misfit),
        note=_note(scan, scan_sd, y.sum()),
    )


def _note(scan, sd, counts):
    if sd > 0.9 * PRIOR:
        return (
            "the tails hold too few counts to tell the scale of scatter (the object or its arms "
            "may fill the field of view): the simulation's absolute scale is used"
            + (f", moved by them to {scan:.3f} ± {sd:.3f}" if counts else "")
        )
    return f"scatter scaled by {scan:.3f} ± {sd:.3f} from {counts:.0f} prompts in the tails"


def _over_views(array, mask):
    """Sums of an array's tails over views and time-of-flight bins, (radial, planes) float64.

    A sum of Poisson counts is one, whose mean is the sum of the means: nothing is assumed.
    """
    total = np.zeros(mask.shape[1:])
    if array is None:
        return total
    for view in range(mask.shape[0]):
        part = backend.to_device(array[view], "cpu")
        part = part.sum(axis=1, dtype=np.float64) if part.ndim == 3 else part
        total += np.where(mask[view], part, 0.0)
    return total
