"""Single scatter, slowly and readably, in float64: what kernels/scatter.cu is compared with."""

import math

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.special import erf

RADIUS_CM = 2.8179403e-13  # of the electron, classical
KEV = 511.0
TO_FWHM = 2 * math.sqrt(2 * math.log(2))


def differential_cm2(cosine):
    """Klein-Nishina cross section per steradian for 511 keV."""
    ratio = 1 / (2 - cosine)
    return RADIUS_CM**2 / 2 * ratio**2 * (ratio + 1 / ratio - 1 + cosine**2)


def total_cm2(kev):
    """Klein-Nishina cross section, integrated over the sphere numerically."""
    cosine, weight = np.polynomial.legendre.leggauss(64)
    left = 1 / (1 + np.asarray(kev)[..., None] / KEV * (1 - cosine))
    density = RADIUS_CM**2 / 2 * left**2 * (left + 1 / left - 1 + cosine**2)
    return 2 * np.pi * (density * weight).sum(-1)


def efficiency(kev, resolution, window):
    """Part of a Gaussian about kev within the window."""
    sigma = resolution * np.sqrt(kev * KEV) / TO_FWHM
    low, high = ((edge - kev) / sigma / math.sqrt(2) for edge in window)
    return (erf(high) - erf(low)) / 2


def along(image, grid, start, end, step, parts):
    """Integrals over the steps from start towards end, by samples in the middle of their parts."""
    away = np.linalg.norm(end - start)
    count = int(away / step)
    u = (np.arange(count * parts) + 0.5) * step / parts
    places = start + u[:, None] * (end - start) / away
    index = (places - grid.origin_mm) / grid.voxel_mm
    padded = np.pad(np.asarray(image, np.float64), 1)
    values = map_coordinates(padded, (index + 1).T, order=1, mode="constant")
    return values.reshape(count, parts).sum(1) * step / parts


def single_scatter(activity, grid, mu_per_mm, mu_grid, scanner, points, first, second, *,
                   step, tof=None):
    """What one pair of detectors counts of single scatter, per mm of its own line.

    Args:
        activity, mu_per_mm: images on their grids.
        scanner: for its energies.
        points: (4, n), as recon.corrections.scatter_points gives them.
        first, second: detectors, (3,) in mm.
        step: along rays, in mm.
        tof: (bins, bin_mm, sigma_mm, sigmas, steps per bin, parts of a step), or None.
    Returns:
        A number, or (bins,).
    """
    resolution, window = scanner.energy_resolution, scanner.energy_window_kev
    inward = [np.array([-d[0], -d[1], 0]) / np.hypot(d[0], d[1]) for d in (first, second)]
    line = second - first
    apart = np.linalg.norm(line)
    own = (line @ inward[0]) * (-line @ inward[1]) / apart**4
    total = 0.0
    for *place, weight in points.T:
        place = np.array(place)
        rays = [first - place, second - place]
        r = [np.linalg.norm(ray) for ray in rays]
        cosine = -(rays[0] @ rays[1]) / (r[0] * r[1])
        kev = KEV / (2 - cosine)
        chance = differential_cm2(cosine) / total_cm2(KEV)
        chance *= efficiency(kev, resolution, window) / efficiency(KEV, resolution, window)
        facing = [max(0.0, -(ray @ n) / d) for ray, n, d in zip(rays, inward, r, strict=True)]
        solid = facing[0] * facing[1] / (r[0] * r[1]) ** 2
        a = [along(mu_per_mm, mu_grid, place, d, step, 1).sum() for d in (first, second)]
        k = total_cm2(kev) / total_cm2(KEV)
        paths = [math.exp(-a[0] - k * a[1]), math.exp(-k * a[0] - a[1])]
        if tof is None:
            e = [along(activity, grid, place, d, step, 1).sum() for d in (first, second)]
        else:
            later = (r[1] - r[0]) / 2
            e = [timed(activity, grid, place, first, later, tof),
                 timed(activity, grid, place, second, -later, tof)[::-1]]
        total = total + weight * chance * solid / own * (e[0] * paths[0] + e[1] * paths[1])
    return total


def timed(activity, grid, place, detector, later, tof):
    """How much of a ray's emission is timed into each bin, counted towards its detector."""
    bins, width, sigma, sigmas, phases, parts = tof
    step = width / phases
    emission = along(activity, grid, place, detector, step, parts)
    u = (np.arange(len(emission)) + 0.5) * step
    centre = (np.arange(bins) - (bins - 1) / 2) * width - later
    below = np.floor(centre / step)
    far = centre / step - below
    return sum(
        share * (emission * window((node * step)[:, None] - u, width, sigma, sigmas)).sum(1)
        for node, share in ((below, 1 - far), (below + 1, far))
    )


def window(x, width, sigma, sigmas):
    """Chance that a Gaussian error, cut off and renormalised, stays in a bin x from its centre."""
    low, high = (np.clip((x + side * width / 2) / sigma, -sigmas, sigmas) for side in (-1, 1))
    return (erf(high / math.sqrt(2)) - erf(low / math.sqrt(2))) / 2 / erf(sigmas / math.sqrt(2))
