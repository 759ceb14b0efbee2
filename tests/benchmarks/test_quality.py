import json
import re

import numpy as np
import pytest

import countless
from benchmarks.image_metrics import default_range, psnr
from benchmarks.quality_measure import oracle_psnr
from sim.dataset import open_study
from tests.benchmarks.quality_study import truth_and_labels, write_study

METHODS = ("low", "gaussian", "standard", "standard:gaussian")
SPLITS = ("train", "validation", "test", "test", "test")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study, its twin without lesions, and `out`, what the command wrote."""
    folder = tmp_path_factory.mktemp("quality")
    write_study(folder / "study", splits=SPLITS)
    write_study(folder / "without", splits=SPLITS, lesions=0)
    assert countless.main([
        "benchmark", "quality", str(folder / "study"), "-o", str(folder / "out"),
        "--without", str(folder / "without"), "--methods", *METHODS,
    ]) == 0
    return folder


@pytest.fixture(scope="module")
def results(place):
    return json.loads((place / "out" / "quality.json").read_text())


def summary(results, **wanted):
    return next(row for row in results["summary"]
                if all(row[name] == value for name, value in wanted.items()))


def test_every_image_of_the_test_split_has_a_row_and_no_other(results):
    keys = [(row["phantom"], row["method"], row["factor"], row["realisation"])
            for row in results["rows"]]
    expected = {(number, method, factor, realisation)
                for number in (3, 4, 5) for method in METHODS for realisation in (0, 1)
                for factor in ((1.0,) if method.startswith("standard") else (4.0, 20.0))}
    assert len(keys) == len(set(keys)) and set(keys) == expected


def test_a_rows_metrics_are_those_of_its_image(place, results):
    with open_study(place / "study") as data:
        images = data.read(next(pair for pair in data.pairs("test", 4.0)
                                if (pair.number, pair.realisation) == (4, 1)))
    body = images["labels"] > 0
    expected = psnr(images["low"], images["truth"], body, default_range(images["truth"], body))
    row = next(row for row in results["rows"] if row["method"] == "low"
               and (row["phantom"], row["factor"], row["realisation"]) == (4, 4.0, 1))
    assert row["truth"]["psnr"] == pytest.approx(expected)


def test_a_mean_is_over_phantoms_of_means_over_realisations(results):
    rows = [row for row in results["rows"] if row["method"] == "gaussian" and row["factor"] == 4]
    found = summary(results, method="gaussian", factor=4.0, metric="nrmse_truth")
    assert found["mean"] == pytest.approx(np.mean([row["truth"]["nrmse"] for row in rows]))
    assert found["phantoms"] == 3


def test_methods_are_compared_with_the_baseline_that_did_best_in_validation(results):
    best = min((row for row in results["tuned"]
                if row["factor"] == 20 and not row["method"].startswith("standard")),
               key=lambda row: row["nrmse"])["method"]
    assert results["best_baseline"]["20.0"] == best
    against = summary(results, method="low", factor=20.0, metric="nrmse_truth")["against"]
    assert against["baseline"] == best and against["mean"] > 0
    assert against["p"] == pytest.approx(2 / 2**3)  # three phantoms, all worse
    assert "against" not in summary(results, method=best, factor=20.0, metric="nrmse_truth")


def test_the_low_dose_is_compared_with_the_standard_dose_too(results):
    low, standard = (summary(results, method=method, factor=20.0, metric="nrmse_truth")
                     for method in ("low", "standard"))
    found = low["against_standard"]
    assert found["mean"] == pytest.approx(low["mean"] - standard["mean"])
    assert "against_standard" not in standard


def test_tuning_saw_the_validation_split_alone(results):
    assert all(row["phantoms"] == [2] for row in results["tuned"])


def test_the_standard_dose_is_not_compared_with_itself(results):
    for row in results["rows"]:
        assert (row["standard"] is None) == row["method"].startswith("standard")


def test_all_lesions_small_ones_too_are_measured(results):
    for row in results["rows"]:
        assert [one["diameter_mm"] for one in row["lesions"]] == [24.0, 10.0]
    assert summary(results, method="low", factor=4.0, metric="recovery_small")["mean"] is not None


def test_filtering_takes_noise_and_contrast_away(results):
    for metric in ("variation", "recovery"):
        low, filtered = (summary(results, method=method, factor=20.0, metric=metric)["mean"]
                         for method in ("low", "gaussian"))
        assert filtered < 0.8 * low


def test_the_oracle_is_the_psnr_of_the_standard_doses_own_noise(place, results):
    with open_study(place / "study") as data:
        errors = []
        for number in (3, 4, 5):
            truth, body = (data.file(number)[name][:] for name in ("truth", "labels"))
            standard = data.file(number)["standard"][:].astype(float)
            variance = 0.5 * (standard[0] - standard[1])[body > 0] ** 2
            errors.append(10 * np.log10(default_range(truth, body > 0) ** 2 / variance.mean()))
    assert results["oracle_psnr_standard"]["4.0"] == pytest.approx(np.mean(errors))
    best = summary(results, method="gaussian", factor=4.0, metric="psnr_standard")["mean"]
    assert best < results["oracle_psnr_standard"]["4.0"]


@pytest.mark.parametrize("factor, gain", [(4, 1.25), (10, 0.46), (100, 0.04)])
def test_thinned_doses_know_a_part_of_the_standard_doses_noise(factor, gain):
    more = oracle_psnr([0.01], factor, "thinned") - oracle_psnr([0.01], factor, "independent")
    assert more == pytest.approx(gain, abs=0.005)


def test_the_detectability_of_the_twin_study_is_told_with_its_observer(results):
    found = results["detectability"]
    assert {row["method"] for row in found["rows"]} == set(METHODS)
    assert found["diameters_mm"] == [10.0, 24.0] and found["internal_noise"] == 0
    standard = next(row for row in found["rows"] if row["method"] == "standard")
    assert standard["pairs"] == 12 and standard["phantoms"] == 3


def test_the_table_has_a_line_for_each_method_and_dose(place):
    text = (place / "out" / "table.md").read_text()
    assert "1 / 4 of the dose" in text and "1 / 20 of the dose" in text
    assert [text.count(f"\n| {method} |") for method in METHODS] == [2] * len(METHODS)
    assert "held-out phantoms of this simulator" in text


def test_the_report_holds_all_of_its_parts_and_asks_for_no_other_file(place):
    text = (place / "out" / "report.html").read_text()
    for part in ("Nearer to the truth than the standard dose", "Nearness to truth and",
                 "1/4 of the dose", "1/20 of the dose", "Profiles", "Lesion contrast and noise",
                 "Lesion contrast by size", "Noise power", "Detectability of lesions",
                 "SUVmean bias of organs", "strengths, from validation", "not for clinical use",
                 "Wilcoxon", "data range"):
        assert part in text, part
    sources = re.findall(r'src="([^"]{0,30})', text)
    assert len(sources) == 7 and all(one.startswith("data:image/png;base64,") for one in sources)
    assert not re.findall(r"(?:href|src|url)\W*https?:", text)


def test_three_phantoms_make_nothing_sure_and_table_and_report_say_so(place, results):
    assert all(row["low"] is None for row in results["summary"])
    for name in ("table.md", "report.html"):
        text = (place / "out" / name).read_text()
        assert "Of 3 phantoms no interval is given, and no difference is called sure" in text


def test_one_realisation_leaves_out_oracle_and_noise_power(tmp_path):
    write_study(tmp_path / "study", splits=("validation", "test"), realisations=1)
    found = countless.main(["benchmark", "quality", str(tmp_path / "study"), "-o",
                            str(tmp_path / "out"), "--methods", "low", "gaussian"])
    assert found == 0
    results = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert results["oracle_psnr_standard"] == {} and results["ensembles"] == []
    text = (tmp_path / "out" / "report.html").read_text()
    assert "takes two realisations or more" in text and "Noise power" not in text


def test_a_report_of_people_without_lesions_speaks_of_none(tmp_path):
    write_study(tmp_path / "study", factors=(4.0,), splits=("test",), realisations=1, lesions=0)
    assert countless.main(["benchmark", "quality", str(tmp_path / "study"), "-o",
                           str(tmp_path / "out"), "--methods", "low"]) == 0
    text = (tmp_path / "out" / "report.html").read_text()
    assert "Phantom 1, through the middle of its images" in text
    assert "Lesion contrast by size" not in text and "lesion of most activity" not in text


def test_the_report_says_of_which_organ_the_livers_figures_are(place):
    text = (place / "out" / "report.html").read_text()
    assert "<dt>liver&#x27;s figures</dt><dd>of liver</dd>" in text


def test_a_study_without_test_phantoms_is_refused(tmp_path, capsys):
    write_study(tmp_path / "study", splits=("validation",))
    assert countless.main(["benchmark", "quality", str(tmp_path / "study"), "-o",
                           str(tmp_path / "out")]) == 2
    assert "takes a study with phantoms in its test split" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_twin_with_lesions_is_refused(place, tmp_path, capsys):
    code = countless.main(["benchmark", "quality", str(place / "study"), "-o", str(tmp_path),
                           "--without", str(place / "study"), "--methods", "low"])
    assert code == 2
    assert "with phantoms.options.lesions 0 and all else alike" in capsys.readouterr().err


def test_the_tests_own_truth_has_lesions_of_their_volumes():
    truth, _ = truth_and_labels(3)
    without, _ = truth_and_labels(3, ())
    assert (truth - without).sum() * 0.216 == pytest.approx(
        9000 * np.pi / 6 * 2.4**3 + 5000 * np.pi / 6, rel=0.02)
