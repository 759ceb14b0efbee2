from dataclasses import replace

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.corrections.coincidences import Coincidences, real_crystals
from recon.corrections.normalization import (
    crystal_efficiencies,
    efficiency_factors,
    live_fractions,
    mmr_factors,
    singles_efficiencies,
)
from recon.io.siemens_norm import read_norm
from sim.efficiency import crystal_efficiencies as drawn_efficiencies
from tests.recon.cases import cylinder_chords
from tests.recon.reference_pairs import bin_efficiencies

TINY, DEMO, MMR = (Scanner.preset(name) for name in ("tiny", "demo", "mMR"))
DIRECT = SinogramLayout.of(MMR, max_ring_difference=0)
PLANES = [0, 31]


@pytest.fixture(scope="module")
def components(reference):
    return read_norm(reference / "mmr_norm" / "norm.n.hdr")


@pytest.fixture(scope="module")
def stir(reference):
    """STIR 6.5's factors of planes 0 and 31, (view, radial, plane); they multiply data."""
    with np.load(reference / "mmr_norm" / "stir_normfac_planes_0_31.npz") as file:
        return {name: np.moveaxis(array, 1, 2) for name, array in file.items()}


def only(components, *names):
    """The components with ones for all others."""
    known = ("geometric", "interference", "efficiencies", "axial")
    ones = {name: np.ones_like(getattr(components, name)) for name in known if name not in names}
    return replace(components, **ones)


def without_gaps(components):
    return replace(components, scanner=replace(components.scanner, virtual_crystals=()))


ALL = ("geometric", "interference", "efficiencies", "axial")


@pytest.mark.parametrize(("name", "used"), [("all", ALL), ("noaxial", ALL[:3])])
def test_factors_of_the_mmr_are_stirs_to_float_rounding(components, stir, name, used):
    ours, theirs = mmr_factors(only(components, *used), DIRECT)[:, :, PLANES], stir[name]
    gap = theirs >= 1e20
    assert gap.sum() == 2 * 18172
    np.testing.assert_array_equal(ours == 0, gap)
    np.testing.assert_allclose(ours[~gap], 1 / theirs[~gap], rtol=5e-7)


@pytest.mark.parametrize(
    ("name", "used"),
    [("effonly", "efficiencies"), ("geomonly", "geometric"), ("crystintonly", "interference")],
)
def test_each_component_of_the_mmr_is_stirs_in_gaps_too(components, stir, name, used):
    scanner = replace(MMR, virtual_crystals=())
    layout = SinogramLayout.of(scanner, max_ring_difference=0)
    ours = mmr_factors(only(without_gaps(components), used), layout)[:, :, PLANES]
    np.testing.assert_allclose(ours, 1 / stir[name], rtol=5e-7)


@pytest.mark.parametrize("span", [3, 11])
def test_a_span_is_the_sum_of_its_ring_pairs_at_span_1(components, span):
    # 20 views and 24 bins of the middle and the edge hold every place in a block.
    views, bins = slice(0, 20), np.r_[0:12, 166:178]
    single = SinogramLayout.of(MMR, max_ring_difference=60)
    summed = SinogramLayout.of(MMR, span=span, max_ring_difference=60)
    part = Coincidences(single)
    ours = mmr_factors(components, summed)[views][:, bins]
    ones = _views_of(components, part, views)[:, bins]
    plane, ring1, ring2 = single.ring_pairs().T
    to = summed.bin_of(ring1, 0, ring2, 252)[2]
    expected = np.zeros(ours.shape)
    for index, target in zip(plane, to, strict=True):
        expected[:, :, target] += ones[:, :, index]
    np.testing.assert_allclose(ours, expected, rtol=2e-6)


def _views_of(components, pairs, views):
    """Factors at span 1 of some views, by the equation in the module's docstring."""
    crystals = pairs.crystals[0, views]
    real = np.where(real_crystals(MMR), components.efficiencies, 0)
    own = SinogramLayout.of(MMR, span=11, max_ring_difference=60)
    view, radial = np.indices(crystals.shape[:2])
    found = np.empty((*crystals.shape[:2], pairs.layout.planes))
    axial = components.axial[own.bin_of(pairs.ring1, 0, pairs.ring2, 252)[2]]
    for plane, ring1, ring2 in zip(pairs.plane, pairs.ring1, pairs.ring2, strict=True):
        found[:, :, plane] = (
            real[ring1, crystals[..., 0]] * real[ring2, crystals[..., 1]]
            * components.geometric[ring1 + ring2, radial]
            * components.interference[radial, view % 9] / axial[plane]
        )
    return found


def test_mashed_views_are_the_sum_of_their_views(components):
    mashed = DIRECT.with_(views=63, view_mashing=4)
    expected = mmr_factors(components, DIRECT).reshape(63, 4, 344, 64).sum(axis=1)
    np.testing.assert_allclose(mmr_factors(components, mashed), expected, rtol=2e-6)


def test_fewer_radial_bins_are_the_middle_ones(components):
    few = DIRECT.with_(radial_bins=100)
    expected = mmr_factors(components, DIRECT)[:, 122:222]
    np.testing.assert_array_equal(mmr_factors(components, few), expected)


def test_no_dead_time_at_no_singles(components):
    np.testing.assert_array_equal(live_fractions(components, np.zeros((8, 28))), 1)


def test_live_fraction_of_a_bucket_worked_out_by_hand(components):
    # Bucket (1, 2) holds rings 8 to 15 and crystals 36 to 53: exp(-1.116e-6 * 1e5 / 2) = 0.9457.
    singles = np.zeros(224)
    singles[28 + 2] = 1e5
    live = live_fractions(components, singles)
    inside = np.zeros((64, 504), bool)
    inside[8:16, 36:54] = True
    np.testing.assert_allclose(live[inside], 0.9457, atol=5e-5)
    np.testing.assert_array_equal(live[~inside], 1)


def test_dead_time_multiplies_both_ends_of_a_pair(components):
    singles = np.full((8, 28), 1e5)
    ratio = mmr_factors(components, DIRECT, singles_per_s=singles) / np.maximum(
        mmr_factors(components, DIRECT), 1e-9
    )
    live = live_fractions(components, singles)[0, 1]
    np.testing.assert_allclose(ratio[ratio > 0], live**2, rtol=1e-5)


def test_a_normalization_of_another_scanner_is_refused(components):
    with pytest.raises(ValueError, match=r"is of Siemens mMR .*, the data are of demo"):
        mmr_factors(components, SinogramLayout.of(DEMO))


def test_ring_differences_without_axial_effects_are_refused(components):
    with pytest.raises(ValueError, match="up to 60, got a layout with 63; make it with"):
        mmr_factors(components, SinogramLayout.of(MMR))


@pytest.mark.parametrize("singles", [np.zeros((7, 28)), np.zeros(8), np.full((8, 28), -1.0)])
def test_singles_that_no_mmr_has_are_refused(components, singles):
    with pytest.raises(ValueError, match="singles rates take"):
        live_fractions(components, singles)


def test_ideal_crystals_count_as_often_as_there_are_pairs_and_never_in_gaps():
    layout = SinogramLayout.of(MMR, span=11, max_ring_difference=60).with_(radial_bins=20)
    crystals, rings = layout.pair_counts()
    factors = efficiency_factors(layout, np.ones((64, 504)))
    np.testing.assert_array_equal(factors, crystals * rings)
    np.testing.assert_array_equal(factors == 0, ~np.broadcast_to(layout.mask(), factors.shape))


def test_other_factors_multiply_each_bin(rng):
    layout, bins = SinogramLayout.of(TINY, span=3), rng.random((1, 23, 1), dtype=np.float32)
    values = drawn_efficiencies(TINY, rng)
    np.testing.assert_allclose(
        efficiency_factors(layout, values, bins=bins),
        bin_efficiencies(layout, values) * bins, rtol=1e-6,
    )


@pytest.mark.parametrize("bad", [np.ones((5, 31)), -np.ones((5, 32)), np.full((5, 32), np.inf)])
def test_values_that_are_no_efficiencies_of_the_scanner_are_refused(bad):
    with pytest.raises(ValueError, match="efficiencies take"):
        efficiency_factors(SinogramLayout.of(TINY), bad)


# Scanner, radius in mm of a cylinder along the axis, and counts per mm of line.
CASES = {"tiny": (TINY, 60.0, 2.0), "demo": (DEMO, 250.0, 0.2)}


@pytest.mark.parametrize("case", CASES)
def test_efficiencies_of_a_simulated_scan_come_back_within_the_statistical_error(case, rng):
    scanner, radius_mm, counts_per_mm = CASES[case]
    layout = SinogramLayout.of(scanner)
    truth = drawn_efficiencies(scanner, rng)
    truth /= truth.mean()
    ideal = np.broadcast_to(cylinder_chords(layout, radius_mm), layout.shape) * counts_per_mm
    mean = bin_efficiencies(layout, truth) * ideal
    background = np.float32(0.2 * mean.mean())
    counts = rng.poisson(mean + background).astype(np.float32)
    fit = crystal_efficiencies(
        counts, layout, ideal.astype(np.float32), background=background, tolerance=1e-5
    )
    assert fit.converged
    # For the logarithms d of fitted over true values, with Fisher information w of each bin,
    # sum w (d_i + d_j - scale)^2 is chi squared with as many degrees of freedom as crystals, less 1
    # for the scale that normalizing takes away.
    log_ratio = np.log(efficiency_factors(layout, fit.values) / efficiency_factors(layout, truth))
    information = mean**2 / (mean + background)
    scale = np.average(log_ratio, weights=information)
    chi_squared = np.sum(information * (log_ratio - scale) ** 2)
    freedom = truth.size - 1
    assert abs(chi_squared - freedom) < 3 * np.sqrt(2 * freedom)


def test_efficiencies_average_1_over_crystals_that_count(rng):
    layout = SinogramLayout.of(TINY)
    truth = drawn_efficiencies(TINY, rng, dead_blocks=1)
    counts = bin_efficiencies(layout, truth) * 100
    fit = crystal_efficiencies(counts, layout, np.float32(1))
    np.testing.assert_array_equal(fit.values == 0, truth == 0)
    assert fit.values[truth > 0].mean() == pytest.approx(1)
    np.testing.assert_allclose(fit.values, truth / truth[truth > 0].mean(), rtol=1e-4)


def test_places_in_a_block_come_back_from_an_interference_that_is_their_product(components):
    place = np.array([0, 0.9, 1.1, 1, 1.05, 1, 1, 1.05, 0.9], np.float32)
    layout = SinogramLayout.of(MMR, max_ring_difference=0)
    interference = np.ones((344, 9), np.float32)
    radial = np.arange(344)
    for view in range(9):
        ends = place[layout.crystal_pairs()[0, view] % 9]
        # A level for each radial bin, and any value where an end is in a gap.
        interference[:, view] = np.where(ends.all(axis=1), ends.prod(axis=1), 7) * (1 + radial / 99)
    ideal = replace(components, interference=interference, efficiencies=np.full((64, 504), 2.0))
    found = singles_efficiencies(ideal)
    expected = np.broadcast_to(place[np.arange(504) % 9], found.shape)
    np.testing.assert_allclose(found / found.max(), expected / expected.max(), rtol=1e-5)
