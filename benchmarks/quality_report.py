"""The report of a comparison of denoisers: one HTML file with its figures inside."""

from html import escape

from benchmarks import quality_clinical_figures as clinical
from benchmarks import quality_figures as figures
from benchmarks import quality_sections as sections
from benchmarks.page import facts, image, page
from benchmarks.quality_table import few
from recon import text


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
        image(figures.curves(results), "NRMSE, PSNR and SSIM over dose"),
    ]
    for factor in results["factors"]:
        parts += [f"<h2>1/{factor:g} of the dose</h2>", sections.metrics(results, factor)]
        parts += [sections.note(f"Phantom {shown.number}, through the middle of {shown.where}. "
                                "One scale for all images, one for all errors"),
                  image(figures.slices(results, shown, factor), f"slices at 1/{factor:g}")]
    parts += ["<h2>Profiles</h2>", image(figures.profiles(results, shown), "profiles"),
              "<h2>Lesion contrast and noise</h2>",
              image(clinical.contrast_noise(results), "contrast against noise")]
    if any(row["lesions"] for row in results["rows"]):
        parts += ["<h2>Lesion contrast by size</h2>",
                  image(clinical.recovery_by_size(results), "recovery against diameter")]
    if any("noise_power_mm3" in row for row in results["ensembles"]):
        parts += ["<h2>Noise power</h2>",
                  sections.note("Of differences between realisations, in a cube inside the liver, "
                                "or in the largest organ. Texture's distance from the standard "
                                "dose's, in the tables, is the standard deviation over frequency "
                                "of the spectra's ratio in dB: 0 where they are of one shape"),
                  image(clinical.noise_power(results), "noise power spectra")]
    for section in (sections.trainings, sections.ensembles, sections.detectability,
                    sections.nema, sections.organs, sections.tuning):
        parts += section(results)
    parts += ["<h2>How it was made</h2>", _facts(results)]
    return page("Denoised low-dose PET", parts)


def _facts(results):
    rules, organs = results["rules"], {row["uniform"] or "no organ" for row in results["rows"]}
    rows = [
        ("command", results["command"]), ("version", results["version"]),
        ("commit", results["commit"]), ("date", results["date"]),
        ("machine", _machine(results)),
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
    return facts(rows)


def _machine(results):
    made, workers = results["machine"], results["workers"]
    cores = text.plural(made["cores"], "core") if "cores" in made else None
    shared = f"shared by {text.plural(workers, 'worker')}" if workers else None
    return ", ".join(filter(None, (made["processor"], cores, shared)))


def _reconstruction(study):
    made = study["reconstruction"]
    return (f"{made['iterations']} iterations of {made['subsets']} subsets, voxels of "
            f"{made['voxel_mm']:g} mm across, PSF {made['psf_mm']:g} mm, post-filter "
            f"{made['post_filter_mm']:g} mm")
