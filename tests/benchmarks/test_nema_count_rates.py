"""Count rates of the scatter phantom: the curve and its peak by hand, and randoms."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.nema_count_rates import ScatterPhantom
from recon import Scanner, SinogramLayout
from recon.corrections.randoms import randoms_from_singles

DEMO = Scanner.preset("demo")
ALL = np.ones((1, 1), bool)


def phantom(scanner=DEMO, singles=1e3, window_ps=4500.0, **changes):
    """Pairs between opposite crystals of ring 3, with as many singles in each crystal."""
    singles = np.full((scanner.rings, scanner.crystals), singles)
    half = np.arange(scanner.crystals // 2)
    ring = np.full(len(half), 3)
    ends = np.array([ring, half, ring, half + scanner.crystals // 2])
    scanner = replace(scanner, coincidence_window_ps=window_ps)
    options = {"scanner": scanner, "singles": singles, "weight": np.full(len(half), 50.0),
               "ends": ends, "scatter_fraction": 0.4, "accepted": ALL}
    return ScatterPhantom(**options | changes)


def test_rates_without_dead_time_are_those_worked_out_by_hand():
    found = phantom(singles=0.0).rates(10.0, None)
    assert found["trues"] == pytest.approx(0.6 * 10 * 128 * 50 / 1000)
    assert found["scatter"] == pytest.approx(0.4 * 10 * 128 * 50 / 1000)
    assert found["randoms"] == 0
    assert found["necr"] == pytest.approx(0.6**2 * 10 * 128 * 50 / 1000)


def test_randoms_are_the_sum_of_those_of_all_bins_within_12_cm(rng):
    singles = 1e4 * rng.random((DEMO.rings, DEMO.crystals))
    layout = SinogramLayout.of(DEMO, radial_bins=133)
    expected = randoms_from_singles(singles, layout.without_tof(), 1.0)
    near = np.abs(layout.rays()[..., 2]) <= 120
    found = phantom(singles=1.0)._randoms(singles)
    assert found == pytest.approx(float(expected[near].sum(dtype=np.float64)), rel=1e-4)


def test_randoms_go_with_the_square_of_the_activity():
    one, two = (phantom().rates(activity, None)["randoms"] for activity in (1.0, 2.0))
    assert two == pytest.approx(4 * one)


def test_units_that_make_no_pairs_have_no_randoms():
    apart = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    part = phantom(accepted=apart <= 1).rates(1.0, None)["randoms"]
    assert part == pytest.approx(10 / 16 * phantom().rates(1.0, None)["randoms"])


def test_without_randoms_the_rate_peaks_where_half_a_blocks_singles_fill_the_dead_time():
    # Each of two blocks keeps exp(-tau s A): A exp(-2 tau s A) peaks at A = 1 / (2 tau s).
    alone = phantom(singles=1e3, window_ps=1e-9)
    block = 32 * 1e3
    assert alone.peak_at(1000.0) == pytest.approx(1 / (2 * 1000e-9 * block), abs=0.02)
    assert alone.dead_time_ns(20.0) == pytest.approx(1e9 / (2 * 20 * block), abs=2)
