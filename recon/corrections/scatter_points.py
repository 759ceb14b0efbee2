"""Where photons scatter: a few points that stand for all of a mu map."""

import numpy as np

from recon.corrections.attenuation import PER_MM


def scatter_points(mu_per_cm, grid, *, spacing_mm, threshold_per_cm=0.01, seed=None):
    """One point for each block of the map in which anything scatters.

    A block's point lies at the centre of what scatters in it. With a seed it is drawn at random
    instead, in proportion to mu: another sample of the same blocks.

    Args:
        mu_per_cm: linear attenuation coefficients at 511 keV in 1/cm, (x, y, z).
        grid: its Grid.
        spacing_mm: largest side of the blocks; at least a voxel.
        threshold_per_cm: voxels below it do not scatter.
        seed: of the draw; None for centres.
    Returns:
        float64 (4, points): x, y, z in mm, and the sum over the block of mu (1/mm) times volume
        (mm^3), in mm^2.
    Raises:
        ValueError: nothing reaches the threshold.
    """
    mu = np.asarray(mu_per_cm, np.float64)
    index = np.argwhere(mu >= threshold_per_cm)
    if not len(index):
        raise ValueError(
            f"scatter takes a mu map in 1/cm (water: 0.096) with voxels of at least "
            f"{threshold_per_cm:g}, got a largest value of {mu.max(initial=0):g}; check its unit"
        )
    weight = mu[tuple(index.T)] * PER_MM * np.prod(grid.voxel_mm)
    centre = index * np.array(grid.voxel_mm) + grid.origin_mm
    # An odd number of blocks never has an edge in a voxel's middle: symmetric maps stay so.
    blocks = np.ceil(np.multiply(grid.shape, grid.voxel_mm) / spacing_mm - 1e-9).astype(int) | 1
    blocks = np.minimum(blocks, grid.shape)
    inside = ((index + 0.5) * blocks / grid.shape).astype(int)
    number = np.ravel_multi_index(tuple(inside.T), blocks)
    _, block = np.unique(number, return_inverse=True)
    total = np.bincount(block, weight)
    if seed is None:
        place = [np.bincount(block, weight * centre[:, axis]) / total for axis in range(3)]
        return np.stack([*place, total])
    rng = np.random.default_rng(seed)
    # The largest of log(u)/w is each voxel's with a chance in proportion to w.
    order = np.lexsort((np.log(1 - rng.random(len(weight))) / weight, block))
    last = order[np.cumsum(np.bincount(block)) - 1]
    jitter = rng.random((len(last), 3)) - 0.5
    return np.stack([*(centre[last] + jitter * grid.voxel_mm).T, total])
