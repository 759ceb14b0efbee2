"""`countless benchmark count-rates`: a tiny run, and what it compares with."""

import json
import re

import pytest

from benchmarks.count_rates import DEAD_TIME_FITTED_TO, PUBLISHED, count_rates, off_percent


def test_a_tiny_run_says_what_is_fitted_and_what_is_predicted(tmp_path):
    path = tmp_path / "rates.json"
    count_rates(scanner=("mMR",), pairs=100_000, output=path)
    said = json.loads(path.read_text())
    (row,) = said["rows"]
    assert row["sensitivity"] == pytest.approx(15.0, rel=0.1)
    assert row["sensitivity_is"] == "fitted" and row["peak_kcps_is"] == "predicted"
    assert said["seen_fitted_to"].startswith("mMR: sensitivity of 15 cps/kBq, Delso")
    assert abs(row["off_percent"]["peak_kcps"]) < 30
    necr = [point["necr"] for point in row["curve"]]
    assert max(necr) == pytest.approx(row["peak_kcps"], rel=0.02) and necr[-1] < max(necr)


@pytest.mark.parametrize(("found", "off"), [(180.0, -10.0), (210.0, 0.0), (264.0, 20.0)])
def test_a_value_is_as_far_off_as_it_lies_from_the_published_range(found, off):
    assert off_percent(found, ((220.0, "one"), (200.0, "other"))) == pytest.approx(off)


def test_what_is_fitted_was_published():
    assert set(DEAD_TIME_FITTED_TO) <= PUBLISHED.keys()
    for values in PUBLISHED.values():
        for source in (source for value in values.values() for _, source in value):
            assert re.search(r"(J Nucl Med|EJNMMI Phys).*\b20[12]\d\b", source)


def test_an_unknown_scanner_is_refused():
    with pytest.raises(ValueError, match="the nearest is 'mMR'"):
        count_rates(scanner=("mMMR",))
