"""Compton scatter of photons of up to 511 keV by free electrons.

Klein & Nishina, Z. Phys. 52, 1929; lengths in classical electron radii.
"""

import numpy as np

ELECTRON_KEV = 511.0


def scattered_kev(cosine):
    """Energy of a 511 keV photon after it scatters by an angle of this cosine."""
    return ELECTRON_KEV / (2 - np.asarray(cosine, np.float64))


def total_cross_section(kev):
    """Klein-Nishina cross section of one electron, in squared classical electron radii."""
    a = np.asarray(kev, np.float64) / ELECTRON_KEV
    log = np.log1p(2 * a)
    return 2 * np.pi * (
        (1 + a) / a**2 * (2 * (1 + a) / (1 + 2 * a) - log / a)
        + log / (2 * a)
        - (1 + 3 * a) / (1 + 2 * a) ** 2
    )


def scatter_density(cosine):
    """Chance per steradian that a 511 keV photon that scatters does so by this angle."""
    cosine = np.asarray(cosine, np.float64)
    left = 1 / (2 - cosine)
    differential = left**2 / 2 * (left + 1 / left - (1 - cosine**2))
    return differential / total_cross_section(ELECTRON_KEV)


def draw_scatter(kev, rng):
    """Draws how photons scatter (Butcher & Messel, Nucl. Phys. 20, 1960).

    Args:
        kev: energies of the photons, (n,).
        rng: numpy.random.Generator.
    Returns:
        Energy left as a fraction, and cosine of the angle, each (n,).
    """
    kappa = kev / ELECTRON_KEV
    least = 1 / (1 + 2 * kappa)
    ratio, sine2 = np.ones_like(kappa), np.zeros_like(kappa)
    left = np.arange(len(kappa))
    while len(left):
        low = least[left]
        log, square = -np.log(low), (1 - low**2) / 2
        u = rng.random((3, len(left)))
        reciprocal = u[0] * (log + square) < log
        e = np.where(reciprocal, np.exp(-log * u[1]), np.sqrt(low**2 + (1 - low**2) * u[1]))
        t = (1 - e) / (kappa[left] * e)  # 1 - cosine
        sine2[left] = t * (2 - t)
        ratio[left] = e
        left = left[u[2] > 1 - e * sine2[left] / (1 + e**2)]
    return ratio, 1 - (1 - ratio) / (kappa * ratio)


def turned(direction, cosine, turn):
    """Unit vectors (n, 3) at an angle of this cosine to a direction, turned about it."""
    x, y, z = direction.T
    sine = np.sqrt(np.maximum(1 - cosine**2, 0))
    a, b = sine * np.cos(turn), sine * np.sin(turn)
    # An orthonormal basis without a square root or a pole: Duff et al., JCGT 6(1), 2017.
    sign = np.copysign(1.0, z)
    p = -1 / (sign + z)
    q = x * y * p
    return np.stack([
        a * (1 + sign * x * x * p) + b * q + cosine * x,
        a * sign * q + b * (sign + y * y * p) + cosine * y,
        -a * sign * x - b * y + cosine * z,
    ], axis=-1)
