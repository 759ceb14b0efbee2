"""Smooth solids as level functions: about the distance in mm to the surface, negative inside.

Each is a Solid (`sim.shapes`). A level need only be right near the surface: at points farther out
than `reach` mm it may be FAR. Points are an open mesh or arrays of one shape, in mm; levels are
float32.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.people.fields import SmoothField

FAR = np.float32(1e3)


class Surface:
    """What level functions share: a point is inside where the level is not positive."""

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        return self.level(x, y, z, 0.0) <= 0


@dataclass(frozen=True, kw_only=True)
class Blob(Surface):
    """An ellipsoid turned any way, or a rounder-edged box (superellipsoid).

    Attributes:
        centre_mm: (x, y, z).
        radii_mm: half axes.
        axes: unit vectors along the half axes, as rows.
        power: 2 of an ellipsoid; higher is more of a box.
    """

    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    axes: tuple = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    power: float = 2.0

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        spread = np.abs(np.array(self.axes).T) * self.radii_mm
        half = np.hypot(np.hypot(*spread.T[:2]), spread.T[2]) if self.power == 2 else spread.sum(1)
        return tuple((c - h, c + h) for c, h in zip(self.centre_mm, half.tolist(), strict=True))

    def level(self, x, y, z, reach):
        """About the distance to the surface in mm, float32; negative inside."""
        x, y, z = (_float32(v, c) for v, c in zip((x, y, z), self.centre_mm, strict=True))
        total = 0
        for axis, radius in zip(self.axes, self.radii_mm, strict=True):
            a, b, c = (np.float32(part / radius) for part in axis)
            along = np.abs((a * x + b * y) + c * z)
            total = total + (along * along if self.power == 2 else along ** np.float32(self.power))
        mean = np.float32(np.prod(self.radii_mm) ** (1 / 3))
        root = np.sqrt(total) if self.power == 2 else total ** np.float32(1 / self.power)
        return (root - np.float32(1)) * mean


@dataclass(frozen=True, kw_only=True)
class Cone(Surface):
    """What a ball sweeps that moves along a line while its radius changes.

    Attributes:
        ends_mm: centres of the ball at both ends.
        radii_mm: its radius there.
    """

    ends_mm: tuple
    radii_mm: tuple[float, float]

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        return tuple(
            (min(a - r, b - s), max(a + r, b + s))
            for r, s in [self.radii_mm] for a, b in zip(*self.ends_mm, strict=True)
        )

    def level(self, x, y, z, reach):
        """About the distance to the surface in mm, float32; negative inside."""
        start, end = np.array(self.ends_mm)
        way = end - start
        x, y, z = (_float32(v, c) for v, c in zip((x, y, z), start, strict=True))
        square = float(way @ way)
        a, b, c = (np.float32(part) for part in way)
        along = ((a * x + b * y) + c * z) * np.float32(1 / square if square else 0)
        np.clip(along, 0, 1, out=along)
        distance = np.sqrt((x - a * along) ** 2 + (y - b * along) ** 2 + (z - c * along) ** 2)
        first, last = self.radii_mm
        return distance - np.float32(first) - np.float32(last - first) * along


@dataclass(frozen=True, kw_only=True, eq=False)
class Loft(Surface):
    """Superellipses stacked along z, in front and behind of unlike depth.

    Attributes:
        z_mm: heights of the sections, growing.
        middle_mm, half_mm: of each section, its middle along x and half its width.
        front_mm, back_mm: of each section, its ends along y.
        power: 2 of an ellipse; higher is more of a box.
    """

    z_mm: np.ndarray
    middle_mm: np.ndarray
    half_mm: np.ndarray
    front_mm: np.ndarray
    back_mm: np.ndarray
    power: float = 2.4

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        x = self.middle_mm - self.half_mm, self.middle_mm + self.half_mm
        y = self.front_mm, self.back_mm
        return tuple((float(a.min()), float(b.max())) for a, b in (x, y, (self.z_mm, self.z_mm)))

    def level(self, x, y, z, reach):
        """About the distance to the surface in mm, float32; negative inside."""
        z = np.asarray(z, np.float64)
        middle, half, front, back = (
            np.interp(z, self.z_mm, values).astype(np.float32)
            for values in (self.middle_mm, self.half_mm, self.front_mm, self.back_mm)
        )
        deep, power = (back - front) / 2, np.float32(self.power)
        u = np.abs((_float32(x) - middle) / half) ** power
        v = np.abs((_float32(y) - (front + back) / 2) / deep) ** power
        # Of rho^p - 1, the slope at the surface is p: about the distance over the smaller radius.
        level = ((u + v) - np.float32(1)) * (np.minimum(half, deep) / power)
        beyond = np.maximum(self.z_mm[0] - z, z - self.z_mm[-1]).astype(np.float32)
        return np.maximum(level, beyond)


@dataclass(frozen=True, kw_only=True)
class Half(Surface):
    """All that lies behind a plane.

    Attributes:
        point_mm: on the plane.
        normal: that leads out; a unit vector.
    """

    point_mm: tuple[float, float, float]
    normal: tuple[float, float, float]

    @cached_property
    def extent(self):
        """It has no end."""
        return ((-np.inf, np.inf),) * 3

    def level(self, x, y, z, reach):
        """The distance to the plane in mm, float32; negative inside."""
        x, y, z = (_float32(v, c) for v, c in zip((x, y, z), self.point_mm, strict=True))
        a, b, c = (np.float32(part) for part in self.normal)
        return (a * x + b * y) + c * z


@dataclass(frozen=True, kw_only=True)
class Sheets(Surface):
    """Thin winding sheets, where a field is near zero.

    Attributes:
        field: SmoothField.
        part: of space, that they fill: about this times 0.4, while small.
    """

    field: SmoothField
    part: float

    @cached_property
    def extent(self):
        """It has no end."""
        return ((-np.inf, np.inf),) * 3

    def level(self, x, y, z, reach):
        """Grows with the distance to a sheet, float32; negative inside."""
        return np.abs(self.field(x, y, z)) - np.float32(self.part)


def _float32(values, minus=0.0):
    return (np.asarray(values) - minus).astype(np.float32)
