"""A Monte Carlo simulation of photon pairs in a uniform cylinder of water, in NumPy."""

import math

import numpy as np

from tests.recon.reference_scatter import KEV, differential_cm2, efficiency, total_cm2


def scatter_to_trues(
    *, radius_mm, half_mm, mu_per_mm, detector_radius_mm, half_length_mm, resolution, window,
    pairs, seed,
):
    """Single scatter over trues of a uniform cylinder in an endless ring of detectors, cut in z.

    Emission is uniform in the cylinder. One photon leaves unscattered, the other scatters exactly
    once; both with their chances as weights. Every photon that reaches the detectors' cylinder
    within its length is detected, with the efficiency of its energy.

    Returns:
        The ratio, and its standard error.
    """
    rng = np.random.default_rng(seed)
    cosines = np.linspace(-1, 1, 4001)
    middle = (cosines[1:] + cosines[:-1]) / 2
    chance = np.cumsum(differential_cm2(middle))
    kev = KEV / (2 - cosines)
    attenuation = mu_per_mm * total_cm2(kev) / total_cm2(np.array(KEV))
    kept = efficiency(kev, resolution, window) / efficiency(KEV, resolution, window)

    r = radius_mm * np.sqrt(rng.random(pairs))
    turn = 2 * np.pi * rng.random(pairs)
    z = half_mm * (2 * rng.random(pairs) - 1)
    place = np.stack([r * np.cos(turn), r * np.sin(turn), z], axis=-1)
    one = directions(2 * rng.random(pairs) - 1, 2 * np.pi * rng.random(pairs))

    def way_out(place, direction):
        across = to_cylinder(place, direction, radius_mm)
        end = (np.sign(direction[:, 2]) * half_mm - place[:, 2]) / direction[:, 2]
        return np.minimum(across, end)

    def detected(place, direction):
        reach = to_cylinder(place, direction, detector_radius_mm)
        return np.abs(place[:, 2] + reach * direction[:, 2]) < half_length_mm

    leaves, other = way_out(place, one), way_out(place, -one)
    first = detected(place, one)
    trues = np.exp(-mu_per_mm * (leaves + other)) * (first & detected(place, -one))

    interacts = -np.expm1(-mu_per_mm * other)
    depth = -np.log1p(-rng.random(pairs) * interacts) / mu_per_mm
    where = place - depth[:, None] * one
    cosine = np.interp(rng.random(pairs) * chance[-1], chance, middle)
    two = turned(-one, cosine, 2 * np.pi * rng.random(pairs))
    survives = np.exp(-np.interp(cosine, cosines, attenuation) * way_out(where, two))
    weight = np.exp(-mu_per_mm * leaves) * interacts * survives
    weight *= np.interp(cosine, cosines, kept) * first * detected(where, two)
    scatter = 2 * weight  # either photon of the pair may be the one that scatters
    ratio = scatter.sum() / trues.sum()
    return ratio, math.sqrt(((scatter - ratio * trues) ** 2).sum()) / trues.sum()


def directions(cosine, turn):
    """Unit vectors (n, 3) at an angle of this cosine to z."""
    sine = np.sqrt(1 - cosine**2)
    return np.stack([sine * np.cos(turn), sine * np.sin(turn), cosine], axis=-1)


def turned(direction, cosine, turn):
    """Unit vectors at an angle of this cosine to a direction, turned about it."""
    steep = np.abs(direction[:, :1]) > 0.9
    aside = np.cross(direction, np.where(steep, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]))
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    x, y, z = directions(cosine, turn).T[:, :, None]
    return x * aside + y * np.cross(direction, aside) + z * direction


def to_cylinder(place, direction, radius_mm):
    """Distance from inside an endless cylinder to its wall."""
    a = (direction[:, :2] ** 2).sum(1)
    b = (place[:, :2] * direction[:, :2]).sum(1)
    c = (place[:, :2] ** 2).sum(1) - radius_mm**2
    return (np.sqrt(np.maximum(b**2 - a * c, 0)) - b) / a
