"""A person's head: its size, its tilt, how it differs from the reference, and parts of it."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from sim.brain_fields import Lattice, LevelSet, Waves
from sim.shapes import Solid

# Head breadth and length in mm, mean and standard deviation of adults: the US Army survey of 1988
# (Gordon et al., NATICK/TR-89/044), women and men.
HEAD_MM = {"female": ((144.4, 4.9), (187.2, 6.4)), "male": ((151.7, 5.4), (197.0, 7.1))}
CAVITY_MM = (139.2, 177.2)  # breadth and length of the reference's cranial cavity
SHELL_MM = (23.0, 25.2)  # what skull and scalp on both sides add to them
WARP_MM = 1.2  # standard deviation of the smooth displacements along each axis
WARP_BOX = ((-140, 140), (-170, 160), (-140, 200))
SIDES = {"left": 1, "right": -1}  # signs of x


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A solid of one tissue.

    Attributes:
        tissue: a name in `sim.brain_uptake`.
        solid: Solid.
        side: left or right; None for what is in the middle or on both.
    """

    tissue: str
    solid: Solid
    side: str | None = None

    @property
    def name(self):
        """What the region is called."""
        return self.tissue if self.side is None else f"{self.side} {self.tissue}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """The way from scanner coordinates to the reference's (`sim.brain_anatomy`).

    Attributes:
        sex: female or male.
        scales: size of the head over the reference's along its x, y and z.
        turn: rotation (3, 3) from the scanner's axes to the head's.
        warp: the displacement along each of the reference's axes in mm, Lattices.
    """

    sex: str
    scales: np.ndarray
    turn: np.ndarray
    warp: tuple[Lattice, Lattice, Lattice]

    @classmethod
    def random(cls, rng):
        """The head of a random adult who lies supine, nodding and tilted by some degrees."""
        sex = ("female", "male")[rng.integers(2)]
        spans = [rng.normal(mean, deviation) for mean, deviation in HEAD_MM[sex]]
        breadth, length = (np.array(spans) - SHELL_MM) / CAVITY_MM
        height = (breadth + length) / 2 * rng.normal(1, 0.02)
        nod, yaw, tilt = np.radians(np.clip(rng.normal(0, (5, 3, 2)), -12, 12))
        turn = _rotation(1, 2, nod) @ _rotation(0, 1, yaw) @ _rotation(0, 2, tilt)
        points = Lattice.over(WARP_BOX, 8)  # fine enough for waves of 120 mm
        warp = tuple(
            points.like(WARP_MM * Waves.random(rng, 120, spread=0.3)(*points.axes))
            for _ in range(3)
        )
        return cls(sex=sex, scales=np.array([breadth, length, height]), turn=turn, warp=warp)

    @property
    def scale(self):
        """Mean size over the reference's."""
        return float(self.scales.mean())

    def reference(self, x, y, z):
        """Reference coordinates of points in the scanner (mm, broadcasting): three arrays."""
        matrix = (self.turn / self.scales[:, None]).astype(np.float32)
        x, y, z = (np.asarray(c, np.float32) for c in (x, y, z))
        return [
            (mx * x + my * y) + mz * z + warp(x, y, z)
            for (mx, my, mz), warp in zip(matrix, self.warp, strict=True)
        ]

    def point(self, reference):
        """Where in the scanner a reference point lies, without the warp: (x, y, z) in mm."""
        return self.turn.T @ (self.scales * np.asarray(reference, float))

    def box(self, extent):
        """The scanner's box ((low, high), …) in mm around a box of reference coordinates."""
        corners = np.array([self.point(corner) for corner in product(*extent)])
        low, high = corners.min(0) - 3 * WARP_MM, corners.max(0) + 3 * WARP_MM
        return tuple(zip(low.tolist(), high.tolist(), strict=True))

    def solid(self, shape, extent, *, step_mm=1.5, grown_mm=0.0):
        """The LevelSet of a shape, a depth of reference coordinates, within a box of them.

        Args:
            shape: callable of three arrays.
            extent: the box.
            step_mm: of its Lattice.
            grown_mm: how far its surface moves outwards.
        """
        lattice = Lattice.over(self.box(extent), step_mm)
        field = lattice.like(shape(self.reference(*lattice.axes)))
        return LevelSet(field=field, level=-grown_mm)

    def pair(self, tissue, shape, extent, *, step_mm=1.2, grown_mm=(0.0, 0.0)):
        """The two Parts of a shape that takes the sign of its side; extent is the left one's."""
        return [
            Part(
                tissue=tissue,
                side=word,
                solid=self.solid(
                    lambda u, side=side: shape(u, side),
                    (tuple(sorted(side * x for x in extent[0])), *extent[1:]),
                    step_mm=step_mm,
                    grown_mm=grown,
                ),
            )
            for (word, side), grown in zip(SIDES.items(), grown_mm, strict=True)
        ]


def _rotation(first, second, angle):
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = np.sin(angle), -np.sin(angle)
    return matrix
