"""Lungs, heart, great vessels and airways."""

import numpy as np

from sim.people.anatomy import SIDES
from sim.people.combined import Common, Grown, Outside, Union
from sim.people.fields import SmoothField
from sim.people.shaping import curve
from sim.people.skeleton import spine_y
from sim.people.surfaces import Blob, Half, Sheets


def add_lungs(body):
    """The room of the chest, filled by fat, and the lungs with their vessels in it."""
    room = body.frame.cavity(2.5, deepest=540)
    body.add("mediastinum", body.frame.cavity(1.0, deepest=580))
    shift = body.shift(2.0)
    spine = [(0, spine_y(d) + 2, d) for d in range(270, 600, 40)]
    middle = Union(rounding_mm=16.0, parts=(
        body.tube(spine, (12, 18) + (24,) * (len(spine) - 2)),
        body.tube([(0, 4, 262), (0, 0, 330), (2, -8, 372), (6, -10, 430)], (22, 30, 34, 36), 10),
        body.blob((20 + shift[0], -36, 448 + shift[2]), (60, 50, 56), (0, 0, 20)),
        body.blob((4, -80, 400), (9, 26, 90)),
    ))
    middle = body.uneven(middle, 2.0, 40.0)
    for side in SIDES:
        half = Half(point_mm=tuple(body.frame.place(side * 3, 0, 420).tolist()),
                    normal=(-float(side), 0.0, 0.0))
        lung = Common(parts=(room, half, Outside(solid=middle)), rounding_mm=9.0)
        body.add("lung", lung)
        vessels = Common(parts=(_lung_vessels(body, side), Grown(solid=lung, by_mm=-3.0)))
        body.add("blood", vessels, moves=0.4)


def _lung_vessels(body, side):
    """Vessels that branch from the hilum, thinner and thinner."""
    rng = body.rng
    parts = []
    root = np.array([side * 44, 16, 408], float)
    aims = np.array([(70, -30, 335), (78, 45, 335), (98, -30, 400), (104, 30, 405),
                     (100, -55, 440), (104, 50, 455), (88, 66, 490), (80, 10, 470)], float)
    for aim in aims * (side, 1, 1) + rng.normal(0, 8, aims.shape):
        bend = (root + aim) / 2 + rng.normal(0, 7, 3)
        trunk = curve([root, bend, aim], 7)
        parts.append(body.tube(trunk, np.linspace(5.0, 1.6, 7)))
        for place, radius in ((trunk[3], 2.6), (trunk[5], 2.0)):
            for _ in range(2):
                tip = place + (aim - root) * 0.35 + rng.normal(0, 16, 3)
                parts.append(body.tube([place, tip], (radius, 1.1)))
    return Union(parts=tuple(parts))


def add_heart(body):
    """Four chambers in a bag of fat; the left ventricle's wall is the one that PET sees."""
    rng = body.rng
    frame, shift = body.frame, body.shift(3.0)
    way = np.array([0.64, -0.56, 0.53]) + rng.normal(0, 0.07, 3)
    way /= np.linalg.norm(way)
    body.add("mediastinum", body.uneven(body.blob(
        np.array((20, -36, 447)) + shift, (60, 48, 55), (0, 0, 20)), 1.5, 40.0), moves=0.5)

    def along(place, radii):
        first = np.cross(way, (0.0, 0.0, 1.0))
        first /= np.linalg.norm(first)
        axes = np.array([way, first, np.cross(way, first)])
        radii = np.array(radii) * frame.tall
        return Blob(centre_mm=tuple(frame.place(*(np.array(place) + shift)).tolist()),
                    radii_mm=tuple(radii.tolist()), axes=tuple(map(tuple, axes.tolist())))

    def base(ventricle, at):
        point = np.array(ventricle.centre_mm) - at * way * frame.tall
        return Half(point_mm=tuple(point.tolist()), normal=tuple((-way).tolist()))

    centre = np.array((46, -38, 452))

    def chamber(s):
        return along(centre, (43 * s, 24 * s, 24 * s))

    pool = body.organ(chamber, 95, 78, 0.2)

    def wall(s):
        outer = Grown(solid=pool, by_mm=10.0 * s)
        cut = Common(parts=(outer, base(pool, 17.0)), rounding_mm=4.0)
        return Common(parts=(cut, Outside(solid=pool)))

    muscle = body.organ(wall, 130, 100, 0.15)
    right = along((6, -58, 447), (48, 25, 40))
    body.add("right ventricle", body.uneven(right, 1.2, 30.0), moves=0.5)
    body.add("blood",
             Grown(solid=right, by_mm=-3.5),
             body.blob(np.array((-34, -24, 448)) + shift, (24, 27, 31)),
             body.blob(np.array((8, 6, 424)) + shift, (34, 19, 24)), moves=0.5)
    body.add("myocardium", body.uneven(muscle, 0.9, 24.0), moves=0.5)
    body.add("blood", pool, moves=0.5)


def add_vessels(body):
    """Aorta, caval veins, their first branches, the pulmonary trunk; windpipe and gullet."""
    jitter = body.shift(2.5)
    bow = float(np.clip(body.rng.normal(0, 3), -6, 6))
    wide = float(np.clip(body.rng.normal(1, 0.08), 0.85, 1.25))
    aorta = np.array([(6, -22, 432), (-14, -24, 398), (-10, -14, 368), (6, 6, 352), (20, 30, 362),
                      (25, 44, 395), (22, 44, 450), (16 + bow, 36, 510), (8, 20, 560),
                      (4 - bow, 6, 620), (3, 4, 684)], float)
    aorta[:8] += jitter
    radii = np.array((16, 16.5, 15, 13.5, 12.5, 12, 11.5, 11, 10, 9, 8)) * wide
    body.add("blood", body.tube(aorta, radii, 36))
    parts = [
        body.tube([(-26, 2, 690), (-26, 0, 620), (-28, 6, 560), (-28, 2, 500), (-32, -10, 462)],
                  (10, 11, 11.5, 12, 13), 16),  # inferior caval vein
        body.tube([(-30, -14, 440), (-30, -12, 400), (-28, -18, 350)], (10, 10, 9.5), 8),
        body.tube([(18, -46, 424), (14, -34, 396), (6, -14, 388)], (14, 13, 11), 8),
        body.tube([(-52, 14, 402), (0, -2, 390), (54, 16, 398)], (8, 11, 8), 10),
        body.tube([(-50, 22, 428), (-10, 10, 422)], (6, 8)),
        body.tube([(54, 22, 426), (20, 10, 422)], (6, 8)),
        body.tube([(-28, -18, 352), (26, -26, 338), (46, -22, 318)], (8, 7, 6), 8),
        body.tube([(-28, -18, 352), (-44, -22, 318)], (8, 6)),
        body.tube([(-20, 8, 560), (-46, -6, 548), (-74, 0, 535)], (6, 6, 4), 6),  # portal vein
    ]
    for side in SIDES:
        parts += [
            body.tube([(side * 6, 0, 352), (side * 22, -10, 300), (side * 30, -8, 250),
                       (side * 34, 4, 190), (side * 30, 8, 160)], (5, 4, 3.6, 3.4, 3), 14),
            body.tube([(side * 42, -22, 320), (side * 38, -14, 262), (side * 42, 4, 190)],
                      (6, 6, 4.5), 10),
            body.tube([(side * 3, 4, 682), (side * 30, 16, 735), (side * 54, 0, 790),
                       (side * 70, -44, 850), (side * 76, -46, 900), (side * 92, -22, 1020)],
                      (6.5, 6, 5.5, 5, 5, 4), 20),
            body.tube([(side * 16 - 14, 6, 690), (side * 36, 24, 740), (side * 52, 8, 795),
                       (side * 62, -40, 852), (side * 66, -42, 905), (side * 88, -18, 1020)],
                      (8, 7.5, 7, 6, 6, 5), 20),
        ]
    body.add("blood", Union(parts=tuple(parts)))
    gullet = [(0, 6, 272), (3, 22, 330), (2, 28, 400), (6, 26, 455), (16, 18, 500)]
    body.add("oesophagus", body.tube(gullet, (7, 7, 7.5, 8, 9), 16))
    pipe = [(0, -8, 262), (0, 2, 310), (0, 14, 368)]
    for radius, name in ((9.5, "cartilage"), (7.8, "air")):
        body.add(name, Union(parts=(
            body.tube(pipe, radius, 10),
            body.tube([pipe[-1], (-22, 20, 392), (-40, 22, 404)], radius * np.array((1, 0.8, 0.6))),
            body.tube([pipe[-1], (24, 22, 396), (44, 24, 410)], radius * np.array((1, 0.8, 0.6))),
        )))


def add_breasts(body):
    """The gland within each breast."""
    thin = body.rng.uniform(0.3, 1.1)  # how much of the gland has turned into fat
    for breast in body.outline.breasts:
        strands = Outside(solid=Sheets(field=SmoothField.draw(body.rng, 11.0), part=thin))
        gland = body.uneven(Grown(solid=breast, by_mm=-13.0), 3.0, 18.0)
        body.add("breast", Common(parts=(gland, strands)))
