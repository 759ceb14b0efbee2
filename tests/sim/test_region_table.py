from math import pi

import numpy as np
import pytest

from recon import Grid
from sim.materials import MATERIALS
from sim.objects.parts import filled
from sim.phantoms import END, Phantom
from sim.region_table import cut_off, region_table
from sim.shapes import Box, Cylinder, ball

GRID = Grid.centred(shape=(20, 20, 20), voxel_mm=(10, 10, 10))


def table(*regions, grid=GRID):
    return region_table(Phantom(name="test", regions=regions), grid)


def test_a_solid_that_knows_its_volume_has_it_exactly():
    (row,) = table(filled("a", ball((10, -20, 5), 30), "water", 7.0))
    assert row["volume_ml"] == pytest.approx(pi / 6 * 27)
    assert row["centre_mm"] == pytest.approx([10, -20, 5])
    np.testing.assert_allclose(row["extent_mm"], [(-5, 25), (-35, -5), (-10, 20)], atol=1)
    assert row["activity_bq_ml"] == 7 and row["inside"] == 1


def test_what_a_later_region_covers_is_not_counted():
    rows = table(filled("outer", ball((0, 0, 0), 80), "water"),
                 filled("inner", ball((10, 0, 0), 40), "PTFE"))
    assert [row["volume_ml"] for row in rows] == pytest.approx(
        [pi / 6 * (512 - 64), pi / 6 * 64], rel=0.01
    )
    # The moment of what is left: 512 x 0 - 64 x 10 over 448.
    assert rows[0]["centre_mm"][0] == pytest.approx(-640 / 448, rel=0.05)


def test_regions_of_one_name_are_one_row_with_their_mean_activity():
    boxes = [Box(centre_mm=(x, 0, 0), sides_mm=(20, 20, 10 * n)) for x, n in ((-30, 1), (30, 3))]
    (row,) = table(filled("a", boxes[0], "water", 1.0), filled("a", boxes[1], "water", 5.0))
    assert row["volume_ml"] == pytest.approx(16)
    assert row["activity_bq_ml"] == pytest.approx(4)
    assert row["centre_mm"] == pytest.approx([15, 0, 0], abs=1e-6)
    np.testing.assert_allclose(row["extent_mm"], [(-40, 40), (-10, 10), (-15, 15)])


def test_a_region_that_is_covered_whole_has_no_place():
    rows = table(filled("under", ball((0, 0, 0), 20), "water", 9.0),
                 filled("over", ball((0, 0, 0), 50), "PMMA"))
    assert (rows[0]["volume_ml"], rows[0]["centre_mm"], rows[0]["extent_mm"]) == (0, None, None)
    assert cut_off(rows) == 0


def test_an_endless_region_is_counted_up_to_the_grids_faces():
    solid = Cylinder(centre_mm=(0, 0, 0), radii_mm=(30, 20, END))
    (row,) = table(filled("a", solid, "water", 2.0))
    assert row["volume_ml"] == pytest.approx(pi * 600 * 200 / 1000, rel=0.01)
    assert cut_off([row]) == 0


def test_half_a_ball_and_a_cold_one_outside_the_grid_cut_off_a_quarter_of_the_activity():
    rows = table(filled("a", ball((100, 0, 0), 40), "water", 5.0),
                 filled("b", ball((0, 0, 0), 40), "water", 5.0),
                 filled("c", ball((300, 0, 0), 40), "water", 0.0))
    assert cut_off(rows) == pytest.approx(0.25)


def test_rows_say_labels_materials_and_lesions():
    rows = table(filled("a", ball((0, 0, 0), 80), "water"),
                 filled("b", ball((0, 0, 0), 20), "PTFE", lesion=True))
    assert [(row["label"], row["name"], row["material"], row["lesion"]) for row in rows] == [
        (1, "a", "water", False), (2, "b", "PTFE", True)
    ]
    assert rows[1]["mu_per_cm"] == MATERIALS["PTFE"].mu_per_cm
    assert rows[1]["hu"] == MATERIALS["PTFE"].hu
