"""The body's layers: skin, the fat below it and the muscle below that, to a given weight.

Places are drawn for a reference man of 176 cm who lies on his back: x to the left and y to the back
in mm as in the scanner, and the depth below the top of the head in mm instead of z. A Frame moves
them to where they are in a person.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from sim.people.combined import Grown, Union
from sim.people.habitus import Habitus
from sim.people.shaping import tube, turned, volume_ml
from sim.people.surfaces import Loft

REFERENCE_CM = 176.0
DOME = 455.0  # depth of the right diaphragm's top, where z = 0

# Of sections at these depths, half the width and the ends in front and behind, in mm: of the
# cavity within ribs and abdominal wall, and of the muscle; then how thick fat is beside, in front
# and behind, over its mean.
_CAVITY = np.array([
    (272, 24, -2, 44), (295, 54, -20, 60), (320, 78, -40, 75), (350, 98, -58, 86),
    (380, 112, -72, 93), (420, 124, -82, 97), (460, 130, -90, 97), (500, 133, -94, 94),
    (540, 131, -95, 88), (580, 128, -95, 80), (620, 125, -94, 74), (660, 122, -93, 70),
    (700, 114, -91, 66), (740, 100, -88, 62), (780, 84, -82, 64), (820, 70, -74, 72),
    (860, 58, -64, 74), (900, 42, -50, 62), (925, 28, -34, 44),
], float)  # fmt: skip
_MUSCLE = np.array([
    (150, 56, -34, 60), (200, 57, -42, 62), (245, 57, -42, 68), (270, 78, -42, 78),
    (292, 122, -46, 90), (318, 156, -60, 102), (350, 166, -84, 112), (380, 167, -97, 116),
    (420, 165, -105, 117), (460, 160, -110, 115), (500, 156, -112, 111), (540, 151, -112, 105),
    (580, 147, -111, 100), (620, 145, -109, 97), (660, 147, -107, 98), (700, 155, -105, 104),
    (740, 164, -103, 112), (780, 170, -100, 119), (820, 173, -96, 124), (860, 174, -91, 126),
    (900, 172, -82, 120), (930, 168, -72, 110), (952, 160, -60, 96),
], float)  # fmt: skip
_FAT = np.array([
    (150, 0.6, 0.4, 0.7), (270, 0.6, 0.5, 0.9), (380, 0.9, 0.7, 0.9), (480, 1.0, 0.8, 0.9),
    (580, 1.2, 1.2, 1.0), (660, 1.5, 1.6, 1.3), (740, 1.5, 1.6, 1.6), (820, 1.6, 1.4, 2.0),
    (900, 1.6, 1.1, 2.0), (952, 1.4, 0.8, 1.6),
], float)  # fmt: skip
# x, y, depth, radius of the muscle, what of it is the same in thin and stout people, thickness of
# fat over its mean.
_LEG = (
    (84, 10, 860, 68, 25, 1.2), (92, 14, 940, 78, 25, 1.4), (95, 12, 1040, 72, 25, 1.3),
    (96, 8, 1140, 61, 25, 1.1), (95, 2, 1215, 53, 40, 0.8), (95, 0, 1262, 51, 44, 0.4),
    (95, 8, 1330, 52, 28, 0.6), (95, 12, 1400, 50, 24, 0.6), (93, 8, 1500, 38, 24, 0.5),
    (92, 5, 1600, 31, 24, 0.3), (92, 8, 1690, 33, 30, 0.2), (92, 14, 1725, 30, 28, 0.2),
)
_FOOT = ((92, 14, 1722, 30, 28, 0.2), (97, -60, 1738, 28, 27, 0.2), (102, -145, 1742, 17, 17, 0.1))
_ARM = {
    "down": (
        (160, 8, 338, 48, 32, 0.9), (190, 10, 348, 49, 34, 0.9), (206, 14, 420, 44, 20, 1.1),
        (214, 18, 520, 40, 18, 1.1), (220, 20, 620, 37, 30, 0.6), (225, 12, 690, 39, 20, 0.6),
        (230, 0, 780, 33, 20, 0.5), (232, -12, 890, 25, 22, 0.2), (232, -18, 945, 24, 23, 0.2),
        (232, -22, 985, 23, 22, 0.1),
    ),
    "up": (
        (150, 8, 352, 48, 32, 0.9), (184, 6, 326, 49, 34, 0.9), (206, 2, 262, 45, 20, 1.1),
        (228, -4, 168, 41, 18, 1.1), (250, -10, 62, 37, 30, 0.6), (236, -18, -10, 39, 20, 0.6),
        (196, -28, -92, 33, 20, 0.5), (140, -36, -192, 25, 22, 0.2), (116, -38, -238, 24, 23, 0.2),
        (92, -36, -276, 23, 22, 0.1),
    ),
}
_NARROWER = {  # how much wider than a man scaled to her height a woman is, at depths
    "male": ((0, 1.0), (2000, 1.0)),
    "female": ((0, 1.04), (270, 0.98), (330, 0.95), (480, 0.96), (620, 0.97), (800, 1.08),
               (930, 1.08), (1100, 1.04), (1300, 1.0)),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where the reference man's places are in a person.

    Attributes:
        habitus: Habitus.
        wide, deep, tall: scales along x, y and z.
        sway: callable of depth that returns how far the spine is off, (…, 2) in mm.
        belly_mm: how far fat within the abdomen drives its wall out in front.
    """

    habitus: Habitus
    wide: float
    deep: float
    tall: float
    sway: object
    belly_mm: float

    @classmethod
    def draw(cls, rng, habitus):
        """A Frame of random build."""
        size = habitus.height_cm / REFERENCE_CM
        knots = np.arange(-400, 2000, 240.0)
        sway = PchipInterpolator(knots, rng.normal(0, 2.5, (len(knots), 2)))
        lean, stout = np.clip(habitus.mass_index - 25, (-8, 0), (0, 15))
        wide, deep = rng.normal(1, 0.035, 2) + 0.008 * lean + 0.004 * stout
        belly = 1.7 * np.clip(habitus.mass_index - 24, -8, 16) + rng.normal(0, 5)
        return cls(
            habitus=habitus, wide=float(size**0.8 * wide), deep=float(size**0.8 * deep),
            tall=float(size), sway=sway, belly_mm=float(belly),
        )

    @property
    def head(self):
        """Scale of skull and brain, which differ less from person to person than the rest."""
        sex = 1.0 if self.habitus.sex == "male" else 0.985
        return sex * (self.habitus.height_cm / REFERENCE_CM) ** 0.4

    def width(self, depth):
        """Scale along x at a depth."""
        return self.wide * np.interp(depth, *np.array(_NARROWER[self.habitus.sex]).T)

    def belly(self, depth):
        """How far out the abdomen's wall is driven in front at a depth, in mm."""
        return self.belly_mm * np.interp(depth, (440, 560, 660, 760, 860), (0, 0.6, 1, 0.7, 0))

    def place(self, x, y, depth):
        """Scanner coordinates in mm of places (mm, broadcasting): (…, 3)."""
        x, y, depth = np.broadcast_arrays(*(np.asarray(v, float) for v in (x, y, depth)))
        sway = self.sway(depth)
        # What lies in front moves with the belly.
        front = np.clip(-y / 95, 0, 1) * self.belly(depth)
        return np.stack([
            x * self.width(depth) + sway[..., 0],
            y * self.deep - front + sway[..., 1],
            (depth - DOME) * self.tall,
        ], axis=-1)

    def cavity(self, less_mm=0.0, deepest=925):
        """The room within ribs and abdominal wall, smaller by a layer all round: a Loft."""
        rows = _CAVITY[_CAVITY[:, 0] <= deepest]
        depth = np.arange(rows[0, 0], rows[-1, 0] + 1, 4.0)
        half, front, back = PchipInterpolator(rows[:, 0], rows[:, 1:])(depth).T
        half = half + 0.35 * self.belly(depth) / self.wide
        return self._loft(depth, half, front, back, [[-less_mm]] * 3)

    def _loft(self, depth, half, front, back, layers):
        (left, low, high), (right, _, _) = (
            np.moveaxis(self.place(sign * half, y, depth), -1, 0)
            for sign, y in ((1, front), (-1, back))
        )
        rear = self.place(0 * depth, back, depth)[:, 1]
        beside, before, behind = layers
        return Loft(
            z_mm=high, middle_mm=(left + right) / 2, half_mm=(left - right) / 2 + beside,
            front_mm=low - before, back_mm=rear + behind,
        )


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The body's layers.

    Attributes:
        frame: Frame.
        fat_mm: mean thickness of the fat below the skin.
        stout: how much there is between skeleton and skin: 1 of the reference man. Muscle grows
            with its root, fat with its power of 1.5.
        breasts: tuple of Blob.
    """

    frame: Frame
    fat_mm: float
    stout: float
    breasts: tuple = ()

    def muscle(self):
        """All below the fat: Surface."""
        return self._layer(0.0, ())

    def skin(self):
        """All of the body: Surface."""
        return self._layer(self.fat_mm * self.stout**1.5, self.breasts)

    def half_width(self, depth):
        """From the middle to the skin at the side, in mm."""
        half = np.interp(depth, _MUSCLE[:, 0], _MUSCLE[:, 1]) * self.frame.width(depth)
        fat = np.interp(depth, _FAT[:, 0], _FAT[:, 1]) * self.fat_mm * self.stout**1.5
        return half + fat + 0.35 * self.frame.belly(depth)

    def arm(self, side, fat_mm=0.0):
        """An arm with a layer of fat; side is -1 right, 1 left."""
        return self._limb(self.arm_points(), side, fat_mm)

    def arm_points(self):
        """Points along an arm: rows of x, y, depth, radius of the muscle, its core, fat."""
        points = np.array(_ARM[self.frame.habitus.arms], float)
        if self.frame.habitus.arms == "down":  # beside the hips, however wide
            _, _, depth, radius, _, fat = points.T
            own = radius * self.stout**0.5 + fat * self.fat_mm * self.stout**1.5
            clear = self.half_width(depth) + own + 4
            clear = np.maximum.accumulate(clear / self.frame.width(depth))
            points[:, 0] = np.where(depth > 400, np.maximum(points[:, 0], clear), points[:, 0])
        return points

    def fingers(self, side):
        """The thumb and four fingers: places (n, 3) along each, in mm."""
        points = self.arm_points()[:, :3]
        palm, wrist = (self.frame.place(*(row * (side, 1, 1))) for row in (points[-1], points[-2]))
        ahead = (palm - wrist) / np.linalg.norm(palm - wrist)
        aside = np.cross(ahead, (0.0, 1.0, 0.0)) * side
        aside /= np.linalg.norm(aside)
        up = np.cross(ahead, aside)
        size = self.frame.wide
        return [
            np.array([palm + size * (way * aside - 25 * ahead),
                      palm + size * (1.5 * way * aside + length / 2 * ahead),
                      palm + size * (1.6 * way * aside + length * ahead + 14 * up)])
            for way, length in ((-26, 22), (-15, 82), (-4, 92), (7, 86), (17, 68))
        ]

    def _limb(self, points, side, fat_mm):
        x, y, depth, radius, core, fat = np.array(points, float).T
        radius = (core + (radius - core) * self.stout**0.5) * self.frame.wide + fat * fat_mm
        return tube(self.frame.place(side * x, y, depth), radius, 2 * len(points))

    def _layer(self, fat_mm, breasts):
        frame, depth = self.frame, np.arange(150, 953, 4.0)
        half, front, back = PchipInterpolator(_MUSCLE[:, 0], _MUSCLE[:, 1:])(depth).T
        half = half + 0.35 * frame.belly(depth) / frame.wide
        more = PchipInterpolator(_FAT[:, 0], _FAT[:, 1:])(depth).T * fat_mm
        # Muscle over the cavity's walls, where there are any, is stouter or leaner too.
        walls = np.interp(depth, (260, 300), (0.0, 1.0)) * (self.stout**0.5 - 1)
        more = more + walls * np.array([[26.0], [14.0], [20.0]])
        parts = [frame._loft(depth, half, front, back, more), *self._head(fat_mm), *breasts]
        for side in (-1, 1):
            parts += [self._limb(points, side, fat_mm) for points in (_LEG, _FOOT)]
            parts += [self.arm(side, fat_mm), *(tube(f, 8.5) for f in self.fingers(side))]
        return Union(parts=tuple(parts), rounding_mm=24.0)

    def _head(self, fat_mm):
        frame, skin = self.frame, min(2.0 + 0.15 * fat_mm, 6.0) if fat_mm else 0.0

        def ball(centre, radii, more=1.0):
            return turned(frame.place(*centre), np.array(radii) * frame.head + skin * more)

        cheek = min(0.5 * fat_mm, 8.0)
        return (
            ball((0, -2, 102), (75, 94, 101)),
            ball((0, -44, 160), (56 + cheek, 50, 64)),
            ball((0, -62, 205), (38 + cheek, 32, 24)),
            ball((0, -98, 150), (13, 16, 20), 0.6),
        )


def draw_outline(rng, habitus):
    """An Outline whose volume is the Habitus', from a Generator."""
    frame = Frame.draw(rng, habitus)
    # Three quarters of all fat lie below the skin (typical), at 0.92 g/mL.
    fat_ml = 0.75 * habitus.fat_fraction * habitus.weight_kg * 1000 / 0.92
    thick = fat_ml / (habitus.surface_m2 * 1000)
    outline = Outline(frame=frame, fat_mm=float(thick), stout=1.0)
    if habitus.sex == "female":
        outline = replace(outline, breasts=_breasts(rng, outline))
    low, high = 0.25, 1.9
    for _ in range(9):
        middle = (low + high) / 2
        small = volume_ml(replace(outline, stout=middle).skin(), 11.0) < habitus.volume_ml
        low, high = (middle, high) if small else (low, middle)
    return replace(outline, stout=(low + high) / 2)


def _breasts(rng, outline):
    frame = outline.frame
    size = float(np.clip(rng.normal(1, 0.15) * (outline.fat_mm / 11) ** 0.35, 0.65, 1.5))
    front = np.interp(430, _MUSCLE[:, 0], _MUSCLE[:, 2]) - 0.7 * outline.fat_mm
    out, low = rng.uniform(76, 92), rng.uniform(430, 446)
    return tuple(
        Grown(solid=turned(frame.place(side * out, front + 6, low),
                           np.array([58, 34, 58]) * size, (8.0, 0.0, 18.0 * side)))
        for side in (-1, 1)
    )
