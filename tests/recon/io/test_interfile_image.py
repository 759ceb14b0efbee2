import numpy as np
import pytest

from recon.grid import Grid
from recon.io import FileError
from recon.io.interfile_image import read_grid, read_image, write_image


def counting(dtype="<f4"):
    return np.arange(24).astype(dtype)


def test_x_is_fastest_on_disk(image_header):
    array, grid, _ = read_image(image_header(data=counting().tobytes()))
    assert array.shape == grid.shape == (4, 3, 2)
    assert array.flags.c_contiguous and array.dtype == np.float32
    assert array[3, 1, 1] == 1 * 12 + 1 * 4 + 3


def test_without_offsets_x_and_y_start_at_minus_half_and_z_is_centred(image_header):
    # x from -4//2 * 2 mm, y from -(3//2) * 3 mm; two planes of 5 mm lie at -2.5 and 2.5 mm.
    grid, _ = read_grid(image_header())
    assert grid.origin_mm == (-4.0, -3.0, -2.5)


def test_the_offset_in_x_is_the_first_voxel_and_in_z_the_middle(image_header):
    offsets = {f"first pixel offset (mm) [{i}]": str(10 * i) for i in (1, 2, 3)}
    grid, _ = read_grid(image_header(offsets))
    assert grid.origin_mm == (10.0, 20.0, 27.5)


@pytest.mark.parametrize(
    ("orientation", "rotation", "position"),
    [
        ("head_in", "supine", "HFS"),
        ("head_in", "prone", "HFP"),
        ("Feet_In", "supine", "FFS"),
        ("feet_in", "PRONE", "FFP"),
    ],
)
def test_the_patients_position_is_read(image_header, orientation, rotation, position):
    keys = {"patient orientation": orientation, "patient rotation": rotation}
    assert read_grid(image_header(keys))[0].patient_position == position


def test_a_position_that_is_not_given_is_head_first_supine_and_said(image_header):
    grid, info = read_grid(image_header())
    assert grid.patient_position == "HFS"
    assert "patient's position" in info["notes"][0]


def test_big_endian_integers_after_an_offset_are_scaled(image_header):
    keys = {
        "number format": "signed integer",
        "number of bytes per pixel": "2",
        "imagedata byte order": "BIGENDIAN",
        "data offset in bytes[1]": "6",
        "image scaling factor[1]": "0.25",
    }
    data = bytes(6) + (counting(">i2") - 20).tobytes()
    assert read_image(image_header(keys, data))[0][3, 1, 1] == (19 - 20) / 4


def test_every_plane_may_have_its_own_scale(image_header):
    keys = {"image scaling factor[1]": "{ 2, 3 }"}
    array, _, _ = read_image(image_header(keys, counting().tobytes()))
    assert (array[1, 0, 0], array[1, 0, 1]) == (2.0, 39.0)


def test_quantification_units_scale_where_no_factor_does(image_header):
    keys = {"quantification units": "2"}
    assert read_image(image_header(keys, counting().tobytes()))[0][3, 1, 1] == 38


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP"])
def test_an_image_off_centre_comes_back_bit_for_bit(tmp_path, rng, position):
    grid = Grid(
        shape=(5, 4, 7),
        voxel_mm=(2.08626, 3.3, 2.03125),
        origin_mm=(-17.25, 3.0625, 40.5),
        patient_position=position,
    )
    array = rng.standard_normal(grid.shape, dtype=np.float32)
    write_image(tmp_path / "image.hv", array, grid, {"unit": "Bq/mL", "duration_s": 60.0})
    back, back_grid, info = read_image(tmp_path / "image.hv")
    assert back_grid == grid
    assert back.tobytes() == array.tobytes()
    assert (info["unit"], info["duration_s"]) == ("Bq/mL", 60.0)
    assert info["notes"] == info["unknown_keys"] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrix size [3]": None}, r"lacks the key `matrix size \[3\]`"),
        ({"scaling factor (mm/pixel) [2]": "-3"}, "Grid takes positive voxel_mm"),
        ({"matrix axis label [1]": "z"}, r"line 9: `matrix axis label \[1\]` takes `x`"),
        ({"number of dimensions": "4"}, "`number of dimensions` takes `3`, got `4`"),
        ({"PET data type": "Emission"}, "is a sinogram, where an image was expected"),
        ({"image scaling factor[1]": "{1,2,3}"}, r"one number, or 2 \(one for each plane\)"),
        ({"first pixel ofset (mm) [1]": "3"}, "unknown key `first pixel ofset"),
    ],
)
def test_what_cannot_be_used_is_named(image_header, changes, message):
    with pytest.raises(FileError, match=message):
        read_image(image_header(changes, counting().tobytes()))


def test_an_array_of_another_shape_is_not_written(tmp_path):
    grid = Grid.centred(shape=(2, 2, 2), voxel_mm=(1, 1, 1))
    with pytest.raises(ValueError, match=r"the grid's shape \(2, 2, 2\), got \(2, 2, 3\)"):
        write_image(tmp_path / "image.hv", np.zeros((2, 2, 3)), grid)
