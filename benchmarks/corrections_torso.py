"""A torso of ellipsoids and cylinders, for one bed position of a scanner of 20 cm."""

import numpy as np

from sim.materials import MATERIALS
from sim.phantoms import END, Phantom, Region
from sim.shapes import Cylinder, Ellipsoid

# Concentrations in Bq/mL of a usual FDG scan an hour after injection, for 5 kBq/mL on average (SUV
# 1), and the material.
TISSUES = {
    "fat": (1200.0, "fat"),
    "muscle": (3500.0, "muscle"),
    "lung": (2000.0, "lung"),
    "blood": (8000.0, "blood"),
    "myocardium": (24000.0, "soft tissue"),
    "liver": (11000.0, "soft tissue"),
    "spleen": (9500.0, "soft tissue"),
    "stomach": (5000.0, "water"),
    "kidney": (15000.0, "muscle"),
    "marrow": (6500.0, "marrow"),
    "bone": (2500.0, "rib"),
    "lesion": (40000.0, "muscle"),
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
    regions = []

    def add(name, centre, radii, tissue=None, kind=Ellipsoid, turn=0.0, vary=0.04):
        radii = tuple(float(r * np.clip(1 + vary * rng.standard_normal(), 0.9, 1.1)) for r in radii)
        activity, material = TISSUES[tissue or name]
        solid = kind(centre_mm=centre, radii_mm=radii, turn_deg=turn)
        regions.append(
            Region(name=name, solid=solid, activity_bq_ml=activity, material=MATERIALS[material],
                   lesion=tissue == "lesion")
        )

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
    return Phantom(name="torso", regions=tuple(regions), seed=seed)


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
