"""The picture of an image: which slice, and which way round."""

import numpy as np
import pytest
from matplotlib.image import imread

from recon import Grid
from recon.preview import draw, middle_of_activity


def test_the_middle_of_activity_halves_it_along_each_axis():
    image = np.zeros((5, 7, 9), np.float32)
    image[1, 2, 3] = 1
    image[4, 2, 3] = 3
    assert middle_of_activity(image) == (4, 2, 3)


def test_the_middle_of_an_empty_image_is_its_middle():
    assert middle_of_activity(np.zeros((5, 7, 9), np.float32)) == (2, 3, 4)


@pytest.mark.parametrize(
    ("position", "left"),
    [("HFS", False), ("HFP", True), ("FFS", True), ("FFP", False)],
)
def test_the_patients_right_is_on_the_left_however_they_lay(tmp_path, position, left):
    # High x is the patient's left in HFS and FFP, their right in HFP and FFS.
    grid = Grid.centred(shape=(41, 41, 41), voxel_mm=(5, 5, 5), patient_position=position)
    image = np.zeros(grid.shape, np.float32)
    image[29:34, 18:23, 18:23] = 1
    draw(image, grid, tmp_path / "view.png", title="", unit="counts/mm")
    picture = imread(tmp_path / "view.png")[..., :3].max(axis=-1)
    axial = picture[:, : picture.shape[1] * 3 // 10]
    # The block of 25 mm is the one dark square: its rows are dark over many columns.
    dark = axial < 0.2
    rows = np.flatnonzero(dark.sum(axis=1) > 20)
    columns = np.flatnonzero(dark[rows].mean(axis=0) > 0.5)
    assert (np.median(columns) < axial.shape[1] / 2) == left


@pytest.mark.parametrize("shape", [(155, 155, 1), (20, 20, 300), (1, 1, 1)])
def test_any_shape_of_image_is_drawn(tmp_path, shape):
    grid = Grid.centred(shape=shape, voxel_mm=(3, 3, 6.75))
    draw(np.ones(shape, np.float32), grid, tmp_path / "view.png", title="title", unit="counts/mm")
    assert imread(tmp_path / "view.png").std() > 0.05


def test_an_image_of_zeros_is_drawn(tmp_path):
    grid = Grid.centred(shape=(8, 8, 8), voxel_mm=(3, 3, 3))
    draw(np.zeros(grid.shape, np.float32), grid, tmp_path / "view.svg", title="", unit="")
    assert (tmp_path / "view.svg").read_text().startswith("<?xml")
