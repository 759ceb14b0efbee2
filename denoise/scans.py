"""Scans of studies for training unrolled networks: an item depends on seed, epoch and index alone.
"""

import sys
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from denoise.pairs import drawn, image_name, in_turn
from denoise.scaling import RULE, Scaling
from denoise.unrolled import AROUND_MM, Beginning, first, layers, subsets_of
from recon import backend
from recon.io import FileError
from recon.io.provenance import read_json, write_json


@dataclass(frozen=True, kw_only=True, eq=False)
class ScanSource:
    """What is drawn from a study.

    Attributes:
        study: StoredStudy that keeps its scans.
        pairs: list of Pair.
        beginnings: dict of `begun`.
    """

    study: object
    pairs: list
    beginnings: dict


class Scans(Dataset):
    """Low-dose scans and the images that should be made of them.

    An item's key is (epoch, index), from which and the seed the study is drawn, each equally often,
    and the pair in it. Without `drawn` studies take turns, their pairs follow each other evenly,
    and keys are indices.

    Args:
        sources: list of ScanSource.
        recipe: Recipe.
        count: of an epoch.
        drawn: whether they are for training.
    """

    def __init__(self, sources, recipe, *, count, drawn):
        self.sources, self.recipe, self.count, self.drawn = sources, recipe, count, drawn

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        """A dict of scan (`sim.dataset.Scan`), beginning, target, body, truth and, where the
        recipe says so, ct: arrays (x, y, z), unscaled; and factor of the dose.
        """
        if self.drawn:
            key = np.random.SeedSequence(self.recipe.seed, spawn_key=(1, *key))
            which, pair = drawn(self.sources, np.random.default_rng(key))
        else:
            which, pair = in_turn(self.sources, key, self.count)
        source = self.sources[which]
        names = ["truth", "labels", self.recipe.target, *(["ct"] if self.recipe.ct else [])]
        images = source.study.read(pair, tuple(dict.fromkeys(names)))
        return {
            "scan": source.study.scan(pair), "beginning": source.beginnings[pair],
            "target": images[self.recipe.target], "truth": images["truth"],
            "body": images["labels"] != 0, "ct": images.get("ct"),
            "factor": np.array([pair.factor], np.float32),
        }


def given(item, recipe, device):
    """What a training step takes of an item of Scans, on a torch.device.

    Returns:
        dict of layers and, as of `denoise.pairs.Patches`, tensors (1, 1, x, y, z) of x (the first
        image), target, truth and body, scaled, and of noise (1,), and of factor.
    """
    data = subsets_of(item["scan"], recipe.subsets, device.type)
    made, beginning = layers(data, beginning=item["beginning"], ct=item["ct"])
    level = np.float32(beginning.scaling.level)
    found = {name: torch.from_numpy(item[name] / level).to(device)[None, None]
             for name in ("target", "truth")}
    return found | {
        "layers": made, "x": made.start[None, None], "noise": made.noise,
        "body": torch.from_numpy(item["body"]).to(device)[None, None], "factor": item["factor"],
    }


def device_of(accelerator):
    """Where scans lie in training by an accelerator of Lightning's: "cpu" or "cuda".

    Raises:
        ValueError: it is another one; NumPy and CuPy read scans.
    """
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator not in ("cpu", "gpu", "cuda"):
        raise ValueError(f"an unrolled network takes accelerator cpu or cuda, got {accelerator}")
    return "cpu" if accelerator == "cpu" else "cuda"


def begun(study, pairs, number, path, device="cpu"):
    """The Beginning of each pair's low-dose scan, found once and kept in a file.

    Args:
        study: StoredStudy that keeps its scans.
        pairs: list of Pair.
        number: of subsets.
        path: JSON file that keeps them; made where there is none.
        device: "cpu" or "cuda", where first images are made.
    Returns:
        dict from Pair to Beginning.
    Raises:
        FileError: a scan without activity; a file that is another phantom's.
    """
    rule = {"rule": RULE, "subsets": number, "around_mm": AROUND_MM}
    there, found = read_json(path), {}
    known = there["beginnings"] if rule.items() <= there.items() else {}
    try:
        for pair in tqdm(pairs, desc="first images", unit=" scans", delay=1, file=sys.stderr,
                         dynamic_ncols=True):
            name = image_name(study, pair)
            if name not in known:
                known[name] = asdict(_begun(study, pair, number, device))
            said = known[name]
            found[pair] = Beginning(scaling=Scaling(**said["scaling"]), box=said["box"])
    finally:  # a run that is broken off keeps what it found
        write_json(path, rule | {"beginnings": known})
    return found


def _begun(study, pair, number, device):
    scan = study.scan(pair)
    try:
        start = first(subsets_of(scan, number, device))
        return Beginning.of(backend.to_device(start, "cpu"), scan.grid.voxel_mm)
    except ValueError as reason:
        name = f"{study.file(pair.number).filename}, 1 / {pair.factor:g} of the dose"
        raise FileError(f"{name}: {reason}") from reason
