"""`countless demo`: from nothing to an image, by way of a phantom and two noisy scans of it."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from recon import Grid, Scanner, SinogramLayout
from recon.io import FileError, provenance, write_image
from recon.io.provenance import write_json
from sim import comparison, demo_scan
from sim.torso import torso

LIVER_MM = (-110.0, 20.0, 55.0), 22.0  # centre and radius of the sphere where the liver is measured


def demo(
    *,
    output: Path = Path("demo-output"),
    seed: int = 1,
    counts: float = 60e6,
    low_dose: float = 0.1,
    voxel_mm: float = 3.125,
    split: int = 2,
):
    """Simulate a torso's PET scan at two doses, reconstruct both, and compare with the truth.

    Args:
        output: Folder for all files; made where there is none.
        seed: Of the anatomy, the crystals' efficiencies and the counts.
        counts: Expected prompts of the standard scan.
        low_dose: Dose of the second scan as a fraction of the first.
        voxel_mm: Side of the images' voxels across the patient.
        split: Parts of a crystal along each side in the simulation; split ** 4 rays in a bin.
    """
    settings = dict(locals())
    _check(counts, low_dose, voxel_mm, split)
    started, output = time.monotonic(), _folder(output)
    made = provenance(command=["countless", *sys.argv[1:]], configuration=settings, seed=seed)
    layout = SinogramLayout.of(Scanner.preset("demo"))
    grid, phantom = image_grid(layout.scanner, voxel_mm), torso(seed)
    print(f"A {phantom.name} in a scanner of {layout.scanner.rings} rings of "
          f"{layout.scanner.crystals} crystals; all files are in {output}{os.sep}")
    demo_scan.write_truth(output, phantom, grid, made=made)
    _write_regions(output, phantom, grid, made)
    print(f"phantom        {len(phantom.regions)} solids: truth.nii.gz in {demo_scan.UNIT}, "
          "mu-map.hv")
    doses = {"standard-dose": 1.0, "low-dose": low_dose}
    written = demo_scan.write_scans(output, phantom, layout, counts=counts, doses=doses, seed=seed,
                               split=split, made=made)
    for name, prompts in written:
        files = ", ".join(f"{name}/{file}.hs" for file in ("prompts", "efficiency", "background"))
        print(f"{name:15}{prompts / 1e6:.1f} M counts: {files}")
    print(f"The efficiency holds dose and sensitivity: images are in {demo_scan.UNIT}.")
    for name in doses:
        reconstruct(output, name)
    numbers = compare(output, phantom, doses)
    write_json(output / "numbers.json",
               made | {"formulas": comparison.FORMULAS, "images": numbers})
    print(f"\nDone in {time.monotonic() - started:.0f} s. Look at {output / 'comparison.png'}, and "
          f"open {output / 'standard-dose' / 'image.nii.gz'} in any viewer.")


def image_grid(scanner, voxel_mm):
    """Voxels half a ring high on a square of 40 cm, in which a circle holds the patient."""
    across, height = round(400 / voxel_mm), scanner.ring_spacing_mm / 2
    return Grid.centred(
        shape=(across, across, 2 * scanner.rings), voxel_mm=(voxel_mm, voxel_mm, height)
    )


def reconstruct(output, name):
    """Runs `countless recon` on a scan's files, as a user would, after showing the command.

    Raises:
        RuntimeError: it failed; it has said why.
    """
    folder = output / name
    python = min(sys.executable, os.path.relpath(sys.executable), key=len)
    command = [
        *(python, "-m", "countless", "recon", folder / "prompts.hs"),
        *("--efficiency", folder / "efficiency.hs", "--background", folder / "background.hs"),
        *("--mu-map", output / "mu-map.hv", "--grid-like", output / "truth.nii.gz"),
        *("--psf-mm", "5", "--post-filter-mm", "5"),
        *("--output", folder / "image.nii.gz", "--preview", folder / "preview.png"),
    ]
    command = [str(word) for word in command]
    print(f"\n$ {shlex.join(command)}", flush=True)
    code = subprocess.run(command).returncode
    if code:
        raise RuntimeError(f"the command above ended with exit code {code}, so the demo ends too")


def compare(output, phantom, doses):
    """Measures the images, prints a table and draws them beside the truth.

    Returns:
        dict from the scan's name to its numbers.
    """
    truth, numbers = output / "truth.nii.gz", {}
    panels = [("Truth", "the phantom, averaged\nover each voxel", truth)]
    print("\n" + "\n".join(comparison.FORMULAS))
    print(f"\n{'':15}{'liver recovery':>14}{'contrast recovered':>20}{'noise':>8}")
    for name, dose in doses.items():
        image = output / name / "image.nii.gz"
        values = comparison.quality(image, truth, output / "regions.nii.gz")
        liver, *lesions, noise = values.values()
        contrasts = ", ".join(f"{lesion:.2f}" for lesion in lesions)
        print(f"{name:15}{liver:>14.3f}{contrasts:>20}{noise:>8.1%}")
        caption = (f"recovered in the liver {liver:.0%}, lesion contrast {lesions[0]:.0%}\n"
                   f"noise in the liver {noise:.0%}")
        panels.append(("Standard dose" if dose == 1 else f"{dose:.0%} of the dose", caption, image))
        numbers[name] = values
    _, y, z = phantom.find("lesion 1")[0].solid.centre_mm
    comparison.draw(output / "comparison.png", panels, (y, z), unit=demo_scan.UNIT, maximum=26e3)
    return numbers


def _write_regions(output, phantom, grid, made):
    """Writes where the images are measured, numbered as comparison.REGIONS says."""
    regions = np.zeros(grid.shape, np.float32)
    centre, radius = LIVER_MM
    x, y, z = np.ix_(*(grid.centres(axis) - c for axis, c in enumerate(centre)))
    sphere = x**2 + y**2 + z**2 <= radius**2
    regions[sphere & (phantom.fraction("liver", grid) > 0.999)] = comparison.REGIONS["liver"]
    for name in ("lesion 1", "lesion 2"):
        regions[phantom.fraction(name, grid) >= 0.5] = comparison.REGIONS[name]
    names = {number: name for name, number in comparison.REGIONS.items()}
    made = made | {"regions": names}
    write_image(output / "regions.nii.gz", regions, grid, unit="region number", sidecar=made)


def _check(counts, low_dose, voxel_mm, split):
    for name, value, fits, takes in (
        ("counts", counts, counts > 0, "a positive number"),
        ("low-dose", low_dose, 0 < low_dose <= 1, "a number above 0 and up to 1"),
        ("voxel-mm", voxel_mm, 1 <= voxel_mm <= 10, "1 to 10 mm"),
        ("split", split, 1 <= split <= 4, "1 to 4"),
    ):
        if not fits:
            raise ValueError(f"--{name} takes {takes}, got {value:g}")


def _folder(path):
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise FileError(
            f"{path} cannot be made a folder ({reason.strerror.lower()}); give --output another "
            "name"
        ) from reason
    return path
