import numpy as np
import pytest

from recon.io import FileError, read_layout, read_sinogram
from recon.scanner import Scanner

# 8 views x 5 radial bins x (2 + 3 + 2) planes of the header in conftest.
COUNT = 8 * 5 * 7


def counting(dtype="<f4", count=COUNT):
    return np.arange(count).astype(dtype)


# By hand: on disk the second segment starts after 2 planes x 8 views x 5 bins = 80 numbers.


def test_planes_within_views_are_read_as_stir_stores_them(sinogram_header):
    array, layout, _ = read_sinogram(sinogram_header(data=counting().tobytes()))
    assert array.shape == layout.shape == (8, 5, 7)
    # View 6, plane 1 of segment 1 (plane 2 + 1), bin 4: 80 + (6 * 3 + 1) * 5 + 4.
    assert array[6, 4, 3] == 80 + 95 + 4
    assert array[0, 0, 5] == 80 + 8 * 3 * 5  # the first of segment 2


def test_views_within_planes_are_read_as_stir_stores_them(sinogram_header):
    path = sinogram_header(
        {
            "matrix axis label [3]": "axial coordinate",
            "matrix axis label [2]": "view",
            "matrix size [3]": "{2,3,2}",
            "matrix size [2]": "8",
        },
        counting().tobytes(),
    )
    array, layout, _ = read_sinogram(path)
    assert array.shape == layout.shape == (8, 5, 7)
    # Plane 1 of segment 1, view 6, bin 4: 80 + (1 * 8 + 6) * 5 + 4.
    assert array[6, 4, 3] == 80 + 70 + 4
    raw = counting()[:80].reshape(2, 8, 5)
    np.testing.assert_array_equal(array[:, :, :2], raw.transpose(1, 2, 0))


def test_segments_keep_the_order_of_the_file(sinogram_header):
    path = sinogram_header(
        {
            "matrix size [2]": "{3,2,2}",
            "minimum ring difference per segment": "{0,-1,1}",
            "maximum ring difference per segment": "{0,-1,1}",
        },
        counting().tobytes(),
    )
    array, layout, _ = read_sinogram(path)
    assert [s.min_ring_difference for s in layout.segments] == [0, -1, 1]
    np.testing.assert_array_equal(array[:, :, :3], counting()[:120].reshape(8, 3, 5).swapaxes(1, 2))


@pytest.mark.parametrize(
    ("number_format", "dtype"),
    [
        ("signed integer", "i1"),
        ("unsigned integer", "u1"),
        ("signed integer", "i2"),
        ("unsigned integer", "u2"),
        ("signed integer", "i4"),
        ("unsigned integer", "u4"),
        ("float", "f4"),
        ("float", "f8"),
    ],
)
@pytest.mark.parametrize("order", ["LITTLEENDIAN", "BIGENDIAN"])
def test_numbers_of_every_format_and_byte_order_are_read(
    sinogram_header, number_format, dtype, order
):
    stored = (counting("i8") % 120).astype((">" if order == "BIGENDIAN" else "<") + dtype)
    changes = {
        "number format": number_format,
        "number of bytes per pixel": dtype[1],
        "imagedata byte order": order,
    }
    array, _, _ = read_sinogram(sinogram_header(changes, stored.tobytes()))
    assert array.dtype == np.float32
    assert array[6, 4, 3] == 179 % 120


def test_a_byte_order_that_is_not_given_is_interfiles_big_endian_and_said(sinogram_header):
    path = sinogram_header({"imagedata byte order": None}, counting(">f4").tobytes())
    array, _, info = read_sinogram(path)
    assert array[6, 4, 3] == 179
    assert any("big-endian" in note for note in info["notes"])


def test_numbers_start_at_the_offset(sinogram_header):
    path = sinogram_header({"data offset in bytes[1]": "12"}, bytes(12) + counting().tobytes())
    assert read_sinogram(path)[0][6, 4, 3] == 179


def test_numbers_are_multiplied_by_the_scaling_factor(sinogram_header):
    path = sinogram_header({"image scaling factor[1]": "0.5"}, counting().tobytes())
    assert read_sinogram(path)[0][6, 4, 3] == 89.5


TOF = {
    "number of dimensions": "5",
    "matrix axis label [5]": "timing positions",
    "matrix size [5]": "3",
    "TOF mashing factor": "3",
    "Maximum number of (unmashed) TOF time bins": "9",
    "Size of unmashed TOF time bins (ps)": "100",
    "TOF timing resolution (ps)": "400",
}


def test_time_of_flight_bins_are_slowest_and_ascend(sinogram_header):
    array, layout, _ = read_sinogram(sinogram_header(TOF, counting(count=3 * COUNT).tobytes()))
    assert array.shape == layout.shape == (8, 5, 3, 7)
    assert (layout.tof_mashing, layout.tof_bins) == (3, 3)
    assert array[6, 4, :, 3].tolist() == [179, 179 + COUNT, 179 + 2 * COUNT]


def test_time_of_flight_bins_in_another_order_come_out_ascending(sinogram_header):
    path = sinogram_header(TOF | {"TOF bin order": "{0,1,-1}"}, counting(count=3 * COUNT).tobytes())
    array, _, _ = read_sinogram(path)
    assert array[6, 4, :, 3].tolist() == [179 + 2 * COUNT, 179, 179 + COUNT]


def test_a_time_of_flight_bin_that_the_order_lacks_is_refused(sinogram_header):
    path = sinogram_header(TOF | {"TOF bin order": "{0,1,1}"})
    with pytest.raises(FileError, match="`tof bin order` takes each of -1 to 1 once"):
        read_layout(path)


def test_more_time_of_flight_bins_than_the_scanner_has_are_refused(sinogram_header):
    with pytest.raises(FileError, match=r"`matrix size \[5\]` takes at most 3 .* got `5`"):
        read_layout(sinogram_header(TOF | {"matrix size [5]": "5"}))


def test_mashed_views_need_not_divide(sinogram_header):
    # 798 crystals have 399 views; 50 of them hold 8 each, the last 7.
    layout, _ = read_layout(
        sinogram_header({"Number of detectors per ring": "798", "matrix size [3]": "50"})
    )
    assert (layout.views, layout.view_mashing) == (50, 8)


def test_a_mashing_that_must_be_guessed_is_said(sinogram_header):
    # 252 views: 23, 24 and 25 all give 11, and none of them divides 252 into 11.
    views = {"Number of detectors per ring": "504", "matrix size [3]": "11"}
    layout, info = read_layout(sinogram_header(views))
    assert layout.view_mashing == 23
    assert "mashing by 23 to 25 gives 11 of 252 views: taken as 23" in " ".join(info["notes"])
    layout, info = read_layout(sinogram_header(views | {"%view mashing": "24"}))
    assert layout.view_mashing == 24
    assert info["notes"] == []


def test_a_mashing_that_divides_the_views_is_not_worth_a_word(sinogram_header):
    # 16 views into 4: by 4, or unevenly by 5.
    views = {"Number of detectors per ring": "32", "matrix size [3]": "4"}
    layout, info = read_layout(sinogram_header(views))
    assert (layout.view_mashing, info["notes"]) == (4, [])


def test_a_mashing_that_contradicts_the_views_is_refused(sinogram_header):
    with pytest.raises(FileError, match=r"`%view mashing` takes a number that gives the 8 views"):
        read_layout(sinogram_header({"%view mashing": "2"}))


def test_views_that_are_no_mashing_of_the_crystals_are_refused(sinogram_header):
    with pytest.raises(FileError, match=r"`matrix size \[3\]` takes 8 views .* got `6`"):
        read_layout(sinogram_header({"matrix size [3]": "6"}))


def test_bins_are_arc_corrected_only_where_the_corrections_say_so(sinogram_header):
    size = {"effective central bin size (cm)": "0.41"}
    assert read_layout(sinogram_header(size))[0].radial_mm is None
    arc = {"applied corrections": "{ Arc_Correction , normalisation}"}
    layout, info = read_layout(sinogram_header(size | arc))
    assert layout.radial_mm == 4.1
    assert info["applied_corrections"] == ["arc correction", "normalisation"]


def test_the_figures_of_a_known_scanner_need_not_be_in_the_header(sinogram_header):
    keys = (
        "Number of rings",
        "Number of detectors per ring",
        "Inner ring diameter (cm)",
        "Average depth of interaction (cm)",
        "Distance between rings (cm)",
        "Maximum number of non-arc-corrected bins",
        "View offset (degrees)",
    )
    changes = dict.fromkeys(keys) | {
        "Scanner type": "Siemens mMR",
        "matrix size [3]": "252",
        "matrix size [2]": "{63,64,63}",
    }
    layout, info = read_layout(sinogram_header(changes))
    assert layout.scanner == Scanner.preset("mMR")
    assert "taken from the preset 'Siemens mMR'" in " ".join(info["notes"])


def test_a_figure_in_the_header_wins_over_the_preset(sinogram_header):
    changes = {
        "Scanner type": "Siemens mMR",
        "Number of rings": "64",
        "Number of detectors per ring": "504",
        "Inner ring diameter (cm)": "65.8",
        "matrix size [3]": "252",
        "matrix size [2]": "{63,64,63}",
    }
    scanner = read_layout(sinogram_header(changes))[0].scanner
    assert scanner.radius_mm == 329.0
    assert scanner.virtual_crystals == (0,)


def test_a_preset_of_other_rings_is_left_out_and_said(sinogram_header):
    layout, info = read_layout(sinogram_header({"Scanner type": "Siemens mMR"}))
    assert layout.scanner.virtual_crystals == ()
    assert "is not the 64 of the preset" in " ".join(info["notes"])


def test_a_figure_that_neither_header_nor_preset_has_is_named(sinogram_header):
    with pytest.raises(FileError, match=r"lacks the key `distance between rings \(cm\)`"):
        read_layout(sinogram_header({"Distance between rings (cm)": None}))


def test_energy_resolution_is_brought_to_511_kev(sinogram_header):
    # FWHM/E goes with 1/sqrt(E): 0.1 at 2044 = 4 x 511 keV is 0.2 at 511 keV.
    keys = {"Energy resolution": "0.1", "Reference energy (in keV)": "2044"}
    assert read_layout(sinogram_header(keys))[0].scanner.energy_resolution == pytest.approx(0.2)


def test_stirs_angles_are_the_callers_choice(sinogram_header):
    path = sinogram_header(data=counting().tobytes())
    assert read_layout(path)[0].interleaved
    assert not read_sinogram(path, interleaved=False)[1].interleaved


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrix size [1]": None}, r"lacks the key `matrix size \[1\]`"),
        ({"number format": "roman"}, "line 10: `number format` takes .* got `roman`"),
        ({"number of bytes per pixel": "3"}, "`number of bytes per pixel` takes 4 or 8"),
        ({"imagedata byte order": "MIDDLE"}, "line 7: `imagedata byte order` takes"),
        ({"matrix axis label [2]": "view"}, r"\[3\]` takes `axial coordinate`, as axis \[2\]"),
        ({"matrix axis label [1]": "view"}, r"takes `tangential coordinate`, got `view`"),
        ({"number of dimensions": "2"}, "line 12: `number of dimensions` takes `4` or `5`"),
        ({"matrix size [2]": "{2,3}"}, r"3 numbers, one per segment as `matrix size \[4\]` \(line"),
        ({"minimum ring difference per segment": "{0,0}"}, "`minimum ring difference .* 3 numbers"),
        ({"minimum ring difference per segment": "{0,0,1}"}, "line 21: Segment takes min"),
        ({"matrix size [2]": "{2,4,2}"}, "takes 3 planes for ring differences 0 to 0"),
        ({"Number of detectors per ring": "15"}, "takes an even number of crystals"),
        ({"PET data type": "Image"}, "is an image, where a sinogram was expected"),
        ({"type of data": "Tomographic"}, "line 4: `type of data` takes `pet`"),
        ({"number of time frames": "3"}, "`number of time frames` takes 1, got `3`"),
        ({"patient rotation": "left"}, "line 6: `patient rotation` takes `supine` or `prone`"),
        ({"TOF mashing facter": "3"}, "unknown key `tof mashing facter`"),
    ],
)
def test_what_cannot_be_used_is_named(sinogram_header, changes, message):
    path = sinogram_header(changes, counting().tobytes())
    with pytest.raises(FileError, match=message):
        read_sinogram(path)


def test_errors_of_files_are_one_sentence_on_one_line(sinogram_header):
    with pytest.raises(FileError) as error:
        read_sinogram(sinogram_header({"number format": "roman"}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [-4, 4])
def test_data_of_another_size_than_the_header_says_are_refused(sinogram_header, change):
    path = sinogram_header(data=bytes(4 * COUNT + change))
    message = rf"scan\.s has {1120 + change} bytes, where .*scan\.hs says 1120 \(280 numbers of 4"
    with pytest.raises(FileError, match=message):
        read_sinogram(path)


def test_data_that_are_missing_are_named(sinogram_header):
    with pytest.raises(FileError, match=r"`name of data file` \(line 3\) is `scan\.s`, which is"):
        read_sinogram(sinogram_header())
