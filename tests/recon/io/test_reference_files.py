"""Every Interfile header of the reference data, against its raw numbers."""

import re

import numpy as np
import pytest

from recon.io import FileError, read_layout, read_sinogram
from recon.io.interfile_image import read_image


def headers(reference, suffix):
    return sorted(reference.rglob(f"*{suffix}"))


def test_every_sinogram_sums_to_what_its_file_does(reference):
    read = 0
    for path in headers(reference, ".hs"):
        data = path.with_suffix(".s")
        if not data.exists():
            continue
        array, layout, _ = read_sinogram(path)
        raw = np.fromfile(data, "<f4")
        assert array.shape == layout.shape, path
        assert array.size == raw.size, path
        # Sorted, since a sum depends on the order of its terms.
        np.testing.assert_array_equal(np.sort(array, axis=None), np.sort(raw))
        read += 1
    assert read >= 20


def test_every_image_sums_to_what_its_file_does(reference):
    read = 0
    for path in headers(reference, ".hv"):
        array, grid, _ = read_image(path)
        raw = np.fromfile(path.with_suffix(".v"), "<f4")
        assert array.shape == grid.shape, path
        np.testing.assert_array_equal(np.sort(array, axis=None), np.sort(raw))
        read += 1
    assert read >= 20


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("stir/thorax/prompts.hs", (64, 192, 1)),
        ("stir/brain/prompts.hs", (64, 90, 11)),
        ("stir/thorax/fp256_10rays.hs", (256, 192, 1)),
        ("stir/thorax_tof/prompts_tof_thorax.hs", (64, 192, 11, 1)),
        ("stir/scatter_cylinder/scatter_cylinder.hs", (32, 35, 8)),
        ("mmr_nema_mu_map/mMR_template_span11.hs", (252, 344, 837)),
    ],
)
def test_shapes_are_those_the_readme_of_the_data_states(reference, name, shape):
    assert read_layout(reference / name)[0].shape == shape


def test_a_brain_sinogram_is_view_axial_tangential_on_disk(reference):
    array, _, _ = read_sinogram(reference / "stir/brain/fp_10rays.hs")
    raw = np.fromfile(reference / "stir/brain/fp_10rays.s", "<f4").reshape(64, 11, 90)
    assert array[13, 40, 7] == raw[13, 7, 40] > 0
    np.testing.assert_array_equal(array, raw.transpose(0, 2, 1))


def test_the_tof_thorax_has_its_time_of_flight_bins_slowest_on_disk(reference):
    array, layout, _ = read_sinogram(reference / "stir/thorax_tof/fp_tof_thorax.hs")
    raw = np.fromfile(reference / "stir/thorax_tof/fp_tof_thorax.s", "<f4")
    raw = raw.reshape(11, 64, 1, 192)
    assert array[20, 100, 4, 0] == raw[4, 20, 0, 100] > 0
    np.testing.assert_array_equal(array, raw.transpose(1, 3, 0, 2))
    # 3 * 100 ps * c/2 and 400 ps * c/2 / 2.355, as the data's README has them.
    assert layout.tof_bin_mm == pytest.approx(44.969, abs=1e-3)
    assert layout.tof_sigma_mm == pytest.approx(400 * 0.149896229 / 2.354820, rel=1e-6)


def test_views_mashed_by_four_are_derived_from_detectors_and_views(reference):
    assert read_layout(reference / "stir/thorax/template.hs")[0].view_mashing == 4
    assert read_layout(reference / "stir/thorax/fp256_10rays.hs")[0].view_mashing == 1


def test_the_thorax_is_centred_in_x_y_and_z(reference):
    array, grid, info = read_image(reference / "stir/thorax/truth.hv")
    assert grid.shape == (155, 155, 1)
    assert grid.voxel_mm == (3.129, 3.129, 6.75)
    assert grid.origin_mm == pytest.approx((-240.933, -240.933, 0.0))
    raw = np.fromfile(reference / "stir/thorax/truth.v", "<f4").reshape(1, 155, 155)
    np.testing.assert_array_equal(array, raw.transpose(2, 1, 0))
    assert (info["duration_s"], info["patient_position"]) == (60.0, "HFS")


def test_an_image_without_offsets_is_centred_as_stir_numbers_it(reference):
    # 57 voxels: index 28 lies on the axis; 127 planes: plane 63 in the middle.
    _, grid, _ = read_image(reference / "mmr_nema_mu_map/mu_map.hv")
    assert grid.origin_mm == pytest.approx((-28 * 13.0391, -28 * 13.0391, -63 * 2.03125))


def test_the_mmr_template_has_siemens_segments_and_virtual_crystals(reference):
    layout, info = read_layout(reference / "mmr_nema_mu_map/mMR_template_span11.hs")
    assert [s.planes for s in layout.segments][:6] == [27, 49, 71, 93, 115, 127]
    assert layout.segments[0].min_ring_difference == -60
    assert layout.scanner.virtual_crystals == (0,)
    assert layout.scanner.depth_mm == 7.0
    assert info["pet_data_type"] == "Emission"


def test_data_that_are_not_there_are_named_with_the_line_that_names_them(reference):
    path = reference / "mmr_nema_mu_map/mMR_template_span11.hs"
    expected = r"`name of data file` (line 3) is `mMR_template_span11.s`, which is not in"
    with pytest.raises(FileError, match=re.escape(expected)):
        read_sinogram(path)


def test_a_template_that_names_itself_as_data_says_so(reference):
    with pytest.raises(FileError, match="is the header itself, so it is a template without data"):
        read_sinogram(reference / "stir/thorax/template.hs")


def test_energies_of_the_scatter_cylinder_are_read(reference):
    layout, info = read_layout(reference / "stir/scatter_cylinder/scatter_cylinder.hs")
    assert layout.scanner.energy_resolution == pytest.approx(0.22)
    assert layout.scanner.energy_window_kev == info["energy_window_kev"] == (350.0, 650.0)
    # Its `effective central bin size` is written although nothing was arc-corrected.
    assert layout.radial_mm is None
