"""Lists that go out as PETSIRD and come back, by our reader and by the package's."""

import json
from itertools import pairwise

import numpy as np
import petsird
import pytest
from petsird.helpers import get_detection_efficiency

from recon.events import Events
from recon.histogram import histogram
from recon.io.crystals import crystal_positions
from recon.io.petsird import read_header, read_petsird
from recon.io.petsird_scanner import Bins
from recon.io.petsird_writing import write_petsird
from recon.layout import SinogramLayout
from recon.scanner import Scanner
from tests.recon.io.test_crystals import GAPPY

TINY = Scanner.preset("tiny")
STUDY = {
    "duration_s": 2.5, "patient_position": "FFP", "isotope": "F-18", "injected_bq": 2.5e8,
    "study_time": "2024-02-03T12:00:00+01:00", "injection_time": "2024-02-03T10:30:00.250000",
    "energy_window_kev": (420.5, 650.0),
}


def listed(scanner, count, seed=1, span_ms=50):
    """Events on real crystals, in the order in which PETSIRD keeps them."""
    rng = np.random.default_rng(seed)
    _, ring, crystal = crystal_positions(scanner)
    one, other = rng.integers(0, len(ring), (2, count))
    of = Bins(scanner).of[ring, crystal]
    swap = of[one] > of[other]
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    time_ms = np.sort(rng.integers(0, span_ms, count))
    delayed = rng.random(count) < 0.3
    order = np.lexsort((delayed, time_ms))
    tof = rng.integers(0, scanner.tof_bins, count).astype(np.int16)
    return Events(
        ring1=ring[one], crystal1=crystal[one], ring2=ring[other], crystal2=crystal[other],
        time_ms=time_ms, delayed=delayed, tof_bin=tof if scanner.tof_bins > 1 else None,
    ).select(order)


def joined(chunks):
    arrays = [chunk._arrays() for chunk in chunks]
    return {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}


def assert_equal_events(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        if name != "time_ms":
            assert found[name].dtype == expected[name].dtype


@pytest.mark.parametrize("name", ["tiny", "demo", "mMR", "Vision 600", "Discovery MI", "HR+"])
def test_a_presets_events_and_scanner_come_back_bit_equal(tmp_path, name):
    scanner, path = Scanner.preset(name), tmp_path / "scan.petsird"
    events = listed(scanner, 3000)
    assert write_petsird(path, [events], scanner, info=STUDY) == {
        "events": 3000, "impossible": 0}
    there = read_petsird(path)
    stated = scanner.stating(energy_window_kev=STUDY["energy_window_kev"])
    assert vars(there.scanner) == vars(stated)
    assert_equal_events(joined(there.chunks()), events._arrays())


def test_a_scanner_of_no_name_with_gaps_and_a_tilt_comes_back(tmp_path):
    path, events = tmp_path / "scan.petsird", listed(GAPPY, 500)
    write_petsird(path, [events], GAPPY)
    there = read_petsird(path)
    for name in ("name", "rings", "crystals", "effective_radius_mm", "ring_spacing_mm", "tilt_deg",
                 "block_crystals", "virtual_crystals", "virtual_rings"):
        assert getattr(there.scanner, name) == pytest.approx(getattr(GAPPY, name), abs=1e-9), name
    assert_equal_events(joined(there.chunks()), events._arrays())


def test_many_chunks_are_as_one(tmp_path):
    events = listed(TINY, 1000, span_ms=1000)
    cuts = [0, 1, 10, 11, 500, 1000]
    chunks = [events.select(slice(*cut)) for cut in pairwise(cuts)]
    write_petsird(tmp_path / "scan.petsird", iter([*chunks, events.select(slice(0, 0))]), TINY)
    assert_equal_events(joined(read_petsird(tmp_path / "scan.petsird").chunks()), events._arrays())


def test_a_pair_in_the_other_order_comes_back_on_the_same_line_and_place(tmp_path):
    events = listed(TINY, 400)
    mirrored = Events(
        ring1=events.ring2, crystal1=events.crystal2, ring2=events.ring1, crystal2=events.crystal1,
        time_ms=events.time_ms, delayed=events.delayed, tof_bin=TINY.tof_bins - 1 - events.tof_bin,
    )
    write_petsird(tmp_path / "scan.petsird", [mirrored], TINY)
    found = joined(read_petsird(tmp_path / "scan.petsird").chunks())
    of = Bins(TINY).of
    same = of[events.ring1, events.crystal1] == of[events.ring2, events.crystal2]
    for name in found:  # a crystal with itself has no order
        np.testing.assert_array_equal(found[name][~same], getattr(events, name)[~same])


def test_sinograms_of_a_list_and_of_its_file_are_equal(tmp_path):
    events, layout = listed(TINY, 2000), SinogramLayout.of(TINY, tof_mashing=1)
    write_petsird(tmp_path / "scan.petsird", [events], TINY)
    first = histogram([events], layout)
    second = histogram(read_petsird(tmp_path / "scan.petsird").chunks(), layout)
    np.testing.assert_array_equal(first.prompts, second.prompts)
    np.testing.assert_array_equal(first.delayeds, second.delayeds)
    assert first.prompts.sum() > 500


def test_the_study_comes_back_as_far_as_the_format_holds_it(tmp_path):
    write_petsird(tmp_path / "scan.petsird", [], TINY, info=STUDY | {"half_life_s": 6586.2})
    there = read_petsird(tmp_path / "scan.petsird")
    assert there.info == STUDY | {
        "study_time": "2024-02-03T11:00:00+00:00", "injection_time": "2024-02-03T10:30:00.25+00:00",
        "originating_system": "tiny",
    }
    assert (there.end_ms, there.known_notes) == (2500, [])


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP"])
def test_the_patients_position_comes_back(tmp_path, position):
    write_petsird(tmp_path / "scan.petsird", [listed(TINY, 1)], TINY,
                  info={"patient_position": position})
    assert read_petsird(tmp_path / "scan.petsird").info["patient_position"] == position


def test_the_packages_reader_takes_the_file_and_its_blocks_cover_the_scan(tmp_path):
    events = listed(TINY, 500, span_ms=40)
    later = Events(**{k: v + 100 if k == "time_ms" else v for k, v in events._arrays().items()})
    write_petsird(tmp_path / "scan.petsird", [events, later], TINY, info={"duration_s": 0.5})
    stop, prompts, delayeds = 0, 0, 0
    with petsird.BinaryPETSIRDReader(str(tmp_path / "scan.petsird")) as reader:
        header = reader.read_header()
        for time_block in reader.read_time_blocks():
            interval = time_block.value.time_interval
            assert interval.start == stop
            stop = interval.stop
            (((late,),),) = [time_block.value.delayed_events]
            prompts += len(time_block.value.prompt_events[0][0])
            delayeds += len(late)
            for event in (*time_block.value.prompt_events[0][0], *late):
                assert event.detection_bins[0] >= event.detection_bins[1]
    assert stop == 500
    assert (prompts, delayeds) == (2 * (~events.delayed).sum(), 2 * events.delayed.sum())
    assert get_detection_efficiency(header.scanner, [0, 0], petsird.CoincidenceEvent(
        detection_bins=[81, 2])) == 1


def test_crystals_efficiencies_are_in_the_header(tmp_path):
    efficiencies = np.random.default_rng(0).uniform(0.5, 1.5, (TINY.rings, TINY.crystals))
    write_petsird(tmp_path / "scan.petsird", [], TINY, info={"duration_s": 1},
                  efficiencies=efficiencies)
    header, _ = read_header(tmp_path / "scan.petsird")
    # Bin 20 m + 5 j + ring of block m, crystal j.
    found = get_detection_efficiency(header.scanner, [0, 0], petsird.CoincidenceEvent(
        detection_bins=[81, 2]))
    assert found == pytest.approx(efficiencies[1, 16] * efficiencies[2, 0], rel=1e-6)


def test_events_on_no_real_crystal_are_left_out_and_counted(tmp_path):
    real, none = listed(GAPPY, 1), np.array([-1, 0, 0, 40], np.int16)
    virtual = Events(ring1=np.array([1, 1, 0, 1], np.int16), crystal1=none,
                     ring2=np.ones(4, np.int16), crystal2=np.full(4, 2, np.int16),
                     time_ms=np.full(4, 60), delayed=np.zeros(4, bool))
    path = tmp_path / "scan.petsird"
    assert write_petsird(path, [real, virtual], GAPPY) == {"events": 1, "impossible": 4}
    assert read_petsird(path).size == "1 events"


def test_events_that_go_back_in_time_are_refused_and_nothing_is_left(tmp_path):
    events = listed(TINY, 10)
    with pytest.raises(ValueError, match="order of time"):
        write_petsird(tmp_path / "scan.petsird", [events, events], TINY)
    assert not list(tmp_path.iterdir())


def test_what_was_written_is_told_beside_the_list_whole_or_not_at_all(tmp_path):
    path, events = tmp_path / "scan.petsird", listed(TINY, 10)
    write_petsird(path, [events], TINY, sidecar={"seed": 3})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert sorted(before) == ["scan.petsird", "scan.petsird.json"]
    said = json.loads(before["scan.petsird.json"])
    assert (said["file"], said["unit"], said["seed"]) == ("scan.petsird", "events", 3)
    assert said["counts"] == {"events": 10, "impossible": 0}
    with pytest.raises(ValueError, match="order of time"):
        write_petsird(path, [events, events], TINY)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_events_without_time_of_flight_of_a_scanner_with_it_are_refused(tmp_path):
    events = Events(**listed(TINY, 10)._arrays() | {"tof_bin": None})
    with pytest.raises(ValueError, match="time of flight"):
        write_petsird(tmp_path / "scan.petsird", [events], TINY)


def test_a_total_body_scanner_has_few_enough_modules_for_a_table_of_their_pairs():
    bins = Bins(Scanner.preset("uEXPLORER"))
    assert np.prod(bins.modules) <= 1024 and bins.elements * np.prod(bins.modules) == 672 * 840
