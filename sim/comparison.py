"""How well images of a phantom agree with the truth: numbers and a picture, from files alone."""

import numpy as np

from recon.io import read_image
from recon.io.files import replacing

REGIONS = {"liver": 1, "lesion 1": 2, "lesion 2": 3}  # as numbered in the file of regions
FORMULAS = (
    "liver recovery = mean(image in liver) / mean(truth in liver)",
    "contrast = mean(in lesion) / mean(in liver) - 1;  recovered: that of the image / of the truth",
    "noise = standard deviation(image in liver) / mean(image in liver)",
)


def quality(image_path, truth_path, regions_path):
    """Recovery and noise of an image (FORMULAS).

    Args:
        image_path, truth_path, regions_path: images on one grid; the last holds REGIONS.
    Returns:
        dict of floats: liver_recovery, contrast_recovery_1, contrast_recovery_2, noise.
    Raises:
        ValueError: the images are not on one grid.
    """
    (image, grid, _), (truth, grid2, _), (regions, grid3, _) = map(
        read_image, (image_path, truth_path, regions_path)
    )
    if not grid.shape == grid2.shape == grid3.shape:
        raise ValueError(
            f"quality takes images on one grid, got shapes {grid.shape} in {image_path}, "
            f"{grid2.shape} in {truth_path} and {grid3.shape} in {regions_path}"
        )
    inside = {name: regions == number for name, number in REGIONS.items()}

    def contrast(array, lesion):
        return array[inside[lesion]].mean() / array[inside["liver"]].mean() - 1

    liver = image[inside["liver"]]
    numbers = {"liver_recovery": liver.mean() / truth[inside["liver"]].mean()}
    for lesion in (1, 2):
        name = f"lesion {lesion}"
        numbers[f"contrast_recovery_{lesion}"] = contrast(image, name) / contrast(truth, name)
    numbers["noise"] = liver.std() / liver.mean()
    return {name: float(number) for name, number in numbers.items()}


def draw(path, panels, at_mm, *, unit, maximum, window_mm=(400, 264)):
    """Coronal and axial slices of several images side by side, on one scale of grey.

    Shown as radiologists do: the patient's right is at the left, and head or front at the top.

    Args:
        path: picture to write, .png or what else matplotlib knows.
        panels: list of (title, caption, image path); all images lie head first, supine.
        at_mm: (y, z) of the slices in scanner coordinates.
        unit: of the images.
        maximum: value shown black.
        window_mm: size of what is shown of an axial slice.
    """
    from matplotlib.figure import Figure

    images = [read_image(image) for _, _, image in panels]
    low, high = images[0][1].extent[2]
    half = window_mm[0] / 2, window_mm[1] / 2
    inches = 4.2 / window_mm[0]  # per mm, the same along all axes
    left, gap, top, bottom = 0.4, 0.12, 0.5, 0.65
    rows = (high - low) * inches, window_mm[1] * inches
    width = left + len(panels) * (4.2 + gap) + 1.0
    height = top + rows[0] + gap + rows[1] + bottom
    figure = Figure(figsize=(width, height), facecolor="white")

    def axes(x, y, w, h):
        return figure.add_axes((x / width, y / height, w / width, h / height))

    for column, ((title, caption, _), (array, grid, _)) in enumerate(
        zip(panels, images, strict=True)
    ):
        x = left + column * (4.2 + gap)
        y, z = (_nearest(grid, axis, mm) for axis, mm in zip((1, 2), at_mm, strict=True))
        across, down, along = grid.extent
        options = {"cmap": "gray_r", "vmin": 0, "vmax": maximum, "interpolation": "bilinear"}
        coronal = axes(x, bottom + rows[1] + gap, 4.2, rows[0])
        axial = axes(x, bottom, 4.2, rows[1])
        coronal.imshow(array[:, y].T, extent=(*across, *along[::-1]), **options)
        picture = axial.imshow(array[:, :, z].T, extent=(*across, *down[::-1]), **options)
        coronal.set(xlim=(-half[0], half[0]), ylim=(high, low), xticks=[], yticks=[])
        axial.set(xlim=(-half[0], half[0]), ylim=(half[1], -half[1]), xticks=[], yticks=[])
        coronal.set_title(title, fontsize=15, fontweight="bold", pad=9)
        axial.set_xlabel(caption, fontsize=11, labelpad=7)
        if column == 0:
            _mark(coronal, "coronal")
            _mark(axial, "axial")
            axial.plot([half[0] - 110, half[0] - 10], [half[1] - 10] * 2, color="black", lw=2)
            axial.text(half[0] - 60, half[1] - 14, "10 cm", ha="center", fontsize=10)
    bar = axes(width - 0.92, bottom, 0.17, height - top - bottom)
    figure.colorbar(picture, cax=bar, extend="max").set_label(unit, fontsize=12)
    with replacing(path) as name:
        figure.savefig(name, dpi=130)


def _nearest(grid, axis, mm):
    return int(np.argmin(np.abs(grid.centres(axis) - mm)))


def _mark(ax, name):
    """Name of the plane, and which sides of the patient are right and left."""
    ax.set_ylabel(name, fontsize=12)
    for x, side in ((0.02, "R"), (0.98, "L")):
        ax.text(x, 0.5, side, transform=ax.transAxes, ha="left" if x < 0.5 else "right",
                va="center", fontsize=12, color="0.4")
