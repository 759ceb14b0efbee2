"""A Monte Carlo simulation of photon pairs in a uniform cylinder of water, in NumPy."""

import math

import numpy as np

from tests.recon.reference_scatter import (
    KEV,
    RADIUS_CM,
    TO_FWHM,
    differential_cm2,
    efficiency,
    total_cm2,
)


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


def twice_to_once(
    *, radius_mm, half_mm, mu_per_mm, detector_radius_mm, half_length_mm, farthest_mm, resolution,
    window, pairs, seed,
):
    """Pairs that scattered twice over those that did once, by forced scatters with their chances.

    Of the two scatters both are of one photon, or each photon has one. Further ones are left out.
    Lines farther than `farthest_mm` from the axis are not counted; the rest as `scatter_to_trues`.

    Returns:
        The ratio, and its standard error.
    """
    rng = np.random.default_rng(seed)
    energies = np.linspace(100, KEV, 200)
    cross_sections = total_cm2(energies)

    def total(kev):
        return np.interp(kev, energies, cross_sections)

    def way_out(place, direction):
        across = to_cylinder(place, direction, radius_mm)
        end = (np.sign(direction[:, 2]) * half_mm - place[:, 2]) / direction[:, 2]
        return np.minimum(across, end)

    def scattered(place, direction, kev):
        """Where, whereto and with what energy photons go on; the chance that they scatter."""
        length, mu = way_out(place, direction), mu_per_mm * total(kev) / total(KEV)
        chance = -np.expm1(-mu * length)
        where = place - (np.log1p(-rng.random(pairs) * chance) / mu)[:, None] * direction
        # Greater angles leave less energy than 5 standard deviations below the window.
        drawn = KEV / (window[0] - 5 * KEV * resolution / TO_FWHM) - 1
        cosine = 1 - drawn * rng.random(pairs)
        weight = chance * drawn * _per_cosine_cm2(kev, cosine) / total(kev)
        after = turned(direction, cosine, 2 * np.pi * rng.random(pairs))
        return where, after, kev / (1 + kev / KEV * (1 - cosine)), weight

    def arrives(place, direction, kev):
        """Where photons reach the detectors, and the chance that they do and are kept."""
        mu = mu_per_mm * total(kev) / total(KEV)
        kept = efficiency(kev, resolution, window) / efficiency(KEV, resolution, window)
        end = place + to_cylinder(place, direction, detector_radius_mm)[:, None] * direction
        inside = np.abs(end[:, 2]) < half_length_mm
        return end, kept * np.exp(-mu * way_out(place, direction)) * inside

    def near(one, two):
        x, y = (two - one)[:, :2].T
        return np.abs(one[:, 0] * y - one[:, 1] * x) < farthest_mm * np.hypot(x, y)

    r = radius_mm * np.sqrt(rng.random(pairs))
    turn = 2 * np.pi * rng.random(pairs)
    place = np.stack([r * np.cos(turn), r * np.sin(turn), half_mm * (2 * rng.random(pairs) - 1)],
                     axis=-1)
    one = directions(2 * rng.random(pairs) - 1, 2 * np.pi * rng.random(pairs))
    fresh = np.full(pairs, KEV)
    ends, chances = [], []
    for direction in (one, -one):
        first = scattered(place, direction, fresh)
        second = scattered(*first[:3])
        weights = np.array([np.ones(pairs), first[3], first[3] * second[3]])
        reached = (arrives(place, direction, fresh), arrives(*first[:3]), arrives(*second[:3]))
        ends.append([end for end, _ in reached])
        chances.append([weight * chance for weight, (_, chance) in zip(weights, reached,
                                                                       strict=True)])

    def counted(i, j):
        return chances[0][i] * chances[1][j] * near(ends[0][i], ends[1][j])

    once, twice = counted(0, 1) + counted(1, 0), counted(0, 2) + counted(2, 0) + counted(1, 1)
    ratio = twice.sum() / once.sum()
    return ratio, math.sqrt(((twice - ratio * once) ** 2).sum()) / once.sum()


def _per_cosine_cm2(kev, cosine):
    """Klein and Nishina's cross section per cosine of the angle, all round."""
    left = 1 / (1 + kev / KEV * (1 - cosine))
    return math.pi * RADIUS_CM**2 * left**2 * (left + 1 / left - 1 + cosine**2)
