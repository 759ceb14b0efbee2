"""Whether the numbers of a mu map or of factors can be what they are given as.

Each check yields its misfits, see `recon.agreement`.
"""

import numpy as np

GAP = 1e20  # what STIR writes as the correction of bins between detectors
# Largest attenuation at 511 keV in 1/cm: water has 0.096, bone 0.17, gold 3.
_PER_MM = (0.005, 0.03)
_MOST_PER_CM = 5.0
_MOST_PER_M = 50.0
_HU = -50.0  # the rest of a filter may be a little below 0
_BENDS = 0.01  # sum of squares; neighbouring planes of span 1 sum one pair each
SLOPE = 0.5  # of a plane's mean against its ring pairs, in logarithms


def attenuation_misfits(mu, path):
    """How a mu map's numbers show another unit than 1/cm.

    Args:
        mu: array, any shape; its unit is not asked, for headers often say the wrong one.
        path: the file, for the message.
    """
    least, most = float(np.min(mu)), float(np.max(mu)) + 0.0
    found = f"{path} takes attenuation at 511 keV in 1/cm (water has 0.096), found "
    if least < _HU or most > _MOST_PER_M:
        yield (
            f"{found}{least:.4g} to {most:.4g}, which looks like a CT in HU; turn it into a mu map "
            "with `countless mu-map`"
        )
    elif _PER_MM[0] <= most <= _PER_MM[1]:
        yield (
            f"{found}{most:.3g} at most, which looks like 1/mm; multiply it by 10 (what truly is "
            "thinner than a lung can be part of --efficiency)"
        )
    elif most > _MOST_PER_CM:
        yield f"{found}{most:.3g} at most, which looks like 1/m; divide it by 100"


def factor_misfits(array, layout, path, what, slope=None):
    """How factors show that they are the inverse of what they are given as.

    Efficiencies are 0 in gaps, and the more ring pairs a plane sums, the larger; corrections are
    infinite or 1e20 in gaps, and the more, the smaller.

    Args:
        array: of the layout's shape.
        layout: SinogramLayout.
        path: the file, for the message.
        what: "efficiency" or "correction".
        slope: `pair_slope` of the array, where it is known already.
    """
    if what == "efficiency" and (gaps := sum(int((part >= GAP).sum()) for part in array)):
        yield (
            f"{path} has {gaps:,} of {array.size:,} values of 1e20 or more, as corrections have in "
            "gaps; give it as --correction"
        )
        return
    slope = pair_slope(array, layout) if slope is None else slope
    if what == "efficiency" and slope < -SLOPE:
        yield (
            f"{path} is the smaller, the more ring pairs a plane sums, as corrections are and "
            "efficiencies are not; give it as --correction"
        )
    if what == "correction" and slope > SLOPE:
        yield (
            f"{path} is the larger, the more ring pairs a plane sums, as efficiencies are and "
            "corrections are not; give it as --efficiency"
        )


def pair_slope(array, layout):
    """How the mean of a plane goes with the ring pairs it sums: 1 as their number, -1 inverse.

    Each plane is compared with its two neighbours, so that what changes slowly along the scanner,
    as attenuation does, has no part in it. Bins of 0 and of gaps do not count.

    Returns:
        Slope in logarithms, NaN where neighbouring planes sum alike many.
    """
    total, count = np.zeros(layout.planes), np.zeros(layout.planes)
    for part in array:  # a view at a time: no second array of the whole size
        live = (part > 0) & (part < GAP)
        axes = tuple(range(part.ndim - 1))
        total += np.where(live, part, 0).sum(axis=axes, dtype=np.float64)
        count += live.sum(axis=axes)
    pairs = np.bincount(layout.ring_pairs()[:, 0], minlength=layout.planes)
    known = (count > 0) & (pairs > 0)
    values = np.log(np.where(known, total, 1) / np.where(known, count, 1))
    steps = []
    for segment, first in zip(layout.segments, layout.first_planes(), strict=True):
        planes = slice(first, first + segment.planes)
        both = np.stack([np.log(np.maximum(pairs[planes], 1)), values[planes]])
        bends = both[:, 1:-1] - (both[:, :-2] + both[:, 2:]) / 2
        usable = known[planes]
        steps.append(bends[:, usable[1:-1] & usable[:-2] & usable[2:]])
    of_pairs, of_values = np.concatenate(steps, axis=1)
    square = float(of_pairs @ of_pairs)
    return float(of_pairs @ of_values) / square if square > _BENDS else np.nan
