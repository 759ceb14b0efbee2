"""A training that begins with a trained network's weights."""

import json

import pytest
import torch
import yaml

import countless
from denoise.checkpoint import load_denoiser, save_denoiser
from denoise.recipe import Recipe
from denoise.start import read_start
from recon.io import FileError
from recon.io.provenance import sha256
from tests.denoise.made import denoiser, stirred
from tests.denoise.runs import RECIPE, run, state


@pytest.fixture
def path(tmp_path):
    """A trained network of the runs' recipe."""
    arguments = Recipe(**RECIPE).arguments
    save_denoiser(tmp_path / "first.pt", stirred(**arguments))
    return tmp_path / "first.pt"


def test_a_training_begins_with_the_weights_of_its_start(path, study_folder, tmp_path):
    start = read_start(path, Recipe(**RECIPE))
    run(study_folder, tmp_path / "run", start=start, patches=2, epochs=1, learning_rate=1e-12)
    found, kept = state(tmp_path / "run"), load_denoiser(tmp_path / "run" / "model.pt")
    for name, value in load_denoiser(path).network.state_dict().items():
        torch.testing.assert_close(found[f"network.{name}"], value)
        torch.testing.assert_close(found[f"average.{name}"], value)
    told = kept.settings["training"]["start"]
    assert told["sha256"] == sha256(path)
    assert told["training"]["phantoms"] == [1, 2]


@pytest.mark.parametrize(("changes", "said"), [
    ({"width": 8}, "has width 4, and this training 8"),
    ({"ct": True}, "has channels low, and this training low, ct"),
    ({"network": "denoise.unet:UNet", "width": Recipe.width, "levels": Recipe.levels},
     "has network unet, and this training denoise.unet:UNet"),
])
def test_a_start_of_other_settings_is_refused(changes, said, path):
    with pytest.raises(FileError, match=said):
        read_start(path, Recipe(**(RECIPE | changes)))


def test_a_start_that_was_trained_on_another_scale_is_refused(path):
    settings = {"arguments": Recipe(**RECIPE).arguments, "scaling": {"rule": "SUV"}}
    save_denoiser(path, denoiser(load_denoiser(path).network, **settings))
    with pytest.raises(FileError, match="has rule SUV, and this training median"):
        read_start(path, Recipe(**RECIPE))


def test_a_run_says_its_start_and_goes_on_with_that_alone(path, study_folder, tmp_path, capsys):
    folder = tmp_path / "run"
    words = ["train", study_folder, "-o", folder, "--patch", 8, 8, 8, "--epochs", 1, "--patches", 4,
             "--width", 4, "--levels", 1, "--validation-patches", 2, "--workers", 0,
             "--accelerator", "cpu", "--examples-every", 0]
    words = [str(word) for word in words]
    assert countless.main([*words, "--start", str(path)]) == 0
    said = json.loads((folder / "run.json").read_text())
    assert said["start"] == sha256(path)
    assert {"path": str(path), "sha256": sha256(path)} in said["inputs"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["start"] == str(path)
    assert countless.main([*words, "--start", str(path)]) == 0  # nothing left to do
    capsys.readouterr()
    assert countless.main(words) == 2
    wanted = f"started from weights of hash {sha256(path)[:12]}, and this one starts from random"
    assert wanted in capsys.readouterr().err


def test_a_run_does_not_replace_its_start(path, study_folder, tmp_path, capsys):
    start = path.rename(tmp_path / "model.pt")
    code = countless.main(["train", str(study_folder), "-o", str(tmp_path), "--patch", "8", "8",
                           "8", "--width", "4", "--levels", "1", "--start", str(start)])
    assert code == 2
    assert "model.pt" in capsys.readouterr().err


def test_a_run_from_before_a_setting_was_known_goes_on(study_folder, tmp_path, capsys):
    words = ["train", str(study_folder), "-o", str(tmp_path / "run"), "--patch", "8", "8", "8",
             "--epochs", "1", "--patches", "4", "--width", "4", "--levels", "1", "--workers", "0",
             "--validation-patches", "2", "--accelerator", "cpu", "--examples-every", "0"]
    assert countless.main(words) == 0
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    del said["configuration"]["adversarial"], said["start"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(said))
    assert countless.main(words) == 0
    assert countless.main([*words, "--adversarial", "0.1"]) == 2
