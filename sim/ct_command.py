"""The command `countless ct`: a phantom's CT at any dose, as a scanner would show it."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from recon import text
from recon.command_line import command_line
from recon.io import FileError, check_output, provenance, read_image, write_image
from recon.io.outputs import make_folder
from sim import ct_preview
from sim.low_dose_ct import ELECTRONIC_NOISE, low_dose_ct
from sim.numbers import check_seed
from sim.parallel_beam import ParallelBeam

MODEL = (
    "parallel beams, half a turn; Kramers' spectrum behind 3 mm of aluminium and 0.3 mm of copper; "
    "detector that adds up energies; compound Poisson and Gaussian electronic noise; water's beam "
    "hardening corrected; filtered back projection; no scattered photons"
)


def ct(
    folder: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    kvp: float = 120,
    photons: float = 1e5,
    drf: float = 1.0,
    electronic_noise: float = ELECTRONIC_NOISE,
    window: str = "hann",
    seed: int = 1,
    config: Path | None = None,
):
    """Simulate a phantom's CT at standard or low dose.

    Writes ct.nii.gz in HU, ct.json with how it was made, and preview.png, which shows it beside the
    phantom.

    Args:
        folder: Of `countless phantom`: its mu-map.nii.gz and ct.nii.gz.
        output: Folder for the CT; made where there is none.
        kvp: Tube voltage: 80, 100, 110, 120, 130 or 140.
        photons: In a ray that meets nothing, at standard dose.
        drf: Dose reduction factor: photons are divided by it.
        electronic_noise: Standard deviation of a reading, in photons; not less at a lower dose.
        window: Of the reconstruction's ramp filter: ramp (none), hann, hamming or cosine.
        seed: Of the noise.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    if not 1 <= drf < np.inf:
        raise ValueError(f"--drf takes a factor of 1 or more, got {drf:g}")
    check_seed(seed)
    mu_path, hu_path = folder / "mu-map.nii.gz", folder / "ct.nii.gz"
    inputs = [mu_path, hu_path, *filter(None, [config])]
    mu_per_cm, hu, grid = _read(mu_path, hu_path)
    image_path, picture = make_folder(output) / "ct.nii.gz", output / "preview.png"
    check_output(image_path, inputs)
    check_output(picture)
    with tqdm(total=grid.shape[2], desc="CT", unit=" slices", delay=1, file=sys.stderr,
              dynamic_ncols=True) as bar:
        image, starved = low_dose_ct(
            mu_per_cm, hu, grid, rng=np.random.default_rng(seed), kvp=kvp, photons=photons / drf,
            electronic_noise=electronic_noise, window=window, watch=bar.update,
        )
    readings = int(np.prod(ParallelBeam(grid).shape, dtype=np.int64))
    record = provenance(
        command=command_line(ct, settings), configuration=settings, inputs=inputs, seed=seed,
        unit="HU", quantity="CT number", model=MODEL, photons_per_ray=photons / drf,
        readings=readings, readings_below_one_photon=starved, grid=asdict(grid),
    )
    write_image(image_path, image, grid, unit="HU", sidecar=record)
    title = f"{kvp:g} kVp, {photons / drf:,.0f} photons in a ray"
    ct_preview.draw(picture, [("The phantom", hu), (title, image)], grid)
    rows = [
        ("phantom", f"{folder}, {text.grid(grid)}"),
        ("beam", f"{kvp:g} kVp, {photons / drf:,.0f} photons in a ray"),
        ("readings", f"{readings:,}, of which {starved:,} below one photon and taken as one"),
        ("written", f"{image_path}, in HU, and {picture}"),
        ("next", f"countless mu-map {image_path} --kvp {kvp:g} -o {output / 'mu-map.nii.gz'}"),
    ]
    print(text.table(rows))


def _read(mu_path, hu_path):
    mu_per_cm, grid, _ = read_image(mu_path)
    hu, other, _ = read_image(hu_path)
    if other != grid:
        raise FileError(
            f"{hu_path} takes the voxels of {mu_path}, {text.grid(grid)}, found "
            f"{text.grid(other)}; both are of one run of `countless phantom`"
        )
    return mu_per_cm, hu, grid
