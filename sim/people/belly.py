"""Organs of the abdomen and the pelvis."""

import numpy as np

from sim.people.anatomy import SIDES
from sim.people.combined import Common, Grown, Outside, Union
from sim.people.outline import DOME
from sim.people.shaping import curve, of_volume, tube
from sim.people.surfaces import Half


def add_abdomen(body):
    """The abdomen's room below the diaphragm's domes, filled by fat: returns it as a Surface."""
    cavity, frame, rng = body.frame.cavity(2.0), body.frame, body.rng
    left = float(np.clip(rng.normal(0, 6), -10, 10))
    below = Half(point_mm=tuple(frame.place(0, 0, 552).tolist()), normal=(0.0, 0.0, -1.0))
    domes = Union(rounding_mm=18.0, parts=(
        body.blob((-66, 2, DOME + 100), (80, 104, 100)),
        body.blob((68, 4, DOME + 116 + left), (76, 100, 98)),
        body.blob((0, -20, 580), (70, 70, 88)),
        below,
    ))
    room = Common(parts=(cavity, body.uneven(domes, 1.5, 60.0)), rounding_mm=6.0)
    body.add("abdominal fat", room, moves=1.0)
    for side in SIDES:
        body.add("muscle", body.tube(
            [(side * 30, 38, 565), (side * 44, 32, 660), (side * 58, 20, 740),
             (side * 76, -20, 810), (side * 92, -4, 868)], (8, 19, 23, 19, 12), 12))
    return room


def add_upper_abdomen(body, room):
    """Stomach, pancreas, liver with gallbladder, spleen, kidneys, adrenals."""
    inside = Grown(solid=room, by_mm=-1.5)
    _add_stomach(body, inside)
    _add_pancreas(body)
    _add_liver(body, inside)
    _add_spleen(body, inside)
    _add_kidneys(body, inside)


def _add_stomach(body, inside):
    path = np.array([(60, 30, 498), (80, 14, 520), (84, -22, 552), (66, -48, 592), (26, -58, 612),
                     (-8, -48, 606), (-24, -36, 596)], float)
    path[2:5] += body.shift(7.0)
    full = np.exp(body.rng.normal(0, 0.18))

    def stomach(s):
        radii = np.array((28, 33, 31, 25, 20, 15, 9)) * s * full
        return Common(parts=(body.tube(path, radii, 16), inside), rounding_mm=4.0)

    wall = body.organ(stomach, 330, 280, 0.3)
    body.add("stomach wall", wall, moves=0.8)
    body.add("stomach content", Grown(solid=wall, by_mm=-5.0), moves=0.8)
    top = body.frame.place(*path[2])
    gas = Half(point_mm=(0.0, float(top[1]) - 10.0, 0.0), normal=(0.0, 1.0, 0.0))
    if body.rng.random() < 0.6:
        body.add("air", Common(parts=(Grown(solid=wall, by_mm=-6.0), gas)), moves=0.8)
    duodenum = [(-24, -36, 596), (-44, -18, 600), (-48, -2, 622), (-40, 4, 652), (-8, -6, 660),
                (22, -8, 640), (34, -20, 636)]
    body.add("duodenum", body.tube(duodenum, 11.5, 24), moves=0.5)


def _add_pancreas(body):
    path = np.array([(-30, -8, 622), (-26, -16, 600), (0, -26, 588), (34, -16, 578), (62, 2, 568),
                     (84, 22, 560)], float) + body.shift(4.0)

    def pancreas(s):
        return body.tube(path, np.array((12, 14, 9, 10, 10, 7)) * s, 18)

    body.add("pancreas", body.uneven(body.organ(pancreas, 125, 105), 1.2, 16.0), moves=0.6)


def _add_liver(body, inside):
    frame, rng, shift = body.frame, body.rng, body.shift(5.0)
    tilt, reach = rng.normal(0, 6, 2)
    hollow = body.blob((-30, 70, 640), (52, 52, 62))  # the right kidney's and the bowel's side

    def liver(s):
        right = body.blob(np.array((-74, 2, 542)) + shift, (76 * s, 92 * s, 96 * s), (0, 8, 0))
        left = body.blob((2 + reach, -44, 508), (84 * s, 44 * s, 40 * s), (0, -16 + tilt, -10))
        tongue = body.blob((-98, 0, 590), (30 * s, 54 * s, 62 * s))
        lobes = Union(parts=(right, left, tongue), rounding_mm=30.0)
        # The visceral face rises from the right flank to the left and to the back.
        face = Half(point_mm=tuple(frame.place(-60, 0, 548 + 62 * s).tolist()),
                    normal=_unit((0.48, 0.28, 0.83)))
        return Common(parts=(inside, lobes, face, Outside(solid=hollow)), rounding_mm=14.0)

    solid = body.organ(liver, 1700, 1330, 0.15)
    body.add("liver", body.uneven(solid, 2.2, 34.0), moves=1.0)
    body.add("gallbladder", body.organ(
        lambda s: body.tube([(-40, -26, 588), (-48, -46, 608), (-54, -62, 624)],
                            np.array((6, 12, 14)) * s, 8), 50, 44, 0.35), moves=1.0)


def _add_spleen(body, inside):
    shift = body.shift(4.0)
    hollow = body.blob(np.array((62, 14, 520)) + shift, (44, 50, 62))

    def spleen(s):
        shape = body.blob(np.array((98, 46, 530)) + shift, (34 * s, 54 * s, 62 * s), (-18, 10, 24))
        return Common(parts=(inside, shape, Outside(solid=hollow)), rounding_mm=8.0)

    body.add("spleen", body.uneven(body.organ(spleen, 170, 145, 0.25), 1.0, 30.0), moves=0.9)


def _add_kidneys(body, inside):
    for side in SIDES:
        middle = np.array((side * 62, 40, 606 if side < 0 else 594)) + body.shift(3.5)
        hilum = middle + np.array((side * -24, -8, 0))

        def kidney(s, side=side, middle=middle, hilum=hilum):
            bean = body.blob(middle, (28 * s, 25 * s, 55 * s), (10, side * 12, side * 28))
            notch = body.blob(hilum, (15, 14, 17))
            return Common(parts=(bean, Outside(solid=notch), inside), rounding_mm=7.0)

        whole = body.uneven(body.organ(kidney, 162, 145), 0.9, 22.0)
        body.add("kidney", whole, moves=0.6)
        calyces = [body.blob(hilum + np.array((side * 8, 2, 0)), (6, 5, 9))]
        for z in (-24, -2, 22):
            ends = hilum + np.array((side * 9, 2, z / 4)), middle + np.array((side * 1, 1, z))
            calyces.append(body.tube(ends, (3.0, 1.6)))
        sinus = Union(parts=tuple(calyces), rounding_mm=3.0)
        body.add("renal pelvis", sinus, moves=0.6)
        _add_ureter(body, side, hilum)
        body.add("adrenal gland", body.tube(
            [middle + np.array((side * -10, -8, -62)), middle + np.array((side * -18, -14, -48)),
             middle + np.array((side * -28, -6, -58))], (3.0, 4.0, 3.0)), moves=0.7)


def _add_ureter(body, side, hilum):
    """A ureter, of which some stretches hold urine."""
    path = curve([hilum, (side * 36, 16, 670), (side * 38, 12, 730), (side * 50, 14, 790),
                  (side * 24, -10, 848)], 40)
    full = body.rng.random(8).repeat(5) < 0.4
    full[:4] = True
    stretches = [path[i : i + 2] for i in range(39) if full[i]]
    body.add("ureter", Union(parts=tuple(body.tube(part, 1.8) for part in stretches)))


def add_bowel(body, room):
    """Small bowel, packed at random, and large bowel with its content and gas."""
    rng = body.rng
    frame = body.frame
    path = _pack(rng, frame)
    body.add("small bowel", tube(path, 11.5 * frame.wide), moves=0.3)
    shift = [body.shift(7.0) for _ in range(4)]
    colon = np.array([
        (-64, -40, 758), (-84, -22, 728), (-104, 14, 680), (-106, 16, 650), (-96, -14, 632),
        (-66, -62, 648), (-30, -76, 668), (14, -78, 664), (60, -66, 632), (98, -24, 592),
        (108, 24, 582), (112, 36, 622), (112, 28, 680), (98, 4, 730), (70, -34, 776),
        (44, -34, 804), (14, -20, 792), (-10, 6, 776), (-4, 42, 792), (0, 60, 826), (0, 52, 870),
        (0, 44, 912),
    ], float)
    colon[5:9] += shift[0] * (1, 0.4, 2)
    colon[14:17] += shift[1]
    colon[1:4] += shift[2] * (0.5, 0.5, 1)
    colon = curve(colon, 150)
    way = np.linspace(0, 1, 150)
    width = np.interp(way, (0, 0.12, 0.3, 0.55, 0.7, 0.82, 0.92, 1),
                      (23, 21, 18, 16, 13, 12, 16, 11))
    width = width * np.exp(rng.normal(0, 0.1)) * (1 + 0.11 * np.sin(way * 150 * 0.9 + rng.random()))
    inside = Grown(solid=room, by_mm=-1.0)
    body.add("colon wall", Common(parts=(body.tube(colon, width), inside)), moves=0.3)
    lumen = Common(parts=(body.tube(colon, np.maximum(width - 3.5, 4)),
                          Grown(solid=room, by_mm=-4.0)))
    body.add("colon content", lumen, moves=0.3)
    gas = []
    for start in rng.integers(8, 120, 5):
        end = start + rng.integers(4, 14)
        gas.append(body.tube(colon[start:end] + np.array((0, -4, 0)), width[start:end] - 7))
    body.add("air", Common(parts=(Union(parts=tuple(gas)), lumen)), moves=0.3)


def _pack(rng, frame, count=165, step=14.0):
    """A path (n, 3) in mm that winds through the middle of the abdomen and keeps off itself."""
    centre, radii = np.array((0.0, -36.0, 716.0)), np.array((86.0, 44.0, 88.0))
    path = [np.array((34.0, -24.0, 640.0))]
    way = np.array((0.0, -0.6, 0.8))
    for _ in range(count - 1):
        tries = way + rng.normal(0, 0.7, (14, 3))
        tries = path[-1] + step * tries / np.linalg.norm(tries, axis=1, keepdims=True)
        out = np.linalg.norm((tries - centre) / radii, axis=1)
        older = np.array(path[:-2]) if len(path) > 2 else np.array(path[:1])
        gap = np.linalg.norm(tries[:, None] - older, axis=2).min(1)
        best = tries[np.argmax(np.minimum(gap, 25) - 200 * np.maximum(out - 1, 0))]
        way = (best - path[-1]) / step
        path.append(best)
    return curve(frame.place(*np.array(path).T), 2 * count)


def add_pelvic_organs(body):
    """Bladder, and prostate or womb with ovaries."""
    rng = body.rng
    urine = np.exp(rng.uniform(np.log(60), np.log(320)))

    def bladder(s):
        return body.blob((0, -34, 862 - 16 * s), (40 * s, 31 * s, 30 * s), (12, 0, 0))

    full = body.uneven(of_volume(bladder, urine), 1.0, 30.0)
    body.add("bladder", Grown(solid=full, by_mm=3.0))
    body.add("urine", full)
    if body.is_male:
        body.add("prostate", body.organ(
            lambda s: body.blob((0, -14, 896), (23 * s, 16 * s, 17 * s)), 28, 28, 0.35))
        for side in SIDES:
            body.add("prostate", body.tube([(side * 6, 4, 878), (side * 24, 10, 868)], (5, 5)))
    else:
        body.add("uterus", body.uneven(body.organ(
            lambda s: body.tube([(0, 26, 872), (2, 24, 846), (4, 12, 812)],
                                np.array((11, 15, 21)) * s, 8), 80, 80, 0.3), 1.0, 20.0))
        for side in SIDES:
            place = np.array((side * 44, 14, 818)) + body.shift(4.0)
            body.add("ovary", body.blob(place, (10, 8, 12)))


def _unit(vector):
    return tuple((np.array(vector) / np.linalg.norm(vector)).tolist())
