"""Thinned counts against counts drawn at the low dose, by chi-square tests.

Each test holds with probability 0.999 for a generator of another seed: LEVEL is shared out between
both tails. That they can fail is shown by the last ones of a group, on counts that are wrong.
"""

import numpy as np
import pytest
from scipy import stats

from recon.events import Events
from sim.dose import Dose, halves, parts, thin, thin_events

LEVEL = 1e-3
SCANS = 300
SIGNAL = np.linspace(20, 400, 240).reshape(8, 10, 3)  # expected trues and scatter of a tiny scan
RANDOMS = np.linspace(200, 40, 240).reshape(8, 10, 3)


def accepts(statistic, degrees):
    """Whether a chi-square statistic lies between the quantiles that leave LEVEL out."""
    low, high = stats.chi2.ppf([LEVEL / 2, 1 - LEVEL / 2], degrees)
    return low < statistic < high


def has_mean(scans, mean):
    """Whether Poisson counts (scans, ...) sum to what is expected: chi-square of the bins."""
    expected = mean * len(scans)
    return accepts(np.sum((scans.sum(0) - expected) ** 2 / expected), mean.size)


def has_poisson_variance(scans):
    """Whether the variance over the scans is the mean: Fisher's index of dispersion of the bins."""
    mean = scans.mean(0)
    return accepts(np.sum((scans - mean) ** 2 / mean), mean.size * (len(scans) - 1))


def correlation(first, second):
    """Of two lots of scans over scans and bins, in standard deviations of no correlation."""
    first, second = (scans - scans.mean(0) for scans in (first, second))
    first, second = first / first.std(), second / second.std()
    return float(np.mean(first * second) * np.sqrt(first.size))


def uncorrelated(first, second):
    return abs(correlation(first, second)) < stats.norm.ppf(1 - LEVEL / 2)


@pytest.fixture(params=[Dose(factor=4), Dose(factor=20), Dose(factor=10, mode="activity")],
                ids=["time 4", "time 20", "activity 10"])
def dose(request):
    return request.param


@pytest.fixture
def thinned(dose, rng):
    """(kept, discarded, low): prompts (scans, ...) thinned from standard scans, and their mean."""
    pairs = [
        thin(rng.poisson(SIGNAL + RANDOMS), dose.prompts(RANDOMS / (SIGNAL + RANDOMS)), rng)
        for _ in range(SCANS)
    ]
    kept, discarded = (np.array(part, float) for part in zip(*pairs, strict=True))
    return kept, discarded, dose.signal * SIGNAL + dose.randoms * RANDOMS


def test_thinned_counts_have_the_mean_of_the_low_dose(thinned):
    kept, _, low = thinned
    assert has_mean(kept, low)


def test_thinned_counts_have_the_variance_of_the_low_dose(thinned):
    assert has_poisson_variance(thinned[0])


def test_discarded_counts_have_the_mean_and_variance_of_the_rest_of_the_dose(thinned):
    _, discarded, low = thinned
    assert has_mean(discarded, SIGNAL + RANDOMS - low)
    assert has_poisson_variance(discarded)


def test_kept_and_discarded_counts_are_uncorrelated(thinned):
    kept, discarded, _ = thinned
    assert uncorrelated(kept, discarded)


def test_kept_counts_are_correlated_with_the_scan_they_were_thinned_from(thinned):
    kept, discarded, _ = thinned
    assert correlation(kept, kept + discarded) > 10


def test_thinned_scans_are_distributed_as_scans_drawn_at_the_low_dose(thinned, rng):
    kept, _, low = thinned
    drawn = rng.poisson(low, kept.shape)
    sums = kept.sum(0), drawn.sum(0)
    assert accepts(np.sum((sums[0] - sums[1]) ** 2 / (sums[0] + sums[1])), low.size)


def test_counts_that_are_scaled_and_not_thinned_fail_the_test_of_variance(rng):
    assert not has_poisson_variance(rng.poisson(SIGNAL, (SCANS, *SIGNAL.shape)) / 4)


def test_a_mean_that_is_off_by_one_per_cent_fails_the_test_of_means(rng):
    assert not has_mean(rng.poisson(1.01 * SIGNAL, (SCANS, *SIGNAL.shape)), SIGNAL)


def test_less_activity_has_the_randoms_fraction_that_squares_give_and_a_shorter_scan_keeps_it(rng):
    signal, randoms = 3e6, 1e6
    for mode, fraction in (("time", 0.25), ("activity", 1 / (1 + 3 * 10))):
        dose = Dose(factor=10, mode=mode)
        prompts = float(thin([signal + randoms], dose.prompts(0.25), rng)[0][0])
        delayeds = float(thin([randoms], dose.randoms, rng)[0][0])
        # Relative standard deviation of a ratio of counts: of the delayeds, mostly.
        sd = fraction * np.sqrt(1 / delayeds + 1 / prompts)
        assert delayeds / prompts == pytest.approx(fraction, abs=4 * sd)


def test_halves_are_equal_in_the_mean_and_uncorrelated(rng):
    pairs = [halves(rng.poisson(SIGNAL), rng) for _ in range(SCANS)]
    first, second = (np.array(part, float) for part in zip(*pairs, strict=True))
    assert has_mean(first, SIGNAL / 2) and has_mean(second, SIGNAL / 2)
    assert uncorrelated(first, second)


def test_parts_are_independent_poisson_scans_and_sum_to_the_whole(rng):
    wholes = [rng.poisson(SIGNAL).astype(np.float32) for _ in range(SCANS)]
    split = np.array([list(parts(whole, 4, rng)) for whole in wholes])
    np.testing.assert_array_equal(split.sum(axis=1), wholes)
    split = split.swapaxes(0, 1).astype(float)
    for k, part in enumerate(split):
        assert has_mean(part, SIGNAL / 4) and has_poisson_variance(part)
        assert all(uncorrelated(part, other) for other in split[:k])


def test_one_part_is_the_whole(rng):
    (part,) = parts([[3, 0], [1, 2]], 1, rng)
    np.testing.assert_array_equal(part, [[3, 0], [1, 2]])


def test_kept_and_discarded_counts_sum_to_the_scan(rng):
    counts = rng.poisson(SIGNAL).astype(np.float32)
    kept, discarded = thin(counts, 0.3, rng)
    assert kept.dtype == discarded.dtype == np.float32
    assert discarded.min() >= 0
    np.testing.assert_array_equal(kept + discarded, counts)


def test_the_standard_dose_keeps_every_count(rng):
    counts = rng.poisson(SIGNAL)
    np.testing.assert_array_equal(thin(counts, Dose(factor=1).prompts(0.3), rng)[0], counts)


def listed(number, rng):
    """Events of a scan of a second, a third of them delayed."""
    rings, crystals = (rng.integers(0, size, (2, number)).astype(np.int16) for size in (5, 32))
    times, delayed = np.sort(rng.integers(0, 1000, number)), rng.random(number) < 1 / 3
    return Events(ring1=rings[0], ring2=rings[1], crystal1=crystals[0], crystal2=crystals[1],
                  time_ms=times, delayed=delayed)


def test_a_thinned_list_holds_a_binomial_number_of_its_events_in_order(rng):
    events = listed(20_000, rng)
    (kept,) = thin_events([events], 0.25, rng)
    for delayed in (True, False):
        number, all_of_them = (int((e.delayed == delayed).sum()) for e in (kept, events))
        assert stats.binomtest(number, all_of_them, 0.25).pvalue > LEVEL
    assert (np.diff(kept.time_ms) >= 0).all()


def test_a_thinned_list_is_the_same_however_it_is_cut_into_chunks(rng):
    events = listed(1000, rng)
    parts = [events.select(slice(0, 300)), events.select(slice(300, None))]
    (whole,) = thin_events([events], 0.5, np.random.default_rng(3))
    kept = list(thin_events(parts, 0.5, np.random.default_rng(3)))
    np.testing.assert_array_equal(
        np.concatenate([part.crystal1 for part in kept]), whole.crystal1
    )


def test_delayeds_of_a_list_at_less_activity_go_with_the_square(rng):
    dose, events = Dose(factor=4, mode="activity"), listed(40_000, rng)
    shares = dose.prompts(0.5), dose.randoms
    (kept,) = thin_events([events], lambda e: np.where(e.delayed, shares[1], shares[0]), rng)
    for delayed, share in ((False, (1 / 4 + 1 / 16) / 2), (True, 1 / 16)):
        number, all_of_them = (int((e.delayed == delayed).sum()) for e in (kept, events))
        assert stats.binomtest(number, all_of_them, share).pvalue > LEVEL


@pytest.mark.parametrize("counts", [[1.5], [-1.0], [np.nan]])
def test_what_is_no_count_is_refused(counts, rng):
    with pytest.raises(ValueError, match="whole numbers of 0 or more"):
        thin(np.array(counts), 0.5, rng)


def test_a_probability_above_one_is_refused(rng):
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.2 to 1\.2"):
        thin(np.ones(3), 1.2, rng)


def test_a_dose_above_the_standard_one_is_refused():
    with pytest.raises(ValueError, match=r"1 or more, got 0\.25; 4 is a quarter"):
        Dose(factor=0.25)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="time or activity, got 'money'"):
        Dose(factor=4, mode="money")
