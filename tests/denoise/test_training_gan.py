"""Training with a discriminator: stopped or killed, the same weights; and what it is for."""

import signal

import pytest
import torch

from denoise.checkpoint import load_denoiser
from denoise.training_keeper import Stopped
from tests.denoise.runs import assert_same, killed_run, metrics, run, signalled_at, state

GAN = {"adversarial": 0.01, "structural": 0.1}


@pytest.fixture(scope="module")
def whole(study_folder, tmp_path_factory):
    """The folder of a run that was left alone."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(study_folder, folder, **GAN)
    return folder


def test_a_gan_that_is_stopped_and_goes_on_ends_with_the_same_weights(
    study_folder, whole, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        signalled_at(5, signal.SIGTERM, patch.setattr)
        with pytest.raises(Stopped, match="at step 6 of 12"):
            run(study_folder, tmp_path / "run", **GAN)
    run(study_folder, tmp_path / "run", **GAN)
    assert_same(tmp_path / "run", whole)


def test_a_gan_that_is_killed_and_goes_on_ends_with_the_same_weights(
    study_folder, whole, tmp_path
):
    killed_run([study_folder], tmp_path / "run", step=6, workers=0, **GAN)
    run(study_folder, tmp_path / "run", **GAN)
    assert_same(tmp_path / "run", whole)


def test_the_state_holds_the_discriminator_and_the_model_does_not(whole):
    assert any(name.startswith("discriminator.") for name in state(whole))
    kept = load_denoiser(whole / "model.pt").network.state_dict()
    average = {name: value for name, value in state(whole).items() if name.startswith("average.")}
    assert {f"average.{name}" for name in kept} == set(average)
    assert all(torch.equal(value, average[f"average.{name}"]) for name, value in kept.items())


def test_the_last_average_is_kept_and_said(whole):
    told = load_denoiser(whole / "model.pt").settings["training"]
    assert (told["kept"], told["epoch"]) == ("last", 3)


def test_metrics_have_a_column_for_each_term(whole):
    row = metrics(whole)[-1]
    assert list(row)[3:7] == ["loss", "structural", "adversarial", "discriminator"]
    assert all(0 < float(row[name]) < 1 for name in list(row)[3:7])


def test_a_discriminator_changes_what_is_learned(study_folder, whole, tmp_path):
    run(study_folder, tmp_path / "run", structural=GAN["structural"])
    assert not torch.equal(state(tmp_path / "run")["network.head.weight"],
                           state(whole)["network.head.weight"])


def test_slices_are_judged_in_two_dimensions(study_folder, tmp_path):
    run(study_folder, tmp_path / "run", dimensions=2, adversarial=0.01, epochs=1)
    assert state(tmp_path / "run")["discriminator.layers.0.bias"].ndim == 1
