"""A person as a phantom: who it is, how activity is scaled, and how breathing blurs the images."""

from dataclasses import dataclass, replace

import numpy as np

from sim.people.combined import Moved
from sim.people.habitus import Habitus
from sim.phantoms import IMAGES, Phantom
from sim.uptake import Injection

PHASES = 5  # of breathing that images are the mean of


@dataclass(frozen=True, kw_only=True)
class Person(Phantom):
    """A person with a tracer; with breathing, images are means over its phases.

    The diaphragm's way is Lujan's, b cos^6(pi t / tau): organs rest longest at end-expiration
    (Lujan et al., Med. Phys. 26, 715-720, 1999). Regions, labels and fractions are those of
    end-expiration. The texture stays where it is.

    Attributes:
        habitus: Habitus.
        injection: Injection.
        breathing_mm: b, the diaphragm's way from end-expiration to end-inspiration.
        moves: of each region, its way over the diaphragm's.
    """

    habitus: Habitus
    injection: Injection
    breathing_mm: float = 0.0
    moves: tuple[float, ...] = ()

    def images(self, grid, samples=3, names=IMAGES):
        """Several images from one painting, or one for each phase; see Phantom.images."""
        if not self.breathing_mm:
            return super().images(grid, samples, names)
        found = super().images(grid, samples, [name for name in names if name == "labels"])
        blurred = [name for name in names if name != "labels"]
        for way_mm in phases(self.breathing_mm) if blurred else ():
            for name, image in self.at(way_mm).images(grid, samples, blurred).items():
                found[name] = found.get(name, np.float32(0)) + image / np.float32(PHASES)
        return {name: found[name] for name in names}

    def at(self, way_mm):
        """The person at rest while the diaphragm is way_mm below its place at end-expiration."""
        regions = tuple(
            replace(region, solid=Moved(solid=region.solid, by_mm=moves * way_mm))
            if moves else region
            for region, moves in zip(self.regions, self.moves, strict=True)
        )
        return self.with_(regions=regions, breathing_mm=0.0)


def phases(breathing_mm):
    """The diaphragm's way in mm amid each phase of half a period; the rest is its mirror."""
    time = (np.arange(PHASES) + 0.5) / (2 * PHASES)
    return (breathing_mm * np.cos(np.pi * time) ** 6).tolist()
