"""Pieces of a phantom's file: its scans at low doses, its lesions, and what the grid leaves out."""

from dataclasses import dataclass

import numpy as np
import pytest

from recon import Grid
from sim.acquire import Counts
from sim.dose import Dose, at_dose
from sim.materials import MATERIALS
from sim.phantoms import Phantom, Region
from sim.shapes import Cylinder, Ellipsoid
from sim.study_file import EXAMPLE, read_study
from sim.study_phantom import cut_off, fine_grid, lesion_table, thinned
from tests.sim.studies import write

SHAPE = 8, 10, 12


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What `at_dose` and `thinned` take of an Expected."""

    trues: np.ndarray
    scatter: np.ndarray
    randoms: np.ndarray
    efficiency: np.ndarray


@pytest.fixture
def expected():
    means = {"trues": 30, "scatter": 20, "randoms": 50, "efficiency": 2}
    return Scan(**{name: np.full(SHAPE, mean, np.float32) for name, mean in means.items()})


@pytest.mark.parametrize("mode, randoms", [("time", 50 / 4), ("activity", 50 / 16)])
def test_a_low_dose_scan_is_expected_to_have_its_part_of_each_kind(expected, mode, randoms):
    low = at_dose(expected, Dose(factor=4, mode=mode))
    found = [float(part.mean()) for part in (low.trues, low.scatter, low.randoms, low.efficiency)]
    assert found == pytest.approx([7.5, 5, randoms, 0.5])


@pytest.mark.parametrize("mode", ["time", "activity"])
def test_thinned_counts_are_part_of_the_standard_dose_and_have_the_low_doses_mean(
    expected, rng, mode
):
    dose = Dose(factor=4, mode=mode)
    whole = Counts(prompts=rng.poisson(100, SHAPE).astype(np.float32),
                   delayeds=rng.poisson(50, SHAPE).astype(np.float32))
    kept = thinned(whole, expected, dose, rng)
    low = at_dose(expected, dose)
    for part, all_of_it, mean in (
        (kept.prompts, whole.prompts, low.trues + low.scatter + low.randoms),
        (kept.delayeds, whole.delayeds, low.randoms),
    ):
        assert (part <= all_of_it).all()
        assert abs(part.sum() - mean.sum()) < 4 * np.sqrt(mean.sum())


def test_what_lies_beyond_the_images_sides_is_cut_off_and_what_lies_beyond_its_ends_is_not():
    fine = Grid.centred(shape=(20, 10, 30), voxel_mm=(10, 10, 10))
    grid = Grid.centred(shape=(16, 10, 10), voxel_mm=(10, 10, 10))
    # 16 of 20 voxels of x are inside: 4 / 20 of a flat activity is not.
    assert cut_off(np.ones(fine.shape, np.float32), fine, grid) == pytest.approx(0.2)
    assert cut_off(np.ones(fine.shape, np.float32), fine, fine) == 0


@pytest.mark.parametrize("name, changes, along", [
    ("demo", {}, 3.125),  # its rays are 6.25 mm apart
    ("demo", {"voxel_mm": 12}, 6.25),
    ("demo", {"voxel_mm": 2}, 1),  # half of 6.25 mm would be longer than the image's voxels
    ("mMR", {"subsets": 7}, 2.03125),
])
def test_voxels_that_are_scanned_are_as_long_as_rays_are_apart_or_half_as_long(
    tmp_path, name, changes, along
):
    study = read_study(write(tmp_path, EXAMPLE, scanner=name, **changes))
    solid = Cylinder(centre_mm=(0, 0, 0), radii_mm=(80, 80, 80))
    body = Region(name="body", solid=solid, activity_bq_ml=1e3, material=MATERIALS["water"])
    side = study.reconstruction.voxel_mm / 2
    grid = fine_grid(study, Phantom(name="a", regions=(body,)))
    assert grid.voxel_mm == (side, side, pytest.approx(along))


def test_a_lesions_row_has_its_volume_activity_place_and_label():
    body = Region(name="body", solid=Cylinder(centre_mm=(0, 0, 0), radii_mm=(80, 80, 80)),
                  activity_bq_ml=1e3, material=MATERIALS["water"])
    solid = Ellipsoid(centre_mm=(20, -10, 5), radii_mm=(10, 10, 10))
    lesion = Region(name="lesion 1", solid=solid, activity_bq_ml=9e3, lesion=True,
                    material=MATERIALS["water"])
    grid = Grid.centred(shape=(40, 40, 40), voxel_mm=(5, 5, 5))
    (row,) = lesion_table(Phantom(name="a", regions=(body, lesion)), grid)
    assert row["name"] == b"lesion 1"
    assert row["label"] == 2
    assert row["activity_bq_ml"] == 9e3
    assert row["volume_ml"] == pytest.approx(4 / 3 * np.pi, rel=0.01)
    np.testing.assert_allclose(row["centre_mm"], (20, -10, 5), atol=0.1)
    assert row["inside"] == 1
