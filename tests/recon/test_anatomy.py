"""Bowsher's neighbours and directions of an anatomical image."""

import itertools

import numpy as np
import pytest

from recon import Grid, backend
from recon.algorithms import Quadratic, RelativeDifference, TotalVariation, bowsher, direction
from tests.recon import reference_priors as reference
from tests.recon.cases import MACHINES, on_cpu, uniform

GRID = Grid.centred(shape=(5, 4, 19), voxel_mm=(4, 5, 3))  # more z than a vector holds
TISSUES = np.random.default_rng(1).integers(0, 3, GRID.shape).astype(np.float32)  # many ties
ANATOMIES = {"grey": uniform(GRID.shape, seed=2), "tissues": TISSUES}
POSITIVE = list(itertools.product((-1, 0, 1), repeat=3))[14:]


def slow_bowsher(anatomy, voxel_mm, count):
    """Voxel by voxel, by sorting."""
    chosen = np.zeros((13, *anatomy.shape), np.uint8)
    for voxel in np.ndindex(anatomy.shape):
        ranked = []
        for order, offset in enumerate(itertools.product((-1, 0, 1), repeat=3)):
            other = tuple(np.add(voxel, offset))
            if any(offset) and all(0 <= o < n for o, n in zip(other, anatomy.shape, strict=True)):
                squared_mm = sum((o * side) ** 2 for o, side in zip(offset, voxel_mm, strict=True))
                ranked.append((abs(anatomy[other] - anatomy[voxel]), squared_mm, order))
        for _, _, order in sorted(ranked)[:count]:
            offset = list(itertools.product((-1, 0, 1), repeat=3))[order]
            if order > 13:
                chosen[(order - 14, *voxel)] += 1
            else:  # the pair is listed at the neighbour
                chosen[(12 - order, *np.add(voxel, offset))] += 1
    return chosen


def halves():
    """A grid, and an anatomy of two tissues that meet between x = 3 and 4."""
    grid = Grid.centred(shape=(8, 7, 6), voxel_mm=(3, 3, 3))
    anatomy = np.zeros(grid.shape, np.float32)
    anatomy[4:] = 1
    return grid, anatomy


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("count", [1, 4, 6, 11, 26])
@pytest.mark.parametrize("name", ANATOMIES)
def test_pairs_are_those_that_sorting_the_neighbours_of_each_voxel_gives(name, count, machine):
    anatomy = ANATOMIES[name]
    found = bowsher(backend.to_device(anatomy, machine), GRID, count)
    assert found.dtype == np.uint8
    expected = slow_bowsher(anatomy, GRID.voxel_mm, count)
    np.testing.assert_array_equal(on_cpu(found), expected)


def test_each_voxel_of_a_line_chooses_the_one_more_alike():
    # 0, 1, 5: the middle one is chosen by both others and chooses the first.
    grid = Grid.centred(shape=(3, 1, 1), voxel_mm=(1, 1, 1))
    chosen = bowsher(np.array([0, 1, 5]).reshape(3, 1, 1), grid, count=1)
    along_x = POSITIVE.index((1, 0, 0))
    np.testing.assert_array_equal(chosen[along_x, :, 0, 0], [2, 1, 0])
    assert chosen.sum() == 3


def test_in_flat_anatomy_the_voxels_at_the_faces_are_chosen():
    grid = Grid.centred(shape=(5, 5, 5), voxel_mm=(2, 2, 2))
    chosen = bowsher(np.full(grid.shape, 7.0), grid)[:, 1:-2, 1:-2, 1:-2]
    for entry, offset in zip(chosen, POSITIVE, strict=True):
        assert np.all(entry == (2 if np.abs(offset).sum() == 1 else 0))


def test_of_neighbours_as_alike_the_nearest_in_mm_are_chosen():
    grid = Grid.centred(shape=(5, 5, 5), voxel_mm=(4, 4, 2))
    chosen = bowsher(np.zeros(grid.shape), grid, count=2)[:, 1:-2, 1:-2, 1:-2]
    along_z = POSITIVE.index((0, 0, 1))
    assert np.all(chosen[along_z] == 2)
    assert not np.delete(chosen, along_z, axis=0).any()


def test_a_prior_of_chosen_pairs_costs_nothing_across_the_faces_of_a_box():
    grid = Grid.centred(shape=(9, 8, 10), voxel_mm=(4, 4, 4))
    box = np.zeros(grid.shape, np.float32)
    box[2:5, 3:6, 4:8] = 1
    image = 1 + 4 * box
    guided = RelativeDifference(grid, strength=1, chosen=bowsher(100 * box, grid))
    assert RelativeDifference(grid, strength=1).value(image) > 100
    assert guided.value(image) == 0
    assert not guided.gradient(image).any()


def test_a_prior_of_chosen_pairs_smooths_what_the_anatomy_does_not_show():
    grid, anatomy = halves()
    guided = RelativeDifference(grid, strength=1, chosen=bowsher(anatomy, grid))
    image = np.ones(grid.shape, np.float32)
    image[2, 3, 3] = 3
    assert guided.gradient(image)[2, 3, 3] > 0
    assert guided.gradient(image)[2, 3, 2] < 0


def test_pairs_chosen_count_in_a_prior_by_the_number_of_directions():
    chosen = bowsher(TISSUES, GRID, 5)
    image = uniform(GRID.shape, seed=3)
    expected = reference.pair_value(
        image, GRID.voxel_mm, reference.quadratic, chosen=slow_bowsher(TISSUES, GRID.voxel_mm, 5)
    )
    assert Quadratic(GRID, strength=1, chosen=chosen).value(image) == pytest.approx(
        expected, rel=1e-6)


def test_all_26_neighbours_chosen_are_the_prior_without_anatomy():
    image = uniform(GRID.shape, seed=3)
    every = Quadratic(GRID, strength=1, chosen=bowsher(TISSUES, GRID, 26)).gradient(image)
    np.testing.assert_array_equal(every, Quadratic(GRID, strength=1).gradient(image))


def test_neighbours_are_the_same_for_any_number_of_threads(monkeypatch):
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(bowsher(ANATOMIES["grey"], GRID).tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("machine", MACHINES)
def test_direction_of_a_slope_is_what_is_worked_out_by_hand(machine):
    # 3 a voxel along x and 4 along y: 3 and 4 over sqrt(9 + 16 + 144) = 13.
    grid = Grid.centred(shape=(4, 4, 4), voxel_mm=(2, 2, 2))
    x, y, _ = np.indices(grid.shape)
    found = direction(backend.to_device(3 * x + 4 * y, machine), grid, eta=12)
    assert found.dtype == np.float32
    inside = on_cpu(found)[:, :3, :3, :3].reshape(3, -1)
    np.testing.assert_allclose(inside, np.outer([3 / 13, 4 / 13, 0], np.ones(27)), rtol=1e-6)


def test_direction_counts_slopes_by_the_side_along_x():
    # 1 a voxel of 1 mm along z is 4 a side of 4 mm along x.
    grid = Grid.centred(shape=(2, 2, 3), voxel_mm=(4, 4, 1))
    found = direction(np.indices(grid.shape)[2], grid, eta=3)
    np.testing.assert_allclose(found[2, :, :, :2], 4 / 5, rtol=1e-6)


def test_direction_of_flat_anatomy_is_0():
    assert not direction(np.full(GRID.shape, 3.0), GRID).any()


def test_direction_by_default_takes_a_tenth_of_the_standard_deviation_for_noise():
    grid, anatomy = halves()  # of deviation 1/2, and steps of 1
    np.testing.assert_allclose(direction(anatomy, grid)[0, 3], 1 / np.hypot(1, 0.05), rtol=1e-6)


def test_an_edge_along_the_direction_costs_total_variation_what_is_worked_out_by_hand():
    # Of a step s and xi = 1 / sqrt(1 + eta^2): s sqrt(1 - xi^2) = s eta / sqrt(1 + eta^2).
    grid, anatomy = halves()
    guided = TotalVariation(grid, strength=1, epsilon=0, direction=direction(anatomy, grid, 0.75))
    assert guided.value(5 * anatomy) == pytest.approx(7 * 6 * 5 * 0.6, rel=1e-5)


def test_an_edge_across_the_direction_costs_total_variation_what_it_costs_without():
    grid, anatomy = halves()
    image = np.zeros(grid.shape, np.float32)
    image[:3, :3] = 2  # does not touch the anatomy's edge
    plain = TotalVariation(grid, strength=1, epsilon=0)
    guided = TotalVariation(grid, strength=1, epsilon=0, direction=direction(anatomy, grid))
    assert guided.value(image) == pytest.approx(plain.value(image), rel=1e-6)


@pytest.mark.parametrize("make", [bowsher, direction])
@pytest.mark.parametrize("anatomy, said", [
    (TISSUES[1:], r"the anatomy takes the grid's shape \(5, 4, 19\), got \(4, 4, 19\).*resample"),
    (np.where(TISSUES == 2, np.nan, TISSUES), "the anatomy takes finite values, got NaN"),
    (np.where(TISSUES == 2, np.inf, TISSUES), "the anatomy takes finite values"),
])
def test_an_anatomy_on_another_grid_or_with_holes_is_refused(make, anatomy, said):
    with pytest.raises(ValueError, match=said):
        make(anatomy, GRID)


@pytest.mark.parametrize("count", [0, 27])
def test_a_count_of_neighbours_that_there_are_not_is_refused(count):
    with pytest.raises(ValueError, match=f"from 1 to 26, got {count}"):
        bowsher(TISSUES, GRID, count)


@pytest.mark.parametrize("eta", [0, -1, np.nan, np.inf])
def test_an_eta_that_is_no_difference_is_refused(eta):
    with pytest.raises(ValueError, match="eta takes a difference above 0"):
        direction(TISSUES, GRID, eta)
