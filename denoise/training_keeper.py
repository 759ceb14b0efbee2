"""What a training saves, tells, and how it is stopped."""

import contextlib
import math
import signal
import sys
import time
from pathlib import Path

import pytorch_lightning as pl
from tqdm import tqdm

from denoise.checkpoint import Denoiser, save_denoiser
from denoise.examples import draw_examples
from denoise.run_state import checkpoint_path, exhausted, write_rows
from recon.io.files import replacing
from recon.io.outputs import make_folder

SAVE_MINUTES = 5.0


class Stopped(Exception):
    """Training was asked to stop, and was saved."""


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
        found = module.means() | module.result()
        row = {
            "epoch": len(self.rows) + 1, "step": trainer.global_step,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            **found, "seconds": self.state_dict()["seconds"],
        }
        if not all(math.isfinite(found[name]) for name in (*self.recipe.terms, "nrmse")):
            raise ValueError(
                f"training came to values that are not finite in epoch {row['epoch']}; give a "
                "lower learning_rate and another folder"
            )
        improved = all(row["nrmse"] < other["nrmse"] for other in self.rows)
        self.rows.append(row)
        self._bar.set_postfix_str(f"nrmse {row['nrmse']:.4f} (low dose {row['nrmse_low']:.4f})")
        for logger in trainer.loggers:
            logger.log_metrics(found | {"learning_rate": row["learning_rate"]}, row["step"])
        if not trainer.is_global_zero:
            return
        write_rows(self.folder / "metrics.csv", self.rows)
        if improved or self.recipe.kept == "last":
            told = {"kept": self.recipe.kept, "epoch": row["epoch"], "nrmse": row["nrmse"],
                    "nrmse_low": row["nrmse_low"]}
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
