import numpy as np
import pytest
from matplotlib.image import imread

from recon import Grid
from sim.phantom_preview import draw_phantom, most_edges

GRID = Grid.centred(shape=(20, 24, 30), voxel_mm=(5, 5, 5))


def test_slices_go_through_where_the_image_has_most_edges():
    image = np.zeros(GRID.shape, np.float32)
    image[2:18, 2:22, 2:28] = 1
    image[9, 4:20:2, 20] = 9
    assert most_edges(image)[0] == 9
    assert most_edges(image)[2] == 20


def test_of_slices_that_are_alike_the_middle_one_is_shown():
    image = np.zeros(GRID.shape, np.float32)
    image[:, 8:13, 5:16] = 1
    assert most_edges(image) == (10, 10, 10)


@pytest.mark.parametrize("shape", [(20, 24, 30), (3, 3, 40), (30, 30, 1)])
def test_any_shape_of_phantom_is_drawn(tmp_path, shape):
    grid = Grid.centred(shape=shape, voxel_mm=(5, 5, 5))
    activity = np.zeros(shape, np.float32)
    activity[shape[0] // 2] = 5
    draw_phantom(activity, 100 * activity - 1000, grid, tmp_path / "a.png", title="a")
    assert imread(tmp_path / "a.png").std() > 0.05


def test_the_activity_is_black_on_white_and_the_ct_white_on_black(tmp_path):
    activity, hu = np.zeros(GRID.shape, np.float32), np.full(GRID.shape, -1000, np.float32)
    activity[5:15, 5:15, 5:15], hu[5:15, 5:15, 5:15] = 1, 1000
    draw_phantom(activity, hu, GRID, tmp_path / "a.png", title="")
    picture = imread(tmp_path / "a.png")[..., :3].mean(axis=-1)
    upper, lower = np.array_split(picture[:, : int(picture.shape[1] * 0.85)], 2)
    assert 0.02 < (upper < 0.1).mean() < 0.3
    assert (lower < 0.1).mean() > 0.3
