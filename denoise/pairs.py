"""Patches of studies' pairs for training: an item depends on seed, epoch and index alone."""

import math
import signal
import sys
from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage
from torch.utils.data import Dataset
from tqdm import tqdm

from denoise.channels import channels
from denoise.scaling import RULE, Scaling, measure
from denoise.study_images import StudyImages
from recon.io import FileError
from recon.io.provenance import read_json, write_json
from sim.dataset import Pair

_APART = 4  # voxels between places that a patch's middle is drawn from
_SPLINE = 3  # order of interpolation where a patch is rotated: linear would smooth noise more


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """What is drawn from a study.

    Attributes:
        images: StudyImages.
        pairs: list of Pair.
        scalings: dict of `measured`.
    """

    images: StudyImages
    pairs: list
    scalings: dict


class Patches(Dataset):
    """Patches of low-dose images, their targets, and how they are scaled.

    An item's key is (epoch, index). Its random numbers are drawn from (seed, epoch, index): the
    study, each equally often, the pair in it, the place of its middle in the body, and how it is
    augmented. Without augmentation studies take turns, their pairs follow each other evenly, and
    every epoch is the first.

    Args:
        sources: list of Source, one for each study.
        recipe: Recipe.
        count: patches in an epoch.
        augmented: whether they are for training.
    """

    def __init__(self, sources, recipe, *, count, augmented):
        self.sources, self.recipe = sources, recipe
        self.count, self.augmented = count, augmented
        self._inside = {}

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        """A patch.

        Returns:
            dict: x (channels, x, y, z) and target (1, x, y, z), scaled; body (1, x, y, z), bool;
            noise; factor of the dose; study, its place in `sources`; phantom, the number that its
            file says. Without augmentation the truth (1, x, y, z) as well.
        """
        epoch, index = key if self.augmented else (0, key)
        recipe = self.recipe
        rng = np.random.default_rng(
            np.random.SeedSequence(recipe.seed, spawn_key=(int(self.augmented), epoch, index))
        )
        which, pair = (drawn(self.sources, rng) if self.augmented
                       else in_turn(self.sources, index, self.count))
        source, study = self.sources[which], self.sources[which].images.study
        middle = self._place(which, pair, rng)
        target = pair
        if recipe.target == "noise2noise":
            other = pair.realisation + 1 + int(rng.integers(study.realisations - 1))
            target = Pair(number=pair.number, factor=pair.factor,
                          realisation=other % study.realisations)
        degrees = 0.0
        if self.augmented and rng.random() < recipe.rotated:
            degrees = rng.uniform(-1, 1) * recipe.rotate_degrees
        images = self._images(source.images, pair, target, middle, degrees)
        scaling = source.scalings[pair]
        x = channels(images["low"], scaling.level, images.get("ct"))
        wanted = images["target"][None] / np.float32(scaling.level)
        body = images["labels"][None] != 0
        if self.augmented:
            gain = np.float32(1 + rng.uniform(-1, 1) * recipe.intensity)
            x[0] *= gain
            wanted *= gain
            turned = [axis for axis in (1, 2, 3) if recipe.flips and rng.random() < 0.5]
            x, wanted, body = (np.ascontiguousarray(np.flip(a, turned)) for a in (x, wanted, body))
        found = {
            "x": x, "target": wanted, "body": body, "noise": np.float32(scaling.noise),
            "factor": np.float32(pair.factor), "study": which,
            "phantom": int(study.file(pair.number).attrs["number"]),
        }
        if not self.augmented:
            found["truth"] = images["truth"][None] / np.float32(scaling.level)
        return found

    def _images(self, stored, pair, target, middle, degrees):
        """Patches (x, y, z) of low, target, labels and, where it is wanted, ct."""
        size, grid = self.recipe.patch, stored.grid(pair.number)
        corner = [min(max(m - n // 2, 0), s - n)
                  for m, n, s in zip(middle, size, grid.shape, strict=True)]
        turn = math.radians(degrees)
        # A square of this patch's middle, rotated, lies in a box that is larger.
        more = [math.ceil(abs(math.sin(turn)) * max(size[:2]) / 2) + 2 if degrees else 0] * 2
        low = [max(c - m, 0) for c, m in zip(corner, (*more, 0), strict=True)]
        high = [min(c + n + m, s)
                for c, n, m, s in zip(corner, size, (*more, 0), grid.shape, strict=True)]
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        names = ["low", "labels", *(["ct"] if self.recipe.ct else []),
                 *([] if self.augmented else ["truth"])]
        images = stored.read(pair, names, box)
        wanted = {"noise2noise": "low"}.get(self.recipe.target, self.recipe.target)
        images["target"] = stored.read(target, [wanted], box)[wanted]
        if not degrees:
            return images
        matrix = _rotation(turn, grid.voxel_mm[:2])
        centre = np.subtract(corner, low)[:2] + (np.array(size[:2]) - 1) / 2
        return {
            name: _turned(image, matrix, centre, size[:2], 0 if name == "labels" else _SPLINE)
            for name, image in images.items()
        }

    def _place(self, which, pair, rng):
        """A voxel in the body of a phantom."""
        key = which, pair.number
        if key not in self._inside:
            images = self.sources[which].images
            some = (slice(_APART // 2, None, _APART),) * 3
            body = images.read(pair, ["labels"])["labels"][some] != 0
            self._inside[key] = np.argwhere(body) * _APART + _APART // 2
            if not len(self._inside[key]):
                raise FileError(f"{images.study.file(pair.number).filename} has labels of air "
                                "alone; leave its phantom out of the study")
        inside = self._inside[key]
        return inside[rng.integers(len(inside))] + rng.integers(-_APART // 2, _APART // 2, 3)


def drawn(sources, rng):
    """Which source, each equally often, and a Pair of it."""
    which = int(rng.integers(len(sources)))
    pairs = sources[which].pairs
    return which, pairs[rng.integers(len(pairs))]


def in_turn(sources, index, count):
    """Which source of so many items' one takes, by turns, and its Pair, which follow evenly."""
    turn, which = divmod(index, len(sources))
    turns = len(range(which, count, len(sources)))
    pairs = sources[which].pairs
    return which, pairs[turn * max(len(pairs), turns) // turns % len(pairs)]


def _rotation(turn, sides):
    """Matrix (2, 2) from a voxel of a patch rotated about z to one of the image."""
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return rotation * np.array(sides) / np.array(sides)[:, None]


def _turned(image, matrix, centre, size, order):
    """A patch (x, y, z) about a place, plane by plane: 3D splines give the same more slowly."""
    offset = centre - matrix @ ((np.array(size) - 1) / 2)
    return np.stack([
        ndimage.affine_transform(plane, matrix, offset, size, order=order, mode="nearest")
        for plane in np.moveaxis(image, 2, 0)
    ], axis=2)


def measured(images, pairs, path):
    """The Scaling of each low-dose image on the network's voxels, measured once and kept in a file.

    Args:
        images: StudyImages.
        pairs: list of Pair.
        path: JSON file that keeps them; made where there is none.
    Returns:
        dict from Pair to Scaling.
    Raises:
        FileError: an image without activity, or with NaN; a file that is another phantom's.
    """
    rule, there, found = {"rule": RULE, "voxel_mm": list(images.voxel_mm)}, read_json(path), {}
    known = there["scalings"] if rule.items() <= there.items() else {}
    try:
        for pair in tqdm(pairs, desc="scaling", unit=" images", delay=1, file=sys.stderr,
                         dynamic_ncols=True):
            name = image_name(images.study, pair)
            if name not in known:
                known[name] = asdict(_measured(images, pair))
            found[pair] = Scaling(**known[name])
    finally:  # a run that is broken off keeps what it measured
        write_json(path, rule | {"scalings": known})
    return found


def image_name(study, pair):
    file = study.file(pair.number)
    if file.attrs["number"] != pair.number:
        raise FileError(
            f"{file.filename} holds phantom {file.attrs['number']}, and the study says "
            f"{pair.number}; make the study again"
        )
    return f"{file.attrs['sha256']} {pair.factor:g} {pair.realisation}"


def _measured(images, pair):
    image = images.read(pair, ["low"])["low"]
    try:
        return measure(image, images.grid(pair.number).voxel_mm)
    except ValueError as reason:
        name = f"{images.study.file(pair.number).filename}, 1 / {pair.factor:g} of the dose"
        raise FileError(f"{name}: {reason}") from reason


class Batches:
    """Keys of an epoch's batches, from a step on: a sampler for torch's DataLoader.

    Args:
        count: patches in an epoch.
        batch: patches in a step on each device.
        step: function that gives how many steps were done.
        rank, devices: which of how many devices this one is.
    """

    def __init__(self, count, batch, step, *, rank=0, devices=1):
        self.steps = count // (batch * devices)
        self._batch, self._step, self._rank, self._devices = batch, step, rank, devices

    def __len__(self):
        return self.steps

    def __iter__(self):
        epoch, done = divmod(self._step(), self.steps)
        for step in range(done, self.steps):
            first = (step * self._devices + self._rank) * self._batch
            yield [(epoch, first + k) for k in range(self._batch)]


def deaf(_):
    """Has a worker pass over Ctrl-C, and over SIGTERM, which batch systems and `timeout` send.

    Both reach all processes of a training: it saves and ends, and then its workers do. This is here
    so that a worker need not import Lightning.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
