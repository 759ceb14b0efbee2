"""The CT of a study's phantoms, and the mu map that a scanner makes of it."""

import math
from dataclasses import dataclass, replace

import numpy as np

from recon.corrections.hounsfield import mu_at_511
from sim.ct_spectrum import spectrum
from sim.low_dose_ct import low_dose_ct


@dataclass(frozen=True, kw_only=True)
class CT:
    """What is known of a patient's attenuation.

    Attributes:
        simulated: whether X-rays are simulated (`sim.low_dose_ct`) and images are reconstructed
            with the mu map that their CT numbers give; or both are taken from the phantom as they
            are, as an inverse crime always does.
        kvp: tube voltage, one of `sim.ct_spectrum.VOLTAGES`.
        photons: in a ray, one for each of the image's voxels across, that meets nothing: the dose.
            With 1e5 noise is some 10 HU amid a torso in voxels of 4 mm, with 1e4 some 30 HU.
        shift_mm: how far the patient lies from where the PET scan finds him: the standard deviation
            along each axis, drawn for each phantom.
    """

    simulated: bool = True
    kvp: float = 120.0
    photons: float = 1e5
    shift_mm: float = 0.0

    def __post_init__(self):
        spectrum(self.kvp)  # which refuses voltages that are not known
        if not 1 < self.photons < math.inf:
            raise ValueError(f"ct.photons takes more than 1 photon in a ray, got {self.photons:g}")
        if not 0 <= self.shift_mm < math.inf:
            raise ValueError(f"ct.shift_mm takes 0 mm or more, got {self.shift_mm:g}")


def scan_ct(settings, phantom, images, grid, rng, *, threads=None):
    """A phantom's CT.

    Args:
        settings: CT, of which `simulated` is not asked.
        phantom: Phantom.
        images: its mu_per_cm and hu where the PET scan finds them, dict of images (x, y, z).
        grid: Grid of all images.
        rng: numpy Generator.
        threads: CPU threads; the result does not depend on it.
    Returns:
        CT numbers in HU and mu map at 511 keV in 1/cm, float32 (x, y, z); and how far in mm, along
        x, y and z, the patient lay from where the PET scan finds him.
    """
    shift_mm = settings.shift_mm * rng.standard_normal(3)
    if shift_mm.any():
        origin_mm = tuple(np.subtract(grid.origin_mm, shift_mm).tolist())
        images = phantom.images(replace(grid, origin_mm=origin_mm), names=("mu_per_cm", "hu"))
    hu, _ = low_dose_ct(images["mu_per_cm"], images["hu"], grid, rng=rng, kvp=settings.kvp,
                        photons=settings.photons, threads=threads)
    return hu, mu_at_511(hu, settings.kvp), shift_mm
