"""The scatter phantom of NEMA NU 2 and the standard's analysis of its sinograms.

A solid polyethylene cylinder, 203 mm wide and 700 mm long, with a line source 45 mm from its axis,
on the side of the patient table, on which it lies. NEMA Standards Publication NU 2-2007, section 4;
the editions of 2012 and 2018 measure the same.
"""

import math

import numpy as np

from recon import Grid
from recon.corrections.compton import ELECTRON_KEV, total_cross_section
from recon.corrections.energy_window import relative_efficiency, slant

RADIUS_MM, LENGTH_MM, OFFSET_MM = 101.5, 700.0, 45.0  # towards the back, where the table is
OUTERMOST_MM, STRIP_MM, LONGEST_MM = 120.0, 40.0, 650.0
DENSITY = 0.96  # g/cm3
_ELECTRONS_PER_G = 6.02214e23 * 8 / 14.0266  # of CH2
_WATER_PER_CM = 0.096
_RADIUS_CM = 2.8179403e-13  # of the electron, classical
SHARP_MM = 5.0  # FWHM: bins of a few mm do not sample a line of 3.2 mm evenly
SOFT_MM = 24.0  # nor do some ten coarse detectors; scatter does not resolve it anyhow
# The table top stands in as a flat plate that attenuates as so much water: two sheets of carbon
# fibre of 1.5 mm and 1.6 g/cm3 with 20 mm of foam of 0.1 g/cm3 between them are 6.8 kg/m2, with 0.9
# of the electrons of as much water. What real tables have is not published.
TABLE_MM, TABLE_WATER_MM = 400.0, 6.0
_SLICE_MM = 10.0
_BATCH = 250_000


def mu_per_cm():
    """Compton attenuation of polyethylene at 511 keV, in 1/cm: 0.0944."""
    return DENSITY * _ELECTRONS_PER_G * float(total_cross_section(ELECTRON_KEV)) * _RADIUS_CM**2


def cylinder(voxel_mm=4.0):
    """The phantom's mu map in 1/cm, with soft edges, and its Grid."""
    n, parts = 2 * math.ceil(RADIUS_MM / voxel_mm) + 1, 8
    grid = Grid.centred(shape=(n, n, round(LENGTH_MM / _SLICE_MM)),
                        voxel_mm=(voxel_mm, voxel_mm, _SLICE_MM))
    fine = Grid.centred(shape=(n * parts, n * parts, 1),
                        voxel_mm=(voxel_mm / parts, voxel_mm / parts, _SLICE_MM))
    inside = fine.cylinder(RADIUS_MM).reshape(n, parts, n, parts).mean(axis=(1, 3))
    mu = np.broadcast_to((mu_per_cm() * inside)[:, :, None], grid.shape)
    return np.ascontiguousarray(mu, np.float32), grid


def cylinder_on_table(water_mm=TABLE_WATER_MM, voxel_mm=4.0):
    """The mu map of the phantom on a table that attenuates as so much water, and its Grid."""
    mu, grid = cylinder(voxel_mm)
    aside = math.ceil((TABLE_MM / voxel_mm - grid.shape[0]) / 2)
    wide = Grid.centred(shape=(grid.shape[0] + 2 * aside, grid.shape[1] + 4, grid.shape[2]),
                        voxel_mm=grid.voxel_mm)
    both = np.zeros(wide.shape, np.float32)
    both[aside:-aside, 2:-2] = mu
    both[:, -2] = _WATER_PER_CM * water_mm / voxel_mm
    return both, wide


def line(fwhm_mm=SHARP_MM):
    """The line source's activity, blurred across, and its Grid."""
    voxel = fwhm_mm / 5
    grid = Grid.centred(shape=(15, 15, round(LENGTH_MM / _SLICE_MM)),
                        voxel_mm=(voxel, voxel, _SLICE_MM), centre_mm=(0, OFFSET_MM, 0))
    x, y = grid.centres(0), grid.centres(1) - OFFSET_MM
    across = np.exp(-4 * math.log(2) * (x[:, None] ** 2 + y**2) / fwhm_mm**2)
    across /= across.sum() * voxel**2
    activity = np.broadcast_to(across[:, :, None], grid.shape)
    return np.ascontiguousarray(activity, np.float32), grid


def rebinned(sinogram, layout):
    """Single-slice rebinning: a span-1 layout's planes of equal z summed, (view, radial, slice).

    Slices beyond the middle 650 mm are left out, as NEMA does of longer scanners.
    """
    table = zip(layout.segments, layout.segment_table(), strict=True)
    z = np.concatenate([start + step * np.arange(s.planes) for s, (start, step, _) in table])
    slices = np.rint(z / (layout.scanner.ring_spacing_mm / 2)).astype(int)
    slices -= slices.min()
    found = np.zeros((*sinogram.shape[:2], slices.max() + 1))
    kept = np.abs(z) <= LONGEST_MM / 2
    for plane in np.flatnonzero(kept):
        found[:, :, slices[plane]] += sinogram[:, :, plane]
    return found


def fraction(slices, layout):
    """The scatter fraction of rebinned sinograms (view, radial, slice), arc-corrected.

    In each slice bins more than 12 cm from the axis are cut off, each view is shifted to bring its
    greatest bin to the middle, and views are summed; scatter is what lies outside of 40 mm about
    the middle, and inside below a straight line between the counts 20 mm to either side.
    """
    s = layout.rays()[0, :, 2]
    profile = np.zeros((4 * len(s) + 1, slices.shape[2]))
    used = np.where((np.abs(s) <= OUTERMOST_MM)[None, :, None], slices, 0.0)
    columns = np.arange(slices.shape[2])
    for view in used:
        first = 2 * len(s) - view.argmax(axis=0)
        for radial in range(len(s)):
            profile[first + radial, columns] += view[radial]
    place = (np.arange(len(profile)) - 2 * len(s)) * layout.radial_mm
    scatter = sum(_scatter(column, place) for column in profile.T)
    return scatter / profile.sum()


def _scatter(profile, place):
    """Counts of a summed profile that NEMA takes for scatter."""
    step = place[1] - place[0]
    within = np.clip((STRIP_MM / 2 - np.abs(place)) / step + 0.5, 0, 1)
    sides = np.interp([-STRIP_MM / 2, STRIP_MM / 2], place, profile)
    return (profile * (1 - within)).sum() + sides.mean() * STRIP_MM / step


def scattered_part(source, count, scanners=(), seed=7):
    """Which part of the photon pairs within 12 cm of the axis scattered: what NEMA is to find.

    Args:
        source: PhotonSource.
        count: pairs that are drawn.
        scanners: others that might have recorded the same photons.
        seed: of the draw.
    Returns:
        The part in the source's scanner; were photons that come at an angle recorded as `slant`
        tells; and in each of the others.
    """
    rng, kev = np.random.default_rng(seed), np.linspace(1.0, ELECTRON_KEV, 1001)
    kept = [relative_efficiency(kev, scanner) for scanner in (source.scanner, *scanners)]
    sums = np.zeros((1 + len(kept), 2))
    for first in range(0, count, _BATCH):
        drawn = source.pairs(min(count - first, _BATCH), rng)
        own, *others = (np.interp(drawn.kev, kev, each).prod(axis=1) for each in kept)
        slanted = own * slant(drawn.cosines, source.scanner).prod(axis=1)
        weights = np.array([own, slanted, *others]) * seen(drawn)
        scattered = weights[:, drawn.scatters > 0]
        sums += np.stack([scattered.sum(axis=1), weights.sum(axis=1)], axis=-1)
    return [float(part) for part in sums[:, 0] / sums[:, 1]]


def seen(drawn):
    """Which photon pairs lie within 12 cm of the axis and the middle 65 cm, (pairs,) bool."""
    z = np.abs(drawn.first[:, 2] + drawn.second[:, 2]) / 2
    return (np.abs(drawn.radial_mm) <= OUTERMOST_MM) & (z <= LONGEST_MM / 2)


def fraction_of_pairs(source, count, seed=7):
    """The scatter fraction of photon pairs drawn by a PhotonSource, and its standard error.

    Of all slices together: each holds too few pairs.
    """
    half = STRIP_MM / 2
    edges = np.concatenate([[-400, -half - 2, -half + 2, half - 2, half + 2, 400]])
    rng, profiles, squares = np.random.default_rng(seed), [], []
    while count > 0:
        drawn = source.pairs(min(count, _BATCH), rng)
        count -= _BATCH
        towards = drawn.second - drawn.first
        normal = np.stack([-towards[:, 1], towards[:, 0]], -1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        weight = drawn.weight * seen(drawn)
        away = ((drawn.first[:, :2] - [0, OFFSET_MM]) * normal).sum(1)
        profiles.append(np.histogram(away, edges, weights=weight)[0])
        squares.append(np.histogram(away, edges, weights=weight**2)[0])
    profile, square = np.sum(profiles, axis=0), np.sum(squares, axis=0)
    # The bins of 4 mm about the strip's edges give the line's height there, half of each is out.
    share = np.array([1, 0.5 + STRIP_MM / 8, 0, 0.5 + STRIP_MM / 8, 1])
    found = (share * profile).sum() / profile.sum()
    return float(found), math.sqrt(((share - found) ** 2 * square).sum()) / profile.sum()
