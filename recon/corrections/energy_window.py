"""Which photons a scanner's energy window keeps."""

import functools
import math

import numpy as np

from recon.corrections.compton import (
    ELECTRON_KEV,
    scatter_density,
    scattered_kev,
    total_cross_section,
)
from recon.corrections.crystal import deposited_kev
from recon.layout import FWHM_PER_SIGMA

_DRAWN_KEV = np.linspace(0.5, 1.0, 11) * ELECTRON_KEV
_DRAWN = 100_000  # photons of each of these energies
_RARE = 1e-3  # what a window keeps less of by its resolution alone is told no further


def detection_efficiency(kev, resolution, window_kev):
    """Part of the photons of this energy that a window keeps, were all of it always measured.

    Args:
        kev: energy of the photon.
        resolution: FWHM at 511 keV as a fraction of it; the width grows as the root of the energy.
        window_kev: (low, high).
    """
    kev = np.asarray(kev, np.float64)
    width = math.sqrt(2) * resolution * np.sqrt(kev * ELECTRON_KEV) / FWHM_PER_SIGMA
    low, high = ((edge - kev) / width for edge in window_kev)
    return (_erf(high) - _erf(low)) / 2


def relative_efficiency(kev, scanner):
    """What a scanner's window keeps of photons of this energy, over what it keeps at 511 keV.

    Where the scanner's scintillator is known, the chances of a photon to pass its block of crystals
    and to leave only part of its energy there are in it: both grow with energy, so that of
    scattered photons a tenth or so more are kept than the window's edges alone would tell.

    Args:
        kev: energy of the photon, at most 511.
        scanner: Scanner with energy_resolution and energy_window_kev.
    Raises:
        ValueError: the scanner does not state its energies, or has an unknown scintillator.
    """
    check_energies(scanner)
    resolution, window = scanner.energy_resolution, scanner.energy_window_kev
    kept = detection_efficiency(kev, resolution, window)
    kept = kept / detection_efficiency(ELECTRON_KEV, resolution, window)
    if scanner.scintillator is None or scanner.crystal_mm is None:
        return kept
    size = tuple(
        crystal * (whole - len(virtual))
        for crystal, whole, virtual in zip(
            scanner.crystal_mm[:2], scanner.block_crystals,
            (scanner.virtual_crystals, scanner.virtual_rings), strict=True,
        )
    )
    more = _block_gain(scanner.scintillator, (*size, scanner.crystal_mm[2]), resolution, window)
    return kept * np.interp(kev, _DRAWN_KEV, more)


@functools.lru_cache(maxsize=32)
def _block_gain(scintillator, size_mm, resolution, window):
    """By how much a block changes what is kept, relative to 511 keV, at _DRAWN_KEV."""
    alone = detection_efficiency(_DRAWN_KEV, resolution, window)
    kept = np.empty_like(alone)
    for index, kev in enumerate(_DRAWN_KEV):
        # The same draws at each energy: their noise cancels in the ratio.
        left = deposited_kev(kev, scintillator, size_mm, _DRAWN, np.random.default_rng(0))
        counts, edges = np.histogram(left, 256, (1.0, 512.0))
        middle = (edges[1:] + edges[:-1]) / 2
        kept[index] = counts @ detection_efficiency(middle, resolution, window) / _DRAWN
    gain = kept / np.where(alone > _RARE, alone, np.nan)
    told = np.isfinite(gain)
    return np.interp(_DRAWN_KEV, _DRAWN_KEV[told], gain[told] / gain[-1])


def angle_table(count, scanner):
    """What depends on the scatter angle alone, at equally spaced cosines from -1 to 1.

    Args:
        count: intervals.
        scanner: Scanner with energy_resolution and energy_window_kev.
    Returns:
        float32 (count + 1, 2): chance per steradian times the efficiency of detection over that at
        511 keV; attenuation of what is left over that at 511 keV, less one.
    Raises:
        ValueError: the scanner does not state its energies, or has an unknown scintillator.
    """
    cosine = np.linspace(-1, 1, count + 1)
    kev = scattered_kev(cosine)
    kept = relative_efficiency(kev, scanner)
    excess = total_cross_section(kev) / total_cross_section(ELECTRON_KEV) - 1
    return np.stack([scatter_density(cosine) * kept, excess], axis=-1).astype(np.float32)


def check_energies(scanner):
    """Raises ValueError where a scanner does not say how it measures energy."""
    resolution, window = scanner.energy_resolution, scanner.energy_window_kev
    if resolution is None or window is None:
        raise ValueError(
            f"scatter takes a scanner that states its energy resolution and window, got "
            f"{scanner.name!r} with {resolution} and {window}; add `Energy resolution`, `energy "
            "window lower level [1]` and `energy window upper level [1]` to the sinogram's header, "
            "or set energy_resolution and energy_window_kev of the Scanner"
        )


_erf = np.vectorize(math.erf, otypes=[np.float64])
