"""What README and model card say of reconstructions is what the results hold."""

from pathlib import Path

import pytest

from benchmarks.paired import paired
from benchmarks.quality_measure import per_phantom
from benchmarks.quality_table import found, number
from denoise.checkpoint import load_denoiser
from denoise.shipped import shipped
from denoise.studies import same_phantoms
from recon.io.provenance import read_json, sha256

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARD = (ROOT / "denoise" / "models" / "README.md").read_text(encoding="utf-8")
WORDS = " ".join(README.split())
FBSEM = "run-fbsem-1"  # the training that comes with Countless
SHOWN = ("low", "gaussian", "osem", "map-rdp", "kem", "pnp", "unet", FBSEM, "standard",
         "standard:unet")
FACTORS = (4.0, 10.0, 20.0, 50.0)


def read(name):
    return read_json(ROOT / "benchmarks" / "results" / f"{name}.json")


@pytest.fixture(scope="module")
def results():
    return read("reconstruction-h200")


def error(results, name, factor):
    return number(found(results, name, factor, "nrmse_truth")["mean"], "nrmse_truth")


@pytest.mark.parametrize("factor", FACTORS)
def test_the_readmes_table_of_reconstructions_is_the_result(results, factor):
    cells = [error(results, name, factor) for name in SHOWN]
    assert f"| 1/{factor:g} | {' | '.join(cells)} |" in README


def test_the_network_is_that_of_the_results_and_of_the_card(results):
    (path,) = shipped(reconstruct=True).values()
    hashes = {one["name"]: one["sha256"] for one in results["methods"]}
    assert hashes[FBSEM] == sha256(path) == read("transfer-fbsem-h200")["model"]["sha256"]
    assert hashes["unet"] == sha256(shipped()["unet"]) == read("transfer-h200")["model"]["sha256"]
    assert sha256(path)[:12] in CARD
    of_mmr = {one["name"]: one["sha256"] for one in read("unrolled-mmr-h200")["methods"]}
    assert (of_mmr[FBSEM], of_mmr["unet"]) == (hashes[FBSEM], hashes["unet"])


@pytest.mark.parametrize("factor", FACTORS)
def test_what_is_said_of_unrolling_is_the_result(results, factor):
    numbers = results["phantoms"]["test"]
    inside, after = (per_phantom(results["rows"], "nrmse_truth", name, factor, numbers)
                     for name in (FBSEM, "unet"))
    told = paired(inside, after)
    gain, low, high = (f"{-100 * told[key]:.1f}" for key in ("mean", "high", "low"))
    p = f"{told['p']:.3f}" if told["p"] < 0.01 else f"{told['p']:.2f}"
    points = f"{gain} points at 1/{factor:g}" if factor == 4 else f"{gain} at 1/{factor:g}"
    interval = f"95 % interval {low} to {high}" if factor == 4 else f"{low} to {high}"
    for text in (WORDS, " ".join(CARD.split())):
        assert points in text
        assert f"at 1/{factor:g} ({interval}, " in text and f"p = {p})" in text


def test_more_training_of_the_unet_in_this_scanner_gains_as_little_as_is_said(results):
    more, gains, left = read("quality-more-training-cpu"), [], []
    assert more["phantoms"]["test"] == results["phantoms"]["test"]
    for factor in FACTORS:
        further, unet, inside = (
            per_phantom(rows, "nrmse_truth", name, factor, results["phantoms"]["test"])
            for rows, name in ((more["rows"], "run-unet-demo"), (more["rows"], "unet"),
                               (results["rows"], FBSEM))
        )
        gains.append(100 * (unet - further).mean())
        told = paired(inside, further)
        left.append((f"{-100 * told['mean']:.1f}", told["p"] < 0.05))
    assert min(gains) > 0.05 and max(gains) < 0.25
    assert left == [("0.3", False), ("0.8", True), ("1.2", True), ("1.7", True)]


def test_what_is_said_of_lesions_and_the_liver_is_the_result(results):
    def said(name, metric, factor):
        return found(results, name, factor, metric)["mean"]

    for factor, between in ((20.0, "and by `unet` "), (4.0, "and ")):
        ours, theirs = (f"{100 * said(name, 'recovery', factor):.1f} %"
                        for name in (FBSEM, "unet"))
        assert f"{ours} {between}{theirs}" in WORDS
    lost = [f"{said(name, 'lost', 20.0):.1f}" for name in (FBSEM, "unet", "standard")]
    assert lost == ["2.8", "2.8", "1.2"]
    low = [f"{-100 * said(name, 'uniform_bias', 20.0):.1f} %" for name in (FBSEM, "unet")]
    assert f"liver's mean is {low[0]} low, and {low[1]} by `unet`" in WORDS


def test_seeds_differ_by_as_little_as_is_said(results):
    rows = [row for row in results["trainings"] if row["metric"] == "nrmse_truth"]
    assert [len(row["methods"]) for row in rows] == [3] * len(FACTORS)
    assert max(100 * row["deviation"] for row in rows) < 0.15
    spread = [f"{100 * one:.2f}" for one in sorted(row["deviation"] for row in rows)]
    assert f"by {spread[0]} to {spread[-1]} points of NRMSE" in " ".join(CARD.split())


def test_what_is_said_of_other_scanners_and_tracers_is_the_result():
    after, inside = read("transfer-h200"), read("transfer-fbsem-h200")
    mmr, lines = read("unrolled-mmr-h200"), CARD.splitlines()
    for place, what in ((0, "PSMA, demo"), (1, "FDG, Vision 600")):
        one, other = after["studies"][place], inside["studies"][place]
        for factor in one["factors"]:
            cells = [error(one, name, factor) for name in ("low", "gaussian", "unet")]
            cells += [error(other, FBSEM, factor), error(one, "standard", factor)]
            assert f"| {what} | 1/{factor:g} | {' | '.join(cells)} |" in lines
    for factor in mmr["factors"]:
        cells = [error(mmr, name, factor)
                 for name in ("low", "gaussian", "unet", FBSEM, "standard")]
        assert f"| FDG, mMR | 1/{factor:g} | {' | '.join(cells)} |" in lines
    own = [error(mmr, "run-fbsem-mmr", factor) for factor in mmr["factors"]]
    assert " and ".join(own) in " ".join(CARD.split())


def test_no_phantom_that_results_are_of_was_trained_on(results):
    tested = {"hash": results["study_hash"], "seed": results["study"]["seed"],
              "kind": results["study"]["phantoms"]["kind"]}
    training = load_denoiser(shipped(reconstruct=True)["fbsem"], reconstructs=True).settings[
        "training"]
    while training:
        studies = [one for one in training["studies"] if same_phantoms(one, tested)]
        assert studies
        for one in studies:
            assert not {*one["phantoms"], *one["validation"]} & {*results["phantoms"]["test"]}
        training = training.get("start", {}).get("training")


def test_what_the_card_says_of_people_in_clinical_scanners_is_the_result():
    (vision,) = (one for one in read("transfer-h200")["studies"] if one["name"] == "scanner")
    (dmi,) = read("transfer-dmi-cpu")["studies"]
    for name, study in (("Vision 600", vision), ("mMR", read("unrolled-mmr-h200")),
                        ("Discovery MI", dmi)):
        assert len(study["phantoms"]["test"]) == 3
        for factor in study["factors"]:
            errors = [error(study, one, factor) for one in ("low", "gaussian", "unet", "standard")]
            assert f"| {name} | 1/{factor:g} | {' | '.join(errors)} | " in CARD
            means = {one: found(study, one, factor, "nrmse_truth")["mean"]
                     for one in ("gaussian", "unet", "standard")}
            assert means["unet"] < means["gaussian"]
            assert (means["unet"] < means["standard"]) == (factor < 50)


def test_seeds_of_the_unet_differ_by_as_little_as_is_said():
    seeds = read("quality-seeds-cpu")
    rows = [row for row in seeds["trainings"] if row["metric"] == "nrmse_truth"]
    assert [len(row["methods"]) for row in rows] == [3] * len(FACTORS)
    words = " ".join(CARD.split())
    for row in rows:
        assert f"{100 * row['mean']:.2f} % ± {100 * row['deviation']:.2f}" in words
        assert f"{100 * found(seeds, 'unet', row['factor'], 'nrmse_truth')['mean']:.2f}" in words
    assert {one["name"]: one["sha256"] for one in seeds["methods"]}["unet"] == sha256(
        shipped()["unet"])


def test_the_card_gives_all_methods_of_the_results(results):
    for factor in FACTORS:
        for name in SHOWN:
            said = "fbsem" if name == FBSEM else name
            assert f"| {said} | {error(results, name, factor)} | " in CARD


def test_the_readme_says_how_soon_the_minimum_is_reached():
    results, words = read("convergence-cpu"), WORDS
    cases = [case for case in results["cases"] if case["algorithms"]]
    assert len(results["cases"]) == 12 and len(cases) == 11
    passes = [case["algorithms"]["ours"]["passes"] for case in cases]
    assert f"takes {min(passes):.0f} to {max(passes):.0f} passes" in words
    tuned, own = results["medians"]["published"], results["medians"]["as published"]
    assert (f"takes {tuned['seconds']:.2f} times as long and {tuned['passes']:.2f} times as many "
            "passes (medians)") in words
    assert (f"takes {own['seconds']:.2f} times as long ({own['passes']:.2f} times as many passes)"
            ) in words
    arrived = {name: [case["name"] for case in cases if case["algorithms"][name]["updates"]]
               for name in results["settings"]}
    assert len(arrived["osem-bsrem"]) == 4 and "in four cases alone" in words
    missed = {case["name"] for case in cases} - set(arrived["as published"])
    assert len(missed) == 3 and all(name.startswith("brain") for name in missed)
    for case in cases:
        if case["name"].startswith("nema-iq, normal"):
            assert case["ratios"]["as published"]["passes"] < 0.5


def test_the_readme_says_what_lesions_gain_at_equal_noise():
    results, words = read("matched-noise-cpu"), WORDS
    rows = {row["method"]: row for row in results["summary"]
            if (row["at"], row["statistic"]) == ("matched", "contrast")}
    assert f"contrast recovery {100 * rows['gaussian']['value']:.1f} %" in words
    for name, kind in (("unet", "a gain of {} points, 95 % interval {} to {}"),
                       ("fbsem", "{}, {} to {}")):
        row = rows[name]
        gains = (f"{100 * row[key]:.1f}" for key in ("gain", "gain_low", "gain_high"))
        said = f"by `{name}` {100 * row['value']:.1f} % ({kind.format(*gains)})"
        assert said in words
        assert row["verdict"] == "confirmed" and (row["people"], row["numbers"]) == (3, 16)
    assert rows["fbsem"]["value"] < rows["unet"]["value"]
