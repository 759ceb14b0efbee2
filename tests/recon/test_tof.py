from dataclasses import replace
from math import erf, sqrt

import numpy as np
import pytest

from recon import Grid, SinogramLayout, backend
from recon.projectors import SinogramProjector
from tests.recon.cases import GRIDS, LAYOUTS, MACHINES, TINY, on_cpu, uniform
from tests.recon.reference_joseph import ray_integrals, tof_share

# 21 bins of 100 ps, 15.0 mm each, reach 157 mm either side; 300 ps are a sigma of 19.1 mm.
SCANNER = replace(TINY, tof_bins=21)
BINS_21 = SinogramLayout.of(SCANNER, tof_mashing=1)
BINS_10 = SinogramLayout.of(SCANNER, tof_mashing=2)
BINS_7 = SinogramLayout.of(SCANNER, tof_mashing=3)
SIGMA_MM = 300 * 0.299792458 / 2 / (2 * sqrt(2 * np.log(2)))
CUT = erf(3 / sqrt(2))  # of the Gaussian within 3 sigmas

MIDDLE_PLANE, MIDDLE_BIN = 2, 11


def at(x, y, z=0.0):
    """A Grid of one voxel, 2 mm wide and 8 mm high, centred at (x, y, z)."""
    return Grid.centred(shape=(1, 1, 1), voxel_mm=(2, 2, 8), centre_mm=(x, y, z))


def shares(layout, along_mm, **options):
    """How the bins share a point `along_mm` from the middle of the ray down the y axis."""
    grid, one = at(0, -along_mm), np.ones((1, 1, 1), np.float32)
    timed = SinogramProjector(layout, grid, **options)(one)[0, MIDDLE_BIN, :, MIDDLE_PLANE]
    whole = SinogramProjector(layout.without_tof(), grid)(one)[0, MIDDLE_BIN, MIDDLE_PLANE]
    assert whole == pytest.approx(2, rel=1e-6)
    return timed / whole


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("layout", [BINS_21, BINS_10, BINS_7], ids=["21", "10", "7"])
@pytest.mark.parametrize(
    "grid", ["half the ring spacing", "no fraction of the ring spacing", "many thin slices"]
)
def test_bins_sum_to_the_projection_without_timing_inside_their_range(layout, grid, machine):
    # The image reaches 77 mm and the cut Gaussian 57 mm further: within 150 mm.
    grid = GRIDS[grid]
    image = backend.to_device(uniform(grid.shape), machine)
    whole = on_cpu(SinogramProjector(layout.without_tof(), grid)(image))
    timed = on_cpu(SinogramProjector(layout, grid)(image)).sum(axis=2, dtype=np.float64)
    np.testing.assert_allclose(timed, whole, atol=1e-5 * whole.max())


def test_the_same_value_in_all_bins_is_back_projected_as_without_timing():
    grid = GRIDS["half the ring spacing"]
    sinogram = uniform(BINS_7.without_tof().shape)
    timed = np.repeat(sinogram[:, :, None], BINS_7.tof_bins, axis=2)
    expected = SinogramProjector(BINS_7.without_tof(), grid).T(sinogram)
    ours = SinogramProjector(BINS_7, grid).T(timed)
    np.testing.assert_allclose(ours, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("layout", ["odd number of TOF bins", "even number of TOF bins"])
@pytest.mark.parametrize("grid", ["half the ring spacing", "a third of the ring spacing"])
@pytest.mark.parametrize("sigmas", [3.0, 1.5])
def test_timed_integrals_agree_with_a_float64_walk_to_1e_5_of_the_maximum(
    layout, grid, sigmas, machine
):
    layout, grid = LAYOUTS[layout], GRIDS[grid]
    image = uniform(grid.shape)
    operator = SinogramProjector(layout, grid, tof_sigmas=sigmas)
    ours = on_cpu(operator(backend.to_device(image, machine)))
    for view, radial in [(0, 11), (2, 5), (4, 11), (7, 14), (8, 8), (13, 17)]:
        expected = ray_integrals(image, layout, grid, view, radial, sigmas)
        assert np.abs(ours[view, radial] - expected).max() <= 1e-5 * ours.max()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("view", range(16))
def test_a_point_50_mm_towards_the_first_point_is_timed_into_the_third_bin_past_the_middle(
    view, machine
):
    # 50 mm / 14.99 mm = 3.3; the line is X = a sin(phi), Y = -a cos(phi) with a = +50 mm.
    cos, sin, _, _ = BINS_21.rays()[view, MIDDLE_BIN]
    one = backend.to_device(np.ones((1, 1, 1), np.float32), machine)
    sinogram = on_cpu(SinogramProjector(BINS_21, at(50 * sin, -50 * cos))(one))
    assert sinogram[view, MIDDLE_BIN, :, MIDDLE_PLANE].argmax() == 10 + 3


def test_the_first_point_of_a_line_lies_where_time_of_flight_is_positive():
    first, second = BINS_21.lor_end_points(3, 15, MIDDLE_PLANE)
    place = first + (second - first) * 0.25  # a quarter of the way: towards the first point
    sinogram = SinogramProjector(BINS_21, at(*place))(np.ones((1, 1, 1), np.float32))
    along = np.linalg.norm(second - first) / 4
    assert sinogram[3, 15, :, MIDDLE_PLANE].argmax() == 10 + round(along / BINS_21.tof_bin_mm)


def test_the_middle_bin_holds_the_middle_of_the_gaussian():
    # Odd number of bins: the middle one reaches from -7.5 mm to 7.5 mm.
    half = 100 * 0.299792458 / 4
    expected = erf(half / (SIGMA_MM * sqrt(2))) / CUT
    assert shares(BINS_21, 0.0)[10] == pytest.approx(expected, abs=1e-6)


def test_two_middle_bins_share_a_point_between_them():
    # Even number of bins: each of the two middle ones reaches 30 mm from the middle.
    width = 200 * 0.299792458 / 2
    expected = erf(width / (SIGMA_MM * sqrt(2))) / CUT / 2
    np.testing.assert_allclose(shares(BINS_10, 0.0)[4:6], expected, atol=1e-6)


@pytest.mark.parametrize(
    "sigmas_inside, kept",
    [
        (3.0, 1.0),
        (1.0, 0.5 + erf(1 / sqrt(2)) / (2 * CUT)),
        (0.0, 0.5),
        (-1.0, 0.5 - erf(1 / sqrt(2)) / (2 * CUT)),
        (-3.0, 0.0),
    ],
)
def test_counts_timed_past_the_last_bin_are_lost(sigmas_inside, kept):
    # 7 bins of 44.97 mm end at 157.4 mm: a point there keeps half of its counts.
    end = 7 * 300 * 0.299792458 / 4
    layout = BINS_7.with_(scanner=replace(SCANNER, radius_mm=300.0))
    along = end - sigmas_inside * SIGMA_MM
    assert shares(layout, along).sum() == pytest.approx(kept, abs=2e-6)
    assert shares(layout, -along).sum() == pytest.approx(kept, abs=2e-6)


def test_the_gaussian_ends_where_it_is_cut():
    # One sigma either side of the middle, 19.1 mm, reaches bins -1, 0 and 1 of 15 mm.
    reached = np.flatnonzero(shares(BINS_21, 0.0, tof_sigmas=1.0))
    np.testing.assert_array_equal(reached, [9, 10, 11])


def test_an_oblique_line_is_timed_by_its_length_in_space():
    # Ring difference 4: 60 mm across the axis are 60 sqrt(1 + (32/210)^2) = 60.69 mm along it.
    grid = Grid.centred(shape=(1, 1, 20), voxel_mm=(2, 2, 4), centre_mm=(0, -60, 0))
    plane = BINS_21.planes - 1
    timed = SinogramProjector(BINS_21, grid)(np.ones((1, 1, 20), np.float32))
    timed = timed[0, MIDDLE_BIN, :, plane]
    along = 60 * sqrt(1 + (32 / 210) ** 2)
    expected = [tof_share(BINS_21, k, along) for k in range(21)]
    np.testing.assert_allclose(timed / timed.sum(), expected, atol=2e-6)
    wrong = [tof_share(BINS_21, k, 60) for k in range(21)]
    assert np.abs(np.subtract(wrong, expected)).max() > 1e-3


@pytest.mark.parametrize("sigmas", [0, -1, 6, float("nan")])
def test_projector_refuses_a_cut_off_it_has_no_formula_for(sigmas):
    with pytest.raises(ValueError, match="tof_sigmas takes a number above 0 and up to"):
        SinogramProjector(BINS_21, at(0, 0), tof_sigmas=sigmas)


def test_a_projection_of_an_image_without_negative_values_has_none():
    grid = Grid.centred(shape=(40, 40, 9), voxel_mm=(4, 4, 4))
    image = np.zeros(grid.shape, np.float32)
    image[5, 7], image[30, 22] = 1, 100
    assert SinogramProjector(BINS_21, grid)(image).min() == 0
