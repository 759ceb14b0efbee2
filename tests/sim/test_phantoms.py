import numpy as np
import pytest

from recon import Grid
from sim.materials import MATERIALS
from sim.phantoms import Phantom, Region
from sim.shapes import Cylinder, Ellipsoid, paint

GRID = Grid.centred(shape=(32, 30, 28), voxel_mm=(4, 4.5, 5))


def volume(solid, grid=GRID, samples=3):
    return paint([solid], [[1.0]], grid, samples)[0].sum(dtype=float) * np.prod(grid.voxel_mm)


def ball(name, radius, activity):
    solid = Ellipsoid(centre_mm=(0, 0, 0), radii_mm=(radius,) * 3)
    return Region(
        name=name, solid=solid, activity_bq_ml=activity, material=MATERIALS["water"]
    )


@pytest.mark.parametrize("turn_deg", [0, 35, 90])
def test_an_ellipsoid_fills_four_thirds_pi_abc_however_it_is_turned(turn_deg):
    solid = Ellipsoid(centre_mm=(3, -4, 5), radii_mm=(50, 30, 40), turn_deg=turn_deg)
    assert volume(solid) == pytest.approx(4 / 3 * np.pi * 50 * 30 * 40, rel=0.01)


def test_a_cylinder_fills_pi_abc_and_an_endless_one_the_whole_grid_along_z():
    solid = Cylinder(centre_mm=(0, 0, 0), radii_mm=(50, 30, 40))
    assert volume(solid) == pytest.approx(np.pi * 50 * 30 * 80, rel=0.01)
    endless = Cylinder(centre_mm=(0, 0, 0), radii_mm=(50, 30, float("inf")))
    assert volume(endless) == pytest.approx(np.pi * 50 * 30 * 28 * 5, rel=0.01)


def test_a_turn_of_90_degrees_swaps_the_extent_along_x_and_y():
    solid = Ellipsoid(centre_mm=(1, 2, 3), radii_mm=(50, 30, 40), turn_deg=90)
    np.testing.assert_allclose(solid.extent, [(-29, 31), (-48, 52), (-37, 43)])


def test_a_turn_leads_from_x_towards_y():
    solid = Ellipsoid(centre_mm=(0, 0, 0), radii_mm=(50, 10, 10), turn_deg=45)
    assert solid.contains(30, 30, 0) and not solid.contains(30, -30, 0)


def test_a_voxel_that_a_face_halves_gets_half_the_value():
    # The cylinder's upper end, z = 0, is the middle of the third of five voxels.
    grid = Grid.centred(shape=(1, 1, 5), voxel_mm=(1, 1, 2))
    solid = Cylinder(centre_mm=(0, 0, -50), radii_mm=(9, 9, 50))
    assert paint([solid], [[6.0]], grid, samples=4)[0].ravel().tolist() == [6, 6, 3, 0, 0]


def test_a_later_region_covers_an_earlier_one():
    phantom = Phantom(name="two", regions=(ball("outer", 40, 1.0), ball("inner", 20, 5.0)))
    inner, outer = 4 / 3 * np.pi * 20**3, 4 / 3 * np.pi * 40**3
    total = phantom.activity(GRID).sum(dtype=float) * np.prod(GRID.voxel_mm)
    assert total == pytest.approx(outer + 4 * inner, rel=0.01)
    left = phantom.fraction("outer", GRID).sum(dtype=float) * np.prod(GRID.voxel_mm)
    assert left == pytest.approx(outer - inner, rel=0.01)


def test_a_solid_without_extent_is_refused():
    with pytest.raises(ValueError, match=r"Cylinder takes positive radii_mm, got \(1, 0, 1\)"):
        Cylinder(centre_mm=(0, 0, 0), radii_mm=(1, 0, 1))


def test_air_is_minus_1000_hu_and_labels_count_regions_from_1():
    phantom = Phantom(name="two", regions=(ball("outer", 40, 1.0), ball("inner", 20, 5.0)))
    images = phantom.images(GRID)
    middle, corner = tuple(n // 2 for n in GRID.shape), (0, 0, 0)
    assert [images["hu"][at] for at in (corner, middle)] == [-1000, 0]
    assert [images["labels"][at] for at in (corner, middle)] == [0, 2]
    assert images["mu_per_cm"][middle] == pytest.approx(MATERIALS["water"].mu_per_cm)
    assert images["activity"][corner] == 0


def test_a_phantoms_extent_is_the_box_around_all_that_ends():
    pipe = Cylinder(centre_mm=(5, 0, 0), radii_mm=(50, 10, float("inf")))
    pipe = Region(name="pipe", solid=pipe, activity_bq_ml=0.0, material=MATERIALS["water"])
    phantom = Phantom(name="two", regions=(ball("ball", 30, 1.0), pipe))
    assert phantom.extent == ((-45, 55), (-30, 30), (-30, 30))


def test_a_texture_moves_the_activity_of_the_regions_that_take_it():
    def stripes(x, y, z):
        return np.where(x > 0, 1.0, -1.0) + 0 * (y + z)

    solid = Cylinder(centre_mm=(0, 0, 0), radii_mm=(99, 99, 99))
    region = Region(name="a", solid=solid, activity_bq_ml=100.0, material=MATERIALS["water"],
                    texture=0.1)
    phantom = Phantom(name="a", regions=(region,), texture=stripes)
    assert set(phantom.activity(GRID).ravel().tolist()) == {90.0, 110.0}
