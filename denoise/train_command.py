"""`countless train`: a denoiser from a study's pairs."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from denoise.recipe import Recipe
from recon import text
from recon.command_line import command_line
from recon.io import FileError
from recon.io.outputs import check_output, make_folder
from recon.io.provenance import provenance, read_json, write_json
from recon.version import __version__

RUN, CONFIG, SCALINGS = "run.json", "config.yaml", "scalings.json"


def train(
    study: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    start: Path | None = None,
    network: str = Recipe.network,
    width: int = Recipe.width,
    levels: int = Recipe.levels,
    dimensions: int = Recipe.dimensions,
    slices: int = Recipe.slices,
    keeps: str = Recipe.keeps,
    ct: bool = Recipe.ct,
    target: str = Recipe.target,
    loss: str = Recipe.loss,
    structural: float = Recipe.structural,
    adversarial: float = Recipe.adversarial,
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

    The run's folder gets model.pt, the best average of weights so far (of a GAN the last), which
    `countless denoise` takes; metrics.csv; a picture of examples; and checkpoints/last.ckpt, from
    which the same command goes on when it was stopped, to the same weights as if it had not been.

    Args:
        study: Folder that `countless simulate` made.
        output: Folder of the run; made where there is none.
        config: YAML file of settings; flags win over it.
        start: Trained network (.pt) whose weights to begin with, of the same settings.
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
        structural: Weight of 1 - SSIM beside it.
        adversarial: Weight of a discriminator's judgement (a GAN), about 0.001 to 0.01: noise then
            looks more like the target's, for a larger error. Kept is the last average of weights.
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
    _train(study, output, recipe, start, machine, command_line(train, settings))


_MACHINE = ("workers", "examples_every", "tensorboard", "precision", "accelerator", "devices",
            "nodes", "strategy")


def _train(path, folder, recipe, start, machine, command):
    from denoise.networks import network
    from denoise.start import read_start
    from denoise.training import fit, is_first_process
    from denoise.training_keeper import Stopped
    from sim.dataset import open_study
    from sim.study_lock import locked

    network(recipe.network, recipe.arguments)  # refused before anything is written
    begun = read_start(start, recipe) if start else None
    with open_study(path) as study:
        check_study(recipe, study)
        check_same(recipe, study, folder, begun)
        first = is_first_process()
        if first:
            print(text.table(rows(recipe, study)), flush=True)
        with locked(make_folder(folder)) if first else contextlib.nullcontext():
            check_output(folder / "model.pt", [start] if start else [])
            train_patches, validation, settings = prepare(recipe, study, folder, command, begun)
            chosen = recipe.settings() | ({"start": str(start)} if start else {})
            made = provenance(command=command, configuration=chosen | machine, seed=recipe.seed,
                              inputs=[study.folder / "study.json", *([start] if start else [])])
            made |= {"data": fingerprint(study), "start": begun and begun.sha256}
            if first:
                _write_config(folder, chosen)
                write_json(folder / RUN, made | {"complete": False})
            try:
                found = fit(recipe, train_patches, validation, folder, settings, start=begun,
                            **machine)
            except Stopped as reason:
                print(text.table([("stopped", f"{reason}, and saved; to go on: `{command}`")]))
                raise KeyboardInterrupt from reason
            if first:
                write_json(folder / RUN, made | {"complete": True})
                print(text.table(_result(recipe, found, folder)))


def _result(recipe, found, folder):
    kept = found[-1] if recipe.kept == "last" else min(found, key=lambda row: row["nrmse"])
    yield "trained", (
        f"{text.plural(len(found), 'epoch')} in {found[-1]['seconds'] / 60:.3g} min"
    )
    yield recipe.kept, (
        f"epoch {kept['epoch']}: NRMSE {kept['nrmse']:.4f} of the {recipe.target} target in the "
        f"body in validation's patches; the low dose's is {kept['nrmse_low']:.4f}"
    )
    yield "next", f"`countless denoise low.nii.gz -o out.nii.gz --model {folder / 'model.pt'}`"


def prepare(recipe, study, folder, command, start=None):
    """What a training needs of a study; `start` is its Start, if it has one.

    Returns:
        Patches for training, Patches for validation, and the settings of the Denoiser.
    """
    from denoise.pairs import Patches, measured

    pairs = {split: study.pairs(split) for split in ("train", "validation")}
    scalings = measured(study, pairs["train"] + pairs["validation"], folder / SCALINGS)
    made = [
        Patches(study, pairs[split], scalings, recipe, count=count, augmented=augmented)
        for split, count, augmented in (("train", recipe.patches, True),
                                        ("validation", recipe.validation_patches, False))
    ]
    settings = _denoiser_settings(recipe, study, [scalings[p] for p in pairs["train"]], command)
    if start:
        settings["training"]["start"] = start.told()
    return *made, settings


def _denoiser_settings(recipe, study, scalings, command):
    from denoise.channels import CT_HU
    from denoise.scaling import RULE

    index, numbers = study.index, study.numbers["train"]
    scan = index["recipe"]["scan"]["scanner"]
    noise = [scaling.noise for scaling in scalings]
    return {
        "network": recipe.network, "arguments": recipe.arguments, "inputs": list(recipe.inputs),
        "target": recipe.target,
        "scaling": {"rule": RULE, "ct_hu": CT_HU},
        "voxel_mm": list(study.grid(numbers[0]).voxel_mm),
        "domain": {
            "noise": [min(noise), max(noise)], "factors": list(study.factors),
            "tracers": sorted({str(study.file(n).attrs["tracer"]) for n in numbers}),
            "scanners": [scan["name"] if isinstance(scan, dict) else scan],
            "kind": index["recipe"]["phantoms"]["kind"],
        },
        "training": {
            "study": index["hash"], "study_seed": index["recipe"]["seed"],
            "phantoms": list(numbers), "seed": recipe.seed,
            "command": command, "version": __version__, "recipe": recipe.settings(),
        },
    }


def check_study(recipe, study):
    """Refuses a study that lacks what a recipe asks for.

    Raises:
        ValueError: too few phantoms or realisations, or images smaller than a patch.
    """
    for split, use in (("train", "training"), ("validation", "validation")):
        if not study.numbers[split]:
            counts = ", ".join(f"{len(n)} for {name}" for name, n in study.numbers.items())
            raise ValueError(
                f"{study.folder} takes a phantom for {use} at least, got {counts}; simulate more "
                "of them, or change the study's split"
            )
    if recipe.target == "noise2noise" and study.realisations < 2:
        raise ValueError(
            f"noise2noise takes two realisations of each low dose, and {study.folder} has "
            f"{study.realisations}; simulate with `realisations: 2`, or give --target standard"
        )
    shape = study.file(study.numbers["train"][0])["truth"].shape
    if any(wanted > there for wanted, there in zip(recipe.patch, shape, strict=True)):
        fits = " ".join(str(min(pair)) for pair in zip(recipe.patch, shape, strict=True))
        raise ValueError(
            f"patch takes up to the voxels of the study's images, {shape}, got {recipe.patch}; "
            f"give --patch {fits}"
        )


def fingerprint(study):
    """SHA-256 of which phantoms are trained on and validated with, and of their arrays."""
    used = [(r["number"], r["split"], r["sha256"]) for r in study.index["phantoms"]
            if r["split"] != "test"]
    return hashlib.sha256(json.dumps(used).encode()).hexdigest()


def check_same(recipe, study, folder, start=None):
    """Refuses a folder that holds the run of another recipe, of other data, or from another start.

    Raises:
        FileError: with the first setting that differs.
    """
    there = read_json(folder / RUN)
    if not there:
        return
    # A setting that a run does not name is younger than it, and by default changes nothing.
    before = Recipe().settings() | there["configuration"] | {"version": there["version"]}
    ours = recipe.settings() | {"version": __version__}
    for name, value in ours.items():
        if before.get(name) != value:
            raise FileError(
                f"{folder} holds a run with {name} {before.get(name)}, and this one has {value}; "
                "give another folder"
            )
    if there["data"] != fingerprint(study):
        raise FileError(
            f"{folder} holds a run with other phantoms than those of {study.folder}; give another "
            "folder"
        )
    begun, ours = there.get("start"), start and start.sha256
    if begun != ours:
        names = [f"weights of hash {digest[:12]}" if digest else "random weights"
                 for digest in (begun, ours)]
        raise FileError(
            f"{folder} holds a run that started from {names[0]}, and this one starts from "
            f"{names[1]}; give another folder"
        )


def rows(recipe, study):
    """What a training will do, as rows for `recon.text.table`."""
    images = study.realisations * len(study.factors)
    yield "study", (
        f"{text.plural(len(study.numbers['train']), 'phantom')} for training, "
        f"{len(study.numbers['validation'])} for validation; {images} low-dose images of each"
    )
    if not study.index["complete"]:
        yield "note", "the study is not complete; what is there is used"
    if study.index["recipe"]["scan"]["inverse_crime"]:
        yield "note", "inverse crime: simulated with the reconstruction's own model; no result"
    if study.index["recipe"]["doses"]["pairs"] == "thinned" and recipe.target == "standard":
        yield "note", "low doses share the standard dose's noise: the network learns to keep some"
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


def _write_config(folder, settings):
    import yaml

    from recon.io.files import replacing

    with replacing(folder / CONFIG) as name:
        name.write_text(yaml.safe_dump(settings, sort_keys=False, default_flow_style=None),
                        encoding="utf-8")
