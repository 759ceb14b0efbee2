"""A model on studies of other kinds, and the table of it."""

import json
from pathlib import Path

import h5py
import pytest

import countless
from benchmarks import transfer
from denoise.checkpoint import save_denoiser
from denoise.shipped import FOLDER
from sim.study_file import read_study
from sim.study_phantom import image_grid
from tests.benchmarks.quality_study import write_study
from tests.denoise.made import stirred
from tests.denoise.test_reconstruction import model as write_model
from tests.sim.studies import make_scans

SEEN = {"hash": "another", "seed": 1, "kind": "person", "phantoms": [1, 2], "validation": [3]}
STUDIES = sorted(Path(transfer.__file__).with_name("studies").glob("*.yaml"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with model.pt, two studies, and `out`, what the command wrote."""
    folder = tmp_path_factory.mktemp("transfer")
    made = stirred()
    made.settings["training"]["studies"] = [SEEN]
    save_denoiser(folder / "net.pt", made)
    for name in ("fdg", "psma"):
        write_study(folder / name, factors=(4.0,), splits=("validation", "test"), realisations=1)
        with h5py.File(folder / name / "phantom-0002.h5", "a") as file:
            file.attrs["tracer"] = name.upper()
    assert countless.main([
        "benchmark", "transfer", str(folder / "fdg"), str(folder / "psma"), "--model",
        str(folder / "net.pt"), "-o", str(folder / "out"),
    ]) == 0
    return folder


def test_each_study_is_measured_as_quality_measures_it(place):
    results = json.loads((place / "out" / "transfer.json").read_text())
    assert [one["name"] for one in results["studies"]] == ["fdg", "psma"]
    for one in results["studies"]:
        told = json.loads((place / "out" / one["name"] / "quality.json").read_text())
        assert one["summary"] == told["summary"] and one["tuned"] == told["tuned"]
        assert (place / "out" / one["name"] / "report.html").is_file()
    assert results["model"]["name"] == "net" and results["model"]["domain"]["tracers"] == ["FDG"]


def test_the_table_has_a_line_for_each_study_dose_and_method(place):
    text = (place / "out" / "transfer.md").read_text()
    for study in ("fdg", "psma"):
        for method in ("low", "gaussian", "net", "standard"):
            assert text.count(f"\n| {study} | 1/4 | {method} |") == 1
    # A network of random weights is no denoiser; and one phantom makes nothing sure.
    assert text.count("| net | no |") == 2 and "Of 1 phantom no interval is given" in text


def test_what_the_model_warns_of_stands_below_the_table(place):
    fdg, psma = (place / "out" / "transfer.md").read_text().strip().splitlines()[-2:]
    assert "fdg: ball, FDG, none; 1 tested; the liver's figures are of liver." in fdg
    assert "tracer" not in fdg and "voxels are of 6 × 6 × 6 mm, and the network was" in fdg
    assert "the image's tracer is PSMA, and the network was trained on FDG alone (1/4)" in psma
    assert "the image's scanner is none" in psma


@pytest.mark.parametrize("words, message", [
    (["fdg", "psma", "--model", "gaussian"], "takes a shipped model or a checkpoint's file"),
    (["fdg", "fdg", "--model", "net.pt"], "takes folders of studies with different names, got fdg"),
    (["--model", "net.pt"], "different names, got none"),
])
def test_what_is_no_transfer_is_refused(place, monkeypatch, capsys, words, message):
    monkeypatch.chdir(place)
    assert countless.main(["benchmark", "transfer", *words, "-o", "none"]) == 2
    assert message in capsys.readouterr().err and not (place / "none").exists()


def test_a_study_that_cannot_be_measured_is_refused_before_the_others_are(place, capsys):
    write_study(place / "bare", factors=(4.0,), splits=("test",), realisations=1)
    assert countless.main(["benchmark", "transfer", str(place / "fdg"), str(place / "bare"),
                           "--model", str(place / "net.pt"), "-o", str(place / "late")]) == 2
    assert "bare with none for validation" in capsys.readouterr().err
    assert not (place / "late").exists()


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_settings_that_come_with_it_can_be_simulated(path):
    study = read_study(path)
    assert min(image_grid(study).shape) > 1
    split, shipped = study.split.of(study.phantoms.count), read_study(FOLDER / "study-demo.yaml")
    assert {"validation", "test"} <= set(split)
    if study.seed == shipped.seed:  # the same people, who keep their split
        assert split == shipped.split.of(shipped.phantoms.count)[: len(split)]
    else:
        assert "train" not in split


def test_a_reconstructing_network_is_tested_on_scans(place, tmp_path, capsys):
    net = write_model(tmp_path / "net.pt", voxel_mm=[8.0, 8.0, 8.0])
    study = make_scans(tmp_path, photon_pairs=0, voxel_mm=8)
    words = ["--model", str(net), "-o"]
    assert countless.main(["benchmark", "transfer", str(study), *words, str(tmp_path / "out")]) == 0
    table = (tmp_path / "out" / "transfer.md").read_text()
    assert table.count("| data | 1/4 | net |") == 1 and "data: uniform, tiny; 1 tested" in table
    # As `countless recon` warns, to which no tracer is told.
    assert "image's voxels are of 8 × 8 × 4 mm" in table and "tracer" not in table
    without = ["benchmark", "transfer", str(place / "fdg"), *words, str(tmp_path / "none")]
    assert countless.main(without) == 2
    assert "net reconstructs, and " in capsys.readouterr().err
