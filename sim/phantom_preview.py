"""A picture of a phantom: three slices of its activity, and the same of its CT."""

import numpy as np

from recon.io.files import replacing
from recon.preview import PANELS, draw_slices

WINDOW_HU = (-1000.0, 500.0)
_WIDTH_IN, _HEIGHT_IN, _MARGIN_IN = 10.0, 5.0, 0.9
_ALIKE = 0.01  # slices whose edges differ by less show the same


def draw_phantom(activity, hu, grid, path, *, title):
    """Draws three slices through where the phantom shows most, and writes the picture.

    Args:
        activity: image (x, y, z) in Bq/mL.
        hu: image (x, y, z) in HU.
        grid: Grid of both.
        path: .png, .pdf, .svg or .jpg; whole or not at all.
        title: of the picture.
    """
    from matplotlib.figure import Figure

    sides = [high - low for low, high in grid.extent]
    widths, height = [sides[across] for _, across, _, _ in PANELS], max(sides[1], sides[2])
    in_per_mm = min(_WIDTH_IN / sum(widths), _HEIGHT_IN / height)
    rows = 2 * (max(in_per_mm * height, 1.5) + _MARGIN_IN)
    size = max(in_per_mm * sum(widths), 0.7 * _WIDTH_IN) + 3 * _MARGIN_IN, rows + 0.5
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=11)
    upper, lower = figure.subfigures(2, 1)
    at = most_edges(activity)
    draw_slices(upper, activity, grid, unit="Bq/mL", in_per_mm=in_per_mm, at=at)
    draw_slices(lower, hu, grid, unit="HU", in_per_mm=in_per_mm, at=at, window=WINDOW_HU)
    with replacing(path) as name:
        figure.savefig(name)


def most_edges(image):
    """Voxel (i, j, k) whose three slices hold the most edges; the middle of those that are alike.

    The edges of a slice are the sum of the differences between its neighbours.
    """
    steps = [np.abs(np.diff(image, axis=axis)) for axis in range(3)]
    place = []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        edges = sum(steps[a].sum(axis=tuple(others), dtype=float) for a in others)
        most = np.flatnonzero(edges >= (1 - _ALIKE) * edges.max())
        place.append(int(most[len(most) // 2]))
    return tuple(place)
