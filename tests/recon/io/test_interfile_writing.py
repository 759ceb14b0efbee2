import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from recon.io import FileError, read_layout, read_sinogram, write_sinogram
from recon.layout import SinogramLayout
from recon.scanner import Scanner, preset_names
from recon.segments import Segment

LAYOUTS = {
    "span 1": {"radial_bins": 5},
    "span 3": {"span": 3},
    "STIR's order of segments": {"order": "-1,0,+1"},
    "arc-corrected": {"radial_bins": 4, "radial_mm": 4.3},
    "mashed unevenly": {"view_mashing": 3},
    "time of flight": {"tof_mashing": 3},
    "even time of flight": {"tof_mashing": 2},
    "one time of flight bin": {"tof_mashing": 9},
    "one view and one segment": {"view_mashing": 8, "max_ring_difference": 0},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_written_comes_back_bit_for_bit(tmp_path, scanner, rng, name):
    layout = SinogramLayout.of(scanner, **LAYOUTS[name])
    array = rng.standard_normal(layout.shape, dtype=np.float32)
    study = {
        "duration_s": 612.5,
        "start_s": 3.0,
        "isotope": "^18^Fluorine",
        "half_life_s": 6584.04,
        "branching_ratio": 0.9686,
        "patient_position": "FFP",
        "applied_corrections": ["normalisation"],
        "unit": "counts",
    }
    path = tmp_path / "scan.hs"
    write_sinogram(path, array, layout, study)
    back, back_layout, info = read_sinogram(path)
    assert back_layout == layout
    assert back.tobytes() == array.tobytes()
    arc = ["arc correction"] if layout.radial_mm else []
    assert info["applied_corrections"] == [*arc, "normalisation"]
    same = study.keys() - {"applied_corrections"}
    assert {key: info[key] for key in same} == {key: study[key] for key in same}
    assert info["notes"] == info["unknown_keys"] == []


def assert_survives(layout, folder):
    """The layout comes back equal from a header that speaks of it, with nothing left to guess."""
    array, study = np.broadcast_to(np.float32(0), layout.shape), {"patient_position": "HFS"}
    write_sinogram(folder / "scan.hs", array, layout, study)
    back, info = read_layout(folder / "scan.hs", interleaved=layout.interleaved)
    assert back == layout
    assert info["notes"] == info["unknown_keys"] == []


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("tof_mashing", [0, 2])
@pytest.mark.parametrize("radial_mm", [None, 100 / 51])
@pytest.mark.parametrize("view_mashing", [1, 5])
@pytest.mark.parametrize("span", [1, 3])
def test_every_kind_of_layout_survives_being_written(
    tmp_path, span, view_mashing, radial_mm, tof_mashing, interleaved
):
    layout = SinogramLayout.of(
        Scanner.preset("tiny"),
        span=span,
        view_mashing=view_mashing,
        radial_mm=radial_mm,
        tof_mashing=tof_mashing,
        interleaved=interleaved,
    )
    assert_survives(layout, tmp_path)


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("span", [1, 11])
def test_every_preset_survives_being_written(tmp_path, name, span):
    scanner = Scanner.preset(name)
    layout = SinogramLayout.of(
        scanner,
        span=span,
        max_ring_difference=4,
        radial_bins=3,
        view_mashing=scanner.crystals // 2,
        tof_mashing=scanner.tof_bins if scanner.tof_bins > 1 else 0,
    )
    assert_survives(layout, tmp_path)


# Views 4, 14 and 50 follow from mashing by 4, 18 and 8 too.
@pytest.mark.parametrize(
    ("name", "mashing", "views"),
    [("tiny", 5, 4), ("mMR", 19, 14), ("mMR", 24, 11), ("Vision 600", 8, 50)],
)
def test_views_mashed_by_any_number_survive_being_written(tmp_path, name, mashing, views):
    layout = SinogramLayout.of(
        Scanner.preset(name), view_mashing=mashing, max_ring_difference=0, radial_bins=3
    )
    assert layout.views == views
    assert_survives(layout, tmp_path)


CHANGES = {
    "no gaps": {"virtual_crystals": (), "depth_mm": 9.6},
    "nothing known but the geometry": {
        "crystal_mm": None,
        "radial_bin_mm": None,
        "energy_resolution": None,
        "energy_window_kev": None,
        "coincidence_window_ps": None,
    },
    "lengths without an end": {
        "radius_mm": 1000 / 3,
        "depth_mm": 20 / 7,
        "ring_spacing_mm": 1940 / 672,
        "radial_bin_mm": 1e-7 / 3,
        "tilt_deg": -1 / 3,
    },
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_scanner_changed_from_its_preset_survives_being_written(tmp_path, name):
    scanner = replace(Scanner.preset("mMR"), **CHANGES[name])
    layout = SinogramLayout.of(scanner, max_ring_difference=0, radial_bins=3, view_mashing=252)
    assert_survives(layout, tmp_path)


def test_the_sidecar_of_a_sinogram_says_what_made_it(tmp_path, scanner):
    layout = SinogramLayout.of(scanner, max_ring_difference=0)
    path, array = tmp_path / "scan.hs", np.zeros(layout.shape)
    write_sinogram(path, array, layout, {"unit": "counts"}, sidecar={"command": "countless demo"})
    said = json.loads((tmp_path / "scan.json").read_text())
    assert (said["file"], said["unit"]) == ("scan.hs", "counts")
    assert said["command"] == "countless demo"
    write_sinogram(path, array, layout)
    assert "command" not in json.loads((tmp_path / "scan.json").read_text())


def test_fewer_planes_than_a_segment_could_have_survive_being_written(tmp_path, scanner):
    middle = Segment(min_ring_difference=0, max_ring_difference=0, planes=1)
    assert_survives(SinogramLayout.of(scanner).with_(segments=(middle,)), tmp_path)


def test_written_data_are_planes_within_views_in_little_endian_float32(tmp_path, scanner):
    layout = SinogramLayout.of(scanner, radial_bins=5, max_ring_difference=1)
    array = np.arange(np.prod(layout.shape)).reshape(layout.shape)
    write_sinogram(tmp_path / "scan.hs", array, layout)
    raw = np.fromfile(tmp_path / "scan.s", "<f4")
    # Segment 0 comes first: 3 planes of 5 bins in view 0, then view 1.
    assert raw[15 + 5 + 2] == array[1, 2, 1]


def test_an_array_of_another_shape_is_not_written(tmp_path, scanner):
    layout = SinogramLayout.of(scanner)
    with pytest.raises(ValueError, match=r"takes an array of the layout's shape .*got \(2, 2\)"):
        write_sinogram(tmp_path / "scan.hs", np.zeros((2, 2)), layout)
    assert list(tmp_path.iterdir()) == []


def test_a_sinogram_is_written_to_a_name_in_hs(tmp_path, scanner):
    layout = SinogramLayout.of(scanner)
    with pytest.raises(FileError, match=r"takes a name that ends in \.hs"):
        write_sinogram(tmp_path / "scan.s", np.zeros(layout.shape), layout)


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, scanner, monkeypatch):
    layout = SinogramLayout.of(scanner)
    parts = iter([np.zeros(4, "<f4")])
    monkeypatch.setattr(np, "ascontiguousarray", lambda *_: next(parts))
    with pytest.raises(StopIteration):
        write_sinogram(tmp_path / "scan.hs", np.zeros(layout.shape), layout)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said_and_not_made(tmp_path, scanner):
    layout = SinogramLayout.of(scanner)
    with pytest.raises(FileError, match=r"scan\.s cannot be written: there is no folder"):
        write_sinogram(tmp_path / "absent" / "scan.hs", np.zeros(layout.shape), layout)


def test_reading_needs_little_more_memory_than_the_sinogram(tmp_path):
    layout = SinogramLayout.of(Scanner.preset("mMR"), max_ring_difference=3, radial_bins=101)
    write_sinogram(tmp_path / "scan.hs", np.ones(layout.shape, np.float32), layout)
    tracemalloc.start()
    array, _, _ = read_sinogram(tmp_path / "scan.hs")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.05 * array.nbytes
