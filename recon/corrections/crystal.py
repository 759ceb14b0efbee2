"""How much of its energy a photon leaves in a wall of detector blocks: a Monte Carlo simulation.

Photons enter the front of the wall, evenly over its face; within it they are absorbed or scatter,
also from block to block, and leave through front or back with what is left. Blocks repeat at a
pitch without end, with nothing in the gaps between them. Crystals of a block share what they are
read out by, so their light adds up; that of two blocks does not, unless the scanner adds it.
Reflectors, fluorescence and coherent scatter are left out.
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


def deposited_kev(kev, scintillator, size_mm, pitch_mm, count, rng, *, cosine=1.0, add=False):
    """Draws the greatest energy that photons leave in any one block, (count,) in keV.

    Args:
        kev: their energy, at most 511.
        scintillator: "LSO" or "BGO".
        size_mm: sides of a block: two of its front, and its depth.
        pitch_mm: from block to block, along the two sides of its front.
        count: photons.
        rng: numpy.random.Generator.
        cosine: of the angle between the photons and the wall's normal, which they come all round.
        add: whether what they leave in all blocks is added up.
    Raises:
        ValueError: an unknown scintillator.
    """
    if scintillator not in _PER_CM:
        raise ValueError(
            f"a crystal takes a scintillator {' or '.join(_PER_CM)}, got {scintillator!r}; set "
            "another with dataclasses.replace, or None to leave the crystals out"
        )
    front, pitch = np.asarray(size_mm[:2], np.float64), np.asarray(pitch_mm, np.float64)
    place = np.zeros((count, 3))
    place[:, :2] = rng.random((count, 2)) * pitch
    turn, sine = 2 * np.pi * rng.random(count), np.sqrt(1 - cosine**2)
    along = np.stack([sine * np.cos(turn), sine * np.sin(turn), np.full(count, cosine)], axis=-1)
    energy, flying, deposits = np.full(count, float(kev)), np.arange(count), []
    while len(flying):
        # Woodcock tracking: what would have happened in a gap does not.
        absorbed, scattered = attenuation_per_mm(energy[flying], scintillator)
        gone = rng.standard_exponential(len(flying)) / (absorbed + scattered)
        place[flying] += gone[:, None] * along[flying]
        depth = place[flying, 2]
        ends = rng.random(len(flying)) * (absorbed + scattered) < absorbed
        ends |= energy[flying] < _LEAST_KEV
        inside = (depth >= 0) & (depth <= size_mm[2])
        flying, ends = flying[inside], ends[inside]
        block = np.floor(place[flying, :2] / pitch)
        real = (place[flying, :2] - block * pitch <= front).all(axis=1)
        hit, ends, block = flying[real], ends[real], block[real].astype(np.int64)
        ratio, cosines = draw_scatter(energy[hit], rng)
        ratio[ends] = 0.0
        deposits.append((hit, block, energy[hit] * (1 - ratio)))
        along[hit] = turned(along[hit], cosines, 2 * np.pi * rng.random(len(hit)))
        energy[hit] *= ratio
        flying = flying[energy[flying] > 0]
    photon, block, left = (np.concatenate(part) for part in zip(*deposits, strict=True))
    if add:
        return np.bincount(photon, left, count)
    block -= block.min(axis=0)
    shape = count, *(block.max(axis=0) + 1)
    places, which = np.unique(np.ravel_multi_index((photon, *block.T), shape), return_inverse=True)
    greatest = np.zeros(count)
    np.maximum.at(greatest, np.unravel_index(places, shape)[0], np.bincount(which, left))
    return greatest


def attenuation_per_mm(kev, scintillator):
    """Photoelectric and Compton attenuation in 1/mm, each (n,)."""
    log = np.log(kev)
    return tuple(
        np.exp(np.interp(log, np.log(_KEV), np.log(table))) / 10 for table in _PER_CM[scintillator]
    )
