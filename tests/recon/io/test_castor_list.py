"""CASToR's list mode against bytes that are packed by hand, both ways."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from recon.events import Events
from recon.histogram import histogram
from recon.io import FileError
from recon.io.castor_data import read_data_header
from recon.io.castor_list import read_castor_list
from recon.io.castor_list_writing import write_castor_list
from recon.io.castor_scanner import numbers_of, scanner_files
from recon.io.crystals import crystal_positions
from recon.io.lists import open_list
from recon.layout import MM_PER_PS
from recon.presets import PRESETS
from tests.recon.io.castor import POSITION, SCANNER, packed, written

# Number 0 is crystal 0 of our ring 1, number 13 crystal 5 of our ring 0.
EVENTS = [(0, 0, 13), (700, 13, 3), (1999, 7, 8)]
TOF = {
    "TOF information flag": 1, "TOF resolution (ps)": 400, "List TOF measurement range (ps)": 500,
    "List TOF quantization bin size (ps)": 100,
}


@pytest.fixture
def listed(tmp_path):
    """A list of events packed by hand."""

    def of(events=EVENTS, form="III", changes=None, cut=None):
        data = packed(form, *events)[:cut]
        return read_castor_list(
            written(tmp_path, {"Number of events": len(events)} | (changes or {}), data)
        )

    return of


def events_of(scanner, pairs, tof_bin=None, time_ms=None, delayed=None):
    """Events of (ring1, crystal1, ring2, crystal2)."""
    columns = np.array(pairs, np.int16).reshape(-1, 4).T
    count = len(pairs)
    return Events(
        ring1=columns[0], crystal1=columns[1], ring2=columns[2], crystal2=columns[3],
        time_ms=np.arange(count) if time_ms is None else np.array(time_ms),
        delayed=np.zeros(count, bool) if delayed is None else np.array(delayed),
        tof_bin=None if tof_bin is None else np.array(tof_bin, np.int16),
    )


def all_of(events):
    """All chunks as one dict of arrays."""
    chunks = list(events.chunks())
    names = [field.name for field in fields(Events)]
    return {name: None if getattr(chunks[0], name) is None else
            np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names}


def test_events_are_our_rings_and_crystals(listed):
    found = all_of(listed())
    ends = zip(*(found[name].tolist() for name in ("ring1", "crystal1", "ring2", "crystal2")),
               strict=True)
    assert list(ends) == [(1, 0, 0, 5), (0, 5, 1, 3), (1, 7, 0, 0)]
    assert found["time_ms"].tolist() == [0, 700, 1999]
    assert not found["delayed"].any() and found["tof_bin"] is None


def test_a_list_says_what_it_is(listed, tmp_path):
    events = listed()
    assert (events.end_ms, events.last_ms, events.size) == (2000, 2000, "3 events")
    assert [path.name for path in events.inputs] == ["scan.cdh", "scan.cdf", "PET_hand.geom"]
    assert events.layout.shape == (4, 5, 4) and not events.layout.tof
    assert (events.info["duration_s"], events.info["originating_system"]) == (2, "hand")
    assert events.notes == events.known_notes == [POSITION]
    assert type(open_list(tmp_path / "scan.cdh")) is type(events)


def test_a_list_is_read_again_from_its_beginning(listed):
    events = listed()
    assert all_of(events)["time_ms"].tolist() == all_of(events)["time_ms"].tolist()
    assert events.record(0, 2000)["events"] == 3


def test_optional_fields_are_found_where_they_stand(listed):
    flags = {f"{name} correction flag": 1 for name in
             ("Attenuation", "Scatter", "Random", "Normalization")}
    changes = flags | TOF | {"Coincidence kind flag": 1, "Maximum number of lines per event": 2}
    events = listed([(5, 2.0, 1, 0.25, 0.5, 4.0, -200.0, 1, 0, 13, 7, 7),
                     (6, 3.0, 4, 0.75, 1.5, 8.0, 100.0, 1, 13, 3, 0, 0)], "IfBffffHIIII", changes)
    records = np.fromfile(events.path, read_data_header(events.inputs[0], "list").record)
    for name, values in {"acf": [2, 3], "kind": [1, 4], "scatter": [0.25, 0.75],
                         "random": [0.5, 1.5], "norm": [4, 8], "tof_ps": [-200, 100]}.items():
        assert records[name].tolist() == values
    found = all_of(events)
    assert (found["crystal1"].tolist(), found["crystal2"].tolist()) == ([0, 5], [5, 3])
    assert events.record(0, 1)["kinds"] == {
        "unknown": 0, "true": 1, "scatter": 0, "multiple scatter": 0, "random": 1, "other": 0}
    assert [note[:60] for note in events.known_notes[1:]] == [
        "the events' own attenuation corrections, scatter rates, rate",
        "which event is true, scattered or random is only counted, no"]


def test_times_count_from_the_start_of_the_scan(listed):
    events = listed([(1500, 0, 4), (3200, 0, 4)], changes={"Start time (s)": 1.5})
    assert all_of(events)["time_ms"].tolist() == [0, 1700]
    assert (events.end_ms, events.info["start_s"]) == (2000, 1.5)


def test_times_before_the_start_are_taken_as_since_the_start(listed):
    events = listed(changes={"Start time (s)": 60})
    assert all_of(events)["time_ms"].tolist() == [0, 700, 1999]
    assert "earlier than `Start time (s)`" in events.known_notes[-1]


def test_a_list_that_is_longer_than_its_duration_ends_with_its_last_event(listed):
    events = listed(changes={"Duration (s)": 1})
    assert events.end_ms == 2000 and events.info["duration_s"] == 2
    assert "less than the last event's 2 s" in events.known_notes[-1]


def test_times_that_go_back_are_counted(listed):
    events = listed([(5, 0, 4), (3, 0, 4), (4, 0, 4)])
    all_of(events)
    assert events.notes[1:] == ["in the list: 1 times earlier than the one before them"]


def test_a_list_cut_short_is_used_as_far_as_it_goes(listed):
    events = listed(cut=35)
    assert len(all_of(events)["ring1"]) == 2
    assert "it has 2 of the 3 events" in events.known_notes[-1]
    assert events.end_ms == 701  # nothing is known of what follows


def test_impossible_crystals_are_counted_and_dropped_by_the_histogram(listed):
    events = listed([*EVENTS, (1999, 16, 0), (1999, 2**32 - 1, 0)])
    counted = histogram(events.chunks(), events.layout)
    assert counted.prompt_sum + counted.dropped.outside_layout == 3
    assert counted.dropped.impossible == 2
    assert events.notes[1:] == [
        "in the list: 2 events on crystal numbers that the scanner does not have"]


def test_neither_end_of_an_event_on_a_foreign_crystal_has_a_place(listed):
    """As in other formats, so that a user of events may look at one end alone."""
    found = all_of(listed([*EVENTS, (1999, 0, 16), (1999, 16, 0)]))
    for name in ("ring1", "crystal1", "ring2", "crystal2"):
        assert found[name].tolist()[3:] == [-1, -1] and (found[name][:3] >= 0).all()
        assert found[name].dtype == np.int16


def test_events_of_several_lines_are_refused(listed):
    events = listed([(0, 1, 0, 4, 0, 0), (0, 2, 0, 4, 8, 12)], "IHIIII",
                    {"Maximum number of lines per event": 2})
    with pytest.raises(FileError, match="event 1 has 2 lines"):
        all_of(events)


def test_data_that_are_of_other_flags_are_refused(listed):
    with pytest.raises(FileError, match="3 of the first 3 events are on crystal numbers that"):
        listed([(0, 1.0, 0)] * 3, "IfI")


@pytest.mark.parametrize("tof_ps, place", [(0, 2), (-200, 4), (200, 0), (149, 1), (-151, 4)])
def test_bins_of_time_of_flight_grow_towards_crystal_1(listed, tof_ps, place):
    events = listed([(0, tof_ps, 0, 4), (0, 100, 0, 4)], "IfII", TOF)
    assert (events.scanner.tof_bins, events.scanner.tof_bin_ps) == (5, 100)
    assert (events.layout.tof_mashing, events.scanner.timing_resolution_ps) == (1, 400)
    assert all_of(events)["tof_bin"].tolist() == [place, 1]


@pytest.mark.parametrize("steps, measured, bins", [
    ([-2, 0, 1], 5, 5), ([-2, 0, 1], 4, 5), ([-1.5, 0.5, 0.5], 4, 4), ([-1.5, 0.5, 1.5], 5, 6)
])
def test_steps_at_whole_multiples_make_an_odd_number_of_bins(listed, steps, measured, bins):
    changes = TOF | {"List TOF measurement range (ps)": measured * 100}
    events = listed([(0, 100 * step, 0, 4) for step in steps], "IfII", changes)
    assert events.scanner.tof_bins == bins
    centre = (bins - 1) / 2 - np.array(steps)
    assert all_of(events)["tof_bin"].tolist() == centre.tolist()


def test_times_of_flight_without_steps_get_bins_of_a_sixth_of_the_resolution(listed):
    changes = TOF | {"List TOF quantization bin size (ps)": None}
    events = listed([(0, -33.4, 0, 4), (0, 33.2, 0, 4)], "IfII", changes)
    # 500 ps in steps of 66.7 ps are 7.5, and an odd number of bins that covers them is 9.
    assert (events.scanner.tof_bins, events.scanner.tof_bin_ps) == (9, pytest.approx(400 / 6))
    assert "9 bins of 66.667 ps" in events.known_notes[-1]
    assert all_of(events)["tof_bin"].tolist() == [5, 4]


def test_times_of_flight_beyond_the_range_are_counted_and_dropped(listed):
    events = listed([(0, 251, 0, 4), (0, 0, 0, 4), (0, float("nan"), 0, 4)], "IfII", TOF)
    counted = histogram(events.chunks(), events.layout)
    assert (counted.prompt_sum, counted.dropped.impossible) == (1, 2)
    assert "2 events with a time of flight beyond the measurement range" in events.notes[-1]


@pytest.mark.parametrize("other_way", [False, True])
def test_a_point_source_lies_where_its_photons_arrival_times_put_it(listed, other_way):
    """t1 - t2 from the source's distances; the sinogram's bin gives the place back."""
    positions, ring, crystal = crystal_positions(SCANNER)
    place = {pair: p for *pair, p in zip(ring, crystal, positions, strict=True)
             for pair in [tuple(map(int, pair))]}
    ends = [(1, 1), (0, 5)]
    one, two = (place[end] for end in ends)
    source = one + 0.3 * (two - one)
    if other_way:
        ends, one, two = ends[::-1], two, one
    flight_ps = [np.linalg.norm(source - end) / (2 * MM_PER_PS) for end in (one, two)]
    numbers = [int(numbers_of(SCANNER)[end]) for end in ends]
    fine = TOF | {"List TOF measurement range (ps)": 1001,
                  "List TOF quantization bin size (ps)": 11}
    events = listed([(0, round((flight_ps[0] - flight_ps[1]) / 11) * 11.0, *numbers)], "IfII",
                    fine)
    counted = histogram(events.chunks(), events.layout).prompts
    [[view, radial, tof, plane]] = np.argwhere(counted)
    first, second = events.layout.lor_end_points(view, radial, plane)
    edges = events.layout.tof_edges_mm
    along = (edges[tof] + edges[tof + 1]) / 2
    found = (first + second) / 2 + along * (first - second) / np.linalg.norm(first - second)
    np.testing.assert_allclose(found, source, atol=11 * MM_PER_PS / 2 + 1e-6)


def test_events_are_written_as_they_would_be_by_hand(tmp_path):
    events = events_of(SCANNER, [(1, 0, 0, 5), (0, 5, 1, 3)], [0, 3], time_ms=[7, 1999])
    path = tmp_path / "out.cdh"
    info = {"start_s": 0.5, "duration_s": 2.0, "isotope": "F-18", "patient_position": "FFS"}
    assert write_castor_list(path, [events], SCANNER, info=info, max_ring_difference=0) == {
        "events": 2, "delayeds": 0, "impossible": 0}
    assert path.with_suffix(".cdf").read_bytes() == packed(
        "IfII", (507, 200.0, 0, 13), (2499, -100.0, 13, 3))
    name, lut, hscan = scanner_files(SCANNER)
    assert path.read_text().splitlines() == [
        f"Scanner name: {name}", "Data filename: out.cdf", "Number of events: 2",
        "Data mode: list-mode", "Data type: PET", "Start time (s): 0.5", "Duration (s): 2.0",
        "Maximum number of lines per event: 1", "Attenuation correction flag: 0",
        "Scatter correction flag: 0", "Random correction flag: 0",
        "Normalization correction flag: 0", "TOF information flag: 1",
        "TOF resolution (ps): 400.0", "List TOF measurement range (ps): 500.0",
        "List TOF quantization bin size (ps): 100.0", "Maximum axial difference mm: 4.0",
        "Isotope: F-18", '# countless {"study": {"patient_position": "FFS"}}',
    ]
    assert (tmp_path / f"{name}.lut").read_bytes() == lut
    assert (tmp_path / f"{name}.hscan").read_bytes() == hscan
    assert json.loads((tmp_path / "out.cdh.json").read_text())["counts"]["events"] == 2
    found = read_castor_list(path)
    assert found.layout.max_ring_difference == 0
    assert {name: found.info[name] for name in info} == info


def test_what_castor_cannot_hold_is_counted_and_left_out(tmp_path):
    gappy = replace(SCANNER, block_crystals=(4, 1), virtual_crystals=(1,))
    pairs = [(1, 0, 0, 4), (1, 0, 0, 4), (1, 1, 0, 4), (-1, -1, 0, 4), (0, 2, 0, 8), (0, 2, 0, 6)]
    events = events_of(gappy, pairs, [0, 0, 0, 0, 0, 5], delayed=[False, True] + [False] * 4)
    counts = write_castor_list(tmp_path / "a.cdh", [events], gappy)
    assert counts == {"events": 1, "delayeds": 1, "impossible": 4}


@pytest.mark.parametrize("name", PRESETS)
def test_lists_of_a_preset_come_back_bit_for_bit(tmp_path, rng, name):
    scanner = PRESETS[name]
    real = np.argwhere(numbers_of(scanner) >= 0)
    pairs = np.concatenate([real[rng.integers(len(real), size=3000)] for _ in range(2)], axis=1)
    tof = rng.integers(scanner.tof_bins, size=3000) if scanner.tof_bins > 1 else None
    events = events_of(scanner, pairs, tof, time_ms=np.sort(rng.integers(60_000, size=3000)))
    half = [events.select(slice(None, 1000)), events.select(slice(1000, None))]
    info = {"duration_s": 60.0, "patient_position": "HFP"}
    write_castor_list(tmp_path / "a.cdh", half, scanner, info=info)
    again = read_castor_list(tmp_path / "a.cdh")
    assert again.scanner == scanner and again.notes == [] and again.end_ms == 60_000
    for field, values in all_of(again).items():
        np.testing.assert_array_equal(values, getattr(events, field))
    write_castor_list(tmp_path / "b.cdh", again.chunks(), again.scanner, info=again.info)
    assert (tmp_path / "a.cdf").read_bytes() == (tmp_path / "b.cdf").read_bytes()


@pytest.mark.parametrize("chunks, name, error, message", [
    ([], "a.cdh", FileError, "no prompt to write"),
    ([events_of(SCANNER, [(0, 0, 0, 4)])], "a.cdf", FileError, r"ends in \.cdh"),
    ([events_of(SCANNER, [(0, 0, 0, 4)])], "no/a.cdh", FileError, "no folder"),
    ([events_of(SCANNER, [(0, 0, 0, 4)]), events_of(SCANNER, [(0, 0, 0, 4)], [1])], "a.cdh",
     ValueError, "all have time of flight or none"),
])
def test_what_cannot_be_written_leaves_nothing(tmp_path, chunks, name, error, message):
    with pytest.raises(error, match=message):
        write_castor_list(tmp_path / name, chunks, SCANNER)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changes, message", [
    ({"TOF resolution (ps)": None}, "lacks the key `TOF resolution"),
    ({"List TOF measurement range (ps)": 0}, "takes a positive number"),
    ({"List TOF quantization bin size (ps)": 0.01}, "less than 32,768 bins"),
    ({"Maximum axial difference mm": "far"}, "takes a number"),
    ({"Maximum axial difference mm": "inf"}, "takes a number, got `inf`"),
])
def test_a_header_that_cannot_be_used_is_refused(listed, changes, message):
    with pytest.raises(FileError, match=message):
        listed([(0, 0.0, 0, 4)], "IfII", TOF | changes)
