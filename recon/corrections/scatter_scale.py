"""How much more scatter a scan has than its simulation: fitted where no true coincidence can be.

Such tails are the lines that miss the object. They count scatter and randoms only. There the
prompts are Poisson with mean a_p s + b: s the simulated scatter times all multiplicative factors
but attenuation (data stay as they were counted), b the randoms, a_p the scale of plane p. The
scales are the most probable ones under a_p ~ N(a, (spread a)^2) and a ~ N(A, (A PRIOR)^2), A the
likely one: with many counts each plane finds its own, with few they share one, and with none at all
a stays A. Nothing is divided by counts, so that a plane without any is no special case.

Time of flight tells scatter, which lies near the object, from randoms, which lie everywhere: a
torso on the demo scanner (400 ps, 1.2e6 trues and scattered, 8e5 randoms) tells its scale to 1.1 %
with it and to 1.7 % without. Before and behind the object on lines through it there are no trues
either. But they hold only about 2 % of the scatter, much of it multiple, whose shape is known least
so far out; an object that fills the field of view would hang its whole scatter on them. So they are
no tails, and such an object keeps the likely scale.

A tail holds at most 0.1 mm of the object widened by 15 mm, for the positron's range, the crystals'
width and a mu map that lies some mm beside.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from recon import backend
from recon.grid import Grid
from recon.projectors import SinogramProjector

PRIOR = 0.5  # relative standard deviation of the likely scale, before the tails are looked at
LEAST = 0.05  # of the likely scale: no scale is below
_COARSE_MM = 5.0  # voxels of the surroundings, that are projected fast
_STEPS = 50
_CLASSES = 41  # of scatter over randoms, by factors of two about 1
_COUNTS = 10  # expected in a cell of the chi square, on average


@dataclass(frozen=True, kw_only=True)
class ScatterScale:
    """Scales of a scan's planes.

    Attributes:
        scan: scale of the whole scan, and `scan_sd` its standard deviation.
        planes: (planes,) float64, and `planes_sd` their standard deviations.
        tail_counts: prompts in the tails.
        tail_scatter: what the simulation expects there.
        misfit: chi square per line of response of the tails, over lines of neighbouring views where
            one counts little; about 1 where all is well, NaN where there is nothing to tell.
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


def tails(mu_per_cm, grid, layout, *, margin_mm=15.0, most_mm=0.1, threshold_per_cm=0.01,
          threads=None):
    """Which bins no true coincidence can be in, for their lines miss the object.

    Args:
        mu_per_cm: linear attenuation coefficients at 511 keV in 1/cm, with bed and all.
        grid: its Grid.
        layout: SinogramLayout.
        margin_mm: how far around what attenuates there may be activity.
        most_mm: how much of that a bin's line may pass.
        threshold_per_cm: from where on a voxel is part of the object.
        threads: CPU threads; the result does not depend on it.
    Returns:
        (views, radial, planes) bool, NumPy: of a line, whatever its time of flight.
    """
    xp = backend.array_module(mu_per_cm)
    near, near_grid = _surroundings(
        backend.to_device(mu_per_cm >= threshold_per_cm, "cpu"), grid, margin_mm
    )
    near = xp.asarray(near.astype(np.float32))
    projector = SinogramProjector(layout.without_tof(), near_grid, threads=threads)
    mask = np.empty(projector.out_shape, bool)
    for view in range(layout.views):
        held = projector.subset(slice(view, view + 1))(near)[0]
        mask[view] = backend.to_device(held <= most_mm, "cpu")
    return mask


def _surroundings(object_, grid, margin_mm):
    """The object and all within a margin of it, bool, and its Grid of coarser voxels."""
    blocks = [max(1, round(_COARSE_MM / voxel)) for voxel in grid.voxel_mm]
    voxel_mm = [block * voxel for block, voxel in zip(blocks, grid.voxel_mm, strict=True)]
    edge = [int(np.ceil(margin_mm / voxel)) for voxel in voxel_mm]
    whole = [(0, -size % block) for size, block in zip(object_.shape, blocks, strict=True)]
    coarse = np.pad(object_, whole)
    for axis, block in enumerate(blocks):
        coarse = np.logical_or.reduceat(coarse, range(0, coarse.shape[axis], block), axis=axis)
    coarse = np.pad(coarse, [(size, size) for size in edge])
    if coarse.any():
        coarse = ndimage.distance_transform_edt(~coarse, sampling=voxel_mm) <= margin_mm
    origin = [
        o + (block - 1) / 2 * fine - size * voxel
        for o, block, fine, size, voxel in zip(
            grid.origin_mm, blocks, grid.voxel_mm, edge, voxel_mm, strict=True
        )
    ]
    return coarse, Grid(shape=coarse.shape, voxel_mm=voxel_mm, origin_mm=origin)


def scatter_scale(prompts, scatter, background, mask, *, likely=1.0, spread=0.05):
    """Fits the scales of a scan's planes to its tails (this module's docstring has the model).

    Args:
        prompts: (views, radial, [tof,] planes), as counted.
        scatter: expected scatter before scaling, of the same shape, in counts.
        background: expected randoms, of the same shape, or None.
        mask: (views, radial, planes) bool: `tails`, less those that count nothing (gaps).
        likely: the scan's scale before its tails are looked at, 1 for the simulation's own.
        spread: how much the planes' scales may differ, as a fraction.
    Returns:
        ScatterScale.
    """
    lines = (*scatter.shape[:2], scatter.shape[-1])
    if prompts.shape != scatter.shape or mask.shape != lines:
        raise ValueError(
            f"scatter_scale takes prompts, scatter and a mask of the same bins, got shapes "
            f"{prompts.shape}, {scatter.shape} and {mask.shape}"
        )
    y, s, b = _alike(prompts, scatter, background, mask)
    used = s > 0
    planes = np.full(s.shape[1], likely)
    scan, known = likely, 1 / (PRIOR * likely) ** 2
    for _ in range(_STEPS):
        # Fisher scoring: unlike Newton's, its curvature does not vanish where nothing was counted.
        mean = np.where(used, s * planes + b, 1.0)  # above 0 where used; elsewhere all are 0
        information = (s**2 / mean).sum(0)
        slope = (y * s / mean - s).sum(0)
        alone = planes + np.divide(slope, information, np.zeros_like(slope), where=information > 0)
        variance = (spread * scan) ** 2
        precision = information / (1 + information * variance)
        total = precision.sum() + known
        scan = max(LEAST * likely, ((precision * alone).sum() + likely * known) / total)
        before = planes
        planes = (information * alone + scan / variance) / (information + 1 / variance)
        planes = np.clip(planes, np.maximum(LEAST * likely, before / 2), before * 2)
        if np.abs(planes - before).max() < 1e-6:
            break
    # What a plane knows without its own counts: the scan's scale from the others, and the spread.
    others = (spread * scan) ** 2 + 1 / (total - precision)
    planes_sd = 1 / np.sqrt(information + 1 / others)
    scan_sd = float(1 / np.sqrt(total))
    return ScatterScale(
        scan=float(scan), scan_sd=scan_sd, planes=planes, planes_sd=planes_sd,
        tail_counts=float(y.sum()), tail_scatter=float(s.sum()),
        misfit=_misfit(prompts, scatter, background, mask, planes),
        note=_note(scan, scan_sd, y.sum(), likely),
    )


def of_lines(tail, view):
    """A view's mask of lines (radial, planes), as one of its bins, with their time of flight."""
    return tail[:, None] if view.ndim > tail.ndim else tail


def _note(scan, sd, counts, likely):
    if sd > 0.9 * PRIOR * likely:
        return (
            "the tails hold too few counts to tell the scale of scatter (the object or its arms "
            "may fill the field of view): the simulation's absolute scale is used"
            f", {likely:.3f}"
            + (f", moved by them to {scan:.3f} ± {sd:.3f}" if counts else "")
        )
    return f"scatter scaled by {scan:.3f} ± {sd:.3f} from {counts:.0f} prompts in the tails"


def _alike(prompts, scatter, background, mask):
    """Sums of the tails' bins with about the same scatter over randoms, (3, classes, planes).

    Sums of Poisson counts are Poisson, and where the ratio is the same they say as much about a
    scale as all their bins do: its likelihood depends on the counts' sum only. Within a factor of
    two as here, 0.6 % of the information is lost at the most.
    """
    planes = mask.shape[-1]
    total = np.zeros((3, _CLASSES * planes))
    for view in range(len(mask)):
        s = backend.to_device(scatter[view], "cpu")
        bins = np.flatnonzero(of_lines(mask[view], s) & (s > 0))  # the others hold no scatter
        s = s.ravel()[bins]
        y = backend.to_device(prompts[view], "cpu").ravel()[bins]
        b = np.zeros_like(s)
        if background is not None:
            b = backend.to_device(background[view], "cpu").ravel()[bins]
        ratio = np.divide(s, b, out=np.full_like(s, np.inf), where=b > 0)
        power = np.where(b > 0, np.frexp(ratio)[1], _CLASSES)
        number = np.clip(power + _CLASSES // 2, 0, _CLASSES - 1) * planes + bins % planes
        for sums, values in zip(total, (y, s, b), strict=True):
            sums += np.bincount(number, values, minlength=sums.size)
    return total.reshape(3, _CLASSES, planes)


def _misfit(prompts, scatter, background, mask, planes):
    """Chi square per line of response, each summed over its time of flight and all planes."""
    counted, expected = np.zeros((2, *mask.shape[:2]))
    axes = tuple(range(1, scatter.ndim - 1))
    planes = planes.astype(np.float32)
    for view, tail in enumerate(mask):
        mean = backend.to_device(scatter[view], "cpu") * planes
        tail = of_lines(tail, mean) & (mean > 0)
        if background is not None:
            mean += backend.to_device(background[view], "cpu")
        for sums, values in ((counted, backend.to_device(prompts[view], "cpu")), (expected, mean)):
            sums[view] = values.sum(axis=axes, where=tail, dtype=np.float64)
    lines = np.count_nonzero(expected)
    if not lines:
        return np.nan
    views = int(np.clip(np.ceil(_COUNTS * lines / expected.sum()), 1, len(mask)))
    counted, expected = (
        np.add.reduceat(sums, range(0, len(mask), views)) for sums in (counted, expected)
    )
    some = expected > _COUNTS / 2  # where a count's spread is nearly normal
    if not some.any():
        return np.nan
    return float(np.mean((counted[some] - expected[some]) ** 2 / expected[some]))
