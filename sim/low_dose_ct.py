"""A CT at any dose: what a tube's X-rays leave of a patient, counted, and reconstructed to HU.

The patient is water and calcium (a basis, Alvarez & Macovski, Phys. Med. Biol. 21, 1976), found
from the two numbers that a material has, mu at 511 keV and HU at 120 kVp: what attenuates like none
of their sums, such as iodine with its K edge, is not represented. Of the materials of
`sim.materials`, CT numbers at 80 to 140 kVp agree with those of their elements to 5 HU.

The detector adds up energies: a reading is compound Poisson, to which electronics add Gaussian
noise. In photons of the beam's mean energy E,

    reading = sum_k E_k / E * Poisson(photons * s_k * exp(-line integral at E_k)) + N(0, noise^2)

with the spectrum's parts s_k (Whiting et al., Med. Phys. 33, 2006). Scattered photons, crosstalk,
the focal spot and the detector's width are left out. The geometry is `sim.parallel_beam`'s; nothing
here depends on it but `low_dose_ct`.
"""

from dataclasses import replace

import numpy as np
from numpy.polynomial import Polynomial

from sim.attenuation import CT_KEV, attenuation_per_cm
from sim.ct_spectrum import WATER, WATER_511, hounsfield, spectrum
from sim.parallel_beam import ParallelBeam

CALCIUM, CALCIUM_511 = attenuation_per_cm(1.55, Ca=1.0)
ELECTRONIC_NOISE = 3.0  # photons: a variance of 10, as low-dose simulations often take
LEAST_READING = 1.0  # photons: a reading below counts as one, for it has no useful logarithm
SLAB = 32  # slices at a time
_MOST_WATER_CM = 80.0  # less than a millionth passes through it
_LEAST_PER_CM = -0.01  # at the lowest energy, from numbers that were rounded


def basis(mu_per_cm, hu):
    """How much water and calcium attenuates 511 keV, and X-rays of 120 kVp, as given.

    Args:
        mu_per_cm: at 511 keV, any shape.
        hu: CT numbers at 120 kVp, of the same shape.
    Returns:
        Water and calcium as parts of their densities, float32, of that shape; either may be
        negative: fat is water less some calcium.
    Raises:
        ValueError: the two do not fit: X-rays would be amplified.
    """
    water_per_cm = np.asarray(hu, np.float32) / 1000 + 1  # in units of water's attenuation
    mixed = np.array([[WATER_511, CALCIUM_511], [1, 1 + hounsfield(CALCIUM) / 1000]])
    (a, b), (c, d) = np.linalg.inv(mixed).astype(np.float32)
    mu_per_cm = np.asarray(mu_per_cm, np.float32)
    water, calcium = a * mu_per_cm + b * water_per_cm, c * mu_per_cm + d * water_per_cm
    least = float((water * np.float32(WATER[0]) + calcium * np.float32(CALCIUM[0])).min())
    if not least >= _LEAST_PER_CM:
        raise ValueError(
            f"low_dose_ct takes a mu map and CT numbers that fit each other, got {least:.3g} 1/cm "
            f"at {CT_KEV[0]:g} keV; check that both are of one phantom, in 1/cm and in HU at 120 "
            "kVp"
        )
    return water, calcium


def detect(water_cm, calcium_cm, *, kvp, photons, electronic_noise, rng):
    """Readings of the detector, in photons of the beam's mean energy (this module's formula).

    Args:
        water_cm: line integrals of water, any shape.
        calcium_cm: line integrals of calcium, of the same shape.
        kvp: tube voltage, one of `sim.ct_spectrum.VOLTAGES`.
        photons: in a ray that meets nothing.
        electronic_noise: standard deviation, in photons.
        rng: numpy.random.Generator.
    Returns:
        float64 of that shape; it may be negative.
    """
    parts = spectrum(kvp)
    readings = electronic_noise * rng.standard_normal(water_cm.shape)
    for kev, part, water, calcium in zip(CT_KEV, parts, WATER, CALCIUM, strict=True):
        if part > 0:
            lines = np.float32(water) * water_cm + np.float32(calcium) * calcium_cm
            readings += kev / (parts @ CT_KEV) * rng.poisson(photons * part * np.exp(-lines))
    return readings


def water_lines(readings, *, kvp, photons):
    """How many cm of water let through as much, and how many readings were too low to tell.

    ln(photons / reading) is brought to cm of water by a polynomial that is exact for water to
    0.01 %: the usual correction of beam hardening, which leaves bone's. Readings below one photon
    are taken as one.

    Args:
        readings: of `detect`.
        kvp, photons: as they were there.
    Returns:
        float32 of that shape; int.
    """
    starved = readings < LEAST_READING
    logs = np.log(photons / np.maximum(readings, LEAST_READING))
    return (logs * _cm_of_water(kvp)(logs)).astype(np.float32), int(starved.sum())


def _cm_of_water(kvp):
    """Polynomial of ln(photons / reading) that is cm of water divided by it."""
    energy = spectrum(kvp) * CT_KEV
    cm = np.linspace(0.5, _MOST_WATER_CM, 400)
    logs = -np.log(np.exp(-np.outer(cm, WATER)) @ energy / energy.sum())
    return Polynomial.fit(logs, cm / logs, deg=7)


def low_dose_ct(
    mu_per_cm, hu, grid, *, rng, kvp=120, photons=1e5, electronic_noise=ELECTRONIC_NOISE,
    window="hann", threads=None, watch=None,
):
    """A CT of a phantom.

    Args:
        mu_per_cm: the phantom at 511 keV, image (x, y, z) in 1/cm.
        hu: the phantom's CT numbers at 120 kVp, image (x, y, z).
        grid: Grid of both.
        rng: numpy.random.Generator.
        kvp: tube voltage, one of `sim.ct_spectrum.VOLTAGES`.
        photons: in a ray that meets nothing: the dose.
        electronic_noise: standard deviation of a reading, in photons.
        window: of the ramp filter, a name in `recon.algorithms.analytic.WINDOWS`.
        threads: CPU threads; results do not depend on it.
        watch: called with the number of slices that were just made.
    Returns:
        Image (x, y, z) in HU, float32, and how many readings were below one photon.
    Raises:
        ValueError: a number is out of its range, or the images do not fit each other.
    """
    if not 1 < photons < np.inf:
        raise ValueError(f"low_dose_ct takes more than 1 photon in a ray, got {photons:g}")
    if not 0 <= electronic_noise < np.inf:
        raise ValueError(
            f"low_dose_ct takes electronic_noise of 0 photons or more, got {electronic_noise:g}"
        )
    water, calcium = basis(mu_per_cm, hu)
    image, starved = np.empty(grid.shape, np.float32), 0
    for first in range(0, grid.shape[2], SLAB):
        part = slice(first, min(first + SLAB, grid.shape[2]))
        beam = ParallelBeam(
            replace(grid, shape=(*grid.shape[:2], part.stop - first)), threads=threads
        )
        lines = (beam.project(amount[..., part]) for amount in (water, calcium))
        readings = detect(
            *lines, kvp=kvp, photons=photons, electronic_noise=electronic_noise, rng=rng
        )
        cm, low = water_lines(readings, kvp=kvp, photons=photons)
        image[..., part] = 1000 * (beam.reconstruct(cm, window) - 1)
        starved += low
        if watch:
            watch(part.stop - first)
    return image, starved
