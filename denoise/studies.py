"""The studies that a network learns from: whether they serve, and what a checkpoint tells of them.

Each study is drawn from equally often, however many phantoms it holds: one of a clinical scanner,
which takes hours to simulate, holds few.
"""

import hashlib
import itertools
import json
from dataclasses import replace

from denoise.network_input import FARTHEST
from denoise.study_images import StudyImages
from recon import text
from recon.algorithms.subsets import divisor_nearest


def resolved(recipe, studies):
    """The Recipe with what it leaves open: voxels, or subsets of views, as of the first study.

    Args:
        recipe: Recipe.
        studies: list of StoredStudy.
    Raises:
        ValueError: a study has no phantom for training, none has one for validation, one validates
            with what another trains on, or one lacks what the recipe asks for: realisations, voxels
            about as large, images as large as a patch, subsets that divide its views.
        FileError: it has no scans, of which an unrolled network learns.
    """
    for study in studies:
        if not study.numbers["train"]:
            raise ValueError(_lacks(study, "training"))
    if not any(study.numbers["validation"] for study in studies):
        raise ValueError(_lacks(studies[0], "validation"))
    _check_apart(studies)
    if recipe.unrolled and recipe.subsets is None:
        usual = studies[0].index["recipe"]["reconstruction"]["subsets"]
        recipe = replace(recipe, subsets=1 if recipe.unrolled == "primal-dual" else usual)
    if not recipe.voxel_mm and not recipe.unrolled:
        recipe = replace(recipe, voxel_mm=_grid(studies[0]).voxel_mm)
    for study in studies:
        if recipe.unrolled:
            _check_scans(recipe, study, studies[0])
        else:
            _check_study(recipe, study)
    return recipe


def phantoms_of(study):
    """Which phantoms of a study a network learns from, as a checkpoint holds it.

    Returns:
        dict of hash, seed and kind (None of a user's labels) of the study, and the numbers of the
        phantoms it is trained on (phantoms) and validated with (validation).
    """
    recipe = study.index["recipe"]
    return {
        "hash": study.index["hash"], "seed": recipe["seed"], "kind": recipe["phantoms"]["kind"],
        "phantoms": list(study.numbers["train"]), "validation": list(study.numbers["validation"]),
    }


def same_phantoms(one, other):
    """Whether phantoms of the same number are the same, at other doses or in another scanner.

    Args:
        one, other: dicts of `phantoms_of`.
    """
    drawn = one["kind"] and (one["seed"], one["kind"]) == (other["seed"], other["kind"])
    return bool(drawn) or one["hash"] == other["hash"]


def domain(studies, scalings):
    """What a network is trained on, a dict as `denoise.checkpoint.Denoiser` says.

    Args:
        studies: list of StoredStudy.
        scalings: list of Scaling, of all images that are trained on.
    """
    noise = [scaling.noise for scaling in scalings]
    recipes = [study.index["recipe"] for study in studies]
    scanners = [recipe["scan"]["scanner"] for recipe in recipes]
    return {
        "noise": [min(noise), max(noise)],
        "factors": sorted({factor for study in studies for factor in study.factors}),
        "tracers": sorted({str(study.file(number).attrs["tracer"])
                           for study in studies for number in study.numbers["train"]}),
        "scanners": sorted({s["name"] if isinstance(s, dict) else s for s in scanners}),
        "kinds": sorted({recipe["phantoms"]["kind"] for recipe in recipes}, key=str),
        "voxels_mm": [list(sides) for sides in sorted({_grid(s).voxel_mm for s in studies})],
    }


def fingerprint(studies):
    """SHA-256 of which phantoms are trained on and validated with, and of their arrays."""
    used = [[(r["number"], r["split"], r["sha256"]) for r in study.index["phantoms"]
             if r["split"] != "test"] for study in studies]
    return hashlib.sha256(json.dumps(used).encode()).hexdigest()


def study_rows(recipe, studies):
    """What studies hold for a resolved recipe, as rows for `recon.text.table`."""
    for study in studies:
        images, grid = study.realisations * len(study.factors), _grid(study)
        sides = recipe.voxel_mm or grid.voxel_mm
        seen = StudyImages(study, sides).grid(study.numbers["train"][0])
        again = "" if seen == grid else f", resampled to {text.sides(seen.voxel_mm)}"
        yield "study", (
            f"{study.folder}: {text.plural(len(study.numbers['train']), 'phantom')} for training, "
            f"{len(study.numbers['validation'])} for validation; "
            f"{text.plural(images, 'low-dose image')} of each; "
            f"voxels of {text.sides(grid.voxel_mm)}{again}"
        )
        if not study.index["complete"]:
            yield "note", f"{study.folder} is not complete; what is there is used"
        if study.index["recipe"]["scan"]["inverse_crime"]:
            yield "note", (
                f"inverse crime: {study.folder} was simulated with the reconstruction's own model; "
                "no result"
            )
        if study.index["recipe"]["doses"]["pairs"] == "thinned" and recipe.target == "standard":
            yield "note", (
                f"low doses of {study.folder} share the standard dose's noise: the network learns "
                "to keep some"
            )
    if len(studies) > 1:
        validated = [str(study.folder) for study in studies if study.numbers["validation"]]
        yield "note", "each study is drawn from equally often" + (
            f"; validated with {', '.join(validated)} alone"
            if len(validated) < len(studies) else ""
        )


def _grid(study):
    """Grid of a study's images as they are stored, which is that of all its phantoms."""
    return study.grid(study.numbers["train"][0])


def _lacks(study, use):
    counts = ", ".join(f"{len(n)} for {name}" for name, n in study.numbers.items())
    return (
        f"{study.folder} takes a phantom for {use} at least, got {counts}; simulate more of them, "
        "or change the study's split"
    )


def _check_apart(studies):
    """Refuses a study twice, and phantoms of validation that are trained on in another study."""
    for one, other in itertools.permutations(studies, 2):
        ours, theirs = phantoms_of(one), phantoms_of(other)
        if ours["hash"] == theirs["hash"] or one.folder == other.folder:
            raise ValueError(
                f"{one.folder} and {other.folder} are one study; give each study once"
            )
        both = sorted(set(ours["phantoms"]) & set(theirs["validation"]))
        if both and same_phantoms(ours, theirs):
            raise ValueError(
                f"{one.folder} trains on phantoms {', '.join(map(str, both))}, which "
                f"{other.folder} validates with, for one seed draws the same; simulate them with "
                "the same split, or with another seed"
            )


def _check_scans(recipe, study, first):
    """Refuses a study whose scans an unrolled network cannot learn from, or not beside the first's.
    """
    scan, other = (each.scan(each.pairs("train")[0]) for each in (study, first))
    if recipe.unrolled == "primal-dual" and scan.layout != other.layout:
        raise ValueError(
            f"primal-dual takes studies whose scans have the same bins, got {first.folder} with "
            f"{other.layout.shape} of {other.layout.scanner.name} and {study.folder} with "
            f"{scan.layout.shape} of {scan.layout.scanner.name}; train one for each"
        )
    if scan.layout.views % recipe.subsets:
        raise ValueError(
            f"subsets takes a divisor of the {scan.layout.views} views of {study.folder}, got "
            f"{recipe.subsets}; the nearest is {divisor_nearest(scan.layout.views, recipe.subsets)}"
        )


def _check_study(recipe, study):
    if recipe.target == "noise2noise" and study.realisations < 2:
        raise ValueError(
            f"noise2noise takes two realisations of each low dose, and {study.folder} has "
            f"{study.realisations}; simulate with `realisations: 2`, or give --target standard"
        )
    try:
        shape = StudyImages(study, recipe.voxel_mm).grid(study.numbers["train"][0]).shape
    except ValueError as reason:
        raise ValueError(
            f"a network of voxels of {text.sides(recipe.voxel_mm)} learns from sides up to "
            f"{FARTHEST:g} times as long or short, and {study.folder} has "
            f"{text.sides(_grid(study).voxel_mm)}; give --voxel-mm between those of the studies, "
            "or leave the study out"
        ) from reason
    if any(wanted > there for wanted, there in zip(recipe.patch, shape, strict=True)):
        fits = " ".join(str(min(pair)) for pair in zip(recipe.patch, shape, strict=True))
        raise ValueError(
            f"patch takes up to the voxels that the network sees of {study.folder}, {shape}, got "
            f"{recipe.patch}; give --patch {fits}"
        )
