"""`countless train`: a denoiser from studies' pairs."""

import contextlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from denoise.recipe import Recipe
from denoise.studies import domain, fingerprint, phantoms_of, resolved, study_rows
from recon import text
from recon.command_line import command_line
from recon.io import FileError
from recon.io.outputs import make_folder
from recon.io.provenance import provenance, read_json, write_json
from recon.version import __version__

RUN, CONFIG, SCALINGS = "run.json", "config.yaml", "scalings.json"


def train(
    studies: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative_iterable=())],
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    network: str = Recipe.network,
    width: int = Recipe.width,
    levels: int = Recipe.levels,
    dimensions: int = Recipe.dimensions,
    slices: int = Recipe.slices,
    keeps: str = Recipe.keeps,
    ct: bool = Recipe.ct,
    target: str = Recipe.target,
    loss: str = Recipe.loss,
    voxel_mm: Annotated[
        tuple[float, float, float] | None, Parameter(negative_iterable=())
    ] = Recipe.voxel_mm,
    patch: tuple[int, int, int] = Recipe.patch,
    flips: bool = Recipe.flips,
    rotate_degrees: float = Recipe.rotate_degrees,
    rotated: float = Recipe.rotated,
    intensity: float = Recipe.intensity,
    epochs: int = Recipe.epochs,
    patches: int = Recipe.patches,
    batch: int = Recipe.batch,
    learning_rate: float = Recipe.learning_rate,
    warmup: float = Recipe.warmup,
    weight_decay: float = Recipe.weight_decay,
    clip: float = Recipe.clip,
    average: float = Recipe.average,
    validation_patches: int = Recipe.validation_patches,
    patience: int = Recipe.patience,
    seed: int = Recipe.seed,
    workers: int = 2,
    examples_every: int = 1,
    tensorboard: bool = False,
    precision: str = "auto",
    accelerator: str = "auto",
    devices: str = "auto",
    nodes: int = 1,
    strategy: str = "auto",
):
    """Train a network to make low-dose images look like better ones.

    The run's folder gets model.pt, the best average of weights so far, which `countless denoise`
    takes; metrics.csv; a picture of examples; and checkpoints/last.ckpt, from which the same
    command goes on when it was stopped, to the same weights as if it had not been.

    Args:
        studies: Folders that `countless simulate` made; patches are drawn from each equally often.
        output: Folder of the run; made where there is none.
        config: YAML file of settings; flags win over it.
        network: unet, or the path `package.module:Class` of your own.
        width: Channels of the U-Net at full resolution.
        levels: How often the U-Net halves the resolution.
        dimensions: 3, or 2 for slices across z.
        slices: Neighbouring slices that a 2D network sees of each, an odd number.
        keeps: "nothing", or "counts" for a network that only moves counts to neighbours.
        ct: Show the network the CT as well.
        target: "standard" for the standard-dose image, "truth", or "noise2noise" for another scan
            at the same low dose.
        loss: "l2" for means, or "l1" for medians.
        voxel_mm: Sides of the network's voxels, to which images of others are resampled; those of
            the first study without it.
        patch: Voxels of a patch along x, y and z.
        flips: Turn patches over along each axis, by chance.
        rotate_degrees: Most that patches are rotated by, about z.
        rotated: Part of the patches that are.
        intensity: Most that values are scaled by, as a part of them.
        epochs: How often the network is validated and saved.
        patches: In an epoch.
        batch: Patches in a step, on each device.
        learning_rate: At its highest.
        warmup: Part of the steps in which it rises; a cosine then leads it to 0.
        weight_decay: Of AdamW.
        clip: Norm that gradients are clipped to.
        average: Decay of the moving average of weights.
        validation_patches: Of the phantoms for validation, always the same.
        patience: Epochs without improvement after which training ends; 0 for never.
        seed: Of the first weights and of all patches.
        workers: Processes that read patches; 0 for none but this one.
        examples_every: Epochs between pictures of examples; 0 for none.
        tensorboard: Write TensorBoard's logs too.
        precision: Lightning's, such as 32-true or bf16-mixed; auto takes bfloat16 where the machine
            calculates with it.
        accelerator: Lightning's: auto, cpu, gpu.
        devices: Lightning's: auto, or how many.
        nodes: Machines.
        strategy: Lightning's: auto, ddp.
    """
    settings = dict(locals())
    recipe = Recipe(**{name: settings[name] for name in Recipe.__dataclass_fields__})
    machine = {name: settings[name] for name in _MACHINE}
    _train(studies, output, recipe, machine, command_line(train, settings))


_MACHINE = ("workers", "examples_every", "tensorboard", "precision", "accelerator", "devices",
            "nodes", "strategy")


def _train(paths, folder, recipe, machine, command):
    from denoise.networks import network
    from denoise.training import Stopped, fit, is_first_process
    from sim.dataset import open_study
    from sim.study_lock import locked

    network(recipe.network, recipe.arguments)  # refused before anything is written
    with contextlib.ExitStack() as stack:
        studies = [stack.enter_context(open_study(path)) for path in paths]
        recipe = resolved(recipe, studies)
        check_same(recipe, studies, folder)
        first = is_first_process()
        if first:
            print(text.table(rows(recipe, studies)), flush=True)
        with locked(make_folder(folder)) if first else contextlib.nullcontext():
            train_patches, validation, settings = prepare(recipe, studies, folder, command)
            made = provenance(command=command, configuration=recipe.settings() | machine,
                              inputs=[study.folder / "study.json" for study in studies],
                              seed=recipe.seed)
            made["data"] = fingerprint(studies)
            if first:
                _write_config(folder, recipe)
                write_json(folder / RUN, made | {"complete": False})
            try:
                found = fit(recipe, train_patches, validation, folder, settings, **machine)
            except Stopped as reason:
                print(text.table([("stopped", f"{reason}, and saved; to go on: `{command}`")]))
                raise KeyboardInterrupt from reason
            if first:
                write_json(folder / RUN, made | {"complete": True})
                print(text.table(_result(recipe, found, folder)))


def _result(recipe, found, folder):
    best = min(found, key=lambda row: row["nrmse"])
    yield "trained", (
        f"{text.plural(len(found), 'epoch')} in {found[-1]['seconds'] / 60:.3g} min"
    )
    yield "best", (
        f"epoch {best['epoch']}: NRMSE {best['nrmse']:.4f} of the {recipe.target} target in the "
        f"body in validation's patches; the low dose's is {best['nrmse_low']:.4f}"
    )
    yield "next", f"`countless denoise low.nii.gz -o out.nii.gz --model {folder / 'model.pt'}`"


def prepare(recipe, studies, folder, command):
    """What a training needs of studies.

    Args:
        recipe: Recipe, resolved (`denoise.studies`).
        studies: list of StoredStudy.
        folder: of the run.
        command: the command line.
    Returns:
        Patches for training, Patches for validation, and the settings of the Denoiser.
    """
    from denoise.pairs import Patches, Source, measured
    from denoise.study_images import StudyImages

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
    return *made, _denoiser_settings(recipe, studies, trained, command)


def _denoiser_settings(recipe, studies, scalings, command):
    from denoise.channels import CT_HU
    from denoise.scaling import RULE

    return {
        "network": recipe.network, "arguments": recipe.arguments, "inputs": list(recipe.inputs),
        "target": recipe.target,
        "scaling": {"rule": RULE, "ct_hu": CT_HU},
        "voxel_mm": list(recipe.voxel_mm),
        "domain": domain(studies, scalings),
        "training": {
            "studies": [phantoms_of(study) for study in studies], "seed": recipe.seed,
            "command": command, "version": __version__, "recipe": recipe.settings(),
        },
    }


def check_same(recipe, studies, folder):
    """Refuses a folder that holds the run of another recipe, or of other data.

    Raises:
        FileError: with the first setting that differs.
    """
    there = read_json(folder / RUN)
    if not there:
        return
    before = there["configuration"] | {"version": there["version"]}
    ours = recipe.settings() | {"version": __version__}
    for name, value in ours.items():
        if before.get(name) != value:
            raise FileError(
                f"{folder} holds a run with {name} {before.get(name)}, and this one has {value}; "
                "give another folder"
            )
    if there["data"] != fingerprint(studies):
        given = ", ".join(str(study.folder) for study in studies)
        raise FileError(
            f"{folder} holds a run with other phantoms than those of {given}; give another folder"
        )


def rows(recipe, studies):
    """What a training will do, as rows for `recon.text.table`."""
    yield from study_rows(recipe, studies)
    yield "network", f"{recipe.network}, " + ", ".join(
        f"{name} {value}" for name, value in recipe.arguments.items()
    )
    yield "target", {
        "standard": "the standard-dose image", "truth": "the truth",
        "noise2noise": "another scan at the same low dose",
    }[recipe.target]
    steps = recipe.patches // recipe.batch
    yield "training", (
        f"{text.plural(recipe.epochs, 'epoch')} of {text.plural(steps, 'step')} of "
        f"{recipe.batch} patches of {' × '.join(map(str, recipe.patch))} voxels"
    )


def _write_config(folder, recipe):
    import yaml

    from recon.io.files import replacing

    with replacing(folder / CONFIG) as name:
        name.write_text(yaml.safe_dump(recipe.settings(), sort_keys=False,
                                       default_flow_style=None), encoding="utf-8")
