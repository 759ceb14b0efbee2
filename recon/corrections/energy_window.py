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
_COSINES = np.linspace(0.1, 1.0, 10)
_BINS_KEV = np.linspace(1.0, 512.0, 257)
_DRAWN = 50_000  # photons of each of these energies
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


def efficiency(kev, scanner):
    """Chance that a photon is recorded that meets the detectors' face at right angles.

    The face has the gaps between blocks in it. That a photon passes its block, leaves only part of
    its energy there or goes on into the next is in it (`recon.corrections.crystal`).

    Args:
        kev: energy of the photon, at most 511.
        scanner: Scanner with energy_resolution, energy_window_kev, crystal_mm and scintillator.
    Raises:
        ValueError: the scanner does not state one of them, or has an unknown scintillator.
    """
    blocks, resolution, window = _detector(scanner)
    kept = detection_efficiency(kev, resolution, window)
    return kept * np.interp(kev, _DRAWN_KEV, _block_gain(blocks, resolution, window))


def slant(cosine, scanner):
    """What is recorded of 511 keV photons that come at an angle, over those at right angles.

    Args:
        cosine: of the angle between a photon and the normal of the detectors' face.
        scanner: as `efficiency` takes it.
    Raises:
        ValueError: as `efficiency`.
    """
    blocks, resolution, window = _detector(scanner)
    deposits = _deposits(blocks, (ELECTRON_KEV,), tuple(_COSINES))
    recorded = _recorded(deposits, resolution, window)
    return np.interp(cosine, _COSINES, recorded / recorded[-1])


def relative_efficiency(kev, scanner):
    """What a scanner records of photons of this energy, over what it records at 511 keV.

    Where its crystals are not known, its energy resolution alone decides. With them, a tenth or so
    more of scattered photons are recorded than that alone would tell: less energy passes a block.

    Args:
        kev: energy of the photon, at most 511.
        scanner: Scanner with energy_resolution and energy_window_kev.
    Raises:
        ValueError: the scanner does not state its energies, or has an unknown scintillator.
    """
    check_energies(scanner)
    if _knows_crystals(scanner):
        return efficiency(kev, scanner) / efficiency(ELECTRON_KEV, scanner)
    resolution, window = scanner.energy_resolution, _window(scanner)
    kept = detection_efficiency(kev, resolution, window)
    return kept / detection_efficiency(ELECTRON_KEV, resolution, window)


def _window(scanner):
    """The energies between which photons are kept: those set, or the lower one as it was fitted."""
    low, high = scanner.energy_window_kev
    fitted = scanner.effective_threshold_kev
    return (low if fitted is None else fitted), high


def _knows_crystals(scanner):
    return None not in (scanner.scintillator, scanner.crystal_mm)


def _detector(scanner):
    """A scanner's blocks, as `_deposits` takes them, its resolution and window."""
    check_energies(scanner)
    if not _knows_crystals(scanner):
        raise ValueError(
            f"the efficiency of {scanner.name!r} takes its scintillator and crystal_mm, got "
            f"{scanner.scintillator} and {scanner.crystal_mm}; set them in the Scanner, or add "
            "`%scintillator` and `%crystal size (mm)` to the sinogram's header"
        )
    across, along, depth = scanner.crystal_mm
    whole = scanner.block_crystals
    front = (
        across * (whole[0] - len(scanner.virtual_crystals)),
        along * (whole[1] - len(scanner.virtual_rings)),
    )
    apart = 2 * math.pi * scanner.radius_mm / scanner.crystals, scanner.ring_spacing_mm
    pitch = tuple(max(f, w * a) for f, w, a in zip(front, whole, apart, strict=True))
    blocks = scanner.scintillator, (*front, depth), pitch, scanner.adds_blocks
    return blocks, scanner.energy_resolution, _window(scanner)


def _recorded(deposits, resolution, window):
    """Part of the photons that a window keeps, of histograms of what they leave in blocks."""
    middle = (_BINS_KEV[1:] + _BINS_KEV[:-1]) / 2
    return deposits @ detection_efficiency(middle, resolution, window) / _DRAWN


def _block_gain(blocks, resolution, window):
    """What blocks record over what the resolution alone would tell, at _DRAWN_KEV."""
    alone = detection_efficiency(_DRAWN_KEV, resolution, window)
    kept = _recorded(_deposits(blocks, tuple(_DRAWN_KEV), (1.0,)), resolution, window)
    gain = kept / np.where(alone > _RARE, alone, np.nan)
    told = np.isfinite(gain)
    return np.interp(_DRAWN_KEV, _DRAWN_KEV[told], gain[told])


@functools.lru_cache(maxsize=32)
def _deposits(blocks, energies_kev, cosines):
    """Histograms of the energy left in blocks by photons of all energies at all angles."""
    scintillator, size_mm, pitch_mm, add = blocks
    # The same draws each time: their noise cancels in ratios.
    return np.array([
        np.histogram(
            deposited_kev(kev, scintillator, size_mm, pitch_mm, _DRAWN, np.random.default_rng(0),
                          cosine=cosine, add=add), _BINS_KEV,
        )[0]
        for kev in energies_kev for cosine in cosines
    ])


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
