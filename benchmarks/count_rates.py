"""`countless benchmark count-rates`: NEMA sensitivity and count rates of the preset scanners."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from scipy.optimize import brentq, minimize_scalar

from benchmarks import machine, nema_scatter
from benchmarks.scatter_fraction import HSU, QUADRA, SITES, named
from recon import Grid
from recon.corrections.calibration import isotope
from recon.corrections.compton import ELECTRON_KEV
from recon.corrections.energy_window import efficiency, slant
from recon.corrections.photon_transport import PhotonSource, nearest
from recon.io.files import check_writable
from recon.io.provenance import write_json
from sim import count_rates as rates

Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())]

DELSO = "Delso et al., J Nucl Med 52(12), 2011"
KARLBERG = "Karlberg et al., EJNMMI Phys 3:5, 2016"
SLUIS = "van Sluis et al., J Nucl Med 60(7), 2019"
LONG = f"{QUADRA}, ring differences up to 322"
SPENCER = "Spencer et al., J Nucl Med 62(6), 2021"

# What was measured: sensitivity at the centre in cps/kBq, peak NECR in kcps and its activity in
# kBq/mL. The first of each is what parameters are fitted to.
PUBLISHED = {
    "mMR": {
        "sensitivity": ((15.0, DELSO),),
        "peak_kcps": ((183.5, DELSO), (196.0, KARLBERG)),
        "peak_at": ((23.1, DELSO), (24.4, KARLBERG)),
    },
    "Vision 600": {
        "sensitivity": ((16.4, SLUIS),),
        "peak_kcps": ((306.0, SLUIS),),
        "peak_at": ((32.0, SLUIS),),
    },
    "Vision Quadra": {
        "sensitivity": ((176.0, LONG),),
        "peak_kcps": ((2956.0, LONG),),
        "peak_at": ((27.5, LONG),),
    },
    "Discovery MI": {
        "sensitivity": ((13.7, HSU), (13.3, SITES)),
        "peak_kcps": ((193.4, HSU), (175.6, SITES), (185.7, f"Uppsala, in {SITES}"),
                      (185.6, f"Tokyo, in {SITES}")),
        "peak_at": ((21.9, HSU), (20.1, SITES), (21.7, f"Uppsala, in {SITES}"),
                    (22.5, f"Tokyo, in {SITES}")),
    },
    "uEXPLORER": {
        "sensitivity": ((174.0, SPENCER),),
        "peak_kcps": ((1524.0, SPENCER),),
        "peak_at": ((17.3, SPENCER),),
    },
}
# One factor of all scanners, and the dead time of each kind of block; all else is predicted.
SEEN_FITTED_TO = "mMR"
DEAD_TIME_FITTED_TO = ("mMR", "Vision 600", "Discovery MI", "uEXPLORER")
K_RANDOMS = 1  # NECR = T^2 / (T + S + k R): randoms estimated without noise
VOLUME_ML = 22_000.0  # by which NEMA divides the line's activity
# Scanners that accept pairs of the same axial unit and of units up to so many apart only: units,
# most. Spencer et al. for the uEXPLORER.
_UNITS = {"uEXPLORER": (8, 4)}
_BATCH = 250_000
_HIGHEST = 80.0  # kBq/mL
LEFT_OUT = (
    "radioactivity of the scintillator, pile-up of energies, limits of the electronics beyond the "
    "blocks, and coincidence windows that differ with the units of a pair (uEXPLORER)"
)


def count_rates(
    *,
    scanner: Names = tuple(PUBLISHED),
    pairs: int = 2_000_000,
    fit: bool = False,
    output: Path | None = None,
):
    """Predict NEMA NU 2 sensitivity and noise-equivalent count rates; compare with measured ones.

    Sensitivity is that of a line source of 70 cm without absorber along the axis. Count rates are
    of the scatter phantom on its table, against its activity over 22 L.

    Args:
        scanner: Presets, and Vision Quadra (the Vision 600, four times as long).
        pairs: Photon pairs that the Monte Carlo simulation draws.
        fit: Find the parameters that were fitted to published values, and use them.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    scanners = {name: named(name) for name in scanner}
    if pairs < 1:
        raise ValueError(f"--pairs takes a number from 1, got {pairs}")
    if output is not None:
        check_writable(output)
    seen = fitted_seen(pairs) if fit else rates.SEEN
    results = machine.origin()
    results |= {
        "units": {"sensitivity": "cps/kBq", "rates": "kcps", "activity": "kBq/mL"},
        "seen": seen, "k_randoms": K_RANDOMS,
        "seen_fitted_to": "{}: sensitivity of {:g} cps/kBq, {}".format(
            SEEN_FITTED_TO, *PUBLISHED[SEEN_FITTED_TO]["sensitivity"][0]
        ),
        "left_out": LEFT_OUT, "rows": [],
    }
    print(f"{'':14} {'cps/kBq':>8} {'peak NECR':>10} {'at':>6}   dead time")
    for name, its in scanners.items():
        row = measure(name, its, pairs, seen=seen, fit=fit)
        results["rows"].append(row)
        print(_line(row), flush=True)
    print(f"\npart of the photons seen: {seen:.3f}, fitted to the {results['seen_fitted_to']}")
    print(f"not in the simulation: {LEFT_OUT}")
    if output is not None:
        write_json(output, results)
    return results


def measure(name, scanner, pairs, *, seen=rates.SEEN, fit=False):
    """Sensitivity and count rates of a scanner, a dict; `pairs` photon pairs are drawn."""
    began = time.perf_counter()
    published = PUBLISHED.get(name, {})
    found = Phantom.of(name, scanner, pairs, seen)
    if fit and name in DEAD_TIME_FITTED_TO:
        scanner = replace(scanner, dead_time_ns=found.dead_time_ns(published["peak_at"][0][0]))
    peak_at = found.peak_at(scanner.dead_time_ns)
    activities = np.linspace(2.0, 1.5 * peak_at, 12)
    row = {
        "scanner": name,
        "sensitivity": sensitivity(name, scanner, pairs, seen=seen),
        "sensitivity_is": "fitted" if name == SEEN_FITTED_TO else "predicted",
        "peak_kcps": found.rates(peak_at, scanner.dead_time_ns)["necr"],
        "peak_kcps_is": "predicted",
        "peak_at": peak_at,
        "peak_at_is": "fitted" if name in DEAD_TIME_FITTED_TO else "predicted",
        "dead_time_ns": scanner.dead_time_ns,
        "scatter_fraction": 100 * found.scatter_fraction,
        "singles_per_s_per_bq": found.singles_per_bq,
        "curve": [found.rates(activity, scanner.dead_time_ns) for activity in activities],
        "published": {
            what: [{"value": value, "source": source} for value, source in values]
            for what, values in published.items()
        },
    }
    row["off_percent"] = {what: off_percent(row[what], values)
                          for what, values in published.items()}
    return row | {"seconds": time.perf_counter() - began}


def off_percent(found, values):
    """How far a value lies from the published ones, in per cent of the nearest; 0 among them."""
    low, high = min(value for value, _ in values), max(value for value, _ in values)
    return 100 * (min(found / low - 1, 0.0) or max(found / high - 1, 0.0))


def sensitivity(name, scanner, pairs, *, seen=rates.SEEN):
    """cps/kBq of a line source of 70 cm in air, along the middle of the axis, of F-18."""
    grid = Grid.centred(shape=(1, 1, 70), voxel_mm=(1.0, 1.0, 10.0))
    line = np.ones(grid.shape, np.float32)
    source = PhotonSource(line, grid, 0 * line, grid, scanner)
    counted = 0.0
    for drawn in _drawn(source, pairs):
        weight = drawn.weight * slant(drawn.cosines, scanner).prod(axis=1)
        counted += weight[_accepted(name, scanner, drawn)].sum()
    return 1000 * isotope("F-18").positron_fraction * _pair(scanner, seen) * counted / pairs


def fitted_seen(pairs):
    """The part of the photons seen that gives the sensitivity to which it is fitted."""
    name = SEEN_FITTED_TO
    all_seen = sensitivity(name, named(name), pairs, seen=1.0)
    return round(float(np.sqrt(PUBLISHED[name]["sensitivity"][0][0] / all_seen)), 3)


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """What a scanner counts of the scatter phantom, per kBq/mL, without dead time.

    Attributes:
        scanner: Scanner.
        singles: of each crystal in 1/s, (rings, crystals).
        weight: of photon pairs within 12 cm of the axis, in 1/s, (pairs,).
        ends: their rings and crystals, (4, pairs).
        scatter_fraction: of these pairs, as NEMA finds it.
        accepted: which axial units make pairs with which, (units, units).
    """

    scanner: object
    singles: np.ndarray
    weight: np.ndarray
    ends: np.ndarray
    scatter_fraction: float
    accepted: np.ndarray

    @classmethod
    def of(cls, name, scanner, pairs, seen):
        line, phantom = nema_scatter.line(), nema_scatter.cylinder_on_table()
        source = PhotonSource(*line, *phantom, scanner)
        positrons_per_s = 1000 * VOLUME_ML * isotope("F-18").positron_fraction  # of 1 kBq/mL
        kept, ends = [], []
        for drawn in _drawn(source, pairs):
            inside = nema_scatter.seen(drawn) & _accepted(name, scanner, drawn)
            kept.append((drawn.weight * slant(drawn.cosines, scanner).prod(axis=1))[inside])
            where = (*nearest(drawn.first, scanner), *nearest(drawn.second, scanner))
            ends.append(np.array(where)[:, inside])
        part, _ = nema_scatter.fraction_of_pairs(source, pairs)
        (line, grid), (mu, mu_grid) = line, phantom
        ml = float(np.prod(grid.voxel_mm)) / 1000
        singles = rates.singles_rates(
            line * (1000 * VOLUME_ML / (float(line.sum()) * ml)), mu, grid, scanner, pairs=pairs,
            rng=np.random.default_rng(11), mu_grid=mu_grid,
        )
        units, most = _UNITS.get(name, (1, 0))
        apart = np.abs(np.subtract.outer(np.arange(units), np.arange(units)))
        return cls(
            scanner=scanner, singles=singles * (seen / rates.SEEN),
            weight=np.concatenate(kept) * (_pair(scanner, seen) * positrons_per_s / pairs),
            ends=np.concatenate(ends, axis=1), scatter_fraction=part, accepted=apart <= most,
        )

    @property
    def singles_per_bq(self):
        return float(self.singles.sum()) / (1000 * VOLUME_ML)

    def rates(self, activity, dead_time_ns):
        """Rates in kcps at an activity in kBq/mL, a dict."""
        scanner = replace(self.scanner, dead_time_ns=dead_time_ns)
        live = rates.live(scanner, activity * self.singles)
        ring1, crystal1, ring2, crystal2 = self.ends
        kept = self.weight * live[ring1, crystal1] * live[ring2, crystal2]
        pairs = activity * float(kept.sum()) / 1000
        randoms = self._randoms(activity * self.singles * live) / 1000
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
        return float(round(brentq(lambda ns: self.peak_at(ns) - peak_at, 1.0, 5e4, xtol=0.5)))


def _pair(scanner, seen):
    return (seen * float(efficiency(ELECTRON_KEV, scanner))) ** 2


def _drawn(source, pairs, seed=7):
    rng = np.random.default_rng(seed)
    for first in range(0, pairs, _BATCH):
        yield source.pairs(min(_BATCH, pairs - first), rng)


def _accepted(name, scanner, drawn):
    """Whether a scanner makes pairs of the units that photons met, (pairs,) bool."""
    units, most = _UNITS.get(name, (1, 0))
    each = scanner.rings // units
    first, second = (nearest(end, scanner)[0] // each for end in (drawn.first, drawn.second))
    return np.abs(first - second) <= most


def _line(row):
    text = (
        f"{row['scanner']:14} {row['sensitivity']:8.1f} {row['peak_kcps']:10.0f} "
        f"{row['peak_at']:6.1f}   {row['dead_time_ns']} ns"
    )
    if row["off_percent"]:
        off = row["off_percent"]
        text += "   " + ", ".join(
            f"{words} {off[what]:+.1f} % ({row[f'{what}_is']})"
            for what, words in (("sensitivity", "cps/kBq"), ("peak_kcps", "NECR"),
                                ("peak_at", "at"))
        )
    return text
