"""Multiple scatter from single scatter: as much more and as much wider as a simulation says."""

import math

import numpy as np

from recon import backend

_SIGMAS = 4  # where Gaussians are cut off


def widened(single, pairs, multiple):
    """Multiple scatter of coarse pairs of detectors: single scatter convolved, times the ratio.

    Counts that the convolution would take out of the bins across the scanner or along the line stay
    in them; along the axis, where objects go on beyond the scanner, so does the single scatter.

    Args:
        single: float32 (crystals, offsets, tof, rings, rings), CoarsePairs.shape.
        pairs: its CoarsePairs.
        multiple: MultipleScatter.
    Returns:
        float32 of the same shape. Summed over the layout it counts multiple.to_single as much.
    """
    xp = backend.array_module(single)
    wide = _along(xp, single, multiple.along_mm, pairs)
    wide = _axially(xp, wide, multiple.axial_mm, pairs)
    # Across the scanner counts are convolved, in the units in which the mean squares were found.
    solid = xp.asarray(pairs.solid_angles().astype(np.float32))[None, :, None]
    wide *= solid
    _across(xp, wide, multiple.radial_mm, pairs)
    wide /= solid
    counts, before = (_counts(xp, array, pairs) for array in (wide, single))
    if counts > 0:
        wide *= np.float32(multiple.to_single * before / counts)
    return wide


def single_share(single, multiple, pairs):
    """Which part of the scatter is single, by the radial bins of the pairs' layout, (radial,)."""
    xp = backend.array_module(single)
    counts = [
        backend.to_device(_radial_counts(xp, array, pairs), "cpu") for array in (single, multiple)
    ]
    total = counts[0] + counts[1]
    share = np.divide(counts[0], total, np.ones_like(total), where=total > 0)
    used = total > 0
    if not used.any():
        return np.ones(pairs.layout.radial_bins)
    s = np.abs(pairs.layout.rays()[0, :, 2])
    return np.interp(s, pairs.radial_mm[used][::-1], share[used][::-1])


def _counts(xp, array, pairs):
    return float(_radial_counts(xp, array, pairs).sum())


def _radial_counts(xp, array, pairs):
    """Counts of the layout by offset, (offsets,) float64, but for a constant."""
    weight = xp.asarray(pairs.solid_angles() * pairs.share())
    return (array.sum(axis=(0, 2), dtype=np.float64) * weight).sum(axis=(1, 2))


def _gauss(distance, sigma):
    return np.where(
        np.abs(distance) <= _SIGMAS * sigma, np.exp(-0.5 * (distance / sigma) ** 2), 0.0
    )


def _along(xp, array, sigma, pairs):
    """Convolves the time-of-flight axis; what would leave it stays. A new array."""
    if not pairs.tof_bins or sigma == 0:
        return array.copy()
    place = np.arange(pairs.tof_bins) * pairs.layout.tof_bin_mm
    kernel = _gauss(place - place[:, None], sigma)
    kernel /= kernel.sum(axis=0)
    kernel = xp.asarray(kernel.astype(np.float32))
    wide = xp.empty_like(array)
    for crystal in range(len(array)):
        wide[crystal] = xp.einsum("ij,ojrs->oirs", kernel, array[crystal])
    return wide


def _axially(xp, array, sigma, pairs):
    """Convolves pairs of equal ring difference: means of those that there are."""
    if pairs.rings == 1 or sigma == 0:
        return array
    pitch, rings = pairs.rings_mm[1] - pairs.rings_mm[0], pairs.rings
    reach = min(rings - 1, math.floor(_SIGMAS * sigma / pitch))
    wide, weight = xp.zeros_like(array), xp.zeros((rings, rings), np.float32)
    for step in range(-reach, reach + 1):
        to = slice(max(0, step), rings + min(0, step))
        of = slice(max(0, -step), rings + min(0, -step))
        share = np.float32(_gauss(step * pitch, sigma))
        wide[..., to, to] += share * array[..., of, of]
        weight[to, to] += share
    wide /= weight
    return wide


def _across(xp, array, sigma, pairs):
    """Convolves pairs of equal direction, in place; what would leave the bins stays in them."""
    if sigma == 0:
        return
    crystals, first, bins = pairs.crystals, pairs.first_offset, array.shape[2]
    offset = np.arange(first, crystals - first + 1)
    turn = np.pi * offset / crystals
    s = pairs.layout.scanner.effective_radius_mm * np.cos(turn)
    parts = []
    for start in range(min(2, len(offset))):  # pairs of one direction are every other one
        of = np.arange(start, len(offset), 2)
        kernel = np.sin(turn[of])[:, None] * _gauss(s[of][:, None] - s[of], sigma)
        kernel /= kernel.sum(axis=0)
        row = (np.arange(crystals)[:, None] - np.arange(len(of))) % crystals
        parts.append((of, xp.asarray(kernel.astype(np.float32)), xp.asarray(row)))
    for bin_ in range(-(-bins // 2)):
        these = [bin_, bins - 1 - bin_]  # of a line and of its ends exchanged
        both = pairs.both_ways(xp, array[:, :, these])
        for of, kernel, row in parts:
            of = xp.asarray(of)
            both[row, of] = xp.einsum("ij,qjtrs->qitrs", kernel, both[row, of])
        array[:, :, these] = both[:, : pairs.offsets]
