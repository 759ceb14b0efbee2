"""`countless benchmark quality`: denoisers compared on people that none of them has seen."""

import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from tqdm import tqdm

from benchmarks import machine
from benchmarks.detection import OBSERVER, Lesions, check_twin, detected, observe, validated
from benchmarks.image_metrics import RANGE_IN_MEANS
from benchmarks.methods import Compared, check_unseen, find_methods
from benchmarks.paired import LEAST
from benchmarks.pool import pool
from benchmarks.quality_figures import Shown
from benchmarks.quality_measure import measure_phantom, oracle_psnr, summarise
from benchmarks.quality_report import report
from benchmarks.quality_table import table
from benchmarks.regions import Regions
from benchmarks.trainings import over_trainings
from benchmarks.tuning import TUNING_STEPS, tune, tuning_images
from benchmarks.udpet import OMITTED
from recon import backend
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
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int = 0,
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
            number for all. Passes are all tried, from one run.
        device: Where reconstructions and networks run: auto takes a GPU where there is one.
        workers: Processes that tune and measure at a time, which share the cores and the GPU; 0
            for this one alone. Seconds and memory are then those of a machine with so much to do.
        output: Folder, made where there is none.
    Returns:
        What quality.json holds, a dict.
    """
    if tuning_steps < 1:
        raise ValueError(f"--tuning-steps takes a number from 1, got {tuning_steps}")
    device, _ = backend.find_device(device)
    chosen = find_methods(methods)
    with contextlib.ExitStack() as stack:
        in_order = stack.enter_context(pool(workers))
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
        compared = Compared(data=data, methods=chosen, names=tuple(methods))
        results = machine.origin(device) | {"workers": workers}
        results |= _settings(data, chosen, tuning_steps)
        results["tuned"] = _tuned(compared, tuning_steps, device, in_order)
        results["best_baseline"] = best = _best(results["tuned"], chosen, data.factors)
        strengths = {(row["method"], row["factor"]): row["strength"] for row in results["tuned"]}
        measured, shown, lesions = _measured(compared, strengths, device, in_order)
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
        results["detectability"] = None
        if twin:
            without = Compared(data=twin, methods=chosen, names=tuple(methods))
            results["detectability"] = _detected(compared, without, lesions, strengths, device,
                                                 in_order)
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
                      "most of Brent's bounded search over the strength's logarithm; passes are "
                      "all tried, from one run",
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


def _tuned(compared, steps, device, in_order):
    """The strength of each method that has one at each dose, a list of dict."""
    data = compared.data
    tuned = [(index, factor) for index, method in enumerate(compared.methods) if method.tuned
             for factor in method.factors(data)]
    total = sum(tuning_images(compared.methods[index], data, steps) for index, _ in tuned)
    with _bar(total, "tuning") as bar:
        return list(in_order(partial(_tune, compared, steps, device), tuned, bar.update))


def _tune(compared, steps, device, task, progress):
    """The strength of a method, out of compared.methods by its index, at a dose: a dict."""
    index, factor = task
    method = compared.methods[index]
    found = tune(method, compared.data, factor, progress, steps, device)
    return {"method": method.name, "factor": factor} | found


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


def _measured(compared, strengths, device, in_order):
    """What `measure_phantom` finds of each phantom, a Shown of one, and each one's Lesions."""
    with _bar(_images(compared), "measuring") as bar:
        measured, shown, lesions = zip(*in_order(
            partial(_measure, compared, strengths, device), compared.data.numbers["test"],
            bar.update), strict=True)
    return measured, Shown.chosen(shown), lesions


def _measure(compared, strengths, device, number, progress):
    """What `measure_phantom` finds of a phantom, its Shown and its Lesions."""
    data = compared.data
    regions, grid = Regions.of(data, number), data.grid(number)
    shown, lesions = Shown(number, regions, grid), Lesions()
    lesions.add(number, regions)

    def keep(*image):
        shown.keep(*image)
        lesions.keep(number, *image, grid.voxel_mm)
        progress()

    found = measure_phantom(data, number, regions, compared.methods, strengths, keep, device)
    return found, shown, lesions


def _detected(compared, without, lesions, strengths, device, in_order):
    """AUC of all methods in a study and its twin, a dict; None without lesions.

    Args:
        compared, without: Compared, of the study and of its twin.
        lesions: of each phantom, Lesions.
    """
    present = Lesions.merged(lesions)
    if not present.diameters_mm:
        return None
    with _bar(_images(compared), "without lesions") as bar:
        absent = Lesions.merged(in_order(partial(_observe, without, strengths, device), lesions,
                                         bar.update))
    return OBSERVER | {
        "diameters_mm": [min(present.diameters_mm), max(present.diameters_mm)],
        "rows": detected(present, absent),
        "validation_of_standard": validated(compared.data, without.data),
    }


def _observe(without, strengths, device, lesions, progress):
    """Lesions of the same places in the images of a twin study."""
    return observe(without.data, lesions, without.methods, strengths, progress, device)


def _images(compared):
    """How many images are made of the test split."""
    data = compared.data
    factors = sum(len(one.factors(data)) for one in compared.methods)
    return len(data.numbers["test"]) * data.realisations * factors


def _bar(total, what):
    return tqdm(total=total, desc=what, unit="image", file=sys.stderr, dynamic_ncols=True)
