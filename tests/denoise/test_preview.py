"""The picture of an image before and after."""

import numpy as np
import pytest

from denoise.preview import draw
from recon.grid import Grid


def picture(path, grid, after):
    """(height, width, 4) of the picture of an image of ones and what it became."""
    from matplotlib.image import imread

    draw(path, {"before": np.ones(grid.shape, np.float32), "after": after}, grid, level=1.0,
         title="low.nii.gz", unit="Bq/mL")
    return imread(path)


@pytest.mark.parametrize(("shape", "beside"), [((20, 20, 10), False), ((10, 10, 40), True)])
def test_images_of_a_long_body_stand_beside_one_another(tmp_path, shape, beside):
    grid = Grid.centred(shape=shape, voxel_mm=(8, 8, 8))
    height, width, _ = picture(tmp_path / "both.png", grid, np.ones(shape, np.float32)).shape
    assert (width > 1.5 * height) == beside


def test_both_images_have_one_scale_on_which_hot_voxels_do_not_weigh(tmp_path):
    grid = Grid.centred(shape=(20, 20, 10), voxel_mm=(8, 8, 8))
    warm, hot = np.full(grid.shape, 8.0, np.float32), np.full(grid.shape, 8.0, np.float32)
    hot[8:12, 8:12, 3:7] = 1000.0
    drawn = [picture(tmp_path / "both.png", grid, after) for after in (warm, hot)]
    upper = [image[: len(image) // 2] for image in drawn]
    np.testing.assert_array_equal(*upper)  # black is 8 times the level in both
