import numpy as np
import pytest

from recon import Grid
from sim.shapes import BodyOutline, Box, Cylinder, Ellipsoid, Intersection, ball, paint, rod

GRID = Grid.centred(shape=(32, 30, 28), voxel_mm=(4, 4.5, 5))


def volume(solid, grid=GRID, samples=3):
    return paint([solid], [[1.0]], grid, samples)[0].sum(dtype=float) * np.prod(grid.voxel_mm)


def test_a_box_fills_the_product_of_its_sides():
    solid = Box(centre_mm=(1, -2, 3), sides_mm=(40, 36, 50))
    assert volume(solid, samples=12) == pytest.approx(40 * 36 * 50, rel=0.005)
    assert solid.extent == ((-19, 21), (-20, 16), (-22, 28))


def test_a_body_outline_is_half_a_circle_two_quarters_and_a_box():
    solid = BodyOutline(centre_mm=(2, -5, 0), radius_mm=50, corner_mm=30, length_mm=60)
    area = np.pi * 50**2 / 2 + 2 * np.pi * 30**2 / 4 + 40 * 30
    assert volume(solid) == pytest.approx(60 * area, rel=0.005)
    assert solid.extent == ((-48, 52), (-55, 25), (-30, 30))


def test_a_body_outlines_extent_is_no_larger_than_it():
    solid = BodyOutline(centre_mm=(0, 0, 0), radius_mm=50, corner_mm=30, length_mm=60)
    for point in ((0, -49.9, 0), (49.9, 0, 0), (-49.9, 0, 29), (20, 29.9, -29.9)):
        assert solid.contains(*point)
    for point in ((0, -50.1, 0), (50.1, 0, 0), (0, 30.1, 0), (0, 0, 30.1), (45, 25, 0)):
        assert not solid.contains(*point)


def test_two_halves_of_a_ball_intersect_in_half_a_ball():
    half = Box(centre_mm=(0, 30, 0), sides_mm=(60, 60, 60))
    solid = Intersection(solids=(ball((0, 0, 0), 50), half))
    assert volume(solid, samples=6) == pytest.approx(np.pi / 6 * 50**3 / 2, rel=0.005)
    assert solid.extent == ((-25, 25), (0, 25), (-25, 25))


def test_three_solids_intersect_where_all_of_them_are():
    boxes = tuple(Box(centre_mm=(10 * n, 0, 0), sides_mm=(40, 20, 20)) for n in range(3))
    grid = Grid.centred(shape=(80, 30, 30), voxel_mm=(1, 1, 1))
    assert volume(Intersection(solids=boxes), grid) == pytest.approx(20 * 20 * 20, rel=1e-6)


@pytest.mark.parametrize(
    "solid",
    [
        Ellipsoid(centre_mm=(0, 0, 0), radii_mm=(2, 3, 4)),
        Cylinder(centre_mm=(0, 0, 0), radii_mm=(2, 3, 4)),
    ],
)
def test_a_solids_own_volume_is_what_it_fills(solid):
    grid = Grid.centred(shape=(5, 7, 9), voxel_mm=(1, 1, 1))
    assert volume(solid, grid, 24) == pytest.approx(solid.volume_mm3, rel=0.002)


@pytest.mark.parametrize("diameter", [1.0, 3.2, 6.0])
@pytest.mark.parametrize("offset", [0.0, 1.1, 1.9])
def test_solids_thinner_than_a_voxel_keep_their_volume_wherever_they_lie(diameter, offset):
    place = offset, -offset / 3, offset / 2
    sphere, line = ball(place, diameter), rod(*place[:2], diameter, (-40, 40))
    assert volume(sphere) == pytest.approx(sphere.volume_mm3, rel=0.01)
    assert volume(line) == pytest.approx(line.volume_mm3, rel=0.01)


def test_a_thin_solid_is_covered_by_what_comes_after_it():
    # A tube of 4 mm in which a line of 2 mm lies: the line's quarter is taken from it.
    tube, line = rod(0.3, 0.2, 4.0, (-40, 40)), rod(0.3, 0.2, 2.0, (-40, 40))
    images = paint([tube, line], [[1.0, 0.0], [0.0, 1.0]], GRID)
    found = [image.sum(dtype=float) * np.prod(GRID.voxel_mm) for image in images]
    assert found == pytest.approx([np.pi * 3 * 80, np.pi * 80], rel=0.005)


def test_a_solid_thicker_than_a_few_voxels_is_painted_as_if_no_thin_one_were_there():
    thick, thin = ball((20, 0, 0), 60), ball((-50, 0, 0), 2)
    alone = paint([thick], [[1.0]], GRID)[0]
    both = paint([thick, thin], [[1.0, 1.0]], GRID)[0]
    np.testing.assert_array_equal(alone[8:], both[8:])
    assert both[:8].max() > 0


def test_with_one_sample_a_voxel_has_the_value_at_its_middle_however_thin_the_solid():
    middle = GRID.centres(0)[3], GRID.centres(1)[4], GRID.centres(2)[5]
    numbers = paint([ball(middle, 1.0)], [[7.0]], GRID, samples=1)[0]
    assert numbers[3, 4, 5] == 7 and np.count_nonzero(numbers) == 1


def test_a_table_that_lacks_a_solid_is_refused():
    with pytest.raises(ValueError, match="one number per solid, 1 in each table"):
        paint([ball((0, 0, 0), 5)], [[1.0, 2.0]], GRID)
