"""Figures of a comparison of denoisers: curves over dose, slices with their errors, profiles."""

import numpy as np

from benchmarks.methods import factor_of
from benchmarks.quality_measure import METRICS
from benchmarks.quality_table import found

BLACK = 99.7  # percentile of the truth in the body that is shown black
ERROR = 0.5  # of that, the error that is shown in full colour
_LEFT, _TOP, _BELOW, _GAP, _COLUMN = 0.45, 0.3, 0.75, 0.08, 3.0  # inches of the slices
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#6b6b6b",
           "#a6761d", "#b2182b")  # told apart by the colour-blind; low dose and truth are black


class Shown:
    """Slices and lines of a phantom.

    Attributes:
        number, grid: of the phantom.
        lesions: whether it has any.
        at: voxel (x, y, z) of the shown lesion's middle, or else of the image's.
        around: the body's ends along each axis, in mm, a little wider.
        images: dict from (method's name, factor) to the first realisation's coronal slice (x, z),
            axial slice (x, y) and line along x.
        most: activity that is shown black, in Bq/mL.
    """

    def __init__(self, number, regions, grid):
        self.number, self.grid, self.lesions = number, grid, bool(regions.lesions)
        self.most = float(np.percentile(regions.truth[regions.body], BLACK))
        lesion = max(regions.lesions, default=None,
                     key=lambda one: regions.truth[one.mask].sum(dtype=float))
        self.at = lesion.at if lesion else tuple(n // 2 for n in grid.shape)
        self.around = [_around(regions.body, grid, axis) for axis in range(3)]
        self.images = {("truth", 1.0): self._parts(regions.truth)}

    @staticmethod
    def chosen(several):
        """The first of several that has a lesion, or else the first."""
        return next((one for one in several if one.lesions), several[0])

    @property
    def where(self):
        """What `at` is the middle of, in words."""
        return "its lesion of most activity" if self.lesions else "its images"

    def keep(self, method, factor, realisation, image):
        """Notes the slices of an image."""
        if realisation == 0:
            self.images[method.name, factor] = self._parts(image)

    def _parts(self, image):
        _, y, z = self.at
        return image[:, y].copy(), image[:, :, z].copy(), image[:, y, z].copy()


def colours(results):
    """A colour for each method; the low-dose image itself is black."""
    names = [method["name"] for method in results["methods"] if method["name"] != "low"]
    return {"low": "black"} | {
        name: COLOURS[k % len(COLOURS)] for k, name in enumerate(names)
    }


def curves(results):
    """NRMSE, PSNR and SSIM over dose, to the truth and to the standard dose, with the oracle."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots(2, 3)
    for row, reference in zip(axes, ("truth", "standard"), strict=True):
        for ax, name in zip(row, ("nrmse", "psnr", "ssim"), strict=True):
            _curve(ax, results, f"{name}_{reference}")
    if results["oracle_psnr_standard"]:
        bound = [results["oracle_psnr_standard"][str(f)] for f in results["factors"]]
        axes[1, 1].plot(results["factors"], bound, color="black", ls=":", lw=2, label="oracle")
    shown = {}
    for ax in (axes[0, 0], axes[1, 1]):
        handles, labels = ax.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    figure.legend(shown.values(), shown, loc="outside lower center", ncols=5, frameon=False,
                  fontsize=9)
    return figure


def _curve(ax, results, metric):
    """A metric of all methods over dose; of the standard dose it is one number: a dashed line."""
    metric_of, scale = METRICS[metric], 100 if METRICS[metric].percent else 1
    for method in results["methods"]:
        rows = [found(results, method["name"], f, metric) for f in results["factors"]]
        if any(row["mean"] is None for row in rows):
            continue
        mean = scale * np.array([row["mean"] for row in rows])
        colour = colours(results)[method["name"]]
        if method["source"] == "standard":
            ax.axhline(mean[0], color=colour, ls="--", lw=1.4, label=method["name"])
            continue
        ax.plot(results["factors"], mean, "o-", color=colour, lw=1.6, ms=4, label=method["name"])
        if rows[0]["low"] is not None:
            low, high = (scale * np.array([row[end] for row in rows]) for end in ("low", "high"))
            ax.fill_between(results["factors"], low, high, color=colour, alpha=0.12, lw=0)
    _dose_axis(ax, results["factors"])
    ax.set_title(metric_of.title + (" in %" if metric_of.percent else ""), fontsize=10)


def _dose_axis(ax, factors):
    ax.set_xscale("log")
    ax.set_xticks(factors, [f"1/{factor:g}" for factor in factors])
    ax.minorticks_off()
    ax.tick_params(labelsize=8)
    ax.set_xlabel("part of the dose", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)


def slices(results, shown, factor):
    """A coronal and an axial slice of each image, and its error, all on the same two scales."""
    from matplotlib.figure import Figure

    names = [("truth", 1.0)] + [
        (method["name"], factor_of(method["source"], factor))
        for method in results["methods"]
    ]
    across, down, along = shown.around
    per_mm = _COLUMN / (across[1] - across[0])
    tall = max(np.ptp(down), np.ptp(along)) * per_mm
    size = (_LEFT + 4 * (_COLUMN + _GAP), _TOP + len(names) * (tall + _GAP) + _BELOW)
    figure = Figure(figsize=size)

    def axes(column, row, height, width=_COLUMN):
        low = _BELOW + (len(names) - 1 - row) * (tall + _GAP) + (tall - height) / 2
        left = _LEFT + column * (_COLUMN + _GAP)
        return figure.add_axes((left / size[0], low / size[1], width / size[0], height / size[1]))

    truth = shown.images["truth", 1.0]
    for row, key in enumerate(names):
        for part, (ends, axis) in enumerate(((along, 2), (down, 1))):
            image = shown.images[key][part]
            extent = (*shown.grid.extent[0], *shown.grid.extent[axis][::-1])
            panels = [(part, image, "gray_r", 0.0, 1.0)]
            if row:
                panels.append((part + 2, image - truth[part], "RdBu_r", -ERROR, ERROR))
            for column, values, colours_of, low, high in panels:
                ax = axes(column, row, np.ptp(ends) * per_mm)
                drawn = ax.imshow(values.T / 1000, extent=extent, cmap=colours_of,
                                  vmin=low * shown.most / 1000, vmax=high * shown.most / 1000,
                                  interpolation="nearest")
                ax.set(xlim=across, ylim=ends[::-1], xticks=[], yticks=[])
                if row <= 1 and (row or column < 2):
                    _mark(ax, row, column, across, ends)
                if column == 0:
                    ax.set_ylabel(key[0], fontsize=10)
                if row == len(names) - 1 and part:
                    bar = figure.add_axes(((_LEFT + (column - 0.7) * (_COLUMN + _GAP)) / size[0],
                                           0.45 / size[1], 1.4 * _COLUMN / size[0],
                                           0.13 / size[1]))
                    figure.colorbar(drawn, cax=bar, orientation="horizontal",
                                    extend="both" if low else "max").set_label(
                        "image less truth, kBq/mL" if low else "kBq/mL", fontsize=9)
                    bar.tick_params(labelsize=8)
    return figure


def _mark(ax, row, column, across, ends):
    """A panel's title; in the truth's, right and left of the patient, and a length."""
    titles = ("coronal", "axial", "error, coronal", "error, axial")
    if (row == 0) == (column < 2):
        ax.set_title(titles[column], fontsize=10)
    if row == 0:
        for x, side, where in ((0.02, "R", "left"), (0.98, "L", "right")):
            ax.text(x, 0.5, side, transform=ax.transAxes, ha=where, va="center", color="0.4")
    if row == column == 0:
        left, bottom = across[0] + 10, ends[1] - 10
        ax.plot([left, left + 100], [bottom, bottom], color="black", lw=2)
        ax.text(left + 50, bottom - 4, "10 cm", ha="center", va="bottom", fontsize=8)


def _around(body, grid, axis):
    """The body's ends along an axis, in mm, a little wider."""
    inside = np.flatnonzero(body.any(axis=tuple(a for a in range(3) if a != axis)))
    low, high = grid.centres(axis)[inside[[0, -1]]]
    return low - 8, high + 8


def profiles(results, shown):
    """The line along x through the shown place, at each dose."""
    from matplotlib.figure import Figure

    factors = results["factors"]
    figure = Figure(figsize=(12, 1.0 + 2.6 * len(factors)), layout="constrained")
    x, limits = shown.grid.centres(0), shown.around[0]
    for ax, factor in zip(figure.subplots(len(factors), squeeze=False)[:, 0], factors,
                          strict=True):
        ax.fill_between(x, shown.images["truth", 1.0][2] / 1000, step="mid", color="0.85",
                        label="truth")
        for method in results["methods"]:
            key = method["name"], factor_of(method["source"], factor)
            ax.plot(x, shown.images[key][2] / 1000, color=colours(results)[method["name"]],
                    lw=0.9 if method["name"] == "low" else 1.4, label=method["name"],
                    ls="--" if method["source"] == "standard" else "-")
        ax.set_xlim(limits)
        ax.set_ylim(bottom=0)
        ax.set_title(f"1/{factor:g} of the dose", fontsize=10, loc="left")
        ax.set_ylabel("kBq/mL", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel(f"x (mm), through the middle of {shown.where}", fontsize=9)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6,
                  frameon=False, fontsize=9)
    return figure
