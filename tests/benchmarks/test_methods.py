import shutil
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.image_metrics import nrmse
from benchmarks.methods import Method, check_unseen, find_methods
from benchmarks.tuning import TUNING_STEPS, tune
from denoise.baselines import BASELINES
from denoise.channels import CT_HU
from denoise.checkpoint import Denoiser, save_denoiser
from denoise.scaling import RULE
from denoise.unet import UNet
from recon.io import FileError
from recon.io.provenance import sha256
from sim.dataset import open_study
from tests.benchmarks.quality_study import write_study


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_study(tmp_path_factory.mktemp("study"), splits=("validation", "test"))
    with open_study(folder) as found:
        yield found


def test_names_say_the_source_and_the_denoiser():
    found = find_methods(["low", "standard", "tv", "standard:gaussian"])
    assert [(one.name, one.source, one.denoiser) for one in found] == [
        ("low", "low", None), ("standard", "standard", None),
        ("tv", "low", BASELINES["tv"]), ("standard:gaussian", "standard", BASELINES["gaussian"]),
    ]


@pytest.mark.parametrize(
    "names, message",
    [(["gausian"], "the nearest is 'gaussian'"), (["high:tv"], "NAME or standard:NAME, got 'high"),
     (["tv", "tv"], "each method once")],
)
def test_names_that_mean_nothing_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        find_methods(names)


def test_a_checkpoint_that_is_not_there_is_refused():
    with pytest.raises(FileError, match=r"names none.pt, and there is no such checkpoint"):
        find_methods(["none.pt"])


def study_of(name, *, seed=7, kind="other", phantoms=(), validation=()):
    """A study as a checkpoint tells of it."""
    return {"hash": name, "seed": seed, "kind": kind, "phantoms": list(phantoms),
            "validation": list(validation)}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, data):
    """A U-Net whose last layer is zero, which so leaves images as they are."""
    settings = {"width": 4, "levels": 2}
    path = tmp_path_factory.mktemp("model") / "nothing.pt"
    save_denoiser(path, Denoiser(UNet(**settings).eval(), {
        "network": "unet", "arguments": settings, "inputs": ["low"], "target": "truth",
        "scaling": {"rule": RULE, "ct_hu": CT_HU}, "voxel_mm": [6.0, 6.0, 6.0],
        "domain": {"noise": [0.0, 9.0], "factors": [4.0, 20.0], "tracers": [], "scanners": [],
                   "voxels_mm": [[6.0, 6.0, 6.0]]},
        "training": {"studies": [study_of(data.index["hash"], phantoms=[1])]},
    }))
    return path


def test_a_checkpoint_is_a_method_by_its_files_name(data, checkpoint):
    low, standard = find_methods([str(checkpoint), f"standard:{checkpoint}"])
    assert (low.name, standard.name) == ("nothing", "standard:nothing")
    assert low.sha256 == sha256(checkpoint) and not low.tuned
    image = data.read(data.pairs("test", 4.0)[0], ("low",))["low"]
    found = low.image(image, data.grid(2), image > 0)
    assert np.allclose(found, image, rtol=0, atol=1e-3 * image.max())


def test_two_files_of_one_name_are_refused(checkpoint, tmp_path):
    other = shutil.copy(checkpoint, tmp_path / checkpoint.name)
    with pytest.raises(ValueError, match="models by different names of file or run"):
        find_methods([str(checkpoint), str(other)])


def test_a_runs_model_has_the_name_of_its_run(checkpoint, tmp_path):
    names = []
    for run in ("seed-1", "seed-2"):
        (tmp_path / run).mkdir()
        names.append(str(shutil.copy(checkpoint, tmp_path / run / "model.pt")))
    names.append(f"standard:{names[0]}")
    assert [one.name for one in find_methods(names)] == ["seed-1", "seed-2", "standard:seed-1"]


def test_a_model_that_has_seen_test_phantoms_is_refused(data, checkpoint):
    method = find_methods([str(checkpoint)])[0]
    check_unseen([method], data)
    studies = method.denoiser.settings["training"]["studies"]
    others = [study_of("another", phantoms=[1, 2]), studies[0]]
    method.denoiser.settings["training"]["studies"] = others  # the same numbers, other phantoms
    check_unseen([method], data)
    for use in ("phantoms", "validation"):
        seen = study_of(data.index["hash"], **{use: [1, 2]})
        method.denoiser.settings["training"]["studies"] = [*others, seen]
        with pytest.raises(ValueError, match="nothing was trained on phantoms 2 of this study"):
            check_unseen([method], data)


@pytest.mark.parametrize("seed, kind, seen", [(1, "ball", True), (2, "ball", False),
                                              (1, "person", False)])
def test_a_model_that_has_seen_them_at_other_doses_is_refused(data, checkpoint, seed, kind, seen):
    method = find_methods([str(checkpoint)])[0]
    method.denoiser.settings["training"]["studies"].append(
        study_of("of other doses", seed=seed, kind=kind, phantoms=[1, 2])
    )
    with pytest.raises(ValueError, match="or of one with its seed") if seen else nullcontext():
        check_unseen([method], data)


def test_a_model_whose_start_has_seen_test_phantoms_is_refused(data, checkpoint):
    method = find_methods([str(checkpoint)])[0]
    training, seen = method.denoiser.settings["training"], study_of(data.index["hash"],
                                                                    phantoms=[1, 2])
    first = {"training": training | {"studies": [seen]}}  # a start's own start
    training["start"] = {"sha256": "0", "training": {"studies": [], "start": first}}
    with pytest.raises(ValueError, match="nothing was trained on phantoms 2 of this study"):
        check_unseen([method], data)


def test_low_and_standard_are_the_images_as_they_are(data):
    pair = data.pairs("test", 4.0)[0]
    images = data.read(pair)
    for name in ("low", "standard"):
        method = find_methods([name])[0]
        assert method.pair(data, 2, *((4.0, 0) if name == "low" else (1.0, 0))) == pair
        assert method.image(images[name], data.grid(2), images["labels"] > 0) is images[name]


def test_a_baseline_leaves_what_is_far_from_the_body_as_it_is(data):
    image = np.full(data.grid(2).shape, 100, np.float32)
    image[10:20, 8:20, 5:15] += 900 * np.random.default_rng(1).random((10, 12, 10)) + 100
    body = np.zeros(image.shape, bool)
    body[10:12, 8:10, 5:7] = True
    before = image.copy()
    found = find_methods(["gaussian"])[0].image(image, data.grid(2), body, 8.0, image)
    assert np.array_equal(image, before)
    assert np.array_equal(found[19:], before[19:]) and not np.array_equal(found, before)


def test_the_tuned_strength_is_the_best_of_a_fine_search(data):
    method = find_methods(["gaussian"])[0]
    found = tune(method, data, 20.0)
    images = data.read(data.pairs("validation", 20.0)[0])
    errors = {
        fwhm: nrmse(method.image(images["low"], data.grid(1), images["labels"] > 0, fwhm,
                                 images["ct"]), images["truth"], images["labels"] > 0)
        for fwhm in np.arange(4.0, 30.0, 0.5)
    }
    assert found["nrmse"] <= min(errors.values()) * 1.003
    assert found["strength"] == pytest.approx(min(errors, key=errors.get), rel=0.15)
    assert len(found["tried"]) <= TUNING_STEPS and found["phantoms"] == [1]


def test_a_noisier_image_takes_a_wider_filter_and_the_standard_dose_a_narrower_one(data):
    low, standard = find_methods(["gaussian", "standard:gaussian"])
    widths = [tune(low, data, 20.0), tune(low, data, 4.0),
              tune(standard, data, 1.0)]
    widths = [found["strength"] for found in widths]
    assert widths[0] > widths[1] > widths[2]


def test_a_strength_at_an_end_of_its_range_is_said(data):
    narrow = replace(BASELINES["gaussian"], range=(1.0, 2.0))
    found = tune(Method(name="narrow", source="low", denoiser=narrow), data, 20.0)
    assert found["at_end"]


def test_tuning_without_a_validation_split_is_refused(tmp_path):
    with open_study(write_study(tmp_path, splits=("test",))) as study, pytest.raises(
        ValueError, match="gaussian is tuned on the validation split, and the study has no phantom"
    ):
        tune(find_methods(["gaussian"])[0], study, 4.0)
