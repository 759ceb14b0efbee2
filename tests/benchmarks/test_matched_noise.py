"""Contrast where all methods are as noisy: what is worked out by hand, and a study of a moment."""

import functools
import json

import numpy as np
import pytest

import countless
from benchmarks.matched_noise_summary import Person, qualities, sentences, summarise
from benchmarks.methods import find_methods
from benchmarks.noise_curves import Curve, read_off
from benchmarks.traced import BLENDS, FWHM_MM, SCOUTED, Traced, low_scans
from recon import Grid
from recon.corrections import scatter_estimate
from recon.io import write_image
from sim.dataset import Pair, open_study
from sim.study_file import read_study
from sim.study_run import run_study
from tests.denoise.test_reconstruction import model
from tests.sim.studies import TEXT, write

GRID = Grid.centred(shape=(30, 30, 12), voxel_mm=(4, 4, 5))
TABLE = """\
1: {name: body, activity_bq_ml: 4000, material: soft tissue}
4: {name: tumour, activity_bq_ml: 40000, material: soft tissue, lesion: true}
5: {name: spot, activity_bq_ml: 40000, material: soft tissue, lesion: true}
"""
NAMED = TEXT[TEXT.index("phantoms:") : TEXT.index("scan:")]
LABELLED = "phantoms:\n  labels: [1.nii.gz, 2.nii.gz, 3.nii.gz]\n  values: table.yaml\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study of three boxes that hold a tumour and a spot, `data`, and scans."""
    where = tmp_path_factory.mktemp("study")
    for number in (1, 2, 3):
        labels = np.zeros(GRID.shape, np.float32)
        labels[2:28, 2:28, 1:11] = 1
        labels[6 + number : 11 + number, 12:17, 4:8] = 4
        labels[20:22, 12 + number : 14 + number, 6] = 5
        write_image(where / f"{number}.nii.gz", labels, GRID)
    (where / "table.yaml").write_text(TABLE)
    text = TEXT.replace(NAMED, LABELLED).replace("train: 0.4, validation: 0.3, test: 0.3",
                                                 "train: 0, validation: 0.3, test: 0.7")
    study = read_study(write(where, text + "keep_scans: true\n", voxel_mm=8, minutes=40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scatter_estimate, "multiple_scatter", functools.partial(
            scatter_estimate.multiple_scatter, most=100_000))
        run_study(study, where / "data", made={}, workers=0)
    return where


@pytest.fixture(scope="module")
def results(place):
    """What the command writes of four quarters of a scan."""
    model(place / "net.pt", voxel_mm=[8.0, 8.0, 4.0])
    found = written(place, place / "found.json")
    assert (place / "found.png").stat().st_size > 10_000
    return found


def written(place, output, workers=0):
    """What the command writes of it with so many workers."""
    assert countless.main([
        "benchmark", "matched-noise", str(place / "data"), "--methods", "gaussian",
        str(place / "net.pt"), "osem", "ct-guided", "--factor", "4", "--realisations", "4",
        "--points", "3", "--device", "cpu", "--workers", str(workers), "-o", str(output),
    ]) == 0
    return json.loads(output.read_text())


def refused(place, capsys, *words):
    code = countless.main(["benchmark", "matched-noise", str(place / "data"), *words])
    assert code == 2 and not (place / "no.json").exists()
    return " ".join(capsys.readouterr().err.split())


def curve(images, recoveries, errors=0.1):
    """A Curve of values (point, realisation, voxel) in an organ whose truth is 1."""
    images = np.array(images, dtype=float)
    away = images - images.mean(axis=1, keepdims=True)
    shape = images.shape[:2]
    recoveries = np.array(recoveries, dtype=float)[:, None, :]
    return Curve(
        products=np.einsum("prv,psv->prs", away, away) / images.shape[2],
        means=images.mean(axis=2), errors=np.full(shape, errors), patterns=np.zeros(len(images)),
        recoveries=np.broadcast_to(recoveries, (*shape, recoveries.shape[2])).copy(), powers=None,
    )


def falling(noises, recoveries):
    """A Curve of two realisations, 1 + noise and 1 - noise over the root of 2 in all voxels."""
    half = np.array(noises)[:, None, None] * np.array([1, -1])[:, None] / np.sqrt(2)
    return curve(1 + half + np.zeros(3), recoveries)


def test_noise_is_the_standard_deviation_between_realisations_over_the_images_mean():
    one = curve([[[1.0, 5.0], [3.0, 5.0]]], [[1.0]])  # variances 2 and 0, mean 3.5
    assert one.noise(one.whole())[0] == pytest.approx(1 / 3.5)


def test_a_pattern_that_all_realisations_share_is_no_noise():
    one = curve([[[1.0, 9.0], [1.0, 9.0], [1.0, 9.0]]], [[1.0]])
    assert one.noise(one.whole())[0] == 0


def test_noise_of_drawn_realisations_is_that_of_their_images():
    images = np.random.default_rng(1).normal(5, 1, (1, 6, 40))
    drawn = [0, 0, 0, 2, 5, 5]
    one, weights = curve(images, [[1.0]]), np.bincount(drawn, minlength=6)[None].astype(float)
    values = images[0, drawn]
    expected = np.sqrt(values.var(axis=0, ddof=1).mean()) / values.mean()
    assert one.noise(weights)[0] == pytest.approx(expected)


def test_a_draw_of_one_realisation_alone_has_no_noise_that_is_known():
    one = curve([[[1.0, 5.0], [3.0, 5.0]]], [[1.0]])
    assert np.isnan(one.noise(np.array([[2.0, 0.0]])))[0, 0]


def test_contrast_is_read_off_by_straight_lines_whichever_way_a_curve_goes():
    noise, contrast = np.array([[0.4, 0.2, 0.1]]), np.array([[[0.8], [0.6], [0.1]]])
    assert read_off(noise, contrast, np.array([0.25]))[0, 0] == pytest.approx(0.65)
    back = read_off(noise[:, ::-1], contrast[:, ::-1], np.array([0.25]))
    assert back[0, 0] == pytest.approx(0.65)
    assert read_off(noise, contrast, np.array([0.1]))[0, 0] == 0.1


def test_a_curve_that_does_not_reach_the_noise_has_no_value():
    noise, contrast = np.array([[0.4, 0.2]] * 2), np.array([[[0.8], [0.6]]] * 2)
    assert np.isnan(read_off(noise, contrast, np.array([0.41, 0.19]))).all()


@pytest.fixture
def person():
    """Gaussians of noise 0.4 to 0.1, and methods of more contrast, too much, and more noise."""
    return Person(number=7, diameters_mm=np.array([8.0, 20.0]), curves={
        "gaussian": falling([0.4, 0.2, 0.1], [[0.6, 0.9], [0.4, 0.8], [0.2, 0.6]]),
        "better": falling([0.3, 0.1], [[0.7, 1.0], [0.5, 0.8]]),
        "beyond": falling([0.3, 0.1], [[1.7, 2.0], [1.7, 2.0]]),
        "noisy": falling([0.9, 0.5], [[0.9, 1.0], [0.9, 1.0]]),
    })


def found(rows, method, statistic="contrast", place="matched"):
    return next(row for row in rows if (row["method"], row["statistic"], row["at"])
                == (method, statistic, place))


TUNED = {"gaussian": 1, "better": 0, "beyond": 0, "noisy": 1}


def test_gains_at_equal_noise_are_those_worked_out_by_hand(person):
    rows = summarise([person] * 2, TUNED, resamples=50)
    row = found(rows, "better")
    assert row["value"] == pytest.approx((0.6 + 0.9) / 2)
    assert row["reference"] == pytest.approx((0.4 + 0.8) / 2)
    assert row["gain"] == pytest.approx(0.15) and row["verdict"] == "confirmed"
    assert found(rows, "better", "contrast_small")["gain"] == pytest.approx(0.2)
    own = found(rows, "better", place="tuned")
    assert own["value"] == pytest.approx((0.7 + 1.0) / 2)
    assert found(rows, "gaussian")["verdict"] is None


def test_contrast_beyond_the_true_one_is_a_loss(person):
    row = found(summarise([person] * 2, TUNED, resamples=50), "beyond")
    assert row["gain"] == pytest.approx((0.6 - 0.7 + 0.2 - 1.0) / 2)
    assert row["verdict"] == "refuted"


def test_a_curve_that_stays_noisier_is_left_out_and_that_is_said(person):
    rows = summarise([person] * 2, TUNED, resamples=50)
    row = found(rows, "noisy")
    assert {row[key] for key in ("value", "gain", "gain_low", "gain_high", "verdict")} == {None}
    assert (row["numbers"], row["of_numbers"], row["people"]) == (0, 4, 0)
    said = sentences([person] * 2, TUNED, rows)
    assert "noisy has noise from 50.0 to 90.0 % in phantom 7, and does not reach the " \
           "reference's 20.0 %; it is left out there." in said
    assert any("2 held-out phantoms" in one for one in said)
    assert qualities([person], TUNED)[6]["bias"] is None


def test_an_interval_grows_with_how_people_differ(person):
    worse = Person(number=8, diameters_mm=person.diameters_mm,
                   curves=person.curves | {"better": person.curves["gaussian"]})
    row = found(summarise([person, worse], TUNED, resamples=400), "better")
    assert row["gain"] == pytest.approx(0.075) and row["verdict"] == "not decided"
    assert row["gain_low"] == pytest.approx(0) and row["gain_high"] >= 0.15 - 1e-9


def test_strengths_are_tested_about_the_references_noise_and_where_errors_are_least():
    (method,) = find_methods(["bilateral"])
    whole = Traced.of(method)
    noise = 0.8 - 0.1 * np.arange(SCOUTED)  # 0.8 to 0.2
    validated = {"noise": noise, "least_at": whole.values[1]}
    near = whole.near(validated, 0.45, 3)
    logarithms = np.log(whole.values)
    high, low = np.interp([0.3, 0.675], noise[::-1], logarithms[::-1])
    np.testing.assert_allclose(np.log(near.values)[1:], [low, (low + high) / 2, high])
    assert near.values[0] == whole.values[1]
    assert whole.near(validated, 9.0, 3) is whole
    ended = whole.near(validated | {"least_at": whole.values[-1]}, 0.25, 3)
    assert len(ended.values) == 3 and ended.values[-1] == whole.values[-1]


def test_no_lesion_is_said(person):
    bare = Person(number=7, diameters_mm=np.array([]), curves={
        name: falling([0.4, 0.2, 0.1], np.zeros((3, 0))) for name in ("gaussian", "other")})
    rows = summarise([bare], {"gaussian": 1, "other": 1}, resamples=20)
    assert found(rows, "other")["value"] is None
    assert found(rows, "other", "nrmse")["gain"] == 0
    said = sentences([bare], {"gaussian": 1, "other": 1}, rows)
    assert any("No phantom has a lesion with a background" in one for one in said)


def test_low_dose_scans_share_the_counts_and_the_background(place):
    with open_study(place / "data") as data:
        whole = data.scan(Pair(number=2, factor=4.0, realisation=0), standard=True)
        scans = list(low_scans(data, 2, 4))
        again = next(low_scans(data, 2, 4))
    np.testing.assert_array_equal(sum(scan.prompts for scan in scans), whole.prompts)
    np.testing.assert_array_equal(again.prompts, scans[0].prompts)
    for scan in scans:
        assert scan.prompts.sum() == pytest.approx(whole.prompts.sum() / 4, rel=0.05)
        np.testing.assert_allclose(scan.background, whole.background / 4)
        np.testing.assert_allclose(scan.factors, whole.factors / 4)


def test_each_method_traces_its_curve_in_each_phantom(results):
    curves = {(one["method"], one["phantom"]): one for one in results["curves"]}
    assert len(results["phantoms"]["test"]) == 2 and len(curves) == 4 * 2
    knobs = {name: (one["knob"], len(one["values"])) for (name, _), one in curves.items()}
    assert knobs.pop("ct-guided") in [("fwhm_mm", 3), ("fwhm_mm", 4)]
    assert knobs == {"gaussian": ("fwhm_mm", len(FWHM_MM)), "net": ("blend", len(BLENDS)),
                     "osem": ("passes", 5)}
    for one in curves.values():
        assert np.shape(one["recoveries"]) == (len(one["values"]), 2)
        assert all(noise > 0 for noise in one["noise"])


def test_wider_gaussians_have_less_noise_and_less_contrast(results):
    for one in results["curves"]:
        if one["method"] == "gaussian":
            assert (np.diff(one["noise"])[1:] < 0).all()
            contrast = np.mean(one["recoveries"], axis=1)
            assert contrast[0] > contrast[7] > contrast[-1]


def test_a_blend_without_the_network_is_the_gaussian_of_the_studys_filter(results):
    at = FWHM_MM.index(results["reconstruction"]["post_filter_mm"])
    by = {(one["method"], one["phantom"]): one for one in results["curves"]}
    for number in results["phantoms"]["test"]:
        net, gaussian = by["net", number], by["gaussian", number]
        assert net["noise"][0] == pytest.approx(gaussian["noise"][at], rel=1e-6)
        assert net["nrmse"][0] == pytest.approx(gaussian["nrmse"][at], rel=1e-6)


def test_the_reference_at_its_own_noise_is_its_point(results):
    row = found(results["summary"], "gaussian", "nrmse")
    best = FWHM_MM.index(results["validation"][0]["least_at"])
    errors = [one["nrmse"][best] for one in results["curves"] if one["method"] == "gaussian"]
    assert row["value"] == pytest.approx(np.mean(errors)) and row["gain"] == 0


def test_two_workers_find_what_one_process_finds(place, results):
    found = written(place, place / "workers.json", workers=2)
    assert (results["workers"], found["workers"]) == (0, 2)
    differ = ("date", "command", "machine", "workers")
    assert all(found[name] == value for name, value in results.items() if name not in differ)


@pytest.mark.parametrize(("words", "said"), [
    (("--workers", "-1", "-o", "no.json"), "--workers takes a whole number from 0, got -1"),
    (("--methods", "low", "-o", "no.json"), "takes denoisers and reconstructions, got low"),
    (("--factor", "4", "-o", "no.json"), "--realisations takes up to 4"),
    (("--factor", "1", "-o", "no.json"), "--factor takes a whole number from 2, got 1"),
    (("-o", "no.csv"), "ends in .json"),
])
def test_what_cannot_be_compared_is_refused(place, capsys, monkeypatch, words, said):
    monkeypatch.chdir(place)
    assert said in refused(place, capsys, *words)


def test_a_model_that_learned_from_the_test_phantoms_is_refused(place, capsys):
    from denoise.checkpoint import load_denoiser, save_denoiser
    from denoise.studies import phantoms_of

    learned = load_denoiser(model(place / "seen.pt", voxel_mm=[8.0, 8.0, 4.0]), reconstructs=True)
    with open_study(place / "data") as data:
        learned.settings["training"] = {"studies": [
            phantoms_of(data) | {"phantoms": list(data.numbers["test"]), "validation": []}]}
    save_denoiser(place / "seen.pt", learned)
    said = refused(place, capsys, "--methods", str(place / "seen.pt"), "--factor", "4",
                   "--realisations", "2", "-o", str(place / "no.json"))
    assert "seen was trained on phantoms" in said
