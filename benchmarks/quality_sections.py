"""Parts of the report of a comparison of denoisers that are words and tables, as HTML."""

from html import escape

import numpy as np

from benchmarks.quality_measure import METRICS
from benchmarks.quality_table import cell, found, number


def headlines(results):
    """Where a model does surely worse than the best baseline: parts of the page, none without.

    Surely is where the difference's interval does not hold 0; a bias is worse that is farther from
    0.
    """
    learned = [method["name"] for method in results["methods"] if method["sha256"]]
    lines = []
    for row in results["summary"]:
        against = row.get("against")
        if row["method"] not in learned or not against or against["low"] is None:
            continue
        better = METRICS[row["metric"]].better
        own, other = row["mean"], row["mean"] - against["mean"]
        loss = better * (other - own) if better else abs(own) - abs(other)
        if loss > 0 and against["low"] * against["high"] > 0:
            lines.append(
                f"<li>{escape(row['method'])} at 1/{row['factor']:g} of the dose: "
                f"{escape(METRICS[row['metric']].title)} is {number(own, row['metric'])}, and "
                f"{escape(against['baseline'])}'s {number(other, row['metric'])} (p = "
                f"{against['p']:.2g})</li>"
            )
    return [f"<h2>Where models lose</h2><ul>{''.join(lines)}</ul>"] if lines else []


def against_standard(results):
    """Whether the low dose comes nearer to the truth than the standard-dose image as it is."""
    rows = []
    for method in results["methods"]:
        cells = [_difference(found(results, method["name"], factor, "nrmse_truth"))
                 for factor in results["factors"] if method["source"] == "low"]
        if any(cells):
            rows.append(f"<tr><td>{escape(method['name'])}</td>{''.join(cells)}</tr>")
    if not rows:
        return []
    head = "".join(f"<th>1/{factor:g}</th>" for factor in results["factors"])
    return ["<h2>Nearer to the truth than the standard dose?</h2>",
            note("NRMSE to truth less that of the standard-dose image as it was reconstructed, in "
                  "percentage points; green: surely nearer"),
            f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"]


def _difference(row):
    """A cell of a difference to the standard dose; "" without one."""
    against = row["against_standard"]
    if against["mean"] is None:
        return ""
    ends, better = "", ""
    if against["low"] is not None:
        ends = (f"<small>[{100 * against['low']:+.1f}, {100 * against['high']:+.1f}], "
                f"p = {against['p']:.2g}</small>")
        better = " class=best" if against["high"] < 0 else ""
    return f"<td{better}>{100 * against['mean']:+.1f}{ends}</td>"


def metrics(results, factor):
    """All metrics of all methods at a dose; the best mean of the low dose has a green field."""
    best = {metric: _best_of(results, factor, metric) for metric in METRICS}
    head = "".join(f"<th>{escape(name)}</th>" for name in
                   ["", *(method["name"] for method in results["methods"])])
    rows = []
    for metric, about in METRICS.items():
        cells = []
        for method in results["methods"]:
            row = found(results, method["name"], factor, metric)
            mean, _, interval = cell(row, metric).partition(" [")
            star = "*" if interval.endswith("*") else ""
            small = f"<small>[{interval.rstrip('*')}</small>" if interval else ""
            chosen = " class=best" if method["name"] in best[metric] else ""
            cells.append(f"<td{chosen}>{mean}{star}{small}</td>")
        rows.append(f"<tr><td>{escape(about.title)}</td>{''.join(cells)}</tr>")
    baseline = results["best_baseline"].get(str(factor))
    test = (f"* p &lt; 0.05 against the best baseline in validation, {escape(baseline)}; "
            if baseline else "")
    return (f"<div class=wide><table><tr>{head}</tr>{''.join(rows)}</table></div>"
            + note(test + "green: best mean of the low-dose methods"))


def _best_of(results, factor, metric):
    """Names of the low-dose methods with the best mean."""
    better, means = METRICS[metric].better, {}
    for method in results["methods"]:
        mean = found(results, method["name"], factor, metric)["mean"]
        if method["source"] == "low" and mean is not None:
            means[method["name"]] = better * mean if better else -abs(mean)
    return [name for name, value in means.items() if value == max(means.values())]


def ensembles(results):
    """Noise and bias over realisations in the liver, by method and dose."""
    lines = []
    for method in results["methods"]:
        cells = []
        for factor in results["factors"]:
            own = 1.0 if method["source"] == "standard" else factor
            rows = [row for row in results["ensembles"]
                    if row["method"] == method["name"] and row["factor"] == own]
            means = [100 * np.mean([row[name] for row in rows]) for name in ("noise", "bias")
                     if rows]
            cells.append("<td>{:.1f} %<small>{:+.1f} %</small></td>".format(*means) if means
                         else "<td>–</td>")
        lines.append(f"<tr><td>{escape(method['name'])}</td>{''.join(cells)}</tr>")
    if not results["ensembles"]:
        return []
    head = "".join(f"<th>1/{factor:g}</th>" for factor in results["factors"])
    return ["<h2>Noise and bias over realisations</h2>",
            note("In the liver, or in the largest organ, relative to its true mean: standard "
                  "deviation between realisations, and below it the bias of their mean"),
            f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"]


def detectability(results):
    """AUC of the observer by method and dose."""
    told = results["detectability"]
    if told is None:
        return []
    aucs = {(row["method"], row["factor"]): row for row in told["rows"]}
    rows = []
    for method in results["methods"]:
        cells = []
        for factor in results["factors"]:
            row = aucs[method["name"], 1.0 if method["source"] == "standard" else factor]
            cells.append("<td>–</td>" if row["auc"] is None else
                         f"<td>{row['auc']:.3f}<small>[{row['low']:.3f}, {row['high']:.3f}]"
                         "</small></td>")
        rows.append(f"<tr><td>{escape(method['name'])}</td>{''.join(cells)}</tr>")
    one = told["rows"][0]
    low, high = told["diameters_mm"]
    standard = told["validation_of_standard"] or {"auc": None}
    about = (f"Area under the curve: {escape(told['observer'])}; {escape(told['channels'])}; "
             f"internal noise {told['internal_noise']:g}; {one['pairs']} pairs with and without a "
             f"lesion of {low:.0f} to {high:.0f} mm, of {one['phantoms']} phantoms; "
             f"{escape(told['split'])}; standard dose in validation: "
             + ("too few pairs" if standard["auc"] is None else f"{standard['auc']:.3f}"))
    head = "".join(f"<th>1/{factor:g}</th>" for factor in results["factors"])
    return ["<h2>Detectability of lesions</h2>", note(about),
            f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"]


def nema(results):
    """Contrast recovery and background variability of NEMA's spheres, by method and dose."""
    rows = [row for row in results["rows"] if "nema" in row]
    parts = ["<h2>NEMA NU 2: contrast recovery, background variability</h2>"] if rows else []
    for factor in results["factors"] if rows else ():
        lines = []
        for method in results["methods"]:
            own = 1.0 if method["source"] == "standard" else factor
            spheres = [row["nema"]["spheres"] for row in rows
                       if row["method"] == method["name"] and row["factor"] == own]
            cells = "".join(
                "<td>{:.1f} %<small>{:.1f} %</small></td>".format(*(
                    100 * np.mean([one[name] for one in same])
                    for name in ("recovery", "variability"))) for same in zip(*spheres, strict=True)
            )
            lines.append(f"<tr><td>{escape(method['name'])}</td>{cells}</tr>")
        head = "".join(f"<th>{one['diameter_mm']} mm</th>" for one in rows[0]["nema"]["spheres"])
        parts.append(f"<h3>1/{factor:g} of the dose</h3><table><tr><th></th>{head}</tr>"
                     f"{''.join(lines)}</table>")
    return parts


def organs(results):
    """SUVmean bias of each organ by method, at each dose."""
    names = sorted({name for row in results["rows"] for name in row["organs"]})
    parts = ["<h2>SUVmean bias of organs</h2>"]
    head = "".join(f"<th>{escape(name)}</th>" for name in
                   ["", *(method["name"] for method in results["methods"])])
    for factor in results["factors"]:
        rows = []
        for organ in names:
            cells = []
            for method in results["methods"]:
                own = 1.0 if method["source"] == "standard" else factor
                values = [row["organs"][organ] for row in results["rows"] if organ in row["organs"]
                          and row["method"] == method["name"] and row["factor"] == own]
                cells.append(f"<td>{100 * np.mean(values):+.1f} %</td>")
            rows.append(f"<tr><td>{escape(organ)}</td>{''.join(cells)}</tr>")
        parts.append(f"<h3>1/{factor:g} of the dose</h3><div class=wide><table><tr>{head}</tr>"
                     f"{''.join(rows)}</table></div>")
    return parts


def tuning(results):
    if not results["tuned"]:
        return []
    rows = "".join(
        f"<tr><td>{escape(row['method'])}</td><td>{_dose(row['factor'])}</td><td>"
        f"{escape(row['parameter'])} {row['strength']:.3g}</td><td>{100 * row['nrmse']:.1f} %</td>"
        f"<td>{'at the end of its range' if row['at_end'] else ''}</td></tr>"
        for row in results["tuned"]
    )
    return [f"<h2>Baselines' strengths, from validation</h2><table><tr><th></th><th>dose</th>"
            f"<th>strength</th><th>NRMSE to truth</th><th></th></tr>{rows}</table>"]


def _dose(factor):
    return "standard" if factor == 1 else f"1/{factor:g}"


def note(text):
    return f"<p class=note>{text}.</p>"
