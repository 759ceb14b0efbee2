"""`countless benchmark convergence`: how soon algorithms are at the minimum of one objective."""

import math
import statistics
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from tqdm import tqdm

from benchmarks import machine
from benchmarks.convergence_cases import TESTED, TUNED, cases
from benchmarks.convergence_figure import draw_distances
from benchmarks.convergence_methods import SETTINGS, UNTUNED, algorithm
from benchmarks.convergence_race import IN_A_ROW, MEAN, RMSE, arrived, race, rerun
from benchmarks.convergence_reference import reference
from recon.io.outputs import make_folder
from recon.io.provenance import plain, write_json

NAME = "convergence"
PASSES = 60  # after which an algorithm has not arrived
TRIED_PASSES = 15  # and where settings are chosen
TESTED_SCANS = ((False, False), (False, True), (True, False), (True, True))  # low counts, TOF
TUNED_SCANS = {"spheres and rods": ((False, True), (True, False)),
               "other torso": ((False, False), (True, True))}
SEEDS = {name: number for number, name in enumerate((*TESTED, *TUNED), 1)}


def convergence(*, repeats: int = 3, output: Annotated[Path, Parameter(alias="-o")]):
    """Measure how soon algorithms reach the minimum of a penalised likelihood.

    As the PET Rapid Image Reconstruction Challenge (PETRIC) does: from one pass of OSEM, until the
    mean of every region differs from the converged image's by less than 0.5 % of the background,
    and the root mean square over the object and over the background by less than 1 %, for ten
    updates in a row. Three phantoms are scanned at normal and low counts, with and without time of
    flight; the converged images are those on which two unlike algorithms agree ten times as well.
    Compared are SVRG or SAGA as this package has them, OSEM followed by BSREM, and the algorithm
    that won PETRIC in 2024; each has six settings, of which the fastest on scans of other phantoms
    is taken, and the winner is shown with its authors' settings too. Writes convergence.json and
    convergence.png.

    Args:
        repeats: Runs of which the median time is taken.
        output: Folder, made where there is none.
    Returns:
        What convergence.json holds, a dict.
    """
    if repeats < 1:
        raise ValueError(f"--repeats takes a number from 1, got {repeats}")
    folder = make_folder(output)
    results = machine.origin() | {
        "mean_threshold": MEAN, "rmse_threshold": RMSE, "updates_in_a_row": IN_A_ROW,
        "passes": PASSES, "repeats": repeats,
    }
    results["tuned"] = _tuned()
    results["settings"] = chosen = best(results["tuned"]) | UNTUNED
    results["cases"] = list(_tested(chosen, repeats))
    results["medians"] = medians(results["cases"])
    results = plain(results)
    write_json(folder / f"{NAME}.json", results)
    draw_distances(folder / f"{NAME}.png", results)
    _print(results)
    return results


def _scans(things, scans):
    """Yields (Case, Target or None, what is known of it) of each scan."""
    with tqdm(total=sum(len(scans[name]) for name in things), unit="scan", file=sys.stderr,
              dynamic_ncols=True) as bar:
        for name, thing in things.items():
            bar.set_description(name)
            for case in cases(name, thing, scans[name], SEEDS[name]):
                target, found = reference(case)
                yield case, target, case.described() | {"reference": found}
                bar.update()


def _tuned():
    """How each setting of each algorithm does on each of the scans for that: a list of dict."""
    rows = [{"algorithm": name, "settings": settings, "scans": []}
            for name, several in SETTINGS.items() for settings in several]
    for case, target, told in _scans(TUNED, TUNED_SCANS):
        for row in rows if told["reference"]["agreed"] else ():
            found = race(algorithm(row["algorithm"], row["settings"]), case, target, TRIED_PASSES)
            row["scans"].append({"name": case.name} | summary(found))
    if not rows[0]["scans"]:
        raise RuntimeError("no scan that settings are chosen by has a sure reference; see "
                           "benchmarks/convergence_reference.py for how long they are sought")
    return rows


def best(rows):
    """Of each algorithm the settings of least median time, passes where none arrives in time."""
    def cost(row):
        return tuple(statistics.median(math.inf if scan[what] is None else scan[what]
                                       for scan in row["scans"]) for what in ("seconds", "passes"))

    return {name: min((row for row in rows if row["algorithm"] == name), key=cost)["settings"]
            for name in dict.fromkeys(row["algorithm"] for row in rows)}


def _tested(chosen, repeats):
    """Yields what is found of each case, a dict."""
    for case, target, told in _scans(TESTED, dict.fromkeys(TESTED, TESTED_SCANS)):
        if not told["reference"]["agreed"]:
            yield told | {"algorithms": None}
            continue
        runs = {name: algorithm(name, settings) for name, settings in chosen.items()}
        found = {name: race(run, case, target, PASSES) for name, run in runs.items()}
        told["algorithms"] = {name: summary(rows) | {"curve": shown(rows)}
                              for name, rows in found.items()}
        times = {name: [one["seconds"]] for name, one in told["algorithms"].items()}
        for _ in range(repeats - 1):
            for name, one in told["algorithms"].items():
                if one["updates"]:
                    times[name].append(rerun(runs[name], case, one["updates"]))
        for name, one in told["algorithms"].items():
            if one["updates"]:
                one |= {"seconds": statistics.median(times[name]), "all_seconds": times[name]}
        yield told | {"ratios": ratios(told["algorithms"])}


def summary(rows):
    """Updates, passes and seconds until an algorithm arrived, None where it did not."""
    updates = arrived(rows)
    seconds, passes, _ = rows[updates - 1] if updates else (None, None, None)
    return {"updates": updates, "passes": passes, "seconds": seconds, "nearest": nearest(rows)}


def shown(rows):
    """Passes and distances of a race in as many digits as a figure shows."""
    return [[None if value is None else float(f"{value:.4g}") for value in row[1:]] for row in rows]


def nearest(rows):
    """The least of the distances after an update, over the thresholds."""
    return min(worst for *_, worst in rows)


def ratios(found):
    """How many times what ours takes the others take: dict of dict; None where ours is not there.

    It is infinite where the other alone did not arrive.
    """
    ours = found["ours"]
    return {
        name: {what: None if not ours["updates"] else
               math.inf if not one["updates"] else one[what] / ours[what]
               for what in ("seconds", "passes")}
        for name, one in found.items() if name != "ours"
    }


def medians(rows):
    """Medians of the ratios over all cases in which ours arrived: dict of dict."""
    taken = [row["ratios"] for row in rows
             if row["algorithms"] and row["algorithms"]["ours"]["updates"]]
    names = taken[0] if taken else ()
    return {name: {what: statistics.median(one[name][what] for one in taken)
                   for what in ("seconds", "passes")} for name in names}


def _print(results):
    names = tuple(results["settings"])
    print(f"{'passes (seconds)':40}" + "".join(f"{name:>18}" for name in names))
    for row in results["cases"]:
        cells = ["reference unsure"] if row["algorithms"] is None else [
            f"{one['passes']:.2f} ({one['seconds']:.2f})" if one["updates"] else
            f"not in {results['passes']}"
            for one in (row["algorithms"][name] for name in names)]
        print(f"{row['name']:40}" + "".join(f"{cell:>18}" for cell in cells))
    for name, one in results["medians"].items():
        said = ", ".join(f"{what} {'not reached' if value is None else f'{value:.2f}'}"
                         for what, value in one.items())
        print(f"{name} over ours, median: {said}")
