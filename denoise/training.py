"""Training by Lightning that, stopped at any moment, goes on to the same weights, bit for bit.

A batch depends on the step's number alone, and so does what a step draws; the moving average, the
schedule and all that is told are part of the checkpoint.
"""

import contextlib
import copy
import logging
import os
import warnings
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch.utils.data import DataLoader

from denoise.discriminator import Discriminator
from denoise.losses import terms
from denoise.pairs import Batches, deaf
from denoise.run_state import check_fits, checkpoint_path, exhausted, rows_of
from denoise.scans import device_of, given
from denoise.training_keeper import Keeper
from denoise.unrolled import made
from recon.io.files import optional
from recon.io.outputs import make_folder

EXAMPLES = 4  # patches on a picture, at most
BETAS = 0.5, 0.999  # of the discriminator's AdamW: it follows a generator that moves
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by a weight's axes


class Training(pl.LightningModule):
    """A network, the moving average of its weights, and what a step does to them.

    With an adversarial term there is a discriminator too. One optimizer steps both at once, each
    by its own gradient, clipped by itself.
    """

    def __init__(self, recipe, train, validation, workers, start=None):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.network = made(recipe.unrolling, recipe.network, recipe.arguments,
                                recompute=recipe.recompute)
            self.discriminator = (
                Discriminator(dimensions=recipe.dimensions) if recipe.adversarial else None
            )
        if start is not None:
            # With a denoiser's each network of an unrolled one begins.
            whole = bool(recipe.unrolled) == start.unrolled
            for part in [self.network] if whole else self.network.networks:
                part.load_state_dict(start.weights)
        for values in self.parameters():
            if values.dim() in _CHANNELS_LAST:  # faster, on CPUs above all
                values.data = values.data.to(memory_format=_CHANNELS_LAST[values.dim()])
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        # Sums of the terms, and of how many, in this epoch.
        self.register_buffer("losses", torch.zeros(len(recipe.terms) + 1))
        self.recipe, self.train_items, self.workers = recipe, train, workers
        # Patches are read once; scans, which are larger, each time.
        self.validation_items = validation if recipe.unrolled else [
            validation[k] for k in range(len(validation))
        ]

    def transfer_batch_to_device(self, batch, device, index):
        if self.recipe.unrolled:  # by `given`
            return batch
        return super().transfer_batch_to_device(batch, device, index)

    def on_train_batch_start(self, *_):
        drawn = np.random.SeedSequence(self.recipe.seed, spawn_key=(self.trainer.global_step,))
        torch.manual_seed(int(drawn.generate_state(1)[0]))

    def training_step(self, batch, _):
        batch, outputs = self._answers(self.network, batch, self.recipe.apart)
        each = [terms(self.recipe, output, batch, self.discriminator) for output in outputs]
        found = {name: sum(one[name] for one in each) / len(each) for name in each[0]}
        self.losses += torch.stack([*found.values(), torch.ones_like(found["loss"])]).detach()
        return sum(weight * found[name] for name, weight in self.recipe.terms.items())

    def _answers(self, network, batch, apart=False):
        """A batch as a step takes it, and a network's images (n, 1, x, y, z): its last, or, if
        blocks of an unrolled one learn apart, that of each.
        """
        if not self.recipe.unrolled:
            return batch, [network(batch["x"], batch["noise"]).float()]
        batch = given(batch, self.recipe, self.device)
        images = list(network.images(batch["layers"], apart=apart))
        return batch, [image[None, None] for image in (images if apart else images[-1:])]

    def configure_gradient_clipping(self, optimizer, gradient_clip_val, **_):
        for part in (self.network, self.discriminator):
            if part is not None:
                torch.nn.utils.clip_grad_norm_(part.parameters(), gradient_clip_val)

    def optimizer_step(self, *arguments, **options):
        super().optimizer_step(*arguments, **options)
        step = self.trainer.global_step
        decay = min(self.recipe.average, (1 + step) / (10 + step))  # the first weights fade sooner
        with torch.no_grad():
            for kept, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(now, 1 - decay)
            for kept, now in zip(self.average.buffers(), self.network.buffers(), strict=True):
                kept.copy_(now)

    def on_validation_epoch_start(self):
        self.found, self.shown = {"nrmse": [], "nrmse_low": []}, []

    def validation_step(self, batch, _):
        batch, (denoised,) = self._answers(self.average, batch)
        for name, image in (("nrmse", denoised), ("nrmse_low", batch["x"][:, :1])):
            self.found[name].append(nrmse(image, batch["target"], batch["body"]))
        if not self.shown:
            images = {"low dose": batch["x"], "output": denoised, "target": batch["target"]}
            if self.recipe.target != "truth":
                images["truth"] = batch["truth"]
            self.shown = [
                (f"1 / {batch['factor'][k]:g}",
                 {name: image[k, 0].cpu().numpy() for name, image in images.items()})
                for k in range(min(len(denoised), EXAMPLES))
            ]

    def means(self):
        """Means of the loss's terms over this epoch's steps, which are forgotten."""
        *sums, count = self.losses.tolist()
        self.losses.zero_()
        return {name: value / count for name, value in zip(self.recipe.terms, sums, strict=True)}

    def result(self):
        """Means over the validation's patches, of those whose target has activity."""
        found = {name: torch.cat(values) for name, values in self.found.items()}
        active = found["nrmse_low"].isfinite()  # the network's own may be NaN, which must be seen
        return {name: float(values[active].mean()) for name, values in found.items()}

    def configure_optimizers(self):
        weights = list(self.network.parameters())
        groups = [{"params": [w for w in weights if w.dim() > 1]},
                  {"params": [w for w in weights if w.dim() <= 1], "weight_decay": 0.0}]
        if self.discriminator is not None:
            groups.append({"params": list(self.discriminator.parameters()), "betas": BETAS})
        optimizer = torch.optim.AdamW(groups, lr=self.recipe.learning_rate,
                                      weight_decay=self.recipe.weight_decay)
        steps = self._batches().steps * self.recipe.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.recipe.rate(min(step, steps - 1), steps)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def train_dataloader(self):
        ahead = 1 if self.recipe.unrolled else 2  # of batches that a worker reads
        several = {"multiprocessing_context": "spawn", "persistent_workers": True,
                   "prefetch_factor": ahead, "worker_init_fn": deaf} if self.workers else {}
        return DataLoader(self.train_items, batch_sampler=self._batches(), collate_fn=self._one,
                          num_workers=self.workers, **several)

    def val_dataloader(self):
        return DataLoader(self.validation_items, batch_size=self.recipe.batch,
                          collate_fn=self._one)

    @property
    def _one(self):
        """What makes a batch of items: of scans, which are of many sizes, there is one in each."""
        return itemgetter(0) if self.recipe.unrolled else None

    def _batches(self):
        trainer = self.trainer
        return Batches(self.recipe.patches, self.recipe.batch, lambda: trainer.global_step,
                       rank=trainer.global_rank, devices=trainer.world_size)


def fit(recipe, train, validation, folder, settings, *, start=None, workers=0, examples_every=1,
        tensorboard=False, precision="auto", accelerator="auto", devices="auto", nodes=1,
        strategy="auto"):
    """Trains a network, or goes on where it was stopped.

    Args:
        recipe: Recipe.
        train, validation: Patches, or Scans of an unrolled network.
        folder: of the run; gets checkpoints/last.ckpt, metrics.csv, model.pt and examples/.
        settings: dict of the Denoiser that is written.
        start: `denoise.start.Start` of a new training; None for random weights.
        workers: processes that read patches, spawned, or one that reads scans; 0 for none but this
            one.
        examples_every: epochs between pictures; 0 for none.
        tensorboard: whether to write TensorBoard's logs as well.
        precision, accelerator, devices, nodes, strategy: Lightning's; "auto" takes bfloat16 where
            the machine calculates with it.
    Returns:
        list of dicts, a row of metrics.csv for each epoch.
    Raises:
        Stopped: it was asked to stop by SIGINT or SIGTERM, and is saved.
        FileError: a checkpoint cannot be read or written; the one before stays.
        ValueError: losses are not finite any more.
    """
    logger = False
    if tensorboard:
        optional("tensorboard", "tensorboard", "--tensorboard")
        logger = TensorBoardLogger(folder, name="", version="tensorboard")
    last = checkpoint_path(make_folder(Path(folder) / "checkpoints").parent)
    if is_first_process():
        for path in last.parent.glob(f".*.{last.name}"):  # of a run that was killed as it saved
            path.unlink()
    rows = rows_of(last) if last.is_file() else []
    if len(rows) == recipe.epochs or exhausted(rows, recipe):
        return rows
    if recipe.unrolled:
        workers = min(workers, 1)  # scans are large
        accelerator = device_of(accelerator)
    module = Training(recipe, train, validation, workers, start)
    if last.is_file():
        check_fits(module, last)
    keeper = Keeper(folder, recipe, settings, examples_every)
    with _quiet():
        trainer = pl.Trainer(
            accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy,
            precision=fitting_precision(accelerator) if precision == "auto" else precision,
            max_epochs=recipe.epochs, gradient_clip_val=recipe.clip, callbacks=[keeper],
            logger=logger, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
            default_root_dir=folder,
        )
        with _readers_of_one_thread():
            trainer.fit(module, ckpt_path=last if last.is_file() else None, weights_only=True)
    return rows_of(last)  # the trainings may have been in other processes


def nrmse(image, target, body):
    """Root mean square error in the body, of the target's root mean square, for each patch.

    Args:
        image, target, body: (n, 1, x, y, z).
    Returns:
        (n,); not finite where the target has no activity.
    """
    error = ((image - target) * body).flatten(1).square().sum(1)
    return (error / (target * body).flatten(1).square().sum(1)).sqrt()


def fitting_precision(accelerator):
    """The precision that this machine trains fastest in without harm, as Lightning names it."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if native else "16-mixed"
    if accelerator not in ("auto", "cpu") or torch.backends.mps.is_available():
        return "32-true"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if native else "32-true"  # emulated, it is many times slower


def is_first_process():
    """Whether this process writes; Lightning starts one for each device."""
    return rank_zero_only.rank == 0


@contextlib.contextmanager
def _readers_of_one_thread():
    """Has NumPy take one thread in the processes that are started to read patches.

    They are many, and each would take all cores: twelve on 16 cores read 16 patches in a second.
    """
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@contextlib.contextmanager
def _quiet():
    """Without what Lightning says of itself."""
    log = logging.getLogger("pytorch_lightning")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            # Of weights whose memory order is ambiguous, such as of one channel.
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
            warnings.simplefilter("ignore", PossibleUserWarning)  # advice on workers and logging
            yield
    finally:
        log.setLevel(level)
