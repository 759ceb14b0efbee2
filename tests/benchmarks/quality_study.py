"""A study of moments, written without a scan: blurred truth with noise that goes with the dose."""

import json
from dataclasses import asdict

import numpy as np
from scipy import ndimage

from recon.grid import Grid
from recon.io.provenance import write_json
from sim import dataset_file

GRID = Grid.centred(shape=(40, 28, 20), voxel_mm=(6.0, 6.0, 6.0))
NAMES = ("air", "muscle", "liver", "lesion 1", "lesion 2")
ACTIVITY = (0.0, 1000.0, 3000.0, 12000.0, 6000.0)
LESIONS = ((3, 24.0, (54.0, 6.0, 18.0)), (4, 10.0, (-60.0, 0.0, 0.0)))  # label, mm, centre
FINE = 5  # points along each side of a voxel


def write_study(folder, *, factors=(4.0, 20.0), realisations=2, splits=None, noise=0.15,
                lesions=2):
    """A folder that `open_study` reads: phantoms that differ in where the liver lies.

    Args:
        splits: of each phantom; by default one for validation and two for testing.
        noise: of the standard dose, relative to the liver.
        lesions: 2 or 0.
    """
    splits = splits or ("validation", "test", "test")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, len(splits) + 1):
        _write_phantom(folder / f"phantom-{number:04d}.h5", number, factors, realisations, noise,
                       LESIONS[:lesions])
    write_json(folder / "study.json", {
        "recipe": {
            "seed": 1, "phantoms": {"kind": "ball", "options": {"lesions": lesions}},
            "doses": {"factors": factors, "mode": "time", "pairs": "independent"},
            "ct": {"simulated": False}, "realisations": realisations,
            "scan": {"scanner": {"name": "none"}, "inverse_crime": False},
            "reconstruction": {"voxel_mm": 6.0, "iterations": 1, "subsets": 1, "psf_mm": 0.0,
                               "post_filter_mm": 0.0},
        },
        "hash": "0123abcd",
        "phantoms": [{"number": number, "file": f"phantom-{number:04d}.h5", "split": split}
                     for number, split in enumerate(splits, start=1)],
    })
    return folder


def truth_and_labels(number, lesions=LESIONS):
    """Truth (x, y, z) in Bq/mL and labels of a phantom."""
    shift = 3.0 * (number % 3)
    fine = [(np.arange(n * FINE) + 0.5) * v / FINE + low
            for n, v, (low, _) in zip(GRID.shape, GRID.voxel_mm, GRID.extent, strict=True)]
    x, y, z = np.ix_(*fine)
    label = np.where((x / 105) ** 2 + (y / 75) ** 2 + 0 * z < 1, 1, 0)
    label[np.hypot(np.hypot(x - 24 - shift, y), z) < 54] = 2
    for number_of, diameter, (a, b, c) in lesions:
        label[np.hypot(np.hypot(x - a, y - b), z - c) < diameter / 2] = number_of
    blocks = [part for n in GRID.shape for part in (n, FINE)]
    truth = np.array(ACTIVITY)[label].reshape(blocks).mean(axis=(1, 3, 5))
    middle = slice(FINE // 2, None, FINE)
    return truth.astype(np.float32), label[middle, middle, middle].astype(np.uint16)


def _write_phantom(path, number, factors, realisations, noise, lesions):
    truth, labels = truth_and_labels(number, lesions)
    rng = np.random.default_rng(number)

    def image(factor):
        grain = ndimage.gaussian_filter(rng.normal(0, 1, GRID.shape), 0.7)
        grain *= noise * np.sqrt(factor) / grain.std()
        seen = ndimage.gaussian_filter(truth, 0.6)
        return seen + grain * np.sqrt(seen * ACTIVITY[2])  # as counts have it

    ct = np.where(labels > 0, np.where(labels == 2, 60.0, 40.0), -1000.0).astype(np.float32)
    table = np.array([
        (NAMES[label].encode(), label, ACTIVITY[label], np.pi / 6000 * mm**3, centre, 1.0)
        for label, mm, centre in lesions], dataset_file.LESIONS)
    with dataset_file.creating(path) as file:
        file.attrs.update(number=number, phantom="ball", grid=json.dumps(asdict(GRID)),
                          label_names=json.dumps(NAMES), factors=factors)
        for name, array, unit in (("truth", truth, "Bq/mL"), ("ct", ct, "HU"),
                                  ("labels", labels, "number of the region")):
            dataset_file.add(file, name, array, unit)
        dataset_file.add_table(file, "lesions", table)
        standard, low = dataset_file.add_images(file, realisations, len(factors), GRID.shape)
        for realisation in range(realisations):
            standard[realisation] = image(1.0)
            for dose, factor in enumerate(factors):
                low[dose, realisation] = image(factor)
        dataset_file.finish(file)
