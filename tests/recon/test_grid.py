import numpy as np
import pytest

from recon.grid import Grid

# Where voxel (1, 2, 3) of the grid below, 10 + 2, 20 + 2·3, 30 + 3·4 = (12, 26, 42) mm from the
# scanner's centre, lies in the patient: mm to the right, anterior, superior.
MARKER_IN_PATIENT = {
    "HFS": (-12, -26, -42),
    "HFP": (12, 26, -42),
    "FFS": (12, -26, 42),
    "FFP": (-12, 26, 42),
}
POSITIONS = tuple(MARKER_IN_PATIENT)


def grid(patient_position="HFS"):
    return Grid(
        shape=(4, 5, 6),
        voxel_mm=(2, 3, 4),
        origin_mm=(10, 20, 30),
        patient_position=patient_position,
    )


@pytest.mark.parametrize("position", POSITIONS)
def test_marker_lies_where_the_patient_has_it(position):
    np.testing.assert_allclose(
        grid(position).affine @ (1, 2, 3, 1), (*MARKER_IN_PATIENT[position], 1)
    )


@pytest.mark.parametrize("position", POSITIONS)
def test_scanner_axes_are_left_handed_in_every_patient_position(position):
    assert np.linalg.det(grid(position).affine) == pytest.approx(-2 * 3 * 4)


def test_scanner_centre_is_the_origin_of_the_nifti_world():
    centred = Grid.centred(shape=(3, 3, 3), voxel_mm=(2, 2, 2))
    np.testing.assert_allclose(centred.affine @ (1, 1, 1, 1), (0, 0, 0, 1))


def test_repr_is_the_constructor():
    made = Grid.centred(
        shape=np.array([4, 5, 6]),
        voxel_mm=np.array([2, 3, 4], dtype=np.float32),
        centre_mm=(0.1, 0, -7),
        patient_position="FFP",
    )
    assert eval(repr(made)) == made


def test_equal_grids_are_one_dictionary_key():
    assert {grid(): 1}[grid()] == 1


def test_centred_grid_of_even_size_has_its_centre_between_voxels():
    assert Grid.centred(shape=(4, 4, 2), voxel_mm=(2, 2, 3)).origin_mm == (-3, -3, -1.5)


def test_centred_grid_of_odd_size_has_a_voxel_at_its_centre():
    made = Grid.centred(shape=(3, 5, 1), voxel_mm=(2, 2, 3), centre_mm=(1, 2, 3))
    assert made.origin_mm == (-1, -2, 3)


def test_extent_reaches_half_a_voxel_past_the_outer_centres():
    assert grid().extent == ((9, 17), (18.5, 33.5), (28, 52))


def test_centre_is_midway_between_the_outer_voxels():
    assert grid().centre == (13, 26, 40)


def test_centres_are_the_voxels_along_an_axis():
    np.testing.assert_array_equal(grid().centres(0), (10, 12, 14, 16))


def test_the_nearest_voxel_to_a_place_is_the_last_beyond_the_end():
    assert [grid().nearest(0, mm) for mm in (-50.0, 10.9, 11.1, 14.0, 99.0)] == [0, 0, 1, 2, 3]


def test_cylinder_of_a_radius_is_about_the_axis_of_the_scanner():
    made = Grid(shape=(4, 1, 2), voxel_mm=(1, 1, 1), origin_mm=(-1, 0, 0))
    np.testing.assert_array_equal(made.cylinder(1.5)[:, 0, 0], (True, True, True, False))


def test_cylinder_without_a_radius_is_as_wide_as_the_longer_side():
    # Voxels at x = -2, …, 2 and y = -1, 0, 1: all within 2.5 of the middle.
    wide = Grid.centred(shape=(5, 3, 1), voxel_mm=(1, 1, 1))
    assert wide.cylinder().all()


def test_cylinder_in_a_square_is_the_largest_that_fits():
    inside = Grid(shape=(4, 4, 3), voxel_mm=(1, 1, 1), origin_mm=(50, 60, 0)).cylinder()
    corners = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]], bool)
    np.testing.assert_array_equal(inside, corners[:, :, None])


@pytest.mark.parametrize("position", POSITIONS)
def test_grid_of_its_own_affine_is_itself(position):
    made, order = Grid.from_affine((4, 5, 6), grid(position).affine, position)
    assert made == grid(position)
    assert order.axes == (0, 1, 2)
    assert order.flipped == (False, False, False)


# An image with indices (superior, left, posterior): 4 × 2 × 3 voxels of 5, 6, 7 mm.
PERMUTED = np.array([[0, -6.0, 0, 11], [0, 0, -7, 12], [5, 0, 0, 13], [0, 0, 0, 1]])


@pytest.mark.parametrize("position", POSITIONS)
def test_permuted_image_keeps_every_voxel_in_its_place(position):
    shape = (4, 2, 3)
    made, order = Grid.from_affine(shape, PERMUTED, position)
    index = np.stack(np.indices(shape), axis=-1).astype(float)
    world = index @ PERMUTED[:3, :3].T + PERMUTED[:3, 3]
    own = np.stack(np.indices(made.shape), axis=-1) @ made.affine[:3, :3].T + made.affine[:3, 3]
    np.testing.assert_allclose(order.to_grid(world), own)


def test_permuted_image_has_its_sides_along_the_axes_of_the_patient():
    made, order = Grid.from_affine((4, 2, 3), PERMUTED, "HFS")
    assert made.shape == (2, 3, 4)
    assert made.voxel_mm == (6, 7, 5)
    assert order.axes == (1, 2, 0)
    assert order.flipped == (False, False, True)


def test_from_grid_undoes_to_grid_with_later_axes_untouched(rng):
    _, order = Grid.from_affine((4, 2, 3), PERMUTED, "FFS")
    image = rng.random((4, 2, 3, 5))
    np.testing.assert_array_equal(order.from_grid(order.to_grid(image)), image)


def test_affine_rounded_to_float32_is_still_along_the_axes():
    turned = np.float32(PERMUTED + 1e-6)
    assert Grid.from_affine((4, 2, 3), turned)[0].shape == (2, 3, 4)


def test_rotated_image_is_refused_with_advice():
    turn = np.eye(4)
    turn[:2, :2] = [[0.99, -0.14], [0.14, 0.99]]
    with pytest.raises(ValueError, match="resample the image first"):
        Grid.from_affine((4, 4, 4), turn)


def test_affine_that_loses_an_axis_is_refused():
    with pytest.raises(ValueError, match="axes along the patient's"):
        Grid.from_affine((4, 4, 4), np.diag([1.0, 1, 0, 1]))


def test_affine_with_a_missing_number_is_refused():
    with pytest.raises(ValueError, match="finite 4 x 4 affine"):
        Grid.from_affine((4, 4, 4), np.full((4, 4), np.nan))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (4, 5)}, "three finite numbers"),
        ({"shape": (4, 5, 0)}, "three positive numbers"),
        ({"shape": (4, 5, 1.5)}, "whole numbers as shape"),
        ({"voxel_mm": (2, -3, 4)}, "positive voxel_mm"),
        ({"origin_mm": (0, np.nan, 0)}, "three finite numbers"),
        ({"patient_position": "HFDR"}, "HFS, HFP, FFS, FFP, got 'HFDR'"),
    ],
)
def test_wrong_grid_is_refused_and_the_message_says_how(change, message):
    right = {"shape": (4, 5, 6), "voxel_mm": (2, 3, 4), "origin_mm": (0, 0, 0)}
    with pytest.raises(ValueError, match=message):
        Grid(**right | change)


def test_from_affine_refuses_an_unknown_patient_position():
    with pytest.raises(ValueError, match="head or feet first"):
        Grid.from_affine((4, 4, 4), np.eye(4), "supine")
