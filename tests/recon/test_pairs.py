import numpy as np
import pytest

from recon import Scanner, Segment, SinogramLayout

TINY = Scanner.preset("tiny")
MMR = Scanner.preset("mMR")
SPAN_11 = SinogramLayout.of(MMR, span=11, max_ring_difference=60)


def all_pairs(scanner):
    """ring1, crystal1, ring2, crystal2 of every unordered pair of different detectors."""
    detectors = scanner.rings * scanner.crystals
    first, second = np.triu_indices(detectors, k=1)
    return (
        *np.divmod(first, scanner.crystals),
        *np.divmod(second, scanner.crystals),
    )


def random_pairs(scanner, rng, number=20000):
    return tuple(
        rng.integers(0, size, number)
        for size in (scanner.rings, scanner.crystals, scanner.rings, scanner.crystals)
    )


@pytest.mark.parametrize("span", [1, 3])
@pytest.mark.parametrize("view_mashing", [1, 3])
def test_every_pair_of_the_tiny_scanner_is_among_the_pairs_of_its_bin(span, view_mashing):
    layout = SinogramLayout.of(TINY, span=span, radial_bins=31, view_mashing=view_mashing)
    ring1, crystal1, ring2, crystal2 = all_pairs(TINY)
    view, radial, plane, swapped = layout.bin_of(ring1, crystal1, ring2, crystal2)
    # All but a crystal with itself, which lies along the axis.
    np.testing.assert_array_equal(view >= 0, crystal1 != crystal2)
    pair = np.stack([ring1, crystal1, ring2, crystal2])
    pair = np.where(swapped, pair[[2, 3, 0, 1]], pair)
    expected = {}
    for index, detectors in zip(zip(view, radial, plane, strict=True), pair.T, strict=True):
        if index[0] >= 0:
            expected.setdefault(index, set()).add(tuple(detectors))
    for index in np.ndindex(layout.shape):
        pairs = np.stack(layout.crystals_of(*index), axis=1)
        assert set(map(tuple, pairs.tolist())) == expected[index]
        assert len(pairs) == len(expected[index])


@pytest.mark.parametrize("layout", [SinogramLayout.of(MMR, max_ring_difference=60), SPAN_11])
def test_pairs_of_the_mmr_are_among_the_pairs_of_their_bin(layout, rng):
    pair = random_pairs(MMR, rng)
    view, radial, plane, swapped = layout.bin_of(*pair)
    inside = np.flatnonzero(view >= 0)
    assert inside.size > 10000
    for i in inside[:500]:
        ring1, crystal1, ring2, crystal2 = (int(detector[i]) for detector in pair)
        ordered = (ring1, crystal1, ring2, crystal2)
        if swapped[i]:
            ordered = (ring2, crystal2, ring1, crystal1)
        pairs = np.stack(layout.crystals_of(view[i], radial[i], plane[i]), axis=1)
        assert ordered in set(map(tuple, pairs.tolist()))


@pytest.mark.parametrize("layout", [SPAN_11, SinogramLayout.of(TINY, view_mashing=5)])
def test_swapping_a_pair_keeps_its_bin_and_turns_swapped(layout, rng):
    ring1, crystal1, ring2, crystal2 = random_pairs(layout.scanner, rng)
    one = layout.bin_of(ring1, crystal1, ring2, crystal2)
    other = layout.bin_of(ring2, crystal2, ring1, crystal1)
    np.testing.assert_array_equal(one[:3], other[:3])
    different = crystal1 != crystal2
    np.testing.assert_array_equal(one[3][different], ~other[3][different])


def test_pair_beyond_the_ring_differences_or_bins_is_outside():
    layout = SinogramLayout.of(TINY, max_ring_difference=2, radial_bins=3)
    view, radial, plane, _ = layout.bin_of([0, 0, 0], [0, 0, 3], [3, 2, 0], [16, 16, 16])
    np.testing.assert_array_equal(view >= 0, (False, True, False))
    np.testing.assert_array_equal(radial >= 0, (False, True, False))
    np.testing.assert_array_equal(plane >= 0, (False, True, False))


def test_views_that_mashing_does_not_divide_leave_a_smaller_last_bin():
    layout = SinogramLayout.of(Scanner.preset("Vision"), max_ring_difference=0, view_mashing=8)
    assert layout.views == 50
    assert len(layout.crystals_of(48, 260, 0)[0]) == 8
    assert len(layout.crystals_of(49, 260, 0)[0]) == 7
    cos, sin = layout.rays()[49, 260, :2]
    # Views 392 to 398 of 399: the middle one.
    assert np.arctan2(sin, cos) == pytest.approx(np.pi * 395 / 399)


def test_fewer_planes_than_a_segment_has_are_the_middle_ones():
    segment = Segment(min_ring_difference=-1, max_ring_difference=1, planes=5)
    layout = SinogramLayout(scanner=TINY, views=16, radial_bins=23, segments=(segment,))
    # ring1 + ring2 from 2 to 6 of 0 to 8.
    ring1, _, ring2, _ = layout.crystals_of(0, 11, 0)
    np.testing.assert_array_equal(ring1 + ring2, 2)
    assert layout.bin_of(0, 0, 0, 16)[2] == -1
    assert layout.bin_of(1, 0, 1, 16)[2] == 0


@pytest.mark.parametrize(("span", "view_mashing"), [(1, 1), (3, 1), (3, 5)])
def test_multiplicities_add_up_to_the_number_of_pairs(span, view_mashing):
    layout = SinogramLayout.of(TINY, span=span, radial_bins=31, view_mashing=view_mashing)
    _, crystal1, _, crystal2 = all_pairs(TINY)
    assert layout.multiplicity().shape == (layout.views, 1, layout.planes)
    assert layout.multiplicity().sum() * 31 == (crystal1 != crystal2).sum()


def test_multiplicity_of_mmr_span_11_alternates_between_5_and_6_in_the_middle():
    # Ring differences -5 to 5: 5 even and 6 odd ones; at the first plane only 0.
    np.testing.assert_array_equal(
        SPAN_11.multiplicity()[0, 0, [0, 1, 2, 62, 63]], (1, 2, 3, 5, 6)
    )


def test_mmr_mask_is_false_exactly_where_a_crystal_is_divisible_by_9(rng):
    layout = SinogramLayout.of(MMR, max_ring_difference=60)
    assert layout.mask().shape == (252, 344, 1)
    _, crystal1, _, crystal2 = pair = random_pairs(MMR, rng)
    view, radial, _, _ = layout.bin_of(*pair)
    inside = view >= 0
    gap = (crystal1 % 9 == 0) | (crystal2 % 9 == 0)
    np.testing.assert_array_equal(layout.mask()[view, radial, 0][inside], ~gap[inside])


def test_share_of_mmr_bins_with_detectors_is_near_that_of_pairs_of_real_crystals():
    assert SPAN_11.mask().mean() == pytest.approx((8 / 9) ** 2, abs=1e-3)


def test_bin_of_mashed_views_is_masked_only_where_all_its_pairs_are():
    mashed = SinogramLayout.of(MMR, max_ring_difference=0, view_mashing=2)
    single = SinogramLayout.of(MMR, max_ring_difference=0).mask()
    np.testing.assert_array_equal(mashed.mask(), single[0::2] | single[1::2])


def test_virtual_ring_masks_the_planes_that_need_it():
    scanner = Scanner(
        name="gap", rings=3, crystals=12, radius_mm=100, depth_mm=0, ring_spacing_mm=4,
        radial_bins=9, block_crystals=(1, 2), virtual_rings=(1,),
    )
    mask = SinogramLayout.of(scanner, max_ring_difference=1).mask()
    # Rings 0 and 2 are real: only their direct planes stay.
    np.testing.assert_array_equal(mask[0, 0], (True, False, True, False, False, False, False))
    # Span 3, five planes: ring1 + ring2 = 2 still has the pairs (0, 2) and (2, 0).
    segment = Segment(min_ring_difference=-2, max_ring_difference=2, planes=5)
    layout = SinogramLayout(scanner=scanner, views=6, radial_bins=9, segments=(segment,))
    np.testing.assert_array_equal(layout.mask()[0, 0], (True, False, True, False, True))
    np.testing.assert_array_equal(layout.pair_counts()[1][0, 0], (1, 0, 2, 0, 1))


def test_arc_corrected_bins_have_no_mask():
    assert SinogramLayout.of(MMR, max_ring_difference=0, radial_mm=2.0863).mask().all()


def test_crystals_of_arc_corrected_bins_are_refused():
    layout = SinogramLayout.of(TINY, radial_mm=5)
    with pytest.raises(ValueError, match="before arc correction"):
        layout.bin_of(0, 0, 0, 16)
    with pytest.raises(ValueError, match="before arc correction"):
        layout.crystals_of(0, 0, 0)


def test_detectors_that_the_scanner_does_not_have_are_refused():
    layout = SinogramLayout.of(TINY)
    with pytest.raises(ValueError, match="crystals from 0 to 31, got 0 to 32"):
        layout.bin_of(0, [0, 32], 0, 16)
    with pytest.raises(ValueError, match="rings from 0 to 4, got -1"):
        layout.bin_of(-1, 0, 0, 16)
    with pytest.raises(TypeError, match="integer rings"):
        layout.bin_of(0.5, 0, 0, 16)
