"""Photon pairs followed through an object to the detectors: a Monte Carlo simulation, in NumPy.

Positions are drawn from an image, directions uniformly; each photon flies by Woodcock tracking
(straight on to the next possible collision, which is a real one with a chance of mu over its
greatest) and scatters by Klein and Nishina as often as it happens to. All attenuation counts as
Compton scatter, mu at other energies in proportion to the Klein-Nishina cross section, as in single
scatter simulation; coherent and photoelectric interactions, polarisation, positron range and the
angle between the photons are left out. Detectors are the surface of a cylinder, which detects a
photon that reaches it with the efficiency of its energy window.

Woodcock tracking: Woodcock et al., ANL-7050, 1965; scatter of a scan simulated from its own image:
Levin, Dahlbom & Hoffman, IEEE TNS 42(4), 1995.
"""

from dataclasses import dataclass

import numpy as np

from recon import backend
from recon.corrections.attenuation import PER_MM
from recon.corrections.compton import (
    ELECTRON_KEV,
    draw_scatter,
    total_cross_section,
    turned,
)
from recon.corrections.energy_window import relative_efficiency

FACING = 0.95  # of the detectors' radius: nothing beside or behind a detector scatters into it
_FAINT = 1e-4  # photons that are detected with less than this efficiency are given up
_TABLE = 2001  # energies


@dataclass(frozen=True)
class DetectedPairs:
    """Photon pairs of which both photons reached the detectors.

    Attributes:
        first, second: where, (pairs, 3) float64 in mm.
        scatters: how often the two scattered, (pairs,).
        weight: chance that the window keeps both, over that of two unscattered ones, (pairs,).
        along_mm: where time of flight puts them on the line, from its middle towards `first`.
        kev: energies of the two photons, (pairs, 2).
        cosines: of the angles between them and the detectors' faces, (pairs, 2).
    """

    first: np.ndarray
    second: np.ndarray
    scatters: np.ndarray
    weight: np.ndarray
    along_mm: np.ndarray
    kev: np.ndarray
    cosines: np.ndarray

    @property
    def radial_mm(self):
        """Distance of the lines from the axis, signed, the same from either end."""
        x, y = (self.second - self.first)[:, :2].T
        s = (self.first[:, 0] * y - self.first[:, 1] * x) / np.hypot(x, y)
        return np.where((y > 0) | ((y == 0) & (x > 0)), s, -s)

    def bins(self, layout, rng):
        """View, radial bin, time-of-flight bin and plane of each pair; -1 where none counts it.

        Args:
            layout: SinogramLayout whose bins follow the crystals.
            rng: numpy.random.Generator, which draws the timing errors.
        """
        ends = (nearest(place, layout.scanner) for place in (self.first, self.second))
        (ring1, crystal1), (ring2, crystal2) = ends
        view, radial, plane, swapped = layout.bin_of(ring1, crystal1, ring2, crystal2)
        tof = np.zeros(len(view), np.int64)
        if layout.tof:
            along = np.where(swapped, -self.along_mm, self.along_mm)
            along += layout.tof_sigma_mm * rng.standard_normal(len(along))
            tof = np.floor((along - layout.tof_edges_mm[0]) / layout.tof_bin_mm).astype(np.int64)
        inside = (view >= 0) & (tof >= 0) & (tof < layout.tof_bins)
        return tuple(np.where(inside, part, -1) for part in (view, radial, tof, plane))


class PhotonSource:
    """An activity in an object, in a scanner, from which photon pairs are drawn.

    Args:
        activity: (x, y, z), in any unit; what is below 0 emits nothing.
        grid: its Grid.
        mu_per_cm: linear attenuation coefficients at 511 keV in 1/cm, (x, y, z).
        mu_grid: its Grid.
        scanner: Scanner with energy_resolution and energy_window_kev.
    Raises:
        ValueError: nothing emits within the detectors, or the scanner does not state its energies.
    """

    def __init__(self, activity, grid, mu_per_cm, mu_grid, scanner):
        radius = scanner.effective_radius_mm
        self.scanner, self.grid = scanner, grid
        emits = np.maximum(backend.to_device(activity, "cpu"), 0) * grid.cylinder(FACING * radius)
        self._voxels = np.flatnonzero(emits)
        self._chance = np.cumsum(emits.ravel()[self._voxels], dtype=np.float64)
        if not len(self._voxels):
            raise ValueError(
                "photon transport takes an image with activity within the detectors, got none; "
                "check its place"
            )
        mu = backend.to_device(mu_per_cm, "cpu") * np.float32(PER_MM)
        self._mu, self._mu_grid = mu * mu_grid.cylinder(FACING * radius), mu_grid
        self._most = float(max(self._mu.max(), np.finfo(np.float32).tiny))
        ends = [self._filled(self._mu != 0, mu_grid), self._filled(emits > 0, grid)]
        self._low = np.minimum(ends[0][0], ends[1][0])
        self._high = np.maximum(ends[0][1], ends[1][1])
        self._kev = np.linspace(1.0, ELECTRON_KEV, _TABLE)
        self._kept = relative_efficiency(self._kev, scanner)
        self._excess = total_cross_section(self._kev) / total_cross_section(ELECTRON_KEV)
        self._least_kev = self._kev[np.argmax(self._kept > _FAINT)]

    @staticmethod
    def _filled(mask, grid):
        """Corners of the box about what a mask holds."""
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        for axis in range(3):
            where = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            if len(where):
                faces = grid.centres(axis)[where[[0, -1]]]
                low[axis], high[axis] = faces + np.array([-0.5, 0.5]) * grid.voxel_mm[axis]
        return low, high

    def pairs(self, count, rng):
        """Draws `count` photon pairs.

        Args:
            count: pairs emitted.
            rng: numpy.random.Generator.
        Returns:
            DetectedPairs.
        """
        start, along = self._emitted(count, rng)
        which, first, kev1, length1, often1, cosine1 = self._detected(start, along, rng)
        start, along = start[which], -along[which]
        of, second, kev2, length2, often2, cosine2 = self._detected(start, along, rng)
        kev = np.stack([kev1[of], kev2], axis=-1)
        return DetectedPairs(
            first[of], second, often1[of] + often2, self._weight(kev).prod(axis=1),
            (length2 - length1[of]) / 2, kev, np.stack([cosine1[of], cosine2], axis=-1),
        )

    def photons(self, count, rng):
        """Draws `count` photons without what comes of their partners.

        Args:
            count: photons emitted.
            rng: numpy.random.Generator.
        Returns:
            Of each that reaches the detectors: ring and crystal; the cosine of the angle between
            it and the normal of the detectors' face; its weight, what the window keeps of photons
            of its energy over what it keeps at 511 keV.
        """
        start, along = self._emitted(count, rng)
        _, end, kev, _, _, cosine = self._detected(start, along, rng)
        return *nearest(end, self.scanner), cosine, self._weight(kev)

    @property
    def emitting(self):
        """Sum of the activity over all voxels that emit, in its unit."""
        return float(self._chance[-1])

    def _weight(self, kev):
        return np.interp(kev, self._kev, self._kept)

    def _emitted(self, count, rng):
        """Places and directions, (count, 3) each: one from each of `count` equal parts of the sum.
        """
        start = self._positions(count, rng)
        cosine, turn = 2 * rng.random(count) - 1, 2 * np.pi * rng.random(count)
        sine = np.sqrt(1 - cosine**2)
        return start, np.stack([sine * np.cos(turn), sine * np.sin(turn), cosine], axis=-1)

    def _positions(self, count, rng):
        part = (np.arange(count) + rng.random(count)) / count * self._chance[-1]
        chosen = np.searchsorted(self._chance, part, side="right")
        voxel = self._voxels[np.minimum(chosen, len(self._voxels) - 1)]
        index = np.stack(np.unravel_index(voxel, self.grid.shape), axis=-1)
        jitter = rng.random((count, 3)) - 0.5
        return (index + jitter) * self.grid.voxel_mm + self.grid.origin_mm

    def _detected(self, start, along, rng):
        """Follows photons; which are detected, where, with which energy, how far from the start,
        how often scattered, and at which cosine to the normal."""
        count = len(start)
        start, along = start.copy(), along.copy()
        kev, scatters = np.full(count, ELECTRON_KEV), np.zeros(count, np.int64)
        gone, flown = np.zeros(count), np.zeros(count)
        flying = np.arange(count)
        while len(flying):
            mean = 1 / (self._most * np.interp(kev[flying], self._kev, self._excess))
            gone[flying] += mean * rng.standard_exponential(len(flying))
            place = start[flying] + gone[flying, None] * along[flying]
            inside = ((place > self._low) & (place < self._high)).all(axis=1)
            flying, place = flying[inside], place[inside]
            real = rng.random(len(flying)) * self._most < self._mu_at(place)
            hit, place = flying[real], place[real]
            ratio, cosine = draw_scatter(kev[hit], rng)
            along[hit] = turned(along[hit], cosine, 2 * np.pi * rng.random(len(hit)))
            flown[hit] += gone[hit]
            kev[hit] *= ratio
            start[hit], gone[hit] = place, 0.0
            scatters[hit] += 1
            flying = flying[kev[flying] > self._least_kev]
        half = self.scanner.rings * self.scanner.ring_spacing_mm / 2
        to_go = _to_cylinder(start, along, self.scanner.effective_radius_mm)
        end = start + to_go[:, None] * along
        which = np.flatnonzero((np.abs(end[:, 2]) < half) & (kev > self._least_kev))
        end, along = end[which], along[which]
        cosine = (along[:, :2] * end[:, :2]).sum(axis=1) / self.scanner.effective_radius_mm
        return which, end, kev[which], (flown + to_go)[which], scatters[which], cosine

    def _mu_at(self, place):
        """mu (1/mm) of the voxel at each place; 0 outside the map."""
        grid = self._mu_grid
        index = np.floor((place - grid.origin_mm) / grid.voxel_mm + 0.5).astype(np.int64)
        inside = ((index >= 0) & (index < grid.shape)).all(axis=1)
        index = np.where(inside[:, None], index, 0)
        return np.where(inside, self._mu[tuple(index.T)], 0.0)


def _to_cylinder(place, direction, radius_mm):
    """Distance from inside an endless cylinder to its wall; along its axis, to nowhere."""
    a = (direction[:, :2] ** 2).sum(1)
    b = (place[:, :2] * direction[:, :2]).sum(1)
    c = (place[:, :2] ** 2).sum(1) - radius_mm**2
    a = np.maximum(a, 1e-30)
    return (np.sqrt(np.maximum(b**2 - a * c, 0)) - b) / a


def nearest(place, scanner):
    """Ring and crystal nearest to points on the detectors."""
    turn = np.arctan2(place[:, 0], -place[:, 1]) - np.radians(scanner.tilt_deg)
    crystal = np.round(turn * scanner.crystals / (2 * np.pi)).astype(np.int64) % scanner.crystals
    ring = np.round(place[:, 2] / scanner.ring_spacing_mm + (scanner.rings - 1) / 2)
    return np.clip(ring, 0, scanner.rings - 1).astype(np.int64), crystal
