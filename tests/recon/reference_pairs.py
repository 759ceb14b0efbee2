"""Sums over crystal pairs, one plane and ring pair at a time: slow and readable."""

import numpy as np


def bin_efficiencies(layout, crystals):
    """Sum over each bin's crystal pairs of the product of their efficiencies.

    Args:
        layout: SinogramLayout whose bins follow the crystals.
        crystals: float32 (rings, crystals), any values.
    Returns:
        float32 (views, radial, planes); with every crystal 1 it is layout.multiplicity().
    """
    total = np.zeros((layout.planes, layout.views, layout.radial_bins), np.float32)
    pairs = layout.crystal_pairs()
    for plane, ring1, ring2 in layout.ring_pairs():
        product = crystals[ring1, pairs[..., 0]] * crystals[ring2, pairs[..., 1]]
        total[plane] += np.sum(product, axis=0, where=pairs[..., 0] >= 0)
    return np.ascontiguousarray(np.moveaxis(total, 0, -1))
