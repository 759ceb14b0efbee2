"""Expected scatter of a scan: single, multiple, and their scale."""

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.scatter import single_scatter
from recon.corrections.scatter_estimate import estimate_scatter

LAYOUT = SinogramLayout.of(Scanner.preset("tiny"))
GRID = Grid.centred(shape=(21, 21, 9), voxel_mm=(6, 6, 4))
WATER = np.broadcast_to(GRID.cylinder(45.0), GRID.shape).astype(np.float32)
IMAGES = 2 * WATER, GRID, np.float32(0.096) * WATER, GRID


def test_the_absolute_scale_of_single_scatter_is_that_times_the_factors(rng):
    factors = rng.uniform(0.5, 1.5, LAYOUT.shape).astype(np.float32)
    prompts = np.ones(LAYOUT.shape, np.float32)
    found = estimate_scatter(prompts, factors, None, *IMAGES, LAYOUT, scale="absolute",
                             multiple=False)
    expected = factors * single_scatter(*IMAGES, LAYOUT)
    np.testing.assert_allclose(found.scatter, expected, rtol=1e-6)
    assert found.single_counts == pytest.approx(expected.sum(dtype=float))
    assert (found.multiple_counts, found.multiple_to_single, found.multiple) == (0, 0, None)


def test_multiple_scatter_is_added_in_the_ratio_that_was_found():
    layout = SinogramLayout.of(LAYOUT.scanner, tof_mashing=3)
    ones = np.ones(layout.shape, np.float32)
    single, both = (
        estimate_scatter(ones, ones, None, *IMAGES, layout, scale="absolute", multiple=multiple)
        for multiple in (False, True)
    )
    assert both.multiple_to_single == pytest.approx(both.multiple.to_single, rel=0.05)
    assert both.single_counts == pytest.approx(single.single_counts, rel=0.003)
    total = both.scatter.sum(dtype=float)
    assert both.single_counts + both.multiple_counts == pytest.approx(total)
    assert (both.scatter >= single.scatter * (1 - 1e-6)).all()
    again = estimate_scatter(ones, ones, None, *IMAGES, layout, scale="absolute", threads=1)
    assert (again.scatter == both.scatter).all()  # by a fixed seed, on any number of threads


def test_bins_that_count_nothing_are_no_tails(rng):
    factors = np.ones(LAYOUT.shape, np.float32)
    factors[:, :3] = 0
    prompts = rng.poisson(3.0, LAYOUT.shape).astype(np.float32)
    found = estimate_scatter(prompts, factors, None, *IMAGES, LAYOUT, multiple=False)
    assert not found.tails[:, :3].any() and found.tails[:, -3:].any()
    assert not found.scatter[:, :3].any()


def test_an_unknown_scale_is_refused():
    ones = np.ones(LAYOUT.shape, np.float32)
    with pytest.raises(ValueError, match="takes scale tails or absolute, got 'free'"):
        estimate_scatter(ones, ones, None, *IMAGES, LAYOUT, scale="free")
