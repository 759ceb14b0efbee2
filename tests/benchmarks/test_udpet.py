import numpy as np
import pytest

from benchmarks.regions import Regions
from benchmarks.udpet import udpet_score
from recon.grid import Grid
from sim import dataset_file

GRID = Grid.centred(shape=(20, 20, 20), voxel_mm=(6.0, 6.0, 6.0))


@pytest.fixture
def regions():
    """Air, muscle and a liver of 2000 to 3000 Bq/mL."""
    labels = np.zeros(GRID.shape, np.uint16)
    labels[2:18, 2:18, 2:18] = 1
    labels[5:15, 5:15, 5:15] = 2
    truth = np.array([0.0, 1000.0, 2000.0], np.float32)[labels]
    truth[labels == 2] += np.linspace(0, 1000, 1000, dtype=np.float32)
    return Regions.from_labels(truth, labels, ("air", "muscle", "liver"),
                               np.empty(0, dataset_file.LESIONS), GRID)


def test_the_score_of_an_image_of_nine_tenths_by_hand(regions):
    reference = regions.truth
    found = udpet_score(0.9 * reference, reference, regions)
    error = 0.1 * np.sqrt(np.mean(reference.astype(float) ** 2))
    assert found["psnr"] == pytest.approx(20 * np.log10(3000 / error), rel=1e-6)
    assert found["nrmse"] == pytest.approx(error / 3000, rel=1e-6)
    # All terms that are told are off by 10 %; their weights are 0.2, 0.2, 0.15 and 3 * 0.05.
    assert found["mape"] == pytest.approx(10 * 0.7 / 10, rel=1e-5)
    assert found["organs"] == ["liver"]
    overall = 0.4 * found["psnr"] + 0.2 * found["ssim"] - 0.4 * found["nrmse"]
    assert found["score"] == pytest.approx(0.5 * overall - 0.5 * found["mape"])


def test_features_that_change_alone_weigh_as_the_challenge_has_them(regions):
    image = regions.truth.copy()
    hottest = np.unravel_index(image.argmax(), image.shape)
    image[hottest] *= 1.5  # SUVmax alone, but for a thousandth of the mean
    found = udpet_score(image, regions.truth, regions)
    assert found["mape"] == pytest.approx(50 * 0.2 / 10, rel=0.02)


def test_without_any_of_its_organs_there_is_no_score(regions):
    regions.organs.pop("liver")
    found = udpet_score(regions.truth * 0.9, regions.truth, regions)
    assert found["score"] is None and found["mape"] is None and found["psnr"] > 0
