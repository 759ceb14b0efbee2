"""Bones and the marrow in them."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from sim.people.anatomy import SIDES
from sim.people.combined import Common, Grown, Outside, Union
from sim.people.shaping import tube, turned
from sim.people.surfaces import Half

CORTEX = 2.0  # thickness of the bone around marrow, mm
_SPINE_Y = (
    (160, 22), (190, 17), (215, 15), (245, 21), (262, 27), (285, 38), (350, 56), (425, 60),
    (490, 56), (541, 47), (600, 35), (660, 30), (715, 34), (740, 42), (790, 66),
)  # fmt: skip
_CERVICAL = 164 + 16.0 * np.arange(7)
_THORACIC = 285 + 23.3 * np.arange(12)
_LUMBAR = 572 + 34.0 * np.arange(5)


def spine_y(depth):
    """The vertebral bodies' middle along y in the reference man, mm."""
    return PchipInterpolator(*np.array(_SPINE_Y, float).T)(depth)


def vertebrae():
    """(depth, radius along x, along y, half height, length of the spinous process) of each."""
    rows = [(d, 13, 9, 6.5, 14) for d in _CERVICAL]
    rows += [(d, 14 + 0.5 * i, 12 + 0.35 * i, 9 + 0.25 * i, 19) for i, d in enumerate(_THORACIC)]
    return rows + [(d, 23.5, 17, 13.5, 24) for d in _LUMBAR]


def add_spine(body):
    """Vertebrae, the discs between them, the cord behind them, the sacrum."""
    depth = np.arange(168, 745, 16.0)
    y = spine_y(depth)
    width = np.interp(depth, (168, 260, 300, 540, 580, 740), (9, 9, 12, 16, 18, 18))
    body.add("disc", body.tube(np.c_[0 * depth, y, depth], width))
    bones, marrow = [], []
    for depth, rx, ry, half, spinous in vertebrae():
        y = float(spine_y(depth))
        trunk = body.blob((0, y, depth), (rx, ry, half), power=4.0)
        bones.append(trunk)
        marrow.append(Grown(solid=trunk, by_mm=-CORTEX))
        behind = y + ry
        for side in SIDES:
            bones.append(body.tube([(side * rx * 0.7, y + ry * 0.5, depth),
                                    (side * 14, behind + 9, depth), (0, behind + 18, depth + 2)],
                                   (4.5, 4.0, 3.5)))
            bones.append(body.tube([(side * 13, behind + 6, depth),
                                    (side * (rx + 13), behind + 9, depth - 1)], 4.0))
        bones.append(body.tube([(0, behind + 17, depth), (0, behind + 17 + spinous * 0.7,
                                                          depth + spinous * 0.4)], (3.5, 4.0)))
    sacrum = [(0, 44, 742), (0, 62, 782), (0, 82, 822), (0, 84, 850)]
    bones.append(body.tube(sacrum, (20, 17, 10, 5), 8))
    marrow.append(body.tube(sacrum, (18, 15, 8, 3), 8))
    for side in SIDES:
        wing = body.blob((side * 34, 55, 758), (24, 14, 30))
        bones.append(wing)
        marrow.append(Grown(solid=wing, by_mm=-CORTEX))
    body.add("bone", body.below_fat(Union(parts=tuple(bones)), 1.0))
    body.add("marrow", Union(parts=tuple(marrow)))
    cord = [(0, spine_y(d) + np.interp(d, (160, 285, 541, 700), (19, 23, 26, 27)), d)
            for d in np.arange(160, 730, 30.0)]
    body.add("spinal cord", body.tube(cord, 7.0))


def add_chest_bones(body):
    """Ribs with their cartilage, sternum, collar bones and shoulder blades."""
    ribs, inside, cartilage = [], [], []
    wall = body.frame.cavity()
    for side in SIDES:
        for number, depth in enumerate(_THORACIC, start=1):
            places = _rib(body, wall, number, depth, side)
            radius = np.interp(number, (1, 3, 9, 12), (4.2, 5.0, 5.0, 3.6)) * body.frame.wide
            ribs.append(tube(places, radius))
            inside.append(tube(places, radius - 1.6))
            if number <= 7:
                edge = body.frame.place(side * 17, 0, 344 + 19 * number)
                edge[1] = np.interp(edge[2], wall.z_mm, wall.front_mm) - 4
                joint = (places[-1] + edge) / 2 + (0, -2, 5)
            elif number <= 10:
                edge = joint
                joint = (places[-1] + edge) / 2
            if number <= 10:
                cartilage.append(tube([places[-1], joint, edge], 4.5, 6))
    body.add("cartilage", Union(parts=tuple(cartilage)))
    breastbone = []
    for low, high, half in ((326, 372, 26), (368, 480, 17)):
        middle = body.frame.place(0, 0, (low + high) / 2)
        ends = np.interp(body.frame.place(0, 0, np.array([low, high]))[:, 2],
                         wall.z_mm, wall.front_mm)
        middle[1] = ends.mean() - 5
        tilt = np.degrees(np.arctan2(ends[0] - ends[1], (high - low) * body.frame.tall))
        radii = half * body.frame.wide, 6.0, (high - low) / 2 * body.frame.tall
        breastbone.append(turned(middle, radii, (tilt, 0, 0), 3.0))
    shoulders = []
    for side in SIDES:
        shoulders.append(body.tube([(side * 24, -52, 328), (side * 70, -52, 318),
                                (side * 115, -22, 314), (side * 150, -2, 316)], 5.5, 12))
        blade = body.blob((side * 110, 85, 392), (44, 5, 70), (6, 0, side * -32))
        shoulders.append(body.uneven(blade, 1.0, 30.0))
        shoulders.append(body.tube([(side * 72, 95, 356), (side * 115, 82, 338),
                                (side * 152, 42, 322), (side * 158, 10, 318)], (4, 5, 6, 7), 10))
    body.add("bone", Union(parts=(*ribs, *breastbone)))
    body.add("bone", body.below_fat(Union(parts=tuple(shoulders)), 3.0))
    body.add("marrow", Union(parts=tuple(inside) + tuple(
        Grown(solid=bone, by_mm=-CORTEX) for bone in breastbone)))


def _rib(body, wall, number, depth, side):
    """Places along a rib (n, 3), in the wall of the chest, from the spine to the front."""
    falls = np.interp(number, (1, 2, 4, 7, 10, 11, 12), (42, 58, 80, 92, 96, 56, 34))
    last = np.interp(number, (1, 5, 7, 10, 11, 12), (-62, -64, -60, -34, 20, 45))
    angle = np.radians(np.linspace(64, last, 18))
    way = np.linspace(0, 1, 18)
    z = body.frame.place(0, 0, depth + falls * way)[:, 2]
    middle, half, front, back = (
        np.interp(z, wall.z_mm, values)
        for values in (wall.middle_mm, wall.half_mm, wall.front_mm, wall.back_mm)
    )
    cos, sin = np.cos(angle), np.sin(angle)
    bend = 2 / wall.power
    x = middle + side * (half + 5) * cos**bend
    y = (front + back) / 2 + ((back - front) / 2 + 5) * np.sign(sin) * np.abs(sin) ** bend
    neck = body.frame.place(side * 24, spine_y(depth) + 12, depth)
    return np.vstack([neck, np.c_[x, y, z]])


def add_pelvis(body):
    """Hip bones; the sacrum belongs to the spine."""
    bones, marrow = [], []
    for side in SIDES:
        # A sheet between two ellipsoids, one a little inside of the other, opens like a bowl.
        outer = body.blob((side * 64, 12, 754), (66, 92, 66), (0, 0, side * 20), 2.3)
        inner = body.blob((side * 57, 5, 753), (64, 92, 68), (0, 0, side * 20), 2.3)
        plane = body.frame.place(side * 88, 20, 750)
        normal = np.array((-side * 0.82, -0.57, 0.0))
        wing = Common(parts=(outer, Outside(solid=inner),
                             Half(point_mm=tuple(plane.tolist()), normal=tuple(normal.tolist()))),
                      rounding_mm=2.0)
        bent = body.uneven(wing, 0.6, 45.0)
        cup = body.blob((side * 84, 4, 836), (34, 32, 34))
        rods = [
            body.tube([(side * 84, 22, 800), (side * 90, 8, 825)], (15, 18)),
            body.tube([(side * 76, -14, 838), (side * 45, -46, 850), (side * 9, -60, 866)],
                      (13, 8, 11), 8),
            body.tube([(side * 80, 22, 850), (side * 68, 38, 890), (side * 58, 32, 918)],
                      (16, 13, 11), 8),
            body.tube([(side * 58, 30, 918), (side * 34, -14, 902), (side * 10, -54, 880)],
                      (8, 6, 7), 8),
        ]
        bones += [bent, cup, *rods]
        marrow += [Grown(solid=part, by_mm=-CORTEX) for part in (bent, cup, *rods[:3])]
    body.add("bone", body.below_fat(Union(parts=tuple(bones)), 3.0))
    body.add("marrow", body.below_fat(Union(parts=tuple(marrow)), 3.0 + CORTEX))


def add_limb_bones(body):
    """Thigh bones, lower legs, feet, arms and hands; red marrow only near hips and shoulders."""
    bones, red, yellow = [], [], []
    for side in SIDES:
        thigh = [(side * 116, 10, 866), (side * 124, 6, 930), (side * 114, -4, 1050),
                 (side * 101, -4, 1180), (side * 96, 0, 1228)]
        head = body.blob((side * 84, 4, 836), (24, 24, 24))
        neck = body.tube([(side * 86, 4, 838), (side * 124, 12, 868)], (16, 17))
        knee = [(side * 72, 2, 1240), (side * 118, 2, 1240)]
        shin = [(side * 95, 0, 1268), (side * 93, -8, 1330), (side * 91, -6, 1500),
                (side * 90, 6, 1690)]
        bones += [
            body.tube(thigh, (18, 16, 14, 16, 24), 14), neck, body.tube(knee, 22),
            body.blob((side * 95, -36, 1238), (20, 8, 22)),
            body.tube([(side * 76, 2, 1272), (side * 114, 2, 1272)], 20),
            body.tube(shin, (22, 17, 12, 17), 12),
            body.tube([(side * 118, 12, 1290), (side * 112, 12, 1480), (side * 106, 10, 1700)],
                      (8, 6, 9), 10),
            body.tube([(side * 92, 30, 1722), (side * 94, -40, 1728), (side * 100, -130, 1740)],
                      (16, 10, 5), 8),
        ]
        cover = body.blob((side * 84, 4, 836), (26, 26, 26))
        body.add("cartilage", cover)
        bones.append(head)
        red += [Grown(solid=part, by_mm=-CORTEX) for part in (head, neck)]
        red.append(body.tube(thigh[:2], (15, 10)))
        yellow += [body.tube(thigh[1:], (9, 7, 8, 18), 12), body.tube(shin, (18, 9, 6, 12), 12)]
        arm, marrow = _arm_bones(body, side)
        bones += arm
        yellow += marrow
    body.add("bone", Union(parts=tuple(bones)))
    body.add("yellow marrow", Union(parts=tuple(yellow)))
    body.add("marrow", Union(parts=tuple(red)))


def _arm_bones(body, side):
    points = body.outline.arm_points()
    joint, elbow, wrist = (points[i, :3] * (side, 1, 1) for i in (1, 4, 7))
    joint = joint * (0.93, 1, 1)
    across = np.array([0, 8, 0]) if body.frame.habitus.arms == "up" else np.array([3, 8, 0])
    upper = [joint, joint + (elbow - joint) * 0.2, (joint + elbow) / 2, elbow]
    ball = body.blob(joint, (22, 22, 22))
    bones = [
        ball, body.tube(upper, (17, 12, 10, 15), 12),
        body.tube([elbow - across, wrist - across], (9, 8)),
        body.tube([elbow + across, wrist + across], (11, 6)),
        *(tube(places, 4.0) for places in body.outline.fingers(side)),
    ]
    return bones, [Grown(solid=ball, by_mm=-CORTEX), body.tube(upper, (12, 7, 5, 8), 12)]
