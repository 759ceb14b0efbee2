"""What a training needs of studies: items to draw, and what its checkpoint says of them."""

from dataclasses import asdict

from denoise.channels import CT_HU
from denoise.pairs import Patches, Source, measured
from denoise.scaling import RULE
from denoise.scans import Scans, ScanSource, begun, device_of
from denoise.studies import domain, phantoms_of
from denoise.study_images import StudyImages
from recon.io.provenance import plain
from recon.version import __version__

SCALINGS = "scalings.json"  # in a run's folder: what was measured of its images


def prepare(recipe, studies, folder, command, start=None, accelerator="cpu"):
    """What a training needs of studies.

    Args:
        recipe: Recipe, resolved (`denoise.studies`).
        studies: list of StoredStudy.
        folder: of the run.
        command: the command line.
        start: `denoise.start.Start`; None for random weights.
        accelerator: Lightning's, that will train: there the first images of scans are made.
    Returns:
        Patches (Scans of an unrolled network) for training, others for validation, and the settings
        of the Denoiser.
    """
    if recipe.unrolled:
        made, scalings = _scans(recipe, studies, folder, device_of(accelerator))
        settings = _denoiser_settings(recipe, studies, scalings, command)
        settings["unrolled"] = recipe.unrolling | _model_of(recipe, studies[0])
        return _started(made, settings, start)
    sources = {"train": [], "validation": []}
    for study in studies:
        images = StudyImages(study, recipe.voxel_mm)
        pairs = {split: study.pairs(split) for split in sources}
        scalings = measured(images, pairs["train"] + pairs["validation"], folder / SCALINGS)
        for split in filter(pairs.get, sources):
            sources[split].append(Source(images=images, pairs=pairs[split], scalings=scalings))
    made = [
        Patches(sources[split], recipe, count=count, augmented=augmented)
        for split, count, augmented in (("train", recipe.patches, True),
                                        ("validation", recipe.validation_patches, False))
    ]
    trained = [source.scalings[pair] for source in sources["train"] for pair in source.pairs]
    return _started(made, _denoiser_settings(recipe, studies, trained, command), start)


def _started(made, settings, start):
    if start:
        settings["training"]["start"] = start.told()
    return *made, settings


def _scans(recipe, studies, folder, device):
    """Scans for training and for validation, and the scalings of the first."""
    sources = {"train": [], "validation": []}
    for study in studies:
        pairs = {split: study.pairs(split) for split in sources}
        found = begun(study, pairs["train"] + pairs["validation"], recipe.subsets,
                      folder / SCALINGS, device)
        for split in filter(pairs.get, sources):
            sources[split].append(ScanSource(study=study, pairs=pairs[split], beginnings=found))
    there = sum(len(source.pairs) for source in sources["validation"])
    made = [
        Scans(sources[split], recipe, count=count, drawn=split == "train")
        for split, count in (("train", recipe.patches),
                             ("validation", min(recipe.validation_patches, there)))
    ]
    return made, [s.beginnings[pair].scaling for s in sources["train"] for pair in s.pairs]


def _model_of(recipe, study):
    """What a checkpoint says of the scans' model, of a study's first one."""
    scan = study.scan(study.pairs("train")[0])
    said = {"psf_mm": scan.psf_mm}
    # Convolutions over a sinogram are of no use in one of other bins.
    return said | ({"layout": plain(asdict(scan.layout))} if recipe.unrolled == "primal-dual"
                   else {})


def _denoiser_settings(recipe, studies, scalings, command):
    grid = studies[0].grid(studies[0].numbers["train"][0])
    return {
        "network": recipe.network, "arguments": recipe.arguments, "inputs": list(recipe.inputs),
        "target": recipe.target,
        "scaling": {"rule": RULE, "ct_hu": CT_HU},
        "voxel_mm": list(recipe.voxel_mm or grid.voxel_mm),
        "domain": domain(studies, scalings),
        "training": {
            "studies": [phantoms_of(study) for study in studies], "seed": recipe.seed,
            "command": command, "version": __version__, "recipe": recipe.settings(),
        },
    }
