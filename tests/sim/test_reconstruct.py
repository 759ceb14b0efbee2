"""Images of simulated scans: randoms and scatter are estimated, and activity comes out in Bq/mL."""

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.randoms import randoms
from sim import reconstruct as module
from sim.acquire import expect
from sim.catalogue import phantom
from sim.protocol import Protocol
from sim.reconstruct import Reconstruction, estimate_randoms, reconstruct

ACTIVITY = 2e5  # Bq/mL
SETTINGS = Reconstruction(voxel_mm=8, iterations=8, subsets=4, psf_mm=0, post_filter_mm=0)


@pytest.fixture(scope="module")
def scan():
    """(Expected, mu map, Grid) of a cylinder of water in the tiny scanner, without any noise."""
    protocol = Protocol(scanner=Scanner.preset("tiny"), minutes=10, split=1, photon_pairs=50_000,
                        spread=0.05)
    water = phantom("uniform", diameter_mm=90, length_mm=40, activity_bq_ml=ACTIVITY)
    fine = Grid.centred(shape=(32, 32, 16), voxel_mm=(3, 3, 3))
    expected = expect(water.activity(fine), water.mu_per_cm(fine), fine, protocol,
                      rng=np.random.default_rng(1))
    grid = SETTINGS.grid(protocol.layout)
    return expected, water.mu_per_cm(grid), grid


@pytest.fixture(scope="module")
def image(scan):
    """Reconstructed, of the scan without noise."""
    expected, mu, grid = scan
    prompts = expected.trues + expected.scatter + expected.randoms
    return reconstruct(prompts, expected.delayeds, expected.efficiency, mu, grid, expected.layout,
                       grid, SETTINGS)


def test_activity_comes_out_in_bq_per_ml(scan, image):
    _, _, grid = scan
    x, y, z = np.ix_(*(grid.centres(axis) for axis in range(3)))
    inside = (x**2 + y**2 < 25**2) & (np.abs(z) < 9)
    assert image.image[inside].mean() == pytest.approx(ACTIVITY, rel=0.05)


def test_randoms_are_those_of_the_delayeds(scan, image):
    assert image.randoms == pytest.approx(scan[0].counts["randoms"], rel=1e-4)


def test_fewer_points_of_the_first_estimate_move_the_last_little(scan, monkeypatch):
    expected, mu, grid = scan
    prompts = expected.trues + expected.scatter + expected.randoms
    found = []
    for coarser in (1.0, module.COARSER):
        monkeypatch.setattr(module, "COARSER", coarser)
        *_, estimate = module.estimated(prompts, expected.delayeds, expected.efficiency, mu, grid,
                                        expected.layout, SETTINGS)
        found.append(estimate.scatter)
    moved = np.linalg.norm(found[1] - found[0]) / np.linalg.norm(found[0])
    assert 0 < moved < 0.01


def test_scatter_is_estimated_to_some_per_cent_of_the_trues(scan, image):
    counts = scan[0].counts
    assert abs(image.scatter - counts["scatter"]) < 0.05 * counts["trues"]


@pytest.mark.parametrize("span, mashing", [(1, 1), (3, 2)])
def test_estimated_randoms_have_less_noise_than_their_delayeds(rng, span, mashing):
    layout = SinogramLayout.of(Scanner.preset("tiny"), span=span, view_mashing=mashing)
    singles = rng.uniform(0.8, 1.2, (5, 32))
    expected = randoms(singles, layout)
    delayeds = rng.poisson(expected).astype(np.float32)
    found = estimate_randoms(delayeds, layout, layout)
    noise = [np.std((array - expected)[expected > 0]) for array in (found, delayeds)]
    assert noise[0] < 0.3 * noise[1]
    assert found.sum() == pytest.approx(delayeds.sum(), rel=1e-3)


def test_a_scan_without_delayeds_has_no_randoms():
    layout = SinogramLayout.of(Scanner.preset("tiny"))
    nothing = np.zeros(layout.shape, np.float32)
    np.testing.assert_array_equal(estimate_randoms(nothing, layout, layout), nothing)


def test_a_scan_without_prompts_is_refused(scan):
    expected, mu, grid = scan
    nothing = np.zeros(expected.layout.shape, np.float32)
    with pytest.raises(ValueError, match="takes a scan with prompts, got none"):
        reconstruct(nothing, nothing, expected.efficiency, mu, grid, expected.layout, grid,
                    SETTINGS)


def test_subsets_that_do_not_divide_the_views_are_refused_with_the_nearest_that_do():
    layout = SinogramLayout.of(Scanner.preset("tiny"))
    with pytest.raises(ValueError, match="divisor of the scan's 16 views, got 6; the nearest is 4"):
        SETTINGS.with_(subsets=6).grid(layout)


@pytest.mark.parametrize("name, value", [("iterations", 0), ("psf_mm", -1), ("voxel_mm", 0)])
def test_a_setting_out_of_its_range_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"reconstruction.{name} takes .*, got {value}"):
        SETTINGS.with_(**{name: value})
