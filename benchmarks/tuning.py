"""Strengths and passes of methods, from the validation split of a study."""

import numpy as np
from scipy import optimize

from benchmarks.image_metrics import nrmse
from benchmarks.methods import body_of

TUNING_PHANTOMS = 4  # of the validation split, at most: the first
TUNING_STEPS = 10
TUNING_PRECISION = 0.1  # of the logarithm of a strength


def tune(method, data, factor, progress=lambda images=1: None, steps=TUNING_STEPS, device="cpu"):
    """A strength with the least NRMSE to truth in the validation split's bodies.

    The mean over the first TUNING_PHANTOMS phantoms, one image of each, is searched by Brent's
    bounded method over the strength's logarithm within its range. Of passes all of the range are
    tried, from one run for each phantom. Test phantoms take no part.

    Args:
        method: Method that is `tuned`.
        data: StoredStudy.
        factor: dose reduction factor of the images; 1 for the standard dose.
        progress: called after each image, and at an early end with how many of `tuning_images` were
            not needed.
        steps: at most, of a search.
        device: "cpu" or "cuda".
    Returns:
        dict of parameter, strength, nrmse, at_end (whether the strength is an end of its range),
        phantoms, and tried: (strength, nrmse) of each step.
    Raises:
        ValueError: there is no phantom for validation.
    """
    numbers = data.numbers["validation"][:TUNING_PHANTOMS]
    if not numbers:
        raise ValueError(
            f"{method.name} is tuned on the validation split, and the study has no phantom in it; "
            "simulate more phantoms, or set split.validation"
        )
    read = []
    for number in numbers:
        pair = method.pair(data, number, factor, 0)
        images = data.read(pair, ("truth", "ct")) | {"input": method.input(data, pair)}
        read.append((images, data.grid(number), body_of(data, number)))
    find = _all_passes if method.parameter == "passes" else _searched
    tried, at_end = find(method, read, progress, steps, device)
    strength, least = min(tried, key=lambda one: one[1])
    return {
        "parameter": method.parameter, "strength": strength, "nrmse": least,
        "at_end": at_end(strength), "phantoms": list(numbers), "tried": sorted(tried),
    }


def tuning_images(method, data, steps=TUNING_STEPS):
    """How many images `tune` makes at most."""
    many = len(data.numbers["validation"][:TUNING_PHANTOMS])
    return many * (len(_passes(method)) if method.parameter == "passes" else steps)


def _passes(method):
    least, most = method.denoiser.range
    return range(least, most + 1)


def _all_passes(method, read, progress, _, device):
    """(passes, NRMSE) of all in the range, and what tells whether one is an end of it."""
    passes, errors = _passes(method), []
    for images, _, body in read:
        errors.append([])
        for found in method.denoiser.after(passes, images["input"], images["ct"], device=device):
            errors[-1].append(nrmse(found, images["truth"], body))
            progress()
    tried = list(zip(passes, np.mean(errors, axis=0).tolist(), strict=True))
    return tried, lambda found: found in (passes[0], passes[-1])


def _searched(method, read, progress, steps, device):
    """(strength, NRMSE) of each step of a search, and what tells whether one is at an end."""
    tried = []

    def error(logarithm):
        strength, errors = float(np.exp(logarithm)), []
        for images, grid, body in read:
            found = method.image(images["input"], grid, body, strength, images["ct"], device)
            errors.append(nrmse(found, images["truth"], body))
            progress()
        tried.append((strength, float(np.mean(errors))))
        return tried[-1][1]

    low, high = np.log(method.denoiser.range)
    optimize.minimize_scalar(
        error, bounds=(low, high), method="bounded",
        options={"maxiter": steps, "xatol": TUNING_PRECISION},
    )
    progress((steps - len(tried)) * len(read))
    return tried, lambda found: bool(
        np.abs(np.log(found) - np.array([low, high])).min() < 3 * TUNING_PRECISION)
