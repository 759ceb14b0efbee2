"""The priors of recon/algorithms/priors.py written out in float64, pair by pair."""

import itertools

import numpy as np


def pairs(shape, voxel_mm):
    """Yields slices of an image's voxels and of their neighbours, the pair's weight, and number.

    Each pair is there once: offsets are the 13 after the voxel itself in order.
    """
    for number, offset in enumerate(list(itertools.product((-1, 0, 1), repeat=3))[14:]):
        here = tuple(slice(max(0, -o), n - max(0, o)) for o, n in zip(offset, shape, strict=True))
        there = tuple(slice(max(0, o), n - max(0, -o)) for o, n in zip(offset, shape, strict=True))
        yield here, there, voxel_mm[0] / np.linalg.norm(np.multiply(offset, voxel_mm)), number


def pair_value(image, voxel_mm, potential, kappa=None, chosen=None):
    """Sum over pairs of weight kappa kappa chosen / 2 potential(f_j, f_k)."""
    image, total = image.astype(np.float64), 0.0
    for here, there, weight, number in pairs(image.shape, voxel_mm):
        w = np.full(image[here].shape, weight)
        if kappa is not None:
            w *= kappa[here].astype(np.float64) * kappa[there]
        if chosen is not None:
            w *= chosen[number][here] / 2
        total += (w * potential(image[here], image[there])).sum()
    return total


def quadratic(x, y):
    return (x - y) ** 2 / 2


def relative_difference(gamma, epsilon):
    def psi(x, y):
        whole = x + y + gamma * np.abs(x - y) + epsilon
        return (x - y) ** 2 / np.where(whole > 0, whole, 1)

    return psi


def log_cosh(delta):
    return lambda x, y: delta**2 * np.log(np.cosh((x - y) / delta))


def total_variation(image, voxel_mm, epsilon, kappa=None, direction=None):
    image = image.astype(np.float64)
    d = np.zeros((3, *image.shape))
    for axis in range(3):
        keep = tuple(slice(0, n - (a == axis)) for a, n in enumerate(image.shape))
        d[(axis, *keep)] = np.diff(image, axis=axis) * voxel_mm[0] / voxel_mm[axis]
    squared = (d**2).sum(0)
    if direction is not None:
        squared = squared - (d * direction).sum(0) ** 2
    weights = 1.0 if kappa is None else kappa.astype(np.float64) ** 2
    return (weights * (np.sqrt(squared + epsilon**2) - epsilon)).sum()
