"""Breathing: organs near the diaphragm move along z while a scan lasts, and images blur."""

from dataclasses import dataclass, replace

import numpy as np

from sim.people.surfaces import Moved
from sim.phantoms import IMAGES, Phantom

PHASES = 5
MOST_MM = 40.0


@dataclass(frozen=True, kw_only=True)
class BreathingPhantom(Phantom):
    """A phantom whose images are means over phases of breathing; its regions are at end-expiration.

    The diaphragm's way is Lujan's, b cos^6(pi t / tau), whose organs rest longest at end-expiration
    (Lujan et al., Med. Phys. 26, 715-720, 1999). Labels, fractions and lesions are of the regions,
    at end-expiration. The texture stays where it is.

    Attributes:
        breathing_mm: b, the diaphragm's way from end-expiration to end-inspiration.
        moves: of each region, its way over the diaphragm's.
    """

    breathing_mm: float
    moves: tuple[float, ...]

    def images(self, grid, samples=3, names=IMAGES):
        """Several images, means over PHASES equally long phases; see Phantom.images."""
        steady = [name for name in names if name == "labels"]
        blurred = [name for name in names if name != "labels"]
        found = super().images(grid, samples, steady) if steady else {}
        for way in phases(self.breathing_mm) if blurred else ():
            for name, image in self.at(way).images(grid, samples, blurred).items():
                found[name] = found.get(name, np.float32(0)) + image / np.float32(PHASES)
        return {name: found[name] for name in names}

    def at(self, way_mm):
        """The Phantom while the diaphragm is way_mm below its place at end-expiration."""
        regions = tuple(
            region if not moves else _moved(region, moves * way_mm)
            for region, moves in zip(self.regions, self.moves, strict=True)
        )
        return Phantom(name=self.name, regions=regions, isotope=self.isotope, tracer=self.tracer,
                       texture=self.texture, seed=self.seed)


def phases(breathing_mm):
    """The diaphragm's way in mm in the middle of each phase; half a period, the rest is its mirror."""
    time = (np.arange(PHASES) + 0.5) / (2 * PHASES)
    return (breathing_mm * np.cos(np.pi * time) ** 6).tolist()


def _moved(region, by_mm):
    return replace(region, solid=Moved(solid=region.solid, by_mm=by_mm))
