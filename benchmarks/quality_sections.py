"""Parts of the report of a comparison of denoisers that are words and tables, as HTML."""

from html import escape

import numpy as np

from benchmarks.quality_measure import METRICS
from benchmarks.quality_table import found, interval, number, rows_of, star


def headlines(results):
    """Where a model does surely worse than the best baseline: parts of the page, none without.

    Surely is where the difference's interval does not hold 0; a bias is worse that is farther from
    0, a recovery that is farther from 1. Of few phantoms nothing is sure.
    """
    learned = [method["name"] for method in results["methods"] if method["sha256"]]
    lines = []
    for row in results["summary"]:
        against = row.get("against")
        if row["method"] not in learned or not against or against["low"] is None:
            continue
        name, metric = row["metric"], METRICS[row["metric"]]
        if metric.loss(against["mean"]) > 0 and against["low"] * against["high"] > 0:
            other = found(results, against["baseline"], row["factor"], name)["mean"]
            farther = (f", farther from {100 * metric.target:g} % by "
                       f"{100 * against['mean']:.1f} points") if metric.aimed else ""
            lines.append(
                f"<li>{escape(row['method'])} at 1/{row['factor']:g} of the dose: "
                f"{escape(metric.title)} is {number(row['mean'], name)}, and "
                f"{escape(against['baseline'])}'s {number(other, name)}{farther} (p = "
                f"{against['p']:.2g})</li>"
            )
    return [f"<h2>Where models lose</h2><ul>{''.join(lines)}</ul>"] if lines else []


def against_standard(results):
    """Whether the low dose comes nearer to the truth than the standard-dose image as it is."""
    if all(method["name"] != "standard" for method in results["methods"]):
        return []
    low = [method for method in results["methods"] if method["source"] == "low"]
    return ["<h2>Nearer to the truth than the standard dose?</h2>",
            note("NRMSE to truth less that of the standard-dose image as it was reconstructed, in "
                 "percentage points; green: surely nearer"),
            _over_doses(results, low, lambda method, factor: _difference(
                found(results, method["name"], factor, "nrmse_truth")["against_standard"]))]


def _difference(against):
    """A cell of a difference to the standard dose."""
    ends, better = "", ""
    if against["low"] is not None:
        ends = (f"<small>[{100 * against['low']:+.1f}, {100 * against['high']:+.1f}], "
                f"p = {against['p']:.2g}</small>")
        better = " class=best" if against["high"] < 0 else ""
    return f"<td{better}>{100 * against['mean']:+.1f}{ends}</td>"


def metrics(results, factor):
    """All metrics of all methods at a dose; the best mean of the low dose has a green field."""
    best = {metric: _best_of(results, factor, metric) for metric in METRICS}
    rows = []
    for metric, about in METRICS.items():
        cells = []
        for method in results["methods"]:
            row = found(results, method["name"], factor, metric)
            chosen = " class=best" if method["name"] in best[metric] else ""
            ends = interval(row, metric)
            cells.append(f"<td{chosen}>{number(row['mean'], metric)}{star(row)}"
                         + (f"<small>{ends}</small></td>" if ends else "</td>"))
        rows.append((about.title, cells))
    baseline = results["best_baseline"].get(str(factor))
    test = (f"* p &lt; 0.05 against the best baseline in validation, {escape(baseline)}; "
            if baseline else "")
    return (_table([method["name"] for method in results["methods"]], rows)
            + note(test + "green: best mean of the low-dose methods"))


def _best_of(results, factor, metric):
    """Names of the low-dose methods with the best mean."""
    about, losses = METRICS[metric], {}
    for method in results["methods"]:
        mean = found(results, method["name"], factor, metric)["mean"]
        if method["source"] == "low" and mean is not None:
            losses[method["name"]] = about.loss(about.compared(mean))
    return [name for name, value in losses.items() if value == min(losses.values())]


def trainings(results):
    """How far trainings of one recipe with other seeds differ, none without several of them."""
    rows = results["trainings"]
    if not rows:
        return []
    parts = ["<h2>Several trainings of one recipe</h2>",
             note("Mean over phantoms and trainings that differ in their seed alone, and below it "
                  "the standard deviation between trainings; * p &lt; 0.05 of the phantoms' means "
                  "over trainings against the best baseline")]
    for names in dict.fromkeys(tuple(row["methods"]) for row in rows):
        lines = []
        for metric, about in METRICS.items():
            same = [row for row in rows
                    if (tuple(row["methods"]), row["metric"]) == (names, metric)]
            lines.append((about.title, [
                f"<td>{number(row['mean'], metric)}{star(row)}"
                f"<small>± {number(row['deviation'], metric).lstrip('+')}</small></td>"
                for row in same
            ]))
        parts += [f"<h3>{escape(', '.join(names))}</h3>",
                  _table([_dose(factor) for factor in results["factors"]], lines)]
    return parts


def ensembles(results):
    """Noise and bias over realisations in the liver, by method and dose."""
    if not results["ensembles"]:
        return []

    def cell(method, factor):
        rows = rows_of(results["ensembles"], method, factor)
        return _two([row["noise"] for row in rows], [row["bias"] for row in rows], "+")

    return ["<h2>Noise and bias over realisations</h2>",
            note("In the liver, or in the largest organ, relative to its true mean: standard "
                 "deviation between realisations, and below it the bias of their mean"),
            _over_doses(results, results["methods"], cell)]


def detectability(results):
    """AUC of the observer by method and dose."""
    told = results["detectability"]
    if told is None:
        return []

    def cell(method, factor):
        (row,) = rows_of(told["rows"], method, factor)
        if row["auc"] is None:
            return "<td>–</td>"
        ends = "" if row["low"] is None else (
            f"<small>[{row['low']:.3f}, {row['high']:.3f}]</small>")
        return f"<td>{row['auc']:.3f}{ends}</td>"

    one = told["rows"][0]
    low, high = told["diameters_mm"]
    standard = told["validation_of_standard"] or {"auc": None}
    about = (f"Area under the curve: {escape(told['observer'])}; {escape(told['channels'])}; "
             f"internal noise {told['internal_noise']:g}; {one['pairs']} pairs with and without a "
             f"lesion of {low:.0f} to {high:.0f} mm, of {one['phantoms']} phantoms; "
             f"{escape(told['split'])}; standard dose in validation: "
             + ("too few pairs" if standard["auc"] is None else f"{standard['auc']:.3f}"))
    return ["<h2>Detectability of lesions</h2>", note(about),
            _over_doses(results, results["methods"], cell)]


def nema(results):
    """Contrast recovery and background variability of NEMA's spheres, by method and dose."""
    rows = [row for row in results["rows"] if "nema" in row]
    if not rows:
        return []
    parts = ["<h2>NEMA NU 2: contrast recovery, background variability</h2>"]
    head = [f"{one['diameter_mm']} mm" for one in rows[0]["nema"]["spheres"]]
    for factor in results["factors"]:
        lines = []
        for method in results["methods"]:
            images = [row["nema"]["spheres"] for row in rows_of(rows, method, factor)]
            lines.append((method["name"], [
                _two([one["recovery"] for one in same], [one["variability"] for one in same])
                for same in zip(*images, strict=True)
            ]))
        parts += [f"<h3>1/{factor:g} of the dose</h3>", _table(head, lines)]
    return parts


def organs(results):
    """SUVmean bias of each organ by method, at each dose."""
    names = sorted({name for row in results["rows"] for name in row["organs"]})
    parts = ["<h2>SUVmean bias of organs</h2>"]
    for factor in results["factors"]:
        seen = [[row["organs"] for row in rows_of(results["rows"], method, factor)]
                for method in results["methods"]]
        lines = [(organ, [f"<td>{100 * np.mean([o[organ] for o in rows if organ in o]):+.1f} %</td>"
                          for rows in seen]) for organ in names]
        parts += [f"<h3>1/{factor:g} of the dose</h3>",
                  _table([method["name"] for method in results["methods"]], lines)]
    return parts


def tuning(results):
    if not results["tuned"]:
        return []
    lines = [(row["method"], [
        f"<td>{_dose(row['factor'])}</td><td>{escape(row['parameter'])} {row['strength']:.3g}</td>"
        f"<td>{100 * row['nrmse']:.1f} %</td>"
        f"<td>{'at the end of its range' if row['at_end'] else ''}</td>"
    ]) for row in results["tuned"]]
    return ["<h2>Baselines' strengths, from validation</h2>",
            _table(["dose", "strength", "NRMSE to truth", ""], lines)]


def _over_doses(results, methods, cell):
    """A table of methods by dose.

    Args:
        cell: function of a method and a factor that gives its cell.
    """
    return _table([_dose(factor) for factor in results["factors"]],
                  [(method["name"], [cell(method, factor) for factor in results["factors"]])
                   for method in methods])


def _table(head, lines):
    """A table.

    Args:
        head: titles of the columns but the first.
        lines: of each its name, and its cells as HTML.
    """
    titles = "".join(f"<th>{escape(title)}</th>" for title in ["", *head])
    rows = "".join(f"<tr><td>{escape(name)}</td>{''.join(cells)}</tr>" for name, cells in lines)
    return f"<div class=wide><table><tr>{titles}</tr>{rows}</table></div>"


def _two(first, second, sign=""):
    """A cell of two means in per cent, the second below the first; a dash where a part lacks."""
    if not first or None in (*first, *second):
        return "<td>–</td>"
    return (f"<td>{100 * np.mean(first):.1f} %"
            f"<small>{100 * np.mean(second):{sign}.1f} %</small></td>")


def _dose(factor):
    return "standard" if factor == 1 else f"1/{factor:g}"


def note(text):
    return f"<p class=note>{text}.</p>"
