"""The benchmark of reading PETSIRD, on short lists."""

import json

import countless


def test_both_readers_read_all_events_and_their_figures_are_written(tmp_path, capsys):
    output = tmp_path / "petsird.json"
    words = ["benchmark", "petsird", "--events", "500", "--events-per-ms", "50", "--repeats", "1",
             "--output", str(output)]
    assert countless.main(words) == 0
    found = json.loads(output.read_text())
    assert [listed["scanner"] for listed in found["lists"]] == ["mMR", "Vision 600"]
    assert all(listed["events_per_second"] > 0 for listed in found["lists"])
    assert {"machine", "date", "commit", "command", "seed"} <= found.keys()
    assert "times as fast" in capsys.readouterr().out
