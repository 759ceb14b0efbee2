"""Compton scatter of 511 keV photons, and which of them a scanner's energy window keeps."""

import math

import numpy as np

from recon.layout import FWHM_PER_SIGMA

ELECTRON_KEV = 511.0
# Klein & Nishina, Z. Phys. 52, 1929; lengths in classical electron radii.


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


def detection_efficiency(kev, resolution, window_kev):
    """Part of the photons of this energy that a window keeps.

    Args:
        kev: energy of the photon.
        resolution: FWHM at 511 keV as a fraction of it; the width grows as the root of the energy.
        window_kev: (low, high).
    """
    kev = np.asarray(kev, np.float64)
    width = math.sqrt(2) * resolution * np.sqrt(kev * ELECTRON_KEV) / FWHM_PER_SIGMA
    low, high = ((edge - kev) / width for edge in window_kev)
    return (_erf(high) - _erf(low)) / 2


def angle_table(count, scanner):
    """What depends on the scatter angle alone, at equally spaced cosines from -1 to 1.

    Args:
        count: intervals.
        scanner: Scanner with energy_resolution and energy_window_kev.
    Returns:
        float32 (count + 1, 2): chance per steradian times the efficiency of detection over that at
        511 keV; attenuation of what is left over that at 511 keV, less one.
    Raises:
        ValueError: the scanner does not say how it measures energy.
    """
    check_energies(scanner)
    resolution, window = scanner.energy_resolution, scanner.energy_window_kev
    cosine = np.linspace(-1, 1, count + 1)
    kev = scattered_kev(cosine)
    kept = detection_efficiency(kev, resolution, window)
    kept /= detection_efficiency(ELECTRON_KEV, resolution, window)
    excess = total_cross_section(kev) / total_cross_section(ELECTRON_KEV) - 1
    return np.stack([scatter_density(cosine) * kept, excess], axis=-1).astype(np.float32)


def check_energies(scanner):
    """Raises ValueError where a scanner does not say how it measures energy."""
    resolution, window = scanner.energy_resolution, scanner.energy_window_kev
    if resolution is None or window is None:
        raise ValueError(
            f"scatter takes a scanner with energy_resolution and energy_window_kev, got "
            f"{scanner.name!r} with {resolution} and {window}; set them with dataclasses.replace"
        )


_erf = np.vectorize(math.erf, otypes=[np.float64])
