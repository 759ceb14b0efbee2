"""Phantoms: named organs with the activity they hold and how much they attenuate."""

from dataclasses import dataclass

import numpy as np

from sim.shapes import Cylinder, Ellipsoid, paint

END = float("inf")  # solids that leave the scanner at both ends


@dataclass(frozen=True, kw_only=True)
class Organ:
    """A solid filled evenly.

    Attributes:
        name: organs of one name belong together.
        solid: Ellipsoid or Cylinder.
        activity: concentration in kBq/mL.
        mu_per_cm: linear attenuation coefficient at 511 keV.
    """

    name: str
    solid: Ellipsoid
    activity: float
    mu_per_cm: float


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """Organs, of which a later one covers the earlier, in scanner coordinates.

    Attributes:
        name: what the phantom is called.
        organs: tuple of Organ.
        seed: of the random numbers it was drawn with; None where there were none.
    """

    name: str
    organs: tuple[Organ, ...]
    seed: int | None = None

    def activity(self, grid, samples=3):
        """Activity in kBq/mL averaged over each voxel: image (x, y, z), float32."""
        return self._paint([organ.activity for organ in self.organs], grid, samples)

    def mu_per_cm(self, grid, samples=3):
        """Attenuation at 511 keV in 1/cm averaged over each voxel: image (x, y, z), float32."""
        return self._paint([organ.mu_per_cm for organ in self.organs], grid, samples)

    def fraction(self, name, grid, samples=3):
        """How much of each voxel the organs of a name fill where none covers them: 0 to 1."""
        self.find(name)
        return self._paint([float(organ.name == name) for organ in self.organs], grid, samples)

    def find(self, name):
        """The organs of a name.

        Raises:
            ValueError: there are none.
        """
        found = [organ for organ in self.organs if organ.name == name]
        if not found:
            names = ", ".join(dict.fromkeys(organ.name for organ in self.organs))
            raise ValueError(f"phantom {self.name!r} takes a name out of {names}, got {name!r}")
        return found

    def _paint(self, values, grid, samples):
        return paint([organ.solid for organ in self.organs], values, grid, samples)


# Activities are those of a usual FDG scan an hour after injection, as kBq/mL for 5 kBq/mL on
# average (SUV 1); attenuation at 511 keV as ICRU Report 44 gives it for these tissues.
TISSUES = {
    "fat": (1.2, 0.090),
    "muscle": (3.5, 0.098),
    "lung": (2.0, 0.027),
    "blood": (8.0, 0.099),
    "myocardium": (24.0, 0.099),
    "liver": (11.0, 0.099),
    "spleen": (9.5, 0.099),
    "stomach": (5.0, 0.096),
    "kidney": (15.0, 0.098),
    "marrow": (6.5, 0.115),
    "bone": (2.5, 0.150),
    "lesion": (40.0, 0.098),
}


def torso(seed=0):
    """A human torso from the upper chest to the kidneys, head first and supine, with hot lesions.

    Made of ellipsoids and cylinders for z from -110 to 110 mm: enough for one bed position of a
    scanner of 20 cm. Sizes of organs vary by 4 % (standard deviation), and lesions move and grow
    within their organs.

    Args:
        seed: of the random numbers.
    Returns:
        Phantom; its lesions are named 'lesion 1', 'lesion 2', …
    """
    rng = np.random.default_rng(seed)
    organs = []

    def add(name, centre, radii, tissue=None, kind=Ellipsoid, turn=0.0, vary=0.04):
        radii = tuple(float(r * np.clip(1 + vary * rng.standard_normal(), 0.9, 1.1)) for r in radii)
        activity, mu = TISSUES[tissue or name]
        solid = kind(centre_mm=centre, radii_mm=radii, turn_deg=turn)
        organs.append(Organ(name=name, solid=solid, activity=activity, mu_per_cm=mu))

    add("fat", (0, 0, 0), (186, 122, END), kind=Cylinder, vary=0.01)
    add("muscle", (0, 3, 0), (170, 106, END), kind=Cylinder, vary=0.01)
    for side in (-1, 1):  # right, left
        for z in range(-105, 60, 30):
            _rib(add, side, z)
        add("lung", (86 * side, -2, -88), (58, 84, 122 if side < 0 else 112))
    add("blood", (4, -26, -62), (36, 34, 60))  # great vessels and atria
    add("myocardium", (48, -40, -22), (50, 37, 37), turn=-40, vary=0.02)
    add("blood", (38, -32, -22), (44, 23, 23), turn=-40, vary=0.02)
    add("liver", (-66, 0, 64), (88, 84, 66))
    add("liver", (6, -40, 52), (74, 42, 34), turn=-8)
    add("stomach", (76, -34, 74), (44, 42, 46), turn=20)
    add("spleen", (112, 44, 66), (24, 44, 42), turn=20)
    for side in (-1, 1):
        add("kidney", (68 * side, 50, 112), (25, 30, 44), turn=-25 * side)
    add("blood", (20, 40, 0), (12, 12, END), kind=Cylinder)  # aorta
    add("bone", (0, 66, 0), (24, 20, END), kind=Cylinder, vary=0)
    for z in range(-112, 113, 32):
        add("marrow", (0, 66, z), (21, 17, 12), kind=Cylinder, vary=0)
    add("bone", (0, 92, 0), (7, 14, END), kind=Cylinder, vary=0)
    add("bone", (0, -98, -50), (20, 6, 62), kind=Cylinder)  # sternum

    _add_lesions(add, rng)
    return Phantom(name="torso", organs=tuple(organs), seed=seed)


def _rib(add, side, z):
    """A rib as three flat pieces along the chest wall, an ellipse, falling towards the front."""
    for degrees, drop in ((-48, 14), (0, 4), (48, -8)):
        angle = np.radians(degrees)
        centre = (157 * np.cos(angle) * side, 93 * np.sin(angle) + 3, z + drop)
        along = np.degrees(np.arctan2(93 * np.cos(angle), -157 * np.sin(angle) * side))
        add("bone", centre, (40, 5, 7), turn=along, vary=0)


def _add_lesions(add, rng):
    """Hot spheres: two in the liver, one per lung, one beside the vessels, one in a vertebra."""
    places = (
        ((-60, -18, 50), (8, 13)),
        ((-46, 34, 40), (6, 9)),
        ((-92, -16, -54), (6, 10)),
        ((98, 16, -62), (5, 9)),
        ((-24, -12, -58), (6, 9)),
        ((0, 64, 16), (7, 10)),
    )
    for number, (place, radii) in enumerate(places, start=1):
        centre = tuple(float(c + rng.uniform(-6, 6)) for c in place)
        add(f"lesion {number}", centre, [rng.uniform(*radii)] * 3, tissue="lesion", vary=0)
