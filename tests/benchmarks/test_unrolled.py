import json

import pytest

from benchmarks import unrolled
from recon import Grid


def test_a_ratio_is_of_the_block_and_of_its_four_projections(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(unrolled, "GRID", Grid.centred(shape=(12, 12, 5), voxel_mm=(30, 30, 30)))
    small = {"few views": {"span": 3, "view_mashing": 32}}
    monkeypatch.setattr(unrolled, "PROBLEMS", small)
    found = unrolled.unrolled(repeats=3, output=tmp_path / "unrolled.json")
    (row,) = found["rows"]
    assert row["problem"] == "few views" and row["bins"] > 1000
    assert row["projections_seconds"] > 0 and row["ratio"] > 0
    assert json.loads((tmp_path / "unrolled.json").read_text())["rows"] == [row]
    assert "few views" in capsys.readouterr().out


def test_no_repeats_are_refused():
    with pytest.raises(ValueError, match="--repeats takes a number from 1, got 0"):
        unrolled.unrolled(repeats=0)
