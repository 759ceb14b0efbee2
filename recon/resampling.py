"""An image on another Grid, its place in the patient kept."""

import numpy as np


def resample(array, grid, onto, *, shift_mm=(0.0, 0.0, 0.0)):
    """An image on `grid` in the voxels of `onto`, zero where the image ends.

    Along each axis by itself: the mean of what lies in a voxel where voxels grow, which keeps sums
    and does not alias; linear interpolation where they shrink; both alike, and the identity in
    place, where they stay as large. Up to its outer faces the image is constant.

    Args:
        array: (x, y, z) of grid.shape, NumPy.
        grid: Grid of the array.
        onto: Grid of the result; both are taken to NIfTI's world by their affines, so the patient
            positions may differ.
        shift_mm: what is added to the array's world coordinates (right, anterior, superior).
    Returns:
        Image (x, y, z) of onto.shape, float32.
    """
    if array.shape != grid.shape:
        raise ValueError(
            f"resample takes an array of the grid's shape {grid.shape}, got {array.shape}; "
            "give the grid that belongs to it"
        )
    weights = [_weights(grid, onto, axis, shift_mm[axis]) for axis in range(3)]
    # The axis that shrinks most goes first.
    for axis in sorted(range(3), key=lambda a: onto.shape[a] / grid.shape[a]):
        moved = np.tensordot(weights[axis].astype(np.float32), array, axes=(1, axis))
        array = np.moveaxis(moved, 0, axis)
    return np.ascontiguousarray(array, dtype=np.float32)


def coverage(grid, onto, *, shift_mm=(0.0, 0.0, 0.0)):
    """Which part of each voxel of `onto` lies inside `grid`, axis by axis.

    Returns:
        Three float64 arrays, for x, y and z of `onto`, from 0 (outside) to 1.
    """
    return tuple(_weights(grid, onto, axis, shift_mm[axis]).sum(axis=1) for axis in range(3))


def _weights(grid, onto, axis, shift_mm):
    """Share of each voxel of `grid` in the mean over each of `onto`: (onto, grid) float64."""
    size, step = grid.shape[axis], grid.affine[axis, axis]
    first, onto_step = onto.affine[axis, 3], onto.affine[axis, axis]
    # In voxels of `grid`, whose faces lie at -0.5, 0.5, ...
    centres = first + onto_step * np.arange(onto.shape[axis])
    centres = (centres - grid.affine[axis, 3] - shift_mm) / step
    width = abs(onto_step / step)
    weights = _overlap(centres, max(width, 1.0), size)
    total = weights.sum(axis=1, keepdims=True)
    # A voxel that sticks out holds the part of it that lies inside.
    inside = _overlap(centres, width, size).sum(axis=1, keepdims=True) / width
    return np.divide(weights * inside, total, out=np.zeros_like(weights), where=total > 0)


def _overlap(centres, width, size):
    """Length of each voxel of unit size that lies in a window about each centre."""
    voxels = np.arange(size) - 0.5
    beyond_low = np.clip(centres[:, None] - width / 2 - voxels, 0, 1)
    return np.clip(centres[:, None] + width / 2 - voxels, 0, 1) - beyond_low
