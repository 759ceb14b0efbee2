import numpy as np
import pytest

from benchmarks.nema_quality import CLEAR_MM, PLACES, background_places, nema_quality
from recon.grid import Grid
from sim.objects.nema import SPHERES_MM, nema_iq

GRID = Grid.centred(shape=(160, 124, 25), voxel_mm=(2.0, 2.0, 2.5))


@pytest.fixture(scope="module")
def phantom():
    return nema_iq()


@pytest.fixture(scope="module")
def activity(phantom):
    return phantom.images(GRID, samples=3, names=("activity",))["activity"]


def test_an_image_of_the_truth_recovers_all_contrast_without_variability(phantom, activity):
    found = nema_quality(activity, GRID, phantom)
    assert [row["diameter_mm"] for row in found["spheres"]] == list(SPHERES_MM)
    # Voxels at the rim hold some wall; of the smallest sphere they are the most.
    lost = [1 - row["recovery"] for row in found["spheres"]]
    assert all(0 < one < 0.35 for one in lost) and lost == sorted(lost, reverse=True)
    assert [row["variability"] for row in found["spheres"]] == pytest.approx([0] * 6, abs=1e-5)
    assert found["lung_residual"] == pytest.approx(0, abs=1e-6)


def test_half_of_the_contrast_over_the_background_is_half_of_the_recovery(phantom, activity):
    whole = nema_quality(activity, GRID, phantom)
    half = nema_quality(5300 + 0.5 * (activity - 5300), GRID, phantom)
    for row, halved in zip(whole["spheres"], half["spheres"], strict=True):
        assert halved["recovery"] == pytest.approx(0.5 * row["recovery"], rel=1e-4)
    assert half["lung_residual"] == pytest.approx(0.5, rel=1e-4)


def test_a_cold_sphere_filled_to_a_third_recovers_two_thirds():
    phantom = nema_iq(edition=2012)
    image = np.full(GRID.shape, 5300.0, np.float32)
    low, high = np.array(phantom.lesions[-1].solid.extent).T
    x, y, z = np.ix_(*(GRID.centres(axis) - m for axis, m in enumerate((low + high) / 2)))
    image[x**2 + y**2 + z**2 < 25**2] /= 3
    found = nema_quality(image, GRID, phantom)["spheres"][-1]
    assert found["diameter_mm"] == 37 and found["recovery"] == pytest.approx(2 / 3, rel=1e-5)


def test_variability_falls_with_the_discs_size_as_white_noise_has_it(phantom, rng):
    image = (5300 * (1 + 0.5 * rng.normal(size=GRID.shape))).astype(np.float32)
    for row in nema_quality(image, GRID, phantom)["spheres"]:
        pixels = np.pi / 4 * row["diameter_mm"] ** 2 / 4
        # Of 60 discs, less where they overlap; the rim's pixels count in part.
        assert row["variability"] == pytest.approx(0.5 / np.sqrt(pixels), rel=0.35)


def test_an_image_of_nothing_has_no_recovery(phantom):
    with np.errstate(invalid="ignore"):
        found = nema_quality(np.zeros(GRID.shape, np.float32), GRID, phantom)
    assert [row["recovery"] for row in found["spheres"]] == [None] * 6


def test_places_keep_clear_of_edge_spheres_and_insert(phantom):
    places = background_places(phantom)
    assert places.shape == (PLACES, 2)
    body = phantom.find("background")[0].solid
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        rim = places + (CLEAR_MM + 18.0) * np.array([np.cos(angle), np.sin(angle)])
        assert body.contains(rim[:, 0], rim[:, 1], np.zeros(len(rim))).all()
        for region in phantom.lesions:
            assert not region.solid.contains(rim[:, 0], rim[:, 1], np.zeros(len(rim))).any()
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert apart[~np.eye(PLACES, dtype=bool)].min() > 25


def test_an_image_that_does_not_reach_the_outer_slices_is_refused(phantom):
    grid = Grid.centred(shape=(160, 124, 4), voxel_mm=(2.0, 2.0, 4.0))
    with pytest.raises(ValueError, match="takes an image with slices at"):
        nema_quality(np.ones(grid.shape, np.float32), grid, phantom)
