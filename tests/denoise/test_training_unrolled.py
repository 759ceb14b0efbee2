"""Unrolled networks learn from a study's scans, and a run that was stopped goes on the same."""

from itertools import chain

import pytest
import torch

from denoise.checkpoint import load_denoiser
from denoise.networks import network
from denoise.recipe import Recipe
from denoise.run_state import checkpoint_path
from denoise.start import Start
from denoise.studies import resolved
from denoise.training_data import prepare
from denoise.training_keeper import Stopped
from recon.io import FileError
from recon.io.provenance import read_json
from recon.method import UNROLLED
from sim.dataset import open_study
from tests.denoise.runs import assert_same, metrics, signalled_at
from tests.gpu import exact, on_gpu  # noqa: F401, a fixture
from tests.sim.studies import make_scans

SMALL = {"width": 2, "levels": 1, "blocks": 2, "updates": 2, "batch": 1, "patches": 3, "epochs": 2,
         "validation_patches": 1, "learning_rate": 1e-2, "average": 0.5, "target": "truth"}


@pytest.fixture(scope="module")
def scans_folder(tmp_path_factory):
    return make_scans(tmp_path_factory.mktemp("scans"), minutes=1)


def run(study_folder, folder, *, start=None, workers=0, accelerator="cpu", precision="auto",
        **changes):
    """Trains in a folder, or goes on; returns the rows of metrics.csv."""
    from denoise.training import fit

    folder.mkdir(exist_ok=True)
    with open_study(study_folder) as study:
        recipe = resolved(Recipe(**(SMALL | changes)), [study])
        train, validation, settings = prepare(recipe, [study], folder, "countless train", start,
                                              accelerator)
        return fit(recipe, train, validation, folder, settings, start=start, workers=workers,
                   examples_every=0, precision=precision, accelerator=accelerator, devices=1)


@pytest.mark.parametrize("kind", UNROLLED)
def test_each_kind_learns_and_is_read_again(scans_folder, tmp_path, kind):
    more = {"updates": Recipe.updates} if kind == "primal-dual" else {}
    rows = run(scans_folder, tmp_path / "run", unrolled=kind, apart=kind == "fbsem", epochs=5,
               shared=kind != "learned-gradient", **more)
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    read = load_denoiser(tmp_path / "run" / "model.pt", reconstructs=True)
    said = read.settings["unrolled"]
    assert said["kind"] == kind and said["subsets"] == (1 if kind == "primal-dual" else 4)
    assert ("layout" in said) == (kind == "primal-dual")
    assert len(read.network.networks) == (2 if kind == "learned-gradient" else 1)


def test_a_run_stopped_within_an_epoch_ends_as_one_left_alone(scans_folder, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(scans_folder, whole, unrolled="fbsem")
    with monkeypatch.context() as patch:
        signalled_at(4, 2, patch.setattr)
        with pytest.raises(Stopped):
            run(scans_folder, broken, unrolled="fbsem")
    assert checkpoint_path(broken).is_file() and len(metrics(broken)) == 1
    run(scans_folder, broken, unrolled="fbsem")
    assert_same(broken, whole)


def test_a_process_that_reads_scans_changes_nothing(scans_folder, tmp_path):
    for workers in (0, 2):
        run(scans_folder, tmp_path / f"{workers}", unrolled="fbsem", epochs=1, workers=workers)
    assert_same(tmp_path / "2", tmp_path / "0")


def test_blocks_begin_with_a_denoisers_weights(scans_folder, tmp_path):
    torch.manual_seed(7)
    weights = network("unet", {"inputs": 1, "width": 2, "levels": 1}).state_dict()
    begun = Start(weights=weights, unrolled=False, sha256="0", domain={}, training={"studies": []})
    rows = run(scans_folder, tmp_path / "run", unrolled="fbsem", shared=False, start=begun,
               learning_rate=1e-12, epochs=1)
    assert len(rows) == 1
    for part in load_denoiser(tmp_path / "run" / "model.pt", reconstructs=True).network.networks:
        for name, values in part.state_dict().items():
            assert torch.allclose(values, weights[name], atol=1e-6)


def test_a_study_without_scans_is_refused(study_folder, tmp_path):
    with pytest.raises(FileError, match="keep_scans: true"):
        run(study_folder, tmp_path / "run", unrolled="fbsem")


@pytest.mark.parametrize(("settings", "said"), [
    ({"unrolled": "fbsm"}, "did you mean|fbsem, learned-gradient, primal-dual, got 'fbsm'"),
    ({"batch": 2}, "batch 1, got 2; a step takes a whole scan"),
    ({"voxel_mm": (4, 4, 4)}, "voxel_mm None, got"),
    ({"adversarial": 0.1}, "adversarial 0, got 0.1"),
    ({"target": "noise2noise"}, "target standard or truth"),
    ({"unrolled": "primal-dual", "subsets": 4, "updates": 4}, "all data at once, got subsets 4"),
    ({"flips": False}, "flips is a setting of patches"),
    ({"unrolled": None, "subsets": 4}, "blocks is a setting of unrolled networks"),
    ({"subsets": 5}, "divisor of the 16 views .*, got 5; the nearest is 4"),
    ({"blocks": 0}, "blocks takes a whole number from 1"),
])
def test_settings_that_do_not_fit_are_refused(scans_folder, tmp_path, settings, said):
    with pytest.raises(ValueError, match=said):
        run(scans_folder, tmp_path / "run", **({"unrolled": "fbsem"} | settings))


def learned(scans_folder, folder, kind, **options):
    """Loss and errors of two epochs, and what was found of first images."""
    more = {"updates": Recipe.updates} if kind == "primal-dual" else {}
    rows = run(scans_folder, folder, unrolled=kind, recompute=True, **more, **options)
    found = [row[name] for row in rows for name in ("loss", "nrmse", "nrmse_low")]
    for each in read_json(folder / "scalings.json")["beginnings"].values():
        found += [*each["scaling"].values(), *chain.from_iterable(each["box"])]
    return found


@on_gpu
@pytest.mark.parametrize("kind", UNROLLED)
def test_on_a_gpu_each_kind_learns_as_on_the_cpu(scans_folder, tmp_path, kind, exact):  # noqa: F811
    ours, theirs = (learned(scans_folder, tmp_path / name, kind, accelerator=name,
                            precision="32-true") for name in ("cuda", "cpu"))
    assert ours == pytest.approx(theirs, rel=1e-3)


@on_gpu
@pytest.mark.parametrize("kind", UNROLLED)
def test_on_a_gpu_in_its_own_precision_each_kind_learns_nearly_as_much(scans_folder, tmp_path,
                                                                       kind):
    ours = learned(scans_folder, tmp_path / "auto", kind, accelerator="auto",
                   workers=int(kind == "fbsem"))
    theirs = learned(scans_folder, tmp_path / "cpu", kind, precision="32-true")
    assert ours == pytest.approx(theirs, rel=0.1)
    assert load_denoiser(tmp_path / "auto" / "model.pt", reconstructs=True)
