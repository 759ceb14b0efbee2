"""The figure of `countless benchmark contrast-noise`: a row for each dose, a column per sphere."""

import numpy as np

from benchmarks.quality_figures import COLOURS
from recon import text
from recon.io.files import replacing

_ITERATIONS, (_GAUSSIAN, *_OTHERS) = "0.45", COLOURS


def draw_curves(path, results):
    """Draws contrast recovery against background variability, means over realisations.

    Args:
        path: picture to write.
        results: of `benchmarks.contrast_noise.contrast_noise`.
    """
    from matplotlib.figure import Figure

    factors = list(dict.fromkeys(row["factor"] for row in results["rows"]))
    spheres = [one["diameter_mm"] for one in results["rows"][0]["spheres"]]
    figure = Figure(figsize=(1.0 + 2.3 * len(spheres), 1.2 + 2.4 * len(factors)),
                    layout="constrained")
    panels = figure.subplots(len(factors), len(spheres), squeeze=False, sharex="row", sharey=True)
    for row, factor in zip(panels, factors, strict=True):
        for k, ax in enumerate(row):
            for curve in _curves(results, factor):
                _draw(ax, curve, k, marked=k == len(spheres) - 1)
            ax.axhline(100, color="0.85", lw=1, zorder=0)
            ax.tick_params(labelsize=8)
            ax.spines[["top", "right"]].set_visible(False)
        dose = "standard dose" if factor == 1 else f"1/{factor:g} of the dose"
        row[0].set_ylabel(f"{dose}\ncontrast recovery (%)", fontsize=9)
        row[0].set_xlim(left=0)
    for ax, diameter in zip(panels[0], spheres, strict=True):
        ax.set_title(f"sphere of {diameter} mm", fontsize=10)
    for ax in panels[-1]:
        ax.set_xlabel("background variability (%)", fontsize=9)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  frameon=False, fontsize=9)
    with replacing(path) as name:
        figure.savefig(name, dpi=130, metadata={"Software": None})


def _curves(results, factor):
    """What is drawn at a dose, a list of dict: rows in order, label, colour and marks."""
    rows = [row for row in results["rows"] if row["factor"] == factor]
    made = results["study"]["reconstruction"]
    standard = made["iterations"]
    gaussian = rows[0]["method"]  # the first of each image, at strength 0: as it is
    plain = [row for row in rows if row["method"] == gaussian and row["strength"] == 0]
    widths = [row for row in rows if row["method"] == gaussian and row["iteration"] == standard]
    found = [
        {"rows": plain, "label": f"no filter, {text.plural(len(plain), 'iteration')}",
         "colour": _ITERATIONS,
         "marks": [row["iteration"] for row in plain]},
        {"rows": widths, "colour": _GAUSSIAN,
         "label": f"Gaussian, FWHM in mm, after {text.plural(standard, 'iteration')}",
         "marks": [f"{row['strength']:g}" if row["strength"] else "" for row in widths]},
    ]
    for method, colour in zip(results["methods"], _cycled(len(results["methods"])), strict=True):
        own = [row for row in rows if row["method"] == method["name"]]
        what = ("over strengths" if own[0]["strength"] is not None else
                f"over iterations (ring: {standard})")
        found.append({"rows": own, "label": f"{method['name']}, {what}", "colour": colour,
                      "marks": [""] * len(own),
                      "ring": [row["iteration"] == standard and row["strength"] is None
                               for row in own]})
    return found


def _draw(ax, curve, sphere, marked):
    """One curve of a sphere; a ring where a network sees the study's own iterations."""
    points = [row["spheres"][sphere] for row in curve["rows"]]
    noise = np.array([100 * one["variability"] for one in points])
    recovery = np.array([np.nan if one["recovery"] is None else 100 * one["recovery"]
                         for one in points])
    ax.plot(noise, recovery, ".-", color=curve["colour"], lw=1.3, ms=5, label=curve["label"])
    ringed = np.array(curve.get("ring", [False] * len(points)))
    ax.plot(noise[ringed], recovery[ringed], "o", ms=8, mfc="none", color=curve["colour"])
    if marked:  # where curves are longest
        for x, y, mark in zip(noise, recovery, curve["marks"], strict=True):
            if np.isfinite(y):
                ax.annotate(str(mark), (x, y), xytext=(3, 3), textcoords="offset points",
                            fontsize=6.5, color=curve["colour"])


def _cycled(count):
    return [_OTHERS[k % len(_OTHERS)] for k in range(count)]
