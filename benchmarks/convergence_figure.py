"""The figure of `countless benchmark convergence`: distances over passes, a panel for each case."""

import math

from benchmarks.quality_figures import COLOURS
from recon.io.files import replacing

COLUMNS = 4


def draw_distances(path, results):
    """Draws how far images are from the converged one after each update.

    Args:
        path: picture to write.
        results: of `benchmarks.convergence.convergence`.
    """
    from matplotlib.figure import Figure

    drawn = [row for row in results["cases"] if row["algorithms"]]
    rows = max(1, math.ceil(len(drawn) / COLUMNS))
    figure = Figure(figsize=(3.0 * COLUMNS, 0.9 + 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for ax, row in zip(panels.flat, drawn, strict=False):
        ax.axhline(1, color="0.6", lw=1, zorder=0)
        for (name, found), colour in zip(row["algorithms"].items(), COLOURS, strict=False):
            _draw(ax, name, found, colour)
        ax.set_title(row["name"], fontsize=9)
        ax.set(yscale="log", ylim=(0.05, 200), xlim=(0, results["passes"] / 2))
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in panels.flat[len(drawn):]:
        ax.set_axis_off()
    for ax in panels[-1]:
        ax.set_xlabel("passes over the data", fontsize=9)
    for ax in panels[:, 0]:
        ax.set_ylabel("largest distance\nover its threshold", fontsize=9)
    if drawn:
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center",
                      ncols=len(drawn[0]["algorithms"]), frameon=False, fontsize=9)
    with replacing(path) as name:
        figure.savefig(name, dpi=130, metadata={"Software": None})


def _draw(ax, name, found, colour):
    """One curve, with a dot at the update from which it stays near."""
    passes = [passes for passes, _ in found["curve"]]
    worst = [math.nan if worst is None else worst for _, worst in found["curve"]]
    ax.plot(passes, worst, color=colour, lw=1.2, label=name)
    if found["updates"]:
        ax.plot(found["passes"], worst[found["updates"] - 1], "o", ms=5, color=colour)
