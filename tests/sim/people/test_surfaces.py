import numpy as np
import pytest

from sim.people.combined import Between, Common, Grown, Moved, Outside, Union
from sim.people.fields import SmoothField
from sim.people.shaping import curve, of_volume, tube, turned, volume_ml
from sim.people.surfaces import Cone, Half, Loft

BALL = turned((3, -4, 5), (20, 20, 20))
LONG = turned((0, 0, 0), (40, 15, 10), (30, 20, 50))
BENT = tube([(0, 0, 0), (30, 10, 0), (40, 40, 30)], (8, 10, 5), 9)
FLAT = Loft(
    z_mm=np.array([-30.0, 0, 30]), middle_mm=np.zeros(3), half_mm=np.array([20.0, 40, 30]),
    front_mm=np.full(3, -15.0), back_mm=np.full(3, 25.0),
)
BUMPY = Grown(solid=BALL, by_mm=2.0, bumps_mm=1.5,
              field=SmoothField.draw(np.random.default_rng(0), 12.0))
SOLIDS = {
    "blob": LONG,
    "box": turned((0, 0, 0), (30, 20, 10), (0, 0, 35), power=6.0),
    "tube": BENT,
    "loft": FLAT,
    "bumpy ball": BUMPY,
    "rounded union": Union(parts=(BALL, turned((30, 0, 0), (20, 15, 15))), rounding_mm=10.0),
    "cut": Common(parts=(BALL, Outside(solid=LONG)), rounding_mm=4.0),
    "moved": Moved(solid=BALL, by_mm=12.0),
    "between": Between(solid=BALL, z_mm=(0.0, 12.0)),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_no_point_of_a_solid_lies_out_of_its_extent(name):
    solid = SOLIDS[name]
    axes = [np.arange(low - 15.5, high + 15, 1.5) for low, high in solid.extent]
    inside = solid.contains(*np.meshgrid(*axes, indexing="ij"))
    assert inside.any()
    for axis, at, (low, high) in zip(axes, np.where(inside), solid.extent, strict=True):
        assert low - 1e-3 <= axis[at].min() and axis[at].max() <= high + 1e-3


@pytest.mark.parametrize("name", SOLIDS)
def test_an_open_mesh_holds_the_points_that_single_points_hold(name):
    axes = [np.arange(low, high, 2.1) for low, high in SOLIDS[name].extent]
    mesh = SOLIDS[name].contains(*np.ix_(*axes))
    np.testing.assert_array_equal(mesh, SOLIDS[name].contains(*np.meshgrid(*axes, indexing="ij")))


def test_a_turned_ellipsoid_holds_four_thirds_pi_abc():
    assert volume_ml(LONG, 1.0) == pytest.approx(4 / 3 * np.pi * 40 * 15 * 10 / 1000, rel=0.01)


def test_a_turn_about_z_leads_from_x_to_y():
    blob = turned((0, 0, 0), (30, 5, 5), (0, 0, 45))
    assert blob.contains(15.0, 15.0, 0.0) and not blob.contains(15.0, -15.0, 0.0)


def test_a_cone_of_even_radius_is_a_cylinder_with_two_half_balls():
    cone = Cone(ends_mm=((0, 0, 0), (0, 30, 40)), radii_mm=(10.0, 10.0))
    expected = np.pi * 10**2 * 50 + 4 / 3 * np.pi * 10**3
    assert volume_ml(cone, 0.8) == pytest.approx(expected / 1000, rel=0.01)


def test_a_loft_of_power_2_is_an_elliptic_cylinder():
    loft = Loft(
        z_mm=np.array([-20.0, 20.0]), middle_mm=np.zeros(2), half_mm=np.full(2, 30.0),
        front_mm=np.full(2, -10.0), back_mm=np.full(2, 10.0), power=2.0,
    )
    assert volume_ml(loft, 1.0) == pytest.approx(np.pi * 30 * 10 * 40 / 1000, rel=0.01)


def test_the_level_of_a_ball_is_the_distance_to_its_surface():
    assert float(BALL.level(3.0, -4.0, 5.0 + 26, 30.0)) == pytest.approx(6.0, abs=1e-4)
    grown = Grown(solid=BALL, by_mm=2.0)
    assert float(grown.level(3.0, -4.0, 5.0 + 26, 30.0)) == pytest.approx(4.0, abs=1e-4)


def test_rounding_fills_the_joint_of_two_balls_and_takes_off_an_edge():
    parts = BALL, turned((35, -4, 5), (20, 20, 20))
    round_joint, sharp = (Union(parts=parts, rounding_mm=mm) for mm in (12.0, 0.0))
    assert volume_ml(round_joint, 1.0) > 1.003 * volume_ml(sharp, 1.0)
    halves = BALL, Half(point_mm=(3, -4, 5), normal=(0.0, 0.0, 1.0))
    assert volume_ml(Common(parts=halves, rounding_mm=8.0), 1.0) < 0.49 * volume_ml(BALL, 1.0)


def test_a_solid_of_a_volume_has_that_volume():
    solid = of_volume(lambda s: turned((0, 0, 0), (30 * s, 20 * s, 10 * s)), 20.0)
    assert volume_ml(solid, 0.8) == pytest.approx(20.0, rel=0.03)


def test_a_curve_goes_through_its_ends_and_evenly_spaced_points_of_a_line_stay_there():
    line = np.linspace((0, 0, 0), (30, 60, 90), 4)
    np.testing.assert_allclose(curve(line, 7), np.linspace((0, 0, 0), (30, 60, 90), 7), atol=1e-9)
