"""The scale of scatter from its tails: right on average, from many counts to none."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.scatter import single_scatter
from recon.corrections.scatter_scale import PRIOR, scatter_scale, tails
from recon.projectors import SinogramProjector

VIEWS, RADIAL, PLANES = 20, 60, 30
X = np.linspace(-1, 1, RADIAL)[:, None]
SHAPE = np.exp(-((X / 0.5) ** 2) / 2) * (1 + 0.3 * np.cos(np.linspace(-1, 1, PLANES)))
SCATTER = np.broadcast_to(SHAPE, (VIEWS, RADIAL, PLANES)).astype(np.float32)
MASK = np.broadcast_to(np.abs(X) > 0.6, SCATTER.shape)


def scan(rng, true, counts, randoms=0.5):
    """Prompts of a scan with so many scattered counts, and its scatter and randoms."""
    scatter = SCATTER * np.float32(counts / SCATTER.sum())
    background = np.full_like(scatter, randoms * scatter.mean())
    trues = np.where(np.abs(X) < 0.5, 3 * scatter, 0)
    return rng.poisson(true * scatter + background + trues).astype(np.float32), scatter, background


@pytest.mark.parametrize("counts", [1e6, 2e4, 1e3])
def test_the_scale_is_right_on_average_and_its_uncertainty_is_not_too_small(rng, counts):
    found = [scatter_scale(*scan(rng, 1.3, counts), MASK) for _ in range(100)]
    scales = np.array([f.scan for f in found])
    off = (np.array([f.planes for f in found]) - 1.3) / np.array([f.planes_sd for f in found])
    assert abs(scales.mean() / 1.3 - 1) < 0.03
    assert np.sqrt(np.mean((scales - 1.3) ** 2)) < 1.2 * np.mean([f.scan_sd for f in found])
    assert 0.3 < np.sqrt(np.mean(off**2)) < 1.2
    if counts > 1e3:
        assert np.sqrt(np.mean((scales / 1.3 - 1) ** 2)) < 0.05


def test_planes_find_their_own_scales_where_there_are_counts(rng):
    true = 1.2 * (1 + 0.08 * np.sin(np.linspace(0, 6, PLANES)))
    prompts, scatter, background = scan(rng, true, 3e7)
    found = scatter_scale(prompts, scatter, background, MASK)
    assert np.abs(found.planes / true - 1).max() < 0.02
    assert 0.8 < found.misfit < 1.2  # of some 500 lines: 1 ± 0.06


def test_planes_share_a_scale_where_there_are_few(rng):
    found = scatter_scale(*scan(rng, 1.3, 5e3), MASK)
    assert found.planes.std() < 0.05 * found.scan
    assert (found.planes_sd < 0.2).all()


def test_without_tails_the_absolute_scale_is_used_and_said(rng):
    found = scatter_scale(*scan(rng, 1.5, 1e6), np.zeros_like(MASK))
    assert found.scan == 1
    assert (found.planes == 1).all()
    assert "absolute scale" in found.note


def test_no_counts_at_all_neither_stop_nor_explode():
    nothing = np.zeros_like(SCATTER)
    found = scatter_scale(nothing, SCATTER * np.float32(1e-4), None, MASK)
    assert 0 < found.scan <= 1
    assert np.isfinite(found.planes).all() and np.isfinite(found.planes_sd).all()


def test_without_tails_the_likely_scale_stays(rng):
    found = scatter_scale(*scan(rng, 1.5, 1e6), np.zeros_like(MASK), likely=0.7)
    assert found.scan == pytest.approx(0.7) and found.planes == pytest.approx(0.7)
    assert found.scan_sd == pytest.approx(PRIOR * 0.7)
    assert np.isnan(found.misfit)


def test_a_simulation_of_another_dose_is_scaled_as_well(rng):
    prompts, scatter, background = scan(rng, 1.3, 1e6)
    found = scatter_scale(prompts, 100 * scatter, background, MASK, likely=0.01)
    assert found.scan == pytest.approx(0.013, rel=0.02)


def test_time_of_flight_bins_of_one_ratio_say_as_much_as_their_sum(rng):
    prompts, scatter, background = scan(rng, 1.3, 1e6)
    split = [np.stack([0.25 * a, 0.75 * a], axis=2) for a in (prompts, scatter, background)]
    one, two = scatter_scale(prompts, scatter, background, MASK), scatter_scale(*split, MASK)
    assert two.scan == pytest.approx(one.scan, rel=1e-5)
    assert two.scan_sd == pytest.approx(one.scan_sd, rel=1e-5)


def test_time_of_flight_tells_more_where_it_parts_scatter_from_randoms():
    # All scatter in one of two bins. Information s^2 / (s + b): 8^2 / (8 + 4) a line, and without
    # time of flight 8^2 / (8 + 4 + 4).
    scatter = np.zeros((10, 10, 2, 1), np.float32)
    scatter[:, :, 0] = 8
    background = np.full_like(scatter, 4)
    apart = scatter + background, scatter, background
    summed = [array.sum(axis=2) for array in apart]
    mask = np.ones(summed[0].shape, bool)
    found = [scatter_scale(*scan, mask, spread=1e-9) for scan in (apart, summed)]
    information = 100 * 64 / 12, 100 * 64 / 16
    expected = [1 / np.sqrt(i + 1 / PRIOR**2) for i in information]
    assert [f.scan_sd for f in found] == pytest.approx(expected, rel=1e-5)
    assert [f.scan for f in found] == pytest.approx([1, 1], rel=1e-5)


def test_a_plane_alone_knows_its_counts_the_spread_and_the_likely_scale():
    scatter = np.full((2, 5, 1), 10, np.float32)
    found = scatter_scale(scatter, scatter, None, np.ones_like(scatter, bool), spread=0.1)
    # 100 counts: information 100 about a scale of 1; apart from it 0.1 and 0.5 are known.
    assert found.planes_sd[0] == pytest.approx(1 / np.sqrt(100 + 1 / (0.1**2 + PRIOR**2)))


def test_the_misfit_is_one_of_poisson_counts_at_any_level_and_more_of_a_wrong_shape(rng):
    for counts in (2e4, 1e6):
        prompts, scatter, background = scan(rng, 1.0, counts)
        found = [scatter_scale(*scan(rng, 1.0, counts), MASK).misfit for _ in range(20)]
        assert np.mean(found) == pytest.approx(1, abs=4 * np.std(found) / np.sqrt(20) + 0.02)
    tilted = scatter * (1 + 0.5 * X).astype(np.float32)
    assert scatter_scale(prompts, tilted, background, MASK).misfit > 2


def water(radius_mm, shape=(40, 40, 9), voxel_mm=(2, 2, 5)):
    """mu of a disc that fills the length of its Grid, and the Grid."""
    grid = Grid.centred(shape=shape, voxel_mm=voxel_mm)
    x, y = grid.centres(0)[:, None, None], grid.centres(1)[None, :, None]
    disc = np.broadcast_to(np.hypot(x, y) < radius_mm, grid.shape).astype(np.float32)
    return disc * np.float32(0.096), grid


def timed(bins=9):
    """A tiny scanner that times to 100 ps (6.4 mm), in bins of 15 mm."""
    scanner = replace(Scanner.preset("tiny"), timing_resolution_ps=100.0, tof_bins=bins)
    return SinogramLayout.of(scanner, tof_mashing=1)


def test_tails_keep_a_margin_to_the_object():
    layout = SinogramLayout.of(Scanner.preset("tiny"), radial_bins=23)
    found = tails(*water(30), layout, margin_mm=12)
    s = np.abs(layout.rays()[0, :, 2])
    assert not found[:, s < 40].any()
    assert found[:, s > 50].all()


def test_lines_are_tails_whatever_is_timed():
    layout = timed()
    assert np.array_equal(tails(*water(30), layout), tails(*water(30), layout.without_tof()))


def test_an_object_that_fills_the_field_of_view_has_no_tails():
    assert not tails(*water(98, (50, 50, 9), (4, 4, 5)), timed(bins=13)).any()


@pytest.mark.parametrize("shift_mm", [0, 10])
def test_no_trues_are_in_tails_even_where_the_mu_map_lies_somewhat_beside(shift_mm):
    layout, (mu, grid) = timed(), water(30, (24, 24, 10), (4, 4, 4))
    activity = (mu > 0).astype(np.float32)
    trues = SinogramProjector(layout, grid, tof_sigmas=5.5)(activity)
    scatter = single_scatter(activity, grid, mu, grid, layout)
    x, y, z = grid.origin_mm
    found = tails(mu, replace(grid, origin_mm=(x + shift_mm, y, z)), layout)
    assert not trues.sum(axis=2)[found].any()
    assert scatter.sum(axis=2)[found].sum() > 0.03 * scatter.sum()


def test_arrays_of_unlike_bins_are_refused():
    with pytest.raises(ValueError, match="the same bins, got shapes"):
        scatter_scale(SCATTER[1:], SCATTER, None, MASK)
