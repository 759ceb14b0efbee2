"""The shipped networks are those of their results, a part of which is made anew."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.image_metrics import nrmse
from benchmarks.methods import body_of, find_methods
from denoise.checkpoint import load_denoiser
from denoise.shipped import DEFAULT, find_model, shipped
from denoise.studies import same_phantoms
from recon.io.provenance import plain, read_json, sha256
from sim.dataset import Pair, open_study
from sim.study_file import read_study
from sim.study_run import run_study

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


def test_a_person_who_was_held_out_is_denoised_and_reconstructed_as_the_results_say(
    results, tmp_path
):
    study = read_study(MODELS / "study-demo.yaml")
    assert plain(study.recipe()) == results["study"]
    number = results["phantoms"]["test"][0]
    # The counts of a dose hang on the seed, the phantom and the dose, not on what doses there are.
    study = replace(study, doses=replace(study.doses, factors=(FACTOR,)), keep_scans=True,
                    phantoms=replace(study.phantoms, count=number))
    run_study(study, tmp_path, made={}, only=("test",), workers=0)
    methods = find_methods(["low", *shipped(), *shipped(reconstruct=True)])
    pair, found = Pair(number=number, factor=FACTOR, realisation=0), {}
    with open_study(tmp_path) as data:
        truth, body = data.read(pair, ("truth",))["truth"], body_of(data, number)
        for method in methods:
            image = method.image(method.input(data, pair), data.grid(number), body)
            found[method.name] = nrmse(image, truth, body)
    (inside,) = (found.pop(name) for name in shipped(reconstruct=True))
    # Processors round differently, and a count in millions may then fall to the other side.
    assert found == pytest.approx({
        row["method"]: row["truth"]["nrmse"] for row in results["rows"]
        if (row["phantom"], row["factor"]) == (number, FACTOR) and row["method"] in found
    }, rel=2e-3)
    (told,) = (
        row for row in read_json(FOLDER / "reconstruction-h200.json")["rows"]
        if (row["phantom"], row["factor"], row["method"]) == (number, FACTOR, "run-fbsem-1")
    )
    # Of a scan that a GPU simulated, more of whose counts are others.
    assert inside == pytest.approx(told["truth"]["nrmse"], rel=1e-2)
