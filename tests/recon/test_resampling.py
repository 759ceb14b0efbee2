import numpy as np
import pytest

from recon.grid import Grid
from recon.resampling import coverage, resample


def grid(shape, voxel_mm, **more):
    return Grid.centred(shape=shape, voxel_mm=voxel_mm, **more)


def test_the_same_grid_gives_the_same_image(rng):
    box = grid((5, 4, 3), (2, 3, 4))
    array = rng.random(box.shape).astype(np.float32)
    np.testing.assert_allclose(resample(array, box, box), array, rtol=1e-6)


def test_voxels_as_large_and_a_quarter_aside_are_interpolated():
    line = grid((4, 1, 1), (2, 2, 2))
    aside = grid((4, 1, 1), (2, 2, 2), centre_mm=(0.5, 0, 0))
    array = np.float32([0, 8, 4, 4]).reshape(4, 1, 1)
    # The last voxel sticks out by a quarter, which is empty.
    np.testing.assert_allclose(resample(array, line, aside).ravel(), [2, 7, 4, 3], atol=1e-6)


def test_smaller_voxels_are_interpolated_and_constant_at_the_ends():
    coarse, fine = grid((2, 1, 1), (4, 4, 4)), grid((8, 1, 1), (1, 4, 4))
    array = np.float32([0, 8]).reshape(2, 1, 1)
    np.testing.assert_allclose(
        resample(array, coarse, fine).ravel(), [0, 0, 1, 3, 5, 7, 8, 8], atol=1e-6
    )


def test_larger_voxels_hold_the_mean_of_what_is_in_them(rng):
    fine, coarse = grid((12, 8, 4), (1, 1, 2)), grid((1, 1, 1), (12, 8, 8))
    array = rng.random(fine.shape).astype(np.float32)
    assert resample(array, fine, coarse).item() == pytest.approx(array.mean(), rel=1e-6)


@pytest.mark.parametrize("voxel_mm", [(2.0, 2.0, 3.0), (2.3, 3.1, 3.9), (5.0, 4.0, 7.0)])
def test_the_sum_is_kept_when_voxels_grow(rng, voxel_mm):
    fine = grid((9, 10, 11), (2, 2, 3))
    onto = grid((21, 21, 21), voxel_mm)
    array = rng.random(fine.shape).astype(np.float32)
    total = array.sum(dtype=float) * np.prod(fine.voxel_mm)
    found = resample(array, fine, onto).sum(dtype=float) * np.prod(onto.voxel_mm)
    assert found == pytest.approx(total, rel=1e-5)


def test_fine_stripes_leave_no_more_than_half_a_stripe_in_coarse_voxels():
    fine, coarse = grid((300, 1, 1), (1, 1, 1)), grid((40, 1, 1), (6.9, 1, 1))
    stripes = (np.arange(300) % 2).astype(np.float32).reshape(300, 1, 1)
    assert np.abs(resample(stripes, fine, coarse) - 0.5).max() < 0.51 / 6.9


def test_a_ramp_stays_a_ramp_inside():
    fine, onto = grid((50, 1, 1), (1, 1, 1)), grid((7, 1, 1), (5.5, 1, 1))
    ramp = fine.centres(0).astype(np.float32).reshape(50, 1, 1)
    np.testing.assert_allclose(resample(ramp, fine, onto).ravel(), onto.centres(0), atol=0.03)


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP"])
def test_a_marker_keeps_its_place_in_the_patient(position):
    ct = Grid(shape=(8, 9, 10), voxel_mm=(2, 2, 2), origin_mm=(-20, 4, 6), patient_position="HFS")
    array = np.zeros(ct.shape, np.float32)
    array[5, 3, 7] = 1
    world = ct.affine @ [5, 3, 7, 1]
    pet = grid((61, 61, 61), (1, 1, 1), patient_position=position)
    index = np.unravel_index(resample(array, ct, pet).argmax(), pet.shape)
    np.testing.assert_allclose(pet.affine @ [*index, 1], world, atol=0.5)


def test_a_shift_moves_the_image_in_the_world():
    ct = grid((5, 5, 5), (2, 2, 2))
    array = np.zeros(ct.shape, np.float32)
    array[2, 2, 2] = 1  # at world (0, 0, 0)
    pet = grid((41, 41, 41), (1, 1, 1))
    index = np.unravel_index(resample(array, ct, pet, shift_mm=(7, -5, 3)).argmax(), pet.shape)
    np.testing.assert_allclose((pet.affine @ [*index, 1])[:3], (7, -5, 3), atol=1e-9)


def test_beyond_the_image_is_zero_and_its_last_face_is_sharp():
    ct, pet = grid((2, 2, 4), (10, 10, 10)), grid((1, 1, 6), (10, 10, 10))
    found = resample(np.ones(ct.shape, np.float32), ct, pet)
    np.testing.assert_allclose(found.ravel(), [0, 1, 1, 1, 1, 0], atol=1e-6)


def test_coverage_is_the_part_of_each_voxel_that_lies_inside():
    ct, pet = grid((2, 2, 3), (10, 10, 10)), grid((1, 4, 4), (10, 10, 10))
    x, y, z = coverage(ct, pet)
    assert x.tolist() == [1]
    np.testing.assert_allclose(y, [0, 1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(z, [0.5, 1, 1, 0.5], atol=1e-12)


def test_an_array_of_another_grid_is_refused():
    line = grid((4, 1, 1), (2, 2, 2))
    with pytest.raises(ValueError, match="the grid's shape"):
        resample(np.zeros((1, 1, 4), np.float32), line, line)
