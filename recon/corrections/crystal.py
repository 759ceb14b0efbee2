"""How much of its energy a photon leaves in a block of crystals: a Monte Carlo simulation.

Photons enter the front of a block at right angles, anywhere; within it they are absorbed or
scatter, and leave through any face with what is left. Crystals of a block share what they are read
out by, so their light adds up; reflectors, fluorescence and coherent scatter are left out.
"""

import numpy as np

from recon.corrections.compton import draw_scatter, turned

# Photoelectric and Compton attenuation in 1/cm at these energies: Elam, Ravel & Sieber, Radiat Phys
# Chem 63(2), 2002, as the package xraydb 4.5.8 gives them. In sum 0.82 and 0.91 1/cm at 511 keV;
# 0.87 and 0.96 with coherent scatter.
_KEV = np.array([50, 100, 150, 200, 250, 300, 350, 400, 450, 511])
_PER_CM = {
    "LSO": (  # Lu2SiO5, 7.4 g/cm3; LYSO and other lutetium silicates differ by a few per cent
        np.array([26.436, 21.264, 7.0818, 3.2283, 1.7632, 1.0839, 0.7241, 0.5143, 0.3828, 0.2806]),
        np.array([0.8452, 0.8385, 0.7878, 0.7370, 0.6925, 0.6541, 0.6209, 0.5918, 0.5662, 0.5389]),
    ),
    "BGO": (  # Bi4Ge3O12, 7.13 g/cm3
        np.array([40.257, 26.412, 9.1343, 4.2659, 2.3712, 1.4779, 0.9983, 0.7155, 0.5367, 0.3964]),
        np.array([0.7864, 0.7857, 0.7408, 0.6946, 0.6533, 0.6174, 0.5863, 0.5591, 0.5352, 0.5095]),
    ),
}
_LEAST_KEV = 30.0  # what has less is absorbed where it is


def deposited_kev(kev, scintillator, size_mm, count, rng):
    """Draws how much of their energy photons leave in a block, (count,) in keV.

    Args:
        kev: their energy, at most 511.
        scintillator: "LSO" or "BGO".
        size_mm: sides of the block: two of its front, and its depth.
        count: photons.
        rng: numpy.random.Generator.
    Raises:
        ValueError: an unknown scintillator.
    """
    if scintillator not in _PER_CM:
        raise ValueError(
            f"a crystal takes a scintillator {' or '.join(_PER_CM)}, got {scintillator!r}; set "
            "another with dataclasses.replace, or None to leave the crystals out"
        )
    size = np.asarray(size_mm, np.float64)
    place = rng.random((count, 3)) * size * [1, 1, 0]
    along = np.tile([0.0, 0.0, 1.0], (count, 1))
    energy, left = np.full(count, float(kev)), np.zeros(count)
    flying = np.arange(count)
    while len(flying):
        absorbed, scattered = attenuation_per_mm(energy[flying], scintillator)
        gone = rng.standard_exponential(len(flying)) / (absorbed + scattered)
        place[flying] += gone[:, None] * along[flying]
        inside = ((place[flying] >= 0) & (place[flying] <= size)).all(axis=1)
        flying, absorbed, scattered = flying[inside], absorbed[inside], scattered[inside]
        ends = rng.random(len(flying)) * (absorbed + scattered) < absorbed
        ends |= energy[flying] < _LEAST_KEV
        left[flying[ends]] += energy[flying[ends]]
        flying = flying[~ends]
        ratio, cosine = draw_scatter(energy[flying], rng)
        left[flying] += energy[flying] * (1 - ratio)
        energy[flying] *= ratio
        along[flying] = turned(along[flying], cosine, 2 * np.pi * rng.random(len(flying)))
    return left


def attenuation_per_mm(kev, scintillator):
    """Photoelectric and Compton attenuation in 1/mm, each (n,)."""
    log = np.log(kev)
    return tuple(
        np.exp(np.interp(log, np.log(_KEV), np.log(table))) / 10 for table in _PER_CM[scintillator]
    )
