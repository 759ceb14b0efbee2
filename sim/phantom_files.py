"""A phantom as a folder of files: what is measured, and all that is known of it.

    activity.nii.gz   Bq/mL at the start of the scan
    mu-map.nii.gz     1/cm at 511 keV
    ct.nii.gz         HU
    labels.nii.gz     numbers of the regions, as phantom.json has them; 0 is air
    phantom.json      name, isotope, tracer, seed, options, table of regions, provenance
    preview.png       slices

phantom.json is written last: a folder that has one is whole.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recon.grid import Grid
from recon.io import FileError, check_output, read_image, write_image
from recon.io.outputs import make_folder
from recon.io.provenance import read_json, sha256, write_json
from sim.phantom_preview import draw_phantom
from sim.region_table import cut_off, region_table

# File -> the image in it, and its unit.
IMAGES = {
    "activity.nii.gz": ("activity", "Bq/mL"),
    "mu-map.nii.gz": ("mu_per_cm", "1/cm"),
    "ct.nii.gz": ("hu", "HU"),
    "labels.nii.gz": ("labels", "region number"),
}
SUMMARY, PREVIEW = "phantom.json", "preview.png"
TABLE = "nominal activities, without texture; at end-expiration where the phantom breathes"
_SLAB = 16  # x planes that are painted between two steps of the progress bar


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredPhantom:
    """A phantom as its folder has it.

    Attributes:
        activity: image (x, y, z) in Bq/mL at the start of the scan.
        mu_per_cm: image (x, y, z) in 1/cm at 511 keV.
        hu: image (x, y, z) in HU.
        labels: image (x, y, z), uint16; 0 is air.
        grid: Grid of all four.
        said: dict in phantom.json.
    """

    activity: np.ndarray
    mu_per_cm: np.ndarray
    hu: np.ndarray
    labels: np.ndarray
    grid: Grid
    said: dict


def write_phantom(folder, phantom, grid, *, samples, made, options=None):
    """Writes a phantom's folder; phantom.json of another phantom in it goes first.

    Args:
        folder: where to; it exists.
        phantom: Phantom.
        grid: Grid of the images.
        samples: points along each side of a voxel.
        made: dict of `recon.io.provenance.provenance`.
        options: dict that the phantom was made with.
    Returns:
        dict in phantom.json: name, tracer, isotope, seed, options, samples, activity_mbq of the
        image, cut_off (the part of the activity that the grid leaves outside), regions_are
        (TABLE), regions (`sim.region_table`) and made.
    Raises:
        FileError: the folder cannot be written.
    """
    folder = Path(folder)
    table = region_table(phantom, grid)
    images = _painted(phantom, grid, samples)
    (folder / SUMMARY).unlink(missing_ok=True)
    for file, (name, unit) in IMAGES.items():
        write_image(folder / file, images[name], grid, unit=unit, sidecar=made)
    draw_phantom(images["activity"], images["hu"], grid, folder / PREVIEW,
                 title=_title(phantom))
    said = {"name": phantom.name, "tracer": phantom.tracer, "isotope": phantom.isotope,
            "seed": phantom.seed, "options": options or {}, "samples": samples}
    bq = images["activity"].sum(dtype=np.float64) * np.prod(grid.voxel_mm) / 1000
    said |= {"activity_mbq": bq / 1e6, "cut_off": cut_off(table), "regions_are": TABLE,
             "regions": table, "made": made}
    write_json(folder / SUMMARY, said)
    return said


def read_phantom(folder):
    """Reads what `write_phantom` wrote.

    Returns:
        StoredPhantom.
    Raises:
        FileError: a file is missing or cannot be read, or the images are of several grids.
    """
    folder = Path(folder)
    said = read_json(folder / SUMMARY)
    if not said:
        raise FileError(
            f"{folder} holds no {SUMMARY}, so it is no whole phantom; make it with "
            "`countless phantom`"
        )
    images, grids = {}, {}
    for file, (name, _) in IMAGES.items():
        images[name], grids[file], _ = read_image(folder / file)
    grid = grids["activity.nii.gz"]
    for file, other in grids.items():
        if other != grid:
            raise FileError(
                f"{folder / file} has another grid than activity.nii.gz beside it; make the "
                "phantom again"
            )
    images["labels"] = images["labels"].astype(np.uint16)
    return StoredPhantom(grid=grid, said=said, **images)


def check_folder(folder, phantom, options, *, overwrite, inputs=()):
    """Makes the folder, or refuses one that holds another phantom or something else of its names.

    Args:
        folder: where the phantom shall go.
        phantom: Phantom.
        options: dict that it was made with.
        overwrite: whether what is there may be lost.
        inputs: paths that are read, which are never overwritten.
    Raises:
        FileError: with what is there.
    """
    make_folder(folder)
    files = [*IMAGES, SUMMARY, PREVIEW]
    for file in files:
        check_output(folder / file, inputs)
    there = [file for file in files if (folder / file).exists()]
    if overwrite or not there:
        return
    said = read_json(folder / SUMMARY)
    same = {"name": phantom.name, "seed": phantom.seed, "options": options,
            "isotope": phantom.isotope}
    if not said:
        raise FileError(
            f"{folder} holds {there[0]} and no {SUMMARY} that says whose it is; give another "
            "folder, or --overwrite"
        )
    read = {entry["sha256"] for entry in said.get("made", {}).get("inputs", [])}
    others = {sha256(path) for path in inputs} != read
    if others or any(said.get(key) != value for key, value in same.items()):
        raise FileError(
            f"{folder} holds another phantom ({_described(said)}; this is {_described(same)}); "
            "give another folder, or --overwrite"
        )


def _painted(phantom, grid, samples):
    """The phantom's images, painted slab by slab, with a progress bar."""
    parts, planes = [], grid.shape[0]
    with tqdm(total=planes, desc="painting", unit=" planes", delay=1, leave=False) as bar:
        for first in range(0, planes, _SLAB):
            shape = min(_SLAB, planes - first), *grid.shape[1:]
            origin = grid.origin_mm[0] + first * grid.voxel_mm[0], *grid.origin_mm[1:]
            part = Grid(shape=shape, voxel_mm=grid.voxel_mm, origin_mm=origin)
            parts.append(phantom.images(part, samples))
            bar.update(shape[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _title(phantom):
    words = [phantom.name, phantom.tracer, phantom.isotope]
    seed = [] if phantom.seed is None else [f"seed {phantom.seed}"]
    return ", ".join([word for word in words if word] + seed)


def _described(said):
    options = ", ".join(f"{name} {value}" for name, value in (said.get("options") or {}).items())
    seed = "" if said.get("seed") is None else f", seed {said['seed']}"
    return f"{said.get('name')}, {said.get('isotope')}{seed}{', ' if options else ''}{options}"
