"""The report of a comparison of denoisers: one HTML file with its figures inside."""

from html import escape

import numpy as np

from benchmarks import quality_clinical_figures as clinical
from benchmarks import quality_figures as figures
from benchmarks.quality_measure import METRICS
from benchmarks.quality_table import cell, found, number

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em;
       color: #1a1a1a; }
h1 { font-size: 1.6em; margin-bottom: 0; } h2 { margin: 2em 0 .4em; font-size: 1.2em; }
h3 { margin: 1.4em 0 .3em; font-size: 1em; }
p.claim { color: #8a1c1c; margin-top: .2em; } p.note { color: #555; margin-top: .2em; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .6em; text-align: right; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid #999; vertical-align: bottom; }
td:first-child, th:first-child { text-align: left; white-space: nowrap; }
td small { color: #666; display: block; white-space: nowrap; }
td.best { background: #e6f2e6; } tr:hover td { background: #f4f4f4; } tr:hover td.best {
  background: #dcecdc; }
img { max-width: 100%; height: auto; } .wide { overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content auto; gap: .2em 1.2em; font-size: 13px; }
dt { color: #555; } dd { margin: 0; }
"""


def report(results, shown):
    """The whole page, as text.

    Args:
        results: of `benchmarks.quality.quality`.
        shown: `quality_figures.Shown`.
    """
    study = results["study"]
    options = ", ".join(f"{name} {value}" for name, value in study["phantoms"]["options"].items())
    test = results["phantoms"]["test"]
    parts = [
        "<h1>Denoised low-dose PET</h1>",
        f"<p class=claim>{len(test)} {escape(results['claim'])}.</p>",
        f"<p class=note>Phantoms: {escape(study['phantoms']['kind'])} ({escape(options)}); "
        f"scanner: {escape(study['scan']['scanner']['name'])}; realisations of "
        f"each dose: {results['realisations']}; low doses are {escape(results['pairs'])} of the "
        f"standard dose. Standard dose: "
        f"{_reconstruction(study)}.</p>",
        *headlines(results), *_against_standard(results),
        "<h2>Nearness to truth and to standard dose, over dose</h2>",
        _note("Bands: 95 % interval over phantoms. Dashed: from the standard-dose image. "
              + ("Dotted: the most that the standard dose's own noise allows on the mean"
                 if results["oracle_psnr_standard"] else
                 "The oracle takes two realisations or more, which this study does not have")),
        _image(figures.curves(results), "NRMSE, PSNR and SSIM over dose"),
    ]
    for factor in results["factors"]:
        parts += [f"<h2>1/{factor:g} of the dose</h2>", _table(results, factor)]
        parts += [_note(f"Phantom {shown.number}, through its lesion of most activity. One scale "
                        f"for all images, one for all errors"),
                  _image(figures.slices(results, shown, factor), f"slices at 1/{factor:g}")]
    parts += ["<h2>Profiles</h2>", _image(figures.profiles(results, shown), "profiles"),
              "<h2>Lesion contrast and noise</h2>",
              _image(clinical.contrast_noise(results), "contrast against noise")]
    if any(row["lesions"] for row in results["rows"]):
        parts += ["<h2>Lesion contrast by size</h2>",
                  _image(clinical.recovery_by_size(results), "recovery against diameter")]
    if any("noise_power_mm3" in row for row in results["ensembles"]):
        parts += ["<h2>Noise power</h2>", _note("Of differences between realisations, in a cube "
                  "inside the liver, or in the largest organ"),
                  _image(clinical.noise_power(results), "noise power spectra")]
    parts += [*_ensembles(results), *_detectability(results), *_nema(results),
              *_organs(results), *_tuning(results), "<h2>How it was made</h2>", _facts(results)]
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>Denoised low-dose PET</title>"
            f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
            f"<body>{''.join(parts)}</body></html>\n")


def headlines(results):
    """Where a model does surely worse than the best baseline: parts of the page, none without."""
    learned = [method["name"] for method in results["methods"] if method["sha256"]]
    lines = []
    for row in results["summary"]:
        against = row.get("against")
        metric = METRICS[row["metric"]]
        if row["method"] in learned and against and metric.better and against["p"] is not None:
            worse = metric.better * against["mean"] < 0
            if worse and against["high"] is not None and against["low"] * against["high"] > 0:
                lines.append(
                    f"<li>{escape(row['method'])} at 1/{row['factor']:g} of the dose: "
                    f"{escape(metric.title)} is worse than {escape(against['baseline'])}'s by "
                    f"{number(abs(against['mean']), row['metric'])} (p = {against['p']:.2g})</li>"
                )
    return [f"<h2>Where models lose</h2><ul>{''.join(lines)}</ul>"] if lines else []


def _against_standard(results):
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
            _note("NRMSE to truth less that of the standard-dose image as it was reconstructed, in "
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


def _table(results, factor):
    """All metrics of all methods at a dose; the best mean of the low dose has a green field."""
    best = {
        metric: _best_of(results, factor, metric) for metric in METRICS
    }
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
    note = (f"* p &lt; 0.05 against the best baseline in validation, {escape(baseline)}; "
            if baseline else "")
    return (f"<div class=wide><table><tr>{head}</tr>{''.join(rows)}</table></div>"
            + _note(note + "green: best mean of the low-dose methods"))


def _best_of(results, factor, metric):
    """Names of the low-dose methods with the best mean."""
    better, means = METRICS[metric].better, {}
    for method in results["methods"]:
        mean = found(results, method["name"], factor, metric)["mean"]
        if method["source"] == "low" and mean is not None:
            means[method["name"]] = better * mean if better else -abs(mean)
    return [name for name, value in means.items() if value == max(means.values())]


def _ensembles(results):
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
            _note("In the liver, or in the largest organ, relative to its true mean: standard "
                  "deviation between realisations, and below it the bias of their mean"),
            f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"]


def _detectability(results):
    """AUC of the observer by method and dose."""
    found = results["detectability"]
    if found is None:
        return []
    aucs = {(row["method"], row["factor"]): row for row in found["rows"]}
    rows = []
    for method in results["methods"]:
        cells = []
        for factor in results["factors"]:
            row = aucs[method["name"], 1.0 if method["source"] == "standard" else factor]
            cells.append("<td>–</td>" if row["auc"] is None else
                         f"<td>{row['auc']:.3f}<small>[{row['low']:.3f}, {row['high']:.3f}]"
                         "</small></td>")
        rows.append(f"<tr><td>{escape(method['name'])}</td>{''.join(cells)}</tr>")
    one = found["rows"][0]
    low, high = found["diameters_mm"]
    standard = found["validation_of_standard"] or {"auc": None}
    note = (f"Area under the curve: {escape(found['observer'])}; {escape(found['channels'])}; "
            f"internal noise {found['internal_noise']:g}; {one['pairs']} pairs with and without a "
            f"lesion of {low:.0f} to {high:.0f} mm, of {one['phantoms']} phantoms; "
            f"{escape(found['split'])}; standard dose in validation: "
            + ("too few pairs" if standard["auc"] is None else f"{standard['auc']:.3f}"))
    head = "".join(f"<th>1/{factor:g}</th>" for factor in results["factors"])
    return ["<h2>Detectability of lesions</h2>", _note(note),
            f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"]


def _nema(results):
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


def _organs(results):
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


def _tuning(results):
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


def _facts(results):
    rules = results["rules"]
    facts = [
        ("command", results["command"]), ("version", results["version"]),
        ("commit", results["commit"]), ("date", results["date"]),
        ("machine", f"{results['machine']['processor']}, {results['machine']['cores']} cores"),
        ("study", f"{results['study_hash']}, seed {results['study']['seed']}"),
        *((method["name"], f"checkpoint {method['sha256']}")
          for method in results["methods"] if method["sha256"]),
        ("phantoms", "; ".join(f"{split}: {', '.join(map(str, numbers)) or 'none'}"
                               for split, numbers in results["phantoms"].items())),
        ("mask", rules["mask"]), ("data range", rules["data_range"]), ("tuning", rules["tuning"]),
        ("intervals", rules["interval"]), ("test", rules["test"]),
        ("UDPET score", "without " + "; ".join(rules["udpet_omitted"])),
    ]
    return "<dl>" + "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in facts) + "</dl>"


def _reconstruction(study):
    made = study["reconstruction"]
    return (f"{made['iterations']} iterations of {made['subsets']} subsets, voxels of "
            f"{made['voxel_mm']:g} mm, PSF {made['psf_mm']:g} mm, post-filter "
            f"{made['post_filter_mm']:g} mm")


def _note(text):
    return f"<p class=note>{text}.</p>"


def _image(figure, title):
    return f'<img alt="{escape(title)}" src="{figures.png(figure)}">'
