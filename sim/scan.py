"""A simulated scan as files: what the scanner counted, what is known about it, and the truth."""

import shutil
from dataclasses import asdict, replace

import numpy as np

from recon import progress
from recon.corrections import normalization
from recon.field_of_view import image_grid
from recon.io import FileError, write_image, write_sinogram
from recon.io.outputs import make_folder
from recon.io.provenance import write_json
from recon.resampling import resample
from sim import listing
from sim.acquire import Counts, draw
from sim.dose import halves
from sim.resolution import total_fwhm_mm

UNIT = "Bq/mL"
HALVES = "half-1", "half-2"
LISTS = {"petsird": "list.petsird", "castor": "list.cdh"}
WATER_PER_CM = 0.096
_TRUTH = ("trues", "scatter", "randoms")
# What the .json beside each sinogram says it is: `recon` refuses what is given as another.
_QUANTITIES = {
    "prompts": "prompts", "delayeds": "delayed coincidences",
    "efficiency": normalization.QUANTITY,
    "trues": "expected true coincidences", "scatter": "expected scattered coincidences",
    "randoms": "expected random coincidences",
}
_OF_HALVES = ("prompts", "delayeds", "efficiency")
_EVENT_BYTES = 16  # at most, of either format
_TOLD_MM = 0.0, 100.0  # distances from the axis at which resolution is told


def known_mu_map(mu_per_cm, grid, *, noise=0.0, shift_mm=(0.0, 0.0, 0.0), rng=None):
    """The mu map that reconstruction is given, and its Grid: the truth, noisy or out of place.

    Args:
        mu_per_cm: (x, y, z) in 1/cm.
        grid: its Grid.
        noise: standard deviation of each voxel that is not air, as a fraction of water's 0.096
            1/cm.
        shift_mm: how far the map lies from the object, in scanner coordinates.
        rng: numpy Generator of the noise.
    Returns:
        float32 (x, y, z), nowhere negative; Grid.
    """
    if noise:
        drawn = rng.standard_normal(mu_per_cm.shape, np.float32)
        drawn *= mu_per_cm > 0  # in air, where none is negative, it would add attenuation
        mu_per_cm = np.maximum(mu_per_cm + np.float32(noise * WATER_PER_CM) * drawn, 0)
    if not any(shift_mm):
        return mu_per_cm, grid
    return mu_per_cm, replace(grid, origin_mm=tuple(np.add(grid.origin_mm, shift_mm)))


def needed_bytes(layout, mu_per_cm, *, prompts, truth=False, listed=False, halved=False):
    """About how many bytes a scan's files take."""
    bins = int(np.prod(layout.shape))
    sinograms = (2 * bins + bins // layout.tof_bins) * (3 if halved else 1) + 3 * bins * truth
    return 4 * sinograms + 4 * mu_per_cm.size + (int(_EVENT_BYTES * prompts) if listed else 0)


def check_space(folder, needed):
    """Refuses a scan that the disk does not hold.

    Raises:
        FileError: with both sizes.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FileError(
            f"{folder} has {free / 1e9:.1f} GB free, where the scan takes {needed / 1e9:.1f} GB; "
            "free space, choose another folder, or a larger span or view mashing"
        )


def write_scan(folder, expected, *, activity, mu_per_cm, grid, mu_grid, rng, made, truth=False,
               list_format=None, halved=False):
    """Draws a scan's counts and writes its files, scan.json last.

    prompts.hs, delayeds.hs; efficiency.hs, by which images get Bq/mL at the scan's start;
    mu-map.nii.gz, as it is known; truth.nii.gz, means over the voxels that `countless recon` has by
    default; scan.json; on request trues.hs, scatter.hs and randoms.hs, as expected, a list, and
    folders of two independent scans with half the counts and half the efficiency each.

    Args:
        folder: where to, there already.
        expected: Expected.
        activity: (x, y, z) in Bq/mL on `grid`, in scanner coordinates.
        mu_per_cm: the known mu map, on `mu_grid`.
        rng: numpy Generator of the counts and the list.
        made: dict of `recon.io.provenance.provenance`.
        truth: whether expected trues, scatter and randoms are written.
        list_format: "petsird", "castor" or None.
        halved: whether halves are written.
    Returns:
        Counts, and what scan.json says.
    Raises:
        ValueError: no counts were drawn.
        FileError: the place cannot be written.
    """
    counts_rng, list_rng, halves_rng = rng.spawn(3)
    counts, said = draw(expected, counts_rng), summary(expected)
    if not counts.prompts.any():
        raise ValueError(
            f"the scan has no counts ({expected.counts['prompts']:.3g} prompts are expected); give "
            "more --minutes, a smaller --drf or more activity"
        )
    _remove_old(folder)
    layout, info = expected.layout, _info(expected)
    marked = made | {"inverse_crime": expected.protocol.inverse_crime}
    known = {"efficiency": expected.efficiency}
    known |= {name: getattr(expected, name) for name in _TRUTH if truth}
    _write_sinograms(folder, vars(counts) | known, layout, info, marked)
    if halved:
        _write_halves(folder, counts, expected, halves_rng, info, marked)
        said["halves"] = HALVES
    write_image(folder / "mu-map.nii.gz", mu_per_cm, mu_grid, unit="1/cm", sidecar=marked)
    onto = image_grid(layout, grid.patient_position)[0]
    write_image(folder / "truth.nii.gz", resample(activity, grid, onto), onto, unit=UNIT,
                sidecar=marked, info=info)
    said["drawn"] = {name: int(array.sum(dtype=np.float64))
                     for name, array in (("prompts", counts.prompts),
                                         ("delayeds", counts.delayeds))}
    if list_format:
        said["list"] = _write_list(folder / LISTS[list_format], list_format, counts, expected,
                                   info, list_rng, marked)
    write_json(folder / "scan.json", marked | said)
    return counts, said


def _write_halves(folder, counts, expected, rng, info, made):
    prompts, delayeds = halves(counts.prompts, rng), halves(counts.delayeds, rng)
    efficiency = {"efficiency": expected.efficiency / 2}
    for number, name in enumerate(HALVES):
        half = make_folder(folder / name)
        part = vars(Counts(prompts=prompts[number], delayeds=delayeds[number]))
        _write_sinograms(half, part | efficiency, expected.layout, info, made)


def _write_sinograms(folder, arrays, layout, info, made):
    """A file of each array, by its name."""
    for name, array in arrays.items():
        own = layout.without_tof() if name == "efficiency" else layout
        unit = UNIT if name == "efficiency" else "counts"
        write_sinogram(folder / f"{name}.hs", array, own, info | {"unit": unit},
                       sidecar=made | {"quantity": _QUANTITIES[name]})


def _remove_old(folder):
    """Of an earlier scan, what says that it is complete, and what this one may not write."""
    (folder / "scan.json").unlink(missing_ok=True)
    halved = [f"{half}/{name}.*" for half in HALVES for name in _OF_HALVES]
    for pattern in (*(f"{name}.*" for name in _TRUTH), "list.*", *halved):
        for path in folder.glob(pattern):
            path.unlink()


def summary(expected):
    """What is expected of a scan, as numbers by name: for scan.json."""
    protocol = expected.protocol
    return {
        "inverse_crime": protocol.inverse_crime,
        "protocol": asdict(protocol) | {"scanner": protocol.scanner.name},
        "isotope": asdict(expected.isotope),
        "expected": dict(expected.counts),
        "scatter_fraction": expected.scatter_fraction,
        "randoms_fraction": expected.randoms_fraction,
        "multiple_to_single_scatter": expected.multiple_to_single,
        "prompts_per_s": expected.counts["prompts"] / protocol.seconds,
        "singles_per_s": float(expected.singles_per_s.sum()),
        "live": expected.live,
        "resolution_fwhm_mm": None if protocol.inverse_crime else {
            f"{mm:g} mm from the axis": total_fwhm_mm(protocol.scanner, expected.isotope.name, mm)
            for mm in _TOLD_MM
        },
    }


def _info(expected):
    isotope = expected.isotope
    return {
        "patient_position": "HFS", "isotope": isotope.name, "half_life_s": isotope.half_life_s,
        "branching_ratio": isotope.positron_fraction, "start_s": 0.0,
        "duration_s": expected.protocol.seconds,
    }


def _write_list(path, list_format, counts, expected, info, rng, made):
    from recon.io.castor_list_writing import write_castor_list
    from recon.io.petsird_writing import write_petsird

    scanner = listing.scanner_of(expected.layout)
    chunks = progress.events(listing.events(counts, expected, rng), 1000 * info["duration_s"])
    if list_format == "castor":
        most = expected.layout.max_ring_difference
        return write_castor_list(path, chunks, scanner, info=info, max_ring_difference=most,
                                 sidecar=made)
    return write_petsird(path, chunks, scanner, info=info, efficiencies=expected.crystals,
                         sidecar=made)
