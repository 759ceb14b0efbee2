"""Photon pairs one by one in float64, by the random numbers that `kernels/photons.cu` counts."""

import math

import numpy as np

KEV = 511.0
WORD = 2**32


def philox(key, counter):
    """Philox 4x32-10 of Salmon et al., SC 2011: four words of 32 bits."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        first, second = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (
            second // WORD ^ c1 ^ k0, second % WORD, first // WORD ^ c3 ^ k1, first % WORD
        )
        k0, k1 = (k0 + 0x9E3779B9) % WORD, (k1 + 0xBB67AE85) % WORD
    return c0, c1, c2, c3


def numbers(key, item):
    """Yields four numbers between 0 and 1 at a time, those of an item."""
    count = 0
    while True:
        words = philox((key % WORD, key // WORD), (count, 0, item % WORD, item // WORD))
        yield [(word // 512 + 0.5) / 2**23 for word in words]
        count += 1


def pair(item, count, key, *, activity, grid, mu_per_mm, mu_grid, excess, least_kev, radius_mm,
         half_mm):
    """The pair of a number out of `count`: of each photon (x, y, z, kev, way, scatters), or None
    where it is not detected; the second is not followed then."""
    draws = numbers(key, item)
    u, v = next(draws), next(draws)
    chance = np.cumsum(activity.ravel(), dtype=np.float64)
    voxel = int(np.searchsorted(chance, (item + u[0]) / count * chance[-1], side="right"))
    index = np.array(np.unravel_index(voxel, grid.shape))
    start = grid.origin_mm + (index + np.array(v[:3]) - 0.5) * grid.voxel_mm
    cosine, turn = 2 * u[1] - 1, 2 * math.pi * u[2]
    sine = math.sqrt(1 - cosine**2)
    way = np.array([sine * math.cos(turn), sine * math.sin(turn), cosine])
    ends = []
    for direction in (way, -way):
        end = detected(*flight(start, direction, draws, mu_per_mm, mu_grid, excess, least_kev),
                       radius_mm, half_mm, least_kev)
        ends.append(end)
        if end is None:
            break
    return ends


def flight(place, way, draws, mu_per_mm, grid, excess, least_kev):
    """Where a photon scattered last, whither, energy, way up to there, and how often."""
    most, kev, flown, gone, scatters = mu_per_mm.max(), KEV, 0.0, 0.0, 0
    ends = np.array(grid.extent)
    while kev > least_kev:
        u = next(draws)
        gone -= math.log(u[0]) / (most * excess(kev))
        at = place + gone * way
        if not (np.all(at > ends[:, 0]) and np.all(at < ends[:, 1])):
            break
        index = np.floor((at - grid.origin_mm) / grid.voxel_mm + 0.5).astype(int)
        if u[1] * most >= mu_per_mm[tuple(index)]:
            continue
        kappa = kev / KEV
        kept = energy_kept(kappa, draws)
        cosine, turn = 1 - (1 - kept) / (kappa * kept), 2 * math.pi * u[2]
        # Any two directions at right angles to the photon's would do; these are Duff's.
        sign = math.copysign(1.0, way[2])
        a, b = -1 / (sign + way[2]), -way[0] * way[1] / (sign + way[2])
        one = np.array([1 + sign * way[0] ** 2 * a, sign * b, -sign * way[0]])
        two = np.array([b, sign + way[1] ** 2 * a, -way[1]])
        sine = math.sqrt(max(1 - cosine**2, 0))
        way = cosine * way + sine * (math.cos(turn) * one + math.sin(turn) * two)
        place, flown, gone, kev, scatters = at, flown + gone, 0.0, kev * kept, scatters + 1
    return place, way, kev, flown, scatters


def energy_kept(kappa, draws):
    """Butcher & Messel, Nucl. Phys. 20, 1960."""
    low = 1 / (1 + 2 * kappa)
    log, square = -math.log(low), (1 - low**2) / 2
    while True:
        u = next(draws)
        if u[0] * (log + square) < log:
            kept = math.exp(-log * u[1])
        else:
            kept = math.sqrt(low**2 + (1 - low**2) * u[1])
        sine2 = 1 - (1 - (1 - kept) / (kappa * kept)) ** 2
        if u[2] <= 1 - kept * sine2 / (1 + kept**2):
            return kept


def detected(place, way, kev, flown, scatters, radius_mm, half_mm, least_kev):
    a, b = way[:2] @ way[:2], place[:2] @ way[:2]
    to_go = (math.sqrt(b**2 - a * (place[:2] @ place[:2] - radius_mm**2)) - b) / a
    end = place + to_go * way
    if abs(end[2]) >= half_mm or kev <= least_kev:
        return None
    return (*end, kev, flown + to_go, scatters)
