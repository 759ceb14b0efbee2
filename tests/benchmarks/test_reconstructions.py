"""Reconstructions of stored scans beside denoised images."""

import json

import numpy as np
import pytest

import countless
from benchmarks.image_metrics import nrmse
from benchmarks.methods import find_methods
from benchmarks.reconstructions import RECONSTRUCTIONS, Reconstruction, find_reconstruction
from benchmarks.tuning import tune, tuning_images
from recon.io import FileError
from sim.dataset import Pair, open_study
from tests.denoise.studies import make_study
from tests.sim.studies import make_scans

PAIR = Pair(number=1, factor=4.0, realisation=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_scans(tmp_path_factory.mktemp("scans"), photon_pairs=0, voxel_mm=8)


@pytest.fixture
def data(folder):
    with open_study(folder) as opened:
        yield opened


def test_more_strength_and_fewer_passes_leave_lower_peaks(data):
    scan, ct = data.scan(PAIR), data.read(PAIR, ("ct",))["ct"]
    for name, smooth, rough in (("map-rdp", 0.3, 0.003), ("osem", 1, 6), ("kem", 1, 6),
                                ("pnp", 3.0, 0.01)):
        method = RECONSTRUCTIONS[name]()
        peaks = [method(scan, ct, value).max() for value in (smooth, rough)]
        assert peaks[0] < 0.95 * peaks[1], name


def test_one_run_gives_the_images_of_runs_of_fewer_passes(data):
    scan, ct = data.scan(PAIR), data.read(PAIR, ("ct",))["ct"]
    for name in ("osem", "kem"):
        method = RECONSTRUCTIONS[name]()
        found = list(method.after([1, 2, 4], scan, ct))
        assert len(found) == 3
        for passes, image in zip((1, 2, 4), found, strict=True):
            assert np.array_equal(image, method(scan, ct, passes)), (name, passes)


@pytest.mark.parametrize("passes", [[0, 1], [2, 2], [3, 1]])
def test_passes_that_do_not_ascend_from_1_are_refused(data, passes):
    scan = data.scan(PAIR)
    with pytest.raises(ValueError, match="ascending numbers of passes from 1, got"):
        next(RECONSTRUCTIONS["osem"]().after(passes, scan, None))


def test_all_passes_are_tried_from_one_run_for_each_phantom(data, monkeypatch):
    (method,) = find_methods(["osem"])
    runs, after = [], Reconstruction.after
    monkeypatch.setattr(Reconstruction, "after", lambda self, passes, *args, **more: (
        runs.append(passes) or after(self, passes, *args, **more)))
    done = []
    found = tune(method, data, 4.0, lambda images=1: done.append(images))
    assert runs == [range(1, 7)] * len(found["phantoms"])
    assert [passes for passes, _ in found["tried"]] == [1, 2, 3, 4, 5, 6]
    assert sum(done) == tuning_images(method, data) == 6 * len(runs)
    (number,) = found["phantoms"]
    pair = method.pair(data, number, 4.0, 0)
    images = data.read(pair, ("truth", "labels"))
    image = method.denoiser(method.input(data, pair), None, 3)
    assert found["tried"][2][1] == nrmse(image, images["truth"], images["labels"] > 0)
    assert found["strength"] == min(found["tried"], key=lambda one: one[1])[0]


def test_a_reconstruction_is_tuned_as_a_baseline_is(data):
    (method,) = find_methods(["map-rdp"])
    assert method.tuned and method.baseline and method.reconstructs
    found = tune(method, data, 4.0, steps=3)
    assert found["parameter"] == "strength" and len(found["tried"]) == 3
    assert found["nrmse"] == min(error for _, error in found["tried"])


def test_the_standard_doses_scan_is_another_one(data):
    low, standard = find_methods(["osem", "standard:osem"])
    assert standard.input(data, PAIR).prompts.sum() > 2 * low.input(data, PAIR).prompts.sum()
    assert low.factors(data) == (4.0,) and standard.factors(data) == (1.0,)


def test_denoisers_are_no_reconstructions():
    assert find_reconstruction("gaussian") == (None, None)
    assert find_reconstruction("unet") == (None, None)


def test_one_table_has_images_and_reconstructions(folder, tmp_path):
    out = tmp_path / "out"
    methods = ("low", "gaussian", "osem", "map-rdp", "standard")
    assert countless.main(["benchmark", "quality", str(folder), "-o", str(out),
                           "--tuning-steps", "2", "--methods", *methods]) == 0
    results = json.loads((out / "quality.json").read_text())
    assert {row["method"] for row in results["rows"]} == set(methods)
    tried = {row["method"]: len(row["tried"]) for row in results["tuned"]}
    assert tried == {"gaussian": 2, "osem": 6, "map-rdp": 2}
    seconds = {row["method"]: row["seconds"] for row in results["rows"]}
    assert seconds["map-rdp"] > seconds["low"] >= 0
    assert np.isfinite(results["rows"][0]["peak_bytes"])
    assert "map-rdp" in (out / "table.md").read_text()


def test_a_study_without_scans_says_how_to_get_them(tmp_path, capsys):
    folder = make_study(tmp_path)
    code = countless.main(["benchmark", "quality", str(folder), "-o", str(tmp_path / "out"),
                           "--methods", "map-rdp"])
    assert code == 2 and "keep_scans: true" in capsys.readouterr().err
    with open_study(folder) as data, pytest.raises(FileError, match="keeps no scans"):
        find_methods(["kem"])[0].input(data, data.pairs()[0])
