"""How many of an object's pairs crystals count: solid angles and efficiencies.

A decay's pair of photons flies along a line of any direction alike. Of activity a (Bq per volume)
on the lines that join two small faces, 1/s of pairs

    etendue / (2 pi) * integral of a along the line,   etendue = A1 cos1 A2 cos2 / D^2,

have both ends on them: a line has the two directions of a hemisphere's 2 pi in one. Here A is the
cell of a crystal on the cylinder of the detectors (pitch around times pitch along, gaps included:
`recon.layout`), D the line's length and cos its obliquity. Cells tile the cylinder, so all pairs
together give each decay whose two photons reach the cylinder once.
"""

import numpy as np

from recon.corrections.coincidences import Coincidences, real_crystals
from sim.rays import plane_sums


def etendue_mm2(layout):
    """Etendue of the crystal pairs of a layout, in mm^2 (sr).

    Args:
        layout: SinogramLayout whose bins follow the crystals.
    Returns:
        float64 (radial, pairs of rings), the latter as `layout.ring_pairs` lists them.
    """
    scanner = layout.scanner
    cell = 2 * np.pi * scanner.effective_radius_mm / scanner.crystals * scanner.ring_spacing_mm
    cosine, distance = _lines(layout)
    return (cell * cosine / distance) ** 2


def pair_weights(layout, pair_efficiency=None):
    """Etendue times the chance to record a pair of photons, in mm^2.

    Args:
        layout: SinogramLayout whose bins follow the crystals.
        pair_efficiency: chance that two crystals record a pair of photons that crosses both; None
            for `sim.count_rates.pair_efficiency` in each direction.
    Returns:
        float32 (radial, pairs of rings).
    """
    if pair_efficiency is None:
        from sim import count_rates

        pair_efficiency = count_rates.pair_efficiency(layout.scanner, _lines(layout)[0])
    return (etendue_mm2(layout) * pair_efficiency).astype(np.float32)


def pair_sums(layout, crystals, *, pair_efficiency=None):
    """Sum over a bin's crystal pairs of `pair_weights` times both efficiencies, in mm^2.

    Args:
        layout: SinogramLayout whose bins follow the crystals.
        crystals: efficiencies, (rings, crystals).
        pair_efficiency: as for `pair_weights`.
    Returns:
        float32 (view, radial, plane).
    """
    pairs = Coincidences(layout)
    weights = np.ascontiguousarray(pair_weights(layout, pair_efficiency).T)
    found = np.empty(pairs.layout.shape, np.float32)
    for views in pairs.chunks():
        found[views] = pairs.sums(crystals, views, ring_weights=weights)
    return found


def _lines(layout):
    """Cosine of the lines' obliquity to both faces, and length: (radial, pairs of rings) each."""
    _, ring1, ring2 = layout.ring_pairs().T
    chord = 2 * layout.rays()[0, :, 3, None]
    distance = np.hypot(chord, (ring2 - ring1) * layout.scanner.ring_spacing_mm)
    # The normal leans by half the chord over the radius across, and by the slope along.
    return chord / 2 / layout.scanner.effective_radius_mm * chord / distance, distance


def counted(pair_values, pairs, layout, crystals, *, blur=None, pair_efficiency=None):
    """Sum over a bin's crystal pairs of a value times `pair_weights` and both efficiencies.

    Args:
        pair_values: float32 of pairs.shape, one value for each crystal pair.
        pairs: SinogramLayout of span 1, whose views are not mashed.
        layout: SinogramLayout of the result: radial and time-of-flight bins as those of `pairs`.
        crystals: efficiencies, (rings, crystals).
        blur: function of some views of pair_values, applied first; None for none.
        pair_efficiency: as for `pair_weights`.
    Returns:
        float32 of layout.shape, in the values' unit times mm^2.
    """
    weights = pair_weights(pairs, pair_efficiency)
    _, ring1, ring2 = pairs.ring_pairs().T
    planes, ends = plane_sums(pairs, layout), pairs.crystal_pairs()[0]
    found, mashed = np.zeros(layout.shape, np.float32), layout.view_mashing
    step = mashed * max(1, (1 << 24) // (mashed * pair_values[0].size))
    for first in range(0, pairs.views, step):
        views = slice(first, first + step)
        part = pair_values[views] if blur is None else blur(pair_values[views])
        one, other = (crystals.T[end] for end in np.moveaxis(ends[views], -1, 0))
        chance = one[..., ring1] * other[..., ring2] * weights
        part = part * (chance[:, :, None] if layout.tof else chance)
        part = (part.reshape(-1, pairs.planes) @ planes).reshape(-1, *layout.shape[1:])
        for k in range(mashed):
            rows = part[k::mashed]
            found[first // mashed : first // mashed + len(rows)] += rows
    return found


def crystal_efficiencies(scanner, rng, *, spread=0.1, dead_blocks=0):
    """How well each crystal counts, 1 on average; 0 for virtual crystals and for blocks that fail.

    Args:
        scanner: Scanner.
        rng: numpy Generator.
        spread: standard deviation from crystal to crystal.
        dead_blocks: blocks, drawn at random, that count nothing.
    Returns:
        float32 (rings, crystals).
    """
    transaxial, axial = scanner.block_crystals
    values = np.clip(rng.normal(1, spread, (scanner.rings, scanner.crystals)), 0.1, None)
    values[~real_crystals(scanner)] = 0
    ring, crystal = np.indices(values.shape)
    columns = -(-scanner.crystals // transaxial)
    block = ring // axial * columns + crystal // transaxial
    values[np.isin(block, rng.choice(block.max() + 1, dead_blocks, replace=False))] = 0
    return values.astype(np.float32)
