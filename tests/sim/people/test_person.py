import numpy as np
import pytest

from recon import Grid
from sim.people import person
from sim.people.person import phases

GRID = Grid.centred(shape=(70, 48, 24), voxel_mm=(6, 6, 10), centre_mm=(0, 0, 60))


@pytest.fixture(scope="module")
def still():
    return person(7, lesions=0, arms="up")


@pytest.fixture(scope="module")
def breathing():
    return person(7, lesions=0, arms="up", breathing_mm=16.0)


def test_the_diaphragm_rests_longest_at_end_expiration():
    ways = phases(10.0)
    times = np.array([0.05, 0.15, 0.25, 0.35, 0.45])
    assert ways == pytest.approx(10 * np.cos(np.pi * times) ** 6)
    assert np.median(ways) < 2


def test_images_of_breathing_are_the_means_of_its_phases(breathing):
    names = ["activity", "hu"]
    images = breathing.images(GRID, 1, names)
    each = [breathing.at(way).images(GRID, 1, names) for way in phases(16.0)]
    for name in names:
        mean = np.mean([image[name] for image in each], axis=0)
        np.testing.assert_allclose(images[name], mean, rtol=1e-4, atol=0.05)


def test_labels_are_those_of_end_expiration(still, breathing):
    np.testing.assert_array_equal(
        breathing.images(GRID, 1, ["labels"])["labels"], still.images(GRID, 1, ["labels"])["labels"]
    )


def test_the_liver_moves_with_the_diaphragm_and_the_spine_does_not(still, breathing):
    deep = breathing.at(16.0)
    moved = np.array([
        np.subtract(after.solid.extent[2], before.solid.extent[2])
        for before, after in zip(still.regions, deep.regions, strict=True)
    ])
    names = [region.name for region in still.regions]
    np.testing.assert_allclose(moved[names.index("liver")], 16.0, atol=1e-9)
    assert (moved[[name == "bone" for name in names]] == 0).all()
