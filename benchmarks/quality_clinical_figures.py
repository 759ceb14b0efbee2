"""Figures of what a reader sees: lesions' contrast against noise and size, and noise's grain."""

import numpy as np

from benchmarks.methods import factor_of
from benchmarks.quality_figures import colours
from benchmarks.quality_measure import per_phantom
from benchmarks.quality_table import rows_of


def contrast_noise(results):
    """Lesion contrast recovery against liver noise, a panel for each dose, means over phantoms.

    The grey line is the low-dose image under Gaussians of the widths written beside it.
    """
    figure, axes = _panels(results)
    numbers = results["phantoms"]["test"]
    for ax, factor in zip(axes, results["factors"], strict=True):
        sweep = _sweep(results, factor)
        for fwhm_mm, noise, recovery in sweep:
            ax.annotate(f"{fwhm_mm:g}", (noise, recovery), xytext=(3, 3), fontsize=7, color="0.5",
                        textcoords="offset points")
        ax.plot([row[1] for row in sweep], [row[2] for row in sweep], ".-", color="0.7",
                label="Gaussian, FWHM in mm")
        for method in results["methods"]:
            own = factor_of(method["source"], factor)
            noise, recovery = (
                np.nanmean(values) if np.isfinite(values).any() else np.nan for values in
                (per_phantom(results["rows"], name, method["name"], own, numbers)
                 for name in ("variation", "recovery"))
            )
            ax.plot(100 * noise, 100 * recovery, "s" if method["source"] == "standard" else "o",
                    ms=7, color=colours(results)[method["name"]], label=method["name"])
        _labels(ax, factor, "coefficient of variation in the liver (%)")
    axes[0].set_ylabel("lesion contrast recovery (%)", fontsize=9)
    return _with_legend(figure, axes[0])


def _sweep(results, factor):
    """FWHM in mm, liver variation and contrast recovery in %, means over phantoms with both."""
    found = {}
    for row in results["filter_sweep"]:
        if row["factor"] == factor and None not in (row["variation"], row["recovery"]):
            found.setdefault(row["fwhm_mm"], []).append((row["variation"], row["recovery"]))
    return [(fwhm_mm, *100 * np.mean(pairs, axis=0)) for fwhm_mm, pairs in found.items()]


def recovery_by_size(results):
    """Contrast recovery of every lesion against its diameter, a panel for each dose."""
    figure, axes = _panels(results)
    for ax, factor in zip(axes, results["factors"], strict=True):
        for method in results["methods"]:
            lesions = {}
            for row in rows_of(results["rows"], method, factor):
                for one in row["lesions"]:
                    if one["recovery"] is not None:
                        key = row["phantom"], one["name"], one["diameter_mm"]
                        lesions.setdefault(key, []).append(one["recovery"])
            sizes = [diameter for _, _, diameter in lesions]
            ax.plot(sizes, [100 * np.mean(values) for values in lesions.values()],
                    "s" if method["source"] == "standard" else "o", ms=4, alpha=0.7,
                    color=colours(results)[method["name"]], label=method["name"])
        ax.axhline(100, color="0.8", lw=1, zorder=0)
        _labels(ax, factor, "lesion diameter (mm)")
    axes[0].set_ylabel("contrast recovery (%)", fontsize=9)
    return _with_legend(figure, axes[0])


def noise_power(results):
    """Noise power spectra in the liver, relative to its activity, a panel for each dose."""
    figure, axes = _panels(results)
    for ax, factor in zip(axes, results["factors"], strict=True):
        for method in results["methods"]:
            spectra = [row for row in rows_of(results["ensembles"], method, factor)
                       if "noise_power_mm3" in row]
            if not spectra:
                continue
            # Cubes of phantoms differ in size, and so do their frequencies.
            frequency = max((row["frequency_per_mm"] for row in spectra), key=len)
            power = np.mean([np.interp(frequency, row["frequency_per_mm"], row["noise_power_mm3"])
                             for row in spectra], axis=0)
            ax.plot(frequency, power, lw=1.5, color=colours(results)[method["name"]],
                    ls="--" if method["source"] == "standard" else "-", label=method["name"])
        ax.set_yscale("log")
        _labels(ax, factor, "frequency (1/mm)")
    axes[0].set_ylabel("noise power / activity² (mm³)", fontsize=9)
    return _with_legend(figure, axes[0])


def _panels(results):
    from matplotlib.figure import Figure

    count = len(results["factors"])
    figure = Figure(figsize=(max(3.6 * count, 7.0), 4.4), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False, sharey=True)[0]


def _labels(ax, factor, what):
    ax.set_title(f"1/{factor:g} of the dose", fontsize=10)
    ax.set_xlabel(what, fontsize=9)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)


def _with_legend(figure, ax):
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=5,
                  frameon=False, fontsize=9)
    return figure
