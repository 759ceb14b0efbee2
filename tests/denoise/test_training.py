"""Training: it learns, and stopped at any moment it ends with the same weights."""

import math
import signal
import sys

import pytest
import torch

from denoise import training
from denoise.checkpoint import load_denoiser
from denoise.networks import network
from denoise.recipe import Recipe
from denoise.run_state import checkpoint_path, exhausted
from denoise.training import fitting_precision, nrmse
from denoise.training_keeper import Stopped
from denoise.unet import UNet
from recon.io import FileError
from tests.denoise.runs import (
    OWN,
    RECIPE,
    assert_same,
    killed_run,
    metrics,
    run,
    signalled_at,
    state,
    stopped_group,
)
from tests.denoise.studies import make_study

STEPS = 12


@pytest.fixture(scope="module")
def whole(study_folder, tmp_path_factory):
    """The folder of a run that was left alone."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(study_folder, folder)
    return folder


@pytest.mark.parametrize("step", [0, 3, 6])
def test_training_that_is_stopped_and_goes_on_ends_with_the_same_weights(
    step, study_folder, whole, tmp_path, monkeypatch
):
    number = signal.SIGTERM if step % 2 else signal.SIGINT
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        signalled_at(step, number, patch.setattr)
        with pytest.raises(Stopped, match=f"at step {step + 1} of {STEPS}"):
            run(study_folder, tmp_path / "run")
    assert signal.getsignal(number) is before
    run(study_folder, tmp_path / "run")
    assert_same(tmp_path / "run", whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_that_is_killed_and_goes_on_ends_with_the_same_weights(
    workers, study_folder, whole, tmp_path
):
    killed_run([study_folder], tmp_path / "run", step=6, workers=workers)
    assert len(metrics(tmp_path / "run")) == 1
    half = checkpoint_path(tmp_path / "run").with_name(".x1y2.last.ckpt")
    half.write_bytes(b"half")  # as if killed while it saved
    run(study_folder, tmp_path / "run", workers=workers)
    assert not half.exists()
    assert_same(tmp_path / "run", whole)


def test_a_signal_to_all_of_its_processes_stops_a_training_and_it_goes_on(
    study_folder, whole, tmp_path
):
    said = stopped_group([study_folder], tmp_path / "run", step=6, workers=2)
    assert f"Stopped: at step 7 of {STEPS}" in said
    run(study_folder, tmp_path / "run")
    assert_same(tmp_path / "run", whole)


@pytest.fixture(scope="module")
def two(study_folder, tmp_path_factory):
    """Folders of two studies of different voxels."""
    folder = tmp_path_factory.mktemp("fine")
    return [study_folder, make_study(folder, count=2, split=(0.5, 0.5, 0.0), voxel_mm=5.0, seed=4)]


def test_training_on_two_studies_that_is_stopped_goes_on_to_the_same_weights(
    two, tmp_path, monkeypatch
):
    run(two, tmp_path / "whole")
    with monkeypatch.context() as patch:
        signalled_at(6, signal.SIGINT, patch.setattr)
        with pytest.raises(Stopped):
            run(two, tmp_path / "run")
    run(two, tmp_path / "run")
    assert_same(tmp_path / "run", tmp_path / "whole")
    trained = load_denoiser(tmp_path / "run" / "model.pt").settings
    assert trained["voxel_mm"] == [8, 8, 8]
    assert trained["domain"]["voxels_mm"] == [[5, 5, 5], [8, 8, 8]]


def test_another_seed_ends_with_other_weights(study_folder, whole, tmp_path):
    run(study_folder, tmp_path / "run", seed=2)
    assert not torch.equal(state(tmp_path / "run")["network.head.weight"],
                           state(whole)["network.head.weight"])


def test_a_run_that_is_done_is_not_trained_further(study_folder, whole, monkeypatch):
    monkeypatch.setattr(training, "Training", None)
    assert len(run(study_folder, whole)) == 3


def test_a_network_learns_a_patch_by_heart():
    torch.manual_seed(0)
    learner, noise = UNet(width=8, levels=1), torch.tensor([0.3])
    target = torch.rand(1, 1, 8, 8, 8)
    x = target + 0.3 * torch.randn(target.shape)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=5e-3)
    errors = []
    for _ in range(200):
        loss = (learner(x, noise) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[0] == pytest.approx(0.09, rel=0.1)  # the noise itself
    assert errors[-1] < 0.01 * errors[0]


@pytest.mark.parametrize("settings", [
    {"target": "truth"}, {"target": "noise2noise"}, {"loss": "l1", "keeps": "counts"},
    {"dimensions": 2, "slices": 3, "ct": True, "target": "noise2noise"},
])
def test_training_makes_images_better(settings, study_folder, tmp_path):
    rows = run(study_folder, tmp_path / "run", **({"target": "truth", "patches": 32} | settings))
    assert min(row["nrmse"] for row in rows) < 0.99 * rows[0]["nrmse_low"]
    found = load_denoiser(tmp_path / "run" / "model.pt")
    assert found.settings["training"]["nrmse"] == min(row["nrmse"] for row in rows)


def test_the_average_is_what_is_kept(study_folder, tmp_path):
    recipe = Recipe(**(RECIPE | {"patches": 2, "epochs": 1}))
    run(study_folder, tmp_path / "run", patches=2, epochs=1)
    torch.manual_seed(recipe.seed)
    first = network("unet", recipe.arguments).state_dict()
    saved, kept = state(tmp_path / "run"), load_denoiser(tmp_path / "run" / "model.pt").network
    for name, value in kept.state_dict().items():
        after = saved[f"network.{name}"]
        # The average's decay in the first step is 1 / 10.
        torch.testing.assert_close(value, 0.1 * first[name] + 0.9 * after)
        assert torch.equal(value, saved[f"average.{name}"])


def test_nrmse_is_the_root_mean_square_error_in_the_body_by_that_of_the_target():
    target = torch.tensor([3.0, 4.0, 100.0]).reshape(1, 1, 3, 1, 1)
    image = torch.tensor([3.0, 6.5, 0.0]).reshape(1, 1, 3, 1, 1)
    body = torch.tensor([True, True, False]).reshape(1, 1, 3, 1, 1)
    assert nrmse(image, target, body).tolist() == [0.5]


def test_training_ends_after_epochs_without_improvement():
    recipe = Recipe(patience=2)
    rows = [{"nrmse": value} for value in (0.5, 0.4, 0.41, 0.4, 0.42)]
    assert [exhausted(rows[:n], recipe) for n in range(6)] == [False] * 4 + [True, True]
    assert not exhausted(rows, Recipe(patience=0))


def test_a_run_without_improvement_ends_and_stays_ended(study_folder, tmp_path):
    options = {"epochs": 5, "patience": 1, "learning_rate": 1e-9, "average": 0.0}
    rows = run(study_folder, tmp_path / "run", **options)
    ended = len(rows)
    assert ended < 5
    assert len(run(study_folder, tmp_path / "run", **options)) == ended


def test_examples_are_drawn(study_folder, tmp_path):
    run(study_folder, tmp_path / "run", examples_every=2)
    assert [path.name for path in (tmp_path / "run" / "examples").iterdir()] == ["epoch-0002.png"]


def test_a_disk_that_fills_leaves_the_checkpoint_before(study_folder, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        signalled_at(2, signal.SIGTERM, patch.setattr)
        with pytest.raises(Stopped):
            run(study_folder, folder)
    before = checkpoint_path(folder).read_bytes()

    def full(self, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pytorch_lightning.Trainer.save_checkpoint", full)
        with pytest.raises(FileError, match=r"last\.ckpt cannot be written \(no space left"):
            run(study_folder, folder)
    assert checkpoint_path(folder).read_bytes() == before
    assert [path.name for path in checkpoint_path(folder).parent.iterdir()] == ["last.ckpt"]


def test_a_broken_checkpoint_is_refused(study_folder, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    checkpoint_path(tmp_path / "run").write_bytes(b"broken")
    with pytest.raises(FileError, match="remove it to begin anew"):
        run(study_folder, tmp_path / "run")


def test_a_checkpoint_of_another_network_is_refused(study_folder, tmp_path):
    run(study_folder, tmp_path / "run", epochs=1)
    with pytest.raises(FileError, match="weights of another network"):
        run(study_folder, tmp_path / "run", width=8)


def test_training_that_diverges_is_refused(study_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(training.Training, "result", lambda _: {"nrmse": float("nan")})
    with pytest.raises(ValueError, match="lower learning_rate"):
        run(study_folder, tmp_path / "run")
    assert not checkpoint_path(tmp_path / "run").exists()


def test_a_patch_without_activity_is_left_out_and_one_that_the_network_spoils_is_not():
    made = training.Training(Recipe(**RECIPE), None, [], 0)
    made.found = {"nrmse": [torch.tensor([0.2, float("inf")]), torch.tensor([0.4])],
                  "nrmse_low": [torch.tensor([0.5, float("inf")]), torch.tensor([0.7])]}
    assert made.result() == pytest.approx({"nrmse": 0.3, "nrmse_low": 0.6})
    made.found["nrmse"][1][0] = float("nan")
    assert not math.isfinite(made.result()["nrmse"])


def test_tensorboard_that_is_not_installed_is_asked_for(study_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(FileError, match=r"pip install 'countless\[tensorboard\]'"):
        run(study_folder, tmp_path / "run", tensorboard=True)


def test_a_network_of_the_users_own_is_trained_by_its_path(study_folder, tmp_path):
    run(study_folder, tmp_path / "run", network="denoise.unet:UNet", epochs=1, **OWN)
    path = tmp_path / "run" / "model.pt"
    with pytest.raises(FileError, match="none of Countless's own"):
        load_denoiser(path)
    assert load_denoiser(path, foreign="denoise.unet:UNet").settings["arguments"] == {}


class Planes(torch.nn.Module):
    """Slices by themselves, and a convolution along z."""

    def __init__(self):
        super().__init__()
        self.within, self.along = torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Conv1d(1, 1, 1)
        self.volume = torch.nn.Conv3d(1, 1, 1)

    def forward(self, x, noise):
        planes = self.within(x.permute(0, 4, 1, 2, 3).flatten(0, 1))
        planes = planes.unflatten(0, (len(x), -1)).permute(0, 2, 3, 4, 1)
        return self.volume(self.along(planes.flatten(2)).reshape(planes.shape))


def test_a_network_of_convolutions_of_all_kinds_is_trained(study_folder, tmp_path):
    rows = run(study_folder, tmp_path / "run", network="tests.denoise.test_training:Planes",
               epochs=1, **OWN)
    assert len(rows) == 1


@pytest.mark.parametrize(("accelerator", "cuda", "amx", "wanted"), [
    ("auto", True, False, "bf16-mixed"), ("cpu", True, False, "32-true"),
    ("auto", False, True, "bf16-mixed"), ("cpu", False, False, "32-true"),
])
def test_bfloat16_is_taken_where_the_machine_calculates_with_it(
    accelerator, cuda, amx, wanted, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert fitting_precision(accelerator) == wanted
