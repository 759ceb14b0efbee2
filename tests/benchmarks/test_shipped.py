"""The shipped networks are those of their results, a part of which is made anew."""

from dataclasses import replace
from pathlib import Path

import h5py
import pytest

from benchmarks.image_metrics import nrmse
from denoise.checkpoint import load_denoiser
from denoise.inference import denoise
from denoise.shipped import DEFAULT, find_model, shipped
from denoise.studies import same_phantoms
from recon.io.provenance import plain, read_json, sha256
from sim import dataset_file
from sim.study_file import read_study
from sim.study_phantom import simulate_phantom

MODELS = find_model().parent
FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
FACTOR = 20.0


@pytest.fixture(scope="module")
def results():
    return read_json(FOLDER / "quality-cpu.json")


def test_the_network_that_is_taken_by_default_is_there():
    assert DEFAULT in shipped()


@pytest.mark.parametrize("name", ["quality", "quality-lesions", "quality-noise", "contrast-noise"])
def test_results_are_of_the_networks_that_are_shipped(name):
    methods = read_json(FOLDER / f"{name}-cpu.json")["methods"]
    said = {one["name"]: one["sha256"] for one in methods if one["sha256"]}
    assert {name: said.get(name) for name in shipped()} == {
        name: sha256(path) for name, path in shipped().items()
    }


def test_results_on_other_kinds_of_images_are_of_the_network_that_is_shipped():
    assert read_json(FOLDER / "transfer-cpu.json")["model"]["sha256"] == sha256(find_model())


def test_no_phantom_that_results_are_of_was_trained_on(results):
    tested = {"hash": results["study_hash"], "seed": results["study"]["seed"],
              "kind": results["study"]["phantoms"]["kind"]}
    for path in shipped().values():
        studies = load_denoiser(path).settings["training"]["studies"]
        (same,) = (study for study in studies if same_phantoms(study, tested))
        assert not {*same["phantoms"], *same["validation"]} & {*results["phantoms"]["test"]}


def test_the_card_names_every_network_and_its_hash():
    card = (MODELS / "README.md").read_text(encoding="utf-8")
    for name, path in shipped().items():
        assert f"`{name}`" in card
        assert sha256(path)[:12] in card


def test_a_person_who_was_held_out_is_denoised_as_the_results_say(results, tmp_path):
    study = read_study(MODELS / "study-demo.yaml")
    assert plain(study.recipe()) == results["study"]
    number = results["phantoms"]["test"][0]
    # The counts of a dose hang on the seed, the phantom and the dose, not on what doses there are.
    study = replace(study, doses=replace(study.doses, factors=(FACTOR,)))
    simulate_phantom(study, number, tmp_path, threads=2)
    with h5py.File(next(tmp_path.glob("*.h5"))) as file:
        low, truth, body = file["low"][0, 0], file["truth"][:], file["labels"][:] > 0
        grid = dataset_file.stored_grid(file)
    images = {"low": low} | {
        name: denoise(low, grid, load_denoiser(path), progress=False).image
        for name, path in shipped().items()
    }
    found = {name: nrmse(image, truth, body) for name, image in images.items()}
    # Processors round differently, and a count in millions may then fall to the other side.
    assert found == pytest.approx({
        row["method"]: row["truth"]["nrmse"] for row in results["rows"]
        if (row["phantom"], row["factor"]) == (number, FACTOR) and row["method"] in images
    }, rel=2e-3)
