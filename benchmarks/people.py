"""`countless benchmark people`: many random people on one picture, and how true their mass is."""

import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from benchmarks import machine
from benchmarks.people_sheet import contact_sheet
from recon.io.files import check_writable
from recon.io.provenance import write_json
from sim.people import person
from sim.phantom_command import fitted
from sim.uptake import TRACERS


def people(
    *,
    count: int = 40,
    first_seed: int = 1,
    part: Literal["torso", "whole-body"] = "whole-body",
    voxel_mm: float = 4.0,
    picture: Path | None = None,
    output: Path | None = None,
):
    """Draw random people, and put them on one picture.

    Tracers take turns; all else is drawn by seed.

    Args:
        count: How many.
        first_seed: The others follow it.
        part: Of them.
        voxel_mm: Side of a voxel.
        picture: Contact sheet to draw (.png).
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    for path in filter(None, (picture, output)):
        check_writable(path)
    results, panels, tracers = machine.origin(), [], tuple(TRACERS)
    results |= {"part": part, "voxel_mm": voxel_mm, "people": []}
    for number in tqdm(range(count), unit="person", file=sys.stderr, dynamic_ncols=True):
        began = time.perf_counter()
        one = person(first_seed + number, tracer=tracers[number % len(tracers)], part=part)
        grid = fitted(one.extent, (voxel_mm,) * 3)
        images = one.images(grid, samples=2, names=("activity", "hu", "labels"))
        seconds, habitus = time.perf_counter() - began, one.habitus
        results["people"].append({
            "seed": one.seed, "tracer": one.tracer, "sex": habitus.sex,
            "height_cm": habitus.height_cm, "weight_kg": habitus.weight_kg,
            "mass_kg": mass_kg(one, images["labels"], grid), "lesions": len(one.lesions),
            "voxels": int(np.prod(grid.shape)), "seconds": seconds,
        })
        shown = {"activity": images["activity"] / np.float32(one.injection.suv_bq_ml),
                 "hu": images["hu"]}
        title = (f"{one.seed}: {habitus.sex[0]} {habitus.height_cm:.0f} cm {habitus.weight_kg:.0f} "
                 f"kg {one.tracer}")
        panels.append((title, shown, grid))
    results["median_seconds"] = float(np.median([one["seconds"] for one in results["people"]]))
    print(f"{count} people, {results['median_seconds']:.1f} s each (median)")
    if part == "whole-body":
        off = [one["mass_kg"] / one["weight_kg"] - 1 for one in results["people"]]
        results["mass_over_weight"] = {"mean_off": float(np.mean(off)),
                                       "most_off": max(off, key=abs)}
        print(f"mass {np.mean(off):+.1%} off the weight on average, {max(off, key=abs):+.1%} at "
              "most")
    if picture is not None:
        contact_sheet(picture, panels)
    if output is not None:
        write_json(output, results)
    return results


def mass_kg(phantom, labels, grid):
    """Mass in kg of a phantom's regions, counted in the image of their labels."""
    density = {region.name: region.material.density_g_ml for region in phantom.regions}
    voxels = np.bincount(labels.ravel(), minlength=len(phantom.names) + 1)[1:]
    grams = voxels @ [density[name] for name in phantom.names] * np.prod(grid.voxel_mm) / 1000
    return float(grams / 1000)
