"""Sensitivity and count rates of a scanner by NEMA NU 2, simulated.

Photon pairs are followed from a line source in air, and from the line of the scatter phantom on its
table, to the detectors, which record them as `sim.count_rates` tells. Of the phantom's pairs within
12 cm of the axis those that did not scatter are trues T, the others scatter S; randoms R are the
2 tau s1 s2 of crystals within 12 cm. NECR = T^2 / (T + S + k R), k = 1: randoms estimated without
noise. NEMA Standards Publication NU 2-2007, sections 4 and 5.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from benchmarks import nema_scatter
from recon import Grid
from recon.corrections.calibration import isotope
from recon.corrections.compton import ELECTRON_KEV
from recon.corrections.energy_window import efficiency, slant
from recon.corrections.photon_transport import PhotonSource, nearest
from sim.count_rates import SEEN, live, singles_rates

K_RANDOMS = 1
VOLUME_ML = 22_000.0  # by which NEMA divides the line's activity
# Scanners that make pairs of an axial unit with itself and others up to so many apart: units, most.
_UNITS = {"uEXPLORER": (8, 4)}  # Spencer et al., J Nucl Med 62(6), 2021
_BATCH = 250_000
_HIGHEST = 80.0  # kBq/mL
_LONGEST_NS = 5e4


def sensitivity(scanner, pairs, seen):
    """cps/kBq of a line source of 70 cm in air, along the middle of the axis, of F-18."""
    grid = Grid.centred(shape=(1, 1, 70), voxel_mm=(1.0, 1.0, 10.0))
    line = np.ones(grid.shape, np.float32)
    source = PhotonSource(line, grid, 0 * line, grid, scanner)
    counted = 0.0
    for drawn in _drawn(source, pairs):
        weight = drawn.weight * slant(drawn.cosines, scanner).prod(axis=1)
        counted += weight[_accepted(scanner, drawn)].sum()
    return 1000 * isotope("F-18").positron_fraction * _pair(scanner, seen) * counted / pairs


@dataclass(frozen=True, kw_only=True)
class ScatterPhantom:
    """What a scanner counts of the scatter phantom, per kBq/mL, without dead time.

    Attributes:
        scanner: Scanner.
        singles: of each crystal in 1/s, (rings, crystals).
        weight: of photon pairs within 12 cm of the axis, in 1/s, (pairs,).
        ends: their rings and crystals, (4, pairs).
        scatter_fraction: part of these pairs that scattered.
        accepted: which axial units make pairs with which, (units, units).
    """

    scanner: object
    singles: np.ndarray
    weight: np.ndarray
    ends: np.ndarray
    scatter_fraction: float
    accepted: np.ndarray

    @classmethod
    def of(cls, scanner, pairs, seen):
        """Draws so many photon pairs; real detectors record `seen` of simulated ones' photons."""
        line, phantom = nema_scatter.line(), nema_scatter.cylinder_on_table()
        source = PhotonSource(*line, *phantom, scanner)
        positrons_per_s = 1000 * VOLUME_ML * isotope("F-18").positron_fraction  # of 1 kBq/mL
        kept, scatters, ends = [], [], []
        for drawn in _drawn(source, pairs):
            inside = nema_scatter.seen(drawn) & _accepted(scanner, drawn)
            kept.append((drawn.weight * slant(drawn.cosines, scanner).prod(axis=1))[inside])
            scatters.append(drawn.scatters[inside])
            where = (*nearest(drawn.first, scanner), *nearest(drawn.second, scanner))
            ends.append(np.array(where)[:, inside])
        kept, scattered = np.concatenate(kept), np.concatenate(scatters) > 0
        (line, grid), (mu, mu_grid) = line, phantom
        ml = float(np.prod(grid.voxel_mm)) / 1000
        singles = singles_rates(
            line * (1000 * VOLUME_ML / (float(line.sum()) * ml)), mu, grid, scanner, pairs=pairs,
            rng=np.random.default_rng(11), mu_grid=mu_grid,
        )
        units, most = _units(scanner)
        apart = np.abs(np.subtract.outer(np.arange(units), np.arange(units)))
        return cls(
            scanner=scanner, singles=singles * (seen / SEEN),
            weight=kept * (_pair(scanner, seen) * positrons_per_s / pairs),
            ends=np.concatenate(ends, axis=1),
            scatter_fraction=float(kept[scattered].sum() / kept.sum()), accepted=apart <= most,
        )

    @property
    def singles_per_bq(self):
        """Singles of all crystals per second and Bq."""
        return float(self.singles.sum()) / (1000 * VOLUME_ML)

    def rates(self, activity, dead_time_ns):
        """Rates in kcps at an activity in kBq/mL, a dict."""
        scanner = replace(self.scanner, dead_time_ns=dead_time_ns)
        left = live(scanner, activity * self.singles)
        ring1, crystal1, ring2, crystal2 = self.ends
        kept = self.weight * left[ring1, crystal1] * left[ring2, crystal2]
        pairs = activity * float(kept.sum()) / 1000
        randoms = self._randoms(activity * self.singles * left) / 1000
        trues, scatter = (1 - self.scatter_fraction) * pairs, self.scatter_fraction * pairs
        necr = trues**2 / (pairs + K_RANDOMS * randoms)
        return {"activity": float(activity), "trues": trues, "scatter": scatter,
                "randoms": randoms, "necr": necr}

    def _randoms(self, singles):
        """2 tau s1 s2 of all accepted pairs of crystals within 12 cm of the axis, in 1/s."""
        scanner = self.scanner
        units = singles.reshape(len(self.accepted), -1, scanner.crystals).sum(axis=1)
        both = units.T @ self.accepted @ units
        apart = np.pi * np.subtract.outer(*[np.arange(scanner.crystals)] * 2) / scanner.crystals
        near = np.abs(scanner.effective_radius_mm * np.cos(apart)) <= nema_scatter.OUTERMOST_MM
        return 1e-12 * scanner.coincidence_window_ps * float(both[near].sum()) / 2

    def peak_at(self, dead_time_ns):
        """The activity in kBq/mL at which NECR peaks."""
        found = minimize_scalar(
            lambda activity: -self.rates(activity, dead_time_ns)["necr"],
            bounds=(0.5, _HIGHEST), method="bounded", options={"xatol": 0.01},
        )
        return float(found.x)

    def dead_time_ns(self, peak_at):
        """The dead time, in whole ns, with which NECR peaks at an activity."""
        found = brentq(lambda ns: self.peak_at(ns) - peak_at, 1.0, _LONGEST_NS, xtol=0.5)
        return float(round(found))


def _pair(scanner, seen):
    return (seen * float(efficiency(ELECTRON_KEV, scanner))) ** 2


def _drawn(source, pairs, seed=7):
    rng = np.random.default_rng(seed)
    for first in range(0, pairs, _BATCH):
        yield source.pairs(min(_BATCH, pairs - first), rng)


def _units(scanner):
    return _UNITS.get(scanner.name, (1, 0))


def _accepted(scanner, drawn):
    """Whether a scanner makes pairs of the units that photons met, (pairs,) bool."""
    units, most = _units(scanner)
    each = scanner.rings // units
    first, second = (nearest(end, scanner)[0] // each for end in (drawn.first, drawn.second))
    return np.abs(first - second) <= most
