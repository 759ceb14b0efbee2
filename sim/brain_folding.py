"""Folded cortex: how deep each point lies under the nearest fluid."""

import numpy as np

from sim.brain_anatomy import cerebellum, cerebrum, sheets
from sim.brain_fields import Lattice, Waves, depth, smooth_minimum

GREY_MM = 2.5  # mean thickness of the cortex
COARSE_MM, FINE_MM = 2.0, 1.0
CEREBRUM = ((-74, 74), (-94, 94), (-70, 64))
CEREBELLUM = ((-58, 58), (14, 84), (10, 80))


def cortex(frame, rng):
    """Depth under the pial surface of both hemispheres, folded.

    Sulci are sheets of fluid at the zeros of a random field of one wavelength that hardly changes
    along the normal of the hull (the hemispheres with their fissures), down to a depth that varies.

    Args:
        frame: Frame of the head.
        rng: numpy Generator.
    Returns:
        Lattice in mm, positive in the brain, its thickness of grey matter scaled to GREY_MM.
    """
    coarse = Lattice.over(frame.box(CEREBRUM), COARSE_MM)
    u = frame.reference(*coarse.axes)
    hull = depth(cerebrum(u), COARSE_MM)
    bent = [c + 1.2 * Waves.random(rng, 35)(*u) for c in u]  # no fissure runs straight
    to_fissure = _distances(sheets(bent), frame.scale)
    below = np.minimum(hull, np.minimum.reduce(to_fissure))
    at = _towards_surface(u, below, hull)

    along = Waves.random(rng, 22.5, count=40, stretch=(1, 1.3, 1))(*at)
    across = Waves.random(rng, 22.5, count=40)(*at)
    mix = 1 / (1 + np.exp(-(u[1] + 12) / 12))
    field = along * np.sqrt(1 - mix) + across * np.sqrt(mix)
    ends = np.clip(14 + 5 * Waves.random(rng, 45)(*at), 8, 22)
    ends = np.minimum(ends, _room_below(below))
    # None where the hemispheres are joined, around the third ventricle.
    ends *= 1 - np.clip(sheets(bent)[0][1] / 6, 0, 1) * np.exp(-((u[0] / 18) ** 2))
    thick = 1 + 0.1 * Waves.random(rng, 50)(*u)
    sulci = depth(field, COARSE_MM)

    fine = Lattice.over(frame.box(CEREBRUM), FINE_MM)
    hull, below, sulci, ends, thick, *bent = (
        coarse.like(values)(*fine.axes) for values in (hull, below, sulci, ends, thick, *bent)
    )
    great = sheets(bent)
    to_sulcus = np.hypot(sulci, np.maximum(below - ends, 0))
    to_sulcus -= 0.65 + 0.4 * np.clip(1 - below / 6, 0, 1)
    nearest = smooth_minimum(hull, to_sulcus, 3)
    for away, (_, _, half) in zip(_distances(great, frame.scale), great, strict=True):
        nearest = smooth_minimum(nearest, away - half, 2)
    return fine.like(nearest / thick)


def _distances(great, scale):
    # To a half sheet: across it inside its edge, to the edge beyond.
    return [scale * np.hypot(across, np.maximum(beyond, 0)) for across, beyond, _ in great]


def _towards_surface(u, below, hull):
    """Points moved along the hull's normal to one depth, so that a field runs straight inwards."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.where(hull > 0, below, hull), 2.0)
    normal = np.stack(np.gradient(smooth, COARSE_MM))
    normal /= np.maximum(np.sqrt((normal**2).sum(0)), 0.3)
    move = 0.8 * np.clip(below - 4, -4, 16)
    return [c - move * n for c, n in zip(u, normal, strict=True)]


def _room_below(below):
    """How deep sulci may reach, so that those from all sides of a thin part leave a core."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    deepest = maximum_filter(np.maximum(below, 0), int(32 / COARSE_MM) | 1)
    return 0.65 * gaussian_filter(deepest, 8 / COARSE_MM)


def folia(frame, rng):
    """Depth under the cerebellum's pial surface in mm, a Lattice.

    Its fissures fan out from its middle.

    Args:
        frame: Frame of the head.
        rng: numpy Generator.
    """
    lattice = Lattice.over(frame.box(CEREBELLUM), FINE_MM)
    u = frame.reference(*lattice.axes)
    x, y, z = u
    hull = depth(cerebellum(u), FINE_MM)
    y, z = y - 34 + 0.3 * np.sqrt(x**2 + 25), z - 44  # from the axis that the fissures turn around
    radius = np.hypot(y, z)
    wobble = 0.22 * Waves.random(rng, 40)(*u)
    angle = np.arctan2(z, y) + 0.0001 * x**2 + wobble
    spacing = np.pi / 10
    across = np.abs((angle / spacing + rng.random()) % 1 - 0.5) * spacing * radius
    ends = np.minimum(14 + 3 * Waves.random(rng, 30)(*u), hull + radius - 10)
    fissure = np.hypot(across, np.maximum(hull - ends, 0)) - 0.5
    return lattice.like(smooth_minimum(hull, fissure, 2))
