import numpy as np
import pytest

from recon.grid import Grid
from sim.brain_fields import Lattice, LevelSet, Waves, depth, smooth_maximum, smooth_minimum
from sim.shapes import Ellipsoid, Intersection, paint


def ball(radius, step_mm=1.5):
    """The depth in a ball at the origin, on a Lattice."""
    lattice = Lattice.over(((-20, 20),) * 3, step_mm)
    x, y, z = lattice.axes
    return lattice.like(radius - np.sqrt(x**2 + y**2 + z**2))


def test_a_lattice_gives_a_linear_field_back_between_its_points():
    lattice = Lattice.over(((-3, 9), (0, 5), (-2, 2)), 0.7)
    x, y, z = lattice.axes
    field = lattice.like(2 * x - 3 * y + z + 1)
    at = np.random.default_rng(0).uniform((-3, 0, -2), (9, 5, 2), (50, 3)).T
    np.testing.assert_allclose(field(*at), 2 * at[0] - 3 * at[1] + at[2] + 1, atol=1e-4)


def test_points_of_a_box_and_points_one_by_one_have_the_same_field():
    lattice = Lattice.over(((-3, 9), (0, 5), (-2, 2)), 0.7)
    values = np.random.default_rng(1).standard_normal(lattice.values.shape)
    field = lattice.like(values)
    axes = np.linspace(-5, 11, 23), np.linspace(-1, 6, 9), np.linspace(-3, 3, 11)
    box = field(*np.ix_(*axes))
    one_by_one = field(*(c.ravel() for c in np.meshgrid(*axes, indexing="ij")))
    np.testing.assert_allclose(box.ravel(), one_by_one, atol=1e-5)


def test_a_lattice_cannot_be_changed():
    field = ball(9)
    with pytest.raises(ValueError, match="read-only"):
        field.values[0, 0, 0] = 1


def test_a_level_set_of_a_balls_depth_is_the_ball():
    grid = Grid.centred(shape=(40, 40, 40), voxel_mm=(0.5,) * 3)
    (image,) = paint([LevelSet(field=ball(11, 0.75), level=2.5)], [[1.0]], grid, 2)
    assert image.sum() * 0.125 == pytest.approx(4 / 3 * np.pi * 8.5**3, rel=0.01)


def test_a_level_sets_extent_holds_it():
    solid = LevelSet(field=ball(11), level=2.0)
    for low, high in solid.extent:
        assert -9 - 2 * 1.5 <= low <= -9
        assert 9 <= high <= 9 + 2 * 1.5


def test_a_level_set_is_cut_by_another_solid():
    near = Ellipsoid(centre_mm=(5, 0, 0), radii_mm=(6, 6, 6))
    both = Intersection(solids=(LevelSet(field=ball(8)), near))
    inside = both.contains(np.array([-3.0, 2.0, 7.0, 9.0]), np.zeros(4), np.zeros(4))
    assert inside.tolist() == [False, True, True, False]
    assert both.extent[0][0] == -1


def test_depth_finds_a_balls_surface_between_the_points():
    lattice = Lattice.over(((-20, 20),) * 3, 2.0)
    x, y, z = lattice.axes
    distance = 12.3 - np.sqrt(x**2 + y**2 + z**2)
    found = depth((distance * (3 + 0.05 * x)).astype(np.float32), 2.0)
    near = np.abs(distance) < 4
    np.testing.assert_allclose(found[near], distance[near], atol=0.3)
    assert np.abs(found - distance)[near].mean() < 0.05


def test_a_smooth_minimum_is_the_minimum_away_from_where_both_are_equal():
    a, b = np.array([0.0, 5.0, 2.0]), np.array([9.0, 1.0, 2.0])
    np.testing.assert_allclose(smooth_minimum(a, b, 4.0), [0, 1, 1])  # 2 - 4 / 4 where equal
    np.testing.assert_allclose(smooth_maximum(a, b, 4.0), [9, 5, 3])


def test_waves_have_mean_nought_and_standard_deviation_one():
    rng = np.random.default_rng(2)
    at = np.linspace(0, 2000, 4000)
    values = [Waves.random(rng, 20, count=40)(at, 0, 0) for _ in range(40)]
    assert np.mean(values) == pytest.approx(0, abs=0.03)
    assert np.mean(np.square(values)) == pytest.approx(1, abs=0.1)
