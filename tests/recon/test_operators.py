import numpy as np
import pytest

from recon import backend
from recon.operators import Diagonal, GaussianBlur
from tests.recon.cases import MACHINES, adjoint_gap, uniform


def point(shape, at):
    image = np.zeros(shape, np.float32)
    image[at] = 1
    return image


def test_transpose_of_the_transpose_is_the_operator_itself():
    blur = GaussianBlur((3, 4, 5), (1, 1, 1), 2)
    assert blur.T.T is blur


def test_transpose_swaps_shapes():
    blur = GaussianBlur((3, 4, 5), (1, 1, 1), 2)
    assert (blur.T.in_shape, blur.T.out_shape) == (blur.out_shape, blur.in_shape)


def test_composition_applies_the_right_hand_operator_first():
    # Blurring the point (0, 1, 0) then keeping x >= 1 leaves what spread; the other order nothing.
    blur = GaussianBlur((3, 3, 1), (1, 1, 1), (2, 0, 0))
    keep = Diagonal(np.array([0, 1, 1], np.float32).reshape(3, 1, 1), (3, 3, 1))
    image = point((3, 3, 1), (0, 1, 0))
    np.testing.assert_array_equal((keep @ blur)(image), keep(blur(image)))
    assert (keep @ blur)(image).sum() > 0
    assert (blur @ keep)(image).sum() == 0


def test_transpose_of_a_composition_applies_the_left_hand_operator_first():
    blur = GaussianBlur((3, 3, 1), (1, 1, 1), (2, 0, 0))
    keep = Diagonal(np.array([0, 1, 1], np.float32).reshape(3, 1, 1), (3, 3, 1))
    image = point((3, 3, 1), (0, 1, 0))
    assert (keep @ blur).T(image).sum() == 0
    assert (blur @ keep).T(image).sum() > 0


def test_diagonal_broadcasts_its_factors():
    operator = Diagonal(np.array([[2], [3]], np.float32), (2, 2))
    np.testing.assert_array_equal(operator(np.ones((2, 2), np.float32)), [[2, 2], [3, 3]])


def test_diagonal_refuses_factors_that_do_not_broadcast():
    with pytest.raises(ValueError, match=r"\(3,\).*\(2, 2\)"):
        Diagonal(np.ones(3, np.float32), (2, 2))


def test_operator_refuses_float64_and_says_how_to_convert():
    with pytest.raises(TypeError, match=r"float64.*astype\('float32'\)"):
        GaussianBlur((2, 2, 2), (1, 1, 1), 1)(np.ones((2, 2, 2)))


def test_operator_refuses_another_shape_and_names_both():
    with pytest.raises(ValueError, match=r"\(2, 2, 2\).*\(2, 2, 3\)"):
        GaussianBlur((2, 2, 2), (1, 1, 1), 1)(np.ones((2, 2, 3), np.float32))


def test_composition_refuses_operators_that_do_not_fit():
    with pytest.raises(ValueError, match="what the second returns"):
        GaussianBlur((2, 2, 2), (1, 1, 1), 1) @ GaussianBlur((2, 2, 3), (1, 1, 1), 1)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("shape", [(9, 8, 7), (1, 1, 1), (2, 3, 1), (1, 5, 40), (3, 2, 33)])
def test_blur_is_adjoint_to_its_transpose_at_the_border_too(shape, machine):
    blur = GaussianBlur(shape, (2, 3, 4), (5, 0, 11))
    assert adjoint_gap(blur, machine) <= 1e-6


@pytest.mark.parametrize("machine", MACHINES)
def test_blur_after_blur_after_factors_is_adjoint(machine):
    shape = (6, 5, 9)
    factors = Diagonal(backend.to_device(uniform((6, 5, 1), 3), machine), shape)
    one, other = GaussianBlur(shape, (1, 1, 1), 3), GaussianBlur(shape, (1, 2, 1), (1, 4, 2))
    assert adjoint_gap(one @ other @ factors, machine) <= 1e-6


def test_blurred_point_falls_to_half_at_half_the_width():
    # A width of 2 voxels: half the peak one voxel away, a sixteenth two voxels away (2^-(d^2)).
    blurred = GaussianBlur((15, 15, 15), (1, 1, 1), 2)(point((15, 15, 15), (7, 7, 7)))
    peak = blurred[7, 7, 7]
    np.testing.assert_allclose(blurred[8, 7, 7] / peak, 1 / 2, rtol=1e-6)
    np.testing.assert_allclose(blurred[7, 5, 7] / peak, 1 / 16, rtol=1e-6)
    np.testing.assert_allclose(blurred[7, 7, 8] / peak, 1 / 2, rtol=1e-6)


def test_blur_counts_its_width_in_mm():
    # 8 mm are 4 voxels of 2 mm along x and 2 of 4 mm along z.
    blurred = GaussianBlur((31, 1, 31), (2, 2, 4), 8)(point((31, 1, 31), (15, 0, 15)))
    peak = blurred[15, 0, 15]
    np.testing.assert_allclose(blurred[17, 0, 15] / peak, 1 / 2, rtol=1e-6)
    np.testing.assert_allclose(blurred[15, 0, 16] / peak, 1 / 2, rtol=1e-6)


def test_blur_keeps_the_sum_of_what_lies_inside():
    # FWHM 3 voxels is sigma 1.27: cut at 4 sigmas, 6 voxels away.
    blurred = GaussianBlur((13, 13, 13), (1, 1, 1), 3)(point((13, 13, 13), (6, 6, 6)))
    assert blurred.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)


def test_blur_loses_at_the_border_what_falls_outside():
    # From the outermost voxel of a line: the kernel's middle and one of its two halves stay.
    blur = GaussianBlur((20, 1, 1), (1, 1, 1), (3, 0, 0))
    middle = blur(point((20, 1, 1), (10, 0, 0)))[10, 0, 0]
    stays = blur(point((20, 1, 1), (0, 0, 0))).sum(dtype=np.float64)
    assert stays == pytest.approx((1 + middle) / 2, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 9, 1), (9, 1, 1), (3, 9, 1), (1, 1, 9)])
def test_blur_of_an_image_of_one_slice_or_row_spreads_along_it(shape):
    # A width of 2 voxels: half the peak one voxel away.
    axis = int(np.argmax(shape))
    middle = [n // 2 for n in shape]
    widths = [0.0, 0.0, 0.0]
    widths[axis] = 2.0
    blurred = GaussianBlur(shape, (1, 1, 1), widths)(point(shape, tuple(middle)))
    line = np.moveaxis(blurred, axis, -1)[tuple(np.delete(middle, axis))]
    np.testing.assert_allclose(line[3:6] / line[4], [1 / 2, 1, 1 / 2], rtol=1e-6)


def test_blur_of_width_0_changes_nothing():
    image = uniform((4, 5, 6))
    np.testing.assert_array_equal(GaussianBlur((4, 5, 6), (1, 1, 1), 0)(image), image)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_blur_along_one_axis_leaves_the_others_alone(axis):
    widths = [0.0, 0.0, 0.0]
    widths[axis] = 2.0
    blurred = GaussianBlur((9, 9, 9), (1, 1, 1), widths)(point((9, 9, 9), (4, 4, 4)))
    spread = np.argwhere(blurred > 0)
    assert set(spread[:, axis]) == set(range(9))
    assert np.all(np.delete(spread, axis, axis=1) == 4)


def test_blur_takes_an_image_that_is_not_contiguous():
    blur, image = GaussianBlur((4, 5, 6), (1, 1, 1), 2), uniform((6, 5, 4)).T
    assert not image.flags.c_contiguous
    np.testing.assert_array_equal(blur(image), blur(np.ascontiguousarray(image)))


def test_blur_does_not_depend_on_the_number_of_threads():
    image = uniform((17, 13, 19))
    one, two, three = (
        GaussianBlur((17, 13, 19), (2, 2, 2), 5, threads=threads)(image) for threads in (1, 2, 3)
    )
    assert one.tobytes() == two.tobytes() == three.tobytes()


@pytest.mark.parametrize("fwhm_mm", [-1, np.nan, np.inf, (1, 2, -3)])
def test_blur_refuses_a_width_that_is_not_one(fwhm_mm):
    with pytest.raises(ValueError, match="fwhm_mm takes one or three widths"):
        GaussianBlur((2, 2, 2), (1, 1, 1), fwhm_mm)
