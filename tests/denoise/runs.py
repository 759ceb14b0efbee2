"""Trainings of a moment, in this process or in one that is killed."""

import contextlib
import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from denoise.recipe import Recipe
from denoise.run_state import checkpoint_path
from denoise.studies import resolved
from denoise.training_data import prepare
from sim.dataset import open_study

ROOT = Path(__file__).resolve().parents[2]
RECIPE = {"width": 4, "levels": 1, "patch": (8, 8, 8), "patches": 8, "batch": 2, "epochs": 3,
          "validation_patches": 4, "rotated": 0.5, "learning_rate": 1e-2, "average": 0.9}

OWN = {"width": Recipe.width, "levels": Recipe.levels}  # with a network that is no U-Net of ours


def run(study_folders, folder, *, workers=0, examples_every=0, tensorboard=False, start=None,
        **changes):
    """Trains in a folder, or goes on; returns the rows of metrics.csv.

    Args:
        study_folders: of one study or of several.
    """
    from denoise.training import fit

    recipe = Recipe(**(RECIPE | changes))
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    if isinstance(study_folders, str | Path):
        study_folders = [study_folders]
    with contextlib.ExitStack() as stack:
        studies = [stack.enter_context(open_study(each)) for each in study_folders]
        recipe = resolved(recipe, studies)
        train, validation, settings = prepare(recipe, studies, folder, "countless train", start)
        return fit(recipe, train, validation, folder, settings, start=start, workers=workers,
                   examples_every=examples_every, tensorboard=tensorboard, accelerator="cpu",
                   devices=1)


def state(folder):
    """Everything in a run's checkpoint that later steps hang on, as {name: tensor}."""
    saved = torch.load(checkpoint_path(folder), weights_only=True)
    found = dict(saved["state_dict"])
    for number, values in saved["optimizer_states"][0]["state"].items():
        found |= {f"{number} {name}": value for name, value in values.items()}
    return found | {"rate": torch.tensor(saved["lr_schedulers"][0]["_last_lr"])}


def metrics(folder):
    """Rows of metrics.csv, as text."""
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_same(folder, whole):
    """Checks that a run ended as another one that was left alone."""
    found, wanted = state(folder), state(whole)
    assert {name for name in wanted if not torch.equal(found[name], wanted[name])} == set()
    assert found.keys() == wanted.keys()
    assert (folder / "model.pt").read_bytes() == (whole / "model.pt").read_bytes()
    for found, wanted in zip(metrics(folder), metrics(whole), strict=True):
        assert found | {"seconds": ""} == wanted | {"seconds": ""}


def signalled_at(step, number, patch=setattr, send=lambda number: os.kill(os.getpid(), number)):
    """Has this process send itself a signal in a step, counted from 0."""
    from denoise.training import Training

    whole = Training.training_step

    def signalled(self, batch, index):
        if self.trainer.global_step == step:
            send(number)
        return whole(self, batch, index)

    patch(Training, "training_step", signalled)


def killed_run(study_folders, folder, *, step, workers, **changes):
    """Trains in a process of its own that saves each step and is killed in one."""
    # Gradients are summed in parts, as many as there are threads: other bits with another number.
    code = (
        f"import sys, torch; torch.set_num_threads({torch.get_num_threads()});"
        "from tests.denoise import runs; from denoise import training_keeper;"
        "training_keeper.SAVE_MINUTES = 0.0; runs.signalled_at(int(sys.argv[2]), 9);"
        f"runs.run(sys.argv[4:], sys.argv[1], workers=int(sys.argv[3]), **{changes!r})"
    )
    words = [sys.executable, "-W", "error", "-c", code,
             *map(str, (folder, step, workers, *study_folders))]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def stopped_group(study_folders, folder, *, step, workers):
    """What is printed by a training whose process group, workers included, gets SIGTERM."""
    code = (
        "import os, subprocess, sys, time, torch;"
        f"torch.set_num_threads({torch.get_num_threads()});"
        "from tests.denoise import runs;"
        # From elsewhere, for torch's workers take it of their parent as their end; and in a step
        # that takes long, in which one that heeded it would be missed.
        "kill = ['kill', '-TERM', '--', f'-{os.getpgrp()}'];"
        "send = lambda _: subprocess.run(kill, start_new_session=True) and time.sleep(1);"
        "runs.signalled_at(int(sys.argv[2]), 15, send=send);"
        "runs.run(sys.argv[4:], sys.argv[1], workers=int(sys.argv[3]))"
    )
    words = [sys.executable, "-W", "error", "-c", code,
             *map(str, (folder, step, workers, *study_folders))]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300,
                          start_new_session=True).stderr
