import numpy as np
import pytest

from benchmarks.regions import Regions, eroded
from recon.grid import Grid
from sim import dataset_file
from sim.dataset import open_study
from tests.benchmarks.quality_study import write_study

GRID = Grid.centred(shape=(21, 21, 21), voxel_mm=(4.0, 4.0, 4.0))
NAMES = ("air", "fat", "liver", "lesion 1")


def lesions(*rows):
    return np.array(
        [(name.encode(), label, 9.0, volume, centre, inside)
         for name, label, volume, centre, inside in rows], dataset_file.LESIONS)


def regions(labels, rows=(), truth=None):
    truth = np.array([0.0, 1.0, 3.0, 9.0], np.float32)[labels] if truth is None else truth
    return Regions.from_labels(truth, labels, NAMES, lesions(*rows), GRID)


@pytest.fixture
def labels():
    """An organ of 13 voxels' sides in fat."""
    found = np.ones(GRID.shape, np.uint16)
    found[4:17, 4:17, 4:17] = 2
    found[0] = 0
    return found


def test_the_body_is_all_that_is_not_air(labels):
    assert np.array_equal(regions(labels).body, labels > 0)


def test_an_organs_inside_ends_more_than_8_mm_from_where_it_does(labels):
    found = regions(labels)
    expected = np.zeros(GRID.shape, bool)
    expected[6:15, 6:15, 6:15] = True  # 12 mm and more from the first voxel beyond
    assert np.array_equal(found.inside, expected)


def test_noise_is_measured_in_the_liver_or_else_in_the_largest_organ(labels):
    assert regions(labels).uniform == "liver"
    labels[labels == 2] = 1
    assert regions(labels).uniform == "fat"


def test_the_end_of_the_image_is_an_organs_end():
    inside = eroded(np.ones((9, 9, 9), bool), (4.0, 4.0, 4.0), 8.0)
    assert inside[2:7, 2:7, 2:7].all() and inside.sum() == 5**3


def test_organs_with_hardly_any_activity_or_too_small_are_left_out(labels):
    labels[0, :2, :2] = 3  # no lesion: a small organ of 0.26 mL
    assert set(regions(labels).organs) == {"fat", "liver"}
    truth = np.where(labels == 2, np.float32(0.1), np.float32(1))
    assert set(regions(labels, truth=truth).organs) == {"fat"}


def test_air_in_the_body_is_no_organ(labels):
    names = ("air", "fat", "air", "lesion 1")
    found = Regions.from_labels(np.ones(GRID.shape, np.float32), labels, names, lesions(), GRID)
    assert set(found.organs) == {"fat"} and found.body[10, 10, 10]


def test_a_lesions_background_is_its_hosts_tissue_8_to_24_mm_away(labels):
    labels[10, 10, 10] = 3
    found = regions(labels, [("lesion 1", 3, 0.064, (0.0, 0.0, 0.0), 1.0)]).lesions[0]
    away = np.sqrt(sum(np.ix_(*(GRID.centres(axis) ** 2 for axis in range(3)))))
    expected = (away >= 8) & (away <= 24) & (labels == 2)
    assert np.array_equal(found.background, expected)
    assert found.mask.sum() == 1
    assert found.diameter_mm == pytest.approx((6 * 64 / np.pi) ** (1 / 3), abs=1e-3)


def test_a_background_holds_no_other_lesions_blur(labels):
    labels[10, 10, 10] = 3
    rows = [("lesion 1", 3, 0.064, (0.0, 0.0, 0.0), 1.0),
            ("lesion 2", 4, 0.01, (16.0, 0.0, 0.0), 1.0)]
    first = regions(labels, rows).lesions[0]
    assert not first.background[13:16, 10, 10].any()


def test_a_thin_wall_around_a_lesion_is_not_its_background(labels):
    labels[9:12, 9:12, 9:12] = 1
    labels[10, 10, 10] = 3
    found = regions(labels, [("lesion 1", 3, 0.064, (0.0, 0.0, 0.0), 1.0)]).lesions[0]
    assert (labels[found.background] == 2).all()


def test_a_lesion_without_enough_tissue_around_has_no_background():
    labels = np.zeros(GRID.shape, np.uint16)
    labels[9:12, 9:12, 9:12] = 2
    labels[10, 10, 10] = 3
    rows = [("lesion 1", 3, 0.064, (0.0, 0.0, 0.0), 1.0)]
    assert regions(labels, rows).lesions[0].background is None


def test_a_lesion_between_voxels_middles_is_the_voxel_it_lies_in(labels):
    found = regions(labels, [("lesion 1", 3, 0.01, (8.0, 0.5, -3.0), 1.0)]).lesions[0]
    assert np.argwhere(found.mask).tolist() == [[12, 10, 9]] and found.at == (12, 10, 9)


def test_a_lesion_that_the_images_cut_off_is_left_out(labels):
    assert regions(labels, [("lesion 1", 3, 1.0, (42.0, 0.0, 0.0), 0.5)]).lesions == []


def test_regions_of_a_stored_phantom_are_those_of_its_labels(tmp_path):
    with open_study(write_study(tmp_path)) as data:
        found = Regions.of(data, 2)
    assert set(found.organs) == {"muscle", "liver"} and found.uniform == "liver"
    assert [lesion.diameter_mm for lesion in found.lesions] == [24.0, 10.0]
