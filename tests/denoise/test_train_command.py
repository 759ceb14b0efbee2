"""`countless train`: from a data set to a model, and what it refuses."""

import inspect
import json
import signal

import pytest
import yaml

import countless
from denoise import train_command
from denoise.checkpoint import load_denoiser
from denoise.recipe import Recipe
from denoise.scaling import RULE
from tests.denoise.runs import signalled_at
from tests.denoise.studies import make_study

SMOKE = """\
width: 4
levels: 1
patch: [8, 8, 8]
patches: 8
batch: 2
epochs: 2
validation-patches: 4
workers: 0
accelerator: cpu
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "unet.yaml"
    path.write_text(SMOKE)
    return path


@pytest.fixture
def train(study_folder, config, tmp_path):
    """Runs `countless train`; returns its exit code."""
    def run(*more, studies=(study_folder,)):
        return countless.main(["train", *map(str, studies), "--config", str(config), "-o",
                               str(tmp_path / "run"), *map(str, more)])

    return run


@pytest.fixture
def refused(train, capsys):
    """Runs `countless train` on what it cannot use; returns what it says."""
    def run(*more, **options):
        assert train(*more, **options) == 2
        return capsys.readouterr().err.splitlines()[-1]

    return run


def test_a_run_has_a_model_with_what_must_be_known_of_it(train, study, tmp_path, capsys):
    assert train("--target", "truth") == 0
    found = load_denoiser(tmp_path / "run" / "model.pt").settings
    assert found["voxel_mm"] == [8, 8, 8]
    assert found["scaling"] == {"rule": RULE, "ct_hu": 1000}
    assert found["domain"]["factors"] == [4, 20]
    assert found["domain"]["tracers"] == ["FDG"]
    assert found["domain"]["scanners"] == [study.index["recipe"]["scan"]["scanner"]["name"]]
    assert 0.05 < found["domain"]["noise"][0] < 0.07 < 0.12 < found["domain"]["noise"][1] < 0.15
    assert found["domain"]["voxels_mm"] == [[8, 8, 8]]
    assert found["training"]["studies"] == [{
        "hash": study.index["hash"], "seed": 3, "kind": "uniform", "phantoms": [1, 4, 5],
        "validation": [2, 6],
    }]
    assert "countless train" in found["training"]["command"]
    said = " ".join(capsys.readouterr().out.split())
    assert "3 phantoms for training, 2 for validation" in said
    assert "NRMSE" in said
    assert len(list((tmp_path / "run" / "examples").iterdir())) == 2


def test_the_same_command_again_has_nothing_to_do(train, tmp_path, capsys):
    assert train("--examples-every", 0) == 0
    before = (tmp_path / "run" / "metrics.csv").read_bytes()
    assert train("--examples-every", 0) == 0
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == before


def test_the_runs_configuration_makes_the_same_model(train, config, tmp_path, capsys):
    assert train("--examples-every", 0) == 0
    resolved = tmp_path / "run" / "config.yaml"
    assert yaml.safe_load(resolved.read_text())["learning_rate"] == 1e-3
    first = load_denoiser(tmp_path / "run" / "model.pt").settings["training"]
    (tmp_path / "run").rename(tmp_path / "first")
    config.write_text((tmp_path / "first" / "config.yaml").read_text() + "workers: 0\n")
    assert train("--examples-every", 0, "--accelerator", "cpu") == 0
    again = load_denoiser(tmp_path / "run" / "model.pt").settings["training"]
    assert again["nrmse"] == first["nrmse"]
    assert again["recipe"] == first["recipe"]


def test_a_signal_stops_it_and_the_same_command_goes_on(train, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        signalled_at(1, signal.SIGTERM, patch.setattr)
        assert train("--examples-every", 0) == 130
    said = capsys.readouterr().out
    assert "at step 2 of 8, and saved; to go on: `countless train" in " ".join(said.split())
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    assert not said["complete"]
    assert train("--examples-every", 0) == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["complete"]


def test_a_folder_with_a_run_of_another_recipe_is_refused(train, refused, tmp_path):
    assert train("--epochs", 1, "--examples-every", 0) == 0
    before = (tmp_path / "run" / "model.pt").read_bytes()
    assert "holds a run with epochs 1, and this one has 2" in refused()
    assert (tmp_path / "run" / "model.pt").read_bytes() == before


def test_a_study_that_has_grown_is_refused(train, refused, tmp_path):
    assert train("--epochs", 1, "--examples-every", 0) == 0
    (tmp_path / "grown").mkdir()
    study = make_study(tmp_path / "grown", count=7)
    assert "with other phantoms" in refused("--epochs", 1, studies=[study])


def test_several_studies_make_one_model(train, study_folder, tmp_path, capsys):
    (tmp_path / "fine").mkdir()
    fine = make_study(tmp_path / "fine", count=2, split=(0.5, 0.5, 0.0), voxel_mm=6.0, seed=4)
    studies, words = [study_folder, fine], ("--voxel-mm", 7, 7, 7, "--examples-every", 0)
    assert train(*words, studies=studies) == 0
    found = load_denoiser(tmp_path / "run" / "model.pt").settings
    assert found["voxel_mm"] == [7, 7, 7]
    assert [trained["phantoms"] for trained in found["training"]["studies"]] == [[1, 4, 5], [1]]
    assert f"train {study_folder} {fine} --output" in found["training"]["command"]
    out = capsys.readouterr().out.split()
    assert " ".join(out).count("resampled to") == 2
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["voxel_mm"] == [7, 7, 7]
    made = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [each["path"] for each in made["inputs"]] == [
        str(folder / "study.json") for folder in studies]
    assert train(*words, studies=studies) == 0  # nothing to do
    assert train(*words, studies=studies[::-1]) == 2


def test_noise2noise_takes_two_realisations(refused, tmp_path):
    (tmp_path / "one").mkdir()
    study = make_study(tmp_path / "one", count=2, realisations=1, split=(0.5, 0.5, 0.0))
    said = refused("--target", "noise2noise", studies=[study])
    assert "two realisations" in said
    assert "`realisations: 2`" in said
    assert not (tmp_path / "run").exists()


def test_a_study_without_phantoms_to_validate_with_is_refused(refused, tmp_path):
    (tmp_path / "few").mkdir()
    study = make_study(tmp_path / "few", count=2, split=(1.0, 0.0, 0.0))
    assert "a phantom for validation at least, got 2 for train, 0 for validation" in refused(
        studies=[study]
    )


def test_thinned_pairs_are_told_of(train, tmp_path, capsys):
    (tmp_path / "thinned").mkdir()
    study = make_study(tmp_path / "thinned", count=2, pairs="thinned", split=(0.5, 0.5, 0.0))
    assert train("--epochs", 1, "--examples-every", 0, studies=[study]) == 0
    assert "learns to keep some" in " ".join(capsys.readouterr().out.split())


def test_an_unknown_setting_is_answered_with_the_nearest(refused, config):
    config.write_text(SMOKE + "learning_rat: 1\n")
    said = refused()
    assert "line 10: unknown setting `learning_rat`" in said
    assert "nearest known one is `learning_rate`" in said


@pytest.mark.parametrize(("words", "said"), [
    (["--patch", 48, 8, 8], "give --patch 24 8 8"),
    (["--target", "turth"], "nearest known one is `truth`"),
    (["--network", "unett"], "nearest known one is `unet`"),
    (["--dimensions", 4], "2 or 3 dimensions"),
])
def test_settings_that_do_not_fit_are_refused_before_anything_is_written(
    words, said, refused, tmp_path
):
    assert said in refused(*words)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_no_study_is_refused(refused, tmp_path):
    assert "holds no study" in refused(studies=[tmp_path])


def test_every_default_is_the_recipes():
    defaults = {name: parameter.default
                for name, parameter in inspect.signature(train_command.train).parameters.items()}
    given = {name: defaults[name] for name in Recipe.__dataclass_fields__}
    assert given.pop("batch") is None and given | {"batch": 4} == vars(Recipe())
