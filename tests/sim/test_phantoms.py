import numpy as np
import pytest

from recon import Grid, Scanner
from sim.materials import MATERIALS
from sim.phantoms import Phantom, Region
from sim.shapes import Cylinder, Ellipsoid, paint
from sim.torso import torso

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


def test_fractions_of_all_regions_lie_in_0_to_1_and_add_up_to_1_inside_the_body():
    phantom = torso(1)
    grid = Grid.centred(shape=(50, 40, 20), voxel_mm=(8, 8, 10))
    names = phantom.names
    total = np.zeros(grid.shape)
    for name in names:
        fraction = phantom.fraction(name, grid)
        assert fraction.min() >= 0 and fraction.max() <= 1
        total += fraction
    assert total.max() <= 1 + 1e-5
    assert total[25, 20].min() >= 1 - 1e-5


def test_the_torso_has_the_same_activity_on_other_grids():
    phantom = torso(1)
    totals = []
    for shape, voxel_mm in [((200, 136, 66), (2, 2, 3)), ((57, 39, 18), (7, 7, 11))]:
        grid = Grid.centred(shape=shape, voxel_mm=voxel_mm)
        totals.append(phantom.activity(grid).sum(dtype=float) * np.prod(voxel_mm))
    assert totals[1] == pytest.approx(totals[0], rel=2e-3)


def test_the_liver_holds_its_activity_and_attenuation_where_nothing_else_is():
    phantom = torso(1)
    grid = Grid.centred(shape=(1, 1, 1), voxel_mm=(4, 4, 4), centre_mm=(-110, 20, 55))
    assert phantom.activity(grid).item() == pytest.approx(11000.0)
    assert phantom.mu_per_cm(grid).item() == pytest.approx(0.099)


def test_one_seed_gives_one_torso_and_another_seed_another():
    assert torso(5) == torso(5)
    assert torso(5) != torso(6)


@pytest.mark.parametrize("seed", range(6))
def test_every_lesion_lies_whole_within_the_torso_and_the_scanner(seed):
    phantom = torso(seed)
    reach = Scanner.preset("demo").rings * Scanner.preset("demo").ring_spacing_mm / 2
    body = phantom.find("muscle")[0].solid
    for number in range(1, 7):
        (region,) = phantom.find(f"lesion {number}")
        extent = np.array(region.solid.extent)
        assert np.abs(extent[2]).max() < reach
        assert body.contains(*np.meshgrid(*extent)).all()
        near = Grid.centred(shape=(40,) * 3, voxel_mm=(1,) * 3, centre_mm=region.solid.centre_mm)
        whole = 4 / 3 * np.pi * region.solid.radii_mm[0] ** 3
        seen = phantom.fraction(region.name, near).sum(dtype=float)
        assert seen == pytest.approx(whole, rel=0.02)


def test_an_unknown_region_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"'torso' takes a name out of fat, .*, got 'brain'"):
        torso(0).find("brain")


def test_a_solid_without_extent_is_refused():
    with pytest.raises(ValueError, match=r"Cylinder takes positive radii_mm, got \(1, 0, 1\)"):
        Cylinder(centre_mm=(0, 0, 0), radii_mm=(1, 0, 1))


def test_air_is_minus_1000_hu_and_labels_count_regions_from_1():
    phantom = Phantom(name="two", regions=(ball("outer", 40, 1.0), ball("inner", 20, 5.0)))
    images = phantom.images(GRID)
    middle, corner = tuple(n // 2 for n in GRID.shape), (0, 0, 0)
    assert [images["hu"][at] for at in (corner, middle)] == [-1000, 0]
    assert [images["labels"][at] for at in (corner, middle)] == [0, 2]
    assert images["mu_per_cm"][middle] == pytest.approx(0.096)
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
