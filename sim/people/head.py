"""Head and neck: skull, a brain of two tissues, eyes, airways, glands."""

import numpy as np

from sim.people.anatomy import SIDES
from sim.people.combined import Common, Grown, Outside, Union
from sim.people.shaping import turned
from sim.people.surfaces import Half


def add_head(body):
    """All within the head, and the thyroid."""
    _add_skull_and_brain(body)
    _add_face(body)
    _add_glands(body)


def _add_skull_and_brain(body):
    base = Half(point_mm=tuple(body.frame.place(0, -10, 122).tolist()),
                normal=(0.0, -0.28, 0.96))

    size = body.frame.head * (1 - 0.05 * body.rng.random())  # the brain fills the head but for bone

    def lobe(place, radii):
        return turned(body.frame.place(*place), np.array(radii) * size)

    cerebrum = Common(parts=(lobe((0, -2, 94), (66, 84, 73)), base), rounding_mm=22)
    temporal = [lobe((side * 40, -14, 118), (20, 34, 20)) for side in SIDES]
    cerebellum = lobe((0, 42, 124), (48, 30, 24))
    stem = body.tube([(0, 16, 120), (0, 19, 146), (0, 40, 164)], (15, 12, 8), 6)
    shape = Union(parts=(cerebrum, *temporal, cerebellum, stem), rounding_mm=8)
    body.add("skull", body.below_fat(Grown(solid=shape, by_mm=7.0), 1.0))
    body.add("csf", Grown(solid=shape, by_mm=1.8))
    body.add("grey matter", shape)
    inner = Grown(solid=shape, by_mm=-9.5)
    folds = body.uneven(body.uneven(inner, 5.0, 7.0), 2.0, 16.0)
    fissure = Outside(solid=body.blob((0, -4, 60), (3.0, 110, 48)))
    body.add("white matter", Common(parts=(folds, fissure)))
    for side in SIDES:
        body.add("grey matter", body.blob((side * 12, 8, 84), (8, 13, 9)),
                 body.blob((side * 23, -8, 80), (7, 19, 12), (0, 0, side * 18)))
        horn = [(side * 7, -36, 74), (side * 9, -6, 68), (side * 18, 30, 76), (side * 28, 14, 98)]
        body.add("csf", body.tube(horn, (5, 4.5, 6, 3.5), 12))


def _add_face(body):
    bones, jaw = [], []
    for side in SIDES:
        jaw.append(body.tube([(side * 49, 2, 152), (side * 48, 0, 186), (side * 42, -24, 206),
                              (side * 24, -58, 214), (0, -70, 215)], (6, 7, 7, 7.5, 8), 14))
        bones += [
            body.tube([(side * 32, -40, 184), (side * 20, -66, 184), (0, -76, 184)], (7, 7, 7), 8),
            body.tube([(side * 56, -16, 140), (side * 48, -58, 142), (side * 26, -74, 150)],
                      (4, 5, 5), 8),
            body.tube([(side * 12, -78, 122), (side * 6, -90, 138)], 3.5),
        ]
        body.add("eye", body.blob((side * 31, -70, 124), (12, 12, 12)))
    body.add("bone", Union(parts=tuple(bones + jaw)))
    body.add("air", body.blob((0, -56, 156), (9, 28, 18)), body.blob((0, -68, 112), (14, 6, 10)),
             *(body.blob((side * 25, -54, 160), (11, 12, 14)) for side in SIDES))
    body.add("air", body.tube([(0, -28, 168), (0, -18, 196), (0, -14, 232), (0, -8, 268)],
                              (7, 7, 6, 8), 12))
    body.add("tongue", body.uneven(body.blob((0, -46, 197), (20, 25, 12)), 1.5, 20.0))


def _add_glands(body):
    for side in SIDES:
        places = {
            "parotid gland": ((side * 53, 8, 172), (8, 15, 22), (0, 0, side * 15), 25, 21),
            "submandibular gland": ((side * 30, -34, 216), (8, 14, 9), (0, 0, side * 20), 9, 8),
            "tonsil": ((side * 14, -20, 182), (5, 7, 9), (0, 0, 0), 2.5, 2.2),
            "lacrimal gland": ((side * 41, -68, 114), (5, 6, 4), (0, 0, 0), 0.8, 0.8),
            "thyroid": ((side * 20, -16, 262), (8, 9, 20), (0, 0, 0), 9.5, 8),
        }
        for name, (place, radii, turns, male_ml, female_ml) in places.items():
            middle = place + body.shift(1.0)

            def gland(s, middle=middle, radii=radii, turns=turns):
                return body.blob(middle, [s * r for r in radii], turns)

            whole = body.uneven(body.organ(gland, male_ml, female_ml, 0.2), 0.7, 15.0)
            body.add(name, body.below_fat(whole, 1.0))
    body.add("thyroid", body.tube([(-16, -22, 268), (0, -26, 268), (16, -22, 268)], 4.0, 6))
    body.add("pituitary", body.blob((0, -12, 118), (6, 5, 4)))
