"""Numbers that tell factors from their inverse, worked out by hand."""

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.plausibility import attenuation_misfits, factor_misfits, pair_slope

# Segment 0 of span 3 sums 1, 2, 1, 2, … ring pairs.
SPAN_3 = SinogramLayout.of(Scanner.preset("tiny"), span=3, max_ring_difference=1)
PAIRS = np.broadcast_to(SPAN_3.multiplicity(), SPAN_3.shape).copy()


@pytest.mark.parametrize("power", [-1, 0, 1, 2])
def test_the_slope_is_the_power_of_the_pairs(power):
    assert pair_slope(PAIRS**power, SPAN_3) == pytest.approx(power, abs=1e-6)


def test_what_changes_slowly_along_the_scanner_and_gaps_have_no_part_in_the_slope():
    array = PAIRS * np.exp(0.3 * np.arange(SPAN_3.planes))
    array[:, 3], array[:, 4] = 0, 1e20
    assert pair_slope(array, SPAN_3) == pytest.approx(1, abs=1e-6)


def test_planes_that_sum_one_pair_each_have_no_slope():
    layout = SinogramLayout.of(Scanner.preset("tiny"))
    assert np.isnan(pair_slope(np.ones(layout.shape), layout))
    assert list(factor_misfits(np.ones(layout.shape), layout, "m.hs", "efficiency")) == []


@pytest.mark.parametrize(("what", "power"), [("efficiency", 1), ("correction", -1)])
def test_factors_given_as_what_they_are_have_no_misfit(what, power):
    assert list(factor_misfits(PAIRS**power, SPAN_3, "m.hs", what)) == []


@pytest.mark.parametrize("most", [0.031, 0.096, 0.17, 3.0])
def test_lung_water_bone_and_gold_can_be_attenuation(most):
    assert list(attenuation_misfits(np.array([-1e-4, most]), "mu.hv")) == []


def test_the_real_norm_of_an_mmr_has_slope_1(reference):
    from recon.corrections.normalization import mmr_factors
    from recon.io.siemens_norm import read_norm

    layout = SinogramLayout.of(Scanner.preset("mMR"), span=11, radial_bins=9,
                               max_ring_difference=27)
    factors = mmr_factors(read_norm(reference / "mmr_norm" / "norm.n.hdr"), layout)
    assert pair_slope(factors, layout) == pytest.approx(1, abs=0.1)
