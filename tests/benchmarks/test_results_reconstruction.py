"""What README and model card say of reconstructions is what the results hold."""

from pathlib import Path

import pytest

from benchmarks.quality_table import found, number
from denoise.checkpoint import load_denoiser
from denoise.shipped import shipped
from denoise.studies import same_phantoms
from recon.io.provenance import read_json, sha256

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARD = (ROOT / "denoise" / "models" / "README.md").read_text(encoding="utf-8")
SHOWN = ("low", "gaussian", "osem", "map-rdp", "kem", "pnp", "unet", "fbsem", "standard",
         "standard:unet")


def read(name):
    return read_json(ROOT / "benchmarks" / "results" / f"{name}.json")


@pytest.fixture(scope="module")
def results():
    return read("reconstruction-cpu")


@pytest.mark.parametrize("factor", [4.0, 20.0])
def test_the_readmes_table_of_reconstructions_is_the_result(results, factor):
    cells = [number(found(results, name, factor, "nrmse_truth")["mean"], "nrmse_truth")
             for name in SHOWN]
    assert f"| 1/{factor:g} | {' | '.join(cells)} |" in README


def test_the_network_is_that_of_the_results_and_of_the_card(results):
    (path,) = shipped(reconstruct=True).values()
    hashes = {one["name"]: one["sha256"] for one in results["methods"]}
    assert hashes["fbsem"] == sha256(path)
    assert hashes["unet"] == sha256(shipped()["unet"])
    assert sha256(path)[:12] in CARD


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


def test_the_card_gives_all_methods_of_the_results(results):
    for factor in (4.0, 20.0):
        for name in SHOWN:
            error = number(found(results, name, factor, "nrmse_truth")["mean"], "nrmse_truth")
            assert f"| {name} | {error} | " in CARD


def test_the_readme_says_how_soon_the_minimum_is_reached():
    results, words = read("convergence-cpu"), " ".join(README.split())
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
    results, words = read("matched-noise-cpu"), " ".join(README.split())
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
