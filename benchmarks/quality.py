"""`countless benchmark quality`: denoisers compared on people that none of them has seen."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from tqdm import tqdm

from benchmarks import machine
from benchmarks.detection import OBSERVER, Lesions, check_twin, detected, observe, validated
from benchmarks.image_metrics import RANGE_IN_MEANS
from benchmarks.methods import TUNING_STEPS, check_unseen, find_methods, tune
from benchmarks.paired import LEAST
from benchmarks.quality_figures import Shown
from benchmarks.quality_measure import measure_phantom, oracle_psnr, summarise
from benchmarks.quality_report import report
from benchmarks.quality_table import table
from benchmarks.regions import Regions
from benchmarks.trainings import over_trainings
from benchmarks.udpet import OMITTED
from recon.io.files import replacing
from recon.io.outputs import make_folder
from recon.io.provenance import plain, write_json
from sim.dataset import open_study

METHODS = ("low", "gaussian", "nlm", "bilateral", "tv", "ct-guided", "standard",
           "standard:gaussian")
CLAIM = "held-out phantoms of this simulator; not for clinical use"


def quality(
    study: Path,
    *,
    methods: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = METHODS,
    without: Path | None = None,
    tuning_steps: int = TUNING_STEPS,
    output: Annotated[Path, Parameter(alias="-o")],
):
    """Compare denoisers and reconstructions on a study's test split, with truth and standard dose.

    Baselines are tuned on the validation split by their NRMSE to truth, for each dose by itself.
    Writes quality.json (all numbers), table.md (for a paper) and report.html (with figures).

    Args:
        study: Folder that `countless simulate` made.
        methods: What is compared. low and standard are the images as they are; gaussian, nlm,
            bilateral, tv and ct-guided are baselines; osem (by passes), map-rdp, kem, pnp and dip
            are reconstructions (`countless recon`) of scans that the study keeps; a shipped model's
            name or a checkpoint's file is a model, which denoises or reconstructs. Of trainings
            that differ in their seed alone it is told how far they differ. With standard: before
            it, a method is applied to the standard dose.
        without: Folder of the same study with phantoms.options.lesions 0: how well lesions are
            detected is told against it.
        tuning_steps: By which each method that has a strength is tuned at each dose, the same
            number for all.
        output: Folder, made where there is none.
    Returns:
        What quality.json holds, a dict.
    """
    if tuning_steps < 1:
        raise ValueError(f"--tuning-steps takes a number from 1, got {tuning_steps}")
    chosen = find_methods(methods)
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(open_study(study))
        if not data.numbers["test"]:
            raise ValueError(
                f"benchmark quality takes a study with phantoms in its test split, got {study} "
                "with none; simulate more phantoms, or set split.test"
            )
        check_unseen(chosen, data)
        twin = stack.enter_context(open_study(without)) if without else None
        if twin:
            check_twin(data, twin)
        folder = make_folder(output)
        results = machine.origin() | _settings(data, chosen, tuning_steps)
        results["tuned"] = _tuned(data, chosen, tuning_steps)
        results["best_baseline"] = best = _best(results["tuned"], chosen, data.factors)
        strengths = {(row["method"], row["factor"]): row["strength"] for row in results["tuned"]}
        measured, shown, lesions = _measured(data, chosen, strengths)
        for name in ("rows", "ensembles", "filter_sweep"):
            results[name] = [row for one in measured for row in one[name]]
        results["summary"] = summarise(
            results["rows"], chosen, data.factors, data.numbers["test"], best
        )
        results["trainings"] = over_trainings(
            results["rows"], chosen, data.factors, data.numbers["test"], best
        )
        oracles = [one["oracle"] for one in measured if one["oracle"] is not None]
        results["oracle_psnr_standard"] = {
            str(factor): oracle_psnr(oracles, factor, results["pairs"])
            for factor in data.factors if oracles
        }
        results["detectability"] = _detected(data, twin, lesions, chosen, strengths)
    results = plain(results)
    write_json(folder / "quality.json", results)
    for name, text in (("table.md", table(results)), ("report.html", report(results, shown))):
        with replacing(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    print(table(results), f"\n{folder / 'report.html'} has figures, quality.json all numbers")
    return results


def _settings(data, methods, steps):
    """What was compared, and by which rules."""
    recipe = data.index["recipe"]
    return {
        "claim": CLAIM, "study": recipe, "study_hash": data.index["hash"],
        "phantoms": {split: list(numbers) for split, numbers in data.numbers.items()},
        "pairs": recipe["doses"]["pairs"], "factors": list(data.factors),
        "realisations": data.realisations,
        "methods": [{"name": method.name, "source": method.source, "sha256": method.sha256,
                     "baseline": method.baseline} for method in methods],
        "rules": {
            "mask": "the body: all voxels whose label is not air",
            "data_range": f"{RANGE_IN_MEANS:g} times the truth's mean in the body, for all images "
                          "of a phantom",
            "ct": _ct(recipe["ct"]),
            "tuning": f"least NRMSE to truth in the validation split, {steps} steps at "
                      "most of Brent's bounded search over the strength's logarithm",
            "interval": f"95 %, bootstrap over phantoms of the mean over realisations; none of "
                        f"fewer than {LEAST} phantoms",
            "test": "Wilcoxon's signed-rank test over phantoms, two-sided, against the baseline "
                    "with the least NRMSE in validation; of recovery and biases, their distances "
                    "to 100 and 0 %; not corrected for the number of tests",
            "udpet_omitted": list(OMITTED),
        },
    }


def _ct(settings):
    """What guides by the CT is told: the study's CT settings in words."""
    if not settings["simulated"]:
        return "the phantom's own, without noise, which flatters what is guided by it"
    shift = settings["shift_mm"]
    where = f"the patient lies {shift:g} mm elsewhere (standard deviation)" if shift else (
        "in perfect register, which flatters what is guided by it"
    )
    return f"simulated, {settings['photons']:g} photons in a ray that meets nothing, {where}"


def _tuned(data, methods, steps):
    """The strength of each method that has one at each dose, a list of dict."""
    tuned = [
        (method, factor) for method in methods if method.tuned for factor in method.factors(data)
    ]
    found = []
    with _bar(steps * len(tuned), "tuning", "step") as bar:
        for method, factor in tuned:
            row = tune(method, data, factor, bar.update, steps)
            bar.update(steps - len(row["tried"]))
            found.append({"method": method.name, "factor": factor} | row)
    return found


def _best(tuned, methods, factors):
    """The low-dose baseline with the least error in validation, by factor; {} without one."""
    sources = {method.name: method.source for method in methods if method.baseline}
    best = {}
    for factor in factors:
        rows = [row for row in tuned
                if row["factor"] == factor and sources.get(row["method"]) == "low"]
        if rows:
            best[factor] = min(rows, key=lambda row: row["nrmse"])["method"]
    return best


def _measured(data, methods, strengths):
    """What `measure_phantom` finds of each phantom, a Shown of one, and their Lesions."""
    shown, lesions, measured = Shown(), Lesions(), []
    with _bar(_images(data, methods), "measuring", "image") as bar:
        for number in data.numbers["test"]:
            regions, grid = Regions.of(data, number), data.grid(number)
            shown.add(number, regions, grid)
            lesions.add(number, regions)

            def keep(*image, number=number, grid=grid):
                shown.keep(number, *image)
                lesions.keep(number, *image, grid.voxel_mm)
                bar.update()

            measured.append(measure_phantom(data, number, regions, methods, strengths, keep))
    return measured, shown, lesions


def _detected(data, twin, lesions, methods, strengths):
    """AUC of all methods, a dict; None without a twin study, or without lesions."""
    if twin is None or not lesions.diameters_mm:
        return None
    with _bar(_images(data, methods), "without lesions", "image") as bar:
        absent = observe(twin, lesions, methods, strengths, bar.update)
    return OBSERVER | {
        "diameters_mm": [min(lesions.diameters_mm), max(lesions.diameters_mm)],
        "rows": detected(lesions, absent), "validation_of_standard": validated(data, twin),
    }


def _images(data, methods):
    """How many images are made of the test split."""
    factors = sum(len(one.factors(data)) for one in methods)
    return len(data.numbers["test"]) * data.realisations * factors


def _bar(total, what, unit):
    return tqdm(total=total, desc=what, unit=unit, file=sys.stderr, dynamic_ncols=True)
