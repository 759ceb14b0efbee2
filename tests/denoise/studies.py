"""A study's data set of a moment: ellipsoids with a hot spot, and noise without a scanner."""

import json
from dataclasses import asdict, replace

import numpy as np
from scipy import ndimage

from recon.grid import Grid
from recon.io.provenance import write_json
from sim import dataset_file
from sim.study import SPLITS, Doses, Split
from sim.study_file import read_study
from tests.sim.studies import write

SHAPE = 24, 20, 16  # of voxels of 8 mm
SIZE_MM = 192.0, 160.0, 128.0
LEVEL = 5000.0  # Bq/mL in the body


def make_study(folder, *, count=6, factors=(4.0, 20.0), realisations=2, pairs="independent",
               split=(0.5, 0.3, 0.2), voxel_mm=8.0, seed=3):
    """Writes a data set into a folder, and returns the folder.

    Each phantom has another body and another hot spot. Noise is Gaussian of a width that grows
    with the square root of activity and factor, smoothed a little, and cut at zero.
    """
    tiny = read_study(write(folder))
    study = replace(
        tiny, seed=seed, phantoms=replace(tiny.phantoms, count=count), realisations=realisations,
        reconstruction=replace(tiny.reconstruction, voxel_mm=voxel_mm),
        doses=Doses(factors=factors, pairs=pairs), split=Split(**dict(zip(SPLITS, split,
                                                                          strict=True))),
    )
    given, records = study.split.of(count), []
    for number in range(1, count + 1):
        path = folder / f"phantom-{number:04d}.h5"
        with dataset_file.creating(path) as file:
            digest = _fill(file, study, number)
        records.append({"number": number, "file": path.name, "split": given[number - 1],
                        "sha256": digest, "bytes": path.stat().st_size})
    write_json(folder / "study.json", {
        "hash": study.hash(), "recipe": study.recipe(), "complete": True, "phantoms": records,
    })
    return folder


def _fill(file, study, number):
    sides = study.reconstruction.voxel_mm
    grid = Grid.centred(shape=np.round(np.array(SIZE_MM) / sides), voxel_mm=(sides,) * 3)
    rng = np.random.default_rng(study.phantom_seed(number))
    x, y, z = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
    radii = rng.uniform(0.7, 0.95, 3) * np.array(SIZE_MM) / 2
    body = (x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2 < 1
    middle = rng.uniform(-0.4, 0.4, 3) * radii
    spot = (x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2 < 16**2
    truth = np.float32(LEVEL) * (body + 4.0 * spot).astype(np.float32)
    file.attrs.update(
        number=number, phantom="ellipsoid", seed=str(study.phantom_seed(number)), tracer="FDG",
        isotope="F-18", grid=json.dumps(asdict(grid)),
        label_names=json.dumps(["air", "body", "lesion"]), factors=study.doses.factors,
        mode=study.doses.mode, pairs=study.doses.pairs, inverse_crime=False, cut_off=0.0,
        study_hash=study.hash(), study=json.dumps(study.settings()),
    )
    dataset_file.add(file, "truth", truth, "Bq/mL")
    dataset_file.add(file, "ct", np.where(body, 40, -1000).astype(np.float32), "HU")
    dataset_file.add(file, "labels", (body + spot).astype(np.uint16), "number of the region")
    dataset_file.add_table(file, "lesions", np.array([
        (b"lesion", 2, 5 * LEVEL, 17.2, middle, 1.0),
    ], dataset_file.LESIONS))
    standard, low = dataset_file.add_images(
        file, study.realisations, len(study.doses.factors), grid.shape
    )
    rows = []
    for realisation in range(study.realisations):
        for index, factor in enumerate((1.0, *study.doses.factors)):
            image = _noisy(truth, factor, study.rng(number, realisation, factor))
            if index:
                low[index - 1, realisation] = image
            else:
                standard[realisation] = image
            rows.append((factor, realisation, 1e6 / factor, *(0.0,) * 8))
    dataset_file.add_table(file, "scans", np.array(rows, dataset_file.SCANS))
    return dataset_file.finish(file)


def _noisy(truth, factor, rng):
    noise = ndimage.gaussian_filter(rng.normal(size=truth.shape), 0.7)
    blurred = ndimage.gaussian_filter(truth, 0.7)
    return np.maximum(blurred + 0.6 * np.sqrt(blurred * LEVEL * factor) * noise, 0).astype("f4")
