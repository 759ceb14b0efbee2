"""A picture of what a network makes of some patches, beside what it should."""

import numpy as np

from recon.io.files import replacing

BLACK = 99.5  # percentile of the target that is shown black
_INCHES = 1.8


def draw_examples(path, rows):
    """Draws the middle slice of patches: low dose, output, target, truth, on one scale a row.

    Args:
        path: picture to write.
        rows: list of (title, dict from a column's name to an image (x, y, z)).
    """
    from matplotlib.figure import Figure

    names = list(rows[0][1])
    size = len(names) * (_INCHES + 0.05) + 1.0, len(rows) * (_INCHES + 0.05) + 0.3
    figure = Figure(figsize=size, facecolor="white")
    axes = figure.subplots(len(rows), len(names), squeeze=False)
    figure.subplots_adjust(left=0.95 / size[0], right=1 - 0.05 / size[0], bottom=0.05 / size[1],
                           top=1 - 0.28 / size[1], wspace=0.03, hspace=0.03)
    for row, (title, images) in zip(axes, rows, strict=True):
        black = float(np.percentile(images["target"], BLACK))
        for ax, image in zip(row, images.values(), strict=True):
            ax.imshow(image[:, :, image.shape[2] // 2].T, cmap="gray_r", vmin=0, vmax=black)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"{title}\nblack {black:.3g}", fontsize=8, rotation=0, ha="right",
                          va="center")
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name, fontsize=10)
    with replacing(path) as name:
        figure.savefig(name, dpi=100)
