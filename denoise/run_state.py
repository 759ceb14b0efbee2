"""What a training's folder holds of its state: the checkpoint, and a row of metrics an epoch."""

import csv
from pathlib import Path

from recon.io import FileError
from recon.io.files import replacing


def checkpoint_path(folder):
    """Where a run's state is kept."""
    return Path(folder) / "checkpoints" / "last.ckpt"


def write_rows(path, rows):
    """Writes metrics.csv, of one row or more, whole or not at all."""
    with replacing(path) as name, open(name, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def exhausted(rows, recipe):
    """Whether so many epochs brought no improvement that training ends."""
    best = min(range(len(rows)), key=lambda k: rows[k]["nrmse"], default=0)
    return 0 < recipe.patience < len(rows) - best


def rows_of(path):
    """The rows of metrics in a checkpoint.

    Raises:
        FileError: it is none.
    """
    return _state(path)["callbacks"]["Keeper"]["rows"]


def _state(path):
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: state[name] for name in ("state_dict", "callbacks")}
    except Exception as reason:  # pickle's, zipfile's and torch's own, of many classes
        raise FileError(
            f"{path} is no checkpoint of a training ({' '.join(str(reason).split())[:200]}); "
            "remove it to begin anew"
        ) from reason


def check_fits(module, path):
    """Refuses a checkpoint whose weights are another network's than a module's.

    Raises:
        FileError: some are of another name or shape.
    """
    weights, saved = module.state_dict(), _state(path)["state_dict"]
    if {name: value.shape for name, value in weights.items()} != {
        name: value.shape for name, value in saved.items()
    }:
        raise FileError(
            f"{path} has weights of another network, perhaps of another version of Countless; give "
            "another folder"
        )
