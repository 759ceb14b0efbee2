"""The projector benchmark on a tiny problem: what it says, not how fast anything is."""

import json
import subprocess
import sys
import types

import numpy as np
import pytest

from benchmarks import machine, peers, speed_problems
from benchmarks.speed import projector
from recon import Grid
from recon.listmode import ListModeProjector


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("speed") / "results.json"
    projector(scanner=("tiny",), repeats=2, device="cpu", threads=1, output=path)
    return json.loads(path.read_text())


def test_results_say_where_they_come_from(results):
    assert {"version", "commit", "date", "command", "machine", "repeats", "rows", "published",
            "parallelproj", "copy_bytes_per_second", "import_recon_seconds"} <= set(results)
    facts = results["machine"]
    assert {"processor", "cores", "simd_lanes", "compiler", "load_before"} <= set(facts)
    assert results["machine"]["cores"] == 1


def test_every_operation_has_a_row(results):
    assert [row["operation"] for row in results["rows"]] == [
        "TOF forward", "TOF back", "OSEM update", "list forward, in order", "list back, in order",
        "list forward, shuffled", "list back, shuffled",
    ]


def test_lors_per_second_are_lors_over_the_median_of_seconds(results):
    for row in results["rows"]:
        assert len(row["all_seconds"]) == 2
        assert row["seconds"] == pytest.approx(np.median(row["all_seconds"]))
        assert row["lors_per_second"] == pytest.approx(row["lors"] / row["seconds"])


def test_the_fraction_of_copy_is_the_seconds_that_copying_takes_over_those_it_took(results):
    row = results["rows"][0]
    # 16 views, 23 bins, 9 TOF bins, 25 planes; an image of 16 x 16 x 9; 4 bytes each.
    assert row["bytes_moved"] == 4 * (16 * 23 * 9 * 25 + 16 * 16 * 9)
    copying = row["bytes_moved"] / results["copy_bytes_per_second"]
    assert row["fraction_of_copy"] == pytest.approx(copying / row["seconds"])


def test_a_subset_has_its_share_of_the_lors(results):
    lors = {row["operation"]: row["lors"] for row in results["rows"]}
    assert lors["TOF forward"] == 16 * 23 * 25
    assert lors["OSEM update"] == lors["TOF forward"] // 4
    assert lors["list back, shuffled"] == 1000


def test_published_figures_are_compared_on_the_same_problem_only(results):
    assert all(set(row["ratio_across_runs"].values()) == {None} for row in results["rows"])
    # 58.4 M LORs in 0.6 s, against 3.4 M LORs/s.
    ratio = peers.published_ratio("libparallelproj 2.0.8-dev", "forward", 58.4e6 / 0.6)
    assert ratio == pytest.approx(28.6, abs=0.1)


def test_the_mmr_like_problem_is_the_one_the_peers_were_timed_on():
    problem = speed_problems.problem("mmr-like")
    assert problem.layout.shape == (252, 344, 674)
    assert problem.grid.shape == (200, 200, 127)
    timed = speed_problems.problem("mmr-tof").layout
    assert (timed.tof_bins, timed.tof_bin_mm) == (13, pytest.approx(41.0))
    assert timed.tof_sigma_mm * np.sqrt(8 * np.log(2)) == pytest.approx(41.0)


def test_an_unknown_scanner_is_refused_before_anything_is_timed():
    with pytest.raises(ValueError, match=r"--scanner takes names out of mmr-like, .*, got 'hrrt'"):
        projector(scanner=("tiny", "hrrt"))


def test_an_output_in_no_folder_is_refused_before_anything_is_timed(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        projector(scanner=("tiny",), output=tmp_path / "none" / "results.json")


def test_parallelproj_is_timed_where_it_can_be_imported(monkeypatch):
    called = []

    def joseph3d_fwd(first, second, image, origin, voxel_mm):
        called.append("forward")
        grid = Grid(shape=image.shape, voxel_mm=voxel_mm, origin_mm=origin)
        return ListModeProjector(first, second, grid)(image)

    def joseph3d_back(first, second, shape, origin, voxel_mm, values):
        called.append("back")
        grid = Grid(shape=shape, voxel_mm=voxel_mm, origin_mm=origin)
        return ListModeProjector(first, second, grid).T(values)

    module = types.SimpleNamespace(joseph3d_fwd=joseph3d_fwd, joseph3d_back=joseph3d_back)
    monkeypatch.setitem(sys.modules, "parallelproj", module)
    ends = np.zeros((2, 5, 3), np.float32)
    ends[0, :, 1], ends[1, :, 1] = -100, 100
    grid = speed_problems.problem("tiny").grid
    seconds = peers.parallelproj_seconds(*ends, grid, 1)
    assert set(seconds) == {"list forward", "list back"}
    assert called == ["forward"] * 2 + ["back"] * 2


def test_without_parallelproj_the_results_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "parallelproj", None)
    seconds = peers.parallelproj_seconds(None, None, None, 1)
    assert seconds["reason"].startswith("parallelproj cannot be imported")


def test_avx2_alone_has_vectors_of_8_floats():
    flags = machine.Path("/proc/cpuinfo")
    if not flags.is_file() or " avx2 " not in flags.read_text():
        pytest.skip("this processor has no AVX2, or does not say")
    code = (
        "from benchmarks.speed import projector;"
        "print(projector(scanner=('tiny',), repeats=1, simd='avx2', device='cpu')"
        "['machine']['simd_lanes'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=machine.ROOT, capture_output=True,
                          text=True, check=True)
    assert done.stdout.splitlines()[-1] == "8"
