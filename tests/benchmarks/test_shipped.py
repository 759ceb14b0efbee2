"""The shipped networks are those of their results, a part of which is made anew."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
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
RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "quality-cpu.json"
FACTOR = 20.0


@pytest.fixture(scope="module")
def results():
    return read_json(RESULTS)


def test_the_network_that_is_taken_by_default_is_there():
    assert DEFAULT in shipped()


def test_results_are_of_the_networks_that_are_shipped(results):
    said = {one["name"]: one["sha256"] for one in results["methods"] if one["sha256"]}
    assert {name: said.get(name) for name in shipped()} == {
        name: sha256(path) for name, path in shipped().items()
    }


def test_no_phantom_that_results_are_of_was_trained_on(results):
    tested = {"hash": results["study_hash"], "seed": results["study"]["seed"],
              "kind": results["study"]["phantoms"]["kind"]}
    for path in shipped().values():
        for study in load_denoiser(path).settings["training"]["studies"]:
            if same_phantoms(study, tested):
                assert not {*study["phantoms"], *study["validation"]} & {
                    *results["phantoms"]["test"]}


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
    for row in results["rows"]:
        if (row["phantom"], row["factor"]) != (number, FACTOR):
            continue
        image = low
        if row["method"] in shipped():
            image = denoise(low, grid, load_denoiser(find_model(row["method"])),
                            progress=False).image
        elif row["method"] != "low":
            continue
        # Processors round differently, and a count in millions may then fall to the other side.
        assert nrmse(image, truth, body) == pytest.approx(row["truth"]["nrmse"], rel=2e-3)
    assert np.isfinite(low).all()
