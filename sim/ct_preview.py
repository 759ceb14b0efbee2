"""A picture of CTs of one patient side by side, in a radiologist's window for soft tissue."""

import numpy as np

from recon.io.files import replacing

WINDOW_HU = (-160, 240)  # level 40, width 400
_WIDTH_IN, _HEIGHT_IN = 4.0, 10.0  # of a panel's two slices, at most


def draw(path, panels, grid):
    """Coronal and axial slices through the middle of the body.

    Args:
        path: picture to write, whole or not at all.
        panels: list of (title, image in HU).
        grid: Grid of all images, of a patient head first and supine.
    """
    from matplotlib.figure import Figure

    width, depth, length = (high - low for low, high in grid.extent)
    scale = min(_WIDTH_IN / width, _HEIGHT_IN / (depth + length))
    figure = Figure(
        figsize=(len(panels) * (width * scale + 0.3) + 1.2, (depth + length) * scale + 0.8),
        layout="constrained",
    )
    axes = figure.subplots(2, len(panels), squeeze=False, height_ratios=(length, depth))
    j, k = (_middle(panels[0][1], axis) for axis in (1, 2))
    shown = {"cmap": "gray", "vmin": WINDOW_HU[0], "vmax": WINDOW_HU[1]}
    for column, (title, image) in enumerate(panels):
        coronal, axial = axes[:, column]
        across, down, along = grid.extent
        coronal.imshow(image[:, j].T, extent=(*across, *along[::-1]), **shown)
        drawn = axial.imshow(image[:, :, k].T, extent=(*across, *down[::-1]), **shown)
        coronal.set_title(title, fontsize=10)
        _letters(coronal, f"coronal, y = {grid.centres(1)[j]:.0f} mm")
        _letters(axial, f"axial, z = {grid.centres(2)[k]:.0f} mm")
    figure.colorbar(drawn, ax=axes, extend="both", shrink=0.8, aspect=30).set_label("HU")
    with replacing(path) as name:
        figure.savefig(name, dpi=130)


def _letters(ax, place):
    """Which slice it is, and which sides of the patient are right and left."""
    ax.set(xticks=[], yticks=[])
    style = {"transform": ax.transAxes, "color": "gold", "fontsize": 8}
    ax.text(0.02, 0.97, place, ha="left", va="top", **style)
    ax.text(0.02, 0.5, "R", ha="left", va="center", **style)
    ax.text(0.98, 0.5, "L", ha="right", va="center", **style)


def _middle(hu, axis):
    """Index of the slice that halves the body along an axis."""
    others = tuple(other for other in range(3) if other != axis)
    passed = np.cumsum(np.maximum(hu + 1000, 0).sum(axis=others, dtype=float))
    return int(np.searchsorted(passed, passed[-1] / 2))
