"""Expected scatter of a scan: single, multiple, and their scale."""

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.attenuation import attenuate
from recon.corrections.multiple_scatter import MultipleScatter
from recon.corrections.scatter import single_scatter
from recon.corrections.scatter_estimate import estimate_scatter
from recon.projectors import SinogramProjector

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


def filled(tof_mashing=0):
    """A layout, images of water on all its lines, and the expected counts of them."""
    layout = SinogramLayout.of(Scanner.preset("tiny"), tof_mashing=tof_mashing)
    grid = Grid.centred(shape=(33, 33, 9), voxel_mm=(6, 6, 4))
    water = np.broadcast_to(grid.cylinder(98.0), grid.shape).astype(np.float32)
    images = 5000 * water, grid, np.float32(0.096) * water, grid
    survival = np.ones(layout.without_tof().shape, np.float32)
    attenuate(survival, *images[2:], layout)
    survival = survival[:, :, None] if layout.tof else survival
    trues = survival * SinogramProjector(layout, grid)(images[0])
    return layout, images, trues, single_scatter(*images, layout)


@pytest.mark.parametrize("tof_mashing", [0, 3])
def test_without_tails_scatter_is_right_however_bright_the_image_is(tof_mashing):
    layout, images, trues, scatter = filled(tof_mashing)
    factors = np.ones(layout.without_tof().shape, np.float32)
    factors[:, :4] = 0  # what is counted there says nothing
    randoms = np.full(layout.shape, 2.0, np.float32)
    for bright in (0.5, 1, 1.6):
        found = estimate_scatter(
            trues + scatter + randoms, factors, randoms, np.float32(bright) * images[0],
            *images[1:], layout, multiple=False,
        )
        assert not found.tails.any()
        assert found.balance == pytest.approx(1 / bright, rel=1e-4)
        np.testing.assert_allclose(found.scatter[:, 4:], scatter[:, 4:], rtol=1e-3)
        assert not found.scatter[:, :4].any()


def test_with_no_more_prompts_than_randoms_the_likely_scale_is_one():
    layout, images, _, _ = filled()
    nothing, factors = np.zeros(layout.shape, np.float32), np.ones(layout.shape, np.float32)
    found = estimate_scatter(nothing, factors, factors, *images, layout, multiple=False)
    assert found.balance == found.scale.scan == 1


def test_multiple_scatter_that_was_found_before_is_not_simulated_again(rng):
    prompts, factors = (np.ones(LAYOUT.shape, np.float32) for _ in range(2))
    known = MultipleScatter(
        to_single=0.5, to_single_sd=0.0, to_trues=0.1, radial_mm=0.0, axial_mm=0.0, along_mm=0.0,
        pairs=0,
    )
    found = estimate_scatter(
        prompts, factors, None, *IMAGES, LAYOUT, scale="absolute", multiple=known
    )
    assert found.multiple is known
    assert found.multiple_to_single == pytest.approx(0.5, rel=1e-3)
