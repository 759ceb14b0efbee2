"""A contact sheet: many people on one picture, as one looks through a data set."""

import numpy as np

from recon.io.files import replacing

WINDOW_HU = (-200.0, 300.0)  # of CT slices
CORONAL_MM, AXIAL_MM = 3.0, 4.5  # a pixel of coronal and axial slices
LEVELS = (0.25, 0.42, 0.82)  # heights of the axial slices, over the image's length from the head
_GAP, _TITLE, _BAR, _DPI = 4, 22, 90, 100  # pixels; pixels per inch


def contact_sheet(path, people, *, maximum=7.0, unit="SUV", columns=8):
    """Write a picture of people: the coronal maximum, a coronal and some axial slices of each.

    Shown as radiologists do: the patient's right is at the left, and head or front at the top.

    Args:
        path: picture to write, .png or what else matplotlib knows.
        people: list of (title, images, grid), head first and supine; images is a dict of images
            (x, y, z): activity in `unit`, and hu (CT numbers) where there is one.
        maximum: activity shown black.
        unit: of the activity.
        columns: people in a row.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    panels = [_panel(images, grid, maximum) for _, images, grid in people]
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    high, wide = (max(panel.shape[axis] for panel in panels) + _GAP for axis in (0, 1))
    height, width = rows * (high + _TITLE), columns * wide + _BAR
    sheet = np.ones((height, width), np.float32)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    for number, ((title, _, _), panel) in enumerate(zip(people, panels, strict=True)):
        row, column = divmod(number, columns)
        y, x = row * (high + _TITLE) + _TITLE, column * wide
        sheet[y : y + panel.shape[0], x : x + panel.shape[1]] = panel
        axes.text(x + 2, y - 5, title, fontsize=8)
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.axis("off")
    bar = figure.add_axes((1 - 0.85 * _BAR / width, 0.3, 0.15 * _BAR / width, 0.4))
    figure.colorbar(
        ScalarMappable(Normalize(0, maximum), "gray_r"), cax=bar, extend="max"
    ).set_label(unit)
    with replacing(path) as name:
        figure.savefig(name, dpi=_DPI)


def _panel(images, grid, maximum):
    """One person's pictures beside each other, 0 black to 1 white: (rows, columns), float32."""
    activity = 1 - np.clip(images["activity"] / maximum, 0, 1)
    coronal, axial = [activity.min(axis=1)], [activity]
    if "hu" in images:
        low, high = WINDOW_HU
        hu = np.clip((images["hu"] - low) / (high - low), 0, 1)
        coronal.append(hu[:, grid.shape[1] // 2])
        axial.append(hu)
    x, z = (_pixels(grid, axis, CORONAL_MM) for axis in (0, 2))
    parts = [image[np.ix_(x, z)].T for image in coronal]
    x, y = (_pixels(grid, axis, AXIAL_MM) for axis in range(2))
    slices = [int(level * grid.shape[2]) for level in LEVELS]
    parts += [np.vstack([image[:, :, k][np.ix_(x, y)].T for k in slices]) for image in axial]
    high = max(part.shape[0] for part in parts)
    return np.hstack([
        np.pad(part, ((0, high - part.shape[0]), (0, 2)), constant_values=1) for part in parts
    ]).astype(np.float32)


def _pixels(grid, axis, pixel_mm):
    """Voxels along an axis that lie at the picture's pixels."""
    count = max(1, round(grid.shape[axis] * grid.voxel_mm[axis] / pixel_mm))
    middles = (np.arange(count) + 0.5) * (grid.shape[axis] / count)
    return middles.astype(int)
