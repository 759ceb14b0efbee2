from dataclasses import replace

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.corrections.coincidences import Coincidences, real_crystals
from recon.corrections.fan_sums import fit_fan_sums
from recon.corrections.normalization import singles_efficiencies
from recon.corrections.randoms import (
    crystal_singles,
    randoms,
    randoms_from_delayeds,
    randoms_from_singles,
    singles_from_delayeds,
)
from recon.io.siemens import read_list_mode
from recon.io.siemens_norm import read_norm
from tests.recon.reference_pairs import bin_efficiencies

TINY, DEMO, MMR = (Scanner.preset(name) for name in ("tiny", "demo", "mMR"))
GAPS = replace(TINY, name="tiny with gaps", virtual_crystals=(0,), virtual_rings=(2,))
REALISATIONS = 60


def activity_singles(scanner, mean):
    """Singles that vary smoothly around and along, and from crystal to crystal."""
    rng = np.random.default_rng(3)
    ring, crystal = np.indices((scanner.rings, scanner.crystals))
    smooth = 1 + 0.4 * np.cos(2 * np.pi * crystal / scanner.crystals) - 0.25 * ring / scanner.rings
    return mean * smooth * rng.normal(1, 0.1, smooth.shape) * real_crystals(scanner)


@pytest.mark.parametrize("scanner", [TINY, GAPS], ids=lambda scanner: scanner.name)
@pytest.mark.parametrize("span", [1, 3])
def test_randoms_from_delayeds_are_free_of_bias_and_smoother(scanner, span, rng):
    # About 0.5 delayeds per pair of crystals.
    layout = SinogramLayout.of(scanner, span=span)
    truth = bin_efficiencies(layout, activity_singles(scanner, 0.7))
    found = np.stack([
        randoms_from_delayeds(
            rng.poisson(truth).astype(np.float32), layout, tolerance=1e-4
        )[0]
        for _ in range(REALISATIONS)
    ]).astype(np.float64)
    kept = truth > 0
    np.testing.assert_array_equal(found[:, ~kept], 0)
    # Mean over realisations: the total within 3 standard errors; of the sums of each plane and of
    # each radial bin, which are dozens, the worst within 4 and the mean square about 1.
    assert abs(_errors(found.sum(axis=(1, 2, 3)), truth.sum())) < 3
    for axes in ((0, 1), (0, 2)):
        errors = _errors(found.sum(axis=tuple(a + 1 for a in axes)), truth.sum(axis=axes))
        assert np.abs(errors).max() < 4
        assert np.mean(errors**2) < 2
    # Variance in a bin against that of the delayeds, which is their mean.
    smoother = truth[kept].mean() / found.var(axis=0, ddof=1)[kept].mean()
    assert smoother > (20 if span == 1 else 15)


def _errors(sums, truth):
    kept = np.asarray(truth) > 0
    spread = sums.std(axis=0, ddof=1) / np.sqrt(len(sums))
    return ((sums.mean(axis=0) - truth) / np.where(kept, spread, 1))[kept]


def test_mean_of_each_bin_agrees_with_the_truth_at_span_1(rng):
    layout = SinogramLayout.of(TINY)
    truth = bin_efficiencies(layout, activity_singles(TINY, 1.5))
    found = np.stack([
        randoms_from_delayeds(rng.poisson(truth).astype(np.float32), layout)[0]
        for _ in range(REALISATIONS)
    ]).astype(np.float64)
    errors = _errors(found, truth)
    assert abs(errors.mean()) < 0.3
    assert np.mean(errors**2) < 1.5


def test_variance_falls_to_about_2_over_the_number_of_partners(rng):
    # Each of 160 crystals has 23 x 5 = 115 partners: 57 times less variance.
    layout = SinogramLayout.of(TINY)
    truth = np.full(layout.shape, 4.0)
    found = np.stack([
        randoms_from_delayeds(rng.poisson(truth).astype(np.float32), layout)[0]
        for _ in range(REALISATIONS)
    ])
    assert 4.0 / found.var(axis=0, ddof=1).mean() == pytest.approx(115 / 2, rel=0.1)


def test_the_demo_scanners_randoms_are_900_times_smoother_than_its_delayeds(rng):
    layout = SinogramLayout.of(DEMO)
    truth = bin_efficiencies(layout, activity_singles(DEMO, 0.3))
    found, fit = randoms_from_delayeds(rng.poisson(truth).astype(np.float32), layout)
    assert fit.converged
    # 135 x 16 = 2160 partners; half of them, less what uneven singles cost.
    assert truth.mean() / np.mean((found - truth) ** 2) > 900
    total = float(truth.sum(dtype=np.float64))
    assert found.sum(dtype=np.float64) == pytest.approx(total, abs=4 * np.sqrt(total))


def test_randoms_have_the_delayeds_sum_exactly(rng):
    layout = SinogramLayout.of(TINY)
    delayeds = rng.poisson(0.3, layout.shape).astype(np.float32)
    found, _ = randoms_from_delayeds(delayeds, layout)
    assert found.sum(dtype=float) == pytest.approx(delayeds.sum(dtype=float), rel=1e-5)


def test_span_3_expanded_from_span_1_sums_its_ring_pairs():
    single, summed = SinogramLayout.of(TINY), SinogramLayout.of(TINY, span=3)
    singles = activity_singles(TINY, 2)
    one, many = randoms(singles, single), randoms(singles, summed)
    _, ring1, ring2 = single.ring_pairs().T
    expected = np.zeros(summed.shape)
    np.add.at(expected.transpose(2, 0, 1), summed.bin_of(ring1, 0, ring2, 16)[2],
              one.transpose(2, 0, 1))
    np.testing.assert_allclose(many, expected, rtol=1e-6)


def test_delayeds_at_span_1_give_randoms_of_any_layout(rng):
    layout, target = SinogramLayout.of(TINY), SinogramLayout.of(TINY, span=3, view_mashing=2)
    delayeds = bin_efficiencies(layout, activity_singles(TINY, 2))
    found, _ = randoms_from_delayeds(delayeds, layout, target=target)
    expected = bin_efficiencies(target, activity_singles(TINY, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_time_of_flight_bins_share_the_randoms_evenly():
    layout = SinogramLayout.of(TINY, tof_mashing=3)
    singles = activity_singles(TINY, 2)
    found, flat = randoms(singles, layout), randoms(singles, layout.without_tof())
    assert found.shape == layout.shape
    np.testing.assert_allclose(found, np.repeat(flat[:, :, None] / 3, 3, axis=2), rtol=1e-6)


def test_delayeds_with_time_of_flight_are_summed_over_it(rng):
    layout = SinogramLayout.of(TINY, tof_mashing=3)
    delayeds = rng.poisson(1.0, layout.shape).astype(np.float32)
    ours = singles_from_delayeds(delayeds, layout).values
    theirs = singles_from_delayeds(delayeds.sum(axis=2), layout.without_tof()).values
    np.testing.assert_allclose(ours, theirs)


def test_some_views_are_those_of_all():
    layout = SinogramLayout.of(TINY)
    singles = activity_singles(TINY, 2)
    np.testing.assert_array_equal(
        randoms(singles, layout, views=slice(3, 9)), randoms(singles, layout)[3:9]
    )


def test_rate_of_one_pair_is_2_tau_s1_s2():
    # 1e5/s and 2e5/s within 1000 ps for 10 s: 200 coincidences.
    layout = SinogramLayout.of(TINY)
    rates = np.zeros((5, 32))
    rates[1, 0], rates[3, 16] = 1e5, 2e5
    found = randoms_from_singles(rates, layout, 10)
    view, radial, plane, _ = layout.bin_of(1, 0, 3, 16)
    assert found[view, radial, plane] == pytest.approx(200)
    assert found.sum() == pytest.approx(200)


def test_time_of_flight_bins_get_the_part_of_the_window_that_they_cover():
    # 3 bins of 300 ps within a window of 1000 ps.
    layout = SinogramLayout.of(TINY, tof_mashing=3)
    rates = np.full((5, 32), 1e4)
    found = randoms_from_singles(rates, layout, 1).sum(dtype=float)
    flat = randoms_from_singles(rates, layout.without_tof(), 1).sum(dtype=float)
    assert found / flat == pytest.approx(0.9)


def test_accidental_coincidences_of_random_singles_agree_with_2_tau_s1_s2(rng):
    # 160 crystals fire at random for 0.02 s; pairs within 500 ps are coincidences (2 tau 1000 ps).
    layout = SinogramLayout.of(TINY)
    rates = activity_singles(TINY, 4e5)
    expected = randoms_from_singles(rates, layout, 0.02)
    fired = rng.poisson(rates * 0.02)
    crystal = np.repeat(np.arange(160), fired.ravel())
    time_ps = rng.random(len(crystal)) * 2e10
    order = np.argsort(time_ps)
    crystal, time_ps = crystal[order], time_ps[order]
    counted = 0
    for step in range(1, 6):
        near = time_ps[step:] - time_ps[:-step] < 500
        one, other = crystal[:-step][near], crystal[step:][near]
        view, *_ = layout.bin_of(one // 32, one % 32, other // 32, other % 32)
        counted += np.count_nonzero(view >= 0)
    assert counted > 10000
    assert counted == pytest.approx(expected.sum(dtype=float), abs=4 * np.sqrt(counted))


def test_singles_of_a_block_spread_evenly_over_its_real_crystals():
    # 2 of 8 blocks around, 1 along: 5 rings of 4 crystals, 4 rings of 3 of them real.
    singles = crystal_singles([[1200.0] * 8], GAPS)
    assert singles[0, 1] == 100
    assert singles.sum() == pytest.approx(8 * 1200)
    np.testing.assert_array_equal(singles[~real_crystals(GAPS)], 0)


def test_singles_of_a_block_spread_as_efficiencies_say():
    efficiencies = np.ones((5, 32))
    efficiencies[0, 0] = 21
    singles = crystal_singles([[400.0] * 8], TINY, efficiencies=efficiencies)
    assert (singles[0, 0], singles[0, 1]) == (210, 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: randoms(np.ones((5, 31)), SinogramLayout.of(TINY)), "singles take shape"),
        (lambda: randoms(-np.ones((5, 32)), SinogramLayout.of(TINY)), "of at least 0"),
        (lambda: randoms_from_singles(np.ones((5, 32)), SinogramLayout.of(TINY), 0), "duration"),
        (
            lambda: randoms_from_singles(
                np.ones((5, 32)),
                SinogramLayout.of(replace(TINY, coincidence_window_ps=None)), 1,
            ),
            "give window_ps",
        ),
        (lambda: crystal_singles(np.ones((2, 8)), TINY), "that divide 5 rings"),
        (
            lambda: randoms_from_delayeds(
                np.ones((16, 23, 25), np.float32), SinogramLayout.of(TINY),
                target=SinogramLayout.of(DEMO),
            ),
            "delayeds of the same scan",
        ),
        (
            lambda: randoms_from_delayeds(
                np.ones((16, 22, 25), np.float32), SinogramLayout.of(TINY)
            ),
            r"counts take shape \(16, 23, 25\) .*, got \(16, 22, 25\)",
        ),
        (
            lambda: randoms_from_delayeds(
                np.full((16, 23, 25), -1, np.float32), SinogramLayout.of(TINY)
            ),
            "before anything is subtracted",
        ),
    ],
)
def test_what_no_scan_gives_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_delayeds_of_the_real_scan_keep_their_number_and_touch_no_gap(reference):
    words = np.fromfile(reference / "mmr_brain_0.6s" / "small_listmode_file.l", "<u4")
    address = words[words >> 30 == 0] & 0x3FFFFFFF
    layout = SinogramLayout.of(MMR, max_ring_difference=60)
    plane, ring1, ring2 = layout.ring_pairs()[address // 86688].T
    assert np.array_equal(plane, address // 86688)
    crystal1, crystal2 = layout.crystal_pairs()[0, address // 344 % 252, address % 344].T
    fans = Coincidences(layout).fan_sums_of_events(ring1, crystal1, ring2, crystal2)
    assert fans.sum() == 2 * len(address) == 2 * 35320  # none on a virtual crystal
    fit = fit_fan_sums(fans, layout, tolerance=1e-4)
    target = SinogramLayout.of(MMR, span=11, max_ring_difference=60)
    found = randoms(fit.values, target)
    assert found.sum(dtype=float) == pytest.approx(35320, rel=1e-4)
    np.testing.assert_array_equal(found.any(axis=2), target.mask()[:, :, 0])


def test_a_norm_spreads_a_buckets_singles_over_its_crystals_as_real_delayeds_are(reference):
    """The list is shorter than the 2 s after which the mMR tells singles: they are from delayeds.

    S = s / sqrt(2 tau T) of each crystal, summed to buckets as the list would tell them. So their
    sum comes back whatever tau and T are; how a bucket's singles lie within it does not.
    """
    layout = SinogramLayout.of(MMR, max_ring_difference=60)
    pairs, fans = Coincidences(layout), np.zeros((64, 504))
    events = read_list_mode(reference / "mmr_brain_0.6s" / "PET_ACQ_small.l.hdr.STIR")
    for chunk in events.chunks():
        late = chunk.select(chunk.delayed)
        fans += pairs.fan_sums_of_events(late.ring1, late.crystal1, late.ring2, late.crystal2)
    live_s = MMR.coincidence_window_ps * 1e-12 * events.end_ms / 1000
    fit = fit_fan_sums(fans, layout, tolerance=1e-4)
    buckets = (fit.values / np.sqrt(live_s)).reshape(8, 8, 28, 18).sum(axis=(1, 3))
    assert 4e6 < buckets.sum() < 7e6  # 5.4 million per second
    singles = crystal_singles(buckets, MMR)
    expected = singles * pairs.partners(singles) * live_s
    assert expected.sum() / 2 == pytest.approx(35_320, rel=2e-3)
    sums = [each.reshape(8, 8, 28, 18).sum(axis=(1, 3)) for each in (fans, expected)]
    np.testing.assert_allclose(sums[1], sums[0], rtol=0.01)
    # Within a bucket singles are not even: less is counted at the edges of a block, as a
    # normalization of another day says.
    norm = read_norm(reference / "mmr_norm" / "norm.n.hdr")
    spread = crystal_singles(buckets, MMR, efficiencies=singles_efficiencies(norm))
    spread = spread * pairs.partners(spread) * live_s
    places = [each.reshape(-1, 9)[:, 1:].sum(axis=0) for each in (fans, expected, spread)]
    ratios = places[0] / places[1], places[0] / places[2]
    assert ratios[0][[0, 7]].max() < 0.92
    np.testing.assert_allclose(ratios[1], 1, atol=0.04)
    assert _deviance(fans, expected) - _deviance(fans, spread) > 200  # 226


def _deviance(counts, expected):
    """Twice the log likelihood that a perfect model of Poisson counts would have more."""
    real = expected > 0
    counts, expected = counts[real], expected[real] * counts.sum() / expected[real].sum()
    logs = np.log(np.where(counts > 0, counts, 1) / expected)
    return 2 * float(np.sum(counts * logs - (counts - expected)))
