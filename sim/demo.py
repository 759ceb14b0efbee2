"""`countless demo`: a person, two scans of them, and what reconstruction makes of each.

Runs the commands that a user would run, and shows them; compares the images with the truth.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from recon.io import provenance
from recon.io.outputs import make_folder
from recon.io.provenance import write_json
from sim import comparison
from sim.phantom_files import read_phantom

MEASURED_MM = 75.0  # along the axis from the scanner's middle: its ends see little


def demo(
    *,
    output: Path = Path("demo-output"),
    seed: int = 7,
    minutes: float = 4.0,
    drf: float = 10.0,
    voxel_mm: float = 4.0,
    split: int = 2,
):
    """Simulate a person at standard and low dose, reconstruct both, and compare with the truth.

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
    person, doses = output / "person", {"standard-dose": 1.0, "low-dose": drf}
    _run("phantom", "person", "-o", person, "--seed", seed, "--lesions", 6,
         "--voxel-mm", 4, 4, 4, "--samples", 2, "--overwrite")
    for name, factor in doses.items():
        _run("scan", person, "-o", output / name, "--minutes", minutes, "--drf", factor,
             "--seed", seed, "--span", 3, "--split", split)
    for name in doses:
        _reconstruct(output / name, voxel_mm)
    numbers = _compare(output, person, doses)
    made = provenance(command=["countless", *sys.argv[1:]], configuration=settings, seed=seed)
    write_json(output / "numbers.json",
               made | {"formulas": comparison.FORMULAS, "images": numbers})
    print(f"\nDone in {time.monotonic() - began:.0f} s. Look at {output / 'comparison.png'}, at "
          f"{output / 'standard-dose' / 'image.work' / 'quality.png'} for what was corrected, and "
          f"open {output / 'standard-dose' / 'image.nii.gz'} in any viewer.")


def _reconstruct(folder, voxel_mm):
    """With all corrections, estimated from what a scanner would tell."""
    _run("recon", folder / "prompts.hs", "-o", folder / "image.nii.gz",
         "--efficiency", folder / "efficiency.hs", "--mu-map", folder / "mu-map.nii.gz",
         "--randoms", "delayed", "--delayed", folder / "delayeds.hs", "--scatter", "on",
         "--voxel-mm", voxel_mm, voxel_mm, 6.25, "--psf-mm", 6, "--post-filter-mm", 5,
         "--preview", folder / "image.png")


def _run(*words):
    """Runs a command of Countless after showing it.

    Raises:
        RuntimeError: it failed; it has said why.
    """
    words = [f"{word:g}" if isinstance(word, float) else str(word) for word in words]
    print(f"\n$ countless {shlex.join(words)}", flush=True)
    python = min(sys.executable, os.path.relpath(sys.executable), key=len)
    code = subprocess.run([python, "-m", "countless", *words]).returncode
    if code:
        raise RuntimeError(f"the command above ended with exit code {code}, so the demo ends too")


def _compare(output, person, doses):
    """Measures the images, prints a table and draws them beside the truth.

    Returns:
        dict from the scan's name to its numbers.
    """
    stored, numbers = read_phantom(person), {}
    paths = {name: output / name / "image.nii.gz" for name in doses}
    truth = comparison.Truth.of(stored, like=paths["standard-dose"], within_mm=MEASURED_MM)
    panels = [("Truth", "the person, averaged\nover each voxel", (truth.activity, truth.grid))]
    print("\n" + "\n".join(comparison.FORMULAS))
    print(f"\n{'':15}{'liver recovery':>14}{'noise in liver':>16}   recovered contrast of lesions")
    for name, factor in doses.items():
        values, image = truth.quality(paths[name])
        contrasts = " ".join(f"{value:.2f}" for value in values["contrast_recovery"].values())
        print(f"{name:15}{values['liver_recovery']:>14.3f}{values['noise']:>16.1%}   {contrasts}")
        caption = (f"recovered in the liver {values['liver_recovery']:.0%}\n"
                   f"noise in the liver {values['noise']:.0%}")
        title = "Standard dose" if factor == 1 else f"1/{factor:g} of the dose"
        panels.append((title, caption, (image, truth.grid)))
        numbers[name] = values
    comparison.draw(output / "comparison.png", panels, truth.shown_at_mm, unit="kBq/mL",
                    scale=1e-3, maximum=truth.shown_most)
    return numbers


def _check(minutes, drf, voxel_mm, split):
    for flag, value, fits, takes in (
        ("--minutes", minutes, minutes > 0, "a positive number"),
        ("--drf", drf, drf >= 1, "a factor of 1 or more"),
        ("--voxel-mm", voxel_mm, 1 <= voxel_mm <= 10, "1 to 10 mm"),
        ("--split", split, 1 <= split <= 4, "1 to 4"),
    ):
        if not fits:
            raise ValueError(f"{flag} takes {takes}, got {value:g}")
