"""The unit of a study's work: one phantom, its scans at all doses and their images, in one file."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recon import memory
from recon.grid import Grid
from recon.io import FileError
from recon.io.files import replacing
from recon.io.provenance import plain
from sim import dataset_file
from sim.acquire import Counts, draw, expect
from sim.catalogue import phantom
from sim.dose import at_dose, thin
from sim.labelled import labelled
from sim.low_dose_ct import basis
from sim.protocol import check_place
from sim.reconstruct import reconstruct
from sim.region_table import region_table
from sim.study_ct import scan_ct

ARRAYS = 14  # of a scan's bins, at most: expected at two doses, counted, and estimated for an image
TRIED = 3  # phantoms; where none of them can be drawn, it is the settings' fault
FINER = 2  # voxels of the phantom that is scanned, across one of the reconstruction


def phantom_path(folder, number):
    """The file of a phantom of a number, from 1."""
    return Path(folder) / f"phantom-{number:04d}.h5"


def simulate_phantom(study, number, folder, *, threads=None, device="cpu", made=None):
    """Scans one phantom at all doses, reconstructs the scans, and writes its file.

    Memory holds one scan and one image at a time, beside what is expected.

    Args:
        study: Study.
        number: of the phantom, from 1.
        folder: where its file goes.
        threads: CPU threads; the file's arrays do not depend on it.
        device: "cpu" or "cuda", where kernels run; arrays differ by rounding.
        made: dict of `recon.io.provenance.provenance`.
    Returns:
        dict: number, sha256 of the arrays, bytes of the file, peak_bytes of memory, gpu_bytes of
        a GPU's, cut_off, the
        part of the activity between the images' ends that lies beyond their sides, and multiple_sd,
        the largest of `sim.reconstruct.Reconstructed`.
    Raises:
        ValueError: a phantom that cannot be drawn, or a dose without counts; says which phantom.
        FileError: the file cannot be written.
    """
    try:
        with replacing(phantom_path(folder, number)) as name:
            with dataset_file.creating(name) as file:
                _fill(file, study, number, {"threads": threads, "device": device})
                file.attrs["provenance"] = json.dumps(plain(made or {}))
                digest = dataset_file.finish(file)
                told = {name: float(file.attrs[name]) for name in ("cut_off", "multiple_sd")}
            size = name.stat().st_size
    except FileError:
        raise
    except ValueError as reason:
        raise ValueError(f"phantom {number} of the study: {reason}") from reason
    return {
        "number": number, "sha256": digest, "bytes": size, "peak_bytes": memory.peak(),
        "gpu_bytes": memory.held_by_gpu() if device == "cuda" else 0, **told,
    }


def draw_phantom(study, number):
    """The Phantom of a number, from 1."""
    asked = study.phantoms
    if asked.labels:
        made, _ = labelled(asked.labels[number - 1], asked.values)
    else:
        made = phantom(asked.kind, seed=study.phantom_seed(number), **asked.options)
    return made.with_(isotope=asked.isotope) if asked.isotope else made


def check_phantoms(study):
    """Refuses what cannot be drawn: all of the first phantoms of a name, any image of labels.

    Raises:
        FileError: a label lacks its row in the table, an image none of whose activity lies in the
            scanner, values of one label that no CT could show; see `sim.labelled`.
        ValueError: see `sim.catalogue.phantom`; or those of a name are far from the scanner.
    """
    asked = study.phantoms
    if not asked.labels:
        _check_first(study)
    for path in tqdm(asked.labels or (), desc="labels", unit=" images", delay=1, file=sys.stderr,
                     dynamic_ncols=True):
        made, grid = labelled(path, asked.values)
        wrong = path
        try:
            check_place(study.scan, made.activity(grid, samples=1), grid, setting="scan.bed_mm")
            for region in made.regions if study.simulates_ct else ():
                wrong = f"{asked.values}, {region.name}"
                basis(region.material.mu_per_cm, region.material.hu)
        except ValueError as reason:
            raise FileError(f"{wrong}: {reason}") from reason


def _check_first(study):
    """Refuses a name and options of which none of the first TRIED phantoms can be drawn."""
    reasons = []
    for number in range(1, min(study.phantoms.count, TRIED) + 1):
        try:
            fine_grid(study, draw_phantom(study, number))
            return
        except ValueError as reason:
            reasons.append(reason)
    raise reasons[0]


def image_grid(study):
    """Grid of a study's images in the phantoms' coordinates."""
    grid = study.reconstruction.grid(study.scan.layout)
    return study.scan.with_(bed_mm=-study.scan.bed_mm).placed(grid)


def _fill(file, study, number, machine):
    """Writes all datasets of a phantom's file; `machine` says threads and device."""
    scanned, grid, doses = draw_phantom(study, number), image_grid(study), study.doses
    file.attrs.update(
        number=number, phantom=scanned.name, seed=str(study.phantom_seed(number)),
        tracer=scanned.tracer or "", isotope=scanned.isotope, grid=json.dumps(asdict(grid)),
        label_names=json.dumps(("air", *scanned.names)), factors=doses.factors, mode=doses.mode,
        pairs=doses.pairs, inverse_crime=study.scan.inverse_crime, study_hash=study.hash(),
        study=json.dumps(study.settings()),
    )
    images = scanned.images(grid)
    file.attrs["ct_shift_mm"] = (0.0, 0.0, 0.0)
    if study.simulates_ct:
        images["hu"], images["mu_per_cm"], file.attrs["ct_shift_mm"] = scan_ct(
            study.ct, scanned, images, grid, study.rng(number, 0),
            threads=machine["threads"],
        )
    for name, array, unit in (("truth", "activity", "Bq/mL"), ("ct", "hu", "HU"),
                              ("labels", "labels", "number of the region")):
        dataset_file.add(file, name, images[array], unit)
    dataset_file.add_table(file, "lesions", lesion_table(scanned, grid))
    fine = fine_grid(study, scanned)
    scanned_images = scanned.images(fine, 2, ("activity", "mu_per_cm"))
    file.attrs["cut_off"] = cut_off(scanned_images["activity"], fine, grid)
    expected = expect(
        scanned_images["activity"], scanned_images["mu_per_cm"], fine, study.scan,
        isotope=scanned.isotope, rng=study.rng(number), **machine,
    )
    del scanned_images
    _check_counts(expected, [study.dose(factor) for factor in doses.factors])
    scans = _scans(study, number, expected, images["mu_per_cm"], machine)
    del images
    standard, low = dataset_file.add_images(
        file, study.realisations, len(doses.factors), grid.shape
    )
    rows, multiple_sd = [], 0.0
    if study.keep_scans:
        kept = dataset_file.add_scans(file, study.realisations, 1 + len(doses.factors), study.scan,
                                      study.reconstruction)
    for dose, realisation, prompts, found, row in scans:
        if dose:
            low[dose - 1, realisation] = found.image
        else:
            standard[realisation] = found.image
        if study.keep_scans:
            dataset_file.write_scan(kept, (dose, realisation), prompts, found)
        rows.append(row)
        multiple_sd = max(multiple_sd, found.multiple_sd)
    file.attrs["multiple_sd"] = multiple_sd
    dataset_file.add_table(file, "scans", np.array(rows, dataset_file.SCANS))


def _scans(study, number, expected, mu_per_cm, machine):
    """Yields (index of the dose, realisation, prompts, Reconstructed, row of `scans`) of each."""
    protocol, settings = study.scan, study.reconstruction
    grid = settings.grid(protocol.layout)
    for realisation in range(study.realisations):
        whole = None
        for index, factor in enumerate((1.0, *study.doses.factors)):
            low = at_dose(expected, study.dose(factor))
            rng = study.rng(number, realisation, factor)
            if whole is None:
                counts = draw(low, rng)
            else:
                counts = thinned(whole, expected, study.dose(factor), rng)
            if factor == 1 and study.doses.pairs == "thinned":
                whole = counts
            found = reconstruct(
                counts.prompts, counts.delayeds, low.efficiency, mu_per_cm, grid,
                protocol.layout, grid, settings, **machine,
            )
            sums = [_sum(part) for part in (counts.prompts, counts.delayeds, low.trues,
                                            low.scatter, low.randoms)]
            yield index, realisation, counts.prompts, found, (
                factor, realisation, *sums, found.scatter, found.randoms, found.scatter_scale,
                found.scatter_scale_sd,
            )


def _check_counts(expected, doses):
    """Refuses doses of which no count is expected.

    Raises:
        ValueError: with the dose.
    """
    signal, randoms = _sum(expected.trues) + _sum(expected.scatter), _sum(expected.randoms)
    for dose in doses:
        prompts = dose.signal * signal + dose.randoms * randoms
        if prompts < 1:
            raise ValueError(
                f"1 / {dose.factor:g} of the dose gives {prompts:.2g} prompts; give smaller "
                "doses.factors or more scan.minutes"
            )


def thinned(counts, expected, dose, rng):
    """Counts of the standard-dose scan that a lower dose keeps."""
    fraction = expected.trues + expected.scatter + expected.randoms
    np.divide(expected.randoms, fraction, out=fraction, where=fraction > 0)
    prompts, _ = thin(counts.prompts, dose.prompts(fraction), rng)
    delayeds, _ = thin(counts.delayeds, dose.randoms, rng)
    return Counts(prompts=prompts, delayeds=delayeds)


def fine_grid(study, scanned):
    """Grid of the phantom that is scanned, in its own coordinates.

    Voxels are a fraction (FINER) of the reconstruction's, and reach to where the phantom or the
    scanner's bore ends, along the axis a scanner's half length beyond its ends. Along the axis they
    are as long as rays are apart, or half as long, where that is no longer than the
    reconstruction's: rays are then projected three times as fast, and on a person in the demo
    scanner trues change by 0.6 % (RMS), their sum by 5e-5.

    Raises:
        ValueError: none of the phantom is that near to the scanner.
    """
    scanner, side = study.scan.scanner, study.reconstruction.voxel_mm / FINER
    apart = scanner.ring_spacing_mm / study.scan.split
    along = min(apart, apart / 2, key=lambda length: abs(length - side))
    sides = np.array([side, side, along if along <= FINER * side else side])
    reach = [scanner.radius_mm, scanner.radius_mm, scanner.rings * scanner.ring_spacing_mm]
    middle = [0.0, 0.0, study.scan.bed_mm]
    low, high = np.transpose(scanned.extent)
    low = np.maximum(low, np.subtract(middle, reach))
    high = np.minimum(high, np.add(middle, reach))
    if (high <= low).any():
        ends = [f"{start:.0f} to {stop:.0f}" for start, stop in scanned.extent]
        raise ValueError(
            f"the phantom reaches from {', '.join(ends)} mm along x, y and z, and none of it lies "
            f"about the scanner with scan.bed_mm {study.scan.bed_mm:g}; give scan.bed_mm "
            f"{np.mean(scanned.extent[2]):.0f}"
        )
    shape = np.ceil((high - low) / sides).astype(int)
    return Grid.centred(shape=shape, voxel_mm=sides, centre_mm=(low + high) / 2)


def cut_off(activity, fine, grid):
    """Part of the activity between the ends of an image that lies beyond its sides, 0 to 1."""
    along = np.abs(fine.centres(2) - grid.centre[2]) <= np.ptp(grid.extent[2]) / 2
    here = activity[:, :, along]
    inside = [(fine.centres(axis) >= low) & (fine.centres(axis) <= high)
              for axis, (low, high) in enumerate(grid.extent[:2])]
    total = _sum(here)
    return 1 - _sum(here[np.ix_(*inside)]) / total if total else 0.0


def lesion_table(scanned, grid):
    """True volume, activity and place of each lesion, where no later region covers it.

    Args:
        scanned: Phantom.
        grid: Grid of the images, in the phantom's coordinates; `inside` is the part of the
            lesion's volume that lies in it.
    Returns:
        Structured array (lesions,) of `dataset_file.LESIONS`.
    """
    rows = [
        (row["name"].encode(), row["label"], row["activity_bq_ml"], row["volume_ml"],
         row["centre_mm"] or (np.nan,) * 3, row["inside"])
        for row in region_table(scanned, grid, lesions_only=True)
    ]
    return np.array(rows, dataset_file.LESIONS)


def _sum(array):
    return float(array.sum(dtype=np.float64))
