"""The shapes of a head, as depths (mm, positive inside) in reference coordinates.

The reference is the space of the MNI152 template with its axes turned to the scanner's and its
origin moved to the brain's middle: x to the left, y to the back and z to the feet, so that the MNI
point (right, anterior, superior) lies at (-right, -16 - anterior, 12 - superior). Where organs lie
is as remembered of that template, to some millimetres.
"""

from itertools import pairwise

import numpy as np

from sim.brain_fields import smooth_maximum, smooth_minimum

HULL = ((0, 0, 2), (68, 87, 66), 2.35)  # centre, half axes and power of the hemispheres' outline


def ellipsoid(u, centre, radii, yaw_deg=0.0, pitch_deg=0.0):
    """Depth in an ellipsoid, exact to first order at its surface.

    Args:
        u: x, y, z.
        centre: of the ellipsoid.
        radii: half axes.
        yaw_deg: how far the first two are turned from x towards y.
        pitch_deg: then how far the last two are turned from y towards z.
    """
    x, y, z = (c - middle for c, middle in zip(u, centre, strict=True))
    turn, tip = np.radians([yaw_deg, pitch_deg]).astype(np.float32)
    y, z = y * np.cos(tip) + z * np.sin(tip), z * np.cos(tip) - y * np.sin(tip)
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    scaled = [c / r for c, r in zip((x, y, z), radii, strict=True)]
    from_centre = np.sqrt(sum(c**2 for c in scaled))
    slope = np.sqrt(sum((c / r) ** 2 for c, r in zip(scaled, radii, strict=True)))
    scale = np.full_like(from_centre, min(radii))  # at the centre itself
    np.divide(from_centre, slope, out=scale, where=slope > 0)
    return (1 - from_centre) * scale


def superellipsoid(u, centre, radii, power):
    """Depth in a superellipsoid, in units of its mean radius."""
    scaled = [np.abs((c - m) / r) for c, m, r in zip(u, centre, radii, strict=True)]
    from_centre = sum(c**power for c in scaled) ** (1 / power)
    return (1 - from_centre) * float(np.mean(radii))


def chain(u, *balls):
    """Depth in a tube through balls (x, y, z, radius)."""
    deepest = None
    for (*start, thick), (*end, thin) in pairwise(balls):
        along = np.subtract(end, start).astype(np.float32)
        off = [c - s for c, s in zip(u, start, strict=True)]
        part = sum(c * a for c, a in zip(off, along, strict=True)) / float(along @ along)
        part = np.clip(part, 0, 1)
        away = np.sqrt(sum((c - part * a) ** 2 for c, a in zip(off, along, strict=True)))
        inside = thick + part * (thin - thick) - away
        deepest = inside if deepest is None else np.maximum(deepest, inside)
    return deepest


def _tentorium(x, y):
    """z of the tent that carries the occipital lobes and covers the cerebellum."""
    return 9 + 0.4 * np.sqrt(x**2 + 25) + 0.22 * np.maximum(y - 30, 0)


def cerebrum(u):
    """The hull of both hemispheres and what lies between them, without fissures."""
    x, y, z = u
    narrow = x / (1 + 0.07 * np.clip(y, -90, 30) / 90)  # the front is narrower
    whole = superellipsoid((narrow, y, z), *HULL)
    back = 1 / (1 + np.exp(-(y - 14) / 5))
    floor = 30 * (1 - back) + back * _tentorium(x, y)
    upper = smooth_minimum(whole, floor - z, 8)
    temporal = ellipsoid((np.abs(x), y, z), (43.5, 0, 29), (25, 43, 26), pitch_deg=-14)
    temporal = smooth_minimum(temporal, 70 * (1 - back) + back * _tentorium(x, y) - z, 6)
    return smooth_maximum(upper, temporal, 5)


def cerebellum(u):
    """The hull of the cerebellum, with the notch between its hemispheres."""
    x, y, z = u
    narrow = x * (1 + 0.015 * np.clip(45 - y, 0, 40))  # between the petrous bones
    whole = superellipsoid((narrow, y, z), (0, 51, 45), (52, 29, 29), 2.3)
    whole = smooth_minimum(whole, z - _tentorium(x, y) - 1.5, 3)
    notch = chain(u, (0, 86, 40, 5), (0, 80, 62, 7), (0, 60, 80, 7))
    return smooth_minimum(whole, -notch, 5)


def brainstem(u):
    """Midbrain, pons, medulla and the cord down to the lattice's end."""
    stem = chain(u, (0, 4, 14, 14), (0, 8, 26, 14), (0, 16, 50, 11), (0, 24, 66, 8),
                 (0, 29, 84, 6), (0, 32, 110, 5.5), (0, 34, 143, 5.5))
    return smooth_maximum(stem, ellipsoid(u, (0, 10, 45), (18, 13, 14)), 4)


def cranial_cavity(u):
    """The room inside the skull: brain and the fluid around it."""
    stem = chain(u, (0, 4, 20, 17), (0, 14, 55, 15), (0, 25, 75, 11))
    room = smooth_maximum(cerebrum(u) + 1.6, cerebellum(u) + 1.6, 22)
    return smooth_maximum(room, stem, 10)


def sylvian_z(y):
    """z of the Sylvian fissure at a y: it rises to the back and dives under the frontal lobe."""
    front = np.maximum(-26 - y, 0)
    return 13 - 0.36 * (y + 26) + 0.05 * front**2


def insula_x(y):
    """How far from the midline the insula's surface lies."""
    return 41 - 0.007 * (y + 14) ** 2


def sheets(u):
    """The great fissures as thin sheets.

    Returns:
        For the longitudinal fissure, the Sylvian fissures and the fluid over both insulae: the
        coordinate across the sheet, that beyond its edge (both reference mm; negative within the
        edge) and half its width in mm.
    """
    x, y, z = u
    wide, drop = np.abs(x), z - sylvian_z(y)
    # Below and around the callosum the hemispheres are joined.
    core = np.sqrt(((y + 11) / 37) ** 2 + ((z - 10) / 26) ** 2)
    base = np.sqrt(((y - 2) / 26) ** 2 + ((z - 26) / 30) ** 2)
    joined = np.maximum((1 - core) * 26, (1 - base) * 26)
    patch = np.sqrt(((y + 16) / 25) ** 2 + (drop / 16) ** 2)
    return (
        (x, joined, 0.9 + 0.5 * (y < -40)),
        (drop, np.maximum(np.maximum(insula_x(y) - wide, y - 30), -46 - y), 0.9),
        (wide - insula_x(y), (patch - 1) * 16, 1.0),
    )


def callosum(u):
    """White matter that joins the hemispheres over the ventricles."""
    x, y, z = u
    outer = np.sqrt(((y + 11) / 37.5) ** 2 + ((z - 10) / 26.5) ** 2)
    sheet = 3.2 - np.abs((1 - outer) * 30 - 3.2)
    return np.minimum(np.minimum(sheet, 11 - np.abs(x)), 14 - z - 0.3 * np.abs(y + 11))


def lateral_ventricle(u, side):
    """Frontal horn, body, atrium, occipital and temporal horn."""
    def tube(*balls):
        return chain(u, *((side * x, y, z, r) for x, y, z, r in balls))

    body = tube((15, -50, 10, 2.2), (9.5, -38, 3, 4.2), (8, -26, -4, 4.6), (9.5, -8, -10, 4.4),
                (14, 10, -9, 5), (25, 27, 2, 6.5))
    occipital = tube((25, 27, 2, 6.5), (26, 52, 5, 2.2))
    temporal = tube((25, 27, 2, 6.5), (34, 14, 20, 3), (31, -4, 32, 2))
    return smooth_maximum(np.maximum(body, occipital), temporal, 2)


def middle_ventricles(u):
    """The third ventricle, the aqueduct and the fourth ventricle."""
    third = ellipsoid(u, (0, -2, 9), (2.2, 15, 10))
    aqueduct = chain(u, (0, 12, 12, 1.2), (0, 22, 34, 1.5))
    return np.maximum.reduce([third, aqueduct, ellipsoid(u, (0, 27, 44), (6, 4.5, 11))])


def caudate(u, side):
    """Head, body and tail, beside the lateral ventricle."""
    balls = ((12.5, -36, 12, 5.5), (14, -30, 6, 6.5), (15.5, -22, -2, 5.2), (17.5, -8, -9, 3.8),
             (21, 8, -9, 2.6), (29, 20, -4, 2))
    return chain(u, *((side * x, y, z, r) for x, y, z, r in balls))


def putamen(u, side):
    """The shell of the lentiform nucleus."""
    return ellipsoid(u, (side * 26.5, -17, 11), (5.8, 17.5, 12), yaw_deg=-12 * side)


def pallidum(u, side):
    """The inner part of the lentiform nucleus."""
    return ellipsoid(u, (side * 19, -12, 13), (4.8, 10, 7.5), yaw_deg=-25 * side)


def thalamus(u, side):
    """The thalamus, its back further out."""
    return ellipsoid(u, (side * 11.5, 2, 4), (9, 16.5, 11), yaw_deg=-22 * side)


def hippocampus(u, side):
    """Hippocampus and amygdala."""
    balls = ((22, -13, 33, 7.5), (26, -4, 32, 5.8), (29, 10, 26, 5), (30, 20, 16, 3.6))
    return chain(u, *((side * x, y, z, r) for x, y, z, r in balls))


# Bounds of the lobes; where they overlap, the later covers the earlier.
LOBES = {
    "parietal cortex": lambda u: np.full_like(u[0] + u[1] + u[2], 50.0),
    "frontal cortex": lambda u: 14 - 0.45 * (u[2] + 58) - u[1] + 0 * u[0],
    "temporal cortex": lambda u: np.minimum(
        np.minimum(u[2] - sylvian_z(np.minimum(u[1], 30)), np.abs(u[0]) - 16), 44 - u[1]
    ),
    "occipital cortex": lambda u: u[1] - 58 + 0.25 * u[2] + 0 * u[0],
    "posterior cingulate cortex": lambda u: np.minimum(
        11 - np.abs(u[0]), 26 - np.sqrt((u[1] - 36) ** 2 + (u[2] + 16) ** 2)
    ),
}
DEEP = ((3, 46), (-60, 60), (-24, 46))  # box of the left one of each pair
NUCLEI = (
    ("hippocampus", hippocampus),
    ("thalamus", thalamus),
    ("caudate", caudate),
    ("putamen", putamen),
    ("pallidum", pallidum),
)
