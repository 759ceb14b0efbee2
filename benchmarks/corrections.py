"""`countless benchmark corrections`: how far randoms and scatter are off, from many to few counts.

An ensemble of scans whose randoms and scatter are known (`benchmarks.corrections_truth`), each with
noise of its own, goes through what the chain of `countless recon` does
(`benchmarks.corrections_chain`). Bias is the mean of the errors over the scans, spread their
standard deviation, RMS both together. The scale's error is that of all scatter: estimated total
scatter counts / true total scatter counts - 1.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import corrections_truth, machine
from benchmarks.corrections_chain import errors, reference_mean
from recon import backend
from recon.io.files import check_writable
from recon.io.provenance import write_json

OBJECTS = ("torso", "arms")
PROMPTS = (1e8, 2e6)
BIAS, RMS = 0.03, 0.10  # of the scatter scale that are asked for at the fewer counts
HEADER = (
    f"{'object':7}{'bins':8}{'prompts':>8}  {'randoms':>13}{'scatter':>15}{'RMS':>7}{'planes':>8}"
    f"{'sd told':>9}{'image':>15}"
)


def corrections(
    *,
    scanner: str = "demo",
    realisations: int = 20,
    seed: int = 1,
    output: Path | None = None,
):
    """Measure bias and spread of estimated randoms and scatter on scans whose truth is known.

    Args:
        scanner: Problems to solve: demo, or tiny for a quick look.
        realisations: Noisy scans of each problem at each number of prompts.
        seed: Of crystal efficiencies, photon transport and noise.
        output: JSON file to write, after each problem; one that a broken-off run of the same
            settings and commit left behind is gone on with.
    Returns:
        What the JSON file holds, a dict.
    """
    if realisations < 1:
        raise ValueError(f"--realisations takes a number from 1, got {realisations}")
    problems = {
        (name, tof): corrections_truth.problem(scanner, name, tof)
        for name in OBJECTS for tof in (False, True)
    }
    if output is not None:
        check_writable(output)
    began = time.monotonic()
    results = machine.origin()
    results |= {"scanner": scanner, "realisations": realisations, "seed": seed}
    results["formulas"] = {
        "scatter": "estimated total scatter counts / true total scatter counts - 1",
        "bias": "mean of the realisations", "spread": "their standard deviation",
        "rms": "root of the mean square of the realisations",
    }
    results["mu_map_factor"] = corrections_truth.MU_FACTOR
    results["cases"], results["seconds"] = [], 0.0
    if output is not None and output.exists():
        _go_on(results, output)
    done = {(case["object"], case["tof"]) for case in results["cases"]}
    print("\n".join([HEADER, *map(line, results["cases"])]), flush=True)
    left = {key: problem for key, problem in problems.items() if key not in done}
    runs, before = len(left) * (len(PROMPTS) * realisations + 1), results["seconds"]
    with tqdm(total=runs, unit="scan", file=sys.stderr, dynamic_ncols=True) as bar:
        for (name, tof), problem in left.items():
            bar.set_description(f"{name}, {'TOF' if tof else 'no TOF'}")
            for case in _cases(problem, seed, realisations, bar):
                case = {"object": name, "tof": tof} | case
                results["cases"].append(case)
                with bar.external_write_mode(sys.stderr):
                    print(line(case), flush=True)
            results["seconds"] = before + time.monotonic() - began
            if output is not None:
                write_json(output, results)
    print(f"\n{notes(results)}")
    return results


def _go_on(results, output):
    """Takes over the cases of an earlier run of the same settings and commit."""
    with open(output, encoding="utf-8") as file:
        before = json.load(file)
    same = ("commit", "version", "scanner", "realisations", "seed")
    if all(before.get(name) == results[name] for name in same):
        results["cases"], results["seconds"] = before["cases"], before["seconds"]


def _cases(problem, seed, realisations, bar):
    """Results at each number of prompts, and first those without noise."""
    truth = corrections_truth.simulate(problem, seed)
    reference = reference_mean(problem, truth)
    known = {
        "scatter_fraction": truth.scatter_fraction,
        "multiple_to_single": truth.multiple_to_single,
        "bins": problem.layout.shape, "mu_map_shift_mm": problem.mu_shift_mm,
    }

    def solve(prompts, rng):
        found = errors(problem, truth, reference, prompts=prompts, rng=rng, threads=1)
        bar.update()
        return asdict(found)

    exact = solve(PROMPTS[0], None)
    # A scan to each core: the results do not depend on how many there are.
    with ThreadPoolExecutor(backend.default_threads()) as pool:
        for prompts in PROMPTS:
            rngs = [
                np.random.default_rng([seed, int(prompts), number])
                for number in range(realisations)
            ]
            scans = list(pool.map(solve, [prompts] * realisations, rngs))
            yield known | {
                "prompts": prompts, "noise_free": exact, "summary": summary(scans),
                "scans": {name: [scan[name] for scan in scans] for name in exact},
            }


def summary(scans):
    """Bias, spread and RMS of each of the scans' errors, by name."""
    found = {}
    for name in scans[0]:
        values = np.array([scan[name] for scan in scans])
        found[name] = {
            "bias": float(values.mean()),
            "spread": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
            "rms": float(np.sqrt(np.mean(values**2))),
        }
    return found


def line(case):
    """A row of the table under HEADER."""
    s = case["summary"]

    def both(name):
        return f"{100 * s[name]['bias']:+.2f} ± {100 * s[name]['spread']:.2f}"

    return (
        f"{case['object']:7}{'TOF' if case['tof'] else 'no TOF':8}{case['prompts']:>8.0e}  "
        f"{both('randoms'):>13}{both('scatter'):>15}{100 * s['scatter']['rms']:>7.2f}"
        f"{100 * s['scatter_planes']['rms']:>8.2f}{100 * s['scale_sd']['bias']:>9.2f}"
        f"{both('region'):>15}"
    )


def notes(results):
    """Lines that say what the table's columns are, and whether what is asked for is met."""
    few = [case for case in results["cases"] if case["prompts"] == min(PROMPTS)]
    scatter = [case["summary"]["scatter"] for case in few]
    bias = max(abs(s["bias"]) for s in scatter)
    rms = max(s["rms"] for s in scatter)
    met = "met" if bias <= BIAS and rms <= RMS else "NOT met"
    return (
        "All in %, mean ± standard deviation of the scans. randoms, scatter: counts over the true\n"
        "ones, less 1; RMS: of the scatter's; planes: the same of each plane; sd told: what the\n"
        "estimate says of its scale; image: a uniform region against the noise-free image with\n"
        "the true background. 'arms' leaves no tails: its scale is the likely one.\n"
        f"Asked for at {min(PROMPTS):.0e} prompts: bias at most {BIAS:.0%} (found "
        f"{bias:.1%}), RMS at most {RMS:.0%} (found {rms:.1%}): {met}.\n"
        f"{results['seconds'] / 60:.0f} min."
    )
