"""A simulated scan as files: what the scanner counted, what is known about it, and the truth."""

import numpy as np

from recon import Grid
from recon.corrections.normalization import efficiency_factors
from recon.io import write_image, write_sinogram
from sim import acquire

UNIT = "Bq/mL"
FINE_MM = (2.0, 2.0, 3.125)  # voxels of the phantom that is scanned
INFO = {"patient_position": "HFS", "isotope": "^18^Fluorine"}


def write_truth(folder, phantom, grid, *, made):
    """Writes truth.nii.gz in Bq/mL, and mu-map.hv in 1/cm, which a CT would tell.

    Args:
        folder: where to.
        phantom: Phantom.
        grid: Grid, that of the reconstruction.
        made: dict of `recon.io.provenance.provenance` for the .json beside each.
    """
    activity = phantom.activity(grid)
    write_image(folder / "truth.nii.gz", activity, grid, unit=UNIT, sidecar=made)
    mu = phantom.mu_per_cm(grid)
    write_image(folder / "mu-map.hv", mu, grid, unit="1/cm", sidecar=made)


def write_scans(folder, phantom, layout, *, counts, doses, seed, split, made):
    """Simulates scans of one patient at several doses, each in a folder of its own.

    prompts.hs holds Poisson noise; background.hs its expected randoms and scatter; efficiency.hs
    the dose and how well crystals count, in counts per Bq/mL * mm; its header says Bq/mL, the
    unit that images get by it.

    Args:
        folder: where to.
        phantom: Phantom.
        layout: SinogramLayout without time of flight.
        counts: expected prompts at dose 1.
        doses: dict from a scan's name to its dose.
        seed: of the crystals' efficiencies and the counts.
        split: parts of a crystal along each side, `acquire.attenuated_trues`.
        made: dict of `recon.io.provenance.provenance` for the .json beside each.
    Yields:
        Name of the scan, number of its prompts.
    """
    rng, fine = np.random.default_rng(seed), _fine_grid(layout.scanner)
    trues = acquire.attenuated_trues(
        phantom.activity(fine, 2), phantom.mu_per_cm(fine, 2), fine, layout, split=split
    )
    crystals = acquire.crystal_efficiencies(layout.scanner, rng, dead_blocks=2)
    efficiency = efficiency_factors(layout, crystals)
    background = acquire.smooth_background(trues, efficiency, layout)
    expected = trues * (efficiency / layout.multiplicity()) + background
    scale = counts / float(expected.sum(dtype=np.float64))
    for name, dose in doses.items():
        place, factor = folder / name, np.float32(scale * dose)
        place.mkdir(exist_ok=True)
        prompts = rng.poisson(expected * factor).astype(np.float32)
        number = int(prompts.sum(dtype=np.float64))
        said = made | {"dose": dose, "prompts": number}
        for file, array, unit in (
            ("prompts", prompts, "counts"),
            ("efficiency", efficiency * factor, UNIT),
            ("background", background * factor, "counts"),
        ):
            info = INFO | {"unit": unit}
            write_sinogram(place / f"{file}.hs", array, layout, info, sidecar=said)
        yield name, number


def _fine_grid(scanner):
    """Holds the body across (384 x 256 mm) and the scanner's length."""
    extent = 384, 256, scanner.rings * scanner.ring_spacing_mm
    shape = [round(mm / voxel) for mm, voxel in zip(extent, FINE_MM, strict=True)]
    return Grid.centred(shape=shape, voxel_mm=FINE_MM)
