"""What surrounds the brain: skull, scalp, face and neck, in reference coordinates."""

import numpy as np

from sim.brain_anatomy import HULL, chain, cranial_cavity, ellipsoid, superellipsoid
from sim.brain_fields import Lattice, LevelSet, Waves, depth, smooth_maximum
from sim.brain_frame import Part

HEAD_BOX = ((-94, 94), (-136, 120), (-92, 156))
STEP_MM = 2.5
TABLE_MM = 1.9  # each of the two tables of dense bone around the diploe
SCALP_MM = 6.5
END_Z = 150  # where the neck is cut


def surroundings(frame, rng):
    """Everything around the brain, from the skin to the fluid in the cranial cavity.

    Args:
        frame: Frame of the head.
        rng: numpy Generator.
    Returns:
        list of Part in the order in which they are painted, and the depth in the cavity in mm, a
        Lattice.
    """
    envelope = _envelope(frame, rng)
    cells = Waves.random(rng, 8)
    size = rng.normal(1, 0.08)
    parts = [Part(tissue=name, solid=envelope[name]) for name in ("skin", "fat", "muscle")]
    parts += [Part(tissue=name, solid=frame.solid(shape, box)) for name, shape, box in UNDER_SKULL]
    for name, shape, box in PAIRS:
        parts += frame.pair(name, shape, box)
    parts += [Part(tissue=name, solid=envelope[name]) for name in ("skull", "diploe")]
    parts += [
        Part(tissue="skull", solid=envelope["inner table"]),
        Part(tissue="air cells", solid=envelope["frontal sinus"]),
        Part(tissue="csf", solid=envelope["cavity"]),
    ]
    parts += [
        Part(tissue=name, solid=frame.solid(shape, box, step_mm=1.2))
        for name, shape, box in OVER_SKULL
    ]
    sinuses = frame.solid(lambda u: air_cells(u, size, cells), AIR_CELLS, step_mm=1.2)
    parts.append(Part(tissue="air cells", solid=sinuses))
    return parts, envelope["cavity"].field


def _envelope(frame, rng):
    # Skin, fat, muscle, skull and what is in it, as solids from the outside in.
    lattice = Lattice.over(frame.box(HEAD_BOX), STEP_MM)
    u = frame.reference(*lattice.axes)
    x, y, z = u
    inside = depth(cranial_cavity(u), STEP_MM)
    thick = rng.normal(6.6, 0.7) + 0.8 * Waves.random(rng, 55)(*u)
    thick -= 2 * np.clip((np.abs(x) - 50) / 12, 0, 1)  # thin over the temples
    brow = np.where(y < -60, np.exp(-((x / 22) ** 2) - ((z - 22) / 13) ** 2), 0)
    thick = np.clip(thick, 3.6, None) + 3 * brow
    frontal = ((np.abs(x) - 9) / 9) ** 2 + ((z - 20) / 11) ** 2
    frontal = np.where(y < -60, 8 * (1 - frontal), -8)
    skull = inside + thick
    outside = smooth_maximum(skull + SCALP_MM, face(u), 14)
    outside = smooth_maximum(outside, ears(u), 2)
    skin = lattice.like(depth(np.minimum(outside, END_Z - z), STEP_MM))
    levels = {
        "skull": skull,
        "diploe": np.minimum(skull - TABLE_MM, 26 - z),
        "inner table": inside + TABLE_MM,
        "frontal sinus": np.minimum(np.minimum(skull - 2.2, -1.6 - inside), frontal),
        "cavity": inside,
    }
    solids = {name: LevelSet(field=lattice.like(values)) for name, values in levels.items()}
    under = {"skin": 0.0, "fat": 1.8, "muscle": 4.5}
    return solids | {name: LevelSet(field=skin, level=mm) for name, mm in under.items()}


def face(u):
    """The outline of face, jaw and neck."""
    whole = smooth_maximum(ellipsoid(u, (0, -46, 66), (66, 55, 66)), jaw(u) + 11, 24)
    nose = chain(u, (0, -98, 34, 6), (0, -110, 64, 9), (0, -104, 70, 13))
    neck = chain(u, (0, 18, 70, 58), (0, 24, 220, 60))
    return smooth_maximum(smooth_maximum(whole, neck, 25), nose, 8)


def ears(u):
    """Both auricles."""
    left, right = (ellipsoid(u, (side * 84, 20, 42), (4, 15, 30), yaw_deg=-25 * side)
                   for side in (1, -1))
    return np.maximum(left, right)


def jaw(u):
    """The mandible, both halves."""
    across = (np.abs(u[0]), *u[1:])
    return chain(across, (50, -4, 62, 5), (47, -4, 104, 6), (30, -52, 126, 6.5), (0, -82, 130, 8))


def upper_jaw(u):
    """The maxilla's arch, the palate and the teeth."""
    across = (np.abs(u[0]), *u[1:])
    arch = chain(across, (26, -42, 98, 6), (20, -68, 98, 6.5), (0, -82, 98, 7))
    return np.maximum(arch, ellipsoid(u, (0, -58, 91), (24, 26, 2.5)))


def lower_teeth(u):
    """The teeth on the mandible."""
    across = (np.abs(u[0]), *u[1:])
    return chain(across, (25, -44, 112, 4), (18, -68, 113, 4), (0, -80, 114, 4.5))


def cheek_bones(u):
    """The zygomatic arches."""
    across = (np.abs(u[0]), *u[1:])
    return chain(across, (42, -74, 56, 5), (60, -48, 58, 4.5), (66, -20, 54, 3), (62, 4, 52, 4))


def mid_face(u):
    """The bone around orbits, nose and sinuses."""
    across = (np.abs(u[0]), *u[1:])
    orbit = ellipsoid(across, (30, -60, 47), (21, 24, 20), yaw_deg=20)
    sinus = ellipsoid(across, (27, -58, 76), (16, 20, 19))
    nose = ellipsoid(u, (0, -58, 62), (15, 36, 32))
    base = chain(across, (12, -26, 52, 14), (40, -6, 56, 8), (52, 22, 58, 13))
    return np.maximum.reduce([orbit, sinus, nose, base])


def orbit(u, side):
    """The fat around an eye; side 1 is the left."""
    return ellipsoid(u, (side * 30, -64, 47), (19, 23.5, 18), yaw_deg=20 * side)


def eye(u, side):
    """An eyeball with its cornea."""
    return np.maximum(ellipsoid(u, (side * 32, -76.5, 46), (12, 12, 12)),
                      ellipsoid(u, (side * 32, -82.5, 46), (7, 7.5, 7)))


def lens(u, side):
    """The lens of an eye."""
    return ellipsoid(u, (side * 32, -83.5, 46), (4.6, 2.2, 4.6))


def eye_muscles(u, side):
    """The four straight muscles from the orbit's tip to the eyeball."""
    x, y, z = side * u[0], u[1], u[2]
    tip = (19, -46, 47, 2.2)
    ends = ((43, -75, 46), (20.5, -77, 46), (32, -76, 35), (32, -76, 57))
    return np.maximum.reduce([chain((x, y, z), tip, (*end, 1.6)) for end in ends])


def optic_nerve(u, side):
    """From the eye to the orbit's tip."""
    return chain(u, (side * 31, -68, 46, 2), (side * 17, -42, 44, 2.2))


def spine(u):
    """Vertebrae of the neck around their canal."""
    bodies = chain(u, (0, 6, 84, 7), (0, 10, 100, 9), (0, 14, 141, 9))
    arches = chain((np.abs(u[0]), *u[1:]), (13, 20, 90, 6), (14, 22, 141, 6))
    back = chain(u, (0, 46, 92, 5), (0, 54, 141, 5))
    ring = np.sqrt(u[0] ** 2 + (u[1] - 32) ** 2)
    ring = np.minimum(3 - np.abs(ring - 13), np.minimum(u[2] - 84, 146 - u[2]))
    bone = np.maximum.reduce([bodies, arches, back, ring])
    between = 2.2 - np.abs((u[2] - 92 + 0.15 * (u[1] - 14)) % 17 - 8.5)  # discs and joints
    return np.minimum(bone, -between)


def canal(u):
    """The fluid around the cord."""
    return chain(u, (0, 28, 76, 9), (0, 32, 100, 9.5), (0, 34, 140, 9))


def airway(u):
    """Nasal cavity, throat and windpipe."""
    x, y, z = u
    septum = np.abs(x) - 1.2 - 0.3 * np.sin(y / 9)
    nose = np.minimum(ellipsoid(u, (0, -64, 68), (10, 40, 20)), septum)
    nostrils = chain((np.abs(x), y, z), (7, -100, 74, 4), (6, -84, 78, 4))
    throat = chain(u, (0, -30, 70, 9), (0, -18, 86, 7), (0, -16, 112, 7), (0, -18, 142, 7))
    return np.maximum.reduce([nose, nostrils, throat])


def turbinates(u):
    """The lining of the nose."""
    across = (np.abs(u[0]), *u[1:])
    lower = chain(across, (6, -86, 76, 3), (6.5, -46, 76, 3))
    middle = chain(across, (5.5, -78, 64, 2.4), (5.5, -46, 66, 2.4))
    return np.maximum(lower, middle)


def air_cells(u, size, cells):
    """The sinuses of face and skull base, and the mastoid cells between `cells` of bone."""
    across = (np.abs(u[0]), *u[1:])
    maxillary = ellipsoid(across, (27, -58, 76), (12.5 * size, 16 * size, 15 * size), yaw_deg=15)
    ethmoid = chain(across, (6, -78, 44, 4), (7, -44, 46, 5 * size))
    walls = np.abs((u[1] + 80) % 9 - 4.5) - 0.6
    sphenoid = np.minimum(ellipsoid(u, (0, -24, 50), (13 * size, 12, 10)), np.abs(u[0] - 2) - 0.8)
    mastoid = ellipsoid(across, (55, 28, 60), (9, 11, 12))
    canals = chain(across, (75, 13, 46, 3.2), (56, 12, 49, 3))
    return np.maximum.reduce([
        maxillary, np.minimum(ethmoid, walls), sphenoid,
        np.minimum(mastoid, cells(*u)), canals,
    ])


def tongue(u):
    """The tongue and the floor of the mouth."""
    return ellipsoid(u, (0, -50, 108), (20, 27, 15))


def parotid(u, side):
    """The parotid gland, behind the jaw."""
    return ellipsoid(u, (side * 60, 2, 88), (9, 15, 24))


def venous_sinuses(u):
    """The sagittal, straight and transverse sinuses."""
    x, y, z = u
    edge = superellipsoid(u, *HULL) + 0.5  # along the hemispheres' upper edge
    sagittal = np.minimum(3 - np.hypot(x, edge), 20 - z)
    straight = chain(u, (0, 36, 11, 2), (0, 86, 23, 3))
    transverse = chain((np.abs(x), y, z), (0, 88, 23, 3.5), (38, 72, 35, 4), (55, 40, 36, 4))
    return np.maximum.reduce([sagittal, straight, transverse])


FACE = ((-76, 76), (-112, 70), (20, 150))
ORBIT = ((8, 56), (-100, -34), (22, 70))
AIR_CELLS = ((-88, 88), (-108, 44), (-2, 98))
# Tissue, shape and box of what is painted before the skull, in this order, …
UNDER_SKULL = (
    ("tongue", tongue, ((-24, 24), (-82, -18), (86, 130))),
    ("facial bone", mid_face, FACE),
    ("facial bone", upper_jaw, FACE),
    ("facial bone", jaw, FACE),
    ("teeth", lower_teeth, ((-32, 32), (-90, -36), (104, 122))),
    ("facial bone", cheek_bones, FACE),
    ("vertebrae", spine, ((-30, 30), (-30, 70), (70, 150))),
)
PAIRS = (
    ("parotid", parotid, ((48, 72), (-18, 22), (60, 116))),
    ("orbital fat", orbit, ORBIT),
    ("eye muscles", eye_muscles, ORBIT),
    ("optic nerve", optic_nerve, ORBIT),
    ("eye", eye, ORBIT),
    ("lens", lens, ((24, 40), (-90, -78), (38, 54))),
)
# … and of what is painted after it.
OVER_SKULL = (
    ("airway", airway, ((-14, 14), (-108, -8), (44, 150))),
    ("nasal mucosa", turbinates, ((-12, 12), (-94, -40), (58, 84))),
    ("csf", canal, ((-14, 14), (10, 60), (60, 150))),
)
