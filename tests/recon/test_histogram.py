"""Events summed into sinograms: which bin, which are dropped, and what is counted."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.events import Events
from recon.head_curve import HeadCurve, draw
from recon.histogram import Dropped, histogram

SCANNER = Scanner.preset("tiny")  # 5 rings of 32 crystals, 9 time-of-flight bins
LAYOUT = SinogramLayout.of(SCANNER, span=1)


def listed(pairs, *, delayed=False, time_ms=0, tof_bin=None):
    """Events of (ring1, crystal1, ring2, crystal2)."""
    ends = np.array(pairs, np.int16).reshape(-1, 4).T
    events = len(ends[0])
    more = {} if tof_bin is None else {"tof_bin": np.full(events, tof_bin, np.int16)}
    return Events(
        **dict(zip(("ring1", "crystal1", "ring2", "crystal2"), ends, strict=True)),
        time_ms=np.broadcast_to(np.int32(time_ms), events).copy(),
        delayed=np.broadcast_to(delayed, events).copy(), **more,
    )


def all_pairs(scanner):
    """Every two detectors once, in an order that depends on which."""
    crystals = scanner.rings * scanner.crystals
    first, second = np.triu_indices(crystals, 1)
    turned = (first + second) % 2 == 1
    first, second = np.where(turned, second, first), np.where(turned, first, second)
    ring1, crystal1 = np.divmod(first, scanner.crystals)
    ring2, crystal2 = np.divmod(second, scanner.crystals)
    return listed(np.stack([ring1, crystal1, ring2, crystal2], axis=1))


# Bins worked out by hand: t = 2 of 23 is radial bin 13; crystals (3 + 1, 3 - 1 + 16) = (4, 18).
# Segments 0, -1, +1 have 5, 4, 4 planes: rings (1, 2) are plane 1 of segment +1.
PAIR, BIN = (1, 4, 2, 18), (3, 13, 5 + 4 + 1)


def test_a_pair_of_crystals_falls_into_the_bin_worked_out_by_hand():
    prompts = histogram([listed([PAIR])], LAYOUT).prompts
    assert np.argwhere(prompts).tolist() == [list(BIN)]
    assert prompts[BIN] == 1


def test_the_same_pair_in_the_other_order_falls_into_the_same_bin():
    turned = (*PAIR[2:], *PAIR[:2])
    assert histogram([listed([turned, PAIR])], LAYOUT).prompts[BIN] == 2


@pytest.mark.parametrize("span, mashing", [(1, 1), (3, 1), (5, 3)])
def test_one_event_for_each_pair_gives_the_number_of_pairs_of_each_bin(span, mashing):
    layout = SinogramLayout.of(SCANNER, span=span, view_mashing=mashing)
    counted = histogram([all_pairs(SCANNER)], layout)
    crystals, rings = layout.pair_counts()
    np.testing.assert_array_equal(counted.prompts, crystals * rings)
    assert counted.prompt_sum == counted.prompts.sum()
    assert counted.dropped.outside_layout == 160 * 159 / 2 - counted.prompt_sum


def test_pairs_on_virtual_crystals_and_rings_are_dropped_and_the_others_are_not():
    scanner = replace(SCANNER, virtual_crystals=(1,), virtual_rings=(4,))
    layout = SinogramLayout.of(scanner, span=3)
    counted = histogram([all_pairs(scanner)], layout)
    crystals, rings = layout.pair_counts()
    np.testing.assert_array_equal(counted.prompts, crystals * rings)
    # 4 rings of 24 real crystals are left of 5 of 32.
    assert counted.dropped.impossible == (160 * 159 - 96 * 95) / 2


def test_prompts_and_delayeds_are_kept_apart():
    counted = histogram([listed([PAIR]), listed([PAIR] * 2, delayed=True)], LAYOUT)
    assert (counted.prompts[BIN], counted.delayeds[BIN]) == (1, 2)
    assert (counted.prompt_sum, counted.delayed_sum) == (1, 2)


def test_delayeds_are_summed_where_their_sinogram_is_not_asked_for():
    counted = histogram([listed([PAIR] * 2, delayed=True)], LAYOUT, delayeds=False)
    assert (counted.delayeds, counted.delayed_sum) == (None, 2)


@pytest.mark.parametrize(
    "pair", [(-1, 4, 2, 18), (1, -1, 2, 18), (1, 4, 5, 18), (1, 4, 2, 32), (-1, -1, -1, -1)]
)
def test_events_on_detectors_that_are_not_there_are_counted_and_dropped(pair):
    counted = histogram([listed([pair, PAIR])], LAYOUT)
    assert counted.dropped == Dropped(impossible=1)
    assert (counted.prompts.sum(), counted.prompts[BIN]) == (1, 1)


def test_events_beyond_the_largest_ring_difference_are_outside_the_layout():
    layout = SinogramLayout.of(SCANNER, span=1, max_ring_difference=1)
    counted = histogram([listed([PAIR, (0, 4, 2, 18), (2, 4, 0, 18)])], layout)
    assert (counted.prompt_sum, counted.dropped) == (1, Dropped(outside_layout=2))


def test_events_from_the_start_and_before_the_stop_are_counted():
    events = listed([PAIR] * 5, time_ms=[0, 10, 11, 19, 20])
    counted = histogram([events], LAYOUT, start_ms=10, stop_ms=20)
    assert (counted.prompt_sum, counted.dropped) == (3, Dropped(outside_time=2))


def test_no_events_give_empty_sinograms():
    counted = histogram([], LAYOUT)
    assert (counted.prompt_sum, counted.prompts.any(), len(counted.curve.time_ms)) == (0, False, 0)


# 9 bins mashed by 3: 0-2, 3-5, 6-8.
TIMED = SinogramLayout.of(SCANNER, span=1, tof_mashing=3)


@pytest.mark.parametrize("fine, mashed", [(0, 0), (2, 0), (3, 1), (4, 1), (8, 2)])
def test_time_of_flight_bins_are_mashed_about_the_middle(fine, mashed):
    prompts = histogram([listed([PAIR], tof_bin=fine)], TIMED).prompts
    assert np.argwhere(prompts).tolist() == [[BIN[0], BIN[1], mashed, BIN[2]]]


def test_time_of_flight_turns_with_the_order_of_the_crystals():
    turned = (*PAIR[2:], *PAIR[:2])
    prompts = histogram([listed([turned], tof_bin=0)], TIMED).prompts
    assert np.argwhere(prompts).tolist() == [[BIN[0], BIN[1], 2, BIN[2]]]


def test_time_of_flight_is_summed_by_a_layout_without():
    prompts = histogram([listed([PAIR], tof_bin=8)], TIMED.without_tof()).prompts
    assert prompts[BIN] == 1


def test_times_of_flight_beyond_the_layouts_bins_are_dropped():
    narrow = TIMED.with_(tof_bins=1)
    counted = histogram([listed([PAIR], tof_bin=t) for t in (2, 3, 5, 6)], narrow)
    assert (counted.prompt_sum, counted.dropped) == (2, Dropped(outside_layout=2))


@pytest.mark.parametrize("fine", [-1, 9])
def test_times_of_flight_that_the_scanner_does_not_have_are_impossible(fine):
    counted = histogram([listed([PAIR], tof_bin=fine)], TIMED)
    assert counted.dropped == Dropped(impossible=1)


def test_events_without_time_of_flight_are_refused_for_a_layout_with():
    with pytest.raises(ValueError, match="got some without"):
        histogram([listed([PAIR])], TIMED)


def test_arc_corrected_bins_are_refused():
    with pytest.raises(ValueError, match="follow the crystals"):
        histogram([], LAYOUT.with_(radial_mm=5.0))


def test_the_head_curve_counts_by_time_tag_across_chunks():
    chunks = [
        listed([PAIR] * 3, time_ms=[4, 4, 6], delayed=[False, True, False]),
        listed([PAIR] * 2, time_ms=[6, 9], delayed=[True, True]),
    ]
    curve = histogram(chunks, LAYOUT).curve
    assert curve.time_ms.tolist() == [4, 6, 9]
    assert curve.prompts.tolist() == [1, 1, 0]
    assert curve.delayeds.tolist() == [1, 1, 1]


def test_times_that_run_backwards_are_put_in_order():
    events = listed([PAIR] * 4, time_ms=[5, 3, 5, 3], delayed=[False, True, False, False])
    curve = HeadCurve.of(events)
    assert (curve.time_ms.tolist(), curve.prompts.tolist()) == ([3, 5], [1, 2])
    assert curve.delayeds.tolist() == [1, 0]


def test_the_head_curve_counts_dropped_events_too():
    curve = histogram([listed([(-1, -1, -1, -1)])], LAYOUT).curve
    assert curve.prompts.tolist() == [1]


def test_a_binned_head_curve_keeps_its_sums():
    time = np.arange(1000)
    curve = HeadCurve(time_ms=time, prompts=time, delayeds=np.ones(1000, int))
    edges_ms, prompts, delayeds = curve.binned(1000)
    assert edges_ms.tolist() == list(range(0, 1003, 3))  # 334 steps of 3 ms
    assert prompts[:2].tolist() == [0 + 1 + 2, 3 + 4 + 5]
    assert (prompts.sum(), delayeds.sum()) == (time.sum(), 1000)


def test_the_head_curve_is_drawn(tmp_path):
    curve = HeadCurve.of(listed([PAIR] * 3, time_ms=[0, 1, 2]))
    draw(curve, tmp_path / "curve.png", stop_ms=3, frames_ms=[(0, 1), (1, 3)], title="a scan")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
