"""`countless demo`: a person's scan at low dose, reconstructed, denoised and reported on.

Runs the commands that a user would run, and shows them; compares the images with the truth.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import comparison
from benchmarks.demo_report import recovered, report
from denoise.shipped import DEFAULT, shipped
from recon.io import provenance
from recon.io.files import replacing
from recon.io.outputs import make_folder
from recon.io.provenance import read_sidecar, write_json
from sim.phantom_files import read_phantom

MEASURED_MM = 75.0  # along the axis from the scanner's middle: its ends see little
_ERROR = 0.5  # of what is shown black: the error that is shown in full colour


def demo(
    *,
    output: Path = Path("demo-output"),
    seed: int = 7,
    minutes: float = 4.0,
    drf: float = 10.0,
    voxel_mm: float = 4.0,
    split: int = 2,
):
    """Simulate a person's scan at low dose, reconstruct and denoise it, and report on it.

    The same person is scanned at standard dose as well; all images are compared with the truth in
    report.html. Without a trained network in this version, nothing is denoised, and that is said.

    Args:
        output: Folder for all files; made where there is none.
        seed: Of the person, the crystals' efficiencies and the counts.
        minutes: How long the standard scan takes.
        drf: Dose reduction factor of the other scan.
        voxel_mm: Side of the images' voxels across the patient.
        split: Parts of a crystal along each side in the simulation; split ** 4 rays in a bin.
    """
    settings = dict(locals())
    _check(minutes, drf, voxel_mm, split)
    began, output = time.monotonic(), make_folder(output)
    person, commands = output / "person", []

    def run(*words):
        commands.append(_run(*words))

    run("phantom", "person", "-o", person, "--seed", seed, "--lesions", 6,
        "--voxel-mm", 4, 4, 4, "--samples", 2, "--overwrite")
    low, standard = output / "low-dose", output / "standard-dose"
    for folder, factor in ((low, drf), (standard, 1.0)):
        run("scan", person, "-o", folder, "--minutes", minutes, "--drf", factor, "--seed", seed,
            "--span", 3, "--view-mashing", 2, "--split", split)
    for folder in (low, standard):
        run("recon", folder / "prompts.hs", "-o", folder / "image.nii.gz",
            "--efficiency", folder / "efficiency.hs", "--mu-map", folder / "mu-map.nii.gz",
            "--randoms", "delayed", "--delayed", folder / "delayeds.hs", "--scatter", "on",
            "--voxel-mm", voxel_mm, voxel_mm, 6.25, "--iterations", 3, "--subsets", 16,
            "--psf-mm", 6, "--post-filter-mm", 5,
            "--preview", folder / "image.png")
    lower = f"1/{drf:g} of the dose"
    images = {"Standard dose": standard / "image.nii.gz", lower: low / "image.nii.gz"}
    if DEFAULT in shipped():
        images[f"{lower}, denoised"] = denoised = low / "denoised.nii.gz"
        run("denoise", low / "image.nii.gz", "-o", denoised, "--tracer", "FDG",
            "--preview", low / "denoised.png")
    else:
        print("\nNot denoised: no trained network comes with this version; `countless train` makes "
              "one.")
    _compare(output, person, images, commands, settings, time.monotonic() - began)
    print(f"\nDone in {time.monotonic() - began:.0f} s. Open {output / 'report.html'} in a "
          f"browser, {low / 'image.work' / 'quality.png'} for what was corrected, and "
          f"{list(images.values())[-1]} in any viewer.")


def _run(*words):
    """Runs a command of Countless after showing it, and gives it as a line.

    Raises:
        RuntimeError: it failed; it has said why.
    """
    words = [f"{word:g}" if isinstance(word, float) else str(word) for word in words]
    line = f"countless {shlex.join(words)}"
    print(f"\n$ {line}", flush=True)
    python = min(sys.executable, os.path.relpath(sys.executable), key=len)
    code = subprocess.run([python, "-m", "countless", *words]).returncode
    if code:
        raise RuntimeError(f"the command above ended with exit code {code}, so the demo ends too")
    return line


def _compare(output, person, images, commands, settings, seconds):
    """Measures the images, prints a table, and draws and reports them beside the truth."""
    paths = list(images.values())
    truth = comparison.Truth.of(read_phantom(person), like=paths[0], within_mm=MEASURED_MM)
    found = {title: truth.quality(path) for title, path in images.items()}
    numbers = {title: values for title, (values, _) in found.items()}
    print("\n" + "\n".join(comparison.FORMULAS))
    print(f"\n{'':26}{'liver recovery':>14}{'noise in liver':>16}{'NRMSE':>8}   "
          "recovered contrast of lesions")
    for title, values in numbers.items():
        contrasts = " ".join(map(recovered, values["contrast_recovery"].values()))
        print(f"{title:26}{values['liver_recovery']:>14.3f}{values['noise']:>16.1%}"
              f"{values['nrmse']:>8.1%}   {contrasts}")
    unit = {"unit": "kBq/mL", "scale": 1e-3}
    panels = [("Truth", "the person, averaged\nover each voxel", (truth.activity, truth.grid)), *(
        (title, f"NRMSE in the body {values['nrmse']:.0%}\nnoise in the liver "
                f"{values['noise']:.0%}", (image, truth.grid))
        for title, (values, image) in found.items()
    )]
    errors = [
        (title, f"mean error in the liver {values['liver_recovery'] - 1:+.1%}",
         (image - truth.activity, truth.grid)) for title, (values, image) in found.items()
    ]
    figures = {
        "Slices": comparison.drawn(panels, truth.shown_at_mm, maximum=truth.shown_most, **unit),
        "Errors (image - truth)": comparison.drawn(
            errors, truth.shown_at_mm, maximum=_ERROR * truth.shown_most, signed=True, **unit),
        "Profiles through the largest lesion": comparison.profiles(
            [(title, pair) for title, _, pair in panels], truth.shown_at_mm, **unit),
    }
    comparison.save(output / "comparison.png", figures["Slices"])
    made = provenance(command=["countless", *sys.argv[1:]], configuration=settings,
                      seed=settings["seed"])
    made |= {"formulas": comparison.FORMULAS, "images": numbers, "commands": commands}
    write_json(output / "numbers.json", made)
    warnings = read_sidecar(paths[-1]).get("warnings", ())
    with replacing(output / "report.html") as name:
        name.write_text(report(made, figures, warnings, seconds), encoding="utf-8")


def _check(minutes, drf, voxel_mm, split):
    for flag, value, fits, takes in (
        ("--minutes", minutes, minutes > 0, "a positive number"),
        ("--drf", drf, drf >= 1, "a factor of 1 or more"),
        ("--voxel-mm", voxel_mm, 1 <= voxel_mm <= 10, "1 to 10 mm"),
        ("--split", split, 1 <= split <= 4, "1 to 4"),
    ):
        if not fits:
            raise ValueError(f"{flag} takes {takes}, got {value:g}")
