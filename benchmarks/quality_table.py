"""The table of a comparison of denoisers, in Markdown."""

from benchmarks.quality_measure import METRICS

COLUMNS = ("nrmse_truth", "psnr_truth", "ssim_truth", "psnr_standard", "uniform_bias",
           "lesion_suvmean", "recovery", "recovery_small", "variation", "false", "lost")


def table(results):
    """A Markdown table for each dose: means over phantoms with their intervals.

    Args:
        results: of `benchmarks.quality.quality`.
    """
    test = results["phantoms"]["test"]
    lines = [
        f"{len(test)} {results['claim']}; mean [95 % interval] over phantoms; * where Wilcoxon's "
        f"test against the best baseline has p < 0.05 (with {len(test)} phantoms it is never "
        f"below {2 / 2 ** len(test):.2g}).",
    ]
    for factor in results["factors"]:
        best = results["best_baseline"].get(str(factor))
        lines += ["", f"1 / {factor:g} of the dose" + (f"; best baseline: {best}" if best else ""),
                  "", "| " + " | ".join(["method", *(METRICS[name].title for name in COLUMNS)])
                  + " |", "|---" * (len(COLUMNS) + 1) + "|"]
        for method in results["methods"]:
            cells = [cell(found(results, method["name"], factor, name), name) for name in COLUMNS]
            lines.append("| " + " | ".join([method["name"], *cells]) + " |")
    return "\n".join(lines) + "\n"


def found(results, method, factor, metric):
    """The row of the summary of a method, factor and metric, a dict."""
    return next(row for row in results["summary"] if row["method"] == method
                and row["factor"] == factor and row["metric"] == metric)


def cell(row, metric):
    """Mean, interval and the test's star of a row of the summary, as text."""
    if row["mean"] is None:
        return "–"
    text = number(row["mean"], metric)
    if row["low"] is not None:
        text += f" [{number(row['low'], metric)}, {number(row['high'], metric)}]"
    p = (row.get("against") or {}).get("p")
    return text + "*" * (p is not None and p < 0.05)


def number(value, metric):
    """A value of a metric with its unit."""
    if METRICS[metric].percent:
        return f"{100 * value:{'+' if METRICS[metric].better == 0 else ''}.1f} %"
    return f"{value:.3f}" if metric.startswith("ssim") else f"{value:.2f}"
