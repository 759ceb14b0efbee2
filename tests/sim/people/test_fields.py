import numpy as np
import pytest

from sim.people.fields import SmoothField

AXES = [np.linspace(-90, 120, 9), np.linspace(-50, 33, 7), np.linspace(-200, 10, 11)]


def field(seed=3, spacing=(20.0, 15.0, 25.0), size=(8, 9, 10)):
    return SmoothField.draw(np.random.default_rng(seed), spacing, size)


def test_an_open_mesh_gives_what_single_points_give():
    points = np.meshgrid(*AXES, indexing="ij")
    np.testing.assert_allclose(field()(*np.ix_(*AXES)), field()(*points), atol=1e-5)


def test_at_a_lattice_point_three_numbers_along_each_axis_are_weighed_by_1_6_and_1_eighths():
    drawn = field(size=(4, 4, 4))
    weights = np.array([1, 6, 1]) / 8
    near = drawn.lattice[:3, :3, :3]
    expected = np.einsum("xyz,x,y,z", near, weights, weights, weights)
    assert float(drawn(20.0, 15.0, 25.0)) == pytest.approx(expected, abs=1e-6)


def test_many_fields_have_mean_0_and_standard_deviation_1():
    many = field(spacing=10.0, size=(40, 40, 40))
    values = many(*np.ix_(*[np.arange(0, 400, 3.0)] * 3))
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(1, abs=0.05)


def test_a_field_is_never_beyond_its_bound_and_repeats_after_its_lattice():
    values = field()(*np.ix_(*AXES))
    assert np.abs(values).max() <= field().bound
    again = field()(*np.ix_(AXES[0] + 8 * 20, AXES[1] - 9 * 15, AXES[2] + 10 * 25))
    np.testing.assert_allclose(values, again, atol=1e-5)
