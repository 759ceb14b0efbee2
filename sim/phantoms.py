"""Phantoms: named regions with the activity they hold and what they are made of.

Coordinates are the scanner's (`recon.grid`): with the patient head first and supine, x leads to the
left, y to the back and z to the feet.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sim.materials import AIR, Material
from sim.shapes import Solid, paint

END = float("inf")  # solids that leave the scanner at both ends
IMAGES = ("activity", "mu_per_cm", "hu", "labels")


@dataclass(frozen=True, kw_only=True)
class Region:
    """A solid filled with one material and one activity.

    Attributes:
        name: regions of one name belong together.
        solid: Solid (`sim.shapes`).
        activity_bq_ml: concentration.
        material: Material.
        lesion: whether it counts as a lesion, whose truth is listed.
        texture: part of the activity that the phantom's Texture moves up and down, 0 to 1.
    """

    name: str
    solid: Solid
    activity_bq_ml: float
    material: Material
    lesion: bool = False
    texture: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """Regions, of which a later one covers the earlier; air around them.

    Attributes:
        name: what the phantom is called.
        regions: tuple of Region.
        isotope: that the activity is of, a name in `recon.corrections.calibration`.
        tracer: what carries it; None where that means nothing.
        texture: callable of x, y, z (mm, broadcasting) that returns a smooth field with mean 0 and
            standard deviation 1; None for evenly filled regions.
        seed: of the random numbers it was drawn with; None where there were none.
    """

    name: str
    regions: tuple[Region, ...]
    isotope: str = "F-18"
    tracer: str | None = None
    texture: object = None
    seed: int | None = None

    def images(self, grid, samples=3, names=IMAGES):
        """Several images from one painting.

        Args:
            grid: Grid.
            samples: points along each side of a voxel: edges are as fine as their number.
            names: out of IMAGES.
        Returns:
            dict of images (x, y, z): activity in Bq/mL, mu_per_cm in 1/cm at 511 keV and hu, the
            means over each voxel, float32; labels, the number of the region at the voxel's middle
            in `names`, uint16, 0 for air.
        """
        tables = [_TABLES[name](self) for name in names if name != "labels"]
        textured = self.texture is not None and "activity" in names
        if textured:
            tables.append([r.activity_bq_ml * r.texture for r in self.regions])
        outside = [AIR.hu if name == "hu" else 0.0 for name in names if name != "labels"]
        outside += [0.0] * textured
        solids = [region.solid for region in self.regions]
        painted = paint(solids, tables, grid, samples, outside) if tables else []
        found = dict(zip([name for name in names if name != "labels"], painted, strict=False))
        if textured:
            field = self.texture(*np.ix_(*(grid.centres(axis) for axis in range(3))))
            found["activity"] += painted[-1] * np.asarray(field, np.float32)
            np.maximum(found["activity"], 0, out=found["activity"])
        if "labels" in names:
            numbers = [self.names.index(region.name) + 1 for region in self.regions]
            found["labels"] = paint(solids, [numbers], grid, 1, [0])[0].astype(np.uint16)
        return {name: found[name] for name in names}

    def activity(self, grid, samples=3):
        """Activity in Bq/mL averaged over each voxel: image (x, y, z), float32."""
        return self.images(grid, samples, ["activity"])["activity"]

    def mu_per_cm(self, grid, samples=3):
        """Attenuation at 511 keV in 1/cm averaged over each voxel: image (x, y, z), float32."""
        return self.images(grid, samples, ["mu_per_cm"])["mu_per_cm"]

    def fraction(self, name, grid, samples=3):
        """How much of each voxel the regions of a name fill where none covers them: 0 to 1."""
        self.find(name)
        values = [float(region.name == name) for region in self.regions]
        return paint([region.solid for region in self.regions], [values], grid, samples)[0]

    @cached_property
    def names(self):
        """Names of the regions, each once, in the order of their labels: the first has 1."""
        return tuple(dict.fromkeys(region.name for region in self.regions))

    @property
    def extent(self):
        """The box around all that ends, in mm: ((low, high) of x, of y, of z)."""
        boxes = np.array([region.solid.extent for region in self.regions])  # (region, axis, end)
        ends = []
        for low, high in np.moveaxis(boxes, 0, -1):
            low, high = low[np.isfinite(low)], high[np.isfinite(high)]
            ends.append((float(low.min(initial=END)), float(high.max(initial=-END))))
        return tuple(ends)

    @property
    def lesions(self):
        """The regions that are lesions."""
        return tuple(region for region in self.regions if region.lesion)

    def find(self, name):
        """The regions of a name.

        Raises:
            ValueError: there are none.
        """
        found = [region for region in self.regions if region.name == name]
        if not found:
            raise ValueError(
                f"phantom {self.name!r} takes a name out of {', '.join(self.names)}, got {name!r}"
            )
        return found

    def with_(self, **changes):
        """A Phantom that differs in the attributes given."""
        return replace(self, **changes)


_TABLES = {
    "activity": lambda phantom: [region.activity_bq_ml for region in phantom.regions],
    "mu_per_cm": lambda phantom: [region.material.mu_per_cm for region in phantom.regions],
    "hu": lambda phantom: [region.material.hu for region in phantom.regions],
}
