import numpy as np
import pytest

from recon.corrections.hounsfield import BONE_LINES, WATER_SLOPE, clip_hounsfield, mu_at_511
from recon.io import FileError

# The published table's break points in HU (Carney et al. 2006).
BREAK_POINTS = {80: 50, 100: 52, 110: 43, 120: 47, 130: 37, 140: 30}


@pytest.mark.parametrize("kvp", BONE_LINES)
def test_water_is_0_096_per_cm_at_every_voltage(kvp):
    assert mu_at_511(np.float32([0]), kvp)[0] == pytest.approx(0.096, rel=1e-6)


@pytest.mark.parametrize("kvp", BONE_LINES)
def test_air_and_below_is_zero(kvp):
    assert mu_at_511(np.float32([-1000, -1024, -3024]), kvp).tolist() == [0, 0, 0]


def test_lung_is_a_mixture_of_air_and_water():
    # A quarter of water: 0.25 x 0.096.
    assert mu_at_511(np.float32([-750]), 120)[0] == pytest.approx(0.024, rel=1e-5)


@pytest.mark.parametrize(
    ("kvp", "expected"),
    [(80, 0.1354), (100, 0.1430), (110, 0.1472), (120, 0.1491), (130, 0.1526), (140, 0.1536)],
)
def test_bone_of_1000_hu_lies_on_the_line_of_its_voltage(kvp, expected):
    # By hand, 2000 a + b: at 120 kVp 0.102 + 0.0471.
    assert mu_at_511(np.float32([1000]), kvp)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kvp", BONE_LINES)
def test_the_lines_cross_at_the_published_break_point(kvp):
    slope, offset = BONE_LINES[kvp]
    crossing = offset / (WATER_SLOPE - slope) - 1000
    assert abs(crossing - BREAK_POINTS[kvp]) < 1


def test_mu_grows_with_the_ct_number(rng):
    hounsfield = np.arange(-1000, 3072, dtype=np.float32)
    assert (np.diff(mu_at_511(hounsfield, 120)) > 0).all()


def test_the_shape_is_kept_and_the_ct_left_alone():
    hounsfield = np.full((2, 3, 4), 40, np.int16)
    mu = mu_at_511(hounsfield, 100)
    assert (mu.shape, mu.dtype) == ((2, 3, 4), np.float32)
    assert (hounsfield == 40).all()


def test_a_voltage_without_a_table_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"80, 100, .* got 90; .*--kvp 80"):
        mu_at_511(np.float32([0]), 90)


def ct(*values):
    return np.float32([-1000, 0, *values])


def test_numbers_in_range_pass_without_a_word():
    array = ct(-1024, 3071)
    assert clip_hounsfield(array, "ct.nii") == []
    np.testing.assert_array_equal(array, ct(-1024, 3071))


def test_padding_and_metal_are_clipped_and_counted():
    array = ct(-3024, -2000, 30000)
    below, above = clip_hounsfield(array, "ct.nii")
    assert below.startswith("2 voxels below -1024 HU (-3024 to 30000")
    assert above.startswith("1 voxels above 3071 HU")
    assert array.tolist() == [-1000, 0, -1024, -1024, 3071]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (ct(np.nan), r"ct.nii has 1 of 3 values that are NaN"),
        (np.float32([0, 24, 1024]), "rescale intercept"),
        (np.float32([0, 0.096, 0.17]), "looks like a mu map"),
        (np.float32([-1000, -990]), "nothing in it is tissue"),
    ],
)
def test_what_is_no_ct_is_refused(array, message):
    with pytest.raises(FileError, match=message):
        clip_hounsfield(array, "ct.nii")
