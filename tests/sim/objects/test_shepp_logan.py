from math import cos, radians, sin

import numpy as np
import pytest

from recon import Grid
from sim.objects.shepp_logan import shepp_logan

# Kak & Slaney's table: (density, x, y, z, a, b, c, degrees), each adding to what it lies in.
TABLE = (
    (2.0, 0, 0, 0, 69, 92, 90, 0),
    (-0.98, 0, 0, 0, 66.24, 87.4, 88, 0),
    (-0.02, -22, 0, -25, 41, 16, 21, 108),
    (-0.02, 22, 0, -25, 31, 11, 22, 72),
    (0.02, 0, 35, -25, 21, 25, 50, 0),
    (0.02, 0, 10, -25, 4.6, 4.6, 4.6, 0),
    (0.01, -8, -65, -25, 4.6, 2.3, 2, 0),
    (0.01, 6, -65, -25, 4.6, 2.3, 2, 90),
    (0.02, 6, -10.5, 62.5, 5.6, 4, 10, 90),
    (-0.02, 0, 10, 62.5, 5.6, 5.6, 10, 0),
)
GRID = Grid.centred(shape=(71, 93, 91), voxel_mm=(2, 2, 2), centre_mm=(0.11, 0.13, 0.17))


@pytest.fixture(scope="module")
def density():
    """The sum of Kak and Slaney's ellipsoids at the middles of GRID's voxels."""
    x, y, z = np.ix_(*(GRID.centres(axis) for axis in range(3)))
    y, z = -y, -z  # theirs lead to the front and to the top
    total = np.zeros(GRID.shape)
    for added, x0, y0, z0, a, b, c, degrees in TABLE:
        turn = radians(degrees)
        u = (x - x0) * cos(turn) + (y - y0) * sin(turn)
        v = (y - y0) * cos(turn) - (x - x0) * sin(turn)
        total += added * ((u / a) ** 2 + (v / b) ** 2 + ((z - z0) / c) ** 2 <= 1)
    return total


def test_attenuation_and_ct_numbers_follow_from_the_sum_of_the_ellipsoids(density):
    images = shepp_logan().images(GRID, 1)
    np.testing.assert_allclose(images["hu"], 1000 * (density - 1), atol=0.01)
    np.testing.assert_allclose(images["mu_per_cm"], images["mu_per_cm"].max() / 2 * density,
                               atol=1e-6)
    assert images["mu_per_cm"].max() == pytest.approx(2 * 0.096, rel=0.01)


def test_activity_is_ten_times_the_contrast_in_the_brain_and_1_in_the_skull(density):
    activity = shepp_logan(activity_bq_ml=1000).activity(GRID, 1)
    inside = (density > 0.9) & (density < 1.9)
    np.testing.assert_allclose(activity[inside], (density[inside] - 1) * 1e4, atol=0.1)
    np.testing.assert_allclose(activity[density > 1.9], 1000)
    assert not activity[density == 0].any()


def test_the_head_is_as_large_as_its_unit_says():
    np.testing.assert_allclose(shepp_logan(unit_mm=50).extent, [(-34.5, 34.5), (-46, 46),
                                                                (-45, 45)])
