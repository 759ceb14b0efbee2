"""Solids that phantoms are made of, in scanner coordinates (recon.grid), and voxels of them."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_POINTS_AT_ONCE = 2_000_000
_THIN = 16  # a solid with fewer points across is painted with more,
_ACROSS = 48  # this many, which makes its volume right to some 0.3 %,
_MOST = 128  # and no more along the side of a voxel
_SMALL = 5000  # voxels in the box of a thin solid that does not know its own volume


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

    @property
    def volume_mm3(self):
        """4/3 pi a b c."""
        return 4 / 3 * np.pi * float(np.prod(self.radii_mm))

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

    @property
    def volume_mm3(self):
        """2 pi a b c."""
        return 2 * np.pi * float(np.prod(self.radii_mm))


def ball(centre_mm, diameter_mm):
    """The Ellipsoid with three equal half axes."""
    return Ellipsoid(centre_mm=centre_mm, radii_mm=(diameter_mm / 2,) * 3)


def rod(x_mm, y_mm, diameter_mm, z_mm):
    """The Cylinder along z that is round and leads from one z to another."""
    low, high = z_mm
    radii = (diameter_mm / 2, diameter_mm / 2, (high - low) / 2)
    return Cylinder(centre_mm=(x_mm, y_mm, (low + high) / 2), radii_mm=radii)


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box whose edges run along x, y and z.

    Attributes:
        centre_mm: (x, y, z).
        sides_mm: lengths of its edges.
    """

    centre_mm: tuple[float, float, float]
    sides_mm: tuple[float, float, float]

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        (x0, x1), (y0, y1), (z0, z1) = self.extent
        return ((x >= x0) & (x <= x1)) & ((y >= y0) & (y <= y1)) & ((z >= z0) & (z <= z1))

    @property
    def volume_mm3(self):
        """The product of its sides."""
        return float(np.prod(self.sides_mm))

    @property
    def extent(self):
        """The box itself in mm, ((low, high) of x, of y, of z)."""
        pairs = zip(self.centre_mm, self.sides_mm, strict=True)
        return tuple((m - side / 2, m + side / 2) for m, side in pairs)


@dataclass(frozen=True, kw_only=True)
class BodyOutline:
    """A prism along z: to the front half a circle, to the back a flat side with two round corners.

    Attributes:
        centre_mm: (x, y, z) of the circle's centre, halfway along z.
        radius_mm: of the circle; twice as wide is the prism.
        corner_mm: radius of the corners, which is how far the flat side lies from the centre.
        length_mm: along z.
    """

    centre_mm: tuple[float, float, float]
    radius_mm: float
    corner_mm: float
    length_mm: float

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        x, y, z = (value - m for value, m in zip((x, y, z), self.centre_mm, strict=True))
        aside = np.maximum(np.abs(x) - (self.radius_mm - self.corner_mm), 0)
        front = (y <= 0) & (x**2 + y**2 <= self.radius_mm**2)
        back = (y > 0) & (aside**2 + y**2 <= self.corner_mm**2)
        return (front | back) & (np.abs(z) <= self.length_mm / 2)

    @property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        (x, y, z), radius, half = self.centre_mm, self.radius_mm, self.length_mm / 2
        return (x - radius, x + radius), (y - radius, y + self.corner_mm), (z - half, z + half)


@dataclass(frozen=True, kw_only=True)
class Intersection:
    """What two or more solids have in common.

    Attributes:
        solids: tuple of Solid, which overlap.
    """

    solids: tuple[Solid, ...]

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        inside = self.solids[0].contains(x, y, z)
        for solid in self.solids[1:]:
            inside = inside & solid.contains(x, y, z)
        return inside

    @property
    def extent(self):
        """The box that their boxes have in common in mm, ((low, high) of x, of y, of z)."""
        return tuple(
            (max(low for low, _ in ends), min(high for _, high in ends))
            for ends in zip(*(solid.extent for solid in self.solids), strict=True)
        )


def paint(solids, tables, grid, samples=3, outside=None):
    """Means of several quantities over each voxel, where a later solid covers the earlier ones.

    Args:
        solids: each a Solid.
        tables: of each quantity one number per solid.
        grid: Grid.
        samples: points along each side of a voxel; edges are as fine as their number. Voxels that
            a thin solid touches get more, where it is small or knows its volume. With 1, a voxel
            has the value at its middle.
        outside: each quantity's value where there is no solid; 0 by default.
    Returns:
        Images (x, y, z), float32, one for each table.
    """
    outside = [0.0] * len(tables) if outside is None else outside
    tables = [np.array([out, *t], np.float32) for out, t in zip(outside, tables, strict=True)]
    if any(len(table) != len(solids) + 1 for table in tables):
        raise ValueError(f"paint takes one number per solid, {len(solids)} in each table")
    images = _painted(solids, tables, grid, (samples,) * 3)
    for fine, part in _thin_parts(solids, grid, samples) if samples > 1 else ():
        for image, better in zip(images, _painted(solids, tables, grid, fine, part), strict=True):
            image[part] = better
    return images


def _painted(solids, tables, grid, samples, part=(slice(None),) * 3):
    """Images of a part of the grid, with so many points along x, y and z of a voxel."""
    x, y, z = (_sample_points(grid, axis, samples[axis], part[axis]) for axis in range(3))
    shape = tuple(len(axis) // n for axis, n in zip((x, y, z), samples, strict=True))
    images = [np.empty(shape, np.float32) for _ in tables]
    slab = max(1, _POINTS_AT_ONCE // (samples[0] * len(y) * len(z)))
    for first in range(0, shape[0], slab):
        last = min(first + slab, shape[0])
        axes = x[first * samples[0] : last * samples[0]], y, z
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


def _thin_parts(solids, grid, samples):
    """Where solids are too thin for the samples: (samples along x, y, z; part of the grid) of each.

    The finest come last.
    """
    found = []
    for solid in solids:
        exact = hasattr(solid, "volume_mm3")  # ribs and vessels wind through large boxes
        low, high = np.transpose(solid.extent)
        across = samples * (high - low) / grid.voxel_mm
        fine = tuple(
            min(math.ceil(samples * _ACROSS / n), max(samples, _MOST)) if 0 < n < _THIN else samples
            for n in across
        )
        first_face = np.array(grid.extent)[:, 0]
        first = np.clip(np.floor((low - first_face) / grid.voxel_mm), 0, grid.shape)
        end = np.clip(np.ceil((high - first_face) / grid.voxel_mm), 0, grid.shape)
        small = exact or math.prod(end - first) <= _SMALL
        if max(fine) > samples and (end > first).all() and small:
            part = tuple(slice(int(i), int(j)) for i, j in zip(first, end, strict=True))
            found.append((fine, part))
    return sorted(found, key=lambda pair: math.prod(pair[0]))


def _voxel_means(points, samples):
    # One axis at a time, z last: each sum runs over long contiguous rows.
    for axis, n in enumerate(samples):
        if n > 1:
            shape = (*points.shape[:axis], points.shape[axis] // n, n, *points.shape[axis + 1 :])
            points = points.reshape(shape).mean(axis=axis + 1)
    return points


def _sample_points(grid, axis, samples, part):
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    return (grid.centres(axis)[part, None] + offsets * grid.voxel_mm[axis]).ravel()
