"""Patches of a study's pairs for training: an item depends on seed, epoch and index alone."""

import math
import sys
from dataclasses import asdict

import numpy as np
from scipy import ndimage
from torch.utils.data import Dataset
from tqdm import tqdm

from denoise.channels import channels
from denoise.scaling import RULE, Scaling, measure
from recon.io import FileError
from recon.io.provenance import read_json, write_json
from sim.dataset import Pair

_APART = 4  # voxels between places that a patch's middle is drawn from
_SPLINE = 3  # order of interpolation where a patch is rotated: linear would smooth noise more


class Patches(Dataset):
    """Patches of low-dose images, their targets, and how they are scaled.

    An item's key is (epoch, index). Its random numbers are drawn from (seed, epoch, index): the
    pair, the place of its middle in the body, and how it is augmented. Without augmentation the
    pairs follow each other evenly, and every epoch is the first.

    Args:
        study: StoredStudy.
        pairs: list of Pair.
        scalings: dict of `measured`.
        recipe: Recipe.
        count: patches in an epoch.
        augmented: whether they are for training.
    """

    def __init__(self, study, pairs, scalings, recipe, *, count, augmented):
        self.study, self.pairs, self.scalings, self.recipe = study, pairs, scalings, recipe
        self.count, self.augmented = count, augmented
        self._inside = {}

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        """A patch.

        Returns:
            dict: x (channels, x, y, z) and target (1, x, y, z), scaled; body (1, x, y, z), bool;
            noise; factor of the dose; phantom, the number that its file says. Without augmentation
            the truth (1, x, y, z) as well.
        """
        epoch, index = key if self.augmented else (0, key)
        recipe = self.recipe
        rng = np.random.default_rng(
            np.random.SeedSequence(recipe.seed, spawn_key=(int(self.augmented), epoch, index))
        )
        if self.augmented:
            pair = self.pairs[rng.integers(len(self.pairs))]
        else:
            spread = index * max(len(self.pairs), self.count) // self.count
            pair = self.pairs[spread % len(self.pairs)]
        middle = self._place(pair.number, rng)
        target = pair
        if recipe.target == "noise2noise":
            other = pair.realisation + 1 + int(rng.integers(self.study.realisations - 1))
            target = Pair(number=pair.number, factor=pair.factor,
                          realisation=other % self.study.realisations)
        degrees = 0.0
        if self.augmented and rng.random() < recipe.rotated:
            degrees = rng.uniform(-1, 1) * recipe.rotate_degrees
        images = self._images(pair, target, middle, degrees)
        scaling = self.scalings[pair]
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
            "factor": np.float32(pair.factor),
            "phantom": int(self.study.file(pair.number).attrs["number"]),
        }
        if not self.augmented:
            found["truth"] = images["truth"][None] / np.float32(scaling.level)
        return found

    def _images(self, pair, target, middle, degrees):
        """Patches (x, y, z) of low, target, labels and, where it is wanted, ct."""
        size, shape = self.recipe.patch, self.study.file(pair.number)["truth"].shape
        corner = [min(max(m - n // 2, 0), s - n)
                  for m, n, s in zip(middle, size, shape, strict=True)]
        turn = math.radians(degrees)
        # A square of this patch's middle, rotated, lies in a box that is larger.
        more = [math.ceil(abs(math.sin(turn)) * max(size[:2]) / 2) + 2 if degrees else 0] * 2
        low = [max(c - m, 0) for c, m in zip(corner, (*more, 0), strict=True)]
        high = [min(c + n + m, s)
                for c, n, m, s in zip(corner, size, (*more, 0), shape, strict=True)]
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        names = ["low", "labels", *(["ct"] if self.recipe.ct else []),
                 *([] if self.augmented else ["truth"])]
        images = self.study.read(pair, names, box)
        stored = {"noise2noise": "low"}.get(self.recipe.target, self.recipe.target)
        images["target"] = self.study.read(target, [stored], box)[stored]
        if not degrees:
            return images
        sides = self.study.grid(pair.number).voxel_mm
        matrix = _rotation(turn, sides)
        centre = [c - a + (n - 1) / 2 for c, a, n in zip(corner, low, size, strict=True)]
        offset = centre - matrix @ ((np.array(size) - 1) / 2)
        return {
            name: ndimage.affine_transform(
                image, matrix, offset, size, order=0 if name == "labels" else _SPLINE,
                mode="nearest",
            )
            for name, image in images.items()
        }

    def _place(self, number, rng):
        """A voxel in the body of a phantom."""
        if number not in self._inside:
            labels = self.study.file(number)["labels"][:][(slice(_APART // 2, None, _APART),) * 3]
            self._inside[number] = np.argwhere(labels != 0) * _APART + _APART // 2
            if not len(self._inside[number]):
                raise FileError(f"{self.study.file(number).filename} has labels of air alone; "
                                "leave its phantom out of the study")
        inside = self._inside[number]
        return inside[rng.integers(len(inside))] + rng.integers(-_APART // 2, _APART // 2, 3)


def _rotation(turn, sides):
    """Matrix from a voxel of a patch rotated about z to one of the image."""
    rotation = np.array([
        [math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]
    ])
    return rotation * np.array(sides) / np.array(sides)[:, None]


def measured(study, pairs, path):
    """The Scaling of each low-dose image, measured once and kept in a file.

    Args:
        study: StoredStudy.
        pairs: list of Pair.
        path: JSON file that keeps them; made where there is none.
    Returns:
        dict from Pair to Scaling.
    Raises:
        FileError: an image without activity, or with NaN; a file that is another phantom's.
    """
    there = read_json(path)
    known, found = there["scalings"] if there.get("rule") == RULE else {}, {}
    try:
        for pair in tqdm(pairs, desc="scaling", unit=" images", delay=1, file=sys.stderr,
                         dynamic_ncols=True):
            name = _image_name(study, pair)
            if name not in known:
                known[name] = asdict(_measured(study, pair))
            found[pair] = Scaling(**known[name])
    finally:  # a run that is broken off keeps what it measured
        write_json(path, {"rule": RULE, "scalings": known})
    return found


def _image_name(study, pair):
    file = study.file(pair.number)
    if file.attrs["number"] != pair.number:
        raise FileError(
            f"{file.filename} holds phantom {file.attrs['number']}, and the study says "
            f"{pair.number}; make the study again"
        )
    return f"{file.attrs['sha256']} {pair.factor:g} {pair.realisation}"


def _measured(study, pair):
    image = study.read(pair, ["low"])["low"]
    try:
        return measure(image, study.grid(pair.number).voxel_mm)
    except ValueError as reason:
        name = f"{study.file(pair.number).filename}, 1 / {pair.factor:g} of the dose"
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
