"""Patches: what they are made of, and that nothing but (seed, epoch, index) decides it."""

import collections
import itertools
import os
import shutil

import h5py
import numpy as np
import pytest

from denoise import pairs
from denoise.pairs import Batches, Patches, Source, drawn, in_turn, measured
from denoise.recipe import Recipe
from denoise.scaling import Scaling, measure
from denoise.study_images import StudyImages
from recon.io import FileError
from recon.resampling import resample
from sim.dataset import Pair, open_study
from tests.denoise.studies import SHAPE, make_study

PLAIN = {"flips": False, "rotated": 0.0, "intensity": 0.0}
VOXEL_MM = 8.0, 8.0, 8.0
SMALL = {"patch": (8, 8, 8), "patches": 40, "batch": 4}


def source(study, split="train", level=1000.0):
    scalings = {pair: Scaling(level=level, noise=pair.factor / 100) for pair in study.pairs()}
    return Source(images=StudyImages(study, VOXEL_MM), pairs=study.pairs(split), scalings=scalings)


def patches(study, split="train", *, augmented=True, count=40, **settings):
    return Patches([source(study, split)], Recipe(**(SMALL | settings)), count=count,
                   augmented=augmented)


def rotated(made, pair, degrees):
    return made._images(made.sources[0].images, pair, pair, (12, 10, 8), degrees)


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_an_item_is_a_function_of_seed_epoch_and_index(study, study_folder):
    made = patches(study, rotated=0.5)
    first = {key: made[key] for key in itertools.product((0, 1), range(6))}
    with open_study(study_folder) as again:
        others = patches(again, rotated=0.5)
        assert all(same(first[key], others[key]) for key in reversed(first))
    items = list(first.values())
    assert not any(same(a, b) for a, b in itertools.combinations(items, 2))
    assert not same(patches(study, rotated=0.5, seed=2)[0, 0], first[0, 0])


def test_no_phantom_of_validation_or_test_is_in_training(study):
    """By the number that is stored in the file itself, which the index does not know of."""
    seen = {split: {patches(study, split)[epoch, k]["phantom"] for epoch in (0, 1)
                    for k in range(40)} for split in ("train", "validation", "test")}
    assert seen["train"] == {1, 4, 5}
    assert seen["validation"] == {2, 6}
    assert seen["test"] == {3}


def test_a_file_that_is_another_phantoms_is_refused(study_folder, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(study_folder, folder)
    shutil.copy(folder / "phantom-0003.h5", folder / "phantom-0001.h5")  # one of the test split
    with open_study(folder) as study, pytest.raises(FileError, match=r"holds phantom 3, and .* 1"):
        measured(StudyImages(study, VOXEL_MM), study.pairs("train"), tmp_path / "scalings.json")


def test_an_image_with_nan_is_refused_by_its_files_name(study_folder, tmp_path):
    folder = tmp_path / "spoilt"
    shutil.copytree(study_folder, folder)
    with h5py.File(folder / "phantom-0004.h5", "r+") as file:
        file["low"][1, 0, 5, 5, 5] = np.nan
    with open_study(folder) as study, pytest.raises(
        FileError, match=r"phantom-0004\.h5, 1 / 20 of the dose: .* not"
    ):
        measured(StudyImages(study, VOXEL_MM), study.pairs("train"), tmp_path / "scalings.json")


@pytest.mark.parametrize("target", ["standard", "truth", "noise2noise"])
def test_a_whole_image_comes_with_its_target_both_scaled(study, target):
    made = patches(study, patch=SHAPE, target=target, **PLAIN)
    found = made[0, 0]
    file = study.file(found["phantom"])
    dose = list(study.factors).index(float(found["factor"]))
    low = file["low"][dose] / np.float32(1000)
    (realisation,) = [r for r in (0, 1) if np.array_equal(found["x"][0], low[r])]
    wanted = {
        "standard": file["standard"][realisation] / np.float32(1000),
        "truth": file["truth"][:] / np.float32(1000), "noise2noise": low[1 - realisation],
    }
    np.testing.assert_array_equal(found["target"][0], wanted[target])
    assert found["noise"] == pytest.approx(study.factors[dose] / 100)
    np.testing.assert_array_equal(found["body"][0], file["labels"][:] > 0)


def test_the_ct_is_the_second_channel_in_thousands_of_hu(study):
    found = patches(study, patch=SHAPE, ct=True, flips=False, rotated=0.0, intensity=0.5)[0, 1]
    np.testing.assert_array_equal(
        found["x"][1], study.file(found["phantom"])["ct"][:] / np.float32(1000)
    )


def test_a_patch_of_an_image_and_of_its_target_are_turned_over_and_scaled_alike(study):
    plain, changed = (
        patches(study, patch=SHAPE, target="truth", rotated=0.0, flips=turned, intensity=change)
        for turned, change in ((False, 0.0), (True, 0.3))
    )
    gains, turns = set(), set()
    for index in range(12):
        before, after = plain[0, index], changed[0, index]
        (axes,) = [
            axes for n in range(4) for axes in itertools.combinations((1, 2, 3), n)
            if np.array_equal(after["body"], np.flip(before["body"], axes))
            and np.corrcoef(after["x"].ravel(), np.flip(before["x"], axes).ravel())[0, 1] > 0.999
        ]
        gain = after["target"].max() / before["target"].max()
        for name in ("x", "target"):
            np.testing.assert_allclose(after[name], gain * np.flip(before[name], axes), rtol=1e-5)
        gains.add(float(gain))
        turns.update(axes)
    assert 0.7 <= min(gains) < 0.9 < 1.1 < max(gains) <= 1.3
    assert turns == {1, 2, 3}


def test_a_patch_rotated_by_a_right_angle_has_the_same_voxels(study):
    made, pair = patches(study, patch=(6, 6, 5)), Pair(number=1, factor=4.0, realisation=0)
    before, after = (rotated(made, pair, degrees) for degrees in (0.0, 90.0))
    for name, image in before.items():
        np.testing.assert_allclose(after[name], np.rot90(image, -1), rtol=1e-4, atol=1.0)


def test_a_rotated_patch_keeps_its_middle_and_its_planes(study):
    made, pair = patches(study, patch=(7, 7, 4)), Pair(number=1, factor=4.0, realisation=0)
    before, after = (rotated(made, pair, degrees)["low"] for degrees in (0.0, 10.0))
    np.testing.assert_allclose(after[3, 3], before[3, 3], rtol=1e-4)
    assert not np.allclose(after, before, rtol=0.01)


def test_patches_lie_in_the_body(study):
    made = patches(study, **PLAIN)
    assert all(made[0, k]["body"][0, 2:6, 2:6, 2:6].any() for k in range(40))


def test_patches_for_validation_are_the_same_in_each_epoch_and_spread_over_pairs(study):
    made = patches(study, "validation", augmented=False, count=8)
    assert all(same(made[k], made[k]) for k in range(8))
    seen = {(made[k]["phantom"], float(made[k]["factor"])) for k in range(8)}
    assert seen == {(2, 4.0), (2, 20.0), (6, 4.0), (6, 20.0)}
    assert made[0]["truth"].shape == (1, 8, 8, 8)


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    """A study of one phantom for training and one for validation, of voxels of 6 mm."""
    folder = make_study(tmp_path_factory.mktemp("fine"), count=2, realisations=1, seed=4,
                        split=(0.5, 0.5, 0.0), voxel_mm=6.0)
    with open_study(folder) as found:
        yield found


def test_studies_are_drawn_from_equally_often_and_their_pairs_too(study, fine):
    made = Patches([source(study), source(fine)], Recipe(**SMALL), count=400, augmented=True)
    found = collections.Counter(drawn(made.sources, np.random.default_rng(k)) for k in range(400))
    assert sum(count for (which, _), count in found.items() if which) == pytest.approx(200, abs=40)
    assert len(found) == 12 + 2
    assert {made[0, k]["study"] for k in range(8)} == {0, 1}


def test_validation_takes_turns_between_studies(study, fine):
    sources = [source(study, "validation"), source(fine, "validation")]
    taken = [in_turn(sources, index, 17) for index in range(17)]
    assert [which for which, _ in taken] == [0, 1] * 8 + [0]
    counts = collections.Counter(taken)
    # 9 patches of 8 pairs, and 8 of 2.
    assert sorted(counts[0, pair] for pair in study.pairs("validation")) == [1] * 7 + [2]
    assert [counts[1, pair] for pair in fine.pairs("validation")] == [4, 4]


def test_a_patch_of_other_voxels_is_of_the_resampled_images_alike(study, fine):
    whole = StudyImages(fine, VOXEL_MM).grid(1)
    assert whole.shape == SHAPE
    made = Patches([source(study), source(fine)], Recipe(**(SMALL | PLAIN | {
        "patch": SHAPE, "target": "truth", "ct": True})), count=40, augmented=True)
    found = next(made[0, k] for k in range(40) if made[0, k]["study"] == 1)
    file, grid = fine.file(1), fine.grid(1)
    low, truth, ct = (resample(image, grid, whole) / np.float32(1000) for image in (
        file["low"][list(fine.factors).index(found["factor"]), 0], file["truth"][:], file["ct"][:]))
    for image, wanted in ((found["x"][0], low), (found["target"][0], truth), (found["x"][1], ct)):
        np.testing.assert_allclose(image, wanted, rtol=1e-5, atol=1e-5)
    assert found["phantom"] == 1


def test_scalings_are_those_of_the_resampled_image(fine, tmp_path):
    pair, images = fine.pairs("train")[0], StudyImages(fine, VOXEL_MM)
    low = resample(fine.read(pair, ["low"])["low"], fine.grid(1), images.grid(1))
    path = tmp_path / "scalings.json"
    found = measured(images, [pair], path)[pair]
    assert found.noise == pytest.approx(measure(low, images.grid(1).voxel_mm).noise, rel=1e-4)
    as_it_is = measured(StudyImages(fine, (6.0, 6.0, 6.0)), [pair], path)[pair]
    assert as_it_is == measure(fine.read(pair, ["low"])["low"], (6, 6, 6))
    assert as_it_is != found


def test_an_image_is_measured_once(study, tmp_path, monkeypatch):
    path, wanted = tmp_path / "scalings.json", study.pairs("train")
    found = measured(StudyImages(study, VOXEL_MM), wanted, path)
    assert {found[p].noise < 0.09 for p in wanted if p.factor == 4.0} == {True}
    assert {found[p].noise > 0.09 for p in wanted if p.factor == 20.0} == {True}
    monkeypatch.setattr(pairs, "measure", None)
    assert measured(StudyImages(study, VOXEL_MM), wanted, path) == found


@pytest.mark.parametrize("done", [0, 1, 4, 5, 9])
def test_batches_go_on_after_the_steps_that_were_done(done):
    def keys(step):
        return list(Batches(10, 2, lambda: step))

    whole = keys(0) + keys(5)
    assert [key for batch in whole for key in batch] == [(e, k) for e in (0, 1) for k in range(10)]
    epoch_ends = 5 if done < 5 else 10
    assert keys(done) == whole[done:epoch_ends]


def test_devices_share_an_epoch():
    made = [Batches(13, 2, lambda: 0, rank=rank, devices=3) for rank in range(3)]
    assert [len(one) for one in made] == [2, 2, 2]
    keys = [key for one in made for batch in one for key in batch]
    assert sorted(keys) == [(0, k) for k in range(12)]


@pytest.mark.parametrize("before", [None, "3"])
def test_readers_are_started_with_one_blas_thread_and_the_users_setting_is_given_back(
    before, monkeypatch
):
    from denoise.training import _readers_of_one_thread

    name = "OPENBLAS_NUM_THREADS"
    monkeypatch.setenv(name, before) if before else monkeypatch.delenv(name, raising=False)
    with _readers_of_one_thread():
        assert os.environ[name] == "1"
    assert os.environ.get(name) == before
