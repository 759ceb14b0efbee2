"""`countless train`: a denoiser from studies' pairs, or a reconstruction from their scans."""

import contextlib
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from denoise.recipe import Recipe
from denoise.studies import fingerprint, resolved, study_rows
from recon import text
from recon.command_line import command_line
from recon.io import FileError
from recon.io.outputs import check_output, make_folder
from recon.io.provenance import provenance, read_json, write_json
from recon.method import UNROLLED
from recon.version import __version__

RUN, CONFIG = "run.json", "config.yaml"


def _mapping(_, tokens):
    """A dict from YAML, as cyclopts asks for it."""
    import yaml

    try:
        found = yaml.safe_load(tokens[0].value)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("takes settings as `{name: value, other: value}`")
    return found


# One word, and not a flag for each key, whose value would be taken for a string.
Settings = Annotated[dict | None,
                     Parameter(accepts_keys=False, n_tokens=1, converter=_mapping)]


def train(
    studies: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative_iterable=())],
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
    fusion: str = Recipe.fusion,
    network_settings: Settings = Recipe.network_settings,
    unrolled: Literal[UNROLLED] | None = Recipe.unrolled,
    blocks: int = Recipe.blocks,
    updates: int = Recipe.updates,
    shared: bool = Recipe.shared,
    subsets: int | None = Recipe.subsets,
    apart: bool = Recipe.apart,
    recompute: bool = Recipe.recompute,
    ct: bool = Recipe.ct,
    target: str = Recipe.target,
    loss: str = Recipe.loss,
    voxel_mm: Annotated[
        tuple[float, float, float] | None, Parameter(negative_iterable=())
    ] = Recipe.voxel_mm,
    structural: float = Recipe.structural,
    adversarial: float = Recipe.adversarial,
    patch: tuple[int, int, int] = Recipe.patch,
    flips: bool = Recipe.flips,
    rotate_degrees: float = Recipe.rotate_degrees,
    rotated: float = Recipe.rotated,
    intensity: float = Recipe.intensity,
    epochs: int = Recipe.epochs,
    patches: int = Recipe.patches,
    batch: int | None = Recipe.batch,
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
    """Train a network to make low-dose images look like better ones, or to reconstruct scans.

    The run's folder gets model.pt, the best average of weights so far (of a GAN the last), which
    `countless denoise` takes, or `countless recon` where it is unrolled; metrics.csv; a picture of
    examples; and checkpoints/last.ckpt, from which the same command goes on when it was stopped, to
    the same weights as if it had not been.

    Args:
        studies: Folders that `countless simulate` made; patches are drawn from each equally often.
        output: Folder of the run; made where there is none.
        config: YAML file of settings; flags win over it.
        start: Trained network (.pt) whose weights to begin with, of the same settings; fbsem and
            learned-gradient may begin with a denoiser's.
        network: unet, redcnn, nafnet, or the path `package.module:Class` of your own or MONAI's.
        width: Channels at full resolution.
        levels: How often a unet or nafnet halves the resolution.
        dimensions: 3, or 2 for slices across z.
        slices: Neighbouring slices that a 2D network sees of each, an odd number.
        keeps: "nothing", or "counts" for a unet that only moves counts to neighbours.
        fusion: How a unet sees the CT: "early" as a channel, "intermediate" by an encoder of its
            own, "late" by a network beside one that sees no CT, their answers averaged.
        network_settings: Of a network given by its path, as YAML: "{in_channels: 2}". One whose
            forward takes images alone gets the logarithm of the noise as a last channel more, and
            its answer is added to the image.
        unrolled: Put the network into a reconstruction of a few blocks, each some EM updates and
            the network's answer, and learn from the studies' sinograms (`keep_scans: true`): fbsem
            weighs EM's image and the network's, learned-gradient takes a step down a gradient that
            the network finds, primal-dual has one for sinograms as well.
        blocks: Of an unrolled network.
        updates: EM updates in a block, each of a subset of the views.
        shared: Whether all blocks have one network.
        subsets: Of the views; those that the first study's images were made with without it.
        apart: Have each block learn by itself, rather than all from the last image.
        recompute: Compute blocks again for gradients: a third slower, in the memory of one block.
        ct: Show the network the CT as well.
        target: "standard" for the standard-dose image, "truth", or "noise2noise" for another scan
            at the same low dose.
        loss: "l2" for means, or "l1" for medians.
        voxel_mm: Sides of the network's voxels, to which images of others are resampled; those of
            the first study without it.
        structural: Weight of 1 - SSIM beside it.
        adversarial: Weight of a discriminator's judgement (a GAN), about 0.01 to 0.03: noise then
            comes nearer to the target's, for a larger error. Kept is the last average of weights.
        patch: Voxels of a patch along x, y and z.
        flips: Turn patches over along each axis, by chance.
        rotate_degrees: Most that patches are rotated by, about z.
        rotated: Part of the patches that are.
        intensity: Most that values are scaled by, as a part of them.
        epochs: How often the network is validated and saved.
        patches: In an epoch; scans of an unrolled network.
        batch: Patches in a step, on each device, by default 4; of an unrolled network 1 scan.
        learning_rate: At its highest.
        warmup: Part of the steps in which it rises; a cosine then leads it to 0.
        weight_decay: Of AdamW.
        clip: Norm that gradients are clipped to.
        average: Decay of the moving average of weights.
        validation_patches: Of the phantoms for validation, always the same; or scans.
        patience: Epochs without improvement after which training ends; 0 for never.
        seed: Of the first weights and of all patches.
        workers: Processes that read patches, or one that reads scans; 0 for none but this one.
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
    _train(studies, output, recipe, start, machine, command_line(train, settings))


_BOX = 21, 19, 17  # voxels, as of a body, of which unrolled networks take any number
_MACHINE = ("workers", "examples_every", "tensorboard", "precision", "accelerator", "devices",
            "nodes", "strategy")


def _train(paths, folder, recipe, start, machine, command):
    from denoise import unrolled
    from denoise.networks import check_takes
    from denoise.start import read_start
    from denoise.training import fit, is_first_process
    from denoise.training_data import prepare
    from denoise.training_keeper import Stopped
    from sim.dataset import open_study
    from sim.study_lock import locked

    # Refused before anything is written.
    network = unrolled.made(recipe.unrolling, recipe.network, recipe.arguments)
    begun = read_start(start, recipe) if start else None
    with contextlib.ExitStack() as stack:
        studies = [stack.enter_context(open_study(path)) for path in paths]
        recipe = resolved(recipe, studies)
        check_same(recipe, studies, folder, begun)
        if recipe.unrolled:
            check_takes(network.networks[0], recipe.channels, _BOX)
        else:
            check_takes(network, recipe.channels, recipe.patch)
        first = is_first_process()
        if first:
            print(text.table(rows(recipe, studies)), flush=True)
        with locked(make_folder(folder)) if first else contextlib.nullcontext():
            check_output(folder / "model.pt", [start] if start else [])
            train_patches, validation, settings = prepare(recipe, studies, folder, command, begun,
                                                        machine["accelerator"])
            chosen = recipe.settings() | ({"start": str(start)} if start else {})
            read = [study.folder / "study.json" for study in studies]
            made = provenance(command=command, configuration=chosen | machine, seed=recipe.seed,
                              inputs=[*read, *([start] if start else [])])
            made |= {"data": fingerprint(studies), "start": begun and begun.sha256}
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
        f"body in validation's {_items(recipe)}; the "
        f"{'first image' if recipe.unrolled else 'low dose'}'s is {kept['nrmse_low']:.4f}"
    )
    model = folder / "model.pt"
    yield "next", (
        f"`countless recon prompts.hs … --algorithm {recipe.unrolled} --model {model}`"
        if recipe.unrolled else f"`countless denoise low.nii.gz -o out.nii.gz --model {model}`"
    )


def _items(recipe):
    return "scans" if recipe.unrolled else "patches"


def check_same(recipe, studies, folder, start=None):
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
    if there["data"] != fingerprint(studies):
        given = ", ".join(str(study.folder) for study in studies)
        raise FileError(
            f"{folder} holds a run with other phantoms than those of {given}; give another folder"
        )
    begun, ours = there.get("start"), start and start.sha256
    if begun != ours:
        names = [f"weights of hash {digest[:12]}" if digest else "random weights"
                 for digest in (begun, ours)]
        raise FileError(
            f"{folder} holds a run that started from {names[0]}, and this one starts from "
            f"{names[1]}; give another folder"
        )


def rows(recipe, studies):
    """What a training will do, as rows for `recon.text.table`."""
    yield from study_rows(recipe, studies)
    yield "network", f"{recipe.network}, " + ", ".join(
        f"{name} {value}" for name, value in recipe.arguments.items()
    )
    if recipe.unrolled:
        yield "unrolled", (
            f"{recipe.unrolled}, {text.plural(recipe.blocks, 'block')} of "
            f"{text.plural(recipe.unrolling['updates'], 'update')} of "
            f"{text.plural(recipe.subsets, 'subset')}, "
            f"{'one network' if recipe.shared else 'a network each'}"
            + (", each trained by itself" if recipe.apart else "")
        )
    yield "target", {
        "standard": "the standard-dose image", "truth": "the truth",
        "noise2noise": "another scan at the same low dose",
    }[recipe.target]
    steps = recipe.patches // recipe.batch
    each = ("a scan" if recipe.unrolled else
            f"{recipe.batch} patches of {' × '.join(map(str, recipe.patch))} voxels")
    yield "training", (
        f"{text.plural(recipe.epochs, 'epoch')} of {text.plural(steps, 'step')} of {each}"
    )


def _write_config(folder, settings):
    import yaml

    from recon.io.files import replacing

    with replacing(folder / CONFIG) as name:
        name.write_text(yaml.safe_dump(settings, sort_keys=False, default_flow_style=None),
                        encoding="utf-8")
