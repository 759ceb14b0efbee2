import pytest

from benchmarks.study import MANY, example, measured, study
from sim.study_file import read_study
from tests.sim.studies import write


def test_people_are_made_each_in_a_process_and_measured(tmp_path):
    found = measured(read_study(write(tmp_path)), people=2)
    assert [row["number"] for row in found["people"]] == [1, 2]
    assert all(row["cpu_seconds"] > 0 and row["bytes"] > 1000 for row in found["people"])
    assert 30e6 < found["peak_bytes"] < 1e9
    assert found["seconds_per_pair"] == found["seconds_per_person"]  # of one low dose
    rounds = 2 / found["workers"]
    whole = 2 * found["seconds_per_person"]
    assert found["seconds_of_many"] == pytest.approx(whole * MANY / found["workers"] / rounds)


def test_another_scanner_has_its_default_span_and_subsets_that_divide_its_views():
    made = example("mMR")
    assert made.scan.span == 11 and made.scan.layout.views == 252
    assert made.reconstruction.subsets in (7, 9)
    assert made.doses == example("demo").doses


def test_no_people_are_refused():
    with pytest.raises(ValueError, match="--people takes 1 or more, got 0"):
        study(people=0)
