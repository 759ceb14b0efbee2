"""The benchmark of counting lists, on a short one."""

import json

import countless


def test_a_short_list_is_counted_whole_and_its_figures_are_written(tmp_path, capsys):
    output = tmp_path / "histogram.json"
    words = ["benchmark", "histogram", "--events", "3000", "--span", "127", "--output", str(output)]
    assert countless.main(words) == 0
    found = json.loads(output.read_text())
    (listed,) = found["lists"]
    tags = -(-3000 // 350)
    assert listed["bytes"] == 4 * (3000 + tags)
    assert listed["events_per_second"] > 0
    assert listed["sinogram_bytes"] < listed["peak_bytes"] < listed["sinogram_bytes"] + (400 << 20)
    assert {"machine", "date", "commit", "command", "seed"} <= found.keys()
    assert "M events/s" in capsys.readouterr().out
