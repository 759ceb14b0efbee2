import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.corrections.normalization import efficiency_factors
from sim import efficiency

TINY = Scanner.preset("tiny")


def test_perfect_crystals_give_each_bin_its_number_of_pairs():
    layout = SinogramLayout.of(TINY, span=3, view_mashing=3)
    ones = np.ones((TINY.rings, TINY.crystals), np.float32)
    expected = np.broadcast_to(layout.multiplicity(), layout.shape)
    np.testing.assert_array_equal(efficiency_factors(layout, ones), expected)


def test_a_bins_efficiency_is_the_product_of_its_crystals():
    layout = SinogramLayout.of(TINY)
    crystals = efficiency.crystal_efficiencies(TINY, np.random.default_rng(1))
    ring1, crystal1, ring2, crystal2 = (a.item() for a in layout.crystals_of(3, 7, 11))
    expected = crystals[ring1, crystal1] * crystals[ring2, crystal2]
    assert efficiency_factors(layout, crystals)[3, 7, 11] == pytest.approx(expected)


def test_bins_without_efficiency_are_those_of_virtual_crystals():
    scanner = Scanner.preset("mMR")
    layout = SinogramLayout.of(scanner, max_ring_difference=0)
    crystals = efficiency.crystal_efficiencies(scanner, np.random.default_rng(1))
    seen = efficiency_factors(layout, crystals) > 0
    np.testing.assert_array_equal(seen, np.broadcast_to(layout.mask(), layout.shape))


def test_dead_blocks_count_nothing():
    crystals = efficiency.crystal_efficiencies(
        Scanner.preset("demo"), np.random.default_rng(1), dead_blocks=3
    )
    assert np.count_nonzero(crystals == 0) == 3 * 8 * 4
