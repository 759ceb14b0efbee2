"""The results that are kept: what the project promises stands in them, and in the README."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def read(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_result_says_where_it_comes_from(path):
    said = json.loads(path.read_text())
    assert {"version", "commit", "date", "command", "machine"} <= said.keys()
    assert re.fullmatch(r"[0-9a-f]{12}", said["commit"])  # of a tree without other changes
    assert said["command"].startswith("countless benchmark ")
    assert f"results/{path.name}" in README


def test_at_a_fiftieth_of_the_counts_scatter_is_off_by_at_most_3_percent_on_average():
    cases = [case for case in read("corrections-cpu")["cases"] if case["prompts"] == 2e6]
    assert [(case["object"], case["tof"]) for case in cases] == [
        ("torso", False), ("torso", True), ("arms", False), ("arms", True)
    ]
    for case in cases:
        assert len(case["scans"]["scatter"]) == 20
        assert abs(case["summary"]["scatter"]["bias"]) <= 0.03
        assert case["summary"]["scatter"]["rms"] <= 0.10


def test_the_readmes_table_of_corrections_is_the_result():
    for case in read("corrections-cpu")["cases"]:
        scatter = case["summary"]["scatter"]
        said = f"{100 * scatter['bias']:+.2f} ± {100 * scatter['spread']:.2f}"
        assert said in README


def test_the_readmes_scatter_fractions_are_the_result():
    for row in read("scatter-fraction-cpu")["rows"]:
        if row["published_range"]:
            assert f"{row['total']:.1f} %" in README


def test_petsird_is_read_at_least_ten_times_as_fast_as_by_its_package():
    ratios = [row["ratio"] for row in read("petsird-cpu")["lists"]]
    assert len(ratios) == 4
    assert min(ratios) >= 10


def test_lists_are_counted_at_several_million_events_a_second_in_little_memory():
    lists = read("histogram-cpu")["lists"]
    assert min(row["events_per_second"] for row in lists) > 3e6
    more = [row["peak_bytes"] - row["sinogram_bytes"] for row in lists]
    assert max(more) < 300e6
    assert abs(more[1] - more[0]) < 0.1 * (lists[1]["bytes"] - lists[0]["bytes"])
