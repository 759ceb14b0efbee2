import json

from benchmarks.whole import recon


def test_a_whole_reconstruction_records_its_time_and_a_peak_of_more_than_the_image(tmp_path):
    path = tmp_path / "recon.json"
    recon(scanner="tiny", span=3, max_ring_difference=4, subsets=4, output=path)

    result = json.loads(path.read_text())
    assert result["bins"] == [16, 23, 19]
    assert result["seconds"] > 0
    assert result["peak_bytes"] > 4 * 200 * 200 * 127
    assert "--subsets 4" in result["recon_command"]
