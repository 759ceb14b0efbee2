"""A picture of an image before and after denoising: the same slices on the same scale."""

import numpy as np

from recon.io.files import replacing
from recon.preview import draw_slices, middle_of_activity

_LEVELS, _PERCENTILE = 8.0, 99.9  # of common tissue, or of what is shown: the less is black
_WIDTH_IN, _HEIGHT_IN = 9.0, 9.0  # of one image's slices, at most
_SCALE_IN, _TITLE_IN = 2.0, 1.0


def draw(path, images, grid, *, level, title, unit):
    """Draws images below one another, or beside one another where they are of a long body.

    Args:
        path: .png, .pdf, .svg or .jpg; whole or not at all.
        images: dict from titles to images (x, y, z): the one before and the one after.
        grid: Grid of both.
        level: activity of common tissue (`denoise.scaling`).
        title: of the picture.
        unit: of their numbers.
    """
    from matplotlib.figure import Figure

    width, depth, length = (high - low for low, high in grid.extent)
    across, along = 2 * width + depth, max(depth, length)  # of the three slices beside one another
    in_per_mm = min(_WIDTH_IN / across, _HEIGHT_IN / along)
    columns = len(images) if length > width else 1
    rows = len(images) // columns
    size = columns * (across * in_per_mm + _SCALE_IN), rows * (along * in_per_mm + _TITLE_IN)
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    figure.suptitle(title, fontsize=11)
    *_, after = images.values()
    at = middle_of_activity(after)
    shown = np.concatenate([np.take(after, at[axis], axis).ravel() for axis in range(3)])
    most = min(float(np.percentile(shown, _PERCENTILE)), _LEVELS * level)
    parts = figure.subfigures(rows, columns, squeeze=False).ravel()
    for part, (name, image) in zip(parts, images.items(), strict=True):
        part.suptitle(name, fontsize=11, fontweight="bold")
        draw_slices(part, image, grid, unit=unit, in_per_mm=in_per_mm, at=at, most=most)
    with replacing(path) as name:
        figure.savefig(name)
