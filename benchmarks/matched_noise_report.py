"""The table and the figure of `countless benchmark matched-noise`."""

import textwrap

import numpy as np

from benchmarks.matched_noise_summary import REFERENCE
from benchmarks.quality_figures import COLOURS
from benchmarks.quality_measure import SMALL_MM
from recon import text
from recon.io.files import replacing

WIDTH = 100


def table(results):
    """Lines for the terminal: each statistic of each method, its gain and what is made of it.

    Args:
        results: of `benchmarks.matched_noise.matched_noise`.
    """
    wide = max(len(method["name"]) for method in results["methods"]) + 2
    lines = []
    for place, where in results["places"].items():
        lines += ["", f"1/{results['factor']} of the dose, {where}:"]
        for statistic, title in results["statistics"].items():
            lines.append(f"  {title}")
            lines += [
                f"    {row['method']:{wide}}{_said(row)}" for row in results["summary"]
                if row["at"] == place and row["statistic"] == statistic
            ]
        lines.append("  liver (or largest organ): bias, pattern of its own, noise texture from "
                     f"{REFERENCE}'s")
        for row in [row for row in results["qualities"] if row["at"] == place]:
            texture = "–" if row["texture_db"] is None else f"{row['texture_db']:.1f} dB"
            lines.append(f"    {row['method']:{wide}}{_percent(row['bias'], '+'):>7}"
                         f"{_percent(row['pattern']):>8}{texture:>9}")
    lines.append("")
    for sentence in results["notes"]:
        lines += textwrap.wrap(sentence, WIDTH)
    return "\n".join(lines)


def draw_curves(path, results):
    """Draws contrast of all and of small lesions, and NRMSE, against noise: means over phantoms.

    Args:
        path: picture to write.
        results: of `benchmarks.matched_noise.matched_noise`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.6, 4.6), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True)
    small = f"lesions up to {SMALL_MM:g} mm"
    titles = ("all lesions", small, "error")
    for ax, title, label in zip(panels, titles, ("contrast recovery (%)",) * 2 + ("NRMSE (%)",),
                                strict=True):
        ax.set_title(title, fontsize=10)
        ax.set_ylabel(label, fontsize=9)
        ax.set_xlabel("noise between realisations (%)", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    at = None
    for k, method in enumerate(results["methods"]):
        curves = [curve for curve in results["curves"] if curve["method"] == method["name"]]
        tuned = next(one for one in results["validation"] if one["method"] == method["name"])
        best = curves[0]["values"].index(tuned["least_at"])
        noise = 100 * np.mean([curve["noise"] for curve in curves], axis=0)
        at = noise[best] if method["name"] == REFERENCE else at
        lines = (_contrast(curves, np.inf), _contrast(curves, SMALL_MM),
                 np.mean([curve["nrmse"] for curve in curves], axis=0))
        for ax, values in zip(panels, lines, strict=True):
            if values is None:
                continue
            colour = COLOURS[k % len(COLOURS)]
            ax.plot(noise, 100 * values, ".-", color=colour, lw=1.3, ms=5,
                    label=f"{method['name']}, by {_KNOBS.get(tuned['knob'], tuned['knob'])}")
            ax.plot(noise[best], 100 * values[best], "o", ms=9, mfc="none", color=colour)
    for ax in panels:
        ax.axvline(at, color="0.75", lw=1, ls=":", zorder=0)
        ax.set_xlim(left=0)
    many = len(results["phantoms"]["test"])
    figure.suptitle(
        f"1/{results['factor']} of the dose, {results['realisations']} realisations, held-out "
        f"phantoms: {many}; ring: least NRMSE in validation; dotted: where contrast is compared",
        fontsize=10)
    figure.legend(*panels[2].get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  frameon=False, fontsize=9)
    with replacing(path) as name:
        figure.savefig(name, dpi=130, metadata={"Software": None})


_KNOBS = {"fwhm_mm": "FWHM in mm", "blend": "its part in a blend"}


def _contrast(curves, most_mm):
    """Mean contrast recovery over lesions that have one at each point, (point,); None without."""
    columns = [
        column for curve in curves
        for column, diameter in zip(np.array(curve["recoveries"], dtype=float).T,
                                    curve["diameters_mm"], strict=True)
        if diameter <= most_mm and not np.isnan(column).any()
    ]
    return np.mean(columns, axis=0) if columns else None


def _said(row):
    """A row of the summary in words."""
    if row["value"] is None:
        return "– (no value)"
    words = f"{_percent(row['value']):>7}"
    if row["verdict"]:
        gain, low, high = (f"{100 * row[key]:+.1f}" for key in ("gain", "gain_low", "gain_high"))
        words += f"  gain {gain} [{low}, {high}] points: {row['verdict']}"
    of = f"{row['numbers']} of {row['of_numbers']}"
    if row["statistic"] == "nrmse":
        return f"{words}; {of} phantoms"
    return f"{words}; {of} lesions, in {text.plural(row['people'], 'phantom')}"


def _percent(value, sign=""):
    return "–" if value is None else f"{100 * value:{sign}.1f} %"
