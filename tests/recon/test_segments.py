import numpy as np
import pytest

from recon import Scanner, Segment, SinogramLayout

TINY = Scanner.preset("tiny")
MMR = Scanner.preset("mMR")
SPAN_11 = SinogramLayout.of(MMR, span=11, max_ring_difference=60)


def test_mmr_span_11_has_the_planes_of_the_siemens_segment_table():
    planes = [segment.planes for segment in SPAN_11.segments]
    assert planes == [127, 115, 115, 93, 93, 71, 71, 49, 49, 27, 27]


def test_mmr_span_11_has_837_planes_and_span_1_has_4084():
    assert SPAN_11.planes == 837
    assert SinogramLayout.of(MMR, max_ring_difference=60).planes == 4084


def test_mmr_span_11_has_the_ring_differences_of_stir_in_ascending_order():
    layout = SinogramLayout.of(MMR, span=11, max_ring_difference=60, order="-1,0,+1")
    low = [segment.min_ring_difference for segment in layout.segments]
    high = [segment.max_ring_difference for segment in layout.segments]
    assert low == [-60, -49, -38, -27, -16, -5, 6, 17, 28, 39, 50]
    assert high == [-50, -39, -28, -17, -6, 5, 16, 27, 38, 49, 60]


def test_vision_span_19_has_the_815_planes_of_its_files():
    assert SinogramLayout.of(Scanner.preset("Vision"), span=19).planes == 815


def test_orders_alternate_from_minus_or_from_plus():
    for order, expected in (("0,-1,+1", [0, -1, 1, -2, 2]), ("0,+1,-1", [0, 1, -1, 2, -2])):
        segments = SinogramLayout.of(TINY, max_ring_difference=2, order=order).segments
        assert [segment.min_ring_difference for segment in segments] == expected


def test_outermost_segment_ends_at_the_largest_ring_difference():
    segments = SinogramLayout.of(TINY, span=3).segments
    assert segments[-1] == Segment(min_ring_difference=2, max_ring_difference=4, planes=5)
    segments = SinogramLayout.of(TINY, span=3, max_ring_difference=2).segments
    assert segments[-1] == Segment(min_ring_difference=2, max_ring_difference=2, planes=3)


def ring_difference_errors(layout):
    """Mean ring difference of each plane's pairs, minus its segment's."""
    plane, ring1, ring2 = layout.ring_pairs().T
    mean = np.bincount(plane, ring2 - ring1) / np.bincount(plane)
    planes = [segment.planes for segment in layout.segments]
    return mean - np.repeat([s.mean_ring_difference for s in layout.segments], planes)


def test_segment_ends_of_mmr_span_11_are_tilted_by_up_to_5_rings():
    error = ring_difference_errors(SPAN_11)
    assert np.count_nonzero(error) == 180
    assert abs(error).max() == 5
    shift_at_100_mm = abs(error).max() * 4.0625 / (2 * 335) * 100
    assert shift_at_100_mm == pytest.approx(3.0, abs=0.05)


def test_span_1_is_not_tilted_anywhere():
    assert not ring_difference_errors(SinogramLayout.of(MMR)).any()


def test_segment_ends_cost_a_quarter_of_a_percent_on_a_sphere_of_100_mm_radius():
    def chord(first, second):
        along = second - first
        length2 = (along**2).sum(axis=-1)
        distance2 = (first**2).sum(axis=-1) - (first * along).sum(axis=-1) ** 2 / length2
        return 2 * np.sqrt(np.maximum(100**2 - distance2, 0))

    plane, ring1, ring2 = SPAN_11.ring_pairs().T
    pairs = np.bincount(plane)
    exact, used = [], []
    for radial in range(60, 284, 3):
        first, second = SPAN_11.lor_end_points(0, radial, np.arange(SPAN_11.planes))
        used.append(chord(first, second))
        first, second = first[plane], second[plane]
        first[:, 2], second[:, 2] = ((ring - 31.5) * 4.0625 for ring in (ring1, ring2))
        exact.append(np.bincount(plane, chord(first, second)) / pairs)
    exact, error = np.array(exact), np.array(used) - np.array(exact)
    ends = ring_difference_errors(SPAN_11) != 0
    assert np.linalg.norm(error) / np.linalg.norm(exact) < 0.0025
    assert np.linalg.norm(error[:, ends]) / np.linalg.norm(exact[:, ends]) < 0.006


def test_segment_with_its_range_turned_round_is_refused():
    with pytest.raises(ValueError, match="got 1 and 0"):
        Segment(min_ring_difference=1, max_ring_difference=0, planes=5)


def test_segment_without_planes_is_refused():
    with pytest.raises(ValueError, match="at least 1 plane"):
        Segment(min_ring_difference=0, max_ring_difference=0, planes=0)
