from itertools import product
from math import hypot, pi, sqrt

import numpy as np
import pytest

from sim.objects.rods import RODS_MM, acr, derenzo, jaszczak, rod_places


def reference(diameter, radius):
    """How many points of a hexagonal lattice fit in a sector whose corner is one of them."""
    pitch, count = 2 * diameter, 0
    for i, j in product(range(60), repeat=2):
        # The lattice's two directions are the sector's two sides, i and j rows from them.
        x, y = pitch * (i + j / 2), pitch * sqrt(3) / 2 * j
        count += i >= 1 and j >= 1 and hypot(x, y) + diameter / 2 <= radius
    return count


@pytest.mark.parametrize("diameter", RODS_MM)
def test_a_sector_holds_the_rods_that_fit(diameter):
    assert len(rod_places(0, diameter, 103)) == reference(diameter, 103)


def test_rods_of_4_8_mm_are_at_the_corners_of_triangles():
    # The first row has one, 2 x 8.31 mm from the axis, the second two, 9.6 mm apart.
    places = np.array(rod_places(0, 4.8, 103))
    first = 9.6 * sqrt(3)
    np.testing.assert_allclose(places[0], [first * sqrt(3) / 2, first / 2])
    gaps = np.linalg.norm(places[1:3] - places[0], axis=1)
    np.testing.assert_allclose(gaps, 9.6)
    assert np.linalg.norm(places[2] - places[1]) == pytest.approx(9.6)


def test_no_two_rods_are_nearer_than_a_diameter_of_the_thinner():
    rods = [region.solid for region in derenzo().regions[1:]]
    centres = np.array([rod.centre_mm[:2] for rod in rods])
    radii = np.array([rod.radii_mm[0] for rod in rods])
    gaps = np.linalg.norm(centres[:, None] - centres, axis=2) - radii - radii[:, None]
    thinner = 2 * np.minimum(radii, radii[:, None])
    assert (gaps - thinner)[~np.eye(len(rods), dtype=bool)].min() > -1e-9


def test_rods_are_hot_in_a_cold_disk_or_cold_in_a_warm_cylinder():
    hot = {region.name: region.activity_bq_ml for region in derenzo(activity_bq_ml=7).regions}
    assert hot.pop("disk") == 0 and set(hot.values()) == {7}
    cold = {region.name: region.activity_bq_ml for region in jaszczak().regions}
    assert cold["background"] == 5300 and cold["rods 4.8 mm"] == cold["sphere 9.5 mm"] == 0


def test_jaszczaks_spheres_lie_127_mm_above_the_base():
    phantom = jaszczak(contrast=4)
    base = phantom.find("background")[0].solid.extent[2][0]
    spheres = phantom.lesions
    assert [region.solid.centre_mm[2] - base for region in spheres] == pytest.approx([127] * 6)
    assert {region.activity_bq_ml for region in spheres} == {4 * 5300}
    assert [2 * region.solid.radii_mm[0] for region in spheres] == [9.5, 12.7, 15.9, 19.1, 25.4,
                                                                    31.8]


def test_acrs_cylinders_hang_38_mm_from_the_lid_and_do_not_touch():
    phantom = acr()
    names = [f"hot {d} mm" for d in (8, 12, 16, 25)]
    names += ["cold air", "cold water", "cold Teflon"]
    solids = [phantom.find(name)[0].solid for name in names]
    assert {solid.extent[2] for solid in solids} == {(55, 93)}
    places = [solid.centre_mm[:2] for solid in solids]
    nearest = min(hypot(a - c, b - d) for n, (a, b) in enumerate(places) for c, d in places[:n])
    assert nearest == pytest.approx(120 * np.sin(pi / 7))
    materials = {name: phantom.find(name)[0].material.name for name in names}
    assert [materials[name] for name in names[4:]] == ["air", "water", "PTFE"]
    assert phantom.find("hot 8 mm")[0].activity_bq_ml == 2.5 * 5300
