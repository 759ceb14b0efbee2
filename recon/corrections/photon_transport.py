"""Photon pairs followed through an object to the detectors: a Monte Carlo simulation.

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
from recon.corrections.compton import ELECTRON_KEV, total_cross_section
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
        threads: CPU threads; what is drawn does not depend on it.
    Raises:
        ValueError: nothing emits within the detectors, or the scanner does not state its energies.
    """

    def __init__(self, activity, grid, mu_per_cm, mu_grid, scanner, *, threads=None):
        radius = scanner.effective_radius_mm
        self.scanner, self.grid = scanner, grid
        emits = np.maximum(backend.to_device(activity, "cpu"), 0) * grid.cylinder(FACING * radius)
        voxels = np.flatnonzero(emits)
        self._chance = np.cumsum(emits.ravel()[voxels], dtype=np.float64)
        if not len(voxels):
            raise ValueError(
                "photon transport takes an image with activity within the detectors, got none; "
                "check its place"
            )
        mu = backend.to_device(mu_per_cm, "cpu") * np.float32(PER_MM)
        mu = np.ascontiguousarray(mu * mu_grid.cylinder(FACING * radius), np.float32)
        self._mu_grid = mu_grid
        self._most = float(max(mu.max(), np.finfo(np.float32).tiny))
        ends = [self._filled(mu != 0, mu_grid), self._filled(emits > 0, grid)]
        self._low = np.minimum(ends[0][0], ends[1][0])
        self._high = np.maximum(ends[0][1], ends[1][1])
        self._kev = np.linspace(1.0, ELECTRON_KEV, _TABLE)
        self._kept = relative_efficiency(self._kev, scanner)
        self._xp, self._threads = backend.array_module(activity, mu_per_cm), threads
        excess = total_cross_section(self._kev) / total_cross_section(ELECTRON_KEV)
        self._tables = [self._xp.asarray(table) for table in (
            self._chance, voxels.astype(np.int32), mu, excess.astype(np.float32)
        )]
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
        ends, scatters = self._drawn(count, True, rng)
        (first, second), (kev, length, cosines) = ends[..., :3].swapaxes(0, 1), ends[..., 3:].T
        return DetectedPairs(
            first, second, scatters.sum(axis=1), self._weight(kev.T).prod(axis=1),
            (length[1] - length[0]) / 2, kev.T, cosines.T,
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
        ends = self._drawn(count, False, rng)[0][:, 0]
        return *nearest(ends[:, :3], self.scanner), ends[:, 5], self._weight(ends[:, 3])

    @property
    def emitting(self):
        """Sum of the activity over all voxels that emit, in its unit."""
        return float(self._chance[-1])

    def _weight(self, kev):
        return np.interp(kev, self._kev, self._kept)

    def _drawn(self, count, partners, rng):
        """Draws pairs, or photons alone; of what is detected, ends (n, 2 or 1, 6) and scatters, as
        the kernel writes them."""
        ends = self._xp.empty((count, 2, 6), np.float32)
        scatters = self._xp.full((count, 2), -1, np.int32)
        here, there, scanner = self.grid, self._mu_grid, self.scanner
        arguments = (
            *(ends, scatters, *self._tables, count, int(partners), rng.integers(2**63)),
            *(len(self._chance), *here.shape[1:], *here.voxel_mm, *here.origin_mm),
            *(len(self._kev), *there.shape, self._kev[0], self._least_kev, self._most),
            *(*there.voxel_mm, *there.origin_mm, *self._low, *self._high),
            *(scanner.effective_radius_mm, scanner.rings * scanner.ring_spacing_mm / 2),
        )
        blocks = 1, -(-count // backend.CUDA_THREADS)
        backend.launch("photon_pairs", blocks, arguments, threads=self._threads)
        photons = 1 + partners
        met = scatters[:, photons - 1] >= 0  # no more ends than these were written
        ends, scatters = (
            backend.to_device(part[met, :photons], "cpu") for part in (ends, scatters)
        )
        return ends.astype(np.float64), scatters


def nearest(place, scanner):
    """Ring and crystal nearest to points on the detectors."""
    turn = np.arctan2(place[:, 0], -place[:, 1]) - np.radians(scanner.tilt_deg)
    crystal = np.round(turn * scanner.crystals / (2 * np.pi)).astype(np.int64) % scanner.crystals
    ring = np.round(place[:, 2] / scanner.ring_spacing_mm + (scanner.rings - 1) / 2)
    return np.clip(ring, 0, scanner.rings - 1).astype(np.int64), crystal
