"""The table of a comparison of denoisers, in Markdown."""

from benchmarks.methods import factor_of
from benchmarks.paired import LEAST
from benchmarks.quality_measure import METRICS
from recon import text

COLUMNS = ("nrmse_truth", "psnr_truth", "ssim_truth", "psnr_standard", "uniform_bias",
           "lesion_suvmean", "recovery", "recovery_small", "variation", "noise_texture", "false",
           "lost")


def table(results):
    """A Markdown table for each dose: means over phantoms with their intervals.

    Args:
        results: of `benchmarks.quality.quality`.
    """
    test = results["phantoms"]["test"]
    lines = [
        f"{len(test)} {results['claim']}; mean [95 % interval] over phantoms; * where Wilcoxon's "
        "test against the best baseline has p < 0.05, of recovery and biases by their distances to "
        f"100 and 0 %. {few(results)}".rstrip(),
    ]
    for factor in results["factors"]:
        best = results["best_baseline"].get(str(factor))
        lines += ["", f"1 / {factor:g} of the dose" + (f"; best baseline: {best}" if best else ""),
                  "", "| " + " | ".join(["method", *(METRICS[name].title for name in COLUMNS)])
                  + " |", "|---" * (len(COLUMNS) + 1) + "|"]
        for method in results["methods"]:
            cells = [method["name"]]
            for name in COLUMNS:
                row = found(results, method["name"], factor, name)
                said = f"{number(row['mean'], name)} {interval(row, name)}".rstrip()
                cells.append(said + star(row))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def found(results, method, factor, metric):
    """The row of the summary of a method, factor and metric, a dict."""
    return next(row for row in results["summary"] if row["method"] == method
                and row["factor"] == factor and row["metric"] == metric)


def rows_of(rows, method, factor):
    """Rows of the images of a method, out of results["methods"], that are compared at a dose.

    The images of a standard dose are the same at every low dose.
    """
    own = factor_of(method["source"], factor)
    return [row for row in rows if row["method"] == method["name"] and row["factor"] == own]


def few(results):
    """A sentence on why nothing is sure, "" where there are phantoms enough."""
    many = len(results["phantoms"]["test"])
    if many >= LEAST:
        return ""
    return (f"Of {text.plural(many, 'phantom')} no interval is given, and no difference is called "
            f"sure: below {LEAST}, even one that all of them show has p above 0.05.")


def interval(row, metric):
    """The interval of a row of the summary, as text; "" where it has none."""
    if row["low"] is None:
        return ""
    return f"[{number(row['low'], metric)}, {number(row['high'], metric)}]"


def star(row):
    """What marks a row of the summary that differs from the best baseline, else ""."""
    against = row.get("against")
    return "*" if against and against["low"] is not None and against["p"] < 0.05 else ""


def number(value, metric):
    """A value of a metric with its unit; a dash for None."""
    if value is None:
        return "–"
    if METRICS[metric].percent:
        return f"{100 * value:{'+' if METRICS[metric].target == 0 else ''}.1f} %"
    return f"{value:.3f}" if metric.startswith("ssim") else f"{value:.2f}"
