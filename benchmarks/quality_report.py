"""The report of a comparison of denoisers: one HTML file with its figures inside."""

from html import escape

from benchmarks import quality_clinical_figures as clinical
from benchmarks import quality_figures as figures
from benchmarks import quality_sections as sections
from benchmarks.quality_table import few

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
        f"{_reconstruction(study)}. {few(results)}</p>",
        *sections.headlines(results), *sections.against_standard(results),
        "<h2>Nearness to truth and to standard dose, over dose</h2>",
        sections.note("Bands: 95 % interval over phantoms. Dashed: from the standard-dose image. "
              + ("Dotted: the most that the standard dose's own noise allows on the mean"
                 if results["oracle_psnr_standard"] else
                 "The oracle takes two realisations or more, which this study does not have")),
        _image(figures.curves(results), "NRMSE, PSNR and SSIM over dose"),
    ]
    for factor in results["factors"]:
        parts += [f"<h2>1/{factor:g} of the dose</h2>", sections.metrics(results, factor)]
        parts += [sections.note(f"Phantom {shown.number}, through the middle of {shown.where}. "
                                "One scale for all images, one for all errors"),
                  _image(figures.slices(results, shown, factor), f"slices at 1/{factor:g}")]
    parts += ["<h2>Profiles</h2>", _image(figures.profiles(results, shown), "profiles"),
              "<h2>Lesion contrast and noise</h2>",
              _image(clinical.contrast_noise(results), "contrast against noise")]
    if any(row["lesions"] for row in results["rows"]):
        parts += ["<h2>Lesion contrast by size</h2>",
                  _image(clinical.recovery_by_size(results), "recovery against diameter")]
    if any("noise_power_mm3" in row for row in results["ensembles"]):
        parts += ["<h2>Noise power</h2>",
                  sections.note("Of differences between realisations, in a cube inside the liver, "
                                "or in the largest organ. Texture's distance from the standard "
                                "dose's, in the tables, is the standard deviation over frequency "
                                "of the spectra's ratio in dB: 0 where they are of one shape"),
                  _image(clinical.noise_power(results), "noise power spectra")]
    for section in (sections.ensembles, sections.detectability, sections.nema, sections.organs,
                    sections.tuning):
        parts += section(results)
    parts += ["<h2>How it was made</h2>", _facts(results)]
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>Denoised low-dose PET</title>"
            f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
            f"<body>{''.join(parts)}</body></html>\n")


def _facts(results):
    rules, organs = results["rules"], {row["uniform"] or "no organ" for row in results["rows"]}
    facts = [
        ("command", results["command"]), ("version", results["version"]),
        ("commit", results["commit"]), ("date", results["date"]),
        ("machine", f"{results['machine']['processor']}, {results['machine']['cores']} cores"),
        ("study", f"{results['study_hash']}, seed {results['study']['seed']}"),
        *((method["name"], f"checkpoint {method['sha256']}")
          for method in results["methods"] if method["sha256"]),
        ("phantoms", "; ".join(f"{split}: {', '.join(map(str, numbers)) or 'none'}"
                               for split, numbers in results["phantoms"].items())),
        ("mask", rules["mask"]),
        ("liver's figures", f"of {', '.join(sorted(organs))}"),
        ("data range", rules["data_range"]), ("CT", rules["ct"]),
        ("tuning", rules["tuning"]),
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


def _image(figure, title):
    return f'<img alt="{escape(title)}" src="{figures.png(figure)}">'
