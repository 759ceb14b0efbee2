"""How well images of a phantom agree with the truth: numbers, and pictures."""

from dataclasses import dataclass

import numpy as np

from benchmarks.clinical_metrics import contrast_recovery
from benchmarks.image_metrics import compare, default_range
from benchmarks.quality_figures import COLOURS
from recon import Grid
from recon.io import read_image
from recon.io.files import replacing
from recon.resampling import resample

FORMULAS = (
    "liver recovery = mean(image in liver) / mean(truth in liver)",
    "noise = standard deviation(image / truth in liver) / mean(image / truth in liver)",
    "contrast = mean(in lesion) / mean(in liver) - 1;  recovered: that of the image / of the truth",
    "NRMSE = |image - truth| / |truth| over the body;  PSNR and SSIM: benchmarks/image_metrics.py",
)
_DISPLAYED = 4.0  # times the liver's activity is black


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What an image is compared with, on its grid.

    Attributes:
        activity: (x, y, z) in Bq/mL.
        grid: Grid.
        body: voxels of the phantom, bool (x, y, z), none near the scanner's ends.
        liver: voxels that are liver alone, bool (x, y, z), none near the scanner's ends.
        lesions: dict from a lesion's name to the voxels that it fills at least half of.
        shown_at_mm: y and z of the slices worth a look.
        shown_most: activity in Bq/mL that is shown black.
    """

    activity: np.ndarray
    grid: Grid
    body: np.ndarray
    liver: np.ndarray
    lesions: dict
    shown_at_mm: tuple[float, float]
    shown_most: float

    @classmethod
    def of(cls, stored, *, like, within_mm):
        """The truth of a StoredPhantom on an image's voxels.

        Args:
            stored: StoredPhantom with a liver.
            like: path of the image.
            within_mm: what is farther along the axis from the scanner's middle is left out.
        Raises:
            ValueError: no liver is left.
        """
        grid = read_image(like)[1]
        labels = {row["name"]: row["label"] for row in stored.said["regions"]}

        def part(mask):
            return resample(mask.astype(np.float32), stored.grid, grid)

        near = np.abs(grid.centres(2)) <= within_mm
        inside = [row for row in stored.said["regions"]
                  if row["lesion"] and abs(row["centre_mm"][2]) <= within_mm]
        lesions = {row["name"]: part(stored.labels == row["label"]) >= 0.5 for row in inside}
        activity = resample(stored.activity, stored.grid, grid)
        liver = (part(stored.labels == labels["liver"]) > 0.999) & near
        if not liver.any():
            raise ValueError(
                f"the phantom has no liver within {within_mm:g} mm of the scanner's middle; choose "
                "another seed"
            )
        at = max(inside, key=lambda row: row["volume_ml"], default=None)
        return cls(
            activity=activity, grid=grid, body=(part(stored.labels > 0) >= 0.5) & near,
            liver=liver,
            lesions={name: mask for name, mask in lesions.items() if mask.any()},
            shown_at_mm=tuple(at["centre_mm"][1:]) if at else (0.0, 0.0),
            shown_most=_DISPLAYED * float(activity[liver].mean()),
        )

    def quality(self, path):
        """Recovery, noise and nearness of an image (FORMULAS), and the image.

        Args:
            path: image on this grid, in Bq/mL.
        Returns:
            dict of liver_recovery, noise, contrast_recovery (by lesion, of `clinical_metrics`),
            nrmse, psnr and ssim; float32 (x, y, z).
        Raises:
            ValueError: the image is on another grid.
        """
        image, grid, _ = read_image(path)
        if grid.shape != self.grid.shape:
            raise ValueError(
                f"quality takes images of shape {self.grid.shape}, got {grid.shape} in {path}"
            )
        liver = image[self.liver] / self.activity[self.liver]

        background, true = image[self.liver].mean(), self.activity[self.liver].mean()
        return {
            "liver_recovery": float(background / true),
            "noise": float(liver.std() / liver.mean()),
            "contrast_recovery": {
                name: contrast_recovery(image[mask].mean(), background, self.activity[mask].mean(),
                                        true)
                for name, mask in self.lesions.items()
            },
            **compare(image, self.activity, self.body, default_range(self.activity, self.body)),
        }, image


def drawn(panels, at_mm, *, unit, scale, maximum, signed=False, window_mm=(560, 264)):
    """Coronal and axial slices of several images side by side, on one scale.

    Shown as radiologists do: the patient's right is at the left, and head or front at the top.

    Args:
        panels: list of (title, caption, (image, Grid)), all of them head first, supine.
        at_mm: (y, z) of the slices in scanner coordinates.
        unit: that is shown.
        scale: what the images are multiplied with for it.
        maximum: value of the images that is shown black.
        signed: whether values below 0 matter, as those of errors do; `maximum` is then red, and
            its negative blue.
        window_mm: size of what is shown of an axial slice.
    Returns:
        A matplotlib Figure.
    """
    from matplotlib.figure import Figure

    images = [image for _, _, image in panels]
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

    for column, ((title, caption, _), (array, grid)) in enumerate(
        zip(panels, images, strict=True)
    ):
        x = left + column * (4.2 + gap)
        y, z = map(grid.nearest, (1, 2), at_mm)
        across, down, along = grid.extent
        options = {"cmap": "RdBu_r" if signed else "gray_r", "interpolation": "bilinear",
                   "vmin": -maximum * scale if signed else 0, "vmax": maximum * scale}
        coronal = axes(x, bottom + rows[1] + gap, 4.2, rows[0])
        axial = axes(x, bottom, 4.2, rows[1])
        coronal.imshow(array[:, y].T * scale, extent=(*across, *along[::-1]), **options)
        picture = axial.imshow(array[:, :, z].T * scale, extent=(*across, *down[::-1]), **options)
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
    extend = "both" if signed else "max"
    figure.colorbar(picture, cax=bar, extend=extend).set_label(unit, fontsize=12)
    return figure


def profiles(panels, at_mm, *, unit, scale):
    """Lines from the patient's right to left through a point, of several images.

    Args:
        panels: list of (title, (image, Grid)); the first one is drawn black.
        at_mm: (y, z) of the line.
        unit, scale: as of `drawn`.
    Returns:
        A matplotlib Figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    ax = figure.subplots()
    for k, (title, (array, grid)) in enumerate(panels):
        y, z = map(grid.nearest, (1, 2), at_mm)
        ax.plot(grid.centres(0), array[:, y, z] * scale, label=title,
                color=("black", *COLOURS)[k], lw=2 if k == 0 else 1.3)
    ax.set(xlabel="mm from the patient's right (-) to left (+)", ylabel=unit, xlim=(-240, 240))
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, ncols=len(panels))
    return figure


def save(path, figure):
    """Writes a picture, whole or not at all."""
    with replacing(path) as name:
        figure.savefig(name, dpi=130)


def _mark(ax, name):
    """Name of the plane, and which sides of the patient are right and left."""
    ax.set_ylabel(name, fontsize=12)
    for x, side in ((0.02, "R"), (0.98, "L")):
        ax.text(x, 0.5, side, transform=ax.transAxes, ha="left" if x < 0.5 else "right",
                va="center", fontsize=12, color="0.4")
