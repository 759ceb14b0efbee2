"""Multiple scatter: its ratio and width by simulation, its shape by convolution."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.multiple_scatter import MultipleScatter, multiple_scatter
from recon.corrections.photon_transport import PhotonSource
from recon.corrections.scatter import ScatterSampling, coarse_single_scatter
from recon.corrections.scatter_pairs import CoarsePairs
from recon.corrections.scatter_widening import single_share, widened
from tests.recon.monte_carlo import twice_to_once

SCANNER = replace(Scanner.preset("demo"), tilt_deg=0.0)
LAYOUT = SinogramLayout.of(SCANNER)
GRID = Grid.centred(shape=(42, 42, 32), voxel_mm=(5, 5, 5))
WATER = np.broadcast_to(GRID.cylinder(100.0), GRID.shape).astype(np.float32)
NOTHING = {"to_single_sd": 0.0, "to_trues": 0.0, "radial_mm": 0.0, "axial_mm": 0.0,
           "along_mm": 0.0, "pairs": 0}


def found_in(mu_per_cm, layout=LAYOUT, **options):
    return multiple_scatter(WATER, GRID, np.float32(mu_per_cm) * WATER, GRID, layout, **options)


@pytest.fixture(scope="module")
def water():
    """The multiple scatter of a water cylinder of 20 cm."""
    return found_in(0.096, precision=0.002)


def test_nothing_scatters_twice_in_next_to_nothing():
    found = found_in(1e-6, most=100_000)
    assert (found.to_single, found.radial_mm) == (0, 0)
    thin = found_in(0.002, most=2_000_000)
    # In the limit in proportion to mu: an order of magnitude.
    assert thin.to_single < 0.05


def test_multiple_scatter_of_20_cm_of_water_is_a_sixth_of_the_single_and_wider(water):
    # Above 430 keV: next to all that scatter twice do so by small angles.
    assert 0.11 < water.to_single < 0.18
    assert water.to_single_sd < 0.01
    assert 30 < water.radial_mm < 50


def test_the_stated_error_is_how_draws_differ():
    draws = [found_in(0.096, seed=seed, most=250_000, precision=0) for seed in range(8)]
    ratios = [draw.to_single for draw in draws]
    stated = np.mean([draw.to_single_sd for draw in draws])
    assert 0.4 * stated < np.std(ratios, ddof=1) < 2 * stated
    assert draws[0].pairs == 250_000


def test_a_draw_ends_at_the_precision_asked_for():
    found = found_in(0.096, precision=0.02)
    assert found.pairs == 250_000
    assert found.to_single_sd < 0.02 * (1 + found.to_single)


def test_the_same_seed_gives_the_same_bits():
    one, two = (found_in(0.096, most=50_000) for _ in range(2))
    assert one == two


def test_the_shape_is_that_of_the_simulation(water):
    mu = np.float32(0.096) * WATER
    sampling = ScatterSampling(point_mm=25)
    single, pairs = coarse_single_scatter(WATER, GRID, mu, GRID, LAYOUT, sampling=sampling)
    wide = widened(single, pairs, water)
    weight = pairs.solid_angles() * pairs.share()
    counts = [(array.sum(axis=(0, 2)) * weight).sum(axis=(1, 2)) for array in (single, wide)]
    assert counts[1].sum() == pytest.approx(water.to_single * counts[0].sum(), rel=1e-5)
    source = PhotonSource(WATER, GRID, mu, GRID, SCANNER)
    drawn = [source.pairs(250_000, np.random.default_rng(seed)) for seed in range(50, 58)]
    s = np.abs(np.concatenate([pair.radial_mm for pair in drawn]))
    w = np.concatenate([pair.weight for pair in drawn])
    kind = np.minimum(np.concatenate([pair.scatters for pair in drawn]), 2)
    edges = np.array([0, 50, 100, 150, 200, 300.0])
    for index, total in enumerate(counts):
        truth = np.histogram(s, edges, weights=w * (kind == index + 1))[0]
        sd = np.sqrt(np.histogram(s, edges, weights=w**2 * (kind == index + 1))[0])
        fine = np.linspace(0, 300, 3001)
        density = np.interp(fine, pairs.radial_mm[::-1], _per_mm(total, pairs)[::-1])
        ours = np.histogram(fine, edges, weights=density)[0]
        ours *= truth.sum() / ours.sum()
        assert np.abs(ours - truth).max() < 3 * sd.max() + 0.01 * truth.max()


def _per_mm(counts, pairs):
    """Counts by offset as counts per mm of the distance from the axis."""
    offset = pairs.first_offset + np.arange(pairs.offsets)
    whole = np.where(np.arange(pairs.offsets) == pairs.offsets - 1, 2.0, 1.0)
    return whole * counts / np.sin(np.pi * offset / pairs.crystals)


@pytest.mark.parametrize("tof_mashing", [0, 3])
def test_a_ratio_alone_leaves_the_shape(rng, tof_mashing):
    pairs = CoarsePairs.of(SinogramLayout.of(SCANNER, tof_mashing=tof_mashing), 32, 40)
    single = rng.random(pairs.shape, np.float32)
    wide = widened(single, pairs, MultipleScatter(to_single=0.25, **NOTHING))
    np.testing.assert_allclose(wide, 0.25 * single, rtol=1e-5)
    np.testing.assert_allclose(single_share(single, wide, pairs), 0.8, rtol=1e-5)


@pytest.mark.parametrize("tof_mashing", [0, 3])
def test_pairs_keep_their_counts_whichever_end_they_are_named_by(rng, tof_mashing):
    pairs = CoarsePairs.of(SinogramLayout.of(SCANNER, tof_mashing=tof_mashing), 32, 40)
    single = rng.random(pairs.shape, np.float32)
    half = pairs.offsets - 1
    opposite = np.roll(single[:, half, ::-1], -16, axis=0).swapaxes(-1, -2)
    single[:, half] = (single[:, half] + opposite) / 2  # a pair of opposite ones has two names
    widths = NOTHING | {"radial_mm": 40.0, "axial_mm": 50.0, "along_mm": 30.0}
    wide = widened(single, pairs, MultipleScatter(to_single=0.25, **widths))
    opposite = np.roll(wide[:, half, ::-1], -16, axis=0).swapaxes(-1, -2)
    np.testing.assert_allclose(wide[:, half], opposite, rtol=1e-5)
    weight = pairs.solid_angles() * pairs.share()
    sums = [(array.sum(axis=(0, 2), dtype=float) * weight).sum() for array in (single, wide)]
    assert sums[1] == pytest.approx(0.25 * sums[0], rel=1e-5)
    assert wide.std() < 0.25 * single.std()


def test_time_of_flight_bins_sum_to_multiple_scatter_without(rng):
    timed, untimed = (
        CoarsePairs.of(SinogramLayout.of(SCANNER, tof_mashing=mashing), 32, 40)
        for mashing in (3, 0)
    )
    single = rng.random(timed.shape, np.float32)
    widths = NOTHING | {"radial_mm": 40.0, "axial_mm": 50.0, "along_mm": 30.0}
    multiple = MultipleScatter(to_single=0.25, **widths)
    summed = widened(single, timed, multiple).sum(axis=2, keepdims=True)
    without = widened(single.sum(axis=2, keepdims=True), untimed, multiple)
    np.testing.assert_allclose(summed, without, rtol=1e-4)


def test_variances_add_up_across_the_scanner():
    pairs = CoarsePairs.of(LAYOUT, 128, 200)
    single = np.zeros(pairs.shape, np.float32)
    single[:, pairs.offsets - 1] = 1.0  # lines through the axis
    widths = NOTHING | {"radial_mm": 60.0}
    wide = widened(single, pairs, MultipleScatter(to_single=1.0, **widths))
    counts = (wide.sum(axis=(0, 2)) * pairs.solid_angles()).sum(axis=(1, 2))
    counts[-1] /= 2
    spread = (counts * pairs.radial_mm**2).sum() / counts.sum()
    assert np.sqrt(spread) == pytest.approx(60, rel=0.03)


def test_a_uniform_object_longer_than_the_scanner_stays_uniform_along_it():
    pairs = CoarsePairs.of(LAYOUT, 32, 20)
    single = np.ones(pairs.shape, np.float32)
    wide = widened(single, pairs, MultipleScatter(to_single=0.3, **NOTHING | {"axial_mm": 50.0}))
    np.testing.assert_allclose(wide, 0.3, rtol=1e-5)


def test_twice_scattered_pairs_are_as_many_as_an_independent_simulation_finds():
    scanner = replace(SCANNER, scintillator=None)  # the independent simulation knows no crystals
    source = PhotonSource(WATER, GRID, np.float32(0.096) * WATER, GRID, scanner)
    farthest = float(np.abs(LAYOUT.rays()[0, :, 2]).max())
    counts, squares = np.zeros(3), np.zeros(3)
    for seed in range(20):
        drawn = source.pairs(250_000, np.random.default_rng(seed))
        inside = (np.abs(drawn.radial_mm) < farthest) & (drawn.scatters < 3)
        kind, weight = drawn.scatters[inside], drawn.weight[inside]
        counts += np.bincount(kind, weight, 3)
        squares += np.bincount(kind, weight**2, 3)
    ratio = counts[2] / counts[1]
    sd = np.sqrt(squares[2] + ratio**2 * squares[1]) / counts[1]
    # The image's cylinder is one of voxels: its area is theirs.
    radius = np.sqrt(WATER[..., 0].sum() * 25 / np.pi)
    expected, expected_sd = twice_to_once(
        radius_mm=radius, half_mm=80, mu_per_mm=0.0096,
        detector_radius_mm=SCANNER.effective_radius_mm,
        half_length_mm=SCANNER.rings * SCANNER.ring_spacing_mm / 2, farthest_mm=farthest,
        resolution=SCANNER.energy_resolution, window=SCANNER.energy_window_kev,
        pairs=1_000_000, seed=3,
    )
    assert np.hypot(sd, expected_sd) < 0.02 * expected
    assert abs(ratio - expected) < 3 * np.hypot(sd, expected_sd)
