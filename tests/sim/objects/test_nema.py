import numpy as np
import pytest

from recon import Grid
from sim.objects.nema import nema_iq, nema_scatter, nema_sensitivity

SPHERES = [f"sphere {diameter} mm" for diameter in (10, 13, 17, 22, 28, 37)]


def at(phantom, x, y, z):
    """Region name and activity at a point."""
    grid = Grid.centred(shape=(1, 1, 1), voxel_mm=(0.02,) * 3, centre_mm=(x, y, z))
    images = phantom.images(grid, 1)
    label = images["labels"].item()
    return (phantom.names[label - 1] if label else "air"), images["activity"].item()


def test_spheres_lie_on_a_circle_of_114_4_mm_in_one_plane_70_mm_from_the_lid():
    phantom = nema_iq()
    centres = np.array([phantom.find(name)[0].solid.centre_mm for name in SPHERES])
    np.testing.assert_allclose(np.hypot(centres[:, 0], centres[:, 1]), 57.2)
    low, high = phantom.find("background")[0].solid.extent[2]
    np.testing.assert_allclose(high - centres[:, 2], 70)
    assert high - low == 180


def test_spheres_stand_60_degrees_apart_by_size_and_that_of_17_mm_on_the_horizontal_axis():
    phantom = nema_iq()
    centres = np.array([phantom.find(name)[0].solid.centre_mm for name in SPHERES])
    angles = np.degrees(np.arctan2(centres[:, 1], centres[:, 0]))
    np.testing.assert_allclose(np.diff(angles) % 360, 60)
    np.testing.assert_allclose(centres[2], [57.2, 0, 0])


def test_the_circles_centre_is_35_mm_in_front_of_the_arcs_and_halfway_up_the_outline():
    phantom = nema_iq()
    body = phantom.find("wall")[0].solid
    assert body.centre_mm[:2] == (0, 35)
    assert body.extent[1] == (-115, 115)
    assert body.extent[0] == (-150, 150)


def test_the_body_is_147_mm_round_in_front_and_has_corners_of_77_mm_behind():
    phantom = nema_iq()
    for x, y, inside in (
        (0, 35 - 146.9, True),
        (0, 35 - 147.1, False),
        (146.9, 34.9, True),
        (147.1, 35, False),
        (70 + 77 * 0.707, 35 + 77 * 0.707, True),
        (70 + 77 * 0.709, 35 + 77 * 0.709, False),
        (69, 35 + 76.9, True),
        (-70, 35 + 77.1, False),
    ):
        assert at(phantom, x, y, -50) == (("background", 5300) if inside else ("wall", 0)), (x, y)


def test_the_lung_insert_of_50_mm_leads_from_end_to_end_and_is_light_and_cold():
    phantom = nema_iq()
    for z in (-109.9, 0, 69.9):
        assert at(phantom, 0, 0, z) == ("lung insert", 0)
        assert at(phantom, 24.9, 0, z) == ("lung insert wall", 0)
        assert at(phantom, 0, -25.1, z) == ("background", 5300)
    assert at(phantom, 0, 0, -110.1) == at(phantom, 0, 0, 70.1) == ("wall", 0)
    lung = phantom.find("lung insert")[0].material
    assert lung.mu_per_cm == pytest.approx(0.3 * 0.096, rel=0.05)  # 0.30 g/mL
    assert -760 < lung.hu < -680


def test_spheres_have_walls_of_1_mm():
    phantom = nema_iq()
    assert at(phantom, -57.2 + 18.4, 0, 0) == ("sphere 37 mm", 21200)
    assert at(phantom, -57.2 + 18.6, 0, 0) == ("sphere 37 mm, wall", 0)
    assert at(phantom, -57.2 + 19.6, 0, 0) == ("background", 5300)


@pytest.mark.parametrize(("edition", "cold"), [(2018, []), (2012, SPHERES[4:])])
def test_which_spheres_are_hot_depends_on_the_edition(edition, cold):
    phantom = nema_iq(edition=edition, contrast=8)
    activity = {region.name: region.activity_bq_ml for region in phantom.lesions}
    assert list(activity) == SPHERES
    assert [name for name, value in activity.items() if value == 0] == cold
    assert {value for value in activity.values() if value} == {8 * 5300}


def test_the_scatter_line_lies_45_mm_below_the_axis_in_a_hole():
    phantom = nema_scatter()
    assert at(phantom, 0, 45, 349)[0] == "line"
    assert at(phantom, 0, 45 + 2.0, 0)[0] == "tube"
    assert at(phantom, 0, 45 + 3.0, 0)[0] == "hole"
    assert at(phantom, 0, 45 + 3.3, 0)[0] == at(phantom, 0, 101.4, 0)[0] == "cylinder"
    assert at(phantom, 0, 101.6, 0)[0] == at(phantom, 0, 45, 351)[0] == "air"


def test_a_table_lies_under_the_scatter_phantom():
    phantom = nema_scatter(table_mm=12)
    assert at(phantom, 199, 101.6, 0)[0] == at(phantom, 0, 113.4, 0)[0] == "table"
    assert at(phantom, 0, 113.6, 0)[0] == at(phantom, 201, 102, 0)[0] == "air"


@pytest.mark.parametrize("sleeves", [1, 3, 5])
def test_each_sleeve_adds_2_5_mm_of_aluminium_around_the_line(sleeves):
    phantom = nema_sensitivity(sleeves=sleeves, y_mm=100)
    radii = np.arange(0.005, 12, 0.01)
    names = [at(phantom, 0, 100 + radius, 0)[0] for radius in radii]
    assert names.count("sleeve") * 0.01 == pytest.approx(1.25 * sleeves, abs=0.02)
    assert names.count("line") * 0.01 == pytest.approx(0.5, abs=0.02)


def test_sensitivity_sleeves_hang_where_they_are_hung():
    expected = [(30 - 9.55, 30 + 9.55), (-40 - 9.55, -40 + 9.55), (-350, 350)]
    np.testing.assert_allclose(nema_sensitivity(x_mm=30, y_mm=-40).extent, expected)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (nema_iq, {"edition": 2019}, "edition takes 2012 or 2018, got 2019"),
        (nema_iq, {"contrast": -1}, "contrast takes a number of 0 or more, got -1"),
        (nema_iq, {"contrast": "hot"}, "contrast takes a number of 0 or more, got 'hot'"),
        (nema_iq, {"contrast": float("nan")}, "contrast takes a number"),
        (nema_sensitivity, {"sleeves": 6}, "sleeves takes 1 to 5, got 6"),
        (nema_scatter, {"table_mm": 300}, "table_mm takes a number from 0 to 200, got 300"),
    ],
)
def test_values_that_make_no_phantom_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
