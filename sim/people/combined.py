"""Solids made of others: united, cut, grown, moved (levels as in `sim.people.surfaces`)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.people.fields import SmoothField, is_mesh
from sim.people.surfaces import FAR, Surface


@dataclass(frozen=True, kw_only=True)
class Union(Surface):
    """Solids as one, with their joints rounded.

    Attributes:
        parts: tuple of Surface.
        rounding_mm: how far from a joint it is filled up; 0 leaves joints sharp.
    """

    parts: tuple
    rounding_mm: float = 0.0

    @cached_property
    def boxes(self):
        """Extents of the parts, (part, axis, end)."""
        return np.array([part.extent for part in self.parts])

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        low, high = self.boxes[..., 0].min(0), self.boxes[..., 1].max(0)
        grow = self.rounding_mm / 4
        return tuple((a - grow, b + grow) for a, b in zip(low.tolist(), high.tolist(), strict=True))

    def level(self, x, y, z, reach):
        """About the distance to the surface in mm, float32; negative inside."""
        reach = reach + self.rounding_mm
        level = np.full(np.broadcast_shapes(np.shape(x), np.shape(y), np.shape(z)), FAR)
        low, high = np.array([(np.min(values), np.max(values)) for values in (x, y, z)]).T
        close = (self.boxes[..., 0] <= high + reach) & (self.boxes[..., 1] >= low - reach)
        for part in (self.parts[i] for i in np.flatnonzero(close.all(axis=1))):
            box, near = _near(part.extent, (x, y, z), reach)
            if all(np.size(values) for values in near):
                other = part.level(*near, reach)
                level[box] = _smooth_minimum(level[box], other, self.rounding_mm)
        return level


@dataclass(frozen=True, kw_only=True)
class Common(Surface):
    """Where all of several solids are, with edges rounded.

    Attributes:
        parts: tuple of Surface.
        rounding_mm: how far from an edge it is taken off; 0 leaves edges sharp.
    """

    parts: tuple
    rounding_mm: float = 0.0

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        boxes = np.array([part.extent for part in self.parts])
        return tuple(zip(boxes[..., 0].max(0).tolist(), boxes[..., 1].min(0).tolist(), strict=True))

    def level(self, x, y, z, reach):
        """About the distance to the surface in mm, float32; negative inside."""
        reach = max(reach, self.rounding_mm)
        level = self.parts[0].level(x, y, z, reach)
        for part in self.parts[1:]:
            level = -_smooth_minimum(-level, -part.level(x, y, z, reach), self.rounding_mm)
        return level


@dataclass(frozen=True, kw_only=True)
class Outside(Surface):
    """All that lies outside of a solid."""

    solid: Surface

    @cached_property
    def extent(self):
        """It has no end."""
        return ((-np.inf, np.inf),) * 3

    def level(self, x, y, z, reach):
        """About the distance to the surface in mm, float32; negative inside."""
        return -self.solid.level(x, y, z, reach)


@dataclass(frozen=True, kw_only=True)
class Grown(Surface):
    """A solid grown by a layer of even thickness and by bumps.

    Attributes:
        solid: Surface.
        by_mm: thickness; negative takes off.
        field: SmoothField of the bumps, or None.
        bumps_mm: their standard deviation.
    """

    solid: Surface
    by_mm: float = 0.0
    field: SmoothField | None = None
    bumps_mm: float = 0.0

    @property
    def _most(self):
        return self.by_mm + (self.bumps_mm * self.field.bound if self.field else 0.0)

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        # Levels of long shapes are not quite distances: twice the most of outward growth is safe.
        most = max(2 * self._most, 0.0)
        return tuple((low - most, high + most) for low, high in self.solid.extent)

    def level(self, x, y, z, reach):
        """About the distance to the surface in mm, float32; negative inside."""
        level = self.solid.level(x, y, z, reach + max(self._most, 0.0)) - np.float32(self.by_mm)
        return level - self.field(x, y, z) * np.float32(self.bumps_mm) if self.field else level


@dataclass(frozen=True, kw_only=True)
class Between:
    """A solid's part between two heights.

    Attributes:
        solid: Solid.
        z_mm: (low, high).
    """

    solid: object
    z_mm: tuple[float, float]

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        x, y, (low, high) = self.solid.extent
        return x, y, (max(low, self.z_mm[0]), min(high, self.z_mm[1]))

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        return self.solid.contains(x, y, z) & (z >= self.z_mm[0]) & (z <= self.z_mm[1])


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A solid moved along z.

    Attributes:
        solid: Solid.
        by_mm: how far towards the feet.
    """

    solid: object
    by_mm: float

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        x, y, (low, high) = self.solid.extent
        return x, y, (low + self.by_mm, high + self.by_mm)

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        return self.solid.contains(x, y, z - self.by_mm)


def _near(extent, axes, reach):
    """Where points lie in a box grown by reach, as an index, and these points' coordinates."""
    if not is_mesh(*axes):
        return (..., axes)
    box = tuple(
        slice(*np.searchsorted(values.ravel(), (low - reach, high + reach)))
        for values, (low, high) in zip(axes, extent, strict=True)
    )
    x, y, z = axes
    return box, (x[box[0]], y[:, box[1]], z[:, :, box[2]])


def _smooth_minimum(a, b, rounding_mm):
    least = np.minimum(a, b)
    if rounding_mm:
        k = np.float32(rounding_mm)
        close = np.maximum(k - np.abs(a - b), 0)
        least -= close * close * np.float32(0.25 / rounding_mm)
    return least
