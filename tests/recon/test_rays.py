"""Chords of a uniform box, worked out by hand, through the sinogram projector."""

import numpy as np
import pytest

from recon import Grid, Scanner, Segment, SinogramLayout
from recon.projectors import SinogramProjector
from tests.recon.cases import TINY

# Bins 5 mm apart, from -50 mm to 50 mm; views 0, 4 and 8 of 16 run along y, at 45 degrees, along x.
LAYOUT = SinogramLayout.of(TINY, radial_bins=21, radial_mm=5.0)
S_MM = LAYOUT.rays()[0, :, 2]
ALONG_Y, DIAGONAL, ALONG_X = 0, 4, 8
MIDDLE = 2  # the direct plane at z = 0

# 60 mm x 60 mm x 160 mm: longer than the scanner, so that no ray leaves through an end.
BOX = Grid.centred(shape=(10, 10, 40), voxel_mm=(6, 6, 4))


@pytest.fixture(scope="module")
def chords():
    return SinogramProjector(LAYOUT, BOX)(np.ones(BOX.shape, np.float32))


@pytest.mark.parametrize("view", [ALONG_X, ALONG_Y])
def test_ray_along_an_axis_of_a_uniform_box_returns_its_side(chords, view):
    inside = np.abs(S_MM) < 27  # between the outer voxel centres
    np.testing.assert_allclose(chords[view, inside, MIDDLE], 60, rtol=1e-6)


@pytest.mark.parametrize("view", [ALONG_X, ALONG_Y])
def test_ray_along_the_face_of_a_box_returns_half_its_side(chords, view):
    np.testing.assert_allclose(chords[view, np.abs(S_MM) == 30, MIDDLE], 30, rtol=1e-5)


@pytest.mark.parametrize("view", [ALONG_X, ALONG_Y])
def test_ray_beside_a_box_returns_0(chords, view):
    assert not chords[view, np.abs(S_MM) > 33].any()


def test_ray_at_45_degrees_returns_twice_its_distance_from_the_corner(chords):
    # Interpolation at 45 degrees is exact for square voxels: the chord is 2 (30 sqrt 2 - |s|).
    expected = np.maximum(2 * (30 * np.sqrt(2) - np.abs(S_MM)), 0)
    np.testing.assert_allclose(chords[DIAGONAL, :, MIDDLE], expected, atol=1e-4)


def test_ray_through_a_corner_alone_returns_0():
    corner = 30 * np.sqrt(2)
    layout = LAYOUT.with_(radial_bins=3, radial_mm=corner)
    chord = SinogramProjector(layout, BOX)(np.ones(BOX.shape, np.float32))[DIAGONAL, :, MIDDLE]
    np.testing.assert_allclose(chord, [0, 2 * corner, 0], atol=1e-4)


def test_ray_through_the_middle_returns_the_side_over_the_cosine(chords):
    # It enters and leaves through opposite faces.
    cos, sin, _, _ = LAYOUT.rays()[:, 10].T
    expected = 60 / np.maximum(np.abs(cos), np.abs(sin))
    np.testing.assert_allclose(chords[:, 10, MIDDLE], expected, rtol=1e-5)


@pytest.mark.parametrize("segment", range(9))
def test_oblique_ray_is_longer_by_the_slope_between_its_rings(chords, segment):
    # |ring difference| rings of 8 mm over the line's 2 A; segments 0, -1, +1, ... -4, +4.
    difference = (segment + 1) // 2
    first = LAYOUT.first_planes()[segment]
    half = LAYOUT.rays()[ALONG_X, :, 3]
    inside = np.abs(S_MM) < 27
    expected = 60 * np.sqrt(1 + (8 * difference / (2 * half[inside])) ** 2)
    for plane in range(first, first + LAYOUT.segments[segment].planes):
        np.testing.assert_allclose(chords[ALONG_X, inside, plane], expected, rtol=1e-5)


def test_ray_of_a_scanner_inside_the_image_counts_between_its_detectors():
    # 26 voxel centres, at 4, 12, ... 100 mm either side, lie within the radius of 105 mm.
    grid = Grid.centred(shape=(38, 38, 5), voxel_mm=(8, 8, 8))
    layout = LAYOUT.with_(segments=LAYOUT.segments[:1])
    chord = SinogramProjector(layout, grid)(np.ones(grid.shape, np.float32))
    np.testing.assert_allclose(chord[[ALONG_X, ALONG_Y], 10, MIDDLE], 26 * 8, rtol=1e-6)


def test_ray_along_the_edge_of_the_detectors_returns_0():
    layout = LAYOUT.with_(radial_bins=3, radial_mm=105.0)
    grid = Grid.centred(shape=(40, 40, 5), voxel_mm=(8, 8, 8))
    chord = SinogramProjector(layout, grid)(np.ones(grid.shape, np.float32))
    assert not chord[:, [0, 2]].any()
    assert np.isfinite(chord).all()


def test_image_smaller_than_the_scanner_is_seen_only_by_rays_that_meet_it():
    # One voxel of 6 mm off centre: at 45 degrees its chord is 6 sqrt 2 - 2 |s - its place|.
    grid = Grid.centred(shape=(1, 1, 1), voxel_mm=(6, 6, 8), centre_mm=(12, -7, 0))
    chord = SinogramProjector(LAYOUT, grid)(np.ones((1, 1, 1), np.float32))
    place = (12 - 7) / np.sqrt(2)  # x cos + y sin
    expected = np.maximum(6 * np.sqrt(2) - 2 * np.abs(S_MM - place), 0)
    np.testing.assert_allclose(chord[DIAGONAL, :, MIDDLE], expected, atol=1e-5)


def steep_layout(difference):
    """Four views of the total-body scanner, one steep segment."""
    segment = Segment(
        min_ring_difference=difference, max_ring_difference=difference, planes=672 - abs(difference)
    )
    layout = SinogramLayout.of(
        Scanner.preset("total body"),
        radial_bins=9,
        radial_mm=25.0,
        view_mashing=105,
        max_ring_difference=0,
    )
    return layout.with_(segments=(segment,))


def analytic_box_chords(layout, half_mm):
    """Length of every line inside the box |x|, |y|, |z| <= half_mm, by clipping: float64."""
    bins = np.ix_(*map(range, layout.shape))
    first, second = layout.lor_end_points(*bins)
    direction = second - first
    with np.errstate(divide="ignore", invalid="ignore"):
        cuts = np.stack([(-half_mm - first) / direction, (half_mm - first) / direction])
    parallel = np.abs(direction) < 1e-9
    inside = np.abs(first) <= half_mm
    near = np.where(parallel, np.where(inside, -np.inf, np.inf), cuts.min(axis=0)).max(axis=-1)
    far = np.where(parallel, np.where(inside, np.inf, -np.inf), cuts.max(axis=0)).min(axis=-1)
    return np.maximum(far - near, 0) * np.linalg.norm(direction, axis=-1)


@pytest.mark.parametrize("difference", [150, -400, 650])
def test_steep_rays_of_a_total_body_scanner_return_the_chords_of_a_box(difference):
    # 650 rings of 2.887 mm over 800 mm: a step of 6 mm advances 14 mm, 10 voxels, along z.
    layout = steep_layout(difference)
    grid = Grid.centred(shape=(40, 40, 260), voxel_mm=(6, 6, 1.4435))
    half = np.array(grid.extent)[:, 1]
    ours = SinogramProjector(layout, grid)(np.ones(grid.shape, np.float32))
    expected = analytic_box_chords(layout, half)
    assert expected.max() > 200
    assert np.sqrt(np.mean((ours - expected) ** 2)) <= 0.003 * expected.max()
    # Where a line enters the box and where it leaves is known to a part of a step.
    cos, sin, _, reach = np.moveaxis(layout.rays(), -1, 0)
    step = 6 / np.maximum(np.abs(cos), np.abs(sin)) * np.hypot(1, 2.887 * difference / (2 * reach))
    assert np.all(np.abs(ours - expected) <= step[..., None] / 2)


@pytest.mark.parametrize("difference", [150, -400, 650])
def test_steep_rays_skip_no_slice(difference):
    # One bright slice, wide enough for every ray: each crosses it over height / sin(slope). Parts
    # of a step advance by half a slice to one, which sample a slice's tent to an eighth.
    layout = steep_layout(difference)
    grid = Grid.centred(shape=(40, 40, 41), voxel_mm=(6, 6, 1.4435))
    image = np.zeros(grid.shape, np.float32)
    image[..., 20] = 1
    middle = slice(layout.planes // 2 - 5, layout.planes // 2 + 6)
    ours = SinogramProjector(layout, grid)(image)[..., middle]
    tangent = 2.887 * abs(difference) / (2 * layout.rays()[..., 3:])
    expected = np.broadcast_to(1.4435 * np.sqrt(1 + 1 / tangent**2), ours.shape)
    np.testing.assert_allclose(ours, expected, rtol=0.126)
    assert ours.mean() == pytest.approx(expected.mean(), rel=0.02)
