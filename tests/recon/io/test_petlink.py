"""List mode of 32-bit words: written word by word, and a real scan's."""

import gzip
import re

import numpy as np
import pytest

from recon import SinogramLayout
from recon.histogram import histogram
from recon.io import FileError, petlink
from recon.io.siemens import read_list_mode
from tests.recon.io.mmr import LIST_HEADER, as_bytes, event, singles, tag, written

# Planes 0 to 63 are ring difference 0, 64 to 126 are -1 (rings 1 + k, k), 127 to 189 are +1.
WORDS = [
    event(10, 172, 5),
    tag(2),
    event(10, 172, 5),
    event(251, 0, 64),
    singles(3, 800),
    event(0, 343, 4083, prompt=False),
    tag(3),
    0b110 << 29 | 12345,
    singles(223, 8000),
    singles(896, 0),
    tag(7),
    event(7, 173, 127),
]


@pytest.fixture
def list_mode(tmp_path):
    """Opens a list of words."""
    return lambda words, changes=None, more=b"": read_list_mode(
        written(tmp_path / "scan.l.hdr", LIST_HEADER, changes, as_bytes(words) + more)
    )


def read(events):
    """All chunks as one dict of lists."""
    chunks = list(events.chunks())
    names = ("ring1", "crystal1", "ring2", "crystal2", "time_ms", "delayed")
    return {name: np.concatenate([getattr(c, name) for c in chunks]).tolist() for name in names}


def test_words_give_the_crystals_rings_and_times_worked_out_by_hand(list_mode):
    events = read(list_mode(WORDS))
    # crystal1 = view + floor(t/2), crystal2 = view - floor((t+1)/2) + 252, t = radial - 172.
    assert events["crystal1"] == [10, 10, 251 - 86, 85, 7]
    assert events["crystal2"] == [262, 262, (251 + 86 + 252) % 504, 252 - 86, 7 - 1 + 252]
    assert events["ring1"][:3] + events["ring1"][4:] == [5, 5, 1, 0]
    assert events["ring2"][:3] + events["ring2"][4:] == [5, 5, 0, 1]
    # The last plane is the last of ring difference +60.
    assert (events["ring1"][3], events["ring2"][3]) == (3, 63)
    assert events["time_ms"] == [2, 2, 2, 2, 7]  # before the first tag: that tag's time
    assert events["delayed"] == [False, False, False, True, False]


def test_words_fall_into_the_bins_that_they_address(list_mode):
    events = list_mode(WORDS)
    layout = events.layout.with_(segments=events.layout.segments[:3])
    counted = histogram(events.chunks(), layout)
    # Of these, (251, 0) and (7, 173) lie on virtual crystals or not: 165, 85, 7, 258 are real.
    bins = {(10, 172, 5): 2.0, (251, 0, 64): 1.0, (7, 173, 127): 1.0}
    assert {tuple(map(int, b)): float(counted.prompts[tuple(b)])
            for b in np.argwhere(counted.prompts)} == bins
    assert counted.dropped.outside_layout == 1


def test_words_are_tallied_by_kind(list_mode):
    events = list_mode(WORDS)
    read(events)
    assert events.tally == petlink.Tally(
        prompts=4, delayeds=1, time_tags=3, singles=3, others=1, foreign_blocks=1
    )
    assert events.tally.words == len(WORDS) == events.words


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_the_size_of_chunks_changes_nothing(list_mode, monkeypatch, chunk):
    whole = read(list_mode(WORDS[1:]))
    monkeypatch.setattr(petlink, "CHUNK_WORDS", chunk)
    events = list_mode(WORDS[1:])
    assert read(events) == whole
    assert events.singles.time_ms.tolist() == [2, 3]


def test_singles_have_their_time_block_and_rate(list_mode):
    events = list_mode(WORDS)
    read(events)
    found = events.singles
    assert found.time_ms.tolist() == [2, 3]
    assert found.block.tolist() == [3, 223]
    assert found.rate.tolist() == [800, 8000]
    assert found.means(224)[[3, 223]].tolist() == [800, 8000]
    assert np.isnan(found.means(224, start_ms=3)[3])


def test_singles_of_a_block_that_is_not_there_are_told(list_mode):
    events = list_mode(WORDS)
    read(events)
    assert events.notes == ["in the list: 1 singles words of a block beyond the scanner's 224"]


def test_a_second_reading_gives_the_same_and_counts_anew(list_mode):
    events = list_mode(WORDS)
    assert read(events) == read(events)
    assert events.tally.words == len(WORDS)


def test_an_address_beyond_the_sinogram_is_told_and_dropped(list_mode):
    events = list_mode([tag(0), event(0, 0, 4084), event(10, 172, 5)])
    assert read(events)["ring1"] == read(events)["ring1"] == [-1, 5]
    layout = SinogramLayout.of(events.scanner, max_ring_difference=0)
    counted = histogram(events.chunks(), layout)
    assert (counted.prompt_sum, counted.dropped.impossible) == (1, 1)
    assert "1 events with a bin address beyond the sinogram of Siemens mMR" in events.notes[0]


def test_events_on_virtual_crystals_are_counted_and_dropped(list_mode):
    # View 9, t = 0 joins crystals 9 and 261 = 9 · 29.
    events = list_mode([tag(0), event(9, 172, 5), event(10, 172, 5)])
    counted = histogram(events.chunks(), SinogramLayout.of(events.scanner, max_ring_difference=0))
    assert (counted.prompt_sum, counted.dropped.impossible) == (1, 1)


def test_time_tags_that_run_backwards_are_told(list_mode):
    events = list_mode([tag(5), event(10, 172, 5), tag(3), event(10, 172, 5)])
    assert read(events)["time_ms"] == [5, 3]
    assert events.notes == ["in the list: 1 time tags earlier than the one before them"]


def test_the_list_ends_a_millisecond_after_its_last_tag(list_mode, monkeypatch):
    monkeypatch.setattr(petlink, "CHUNK_WORDS", 2)
    assert list_mode([tag(0), tag(41), *[event(10, 172, 5)] * 7]).end_ms == 42


def test_words_without_a_time_tag_are_refused(list_mode):
    with pytest.raises(FileError, match="holds no time tag among its 2 words"):
        list_mode([event(1, 2, 3)] * 2)


def test_a_file_that_shrinks_while_it_is_read_is_refused(list_mode):
    events = list_mode(WORDS)
    events.path.write_bytes(as_bytes(WORDS[:3]))
    with pytest.raises(FileError, match="has become 36 bytes shorter"):
        read(events)


def test_a_truncated_list_is_used_and_what_was_lost_is_told(list_mode):
    events = list_mode(WORDS, {"%total listmode word counts": "48"}, more=b"ab")
    assert len(read(events)["ring1"]) == 5
    assert events.known_notes == [
        "the last 2 bytes of scan.l are no whole word: left out",
        "scan.l was cut short: it has 12 of the 48 words that its header promises, 25 %; these are "
        "used, the others are lost",
    ]


@pytest.mark.parametrize("words, last_ms", [("12", 900), ("13", 8)])
def test_a_whole_list_may_end_a_little_before_its_scan(list_mode, words, last_ms):
    changes = {"%total listmode word counts": words, "image duration (sec)": "0.9"}
    assert list_mode(WORDS, changes).last_ms == last_ms


@pytest.fixture(scope="module")
def brain(reference):
    return read_list_mode(reference / "mmr_brain_0.6s" / "PET_ACQ_small.l.hdr.STIR")


@pytest.fixture(scope="module")
def decoded(brain):
    return {name: np.array(values) for name, values in read(brain).items()}


def test_the_real_list_has_the_prompts_and_delayeds_that_its_words_have(brain):
    layout = SinogramLayout.of(brain.scanner, span=11, max_ring_difference=60)
    counted = histogram(brain.chunks(), layout)
    # Counted from the words, see the data's README.
    assert (counted.prompt_sum, counted.delayed_sum) == (218_881, 35_320)
    assert counted.prompts.sum(dtype=np.float64) == 218_881
    assert counted.delayeds.sum(dtype=np.float64) == 35_320
    assert (counted.curve.prompts.sum(), counted.curve.delayeds.sum()) == (218_881, 35_320)
    assert counted.curve.time_ms.tolist() == list(range(613))
    assert not any(vars(counted.dropped).values())
    assert brain.tally.words == 254_816
    assert counted.prompts[~np.broadcast_to(layout.mask(), layout.shape)].sum() == 0


def test_no_real_event_lies_on_a_virtual_crystal_and_every_other_column_has_some(decoded):
    both = np.concatenate([decoded["crystal1"], decoded["crystal2"]])
    empty = np.bincount(both, minlength=504) == 0
    np.testing.assert_array_equal(np.flatnonzero(empty), np.arange(0, 504, 9))


def test_span_11_is_the_sum_of_span_1(brain):
    spans = {}
    for span in (1, 11):
        layout = SinogramLayout.of(brain.scanner, span=span, max_ring_difference=5)
        spans[span] = histogram(brain.chunks(), layout), layout
    fine, layout = spans[1]
    summed = np.zeros_like(spans[11][0].prompts)
    for first, segment in zip(layout.first_planes(), layout.segments, strict=True):
        # Ring sums |d|, |d| + 2, … of segment d are planes |d|, |d| + 2, … of span 11.
        d = abs(segment.min_ring_difference)
        summed[:, :, d : 127 - d : 2] += fine.prompts[:, :, first : first + segment.planes]
    np.testing.assert_array_equal(spans[11][0].prompts, summed)
    assert fine.prompt_sum == spans[11][0].prompt_sum == summed.sum() > 29_000


STIR = re.compile(
    r"Coincidence (.) \(c:(\d+),r:(\d+),l:0\)-\(c:(\d+),r:(\d+),l:0\)\s+LOR \((.+)\)-\((.+)\) bin "
    r"\[segment_num=(\S+), axial_pos_num=(\d+), view_num=(\d+), tangential_pos_num=(\S+), "
)


@pytest.fixture(scope="module")
def stir(reference):
    """Rows of STIR's events: delayed, c1, r1, c2, r2, two points (z, y, x), bin."""
    with gzip.open(reference / "mmr_brain_0.6s" / "stir_events_first2000.txt.gz", "rt") as file:
        found = [STIR.match(line).groups() for line in file]
    points = np.array([[p.split(",") for p in row[5:7]] for row in found], float)
    kind = np.array([row[0] == "d" for row in found])
    numbers = np.array([row[1:5] + row[7:] for row in found], int)
    return kind, numbers, points


def test_the_first_events_have_stirs_crystals_and_rings(stir, decoded):
    delayed, numbers, _ = stir
    assert len(numbers) == 1996  # as many as the file holds
    np.testing.assert_array_equal(decoded["delayed"][:1996], delayed)
    for column, name in enumerate(("crystal1", "ring1", "crystal2", "ring2")):
        np.testing.assert_array_equal(decoded[name][:1996], numbers[:, column])


def test_the_first_events_have_stirs_bins_and_lines(stir, brain, decoded):
    _, numbers, points = stir
    names = ("ring1", "crystal1", "ring2", "crystal2")
    view, radial, plane, swapped = brain.layout.bin_of(*(decoded[n][:1996] for n in names))
    segment = np.searchsorted(brain.layout.first_planes(), plane, side="right") - 1
    difference = [brain.layout.segments[s].min_ring_difference for s in segment]
    axial = plane - brain.layout.first_planes()[segment]
    assert not swapped.any()
    np.testing.assert_array_equal(
        np.stack([difference, axial, view, radial - 172], axis=1), numbers[:, 4:]
    )
    # STIR's points stand in the opposite order.
    ends = brain.layout.lor_end_points(view, radial, plane)
    for point, end in zip(points.swapaxes(0, 1)[::-1], ends, strict=True):
        np.testing.assert_allclose(end, point[:, ::-1], atol=2e-3)
