"""How many photons and pairs a scanner counts: efficiency, singles rates and dead time.

The chance that a photon is recorded comes from a Monte Carlo simulation of the detectors
(`recon.corrections.energy_window.efficiency`), times SEEN. Singles come from photons followed
through the object to the detectors; the face of the end shields is taken to reach down to the
detectors' radius, so that photons reach them from within the scanner's bore alone, those of
activity beyond its ends included. The scintillator's own radioactivity is left out. Randoms of two
crystals are 2 tau s1 s2, with 2 tau the width of the coincidence window.
"""

import numpy as np

from recon.corrections.calibration import isotope as isotope_of
from recon.corrections.coincidences import real_crystals
from recon.corrections.compton import ELECTRON_KEV
from recon.corrections.energy_window import efficiency, slant
from recon.corrections.photon_transport import PhotonSource

# Part of the photons that the simulated detectors record that real ones do: the rest is lost in
# covers, in reflectors between crystals and where the crystal cannot be told. Fitted to the mMR's
# sensitivity (`countless benchmark count-rates --fit`); it serves all scanners.
SEEN = 0.871
_ALONG, _AROUND = 4, 8  # highest orders of the singles' smooth course along and around the scanner
_BATCH = 250_000


def pair_efficiency(scanner, cosine=1.0):
    """Chance that two crystals record the photons of a pair that meet both their faces.

    A crystal's face is its whole cell, from middle to middle of the spaces between neighbours.

    Args:
        scanner: Scanner with energy_resolution, energy_window_kev, crystal_mm and scintillator.
        cosine: of the angle between the pair's line and the normals of the faces, a number or an
            array.
    Returns:
        float, or as many as cosines.
    Raises:
        ValueError: the scanner does not state one of them.
    """
    # The simulated wall has the gaps between blocks in it, which virtual crystals stand for.
    one = SEEN * efficiency(ELECTRON_KEV, scanner) / real_crystals(scanner).mean()
    return (one * slant(cosine, scanner)) ** 2


def singles_rates(
    activity, mu_per_cm, grid, scanner, *, pairs, rng, isotope="F-18", mu_grid=None
):
    """Photons that each crystal would record in a second without dead time.

    Args:
        activity: (x, y, z) in Bq/mL, beyond the ends of the scanner too.
        mu_per_cm: (x, y, z), attenuation at 511 keV in 1/cm.
        grid: Grid of both.
        scanner: Scanner as `pair_efficiency` takes it.
        pairs: photon pairs that are drawn; one photon of each is followed.
        rng: numpy.random.Generator.
        isotope: that the activity is of.
        mu_grid: Grid of mu_per_cm where it is another.
    Returns:
        (rings, crystals) float64 in 1/s, 0 for virtual crystals; smooth along and around the
        scanner, for crystals are too many to count enough photons each.
    Raises:
        ValueError: nothing emits within the detectors, or as `pair_efficiency`.
    """
    source = PhotonSource(activity, grid, mu_per_cm, mu_grid or grid, scanner)
    counted = np.zeros((scanner.rings, scanner.crystals))
    for first in range(0, pairs, _BATCH):
        ring, crystal, cosine, weight = source.photons(min(_BATCH, pairs - first), rng)
        np.add.at(counted, (ring, crystal), weight * slant(cosine, scanner))
    ml = float(np.prod(grid.voxel_mm)) / 1000
    photons_per_s = 2 * source.emitting * ml * isotope_of(isotope).positron_fraction
    counted *= SEEN * efficiency(ELECTRON_KEV, scanner) * photons_per_s / pairs
    rates = np.where(real_crystals(scanner), np.maximum(_smooth(counted), 0), 0)
    return rates * (counted.sum() / rates.sum()) if counted.any() else rates


def live(scanner, singles):
    """Part of its photons that each crystal records in spite of dead time.

    A block is blind for dead_time_ns after each of its photons, recorded or not (paralysable):
    exp(-dead time x singles of the block). Coincidences keep the product of their crystals' parts.

    Args:
        scanner: Scanner; without dead_time_ns nothing is lost.
        singles: (rings, crystals) in 1/s, as `singles_rates` gives them.
    Returns:
        (rings, crystals) float64, 0 to 1.
    Raises:
        ValueError: rings or crystals are no whole number of blocks.
    """
    if scanner.dead_time_ns is None:
        return np.ones(np.shape(singles))
    across, along = scanner.block_crystals
    if scanner.rings % along or scanner.crystals % across:
        raise ValueError(
            f"dead time takes a scanner of whole blocks of {across} x {along} crystals, got "
            f"{scanner.crystals} in {scanner.rings} rings of {scanner.name!r}; correct "
            "block_crystals, or set dead_time_ns to None"
        )
    shape = scanner.rings // along, along, scanner.crystals // across, across
    blocks = np.reshape(singles, shape).sum(axis=(1, 3), keepdims=True)
    parts = np.exp(-1e-9 * scanner.dead_time_ns * blocks)
    return np.broadcast_to(parts, shape).reshape(np.shape(singles))


def _smooth(counted):
    """The course of few orders through counts (rings, crystals): their least-squares fit."""
    rings = np.linspace(-1, 1, len(counted)) if len(counted) > 1 else np.zeros(1)
    order = min(_ALONG, len(counted) - 1)
    basis = np.linalg.qr(np.polynomial.legendre.legvander(rings, order))[0]
    # Not by BLAS, whose rounding depends on its number of threads.
    orders = np.einsum("ri,rc->ic", basis, counted)
    spectrum = np.fft.rfft(np.einsum("ri,ic->rc", basis, orders), axis=1)
    spectrum[:, _AROUND + 1 :] = 0
    return np.fft.irfft(spectrum, counted.shape[1], axis=1)
