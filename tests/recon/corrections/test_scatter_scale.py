"""The scale of scatter from its tails: right on average, from many counts to none."""

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.scatter_scale import scatter_scale, tails

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
    assert found.misfit == pytest.approx(1, abs=0.15)


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


def test_time_of_flight_bins_are_summed(rng):
    prompts, scatter, background = scan(rng, 1.3, 1e6)
    split = [np.stack([0.25 * a, 0.75 * a], axis=2) for a in (prompts, scatter, background)]
    one, two = scatter_scale(prompts, scatter, background, MASK), scatter_scale(*split, MASK)
    assert two.scan == pytest.approx(one.scan, rel=1e-5)


def test_tails_keep_a_margin_to_the_object():
    layout = SinogramLayout.of(Scanner.preset("tiny"), radial_bins=23)
    grid = Grid.centred(shape=(40, 40, 9), voxel_mm=(2, 2, 5))
    x, y = grid.centres(0)[:, None, None], grid.centres(1)[None, :, None]
    disc = np.broadcast_to(np.hypot(x, y) < 30, grid.shape).astype(np.float32)
    found = tails(disc * np.float32(0.096), grid, layout, margin_mm=12)
    s = np.abs(layout.rays()[0, :, 2])
    assert not found[:, s < 40].any()
    assert found[:, s > 46].all()


def test_arrays_of_unlike_bins_are_refused():
    with pytest.raises(ValueError, match="the same bins, got shapes"):
        scatter_scale(SCATTER[1:], SCATTER, None, MASK)
