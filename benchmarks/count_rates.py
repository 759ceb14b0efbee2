"""`countless benchmark count-rates`: NEMA sensitivity and count rates of the preset scanners."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from benchmarks import machine
from benchmarks.nema_count_rates import K_RANDOMS, ScatterPhantom, sensitivity
from benchmarks.scatter_fraction import HSU, QUADRA, SITES, named
from recon.io.files import check_writable
from recon.io.provenance import write_json
from sim.count_rates import SEEN

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
    seen = fitted_seen(pairs) if fit else SEEN
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


def measure(name, scanner, pairs, *, seen=SEEN, fit=False):
    """Sensitivity and count rates of a scanner, a dict; `pairs` photon pairs are drawn."""
    began = time.perf_counter()
    published = PUBLISHED.get(name, {})
    found = ScatterPhantom.of(scanner, pairs, seen)
    if fit and name in DEAD_TIME_FITTED_TO:
        scanner = replace(scanner, dead_time_ns=found.dead_time_ns(published["peak_at"][0][0]))
    peak_at = found.peak_at(scanner.dead_time_ns)
    activities = np.linspace(2.0, 1.5 * peak_at, 12)
    row = {
        "scanner": name,
        "sensitivity": sensitivity(scanner, pairs, seen),
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


def fitted_seen(pairs):
    """The part of the photons seen that gives the sensitivity to which it is fitted."""
    name = SEEN_FITTED_TO
    all_seen = sensitivity(named(name), pairs, 1.0)
    return round(float(np.sqrt(PUBLISHED[name]["sensitivity"][0][0] / all_seen)), 3)


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
