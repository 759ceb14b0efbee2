"""Whether a study's data set is whole, and its numbers agree with each other."""

import json
import math
import sys

import numpy as np
from tqdm import tqdm

from recon.io import FileError
from sim import dataset_file
from sim.dataset import open_study

SIGMAS = 6  # how far counts may lie from what is expected: one in 5e8 does
# How far an image's total may lie from the truth's, of it, beside noise. A person's in the demo
# scanner is off by 2 to 5 %, most of it in the end planes; one pass of few rings may leave 20 %.
TOTAL = 0.3


def problems(folder):
    """What is wrong with a data set, a list of sentences.

    Files are whole, their arrays have the hashes that they and the index say, the shapes and types
    that the study gives them, and finite values; counts lie within SIGMAS of what is expected, and
    the total of each image is the truth's within TOTAL and the noise of its counts.

    Args:
        folder: of `countless simulate`.
    Raises:
        FileError: there is no study.
    """
    found = []
    with open_study(folder) as data:
        if not data.index["complete"]:
            found.append("the study is not complete: run `countless simulate` again")
        records = data.index["phantoms"]
        for record in tqdm(records, unit=" phantoms", delay=1, file=sys.stderr):
            try:
                file = data.file(record["number"])
            except FileError as reason:
                found.append(str(reason))
                continue
            found += [f"{record['file']} {said}" for said in _of_file(file, record, data)]
    return found


def _of_file(file, record, data):
    if not (dataset_file.arrays_sha256(file) == file.attrs["sha256"] == record["sha256"]):
        yield "has arrays that do not have its hash: remove it and make it again"
        return
    if file.attrs["study_hash"] != data.index["hash"]:
        yield "belongs to another study"
    grid = dataset_file.stored_grid(file).shape
    shapes = {
        "truth": grid, "ct": grid, "labels": grid, "standard": (data.realisations, *grid),
        "low": (len(data.factors), data.realisations, *grid),
    }
    if data.keeps_scans:
        bins = dataset_file.stored_model(file)[0].shape
        shapes["prompts"] = (1 + len(data.factors), data.realisations, *bins)
        shapes |= {"background": shapes["prompts"], "factors": (*bins[:2], bins[-1])}
    for name, shape in shapes.items():
        kind = {"labels": np.uint16, "prompts": np.uint32}.get(name, np.float32)
        if file[name].shape != shape or file[name].dtype != kind:
            yield f"has {name} of shape {file[name].shape} and type {file[name].dtype}"
            return
    if file["labels"][:].max() >= len(json.loads(file.attrs["label_names"])):
        yield "has labels without a name"
    yield from _of_images(file, data)


def _of_images(file, data):
    truth = file["truth"][:]
    if not (np.isfinite(truth).all() and truth.min() >= 0 and np.isfinite(file["ct"][:]).all()):
        yield "has values in truth or CT that cannot be"
    total = float(truth.sum(dtype=np.float64))
    for row in file["scans"][:]:
        factor, realisation = float(row["factor"]), int(row["realisation"])
        name = f"1 / {factor:g} of the dose, realisation {realisation},"
        image = (file["standard"][realisation] if factor == 1 else
                 file["low"][data.factors.index(factor), realisation])
        if not (np.isfinite(image).all() and image.min() >= 0):
            yield f"has an image of {name} with values that cannot be"
            continue
        signal = float(row["expected_trues"] + row["expected_scatter"])
        for kind, mean in (("prompts", signal + float(row["expected_randoms"])),
                           ("delayeds", float(row["expected_randoms"]))):
            if abs(float(row[kind]) - mean) > SIGMAS * math.sqrt(mean) + 1e-6 * mean:
                yield f"has {row[kind]:.0f} {kind} of {name} where {mean:.0f} are expected"
        trues = max(float(row["expected_trues"]), 1.0)
        noise = SIGMAS * math.sqrt(float(row["prompts"] + row["delayeds"])) / trues
        off = float(image.sum(dtype=np.float64)) / total - 1 if total else math.inf
        if abs(off) > TOTAL + noise:
            yield f"has an image of {name} whose total is {100 * off:+.0f} % off the truth's"
