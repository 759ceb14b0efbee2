import numpy as np
import pytest

from benchmarks.paired import LEAST, mean_with_interval, paired


def test_the_interval_of_many_values_is_that_of_the_normal_mean(rng):
    values = rng.normal(3, 2, 400)
    found = mean_with_interval(values)
    assert found["mean"] == values.mean() and found["phantoms"] == 400
    half = 1.96 * values.std() / 20
    assert found["high"] - found["mean"] == pytest.approx(half, rel=0.1)
    assert found["mean"] - found["low"] == pytest.approx(half, rel=0.1)


def test_the_same_values_have_the_same_interval(rng):
    values = rng.normal(size=7)
    assert mean_with_interval(values) == mean_with_interval(values)


def test_a_phantom_without_a_value_does_not_count():
    assert mean_with_interval([1.0, np.nan, 3.0])["mean"] == 2
    assert mean_with_interval([1.0, np.nan, 3.0])["phantoms"] == 2


def test_one_phantom_has_no_interval_and_none_has_no_mean():
    one, none = mean_with_interval([2.0]), mean_with_interval([np.nan])
    assert one["mean"] == 2 and np.isnan(one["low"]) and np.isnan(one["high"])
    assert np.isnan(none["mean"]) and none["phantoms"] == 0


def test_below_six_phantoms_there_is_no_interval_for_wilcoxons_p_is_never_below_5_per_cent():
    five, six = (paired(np.arange(1.0, many), np.zeros(many - 1)) for many in (LEAST, LEAST + 1))
    assert np.isnan(five["low"]) and np.isnan(five["high"]) and five["p"] > 0.05
    assert six["low"] > 0 and six["p"] < 0.05


def test_five_phantoms_that_all_gain_have_p_of_2_in_32():
    found = paired([1.1, 2.2, 3.3, 4.4, 5.5], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert found["p"] == pytest.approx(2 / 32)
    assert found["mean"] == pytest.approx(0.3)


def test_equal_values_have_p_1_and_one_phantom_has_none():
    assert paired([1.0, 2.0], [1.0, 2.0])["p"] == 1
    assert np.isnan(paired([1.0], [2.0])["p"])


def test_a_difference_is_of_the_same_phantom():
    found = paired([1.0, np.nan, 5.0, 2.0], [0.5, 2.0, np.nan, 1.0])
    assert found["phantoms"] == 2 and found["mean"] == pytest.approx(0.75)
