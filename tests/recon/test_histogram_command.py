"""What `countless histogram` writes, prints and refuses, on a list of a few words."""

import json
from pathlib import Path

import numpy as np
import pytest

from recon import memory
from recon.events import Events
from recon.histogram_command import histogram
from recon.io import FileError, read_sinogram
from recon.io.petsird_writing import write_petsird
from recon.randoms_command import randoms
from recon.scanner import Scanner
from tests.files import contents
from tests.recon.io import castor
from tests.recon.io.mmr import LIST_HEADER, as_bytes, event, singles, tag, written

# Two prompts and a delayed coincidence before 10 ms, one prompt after; all in planes of ring
# difference 0 or ±1.
WORDS = [
    tag(0), event(10, 172, 5), event(10, 172, 64), event(11, 172, 5, prompt=False), singles(3, 800),
    tag(10), event(12, 172, 5), singles(3, 1600), event(9, 172, 5), tag(20),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder with scan.l.hdr, and the work is done there."""
    written(tmp_path / "scan.l.hdr", LIST_HEADER, data=as_bytes(WORDS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder):
    """Histograms with few planes."""
    return lambda output="out.hs", **settings: histogram(
        folder / "scan.l.hdr", output=folder / output,
        **{"span": 1, "max_ring_difference": 1} | settings
    )


def sidecar(path):
    return json.loads(path.with_suffix(".json").read_text())


def test_prompts_and_delayeds_are_written_and_their_sums_printed(run, folder, capsys):
    run(delayed_out=folder / "late.hs")
    prompts, layout, info = read_sinogram(folder / "out.hs")
    assert np.argwhere(prompts).tolist() == [[10, 172, 5], [10, 172, 64], [12, 172, 5]]
    assert np.argwhere(read_sinogram(folder / "late.hs")[0]).tolist() == [[11, 172, 5]]
    assert (layout.planes, layout.interleaved) == (64 + 2 * 63, True)
    assert (info["duration_s"], info["isotope"], info["patient_position"]) == (0.021, "F-18", "HFS")
    printed = capsys.readouterr().out
    assert "prompts     3, written to" in printed
    assert "delayeds    1, written to" in printed
    assert "dropped     1 events on crystals that the scanner does not have" in printed


def test_the_sidecar_says_what_was_counted(run, folder):
    run(delayed_out=folder / "late.hs")
    said = sidecar(folder / "out.hs")
    assert (said["prompts"], said["delayeds"], said["unit"]) == (3, 1, "counts")
    assert said["dropped"] == {"outside_time": 0, "impossible": 1, "outside_layout": 0}
    assert [path["path"].rsplit("/")[-1] for path in said["inputs"]] == ["scan.l.hdr", "scan.l"]
    assert said["mean_singles_per_second_by_block"][2:4] == [None, 1200.0]
    assert said["study"]["study_time"] == "2017-03-27T17:00:35+00:00"
    assert "--max-ring-difference 1 --delayed-out" in said["command"]
    assert sidecar(folder / "late.hs")["quantity"] == "delayed coincidences"


def test_frames_are_written_each_to_its_file(run, folder, capsys):
    run(frames=("0", "0.01", "0.021"), curve=folder / "curve.png")
    sums = [read_sinogram(folder / f"out.frame{n}.hs")[0].sum() for n in (1, 2)]
    assert sums == [2, 1]
    said = [sidecar(folder / f"out.frame{n}.hs") for n in (1, 2)]
    assert [(s["start_s"], s["duration_s"]) for s in said] == [(0, 0.01), (0.01, 0.011)]
    assert [s["mean_singles_per_second_by_block"][3] for s in said] == [800, 1600]
    assert read_sinogram(folder / "out.frame2.hs")[2]["start_s"] == 0.01
    assert (folder / "curve.png").stat().st_size > 10_000
    assert "frame 2     0.01 to 0.021 s" in capsys.readouterr().out


def test_events_before_the_start_are_told(run, folder, capsys):
    run(start=0.005)
    assert read_sinogram(folder / "out.hs")[0].sum() == 1
    assert "3 events before the time asked for" in capsys.readouterr().out


def test_a_wider_span_holds_the_same_events(run, folder):
    run(span=3)
    prompts, layout, _ = read_sinogram(folder / "out.hs")
    assert (layout.planes, prompts.sum()) == (127, 3)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"output": "out.nii"}, "ends in .hs"),
        ({"delayed_out": "late"}, "ends in .hs"),
        ({"delayed_out": "out.hs"}, "both out.hs"),
        ({"output": "no/out.hs"}, "there is no folder"),
        ({"curve": "curve.gif"}, "--curve takes a name that ends in"),
        ({"curve": "no/curve.png"}, "there is no folder"),
        ({"max_ring_difference": 61}, "--max-ring-difference takes 0 to 60"),
        ({"max_ring_difference": -1}, "--max-ring-difference takes 0 to 60"),
        ({"span": 2}, "odd number"),
        ({"stop": 900.0}, "--stop takes times from 0 to 0.021 s"),
    ],
)
def test_settings_that_cannot_be_are_refused_and_nothing_is_written(folder, settings, message):
    paths = {k: Path(v) if isinstance(v, str) else v for k, v in settings.items()}
    before = contents(folder)
    with pytest.raises(ValueError, match=message):
        histogram(Path("scan.l.hdr"), **{"output": Path("out.hs"), "span": 1} | paths)
    assert contents(folder) == before


def test_sinograms_larger_than_the_memory_are_refused(run, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 1 << 30)
    with pytest.raises(ValueError, match=r"planes take .* GiB of memory, where 1.0 GiB are free"):
        run(max_ring_difference=60)


def test_an_output_never_replaces_the_list(run, folder):
    words = (folder / "scan.l").read_bytes()
    (folder / "data.s").write_bytes(words)
    header = (folder / "scan.l.hdr").read_text().replace("scan.l", "data.s")
    (folder / "scan.l.hdr").write_text(header)
    with pytest.raises(FileError, match="would overwrite the input"):
        run("data.hs")
    assert (folder / "data.s").read_bytes() == words


def test_a_castor_lists_scanner_may_lie_elsewhere(folder):
    castor.written(folder, {"Number of events": 2}, castor.packed("III", (0, 0, 4), (700, 1, 5)))
    (folder / "there").mkdir()
    (folder / "PET_hand.geom").rename(folder / "there" / "other.geom")
    scanner = Path("there/other.geom")
    histogram(Path("scan.cdh"), output=Path("out.hs"), span=1, scanner=scanner)
    assert read_sinogram("out.hs")[0].sum() == 2
    said = sidecar(Path("out.hs"))
    assert said["configuration"]["scanner"] == str(scanner)
    assert str(scanner) in [entry["path"] for entry in said["inputs"]]
    with pytest.raises(FileError, match="Scanner name"):
        histogram(Path("scan.cdh"), output=Path("out.hs"))


def test_a_list_that_says_its_scanner_takes_no_file_of_it(run, folder):
    with pytest.raises(ValueError, match="leave --scanner out"):
        run(scanner=folder / "other.geom")


@pytest.fixture
def timed(tmp_path, monkeypatch):
    """A function that counts a list with one event in each of 264 bins of 17.875 ps, one ms each.

    The timing resolution is 214 ps.
    """
    monkeypatch.chdir(tmp_path)
    scanner = Scanner(**vars(Scanner.preset("tiny")) | {
        "name": "timed", "tof_bins": 264, "tof_bin_ps": 17.875, "timing_resolution_ps": 214.0})
    count = 264
    write_petsird("list.petsird", [Events(
        ring1=np.zeros(count, np.int16), crystal1=np.full(count, 1, np.int16),
        ring2=np.zeros(count, np.int16), crystal2=np.full(count, 17, np.int16),
        tof_bin=np.arange(count, dtype=np.int16), time_ms=np.arange(count), delayed=np.arange(
            count) % 4 == 0)], scanner)
    return lambda **settings: histogram(Path("list.petsird"), output=Path("out.hs"), span=1,
                                        max_ring_difference=0, **settings)


def test_by_default_a_time_of_flight_bin_is_half_the_timing_resolution(timed, capsys):
    timed()
    prompts, layout, _ = read_sinogram("out.hs")
    assert (layout.tof_mashing, layout.tof_bins) == (6, 44)  # of 107.25 ps
    along = prompts.sum(axis=(0, 1, 3))
    assert along.sum() == 198 and set(along) <= {4, 5}
    assert "6 of the list's 264 bins to one" in " ".join(capsys.readouterr().out.split())


def test_time_of_flight_bins_are_mashed_as_asked_for_about_the_middle(timed):
    timed(tof_mashing=100)
    prompts, layout, _ = read_sinogram("out.hs")
    assert layout.tof_bins == 2  # 32 of 264 at either end are beyond them
    assert prompts.sum(axis=(0, 1, 3)).tolist() == [75, 75]
    assert sidecar(Path("out.hs"))["dropped"]["outside_layout"] == 64


def test_time_of_flight_is_summed_on_demand_and_that_is_said(timed, capsys):
    timed(tof=False)
    prompts, layout, _ = read_sinogram("out.hs")
    assert (layout.tof, prompts.sum()) == (False, 198)
    assert "the list's 264 time-of-flight bins are summed" in capsys.readouterr().out


def test_the_sidecar_of_a_petsird_list_says_what_was_listed(timed):
    timed()
    said = sidecar(Path("out.hs"))
    assert said["listed"]["prompts"] == 198 and said["time_blocks"]["events"] == 264
    assert [Path(file["path"]).name for file in said["inputs"]] == ["list.petsird"]


@pytest.mark.parametrize(("settings", "words"), [
    ({"tof_mashing": 0}, "--tof-mashing takes from 1 to 264"),
    ({"tof_mashing": 265}, "--tof-mashing takes from 1 to 264"),
    ({"tof_mashing": 2, "tof": False}, "got --no-tof"),
])
def test_mashing_that_does_not_fit_is_refused(timed, settings, words):
    with pytest.raises(ValueError, match=words):
        timed(**settings)


def test_mashing_of_a_list_without_time_of_flight_is_refused(run):
    with pytest.raises(ValueError, match="got one without"):
        run(tof_mashing=2)


def test_randoms_are_found_from_the_delayeds_of_a_petsird_list(timed):
    timed(delayed_out=Path("late.hs"), tof_mashing=66)
    randoms(delayed=Path("late.hs"), list_mode=Path("list.petsird"), output=Path("randoms.hs"))
    found, layout, _ = read_sinogram("randoms.hs")
    assert layout.tof_bins == 4
    assert found.sum() == pytest.approx(66, rel=1e-4)  # every fourth of 264
