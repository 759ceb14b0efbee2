"""A picture of an image: three orthogonal slices as a radiologist lays them out.

Axial slices are seen from the feet and coronal ones from the front (the patient's right is on the
left), sagittal ones from the patient's left (anterior is on the left). All share one scale in mm
and one inverted grey scale.
"""

import numpy as np

from recon import backend
from recon.grid import PATIENT_AXES
from recon.io.files import replacing
from recon.text import ENDS

# Name; image axes across and up; letters at the left, right, bottom and top.
PANELS = (
    ("axial", 0, 1, "RLPA"),
    ("coronal", 0, 2, "RLIS"),
    ("sagittal", 1, 2, "APIS"),
)
_BLACK = 99.95  # percentile of the voxels shown: a few hot ones shall not set the scale
_WIDTH_IN, _HEIGHT_IN, _MARGIN_IN, _THIN_IN = 3.4, 9.0, 0.55, 0.5


def draw(image, grid, path, *, title, unit):
    """Draws the slices through the middle of the activity and writes the picture.

    Args:
        image: (x, y, z) of grid.shape.
        grid: Grid.
        path: .png, .pdf, .svg or .jpg; whole or not at all.
        title: of the picture.
        unit: of the image's numbers, for the colour bar.
    """
    from matplotlib.figure import Figure

    image = backend.to_device(image, "cpu")
    sides = [high - low for low, high in grid.extent]
    widths, height = [sides[across] for _, across, _, _ in PANELS], max(sides[1], sides[2])
    in_per_mm = min(3 * _WIDTH_IN / sum(widths), _HEIGHT_IN / height)
    size = (
        max(in_per_mm * sum(widths), 2 * _WIDTH_IN) + 3 * _MARGIN_IN + 1.2,
        max(in_per_mm * height, 1.5) + 1.3,
    )
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=11)
    draw_slices(figure, image, grid, unit=unit, in_per_mm=in_per_mm)
    with replacing(path) as name:
        figure.savefig(name)


def draw_slices(figure, image, grid, *, unit, in_per_mm, at=None, window=None, most=None):
    """Draws the three slices and their scale into a figure or a part of one.

    Args:
        figure: Matplotlib's Figure or SubFigure.
        image, grid, unit: as for `draw`.
        in_per_mm: how large, about: of a thin panel there are fewer letters.
        at: voxel (i, j, k) where they meet; by default the middle of the activity.
        window: (black, white) of a CT; without it, 0 is white and the greatest value black.
        most: value that is black instead, by which several images share a scale.
    """
    at = at or middle_of_activity(image)
    limits = [_limits(grid, axis) for axis in range(3)]
    sides = [high - low for low, high in limits]
    axes = figure.subplots(1, 3, width_ratios=[sides[across] for _, across, _, _ in PANELS])
    slices = [_slice(image, at, across, up) for _, across, up, _ in PANELS]
    values = np.concatenate([part.ravel() for part in slices])
    top = most or float(np.percentile(values, _BLACK)) or float(values.max()) or 1.0
    low, high = window or (0.0, top)
    scale = {"cmap": "gray" if window else "gray_r", "vmin": low, "vmax": high}
    for ax, part, panel in zip(axes, slices, PANELS, strict=True):
        drawn = _panel(ax, part, panel, grid, limits, at, scale)
        thin = [sides[axis] * in_per_mm < _THIN_IN for axis in panel[1:3]]
        _letters(ax, panel[-1], *thin)
    beyond = "max" if values.max() > high else "neither"
    bar = figure.colorbar(drawn, ax=axes, extend=beyond, shrink=0.9, aspect=30, pad=0.01)
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def middle_of_activity(image):
    """Voxel (i, j, k) at which half the activity lies on either side along each axis."""
    weights = np.maximum(image, 0)
    place = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        passed = np.cumsum(weights.sum(axis=others, dtype=float))
        half = int(np.searchsorted(passed, passed[-1] / 2))
        place.append(half if passed[-1] > 0 else image.shape[axis] // 2)
    return tuple(place)


def _panel(ax, part, panel, grid, limits, at, scale):
    name, across, up, _ = panel
    extent = [*_patient_extent(grid, across), *_patient_extent(grid, up)]
    drawn = ax.imshow(part.T, origin="lower", extent=extent, aspect="equal",
                      interpolation="nearest", **scale)
    # The patient's coordinates grow to the right of them and to the front: from right to left here.
    ax.set_xlim(limits[across][::-1])
    ax.set_ylim(limits[up])
    normal = 3 - across - up
    place = round(_patient(grid, normal, at[normal]))
    side = f" {ENDS[normal][place > 0]}" if place else ""
    ax.set_title(f"{name}, {abs(place)} mm{side}", fontsize=10)
    ax.set_xlabel("mm", fontsize=8)
    ax.tick_params(labelsize=8)
    lines = {"color": "tab:blue", "linewidth": 0.6, "alpha": 0.6, "linestyle": (0, (6, 4))}
    ax.axvline(_patient(grid, across, at[across]), **lines)
    ax.axhline(_patient(grid, up, at[up]), **lines)
    return drawn


def _letters(ax, letters, narrow, low):
    """Which way is which; beside a panel too thin to hold letters, and there no ticks along it."""
    style = {"fontsize": 10, "fontweight": "bold", "color": "tab:blue"}
    box = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
    inside = style | {"transform": ax.transAxes, "bbox": box}
    left, right, bottom, top = letters
    if low:
        ax.set_yticks([])
    else:
        ax.text(0.5, 0.02, bottom, ha="center", va="bottom", **inside)
        ax.text(0.5, 0.98, top, ha="center", va="top", **inside)
    if narrow:
        ax.set_xticks(ax.get_xlim(), [left, right], **style)
        ax.set_xlabel("")
        return
    inset = -0.02 if low else 0.02
    ax.text(inset, 0.5, left, ha="right" if low else "left", va="center", **inside)
    ax.text(1 - inset, 0.5, right, ha="left" if low else "right", va="center", **inside)


def _slice(image, at, across, up):
    index = [slice(None)] * 3
    index[3 - across - up] = at[3 - across - up]
    return image[tuple(index)]


def _patient(grid, axis, index):
    """The patient's coordinate (right, anterior or superior) of a voxel in mm."""
    return PATIENT_AXES[grid.patient_position][axis] * grid.centres(axis)[index] + 0.0


def _patient_extent(grid, axis):
    sign = PATIENT_AXES[grid.patient_position][axis]
    return [sign * end for end in grid.extent[axis]]


def _limits(grid, axis):
    return tuple(sorted(_patient_extent(grid, axis)))
