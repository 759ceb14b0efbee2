"""Smooth fields on a lattice, and the solids that they bound.

A field is positive inside its solid and negative outside: a depth in mm, near its surface.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Lattice:
    """A field between sample points, linear along each axis; beyond the lattice its edge goes on.

    Attributes:
        values: array (x, y, z), float32, at least two points along each axis.
        origin_mm: of point (0, 0, 0).
        step_mm: between points.
    """

    values: np.ndarray
    origin_mm: tuple[float, float, float]
    step_mm: float

    def __post_init__(self):
        self.values.setflags(write=False)

    def __call__(self, x, y, z):
        """The field at points in mm; coordinates that broadcast."""
        if np.ndim(x) == 3 and x.size * y.size * z.size == np.broadcast(x, y, z).size:
            return self._on_axes(x.ravel(), y.ravel(), z.ravel())
        weighted = 0
        parts = [self._neighbours(c, axis) for axis, c in enumerate((x, y, z))]
        for corner in np.ndindex(2, 2, 2):
            at = tuple(index + up for (index, _), up in zip(parts, corner, strict=True))
            weight = 1
            for (_, part), up in zip(parts, corner, strict=True):
                weight = weight * (part if up else 1 - part)
            weighted = weighted + weight * self.values[at]
        return weighted

    def _on_axes(self, *axes):
        # The same interpolation for the points of a box: one axis after the other.
        values = self.values
        for axis, coordinates in enumerate(axes):
            index, part = self._neighbours(coordinates, axis)
            part = np.expand_dims(part, tuple(range(1, 3 - axis)))
            low = values.take(index, axis)
            values = values.take(index + 1, axis)
            values -= low
            values *= part
            values += low
        return values

    def _neighbours(self, coordinates, axis):
        last = self.values.shape[axis] - 1
        at = np.clip((np.asarray(coordinates) - self.origin_mm[axis]) / self.step_mm, 0, last)
        index = np.minimum(at.astype(np.int64), last - 1)
        return index, (at - index).astype(np.float32)

    @cached_property
    def axes(self):
        """Coordinates of the points along x, y and z in mm, shaped to broadcast."""
        ends = zip(self.origin_mm, self.values.shape, strict=True)
        return np.ix_(*(low + self.step_mm * np.arange(size) for low, size in ends))

    def like(self, values):
        """The Lattice of other values at the same points."""
        values = np.ascontiguousarray(values, np.float32)
        return Lattice(values=values, origin_mm=self.origin_mm, step_mm=self.step_mm)

    @classmethod
    def over(cls, extent, step_mm):
        """A Lattice of zeros that covers a box ((low, high) of x, of y, of z) in mm."""
        shape = [max(2, int(np.ceil((high - low) / step_mm)) + 1) for low, high in extent]
        values = np.zeros(shape, np.float32)
        return cls(values=values, origin_mm=tuple(low for low, _ in extent), step_mm=step_mm)


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelSet:
    """The solid where a field on a Lattice exceeds a level.

    Attributes:
        field: Lattice, below the level at its edge.
        level: in the field's unit.
    """

    field: Lattice
    level: float = 0.0

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        return self.field(x, y, z) > self.level

    @cached_property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        inside, box = self.field.values > self.level, []
        for axis, low in enumerate(self.field.origin_mm):
            found = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
            first, last = (found[0] - 1, found[-1] + 1) if found.size else (0, 0)
            box.append(tuple(float(low + at * self.field.step_mm) for at in (first, last)))
        return tuple(box)


def depth(values, step_mm):
    """Distance in mm to where a field changes its sign, positive where it is positive.

    Between lattice points the crossing is where the field's gradient puts it, and the surface is
    flat around it: the distance is smooth although only points are searched.

    Args:
        values: array (x, y, z) that is positive somewhere and negative somewhere.
        step_mm: between its points.
    """
    from scipy.ndimage import distance_transform_edt

    positive = values > 0
    near = np.zeros(values.shape, bool)
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        differs = positive[tuple(low)] != positive[tuple(high)]
        near[tuple(low)] |= differs
        near[tuple(high)] |= differs
    normal = np.stack([part[near] for part in np.gradient(values, step_mm)])
    steep = np.sqrt((normal**2).sum(0))
    normal /= np.maximum(steep, np.finfo(np.float32).tiny)
    # Where the slope vanishes the crossing is still no further than the next point.
    beyond = -values[near] / np.maximum(steep, np.abs(values[near]) / step_mm)
    crossing = (np.argwhere(near).T * step_mm + beyond * normal).astype(np.float32)
    number = np.zeros(values.shape, np.int32)
    number[near] = np.arange(crossing.shape[1])
    nearest = distance_transform_edt(~near, return_distances=False, return_indices=True)
    number = number[tuple(nearest)]
    across, squared = np.float32(0), np.float32(0)
    for axis, size in enumerate(values.shape):
        points = np.arange(size, dtype=np.float32) * np.float32(step_mm)
        to = np.expand_dims(points, tuple({0, 1, 2} - {axis})) - crossing[axis][number]
        across = across + to * normal[axis].astype(np.float32)[number]
        squared = squared + to**2
    # The surface is flat around a crossing, up to where the next crossing would be nearer.
    along = np.sqrt(np.maximum(squared - across**2, 0))
    distance = np.hypot(across, np.maximum(along - np.float32(step_mm), 0))
    return np.where(positive, distance, -distance)


def smooth_minimum(a, b, width):
    """The smaller of two fields, its edge rounded over a width in mm."""
    blend = np.maximum(width - np.abs(a - b), 0) / width
    return np.minimum(a, b) - blend**2 * (width / 4)


def smooth_maximum(a, b, width):
    """The greater of two fields, its edge rounded over a width in mm."""
    return -smooth_minimum(-a, -b, width)


@dataclass(frozen=True, kw_only=True, eq=False)
class Waves:
    """A Gaussian random field of nearly one wavelength: mean 0, standard deviation 1.

    Attributes:
        numbers: wave numbers of the plane waves that are summed, (wave, 3), 1/mm.
        phases: of the waves.
    """

    numbers: np.ndarray
    phases: np.ndarray

    @classmethod
    def random(cls, rng, wavelength_mm, count=16, spread=0.15, stretch=(1, 1, 1)):
        """Waves in random directions.

        Args:
            rng: numpy Generator.
            wavelength_mm: their mean.
            count: how many are summed.
            spread: standard deviation of the wave numbers, relative.
            stretch: how much longer than elsewhere the waves are along x, y, z.
        """
        direction = rng.standard_normal((count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        number = 2 * np.pi / wavelength_mm * (1 + spread * rng.standard_normal((count, 1)))
        numbers = (number * direction / stretch).astype(np.float32)
        return cls(numbers=numbers, phases=rng.uniform(0, 2 * np.pi, count).astype(np.float32))

    def __call__(self, x, y, z):
        """The field at points in mm; coordinates that broadcast."""
        points = [np.asarray(c, np.float32) for c in (x, y, z)]
        total = np.zeros(np.broadcast_shapes(*(c.shape for c in points)), np.float32)
        for (kx, ky, kz), start in zip(self.numbers, self.phases, strict=True):
            total += np.cos((kx * points[0] + ky * points[1] + start) + kz * points[2])
        return total * np.float32(np.sqrt(2 / len(self.phases)))
