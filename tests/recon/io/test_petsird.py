"""PETSIRD files that the package `petsird` wrote, with values by hand, read by ours."""

import sys

import numpy as np
import petsird
import pytest

from recon.grid import Grid
from recon.histogram import histogram
from recon.io import FileError
from recon.io.crystals import crystal_positions
from recon.io.lists import open_list
from recon.io.petsird import read_petsird
from recon.io.petsird_scanner import Bins
from recon.layout import SinogramLayout
from recon.listmode import ListModeProjector
from tests.recon.io.petsird_files import TINY, UNTIMED, block, everything, write


@pytest.fixture
def written(tmp_path):
    """A function that writes blocks by the package and returns the path."""
    return lambda *blocks, **more: write(tmp_path / "scan.petsird", *blocks, **more)


def test_events_of_two_blocks_come_with_their_times_and_kinds(written):
    # Module m holds crystals 4m to 4m + 3, ring by ring within a crystal: bin 20 m + 5 j + ring.
    path = written(block(3, 4, [(81, 2, 0)], [(159, 100, 8)]), block(4, 5, [(40, 39, 4)]))
    assert everything(path) == [
        [2, 0, 1, 16, 0, 3, 0],
        [0, 20, 4, 31, 8, 3, 1],
        [4, 7, 0, 8, 4, 4, 0],
    ]


def test_a_list_knows_its_end_size_scanner_and_layout(written):
    path = written(block(0, 1, [(81, 2, 0)]), block(1, 250, [], [(81, 2, 0)]))
    there = open_list(path)
    assert (there.end_ms, there.last_ms, there.size) == (250, 250, "2 events")
    assert (there.scanner, there.inputs) == (TINY, (path,))
    assert there.layout == SinogramLayout.of(TINY, tof_mashing=1)
    assert there.info["duration_s"] == 0.25
    assert not read_petsird(written(block(0, 1), scanner=UNTIMED)).layout.tof


def test_without_time_of_flight_events_have_no_bin_of_it(written):
    path = written(block(0, 1, [(81, 2, 0)]), scanner=UNTIMED)
    assert [chunk.tof_bin for chunk in read_petsird(path).chunks()] == [None]


def test_the_packages_reader_gives_the_same_events(written):
    rng = np.random.default_rng(3)
    pairs = np.sort(rng.integers(0, 160, (300, 2)), axis=1)[:, ::-1]
    listed = [(*map(int, pair), int(k)) for pair, k in zip(pairs, rng.integers(0, 9, 300),
                                                           strict=True)]
    path = written(*(block(t, t + 2, listed[t * 30 : t * 30 + 20],
                           listed[t * 30 + 20 : t * 30 + 30]) for t in range(10)))
    order, expected = Bins(TINY).order, []
    with petsird.BinaryPETSIRDReader(str(path)) as reader:
        reader.read_header()
        for time_block in reader.read_time_blocks():
            for kind in (0, 1):
                part = (time_block.value.prompt_events, time_block.value.delayed_events)[kind]
                for event in part[0][0]:
                    second, first = (order[b].tolist() for b in event.detection_bins)
                    expected.append([*first, *second, event.tof_idx,
                                     time_block.value.time_interval.start, kind])
    assert everything(path) == expected


@pytest.mark.parametrize("buffer", [1, 2, 3, 5, 7, 50])
def test_events_do_not_hang_on_where_a_buffer_ends(written, monkeypatch, buffer):
    listed = [(159 - i, i, i % 9) for i in range(60)]
    path = written(block(0, 300, listed, listed[:7]), block(300, 301, listed[:2]))
    whole = everything(path)
    monkeypatch.setattr("recon.io.varints.BUFFER", buffer)
    assert everything(path) == whole


def test_a_block_greater_than_the_buffer_comes_in_pieces(written, monkeypatch):
    there = read_petsird(written(block(0, 300, [(159 - i, i, i % 9) for i in range(60)] * 10)))
    monkeypatch.setattr("recon.io.varints.BUFFER", 300)
    sizes = [len(chunk) for chunk in there.chunks()]
    assert sum(sizes) == 600 and max(sizes) <= 100  # an event has 3 bytes and more


def test_a_point_source_is_where_times_of_flight_of_the_file_say(written):
    """Photons reach the nearer detector first; t1 - t2 in the file, a in the projector."""
    source = np.array([40.0, -15.0, 6.0])
    crystals, ring, crystal = crystal_positions(TINY)
    of = Bins(TINY).of[ring, crystal]
    listed = []
    for psi in np.linspace(0.05, 3.1, 12):  # lines near the source, by the nearest crystals
        along = np.array([np.cos(psi), np.sin(psi), 0.0])
        ends = [np.argmin(np.linalg.norm(np.cross(crystals - source, along), axis=1)
                          - 1e3 * ((crystals - source) @ along * sign > 0)) for sign in (1, -1)]
        first, second = sorted(ends, key=lambda i: -of[i])
        arrival = [np.linalg.norm(crystals[i] - source) for i in (first, second)]
        edges = (np.arange(10) - 4.5) * 100 * 0.299792458 / 2
        k = int(np.searchsorted(edges, (arrival[0] - arrival[1]) / 2) - 1)
        listed.append((int(of[first]), int(of[second]), k))
    there = read_petsird(written(block(0, 1, listed)))
    (chunk,) = there.chunks()
    place = {(r, c): p for r, c, p in zip(ring.tolist(), crystal.tolist(), crystals, strict=True)}
    ends = [np.array([place[pair] for pair in zip(r.tolist(), c.tolist(), strict=True)])
            for r, c in ((chunk.ring1, chunk.crystal1), (chunk.ring2, chunk.crystal2))]
    grid = Grid.centred(shape=(41, 41, 9), voxel_mm=(4.0, 4.0, 4.0))
    image = ListModeProjector(*ends, grid, tof_bin=chunk.tof_bin, layout=there.layout).T(
        np.ones(len(chunk), np.float32))
    brightest = np.array(np.unravel_index(np.argmax(image.sum(axis=2)), image.shape[:2]))
    found = np.array(grid.origin_mm)[:2] + brightest * 4.0
    assert np.linalg.norm(found - source[:2]) < 10
    # The wrong sign would put each event on the other side of its line's middle.
    mirrored = ListModeProjector(*ends, grid, tof_bin=8 - chunk.tof_bin, layout=there.layout).T(
        np.ones(len(chunk), np.float32))
    at = tuple(np.rint((source - grid.origin_mm) / 4).astype(int))
    assert image[at] > 2 * mirrored[at]


def test_other_time_blocks_are_passed_over(written):
    interval = petsird.TimeInterval(start=1, stop=9)
    moved = petsird.RigidTransformation(matrix=np.full((3, 4), -1, np.float32))
    matrix = np.empty((2, 2), np.object_)
    matrix[:] = [[[[0.5] * 3], [[0.5]]], [[], [[0.25], [0.125, 200.0]]]]
    others = [
        petsird.TimeBlock.ExternalSignalTimeBlock(petsird.ExternalSignalTimeBlock(
            time_interval=interval, signal_id=700, signal_values=[1.5, -2.0, 3.25])),
        petsird.TimeBlock.BedMovementTimeBlock(petsird.BedMovementTimeBlock(
            time_interval=interval, transform=moved)),
        petsird.TimeBlock.GantryMovementTimeBlock(petsird.GantryMovementTimeBlock(
            time_interval=interval, transforms=[moved, moved])),
        petsird.TimeBlock.DeadTimeTimeBlock(petsird.DeadTimeTimeBlock(
            time_interval=interval, alive_time_fractions=petsird.AliveTimeFractions(
                singles_alive_time_fractions=[np.full(5, 0.75, np.float32)],
                module_pair_alive_time_fractions=[[matrix]]))),
        petsird.TimeBlock.SinglesHistogramTimeBlock(petsird.SinglesHistogramTimeBlock(
            time_interval=interval, singles_per_singles_unit_histogram=[[8000, 8], [1 << 40, 0]],
            singles_per_detection_bin_histogram=[[1, 300]])),
    ]
    blocks = [block(0, 1, [(81, 2, 0)])]
    for number, other in enumerate(others):
        blocks += [other, block(2 + number, 3 + number, [(81, 2, number)])]
    there = read_petsird(written(*blocks))
    (chunk,) = there.chunks()
    assert chunk.tof_bin.tolist() == [0, 0, 1, 2, 3, 4]
    said = there.record(0, 100)
    assert set(said["time_blocks"].values()) == {6, 1}
    assert said["mean_singles_per_second_by_unit"].tolist() == [1001000.0, 125.0 * (1 << 40)]
    assert any("move 2 times, first at 0.001 s" in note for note in there.known_notes)
    assert any("dead time is not used" in note for note in there.known_notes)


def test_listed_singles_triples_and_quadruples_are_left_out_and_said(written):
    triple = petsird.TripleEvent(detection_bins=[300, 2, 1], tof_indices=[1, 200])
    path = written(block(
        0, 1, [(81, 2, 3)],
        single_events=[[petsird.SingleEvent(detection_bin=7, time_offset_in_time_block=1 << 31)]],
        triple_events=[[[[triple, triple]]]], quadruple_events=[[[[[triple]]]]],
    ), block(1, 2, [(81, 2, 4)]))
    assert [row[4] for row in everything(path)] == [3, 4]
    notes = " ".join(read_petsird(path).known_notes)
    for words in ("1 listed singles", "2 listed triples", "1 listed quadruples"):
        assert words in notes


def test_bins_that_the_scanner_does_not_have_are_counted_and_dropped(written):
    path = written(block(0, 1, [(160, 2, 0), (4_000_000_000, 7, 0), (81, 2, 9), (81, 2, 8)]))
    there = read_petsird(path)
    counted = histogram(there.chunks(), there.layout)
    assert (counted.prompt_sum, counted.dropped.impossible) == (1, 3)
    assert "2 events with a detection bin" in there.notes[-1]


def test_long_blocks_and_blocks_out_of_order_are_said(written):
    notes = " ".join(read_petsird(written(
        block(100, 1100, [(81, 2, 0)]), block(50, 60, [(81, 2, 0)]))).known_notes)
    assert "blocks of up to 1,000 ms" in notes and "1 time blocks begin before" in notes


def test_of_a_file_cut_short_the_whole_events_are_used_and_the_loss_is_said(written):
    path = written(*(block(t, t + 1, [(81, 2, t), (159, 3, t)]) for t in range(3)))
    whole, content = everything(path), path.read_bytes()
    assert len(whole) == 6
    kept = set()
    for cut in range(1, 57):
        path.write_bytes(content[:-cut])
        try:
            there = read_petsird(path)
        except FileError as reason:
            assert "no time block" in str(reason)  # not one of them was whole
            continue
        rows = everything(path)
        assert rows == whole[: len(rows)]
        assert f"its {len(rows)} whole events" in there.known_notes[-1]
        kept.add(len(rows))
    assert kept == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize(("change", "words"), {
    "another kind of block": (lambda b: b[:-1] + b"\x01\x09", "damaged"),
    "a number without an end": (lambda b: b[:-1] + b"\xff" * 40, "damaged"),
    "cut in the model": (lambda b: b[:5000], "within its header"),
    "cut in the header": (lambda b: b[:-200], "within its header"),
    "another schema": (lambda b: b.replace(b"tofIdx", b"tofIdy"), "invalid schema"),
    "another format": (lambda b: b"yardl\x02" + b[6:], "invalid binary format version"),
}.values())
def test_a_damaged_file_is_refused_in_a_sentence(written, change, words):
    path = written(block(0, 1, [(81, 2, 0)]))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FileError, match=words):
        everything(path)


def test_a_header_without_a_scan_is_refused(written):
    with pytest.raises(FileError, match="no time block"):
        read_petsird(written())


def test_without_the_package_the_remedy_is_named(tmp_path, monkeypatch):
    path = tmp_path / "scan.petsird"
    path.write_bytes(b"yardl\1")
    monkeypatch.setitem(sys.modules, "petsird", None)
    with pytest.raises(FileError, match=r"pip install 'countless\[petsird\]'"):
        open_list(path)
