"""Smooth random fields: what makes surfaces uneven and uptake vary within an organ."""

from dataclasses import dataclass

import numpy as np

LIMIT = 2.5  # random numbers of a lattice are cut off at this many standard deviations
# Mean square of a quadratic B-spline of white noise along one axis: 11/20.
_SD = (11 / 20) ** 1.5


def is_mesh(x, y, z):
    """Whether coordinates are an open mesh (`numpy.ix_`): each runs along an axis of its own."""
    return all(
        np.ndim(values) == 3 and np.size(values) == values.shape[axis]
        for axis, values in enumerate((x, y, z))
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SmoothField:
    """A quadratic B-spline of random numbers on a lattice that repeats: a smooth function of place.

    Attributes:
        lattice: the numbers (x, y, z), float32.
        spacing_mm: between them, along x, y and z.
    """

    lattice: np.ndarray
    spacing_mm: tuple[float, float, float]

    @classmethod
    def draw(cls, rng, spacing_mm, size=(8, 8, 8)):
        """A field with mean 0 and standard deviation 1 over many lattices, from a Generator."""
        lattice = np.clip(rng.standard_normal(size), -LIMIT, LIMIT) / _SD
        spacing = tuple(np.broadcast_to(np.asarray(spacing_mm, float), 3).tolist())
        return cls(lattice=lattice.astype(np.float32), spacing_mm=spacing)

    @property
    def bound(self):
        """No value of the field is larger, in size."""
        return float(np.abs(self.lattice).max())

    def __call__(self, x, y, z):
        """The field at points (mm, broadcasting), float32."""
        taps = [
            _taps(np.asarray(values, np.float64) / spacing, size)
            for values, spacing, size in zip(
                (x, y, z), self.spacing_mm, self.lattice.shape, strict=True
            )
        ]
        if not is_mesh(x, y, z):
            return sum(
                self.lattice[i, j, k] * (u * v * w)
                for i, u in taps[0] for j, v in taps[1] for k, w in taps[2]
            )
        field = self.lattice
        for axis, along in enumerate(taps):
            field = sum(field.take(index.ravel(), axis) * weight for index, weight in along)
        return field


def _taps(at, size):
    """Which numbers of a lattice reach to places along it, and with what weights."""
    middle = np.rint(at)
    off = (at - middle).astype(np.float32)
    middle = middle.astype(np.int64)
    weights = 0.5 * (0.5 - off) ** 2, 0.75 - off**2, 0.5 * (0.5 + off) ** 2
    return [((middle + k) % size, w) for k, w in zip((-1, 0, 1), weights, strict=True)]
