"""Scatter points stand for a mu map: its sum, its middle, its symmetry."""

import numpy as np
import pytest

from recon import Grid
from recon.corrections.scatter_points import scatter_points

GRID = Grid.centred(shape=(10, 9, 7), voxel_mm=(4, 5, 6), centre_mm=(3, -2, 1))


def test_one_voxel_is_one_point_at_its_middle_with_mu_times_volume():
    mu = np.zeros(GRID.shape)
    mu[2, 3, 4] = 0.1
    x, y, z = (GRID.centres(axis)[i] for axis, i in enumerate((2, 3, 4)))
    points = scatter_points(mu, GRID, spacing_mm=1)
    np.testing.assert_allclose(points[:, 0], [x, y, z, 0.01 * 4 * 5 * 6])


@pytest.mark.parametrize("seed", [None, 3])
def test_points_weigh_what_the_map_scatters(rng, seed):
    mu = 0.2 * rng.random(GRID.shape)
    points = scatter_points(mu, GRID, spacing_mm=12, threshold_per_cm=0.05, seed=seed)
    assert points[3].sum() == pytest.approx(mu[mu >= 0.05].sum() / 10 * 120)
    assert 120 <= points.shape[1] <= 5 * 5 * 5


def test_points_have_the_maps_middle(rng):
    mu = 0.2 * rng.random(GRID.shape)
    points = scatter_points(mu, GRID, spacing_mm=20, threshold_per_cm=0)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        middle = np.average(GRID.centres(axis), weights=mu.sum(axis=others))
        assert np.average(points[axis], weights=points[3]) == pytest.approx(middle)


def test_points_of_a_symmetric_map_are_symmetric():
    grid = Grid.centred(shape=(11, 8, 6), voxel_mm=(4, 4, 4))
    points = scatter_points(np.full(grid.shape, 0.1), grid, spacing_mm=12)
    mirrored = points * np.array([-1, 1, 1, 1])[:, None]
    assert sorted(map(tuple, np.round(points.T, 9) + 0.0)) == sorted(
        map(tuple, np.round(mirrored.T, 9) + 0.0)
    )


def test_a_seed_draws_the_same_points_again_within_their_blocks(rng):
    mu = 0.1 + 0.1 * rng.random(GRID.shape)
    one, again, other = (scatter_points(mu, GRID, spacing_mm=20, seed=s) for s in (1, 1, 2))
    centres = scatter_points(mu, GRID, spacing_mm=20)
    assert (one == again).all()
    assert (one != other).any()
    np.testing.assert_allclose(one[3], centres[3])
    assert np.abs(one[:3] - centres[:3]).max() < 20


def test_a_seed_draws_voxels_in_proportion_to_what_they_scatter():
    grid = Grid.centred(shape=(2, 1, 1), voxel_mm=(10, 10, 10))
    mu = np.array([0.3, 0.1]).reshape(2, 1, 1)
    drawn = [scatter_points(mu, grid, spacing_mm=20, seed=s)[0, 0] < 0 for s in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.03)
