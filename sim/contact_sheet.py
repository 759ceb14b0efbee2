"""A picture of what a study made: a row for each phantom, truth, images and CT on common scales."""

import numpy as np

from recon.io.files import replacing
from sim.dataset import Pair
from sim.protocol import INVERSE_CRIME

SHEET = "contact-sheet.png"
ROWS = 24  # phantoms shown at most, evenly over the study
BLACK = 99.5  # percentile of the truth in the body that is shown black
CT_HU = (-160, 240)  # soft tissue
_ROW_INCHES = 2.0


def draw_sheet(path, data):
    """Draws coronal slices through the hottest lesion, or the hottest place, of each phantom.

    Shown as radiologists do: the patient's right is at the left, the head at the top.

    Args:
        path: picture to write.
        data: StoredStudy.
    """
    from matplotlib.figure import Figure

    numbers = [record["number"] for record in data.index["phantoms"]]
    chosen = [numbers[k] for k in np.unique(np.linspace(0, len(numbers) - 1, ROWS).astype(int))]
    titles = ["truth", "standard dose", *(f"1 / {f:g} of the dose" for f in data.factors), "CT"]
    shown = [_slices(data, number) for number in chosen]
    half = max(widest for _, _, widest in shown)
    across, _, along = data.grid(chosen[0]).extent
    width = _ROW_INCHES * 2 * half / (along[1] - along[0])
    crime = data.index["recipe"]["scan"]["inverse_crime"]
    top = 0.6 if crime else 0.3
    size = 0.9 + len(titles) * (width + 0.05), 0.1 + top + len(chosen) * (_ROW_INCHES + 0.05)
    figure = Figure(figsize=size, facecolor="white")
    if crime:
        figure.text(0.02, 1 - 0.05 / size[1], INVERSE_CRIME, color="red", fontsize=12, va="top")
    axes = figure.subplots(len(chosen), len(titles), squeeze=False)
    figure.subplots_adjust(left=0.8 / size[0], right=1 - 0.05 / size[0], bottom=0.05 / size[1],
                           top=1 - top / size[1], wspace=0.03, hspace=0.03)
    splits = {record["number"]: record["split"] for record in data.index["phantoms"]}
    for row, number, (slices, black, _) in zip(axes, chosen, shown, strict=True):
        for ax, image in zip(row, slices, strict=True):
            low, high = CT_HU if ax is row[-1] else (0, black)
            ax.imshow(image.T, cmap="gray" if ax is row[-1] else "gray_r", vmin=low, vmax=high,
                      extent=(*across, *along[::-1]), interpolation="bilinear")
            ax.set(xticks=[], yticks=[], xlim=(-half, half))
        row[0].set_ylabel(f"{number}\n{splits[number]}\nblack {black / 1000:.3g}\nkBq/mL",
                          fontsize=8, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11)
    with replacing(path) as name:
        figure.savefig(name, dpi=100)


def _slices(data, number):
    """Coronal slices (x, z) of a phantom's images, the activity shown black, and the widest |x|."""
    grid, lesions = data.grid(number), data.lesions(number)
    seen = lesions[lesions["inside"] > 0.5]
    pairs = [Pair(number=number, factor=factor, realisation=0) for factor in data.factors]
    images = data.read(pairs[0], ("truth", "standard", "ct", "labels"))
    if len(seen):
        y = seen[np.argmax(seen["activity_bq_ml"] * seen["volume_ml"])]["centre_mm"][1]
        middle = grid.nearest(1, y)
    else:
        middle = int(np.argmax(images["truth"].max(axis=(0, 2))))
    lows = [data.read(pair, ("low",))["low"] for pair in pairs]
    body = images["labels"] > 0
    black = float(np.percentile(images["truth"][body], BLACK))
    widest = float(np.abs(grid.centres(0)[body.any(axis=(1, 2))]).max()) + grid.voxel_mm[0]
    shown = [images["truth"], images["standard"], *lows, images["ct"]]
    return [image[:, middle] for image in shown], black, widest
