"""The results that are kept: what the project promises stands in them, and in the README."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.quality_table import found, number

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Its machine had a copy of the tree, with what it took to run there beside it.
COPY = "projector-h200.json"
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def read(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_result_says_where_it_comes_from(path):
    said = json.loads(path.read_text())
    assert {"version", "commit", "date", "command", "machine"} <= said.keys()
    commit = said.get("copy_of", said["commit"].removesuffix("-dirty" if path.name == COPY else ""))
    assert re.fullmatch(r"[0-9a-f]{12}", commit)  # of a tree without other changes
    assert "copy_of" not in said or path.stem.endswith("-h200")  # whose machine saw files alone
    assert said["command"].startswith("countless benchmark ")
    assert f"results/{path.name}" in README


def test_at_a_fiftieth_of_the_counts_scatter_is_off_by_at_most_3_percent_on_average():
    cases = [case for case in read("corrections-cpu")["cases"] if case["prompts"] == 2e6]
    assert [(case["object"], case["tof"]) for case in cases] == [
        ("torso", False), ("torso", True), ("arms", False), ("arms", True)
    ]
    for case in cases:
        assert len(case["scans"]["scatter"]) == 20
        assert abs(case["summary"]["scatter"]["bias"]) <= 0.03
        assert case["summary"]["scatter"]["rms"] <= 0.10


def test_the_readmes_table_of_corrections_is_the_result():
    for case in read("corrections-cpu")["cases"]:
        scatter = case["summary"]["scatter"]
        said = f"{100 * scatter['bias']:+.2f} ± {100 * scatter['spread']:.2f}"
        assert said in README


def test_scatter_fractions_lie_in_the_published_range_or_next_to_it():
    rows = {row["scanner"]: row for row in read("scatter-fraction-cpu")["rows"]}
    known = {name for name, row in rows.items() if row["published_range"]}
    assert known == {"mMR", "Vision Quadra", "Discovery MI"}
    for name in known:
        assert abs(rows[name]["points_off"]) < 0.5
    assert rows["mMR"]["fitted_to"] == "predicted" and rows["mMR"]["points_off"] == 0


def test_sensitivity_and_the_peak_of_necr_are_within_15_percent_of_those_published():
    rows = read("count-rates-cpu")["rows"]
    assert [row["scanner"] for row in rows] == [
        "mMR", "Vision 600", "Vision Quadra", "Discovery MI", "uEXPLORER"
    ]
    for row in rows:
        assert abs(row["off_percent"]["sensitivity"]) < 15
        assert abs(row["off_percent"]["peak_kcps"]) < 15


def test_the_readme_gives_the_scatter_fractions_and_count_rates_of_the_results():
    fractions = {row["scanner"]: row["total"] for row in read("scatter-fraction-cpu")["rows"]}
    for row in read("count-rates-cpu")["rows"]:
        name = row["scanner"]
        line = next(line for line in README.splitlines() if line.startswith(f"| {name} |"))
        for said in (f"{fractions[name]:.1f} %", f"{row['sensitivity']:.1f}",
                     f"{row['peak_kcps']:.0f}", f"{row['peak_at']:.1f}"):
            assert said in line


def test_the_readmes_table_of_a_gpu_is_the_result():
    results = read("projector-h200")
    assert results["machine"]["processor"] == "NVIDIA H200"
    shown = [line for line in README.splitlines() if line.endswith(" % |") and " M | " in line]
    rows = [row for row in results["rows"] if "shuffled" not in row["operation"]
            and row["problem"] in ("mmr-like", "mmr-tof", "mmr-span11")]
    rows = [row for row in rows if (row["problem"], row["operation"]) != (
        "mmr-span11", "OSEM update")]
    said = {f"{row['lors_per_second'] / 1e6:.0f} M | {100 * row['fraction_of_copy']:.1f} %"
            for row in rows}
    assert said == {" | ".join(line.strip("| ").split(" | ")[2:]) for line in shown}


COMPARED = ("low", None, "unet", "gan", "standard", "standard:gaussian", "standard:unet")


@pytest.mark.parametrize("factor", [4.0, 10.0, 20.0, 50.0])
def test_the_readmes_table_of_denoisers_is_the_result(factor):
    results = read("quality-cpu")
    best = results["best_baseline"][str(factor)]
    cells = [number(found(results, name or best, factor, "nrmse_truth")["mean"], "nrmse_truth")
             for name in COMPARED]
    cells[1] = f"{best} {cells[1]}"
    assert f"| 1/{factor:g} | {' | '.join(cells)} |" in README


@pytest.mark.parametrize("factor", [4.0, 10.0, 20.0, 50.0])
@pytest.mark.parametrize("metric", ["nrmse_truth", "psnr_truth", "ssim_truth"])
@pytest.mark.parametrize("name", ["unet", "gan"])
def test_a_network_is_surely_nearer_to_the_truth_than_the_best_baseline(name, metric, factor):
    results = read("quality-cpu")
    ours = found(results, name, factor, metric)
    theirs = found(results, results["best_baseline"][str(factor)], factor, metric)
    better = ours["mean"] < theirs["mean"] if metric == "nrmse_truth" else (
        ours["mean"] > theirs["mean"])
    assert better and ours["against"]["p"] < 0.01
    assert len(results["phantoms"]["test"]) == 8


def test_at_a_tenth_of_the_dose_the_unet_is_nearer_to_the_truth_than_the_standard_dose():
    results = read("quality-cpu")
    means = {name: found(results, name, 10.0, "nrmse_truth")["mean"]
             for name in ("unet", "standard", "standard:unet")}
    assert means["standard:unet"] < means["unet"] < means["standard"]


def test_what_the_readme_says_of_lesions_and_bias_is_the_result():
    results = read("quality-cpu")

    def said(name, metric, factor=10.0):
        return found(results, name, factor, metric)["mean"]

    bias = [f"{said('unet', 'uniform_bias', factor):.0%}" for factor in (10.0, 50.0)]
    assert bias == ["-3%", "-6%"]
    assert "SUVmean is 3 % low, and 6 %" in README


def test_on_other_kinds_of_images_the_unet_is_nearer_than_the_tuned_gaussian():
    studies = read("transfer-cpu")["studies"]
    assert [study["name"] for study in studies] == ["nema-iq", "psma"]
    for study in studies:
        for factor in (4.0, 10.0, 20.0, 50.0):
            means = {name: found(study, name, factor, "nrmse_truth")["mean"]
                     for name in ("unet", "gaussian")}
            assert means["unet"] < means["gaussian"]


def test_spheres_from_22_mm_on_gain_by_the_unet_at_a_twentieth_and_small_ones_vanish():
    rows = [row for row in read("contrast-noise-cpu")["rows"]
            if row["factor"] == 20.0 and row["iteration"] == 3]
    (unet,) = (row["spheres"] for row in rows if row["method"] == "unet")
    gaussians = [row["spheres"] for row in rows if row["method"] == "Gaussian"]
    assert len(gaussians) == 8
    for place, ours in enumerate(unet):
        less_noisy = [spheres[place]["recovery"] for spheres in gaussians
                      if spheres[place]["variability"] <= 1.3 * ours["variability"]]
        if ours["diameter_mm"] >= 22:
            assert ours["recovery"] > 1.2 * max(less_noisy)
        if ours["diameter_mm"] <= 13:
            assert ours["recovery"] < 0.06
    assert [f"{100 * ours['recovery']:.0f}" for ours in unet[:2]] == ["2", "5"]


def test_what_the_readme_says_of_faint_lesions_is_the_result():
    results = read("quality-lesions-cpu")
    told = results["detectability"]
    assert 0.75 <= told["validation_of_standard"]["auc"] <= 0.9
    areas = {row["method"]: row for row in told["rows"]}
    text = " ".join(README.split())
    for name, before in (("unet", "curve is "), ("low", "where it is "), ("standard", "and ")):
        row = areas[name]
        assert f"{before}{row['auc']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in text
    assert f"loses them by it ({areas['standard:unet']['auc']:.2f})" in text
    left = [found(results, name, 10.0, "recovery")["mean"] for name in ("unet", "low", "standard")]
    assert "leaves {:.0f} % of their contrast (as it is {:.0f} %, standard dose {:.0f} %)".format(
        *(100 * one for one in left)) in text


def test_petsird_is_read_at_least_ten_times_as_fast_as_by_its_package():
    ratios = [row["ratio"] for row in read("petsird-cpu")["lists"]]
    assert len(ratios) == 4
    assert min(ratios) >= 10


def test_lists_are_counted_at_several_million_events_a_second_in_little_memory():
    lists = read("histogram-cpu")["lists"]
    assert min(row["events_per_second"] for row in lists) > 3e6
    more = [row["peak_bytes"] - row["sinogram_bytes"] for row in lists]
    assert max(more) < 300e6
    assert abs(more[1] - more[0]) < 0.1 * (lists[1]["bytes"] - lists[0]["bytes"])


def test_each_sphere_is_what_the_stated_resolution_makes_it_within_5_percent():
    spheres = read("image-quality-cpu")["spheres"]
    assert [row["diameter_mm"] for row in spheres] == [10, 13, 17, 22, 28, 37]
    assert all(abs(row["off"]) < 0.05 for row in spheres)


def test_variance_goes_with_one_over_the_counts_and_the_readme_says_how_well():
    words = " ".join(README.split())
    for name, row in read("image-quality-cpu")["variance"].items():
        assert row["ratio"] == pytest.approx(10, abs=3 * row["sd"]) and row["sd"] < 0.2
        assert f"{row['ratio']:.1f} ± {row['sd']:.1f} times" in words, name


@pytest.mark.parametrize("name", ["study-cpu", "study-mmr-cpu"])
def test_the_readme_says_what_a_study_takes(name):
    said, words = read(name), " ".join(README.split())
    memory = f"{said['peak_bytes'] / 2**30:.1f} GiB"
    assert f"{said['seconds_per_pair']:.0f} s a pair and {memory}" in words


def test_the_readme_says_how_long_twenty_people_take():
    assert f"{read('study-cpu')['seconds_of_many'] / 60:.0f} minutes" in " ".join(README.split())


def test_a_block_takes_at_most_1_3_times_its_projections_and_readme_says_how_much():
    rows = {row["problem"]: row["ratio"] for row in read("unrolled-cpu")["rows"]}
    plain, timed = rows["span 3"], rows["time of flight"]
    assert max(plain, timed) <= 1.3
    said = " ".join(README.split())
    assert f"takes {plain:.2f} times as long as its four projections alone, with time of flight " \
           f"{timed:.2f}" in said
