import gzip
import re

import numpy as np
import pytest

# Segment is part of what a layout's repr is made of.
from recon import Scanner, Segment, SinogramLayout
from recon.segments import ORDERS

C_MM_PER_PS = 0.299792458
TINY = Scanner.preset("tiny")
MMR = Scanner.preset("mMR")


def crystal_centres(scanner, ring, crystal):
    """Where crystals lie by the definition of STIR's numbering, (…, 3) mm."""
    angle = 2 * np.pi * crystal / scanner.crystals + np.radians(scanner.tilt_deg)
    radius = scanner.radius_mm + scanner.depth_mm
    z = (ring - (scanner.rings - 1) / 2) * scanner.ring_spacing_mm
    return np.stack(
        np.broadcast_arrays(radius * np.sin(angle), -radius * np.cos(angle), z), axis=-1
    )


def random_pairs(scanner, rng, number=20000):
    return tuple(
        rng.integers(0, size, number)
        for size in (scanner.rings, scanner.crystals, scanner.rings, scanner.crystals)
    )


def test_first_planes_are_running_sums_of_the_planes_before():
    layout = SinogramLayout.of(TINY, max_ring_difference=2)
    np.testing.assert_array_equal(layout.first_planes(), (0, 5, 9, 13, 16))


def test_segment_table_of_span_1_and_3_worked_out_by_hand():
    # 5 rings 8 mm apart: 5 planes from -16 mm; ring difference -1 has 4 planes from -12 mm.
    span_1 = SinogramLayout.of(TINY, max_ring_difference=1).segment_table()
    np.testing.assert_allclose(span_1, [(-16, 8, 0), (-12, 8, -8), (-12, 8, 8)])
    # Span 3: 9 planes 4 mm apart; ring differences 2 to 4, mean 3, have 5 planes.
    span_3 = SinogramLayout.of(TINY, span=3).segment_table()
    np.testing.assert_allclose(span_3, [(-16, 4, 0), (-8, 4, -24), (-8, 4, 24)])


def test_shape_has_a_time_of_flight_axis_between_radial_and_plane():
    layout = SinogramLayout.of(TINY, tof_mashing=3)
    assert layout.shape == (16, 23, 3, 25)
    assert layout.without_tof().shape == (16, 23, 25)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("tof_mashing", [0, 2])
def test_repr_is_the_constructor(order, tof_mashing):
    layout = SinogramLayout.of(
        TINY, span=3, view_mashing=np.int64(3), tof_mashing=tof_mashing, order=order
    )
    assert eval(repr(layout)) == layout


@pytest.mark.parametrize("scanner", [TINY, MMR, Scanner.preset("Discovery MI")])
def test_interleaved_lines_end_at_the_centres_of_the_two_crystals(scanner, rng):
    layout = SinogramLayout.of(scanner)
    ring1, crystal1, ring2, crystal2 = random_pairs(scanner, rng)
    view, radial, plane, swapped = layout.bin_of(ring1, crystal1, ring2, crystal2)
    inside = view >= 0
    first, second = layout.lor_end_points(view[inside], radial[inside], plane[inside])
    one = crystal_centres(scanner, ring1, crystal1)[inside]
    other = crystal_centres(scanner, ring2, crystal2)[inside]
    turned = swapped[inside, None]
    assert 0.2 < turned.mean() < 0.8
    np.testing.assert_allclose(first, np.where(turned, other, one), atol=1e-9)
    np.testing.assert_allclose(second, np.where(turned, one, other), atol=1e-9)


def test_line_of_a_bin_that_sums_pairs_passes_through_the_mean_of_their_middles():
    layout = SinogramLayout.of(TINY, span=3)
    for plane in range(layout.planes):
        ring1, crystal1, ring2, crystal2 = layout.crystals_of(3, 14, plane)
        centres = (
            crystal_centres(TINY, ring1, crystal1) + crystal_centres(TINY, ring2, crystal2)
        ) / 2
        middle = np.mean(layout.lor_end_points(3, 14, plane), axis=0)
        np.testing.assert_allclose(middle, centres.mean(axis=0), atol=1e-9)


def test_ray_in_view_0_through_the_centre_runs_along_y():
    np.testing.assert_allclose(SinogramLayout.of(TINY).rays()[0, 11], (1, 0, 0, 105))
    first, second = SinogramLayout.of(TINY).lor_end_points(0, 11, 2)
    np.testing.assert_allclose(first, (0, -105, 0), atol=1e-12)
    np.testing.assert_allclose(second, (0, 105, 0), atol=1e-12)


def test_line_of_positive_ring_difference_rises_from_its_first_point():
    layout = SinogramLayout.of(TINY)
    plane = layout.bin_of(1, 0, 3, 16)[2]
    first, second = layout.lor_end_points(0, 11, plane)
    assert second[2] - first[2] == pytest.approx(2 * 8)


def test_radial_positions_follow_the_crystals():
    s = SinogramLayout.of(TINY).rays()[0, :, 2]
    np.testing.assert_allclose(s, 105 * np.sin(np.arange(-11, 12) * np.pi / 32))


def test_arc_corrected_bins_are_equally_spaced_and_empty_outside_the_detectors():
    rays = SinogramLayout.of(TINY, radial_mm=10, radial_bins=24).rays()
    np.testing.assert_allclose(rays[0, :, 2], np.arange(-12, 12) * 10.0)
    assert rays[0, 0, 3] == 0
    assert rays[0, 20, 3] == pytest.approx(np.sqrt(105**2 - 80**2))


def test_odd_bins_lie_half_a_view_earlier_only_where_interleaved():
    angles = [
        np.arctan2(rays[5, :, 1], rays[5, :, 0])
        for rays in (
            SinogramLayout.of(TINY).rays(),
            SinogramLayout.of(TINY, interleaved=False).rays(),
            SinogramLayout.of(TINY, radial_mm=5).rays(),
        )
    ]
    view = np.pi * 5 / 16
    early = view - np.pi / 32
    np.testing.assert_allclose(angles[0][[10, 11, 12]], (early, view, early))
    np.testing.assert_allclose(angles[1], view)
    np.testing.assert_allclose(angles[2], view)


def test_angle_of_mashed_views_is_their_mean_plus_the_tilt():
    # STIR's thorax template: 512 crystals, views mashed by 4; reference/README convention 3.
    scanner = Scanner(
        name="thorax", rings=2, crystals=512, radius_mm=510, depth_mm=7, ring_spacing_mm=13.5,
        radial_bins=192, tilt_deg=3,
    )
    rays = SinogramLayout.of(scanner, view_mashing=4, interleaved=False).rays()
    assert rays.shape == (64, 192, 4)
    expected = 10 * np.pi / 64 + np.radians(3) + 1.5 * 2 * np.pi / 512
    assert np.arctan2(rays[10, 0, 1], rays[10, 0, 0]) == pytest.approx(expected)


def test_time_of_flight_widths_worked_out_by_hand():
    layout = SinogramLayout.of(TINY, tof_mashing=3)
    assert layout.tof_bin_mm == pytest.approx(3 * 100 * C_MM_PER_PS / 2)
    assert layout.tof_bin_mm == pytest.approx(44.969, abs=1e-3)
    assert layout.tof_sigma_mm == pytest.approx(300 * C_MM_PER_PS / 2 / 2.354820045)


def test_edges_of_an_odd_and_an_even_number_of_bins_lie_about_the_middle():
    width = 100 * C_MM_PER_PS / 2
    odd = SinogramLayout.of(TINY, tof_mashing=3).tof_edges_mm
    np.testing.assert_allclose(odd, np.array([-4.5, -1.5, 1.5, 4.5]) * width)
    even = SinogramLayout.of(TINY, tof_mashing=2).tof_edges_mm
    np.testing.assert_allclose(even, np.array([-4, -2, 0, 2, 4]) * width)


@pytest.mark.parametrize("tof_mashing", [2, 3])
def test_time_of_flight_bin_is_counted_from_the_other_end_where_a_pair_is_swapped(tof_mashing, rng):
    layout = SinogramLayout.of(TINY, tof_mashing=tof_mashing)
    ring1, crystal1, ring2, crystal2 = random_pairs(TINY, rng)
    view, radial, plane, swapped = layout.bin_of(ring1, crystal1, ring2, crystal2)
    inside = view >= 0
    towards_1 = rng.uniform(-60, 60, inside.sum())
    one = crystal_centres(TINY, ring1, crystal1)[inside]
    other = crystal_centres(TINY, ring2, crystal2)[inside]
    along = (one - other) / np.linalg.norm(one - other, axis=-1, keepdims=True)
    point = (one + other) / 2 + towards_1[:, None] * along

    first, second = layout.lor_end_points(view[inside], radial[inside], plane[inside])
    along = (first - second) / np.linalg.norm(first - second, axis=-1, keepdims=True)
    a = ((point - (first + second) / 2) * along).sum(axis=-1)
    true_bin = np.searchsorted(layout.tof_edges_mm, a) - 1

    counted = np.searchsorted(layout.tof_edges_mm, towards_1) - 1
    counted = np.where(swapped[inside], layout.tof_bins - 1 - counted, counted)
    np.testing.assert_array_equal(counted, true_bin)


def test_events_of_a_real_scan_fall_in_the_bins_and_lines_that_stir_gives_them(reference):
    # STIR 6.5.0, span 1; its LOR has the points in the other order, as z, y, x.
    # The file holds 1996 events.
    path = reference / "mmr_brain_0.6s" / "stir_events_first2000.txt.gz"
    with gzip.open(path, "rt") as lines:
        rows = [re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", line) for line in lines]
    rows = np.array([[float(value) for value in row[:16]] for row in rows if len(row) >= 16])
    assert len(rows) == 1996
    crystal1, ring1, crystal2, ring2 = rows[:, [0, 1, 3, 4]].astype(int).T
    end2, end1 = rows[:, 6:9][:, ::-1], rows[:, 9:12][:, ::-1]
    segment, axial, view, tangential = rows[:, 12:16].astype(int).T

    layout = SinogramLayout.of(MMR, max_ring_difference=60, order="-1,0,+1")
    first_plane = layout.first_planes()[segment + 60]
    bins = layout.bin_of(ring1, crystal1, ring2, crystal2)
    np.testing.assert_array_equal(bins[0], view)
    np.testing.assert_array_equal(bins[1], tangential + 172)
    np.testing.assert_array_equal(bins[2], first_plane + axial)
    assert layout.mask()[bins[0], bins[1], 0].all()
    first, second = layout.lor_end_points(*bins[:3])
    turned = bins[3][:, None]
    np.testing.assert_allclose(np.where(turned, second, first), end1, atol=1e-2)
    np.testing.assert_allclose(np.where(turned, first, second), end2, atol=1e-2)


ZERO = Segment(min_ring_difference=0, max_ring_difference=0, planes=5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": 15}, "takes 16 views, got 15"),
        ({"view_mashing": 0}, "view_mashing from 1 to 16"),
        ({"radial_bins": 32}, "1 to 31 radial_bins"),
        ({"radial_mm": -1}, "positive radial_mm"),
        ({"tof_bins": 3}, "tof_mashing 0 and tof_bins 1, or both positive"),
        ({"tof_mashing": 3, "tof_bins": 4}, "at most 3 tof_bins"),
        ({"scanner": MMR, "views": 252, "tof_mashing": 1}, "tof_bin_ps and timing_resolution_ps"),
        ({"segments": ()}, "at least one Segment"),
        ({"segments": (ZERO, ZERO)}, "without common ring differences, got 0"),
        (
            {"segments": (Segment(min_ring_difference=5, max_ring_difference=5, planes=1),)},
            "below the scanner's 5 rings",
        ),
        (
            {"segments": (Segment(min_ring_difference=0, max_ring_difference=0, planes=4),)},
            "fewer by an even number",
        ),
        (
            {"segments": (Segment(min_ring_difference=-1, max_ring_difference=1, planes=11),)},
            "takes 9 planes for ring differences -1 to 1",
        ),
    ],
)
def test_wrong_layout_is_refused_and_the_message_says_how(change, message):
    right = {"scanner": TINY, "views": 16, "radial_bins": 23, "segments": (ZERO,)}
    with pytest.raises(ValueError, match=message):
        SinogramLayout(**right | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"span": 2}, "odd number from 1, got 2"),
        ({"max_ring_difference": 5}, "0 to 4 .* got 5"),
        ({"order": "+1,0,-1"}, "order takes one of"),
        ({"view_mashing": 0}, "view_mashing from 1 to 16"),
        ({"tof_mashing": -1}, "or both positive"),
    ],
)
def test_layout_of_wrong_numbers_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SinogramLayout.of(TINY, **change)


def test_time_of_flight_of_a_layout_without_it_is_refused():
    with pytest.raises(ValueError, match="make it with tof_mashing"):
        SinogramLayout.of(TINY).tof_edges_mm  # noqa: B018


def test_bins_that_the_layout_does_not_have_are_refused():
    layout = SinogramLayout.of(TINY)
    with pytest.raises(IndexError, match="25 along plane and takes 0 to 24, got 25"):
        layout.lor_end_points(0, 0, 25)
    with pytest.raises(IndexError, match="16 along view and takes 0 to 15, got -1"):
        layout.crystals_of(-1, 0, 0)
