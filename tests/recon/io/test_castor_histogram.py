"""CASToR's histograms against bytes that are packed by hand, both ways."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.io import FileError
from recon.io.castor_data import read_data_header
from recon.io.castor_histogram import read_castor_histogram
from recon.io.castor_histogram_writing import write_castor_histogram
from recon.io.castor_scanner import numbers_of
from recon.presets import PRESETS
from tests.recon.io.castor import POSITION, SCANNER, packed, written

LAYOUT = SinogramLayout.of(SCANNER)  # planes: ring pairs (0, 0), (1, 1), then (1, 0), then (0, 1)
PLAIN = {"Data mode": "histogram"}
CORRECTED = PLAIN | {f"{name} correction flag": 1 for name in
                     ("Attenuation", "Scatter", "Random", "Normalization")}
OFF = dict.fromkeys(CORRECTED, 0) | PLAIN
TOF = {"TOF information flag": 1, "TOF resolution (ps)": 400, "Histo TOF number of bins": 3,
       "Histo TOF bin size (ps)": 150}
GAPPY = replace(SCANNER, crystals=16, radial_bins=9, block_crystals=(4, 1), virtual_crystals=(1,))


@pytest.fixture
def histogram(tmp_path):
    """A histogram of events packed by hand."""

    def of(form, events, changes=None, cut=None, **options):
        data = packed(form, *events)[:cut]
        header = CORRECTED | {"Number of events": len(events)} | (changes or {})
        return read_castor_histogram(written(tmp_path, header, data), **options)

    return of


def arrays(layout, rng):
    """Counts and what else a histogram holds, of every bin that has detectors."""
    flat = layout.without_tof().shape
    mask = np.broadcast_to(layout.mask(), flat).astype(np.float32)
    wide = mask[:, :, None] if layout.tof else mask
    return {
        "prompts": rng.poisson(0.7, layout.shape).astype(np.float32) * wide,
        "attenuation": rng.uniform(0.03, 1, flat).astype(np.float32) * mask,
        "factors": rng.gamma(3, 1, flat).astype(np.float32) * mask,
        "randoms": rng.gamma(2, 1, flat).astype(np.float32) * mask,
        "scatter": rng.gamma(2, 1, layout.shape).astype(np.float32) * wide,
    }


def read_arrays(found):
    return {"prompts": found.prompts, "attenuation": found.attenuation,
            "factors": found.efficiency, "randoms": found.randoms, "scatter": found.scatter}


def test_an_event_is_a_bin_with_its_counts_and_what_its_model_needs(histogram):
    # Crystals 0 and 4 of our ring 1 are opposite: view 0, the middle radial bin of 5, plane 1.
    found = histogram("IfffffII", [(0, 2.0, 0.25, 8.0, 7.0, 0.5, 0, 4)])
    assert found.layout.shape == LAYOUT.shape == (4, 5, 4)
    place = 0, 2, 1
    assert (found.prompts[place], found.randoms[place], found.scatter[place]) == (7, 0.5, 1)
    assert (found.attenuation[place], found.efficiency[place]) == (0.5, 0.125)
    assert found.factors()[place] == 1 / 16
    assert found.background()[place] == 1.5
    for array in read_arrays(found).values():
        assert np.count_nonzero(array) == 1
    assert (found.bins, found.notes, found.info["duration_s"]) == (1, [POSITION], 2)


@pytest.mark.parametrize("ends", [(2, 14), (14, 2)])
def test_crystals_may_come_in_any_order(histogram, ends):
    # Crystal 2 of ring 1 and its opposite of ring 0: view 2, ring difference -1, which is plane 2.
    found = histogram("IfII", [(0, 7.0, *ends)], OFF)
    assert np.argwhere(found.prompts).tolist() == [[2, 2, 2]]


@pytest.mark.parametrize("first, second, expected", [(0, 4, [3, 2, 1]), (4, 0, [1, 2, 3])])
def test_bins_of_time_of_flight_ascend_from_crystal_1_to_crystal_2(
    histogram, first, second, expected
):
    # Ours ascend towards the line's first point, which is crystal 0.
    events = [(0, 2.0, 0.25, 8.0, 1.0, 0.1, 2.0, 0.2, 3.0, 0.3, first, second)]
    found = histogram("IfffffffffII", events, TOF)
    assert found.layout.tof_edges_mm[0] == pytest.approx(-225 * 0.299792458 / 2)
    assert found.prompts[0, 2, :, 1].tolist() == expected
    np.testing.assert_allclose(found.scatter[0, 2, :, 1], np.array(expected) * 0.2, rtol=1e-6)
    # The rate of randoms is of all bins together, and CASToR shares it evenly.
    assert found.randoms[0, 2, 1] == 0.5
    np.testing.assert_allclose(
        found.background()[0, 2, :, 1], np.array(expected) * 0.2 + 0.5 / 3, rtol=1e-6
    )


def test_lines_of_an_event_are_pairs_of_one_bin(histogram):
    off = OFF | {"Maximum number of lines per event": 2}
    # Rings (1, 0) and (0, 1) of crystals 0 and 4: one plane of span 3.
    found = histogram("IfHIIII", [(0, 5.0, 2, 0, 12, 8, 4), (0, 6.0, 1, 0, 4, 9, 9)], off, span=3)
    assert found.prompts[0, 2].tolist() == [0, 5, 6]
    assert found.efficiency[0, 2].tolist() == [0, 2, 1]
    assert "hold each bin's number of crystal pairs alone" in found.notes[1]
    with pytest.raises(FileError, match="lines of event 0 are of several bins, as 4 planes"):
        histogram("IfHIIII", [(0, 5.0, 2, 0, 12, 8, 4)], off)


def test_an_event_of_fewer_lines_than_pairs_is_told(histogram):
    found = histogram("IfII", [(0, 5.0, 0, 12)], OFF, span=3)
    assert "1 bins have other numbers of lines" in found.notes[2]


def test_bins_that_castor_skips_have_a_factor_of_0(histogram):
    found = histogram("IfffffII", [(0, 2.0, 0, -1.0, 7.0, 0, 0, 4), (0, 0.0, 0, 4.0, 7.0, 0, 8, 12),
                                   (0, float("nan"), 0, 4.0, 7.0, 0, 9, 13)])
    assert np.count_nonzero(found.factors()) == 0 and found.prompts.sum() == 21


def test_data_cut_short_leave_bins_without_detectors(histogram):
    found = histogram("IfffffII", [(0, 2.0, 0, 4.0, 7.0, 0, 0, 4), (0, 2.0, 0, 4.0, 7.0, 0, 8, 12)],
                      cut=40)
    assert found.prompts.sum() == 7 and np.count_nonzero(found.factors()) == 1
    assert "has 1 of the 2 events" in found.notes[1]


def test_impossible_crystals_and_bins_outside_are_counted(histogram):
    events = [(0, 1.0, 0, 4), (0, 2.0, 1, 5), (0, 4.0, 2, 6), (0, 8.0, 0, 16), (0, 16.0, 0, 1)]
    found = histogram("IfII", events, OFF)
    assert found.prompts.sum() == 7
    assert found.dropped == {"impossible": 1, "outside_layout": 1, "prompts": 24}
    assert found.bins == 3


@pytest.mark.parametrize("events, changes, message", [
    ([(0, 1.0, 0, 4), (1, 2.0, 4, 0)], {}, "several events of one bin"),
    ([(0, 1.0, 0, 16), (0, 2.0, 17, 0), (0, 1.0, 0, 4)], {}, "2 of 3 events are on crystal"),
    ([(0, 1.0, 0, 4)], {"TOF information flag": 1}, "Histo TOF number of bins"),
    ([(0, 1.0, 0, 4)], TOF | {"Histo TOF number of bins": 1, "Histo TOF bin size (ps)": 0},
     r"Histo TOF bin size \(ps\)` takes a positive"),
    ([(0, 1.0, 0, 4)], {"Data mode": "list-mode"}, "is list, where a histogram"),
])
def test_a_histogram_that_cannot_be_used_is_refused(histogram, events, changes, message):
    with pytest.raises(FileError, match=message):
        histogram("IfII", events, OFF | changes)


def test_rates_need_a_duration(histogram):
    with pytest.raises(FileError, match="takes a positive time, for rates become counts"):
        histogram("IfffffII", [(0, 2.0, 0, 4.0, 7.0, 0, 0, 4)], {"Duration (s)": 0})


def test_a_histogram_is_written_as_it_would_be_by_hand(tmp_path, rng):
    one = SinogramLayout.of(replace(SCANNER, rings=1, radial_bins=1), tof_mashing=2)
    assert one.shape == (4, 1, 2, 1)
    parts = arrays(one, rng)
    path = tmp_path / "out.cdh"
    info = {"start_s": 1.0, "duration_s": 4.0}
    prompts = parts.pop("prompts")
    assert write_castor_histogram(path, prompts, one, **parts, info=info) == {
        "bins": 4, "left_out": 0, "prompts_left_out": 0}
    values = np.frombuffer(path.with_suffix(".cdf").read_bytes(), np.dtype(
        [("t", "<u4"), ("a", "<f4"), ("r", "<f4"), ("n", "<f4"), ("b", "<f4", 4), ("c", "<u4", 2)]
    ))
    by_hand = packed("IfffffffII", *[
        (1000, values["a"][v], parts["randoms"][v, 0, 0] / 4, values["n"][v], prompts[v, 0, 1, 0],
         parts["scatter"][v, 0, 1, 0] / 4, prompts[v, 0, 0, 0], parts["scatter"][v, 0, 0, 0] / 4,
         v, v + 4) for v in range(4)])
    assert path.with_suffix(".cdf").read_bytes() == by_hand
    np.testing.assert_allclose(values["a"], 1 / parts["attenuation"].ravel(), rtol=2e-7)
    np.testing.assert_allclose(values["n"], 1 / parts["factors"].ravel(), rtol=2e-7)
    lines = path.read_text().splitlines()
    for line in ("Number of events: 4", "Data mode: histogram", "Start time (s): 1.0",
                 "Scatter correction flag: 1", "TOF resolution (ps): 400.0",
                 "Histo TOF number of bins: 2", "Histo TOF bin size (ps): 200.0"):
        assert line in lines
    assert json.loads((tmp_path / "out.cdh.json").read_text())["written"]["bins"] == 4


def test_a_bin_of_span_3_has_as_many_lines_as_pairs(tmp_path):
    layout = SinogramLayout.of(replace(SCANNER, radial_bins=1), span=3)
    path = tmp_path / "a.cdh"
    write_castor_histogram(path, np.ones(layout.shape, np.float32), layout)
    numbers = numbers_of(layout.scanner)
    one, both = numbers[:, [0, 4]], numbers[[0, 1, 1, 0], [0, 4, 0, 4]]
    # The normalization holds the number of pairs, which CASToR does not count.
    first_view = packed("IffHIIII", (0, 1, 1, 1, *one[0], 0, 0), (0, 0.5, 1, 2, *both),
                        (0, 1, 1, 1, *one[1], 0, 0))
    assert path.with_suffix(".cdf").read_bytes()[: len(first_view)] == first_view
    assert read_castor_histogram(path).efficiency[0, 0].tolist() == [1, 2, 1]


# Of 16 crystals 4 are virtual, at steps of 4. Of pairs 8 or 4 steps apart, 2 of 8 and 4 of 16 have
# both ends on these. Of the 16 pairs of each other distance, 5, 6 and 7, 8 have one. Three planes.
@pytest.mark.parametrize("view_mashing, empty", [(1, (2 + 4 + 3 * 8) * 3), (3, 0)])
def test_lines_are_the_real_pairs_of_each_bin(tmp_path, view_mashing, empty):
    """Against the layout's own, bin after bin."""
    layout = SinogramLayout.of(GAPPY, span=3, view_mashing=view_mashing)
    path = tmp_path / "a.cdh"
    write_castor_histogram(path, np.ones(layout.shape, np.float32), layout)
    events = np.fromfile(path.with_suffix(".cdf"), read_data_header(path, "histogram").record)
    numbers, expected = numbers_of(GAPPY), []
    for place in np.ndindex(layout.shape):
        ends = np.stack(layout.crystals_of(*place), axis=1)
        pairs = np.stack([numbers[ends[:, 0], ends[:, 1]], numbers[ends[:, 2], ends[:, 3]]], axis=1)
        expected.append({tuple(pair) for pair in pairs.tolist() if min(pair) >= 0})
    expected = [pairs for pairs in expected if pairs]
    assert len(events) == len(expected) == np.prod(layout.shape) - empty
    for event, pairs in zip(events, expected, strict=True):
        assert event["lines"] == len(pairs)
        assert {tuple(pair) for pair in event["pairs"][: len(pairs)].tolist()} == pairs
        assert not event["pairs"][len(pairs) :].any()


LAYOUTS = [
    SinogramLayout.of(SCANNER, tof_mashing=1),
    SinogramLayout.of(GAPPY, span=3),
    SinogramLayout.of(GAPPY, span=3, view_mashing=3, tof_mashing=1),
    SinogramLayout.of(Scanner.preset("tiny"), span=3, max_ring_difference=2, tof_mashing=2),
    SinogramLayout.of(Scanner.preset("demo"), span=11, radial_bins=9),
    SinogramLayout.of(Scanner.preset("mMR"), span=11, max_ring_difference=16, radial_bins=5),
    SinogramLayout.of(Scanner.preset("mMR"), max_ring_difference=2, radial_bins=7),
    SinogramLayout.of(Scanner.preset("Vision 600"), max_ring_difference=1, radial_bins=3,
                      tof_mashing=33),
    SinogramLayout.of(Scanner.preset("Discovery MI"), max_ring_difference=1, radial_bins=3,
                      tof_mashing=13),
    SinogramLayout.of(Scanner.preset("HR+"), max_ring_difference=1, radial_bins=3),
    SinogramLayout.of(Scanner.preset("uEXPLORER"), max_ring_difference=0, radial_bins=1),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.scanner.name)
def test_a_histogram_comes_back(tmp_path, rng, layout):
    """Counts to the bit; what is a rate or an inverse in the file to the last one of 24 bits."""
    parts = arrays(layout, rng)
    info = {"duration_s": 37.3, "start_s": 0.0, "patient_position": "FFS"}
    counts = write_castor_histogram(tmp_path / "a.cdh", layout=layout, info=info, **parts)
    found = read_castor_histogram(tmp_path / "a.cdh")
    assert found.layout == layout and found.notes == []
    assert {name: found.info[name] for name in info} == info
    assert found.bins == counts["bins"] == np.count_nonzero(parts["factors"])
    np.testing.assert_array_equal(found.prompts, parts["prompts"])
    for name, array in read_arrays(found).items():
        np.testing.assert_array_max_ulp(array, parts[name], 1)
    # What came from such a file goes back to the bit.
    write_castor_histogram(tmp_path / "b.cdh", layout=layout, info=found.info, **read_arrays(found))
    again = read_arrays(read_castor_histogram(tmp_path / "b.cdh"))
    for name, array in read_arrays(found).items():
        np.testing.assert_array_equal(again[name], array)


def test_every_preset_is_among_them():
    assert {layout.scanner.name for layout in LAYOUTS} >= {s.name for s in PRESETS.values()}


def test_bins_whose_factor_is_0_are_left_out_and_their_prompts_told(tmp_path):
    prompts, factors = np.ones((2, *LAYOUT.shape), np.float32)
    factors[0, 2, 1] = 0
    counts = write_castor_histogram(tmp_path / "a.cdh", prompts, LAYOUT, factors=factors)
    assert counts == {"bins": 79, "left_out": 1, "prompts_left_out": 1}


def test_randoms_may_be_given_by_time_of_flight(tmp_path):
    layout = SinogramLayout.of(SCANNER, tof_mashing=1)
    ones = np.ones(layout.shape, np.float32)
    write_castor_histogram(tmp_path / "a.cdh", ones, layout, randoms=ones)
    found = read_castor_histogram(tmp_path / "a.cdh")
    assert (found.randoms == 5).all() and (found.background() == 1).all()


def test_our_histogram_beside_another_scanner_file_needs_one_that_fits(tmp_path):
    write_castor_histogram(tmp_path / "a.cdh", np.ones(LAYOUT.shape, np.float32), LAYOUT)
    written(tmp_path, scanner={"number of crystals axial": 1, "number of elements": 8})
    with pytest.raises(FileError, match="give another --span, or the scanner"):
        read_castor_histogram(tmp_path / "a.cdh", tmp_path / "PET_hand.geom")


@pytest.mark.parametrize("layout, changes, message", [
    (LAYOUT.with_(radial_mm=4.0), {}, "arc-corrected ones of 4 mm"),
    (LAYOUT, {"factors": np.ones(3, np.float32)}, r"factors of shape \(4, 5, 4\), got \(3,\)"),
    (LAYOUT, {"path": "a.hs"}, r"ends in \.cdh"),
    (LAYOUT, {"path": "no/a.cdh"}, "no folder"),
])
def test_what_cannot_be_written_leaves_nothing(tmp_path, layout, changes, message):
    changes = dict(changes)
    path = tmp_path / changes.pop("path", "a.cdh")
    with pytest.raises(ValueError, match=message):
        write_castor_histogram(path, np.ones(layout.shape, np.float32), layout, **changes)
    assert list(tmp_path.iterdir()) == []
