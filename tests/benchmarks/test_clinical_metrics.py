import numpy as np
import pytest
from scipy import ndimage

from benchmarks.clinical_metrics import (
    ball,
    coefficient_of_variation,
    contrast_recovery,
    false_spots,
    lesion_biases,
    lost_lesions,
    organ_biases,
    suv,
)
from benchmarks.regions import Regions
from recon.grid import Grid
from sim import dataset_file

GRID = Grid.centred(shape=(31, 31, 31), voxel_mm=(4.0, 4.0, 4.0))
VOXEL = GRID.voxel_mm


@pytest.fixture
def regions():
    """A liver of 2000 Bq/mL with a lesion of 5 voxels' sides and 8000, in 1000 of fat."""
    labels = np.ones(GRID.shape, np.uint16)
    labels[5:26, 5:26, 5:26] = 2
    labels[13:18, 13:18, 13:18] = 3
    truth = np.array([0.0, 1000.0, 2000.0, 8000.0], np.float32)[labels]
    lesions = np.array([(b"lesion 1", 3, 8000.0, 8.0, (0.0, 0.0, 0.0), 1.0)],
                       dataset_file.LESIONS)
    return Regions.from_labels(truth, labels, ("air", "fat", "liver", "lesion 1"), lesions, GRID)


def test_a_ball_of_1_ml_weighs_as_much_as_16_voxels_of_4_mm():
    weights = ball(1.0, VOXEL)
    assert weights.sum() == pytest.approx(1)
    assert 1 / weights.max() == pytest.approx(1000 / 64, rel=0.01)  # of whole voxels
    assert all(n % 2 for n in weights.shape)


def test_a_ball_in_flat_voxels_has_the_balls_moments():
    weights = ball(20.0, (2.0, 4.0, 6.0))
    radius = (3000 * 20 / (4 * np.pi)) ** (1 / 3)
    for axis, side in enumerate((2.0, 4.0, 6.0)):
        at = (np.arange(weights.shape[axis]) - weights.shape[axis] // 2) * side
        others = tuple(a for a in range(3) if a != axis)
        variance = weights.sum(axis=others) @ at**2
        # A ball's is radius^2 / 5; a voxel's own extent adds side^2 / 12.
        assert variance == pytest.approx(radius**2 / 5 + side**2 / 12, rel=0.03)


def test_suvs_of_one_hot_voxel():
    image = np.zeros(GRID.shape, np.float32)
    image[15, 15, 15] = 1000
    mask = np.zeros(GRID.shape, bool)
    mask[14:17, 15, 15] = True
    found = suv(image, mask, ball(1.0, VOXEL))
    assert found["mean"] == pytest.approx(1000 / 3) and found["max"] == 1000
    assert found["peak"] == pytest.approx(1000 * 64 / 1000, rel=0.01)  # 64 of 1000 mm3


def test_the_peak_of_a_large_uniform_lesion_is_its_activity(regions):
    assert suv(regions.truth, regions.lesions[0].mask, ball(1.0, VOXEL))["peak"] == pytest.approx(
        8000, rel=1e-6)


def test_the_truth_has_no_bias_and_all_of_its_contrast(regions):
    row = lesion_biases(regions.truth, regions)[0]
    assert [row[name] for name in ("suvmean", "suvmax", "suvpeak")] == pytest.approx([0] * 3)
    assert row["recovery"] == pytest.approx(1) and row["peak_recovery"] == pytest.approx(1)
    assert organ_biases(regions.truth, regions) == pytest.approx({"fat": 0, "liver": 0})


def test_biases_and_recovery_of_a_halved_lesion(regions):
    image = regions.truth.copy()
    image[regions.lesions[0].mask] = 5000
    row = lesion_biases(image, regions)[0]
    assert row["suvmean"] == pytest.approx(-3 / 8)
    assert row["recovery"] == pytest.approx((5000 / 2000 - 1) / (8000 / 2000 - 1))


def test_contrast_recovery_of_a_cold_sphere_is_of_its_depth():
    assert contrast_recovery(0.5, 1.0, 0.0, 1.0) == pytest.approx(0.5)


@pytest.mark.parametrize("values", [(2, 0, 2, 1), (2, -1, 2, 1), (2, 1, 1, 1)])
def test_contrast_without_a_background_or_a_true_contrast_is_not_told(values):
    assert contrast_recovery(*values) is None


def test_a_bias_of_an_organ_is_relative_to_its_true_mean(regions):
    image = regions.truth.copy()
    image[regions.organs["liver"]] *= 1.1
    found = organ_biases(image, regions)
    assert found["liver"] == pytest.approx(0.1, rel=1e-4) and found["fat"] == 0


def test_variation_is_that_of_the_noise_and_not_of_the_organs_own_pattern(regions, rng):
    pattern = (1 + 0.3 * np.sin(np.arange(31)))[:, None, None].astype(np.float32)
    regions.truth[...] *= pattern
    assert coefficient_of_variation(regions.truth, regions) == pytest.approx(0, abs=1e-6)
    image = regions.truth * (1 + 0.2 * rng.normal(size=GRID.shape))
    assert coefficient_of_variation(image, regions) == pytest.approx(0.2, rel=0.05)
    assert coefficient_of_variation(-image, regions) is None  # it would be the least of all


def spot(image, at, activity):
    """The image with a ball of 12 mm there that replaces what was."""
    x, y, z = np.ix_(*(GRID.centres(axis) - GRID.centres(axis)[i] for axis, i in enumerate(at)))
    return np.where(x**2 + y**2 + z**2 <= 8**2, np.float32(activity), image)


def test_the_truth_has_no_false_spots_nor_has_what_is_blurred(regions):
    assert false_spots(regions.truth, regions) == 0
    assert false_spots(ndimage.gaussian_filter(regions.truth, 1.5), regions) == 0


def test_each_invented_spot_is_counted_once(regions):
    image = spot(spot(regions.truth, (8, 8, 8), 8000), (22, 22, 8), 8000)
    assert false_spots(image, regions) == 2


def test_a_spot_that_rises_by_less_than_the_bodys_mean_is_none(regions):
    mean = regions.truth.mean()
    assert false_spots(spot(regions.truth, (8, 8, 8), 2000 + 0.8 * mean), regions) == 0
    assert false_spots(spot(regions.truth, (8, 8, 8), 2000 + 2.0 * mean), regions) == 1


def test_a_hot_lesion_where_there_is_one_is_no_false_spot(regions):
    assert false_spots(spot(regions.truth, (15, 15, 15), 8000), regions) == 0


def test_a_lesion_that_is_smoothed_away_is_lost(regions):
    def lost(activity):
        image = np.where(regions.lesions[0].mask, np.float32(activity), regions.truth)
        return lost_lesions(lesion_biases(image, regions))

    assert lost(2000 + 0.3 * 6000) == 0 and lost(2000 + 0.2 * 6000) == 1
    assert lost_lesions([]) is None
