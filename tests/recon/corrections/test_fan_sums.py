import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.corrections.coincidences import Coincidences, real_crystals
from recon.corrections.fan_sums import fit_crystals, fit_fan_sums
from tests.recon.reference_pairs import bin_efficiencies

TINY, MMR = Scanner.preset("tiny"), Scanner.preset("mMR")
LAYOUTS = {
    "span 1": SinogramLayout.of(TINY),
    "span 3": SinogramLayout.of(TINY, span=3),
    "mashed views that do not divide": SinogramLayout.of(TINY, span=3, view_mashing=3),
    "fewer ring differences": SinogramLayout.of(TINY, span=3, max_ring_difference=2),
}


@pytest.fixture(params=LAYOUTS, name="layout")
def every_layout(request):
    return LAYOUTS[request.param]


def crystals(rng, spread=0.2):
    return (1 + spread * rng.standard_normal((5, 32))).astype(np.float32).clip(0.2)


def whole(pairs, values):
    return np.concatenate([pairs.sums(values, views) for views in pairs.chunks()])


def test_sums_of_ones_are_the_numbers_of_pairs(layout):
    ones = np.ones((5, 32), np.float32)
    expected = np.broadcast_to(layout.multiplicity(), layout.shape)
    np.testing.assert_array_equal(whole(Coincidences(layout), ones), expected)


def test_sums_are_those_of_the_simulator(layout, rng):
    values = crystals(rng)
    expected = bin_efficiencies(layout, values)
    np.testing.assert_allclose(whole(Coincidences(layout), values), expected, rtol=1e-6)


def test_one_bin_is_the_sum_over_its_crystal_pairs(layout, rng):
    values = crystals(rng)
    ring1, crystal1, ring2, crystal2 = layout.crystals_of(2, 7, 3)
    expected = np.sum(values[ring1, crystal1] * values[ring2, crystal2])
    assert whole(Coincidences(layout), values)[2, 7, 3] == pytest.approx(expected, rel=1e-6)


def test_fans_are_the_transposes_of_sums(layout, rng):
    # Sum over bins of y (sum of a_i b_j) seen from the crystals: every pair counts at both ends.
    pairs, values = Coincidences(layout), crystals(rng)
    bins = rng.random(layout.shape, dtype=np.float32)
    fans = sum(pairs.fans(bins[views], values, views) for views in pairs.chunks())
    expected = 2 * np.sum(bins * whole(pairs, values), dtype=np.float64)
    assert np.sum(fans * values) == pytest.approx(expected, rel=1e-6)


def test_the_fan_of_one_crystal_worked_out_by_hand(layout, rng):
    pairs, values = Coincidences(layout), crystals(rng)
    bins = np.zeros(layout.shape, np.float32)
    bins[2, 7, 3] = 5
    fans = sum(pairs.fans(bins[views], values, views) for views in pairs.chunks())
    expected = np.zeros((5, 32))
    for r1, c1, r2, c2 in zip(*layout.crystals_of(2, 7, 3), strict=True):
        expected[r1, c1] += 5 * values[r2, c2]
        expected[r2, c2] += 5 * values[r1, c1]
    np.testing.assert_allclose(fans, expected, rtol=1e-6)


def test_partners_are_the_fans_of_ones(layout, rng):
    pairs, values = Coincidences(layout), crystals(rng)
    ones = np.ones(layout.shape, np.float32)
    fans = sum(pairs.fans(ones[views], values, views) for views in pairs.chunks())
    np.testing.assert_allclose(pairs.partners(values), fans, rtol=1e-6)


def test_views_of_the_mmr_come_in_chunks_of_bounded_memory():
    pairs = Coincidences(SinogramLayout.of(MMR, max_ring_difference=60))
    views = [view for chunk in pairs.chunks() for view in range(chunk.start, chunk.stop)]
    assert views == list(range(252))
    largest = max(chunk.stop - chunk.start for chunk in pairs.chunks())
    assert largest * 344 * len(pairs.ring1) * 4 <= 16 << 20


def test_the_mmr_has_64_rings_of_448_real_crystals():
    assert real_crystals(MMR).sum() == 64 * 448


def test_expected_counts_without_noise_give_the_values_back(layout, rng):
    values = crystals(rng)
    weights = 0.5 + rng.random(layout.shape, dtype=np.float32)
    counts = bin_efficiencies(layout, values) * weights
    fit = fit_crystals(counts, layout, expected=weights, updates=3000, tolerance=1e-6)
    # Bins that sum 3 views tell neighbouring crystals apart less well than float32 counts.
    near = 3e-2 if layout.view_mashing > 1 else 1e-4
    np.testing.assert_allclose(fit.values, values, rtol=near)


def test_a_known_background_is_no_part_of_the_values(layout, rng):
    values = crystals(rng)
    background = np.full(layout.shape, 3, np.float32)
    counts = bin_efficiencies(layout, values) * 4 + background
    fit = fit_crystals(
        counts, layout, expected=np.float32(4), background=background, updates=3000
    )
    near = 5e-2 if layout.view_mashing > 1 else 1e-3
    np.testing.assert_allclose(fit.values, values, rtol=near)


def test_every_update_raises_the_likelihood(layout, rng):
    pairs = Coincidences(layout)
    counts = rng.poisson(bin_efficiencies(layout, crystals(rng)) * 2).astype(np.float32)
    likelihood = []
    for updates in range(1, 9):
        values = fit_crystals(counts, layout, updates=updates, tolerance=0).values
        expected = whole(pairs, values.astype(np.float32)).astype(np.float64)
        likelihood.append(np.sum(counts * np.log(expected) - expected))
    assert np.all(np.diff(likelihood) > -1e-4)
    assert likelihood[-1] > likelihood[0]


def test_at_the_maximum_each_crystals_fan_sum_is_that_of_the_counts(rng):
    layout = LAYOUTS["span 1"]
    counts = rng.poisson(bin_efficiencies(layout, crystals(rng)) * 2).astype(np.float32)
    pairs = Coincidences(layout)
    fit = fit_crystals(counts, layout)
    ones = np.ones((5, 32), np.float32)
    fans = sum(pairs.fans(counts[views], ones, views) for views in pairs.chunks())
    assert fit.converged
    np.testing.assert_allclose(fit.values * pairs.partners(fit.values), fans, rtol=1e-5)


def test_fan_sums_of_events_fit_as_their_sinogram_does(rng):
    layout = LAYOUTS["span 1"]
    events = [rng.integers(0, size, 4000) for size in (5, 32, 5, 32)]
    view, radial, plane, _ = layout.bin_of(*events)
    inside = view >= 0
    counts = np.zeros(layout.shape, np.float32)
    np.add.at(counts, (view[inside], radial[inside], plane[inside]), 1)
    fans = Coincidences(layout).fan_sums_of_events(*events)
    assert fans.sum() == 2 * inside.sum()
    ours, theirs = fit_fan_sums(fans, layout).values, fit_crystals(counts, layout).values
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_a_crystal_that_counts_nothing_gets_0_and_leaves_the_others_alone(rng):
    layout, values = LAYOUTS["span 1"], crystals(rng)
    values[2, 5] = 0
    fit = fit_crystals(bin_efficiencies(layout, values), layout)
    assert fit.values[2, 5] == 0
    np.testing.assert_allclose(fit.values, values, rtol=1e-4)


def test_no_counts_at_all_are_refused():
    layout = LAYOUTS["span 1"]
    with pytest.raises(ValueError, match="got none between real crystals"):
        fit_crystals(np.zeros(layout.shape, np.float32), layout)


def test_counts_less_than_0_are_refused():
    layout = LAYOUTS["span 3"]
    with pytest.raises(ValueError, match="as counted, before anything is subtracted"):
        fit_crystals(np.full(layout.shape, -1, np.float32), layout)


def test_counts_of_another_layout_are_refused():
    with pytest.raises(ValueError, match=r"shape \(16, 23, 25\).*, got \(16, 23, 9\)"):
        fit_crystals(np.ones((16, 23, 9), np.float32), LAYOUTS["span 1"])
    with pytest.raises(ValueError, match=r"\(5, 32\) of 'tiny', got \(4, 32\)"):
        fit_fan_sums(np.ones((4, 32)), LAYOUTS["span 1"])
