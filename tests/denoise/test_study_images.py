"""Images of a study on the voxels that a network sees: the same in boxes, whole, and in use."""

import numpy as np
import pytest

from denoise.network_input import NetworkInput
from denoise.study_images import StudyImages
from recon.resampling import resample
from sim.dataset import Pair
from tests.denoise.made import Identity, denoiser

PAIR = Pair(number=1, factor=4.0, realisation=1)
NAMES = ["low", "standard", "truth", "ct"]
SIDES = [(6.0, 6.0, 6.0), (5.0, 8.0, 13.0), (15.0, 11.0, 10.0)]


@pytest.mark.parametrize("sides", SIDES)
def test_a_box_is_that_of_the_whole_image_resampled(study, sides):
    images, rng = StudyImages(study, sides), np.random.default_rng(1)
    grid = images.grid(1)
    whole = {name: resample(image, study.grid(1), grid)
             for name, image in study.read(PAIR, NAMES).items()}
    boxes = [tuple(slice(0, n) for n in grid.shape)]
    for _ in range(20):
        ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in grid.shape]
        boxes.append(tuple(slice(int(a), int(b)) for a, b in ends))
    for box in boxes:
        for name, image in images.read(PAIR, NAMES, box).items():
            assert image.dtype == np.float32
            np.testing.assert_allclose(image, whole[name][box], rtol=0,
                                       atol=1e-6 * np.abs(whole[name]).max())


@pytest.mark.parametrize("sides", SIDES)
def test_a_whole_image_is_what_a_network_sees_of_it_in_use(study, sides):
    low = study.read(PAIR, ["low"])["low"]
    seen = NetworkInput.of(low, study.grid(1), denoiser(Identity(), voxel_mm=sides))
    images = StudyImages(study, sides)
    assert images.grid(1) == seen.grid
    np.testing.assert_allclose(images.read(PAIR, ["low"])["low"],
                               seen.volume[0] * seen.scaling.level, rtol=1e-5, atol=0.1)


@pytest.mark.parametrize("sides", SIDES)
def test_labels_are_those_of_the_nearest_voxel(study, sides):
    images, stored = StudyImages(study, sides), study.grid(1)
    grid, labels = images.grid(1), study.read(PAIR, ["labels"])["labels"]
    nearest = []
    for axis in range(3):
        away = np.abs(grid.centres(axis)[:, None] - stored.centres(axis)[::-1])
        nearest.append(stored.shape[axis] - 1 - np.argmin(np.round(away, 9), axis=1))  # ties: later
    box = (slice(2, 9), slice(0, 5), slice(4, grid.shape[2]))
    found = images.read(PAIR, ["labels"], box)["labels"]
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, labels[np.ix_(*nearest)][box])
    np.testing.assert_array_equal(images.read(PAIR, ["labels"])["labels"], labels[np.ix_(*nearest)])


def test_images_of_about_the_networks_voxels_are_as_they_are(study):
    images, box = StudyImages(study, (7.5, 8.5, 8.0)), (slice(3, 9), slice(2, 20), slice(5))
    assert images.grid(1) == study.grid(1)
    for name, image in images.read(PAIR, [*NAMES, "labels"], box).items():
        np.testing.assert_array_equal(image, study.read(PAIR, [name], box)[name])


def test_no_more_is_read_than_a_box_takes(study, monkeypatch):
    read, whole = [], study.read
    monkeypatch.setattr(study, "read", lambda pair, names, box: read.append(box) or
                        whole(pair, names, box))
    StudyImages(study, (12.0, 12.0, 6.0)).read(PAIR, ["low"], (slice(4, 8),) * 3)
    # Of 192, 160 and 128 mm in 16, 13 and 21 voxels: 48.0 to 96.0, and 49.2 to 98.5 mm; and
    # middles from 27.4 to 45.7 mm with 4 mm about them.
    assert [(part.start, part.stop) for part in read[0]] == [(6, 12), (6, 13), (2, 7)]
