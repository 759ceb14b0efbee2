"""A study's quality, measured by several processes as by one."""

import json

import numpy as np

import countless
from tests.benchmarks.quality_study import write_study


def told(folder):
    """quality.json without what differs from run to run."""
    results = json.loads((folder / "quality.json").read_text())
    for name in ("date", "command", "machine"):
        del results[name]
    for row in results["rows"]:
        del row["seconds"], row["peak_bytes"]
    results["summary"] = [row for row in results["summary"]
                          if row["metric"] not in ("seconds", "memory")]
    return results


def test_two_workers_find_what_one_process_finds(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("benchmarks.quality.report", lambda _, one: shown.append(one) or "")
    made = {"splits": ("validation", "test", "test"), "factors": (4.0,)}
    write_study(tmp_path / "study", **made)
    write_study(tmp_path / "without", lesions=0, **made)
    found = []
    for workers in (0, 2):
        assert countless.main([
            "benchmark", "quality", str(tmp_path / "study"), "--without", str(tmp_path / "without"),
            "--methods", "low", "gaussian", "--tuning-steps", "3", "--workers", str(workers),
            "-o", str(tmp_path / str(workers))]) == 0
        found.append(told(tmp_path / str(workers)))
        assert found[-1].pop("workers") == workers
    assert len(found[0]["rows"]) == 8 and len(found[0]["detectability"]["rows"]) == 2
    assert found[0] == found[1]
    one, two = shown
    assert (one.number, one.at, one.most, one.around) == (two.number, two.at, two.most, two.around)
    assert list(one.images) == [("truth", 1.0), ("low", 4.0), ("gaussian", 4.0)]
    for key, parts in one.images.items():
        for part, other in zip(parts, two.images[key], strict=True):
            assert np.array_equal(part, other)
