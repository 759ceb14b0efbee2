"""What a person is built up from: named solids in order of covering."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sim.people.combined import Common, Grown
from sim.people.fields import SmoothField
from sim.people.outline import REFERENCE_CM, Outline
from sim.people.shaping import of_volume, tube, turned
from sim.people.surfaces import Surface

SIDES = (-1, 1)  # right, left


@dataclass(frozen=True, kw_only=True)
class Organ:
    """A named solid of a person.

    Attributes:
        name: of the tissue.
        solid: Surface.
        moves: how far it goes towards the feet in breathing, over the diaphragm's way.
    """

    name: str
    solid: Surface
    moves: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A person under construction: named solids, drawn at random within an outline.

    Attributes:
        outline: Outline.
        rng: Generator that all shapes are drawn from.
        parts: list of Organ, a later one over the earlier.
    """

    outline: Outline
    rng: np.random.Generator
    parts: list = field(default_factory=list)

    @property
    def frame(self):
        """Where places of the reference man are in the person."""
        return self.outline.frame

    @property
    def is_male(self):
        """Whether the person is a man."""
        return self.frame.habitus.sex == "male"

    def add(self, name, *solids, moves=0.0):
        """Cover what is there by solids of one name; `moves` as of an Organ."""
        self.parts.extend(Organ(name=name, solid=solid, moves=moves) for solid in solids)

    def scale(self, depth):
        """Scales along x, y and z at a depth."""
        return np.array([self.frame.width(depth), self.frame.deep, self.frame.tall])

    def shift(self, mm=3.0):
        """A random shift (x, y, depth) in mm that organs have from person to person."""
        return np.clip(self.rng.standard_normal(3), -2, 2) * mm

    def blob(self, place, radii, turns_deg=(0.0, 0.0, 0.0), power=2.0):
        """A Blob at a place (x, y, depth) of radii in mm in the reference man."""
        scale = self.scale(place[2])
        return turned(self.frame.place(*place), np.array(radii) * scale, turns_deg, power)

    def tube(self, places, radii, count=None):
        """A tube along places (x, y, depth) of radii in mm in the reference man."""
        size = self.frame.wide
        return tube(self.frame.place(*np.array(places, float).T), np.array(radii) * size, count)

    def uneven(self, solid, mm, spacing_mm):
        """The solid with random bumps of a standard deviation and a spacing, in mm."""
        bumps = SmoothField.draw(self.rng, spacing_mm)
        return Grown(solid=solid, field=bumps, bumps_mm=mm)

    def below_fat(self, solid, mm):
        """What of a solid lies at least so many mm below the fat, however thin the person."""
        return Common(parts=(solid, Grown(solid=self._muscle, by_mm=-mm)))

    @cached_property
    def _muscle(self):
        return self.outline.muscle()

    def volume(self, male_ml, female_ml, spread=0.12):
        """An organ's volume: the reference adult's, times the square of height, times chance.

        References follow the masses of ICRP Publication 89 (2002) where it gives them, rounded; the
        spread, of the logarithm, is a typical value.
        """
        reference, tall = (male_ml, REFERENCE_CM) if self.is_male else (female_ml, 163.0)
        chance = np.exp(spread * np.clip(self.rng.standard_normal(), -2, 2))
        return reference * (self.frame.habitus.height_cm / tall) ** 2 * chance

    def organ(self, make, male_ml, female_ml, spread=0.12):
        """The solid make(s), s a scale of lengths near 1, of a random volume."""
        return of_volume(make, self.volume(male_ml, female_ml, spread))
