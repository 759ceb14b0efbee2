"""Counted photons and pairs: solid angles, absorption and dead time worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner
from sim.count_rates import SEEN, live, pair_efficiency, singles_rates

# Blocks without gaps that nothing passes, and a window that keeps all.
FULL = Scanner(
    name="full", rings=8, crystals=64, radius_mm=400.0, depth_mm=0.0, ring_spacing_mm=20.0,
    crystal_mm=(2 * math.pi * 400 / 64, 20.0, 1000.0), scintillator="LSO", block_crystals=(8, 4),
    radial_bins=45, energy_resolution=0.01, energy_window_kev=(1.0, 1000.0),
)


def rates(scanner=FULL, centre_mm=(0, 0, 0), pairs=200_000, bq=1e6, mu=0.0, **options):
    """Singles of a small cube of activity in the air."""
    grid = Grid.centred(shape=(1, 1, 1), voxel_mm=(1.0,) * 3, centre_mm=centre_mm)
    activity = np.full(grid.shape, 1000 * bq, np.float32)  # of 1 microlitre
    return singles_rates(activity, np.full(grid.shape, mu, np.float32), grid, scanner, pairs=pairs,
                         rng=np.random.default_rng(3), **options)


def test_all_pairs_that_meet_full_detectors_are_recorded_but_for_those_that_are_not_seen():
    assert pair_efficiency(FULL) == pytest.approx(SEEN**2, rel=1e-3)


def test_thin_detectors_record_more_of_what_comes_at_an_angle():
    thin = replace(FULL, crystal_mm=(*FULL.crystal_mm[:2], 2.0))
    for cosine in (1.0, 0.5):
        met = 1 - math.exp(-0.2 * 0.8194 / cosine)
        assert pair_efficiency(thin, cosine) == pytest.approx((SEEN * met) ** 2, rel=0.05)


def test_pairs_of_real_crystals_do_not_pay_for_the_virtual_ones():
    # A block of 8 cells of which one is empty: what the face records, the other seven do.
    gappy = replace(FULL, virtual_crystals=(0,))
    assert pair_efficiency(gappy) == pytest.approx(SEEN**2, rel=0.02)


def test_singles_of_a_point_in_the_middle_are_its_photons_times_the_solid_angle():
    ends = np.linspace(-80, 80, 9)
    part = np.diff(ends / np.hypot(ends, 400)) / 2  # of all directions, of each ring
    expected = 2 * 1e6 * 0.9673 * SEEN * part
    found = rates()
    error = 4 / math.sqrt(200_000 * part.sum())
    assert found.sum() == pytest.approx(expected.sum(), rel=error)
    np.testing.assert_allclose(found.sum(axis=1), expected, rtol=3 * error)


def test_singles_follow_the_isotope_and_the_activity():
    assert rates(isotope="Ga-68").sum() == pytest.approx(rates().sum() * 0.8891 / 0.9673)
    assert rates(bq=2e6).sum() == pytest.approx(2 * rates().sum(), rel=1e-6)


def test_singles_are_greater_where_the_activity_is_nearer():
    found = rates(centre_mm=(200.0, 0, 40.0))
    left = found.sum(axis=0)  # crystal 0 is at the top, the next ones towards the left
    assert left[8:24].min() > left[40:56].max()
    assert found.sum(axis=1)[4:].sum() > 1.1 * found.sum(axis=1)[:4].sum()


def test_activity_beyond_the_scanners_end_counts():
    found = rates(centre_mm=(0, 0, 300.0))
    solid = (380 / math.hypot(380, 400) - 220 / math.hypot(220, 400)) / 2
    expected = 2 * 1e6 * 0.9673 * SEEN * solid
    assert found.sum() == pytest.approx(expected, rel=4 / math.sqrt(200_000 * solid))


def test_virtual_crystals_record_nothing_and_the_others_all_of_the_blocks_photons():
    gappy = replace(FULL, virtual_crystals=(0,))
    found = rates(gappy)
    assert not found[:, ::8].any() and (found[:, 1:8] > 0).all()
    assert found.sum() == pytest.approx(7 / 8 * rates().sum(), rel=0.02)


def test_the_same_seed_draws_the_same_singles():
    assert (rates(pairs=10_000) == rates(pairs=10_000)).all()


def test_dead_time_leaves_the_exponential_of_a_blocks_singles():
    singles = np.zeros((8, 64))
    singles[0, 0], singles[3, 7], singles[4, 0] = 1e5, 3e5, 5e5
    found = live(replace(FULL, dead_time_ns=500.0), singles)
    assert found.shape == (8, 64)
    np.testing.assert_allclose(found[:4, :8], math.exp(-0.2))
    np.testing.assert_allclose(found[4:, :8], math.exp(-0.25))
    np.testing.assert_allclose(found[:, 8:], 1)


def test_without_a_known_dead_time_nothing_is_lost():
    assert (live(FULL, np.full((8, 64), 1e6)) == 1).all()


def test_dead_time_of_a_scanner_that_is_not_whole_blocks_is_refused():
    odd = replace(FULL, block_crystals=(8, 3), dead_time_ns=100.0)
    with pytest.raises(ValueError, match="whole blocks of 8 x 3 crystals, got 64 in 8 rings"):
        live(odd, np.zeros((8, 64)))


def test_a_scanner_without_a_scintillator_has_no_efficiency():
    with pytest.raises(ValueError, match="'full' takes its scintillator and crystal_mm, got None"):
        pair_efficiency(replace(FULL, scintillator=None))
