"""What is settled before a reconstruction: voxels, subsets, memory."""

from pathlib import Path

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout, memory
from recon.algorithms.subsets import divisor_nearest
from recon.field_of_view import image_grid, same_place
from recon.measurement import Measurement
from recon.plan import Plan


@pytest.mark.parametrize(
    ("preset", "voxel_mm", "planes"),
    [("mMR", (2.0, 2.0, 2.03125), 127), ("Vision 600", (1.5, 1.5, 1.64375), 159),
     ("HR+", (2.5, 2.5, 2.425), 63), ("tiny", (4.0, 4.0, 4.0), 9)],
)
def test_voxels_are_half_a_ring_spacing_and_a_round_figure_across(preset, voxel_mm, planes):
    grid, frame = image_grid(SinogramLayout.of(Scanner.preset(preset), max_ring_difference=0))
    assert grid.voxel_mm == voxel_mm
    assert grid.shape[2] == planes
    assert np.allclose(grid.centre, 0)
    assert frame is None


def test_the_default_grid_covers_all_radial_bins_and_no_more_than_two_voxels_beyond():
    layout = SinogramLayout.of(Scanner.preset("mMR"), max_ring_difference=0)
    grid, _ = image_grid(layout)
    outermost = np.abs(layout.rays()[..., 2]).max()
    assert 0 <= grid.extent[0][1] - outermost < 2 * grid.voxel_mm[0]


def test_other_voxels_cover_the_same_field_of_view():
    layout = SinogramLayout.of(Scanner.preset("tiny"))
    grid, _ = image_grid(layout, "FFS", voxel_mm=(3.0, 3.0, 12.0))
    # 9 planes of 4 mm are 36 mm, 3 of 12.
    assert grid.shape[2] == 3
    assert grid.patient_position == "FFS"


def test_a_scanner_of_one_ring_has_one_plane():
    scanner = Scanner.preset("tiny")
    one = type(scanner)(**{**vars(scanner), "rings": 1})
    assert image_grid(SinogramLayout.of(one))[0].shape[2] == 1


def test_grids_are_the_same_place_to_a_hundredth_of_a_voxel():
    grid = Grid.centred(shape=(8, 8, 8), voxel_mm=(2, 2, 2))
    near = Grid.centred(shape=(8, 8, 8), voxel_mm=(2, 2, 2), centre_mm=(0.015, 0, 0))
    far = Grid.centred(shape=(8, 8, 8), voxel_mm=(2, 2, 2), centre_mm=(0.03, 0, 0))
    assert same_place(grid, near)
    assert not same_place(grid, far)
    assert not same_place(grid, Grid.centred(shape=(8, 8, 7), voxel_mm=(2, 2, 2)))


@pytest.mark.parametrize(
    ("views", "subsets"), [(252, 21), (64, 16), (50, 25), (53, 1), (1, 1), (210, 21), (180, 20)]
)
def test_default_subsets_are_the_divisor_of_the_views_nearest_21(views, subsets):
    assert divisor_nearest(views) == subsets


def test_memory_of_prompts_and_images_is_counted():
    # 300 numbers kept, 2 x 100 / 4 per update, 5 images of 10, 4 bytes each, and the program.
    empty = memory.needed(arrays=[], bins=0, subsets=1, voxels=0)
    assert memory.needed(arrays=[100, 200], bins=100, subsets=4, voxels=10) - empty == 4 * 400


def test_memory_of_blurs_is_counted(reference, tmp_path):
    scan = reference / "stir" / "thorax" / "prompts.hs"
    plain, blurred = (
        Plan(
            measurement=Measurement(scan=scan), output=tmp_path / "image.nii", subsets=8,
            grid=Grid.centred(shape=(100, 100, 1), voxel_mm=(4, 4, 6.75)), **widths,
        )
        for widths in ({}, {"psf_mm": (4, 4, 4), "post_filter_mm": (4, 4, 4)})
    )
    # Two images for each blur, and the post filter of ones.
    assert blurred.memory_needed - plain.memory_needed == 4 * 5 * 10_000


def test_an_mmr_scan_of_span_11_with_all_its_files_fits_two_gib(reference, tmp_path):
    # Headers are enough for a plan. Measured with data, the peak was 1.42 GiB.
    template = reference / "mmr_nema_mu_map" / "mMR_template_span11.hs"
    plan = Plan(
        measurement=Measurement(
            scan=template,
            efficiency=template,
            background=(template,),
            mu_map=reference / "mmr_nema_mu_map" / "mu_map.hv",
        ),
        output=tmp_path / "image.nii.gz",
        grid=Grid.centred(shape=(200, 200, 127), voxel_mm=(2.08626, 2.08626, 2.03125)),
        subsets=21,
    )
    assert 1.2 * memory.GIB < plan.memory_needed + plan.sensitivity_bytes < 2 * memory.GIB


def start_on(grid, scan, tmp_path):
    measurement = Measurement(scan=scan, interleaved=False)
    return Plan(
        measurement=measurement, output=tmp_path / "image.nii", grid=grid, subsets=8
    ).first_image()["inside"]


def test_a_start_on_a_rectangle_holds_a_patient_as_wide_as_it(reference, tmp_path):
    grid = Grid.centred(shape=(202, 122, 1), voxel_mm=(2, 2, 6.75))  # 404 x 244 mm
    start = start_on(grid, reference / "stir" / "thorax" / "prompts.hs", tmp_path)
    x, y = np.meshgrid(grid.centres(0), grid.centres(1), indexing="ij")
    ellipse = (x / 180) ** 2 + (y / 110) ** 2 <= 1
    assert start[ellipse].all()
    assert start[0, 0, 0] == 0


def test_a_start_on_a_square_is_the_circle_in_it(reference, tmp_path):
    grid = Grid.centred(shape=(155, 155, 1), voxel_mm=(3.129, 3.129, 6.75))
    start = start_on(grid, reference / "stir" / "thorax" / "prompts.hs", tmp_path)
    assert np.array_equal(start > 0, grid.cylinder(155 * 3.129 / 2))


def test_a_start_reaches_no_further_than_the_radial_bins(reference, tmp_path):
    # s = 517 mm sin(96 pi / 512) = 287.2 mm for the outermost of 192 bins: 71 voxels of 4 mm.
    grid = Grid.centred(shape=(201, 201, 1), voxel_mm=(4, 4, 6.75))
    start = start_on(grid, reference / "stir" / "thorax" / "prompts.hs", tmp_path)
    assert np.abs(grid.centres(0)[start[:, 100, 0] > 0]).max() == 284


def test_there_is_some_memory():
    assert 1 << 27 < memory.available("cpu") < 1 << 50


def test_a_containers_limit_counts_less_what_it_uses_but_not_its_cache(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 200\n")
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    assert memory.available("cpu") == 500


def test_a_container_without_a_limit_has_the_machines_memory(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("inactive_file 200\n")
    monkeypatch.setattr(memory, "CONTROL_GROUP", Path(tmp_path))
    assert memory.available("cpu") > 1 << 27
