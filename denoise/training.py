"""Training by Lightning that, stopped at any moment, goes on to the same weights, bit for bit.

A batch depends on the step's number alone, and so does what a step draws; the moving average, the
schedule and all that is told are part of the checkpoint.
"""

import contextlib
import copy
import logging
import math
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch.utils.data import DataLoader
from tqdm import tqdm

from denoise.checkpoint import Denoiser, save_denoiser
from denoise.examples import draw_examples
from denoise.networks import network
from denoise.pairs import Batches
from denoise.run_state import COLUMNS, check_fits, checkpoint_path, exhausted, rows_of, write_rows
from recon.io.files import optional, replacing
from recon.io.outputs import make_folder

EXAMPLES = 4  # patches on a picture, at most
SAVE_MINUTES = 5.0
_LOSSES = {"l2": torch.nn.functional.mse_loss, "l1": torch.nn.functional.l1_loss}
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by a weight's axes


class Stopped(Exception):
    """Training was asked to stop, and was saved."""


class Training(pl.LightningModule):
    """A network, the moving average of its weights, and what a step does to them."""

    def __init__(self, recipe, train, validation, workers):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            made = network(recipe.network, recipe.arguments)
        for weights in made.parameters():
            if weights.dim() in _CHANNELS_LAST:  # faster, on CPUs above all
                weights.data = weights.data.to(memory_format=_CHANNELS_LAST[weights.dim()])
        self.network, self.average = made, copy.deepcopy(made).requires_grad_(False)
        self.register_buffer("losses", torch.zeros(2))  # sum and number in this epoch
        self.recipe, self.train_patches, self.workers = recipe, train, workers
        self.validation_patches = [validation[k] for k in range(len(validation))]

    def on_train_batch_start(self, *_):
        drawn = np.random.SeedSequence(self.recipe.seed, spawn_key=(self.trainer.global_step,))
        torch.manual_seed(int(drawn.generate_state(1)[0]))

    def training_step(self, batch, _):
        loss = _LOSSES[self.recipe.loss](
            self.network(batch["x"], batch["noise"]).float(), batch["target"]
        )
        self.losses += torch.stack((loss.detach(), torch.ones_like(loss)))
        return loss

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
        denoised = self.average(batch["x"], batch["noise"]).float()
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

    def result(self):
        """Means over the validation's patches, of those whose target has activity."""
        found = {name: torch.cat(values) for name, values in self.found.items()}
        active = found["nrmse_low"].isfinite()  # the network's own may be NaN, which must be seen
        return {name: float(values[active].mean()) for name, values in found.items()}

    def configure_optimizers(self):
        weights = list(self.network.parameters())
        groups = [{"params": [w for w in weights if w.dim() > 1]},
                  {"params": [w for w in weights if w.dim() <= 1], "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self.recipe.learning_rate,
                                      weight_decay=self.recipe.weight_decay)
        steps = self._batches().steps * self.recipe.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.recipe.rate(min(step, steps - 1), steps)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def train_dataloader(self):
        several = {"multiprocessing_context": "spawn", "persistent_workers": True,
                   "worker_init_fn": _deaf} if self.workers else {}
        return DataLoader(self.train_patches, batch_sampler=self._batches(),
                          num_workers=self.workers, **several)

    def val_dataloader(self):
        return DataLoader(self.validation_patches, batch_size=self.recipe.batch)

    def _batches(self):
        trainer = self.trainer
        return Batches(self.recipe.patches, self.recipe.batch, lambda: trainer.global_step,
                       rank=trainer.global_rank, devices=trainer.world_size)


class Keeper(pl.Callback):
    """Saves, tells and stops: checkpoints, metrics.csv, model.pt, examples, one bar."""

    def __init__(self, folder, recipe, settings, examples_every):
        self.folder, self.recipe, self.settings = Path(folder), recipe, settings
        self.examples_every = examples_every
        self.rows, self.seconds, self.asked, self._before = [], 0.0, False, {}

    def state_dict(self):
        return {"rows": self.rows, "seconds": self.seconds + time.monotonic() - self._began}

    def load_state_dict(self, state):
        self.rows, self.seconds = state["rows"], state["seconds"]

    def on_train_start(self, trainer, module):
        self._began = self._saved = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        total = trainer.num_training_batches * self.recipe.epochs
        self._bar = tqdm(total=total, initial=trainer.global_step, unit=" steps", file=sys.stderr,
                         dynamic_ncols=True, disable=not trainer.is_global_zero)

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self._bar.update()
        if index + 1 == trainer.num_training_batches:
            return  # saved after validation
        due = time.monotonic() - self._saved > 60 * SAVE_MINUTES
        if trainer.strategy.reduce_boolean_decision(self.asked or due, all=False):
            self._save(trainer)
            self._stop_if_asked(trainer)

    def on_validation_end(self, trainer, module):
        loss, count = module.losses.tolist()
        row = {
            "epoch": len(self.rows) + 1, "step": trainer.global_step,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "loss": loss / count, **module.result(), "seconds": self.state_dict()["seconds"],
        }
        if not math.isfinite(row["loss"]) or not math.isfinite(row["nrmse"]):
            raise ValueError(
                f"training came to values that are not finite in epoch {row['epoch']}; give a "
                "lower learning_rate and another folder"
            )
        module.losses.zero_()
        improved = all(row["nrmse"] < other["nrmse"] for other in self.rows)
        self.rows.append(row)
        self._bar.set_postfix_str(f"nrmse {row['nrmse']:.4f} (low dose {row['nrmse_low']:.4f})")
        for logger in trainer.loggers:
            logger.log_metrics({k: row[k] for k in COLUMNS[2:6]}, row["step"])
        if not trainer.is_global_zero:
            return
        write_rows(self.folder / "metrics.csv", self.rows)
        if improved:
            told = {"epoch": row["epoch"], "nrmse": row["nrmse"], "nrmse_low": row["nrmse_low"]}
            settings = self.settings | {"training": self.settings["training"] | told}
            save_denoiser(self.folder / "model.pt", Denoiser(module.average, settings))
        if self.examples_every and len(self.rows) % self.examples_every == 0:
            path = make_folder(self.folder / "examples") / f"epoch-{row['epoch']:04d}.png"
            draw_examples(path, module.shown)

    def on_train_epoch_end(self, trainer, module):
        self._save(trainer)
        self._stop_if_asked(trainer)
        trainer.should_stop = exhausted(self.rows, self.recipe)

    def teardown(self, trainer, module, stage):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            self._bar.close()

    def _ask(self, number, _):
        self.asked = True
        signal.signal(number, self._before[number])  # a second one does not wait

    def _save(self, trainer):
        path = checkpoint_path(self.folder)
        # Every device's process takes part, and the first one writes.
        with replacing(path) if trainer.is_global_zero else contextlib.nullcontext(path) as name:
            trainer.save_checkpoint(name)
        self._saved = time.monotonic()

    def _stop_if_asked(self, trainer):
        if trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            raise Stopped(f"at step {trainer.global_step} of {self._bar.total}")


def fit(recipe, train, validation, folder, settings, *, workers=0, examples_every=1,
        tensorboard=False, precision="auto", accelerator="auto", devices="auto", nodes=1,
        strategy="auto"):
    """Trains a network, or goes on where it was stopped.

    Args:
        recipe: Recipe.
        train, validation: Patches.
        folder: of the run; gets checkpoints/last.ckpt, metrics.csv, model.pt and examples/.
        settings: dict of the Denoiser that is written.
        workers: processes that read patches, spawned; 0 for none but this one.
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
    module = Training(recipe, train, validation, workers)
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


def _deaf(_):
    """Ctrl-C reaches the whole group of processes; workers end when the training does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
