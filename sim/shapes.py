"""Solids that phantoms are made of, in scanner coordinates (recon.grid), and voxels of them."""

from dataclasses import dataclass

import numpy as np


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


def paint(solids, values, grid, samples=3):
    """Mean of `values` over each voxel, where a later solid covers the earlier ones.

    Args:
        solids: Ellipsoids and Cylinders.
        values: one number for each; 0 where there is no solid.
        grid: Grid.
        samples: points along each side of a voxel; edges are as fine as their number.
    Returns:
        Image (x, y, z), float32.
    """
    image = np.empty(grid.shape, np.float32)
    x, y, z = (_sample_points(grid, axis, samples) for axis in range(3))
    slab = max(1, 2_000_000 // (samples**3 * grid.shape[1] * grid.shape[2]))
    for first in range(0, grid.shape[0], slab):
        last = min(first + slab, grid.shape[0])
        axes = x[first * samples : last * samples], y, z
        points = np.zeros([len(axis) for axis in axes], np.float32)
        for solid, value in zip(solids, values, strict=True):
            box = tuple(
                slice(*np.searchsorted(axis, ends))
                for axis, ends in zip(axes, solid.extent, strict=True)
            )
            near = (axis[part] for axis, part in zip(axes, box, strict=True))
            inside = solid.contains(*np.ix_(*near))
            points[box][inside] = value
        # One axis at a time, z last: each sum runs over long contiguous rows.
        for axis in range(3):
            size = points.shape[axis] // samples
            shape = (*points.shape[:axis], size, samples, *points.shape[axis + 1 :])
            points = points.reshape(shape).mean(axis=axis + 1)
        image[first:last] = points
    return image


def _sample_points(grid, axis, samples):
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    return (grid.centres(axis)[:, None] + offsets * grid.voxel_mm[axis]).ravel()
