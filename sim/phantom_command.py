"""The command `countless phantom`: test objects, people and users' own labels as images."""

import inspect
import math
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recon import memory, text
from recon.command_line import command_line, flag_of
from recon.corrections.calibration import isotope as known_isotope
from recon.grid import Grid
from recon.io import like, provenance
from recon.io.nifti import SUFFIXES
from sim import catalogue
from sim.labelled import labelled
from sim.phantom_files import IMAGES, PREVIEW, SUMMARY, check_folder, write_phantom

VOXEL_MM, AIR_MM = (2.0, 2.0, 2.0), 10.0
# Organs whose places are said, to centre a scan on, and the regions that are looked for.
LANDMARKS = {"brain": "grey matter", "thyroid": "thyroid", "heart": "myocardium", "liver": "liver",
             "kidneys": "kidney", "bladder": "urine"}  # fmt: skip
_BYTES_PER_VOXEL = 40  # four images, one of them once more, and what painting takes
Three = Annotated[tuple[float, float, float], Parameter(negative_iterable=())]


def phantom(
    name: str | None = None,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    values: Path | None = None,
    seed: int = 0,
    isotope: str | None = None,
    voxel_mm: Three | None = None,
    grid_like: Path | None = None,
    samples: int = 3,
    overwrite: bool = False,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    **options: str,
):
    """Make a phantom: activity, attenuation, CT, labels, a table of its regions, and a picture.

    `countless phantom --list` names all phantoms, and `countless phantom nema-iq --list` the
    options of one, which are flags too: `countless phantom nema-iq -o nema --contrast 8`.

    Args:
        name: Phantom's name, or an image of labels (.nii, .nii.gz, .hv).
        output: Folder for all files; made where there is none.
        values: YAML file of what the image's labels stand for: label -> name, activity_bq_ml,
            material (or mu_per_cm and hu), lesion.
        seed: Of the random numbers of a person or a brain.
        isotope: Of the activity, instead of the phantom's own.
        voxel_mm: Sides of a voxel, over all of the phantom: 2 mm, or those of the labels.
        grid_like: Image whose voxels to take instead.
        samples: Points along each side of a voxel: edges are as fine as their number.
        overwrite: Replace another phantom in the folder.
        list_: List names, or a phantom's options, and make nothing.
        options: Of the phantom.
    """
    if list_:
        print(_listed(name))
        return
    settings = dict(locals()) | {"options": {}}
    for flag, value in (("a name", name), ("--output", output)):
        if value is None:
            raise ValueError(f"countless phantom takes {flag}; --list names all phantoms")
    if not 1 <= samples <= 16:
        raise ValueError(f"--samples takes 1 to 16, got {samples}")
    given = {flag.replace("-", "_"): _value(word) for flag, word in options.items()}
    made, own_grid, inputs = _made(name, values, seed, given)
    if isotope:
        made = made.with_(isotope=known_isotope(isotope).name)
    grid = _grid(made, own_grid, voxel_mm, grid_like)
    inputs += [grid_like] if grid_like else []
    check_folder(output, made, given, overwrite=overwrite, inputs=inputs)
    flags = [word for flag, value in options.items() for word in (flag_of(flag), value)]
    command = " ".join([command_line(phantom, settings), *map(shlex.quote, flags)])
    del settings["options"], settings["list_"]
    record = provenance(command=command, configuration=settings | given, inputs=inputs,
                        seed=made.seed, grid=asdict(grid))
    said = write_phantom(output, made, grid, samples=samples, made=record, options=given)
    _report(said, grid, output)


def _made(name, values, seed, options):
    """The Phantom, the Grid it comes with or None, and the files that were read."""
    if not name.endswith((*SUFFIXES, ".hv")):
        if values:
            raise ValueError(f"--values belongs to an image of labels, got the name {name!r}")
        if Path(name).suffix:
            raise ValueError(f"an image of labels is .nii, .nii.gz or .hv, got {name}; convert it")
        return catalogue.phantom(name, seed=seed, **options), None, []
    if values is None:
        raise ValueError(f"{name} takes --values: a YAML file of what its labels stand for")
    if options:
        raise ValueError(f"{name} takes no option {flag_of(next(iter(options)))}; leave it out")
    made, grid = labelled(name, values)
    return made, grid, [name, values]


def _grid(made, own_grid, voxel_mm, grid_like):
    if voxel_mm and grid_like:
        raise ValueError("--voxel-mm and --grid-like both set the voxels; give one of them")
    if grid_like:
        grid = like(grid_like)[0]
    elif own_grid and not voxel_mm:
        grid = own_grid
    else:
        grid = fitted(made.extent, voxel_mm or VOXEL_MM)
    need, free = math.prod(grid.shape) * _BYTES_PER_VOXEL, memory.available("cpu")
    if need > free:
        raise ValueError(
            f"{text.grid(grid)} take {need / memory.GIB:.3g} GiB, and {free / memory.GIB:.3g} are "
            "free; give larger --voxel-mm"
        )
    return grid


def fitted(extent, voxel_mm):
    """The Grid about the middle of a box, which it holds with 10 mm of air around, at least."""
    if not all(0 < side < math.inf for side in voxel_mm):
        raise ValueError(f"--voxel-mm takes three sides above 0 mm, got {voxel_mm}")
    sides = [high - low for low, high in extent]
    shape = [math.ceil((side + 2 * AIR_MM) / n) for side, n in zip(sides, voxel_mm, strict=True)]
    middle = [(low + high) / 2 for low, high in extent]
    return Grid.centred(shape=shape, voxel_mm=voxel_mm, centre_mm=middle)


def _report(said, grid, output):
    lesions = sum(row["lesion"] for row in said["regions"])
    rows = [
        ("phantom", f"{said['name']}, {text.plural(len(said['regions']), 'region')}, "
                    f"{text.plural(lesions, 'lesion')}"),
        ("activity", f"{said['activity_mbq']:.4g} MBq of {said['isotope']}"),
        ("images", text.grid(grid)),
    ]
    middles = {row["name"]: row["centre_mm"] for row in said["regions"]}
    places = [f"{organ} {middles[name][2]:.0f}" for organ, name in LANDMARKS.items()
              if middles.get(name)]
    if places:
        rows.append(("z in mm", f"{', '.join(places)}: what countless scan takes as --bed-mm"))
    if said["cut_off"] > 0:
        rows.append(("warning", f"the grid cuts off {said['cut_off']:.2%} of the activity"))
    files = [*IMAGES, PREVIEW, SUMMARY]
    rows.append(("written", f"{output}: {', '.join(files)}"))
    print(text.table(rows), flush=True)


def _listed(name):
    if name is None:
        width = max(map(len, catalogue.phantom_names())) + 2
        return "\n".join(f"{known:<{width}}{catalogue.phantom_summary(known)}"
                         for known in catalogue.phantom_names())
    defaults = catalogue.phantom_options(name).items()
    flags = [f"{flag_of(option)} {_shown(default)}" for option, default in defaults]
    return f"{catalogue.phantom_description(name)}\n\n{'  '.join(flags)}"


def _shown(default):
    return "(needed)" if default is inspect.Parameter.empty else default


def _value(word):
    """A number, true, false or none, if the word is one."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return {"true": True, "false": False, "none": None}.get(word.lower(), word)
