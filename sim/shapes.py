"""Solids that phantoms are made of, in scanner coordinates (recon.grid), and voxels of them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Solid(Protocol):
    """What a solid has: a box around it, and which points lie inside."""

    @property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""


@dataclass(frozen=True, kw_only=True)
class Ellipsoid:
    """An ellipsoid.

    Attributes:
        centre_mm: (x, y, z).
        radii_mm: half axes, all positive; infinite where the solid has no end.
        turn_deg: how far the first two half axes are turned from x towards y.
    """

    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    turn_deg: float = 0.0

    def __post_init__(self):
        if not all(radius > 0 for radius in self.radii_mm):
            raise ValueError(
                f"{type(self).__name__} takes positive radii_mm, got {self.radii_mm}; "
                "leave the solid out instead"
            )

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        u, v, w = self._normalised(x, y, z)
        return (u**2 + v**2) + w**2 <= 1

    @property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        turn, (a, b, c) = np.radians(self.turn_deg), self.radii_mm
        cos, sin = np.cos(turn), np.sin(turn)
        half = np.hypot(a * cos, b * sin), np.hypot(a * sin, b * cos), c
        return tuple((m - h, m + h) for m, h in zip(self.centre_mm, half, strict=True))

    def _normalised(self, x, y, z):
        turn, (a, b, c) = np.radians(self.turn_deg), self.radii_mm
        cos, sin = np.cos(turn), np.sin(turn)
        x, y, z = (value - m for value, m in zip((x, y, z), self.centre_mm, strict=True))
        return (x * cos + y * sin) / a, (y * cos - x * sin) / b, z / c


class Cylinder(Ellipsoid):
    """An elliptic cylinder along z; radii_mm are its two half axes and half its length."""

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        u, v, w = self._normalised(x, y, z)
        return (u**2 + v**2 <= 1) & (np.abs(w) <= 1)


def paint(solids, tables, grid, samples=3, outside=None):
    """Means of several quantities over each voxel, where a later solid covers the earlier ones.

    Args:
        solids: each a Solid.
        tables: of each quantity one number per solid.
        grid: Grid.
        samples: points along each side of a voxel; edges are as fine as their number.
        outside: each quantity's value where there is no solid; 0 by default.
    Returns:
        Images (x, y, z), float32, one for each table.
    """
    outside = [0.0] * len(tables) if outside is None else outside
    tables = [np.array([out, *t], np.float32) for out, t in zip(outside, tables, strict=True)]
    if any(len(table) != len(solids) + 1 for table in tables):
        raise ValueError(f"paint takes one number per solid, {len(solids)} in each table")
    images = [np.empty(grid.shape, np.float32) for _ in tables]
    x, y, z = (_sample_points(grid, axis, samples) for axis in range(3))
    slab = max(1, 2_000_000 // (samples**3 * grid.shape[1] * grid.shape[2]))
    for first in range(0, grid.shape[0], slab):
        last = min(first + slab, grid.shape[0])
        axes = x[first * samples : last * samples], y, z
        at = np.zeros([len(axis) for axis in axes], np.uint16)  # number of the solid, from 1
        for number, solid in enumerate(solids, start=1):
            box = tuple(
                slice(*np.searchsorted(axis, ends))
                for axis, ends in zip(axes, solid.extent, strict=True)
            )
            near = [axis[part] for axis, part in zip(axes, box, strict=True)]
            if all(len(axis) for axis in near):
                at[box][solid.contains(*np.ix_(*near))] = number
        for image, table in zip(images, tables, strict=True):
            image[first:last] = _voxel_means(table[at], samples)
    return images


def _voxel_means(points, samples):
    # One axis at a time, z last: each sum runs over long contiguous rows.
    for axis in range(3) if samples > 1 else ():
        size = points.shape[axis] // samples
        shape = (*points.shape[:axis], size, samples, *points.shape[axis + 1 :])
        points = points.reshape(shape).mean(axis=axis + 1)
    return points


def _sample_points(grid, axis, samples):
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    return (grid.centres(axis)[:, None] + offsets * grid.voxel_mm[axis]).ravel()
