"""The demo's scans as files, with stand-ins for scatter and randoms."""

import numpy as np
from scipy import ndimage

from recon import Grid
from recon.corrections.normalization import efficiency_factors
from recon.io import write_image, write_sinogram
from sim.efficiency import crystal_efficiencies
from sim.rays import attenuated_trues

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
        split: parts of a crystal along each side, `sim.rays.attenuated_trues`.
        made: dict of `recon.io.provenance.provenance` for the .json beside each.
    Yields:
        Name of the scan, number of its prompts.
    """
    rng, fine = np.random.default_rng(seed), _fine_grid(layout.scanner)
    trues = attenuated_trues(
        phantom.activity(fine, 2), phantom.mu_per_cm(fine, 2), fine, layout, split=split
    )
    crystals = crystal_efficiencies(layout.scanner, rng, dead_blocks=2)
    efficiency = efficiency_factors(layout, crystals)
    background = smooth_background(trues, efficiency, layout)
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


def smooth_background(trues, efficiencies, layout, *, scatter=0.4, randoms=0.4):
    """Stand-ins for scatter (the trues, blurred by 6 cm) and for randoms (the same in every bin).

    Args:
        trues: of `attenuated_trues`, without time of flight.
        efficiencies: of `recon.corrections.normalization.efficiency_factors`.
        layout: SinogramLayout.
        scatter, randoms: their counts, as fractions of the counts of trues.
    Returns:
        Expected counts, float32 of layout.shape, efficiencies applied.
    """
    blur = 60 / layout.scanner.effective_radius_mm * layout.scanner.crystals / np.pi
    scattered = ndimage.gaussian_filter1d(trues, blur, axis=1, mode="constant")
    mean = efficiencies / layout.multiplicity()
    scattered = ndimage.gaussian_filter1d(scattered, layout.views / 12, axis=0, mode="nearest")
    scattered *= mean
    counts = float(np.sum(trues * mean, dtype=np.float64))
    scattered *= scatter * counts / float(scattered.sum(dtype=np.float64))
    return scattered + efficiencies * (randoms * counts / float(efficiencies.sum(dtype=np.float64)))
