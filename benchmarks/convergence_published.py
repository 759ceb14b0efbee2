"""The algorithm that won PETRIC in 2024, from its description: team MaGeZ's ALG1.

SVRG on subsets of views. The image moves by

    step P slope,   P = x / (A^T 1 + c H x)

with x the image under a Gaussian of 5 mm, H the diagonal of the Hessian of the relative difference
prior at x, and c = 1.5: half the harmonic mean of x / A^T 1 and 1 / (c H). P is made at the start
of passes 0 to 3 and kept from then on. At the start of every second pass all subsets' gradients are
computed, and that pass' first update goes down their sum; each other update takes the next subset
of a random order. Steps are 3 up to update 10, then 2, from update 101 on 1.5, from 201 on 1 and
from 301 on 0.5. There are as many subsets as the divisor of the views nearest to 25. Nothing keeps
an image from blowing up but that it is not below 0.

What its authors publish of its speed, as far as it was found, are curves over seconds (GPUs, other
scanners) and passes; a number of passes at which PETRIC's thresholds are met was not found. An
early version of their code stops after 300 updates: 12 times all of 25 subsets with 6 anchors,
which are 17.8 passes.

Source: Ehrhardt, Schramm & Kereta, Frontiers in Nuclear Medicine 5, 2025 (arXiv 2506.04976), with
the numbers that the team's own code has.
"""

import itertools

import numpy as np

from recon.algorithms.variance_reduced import gradients
from recon.operators import GaussianBlur

SUBSETS, SEED = 25, 1
UNTIL = ((10, 3.0), (100, 2.0), (200, 1.5), (300, 1.0))  # updates from 0 and their steps
LAST_STEP = 0.5
ANCHOR_PASSES, PRECONDITIONED_PASSES = 2, 4


def published(data, prior, start, *, hessian=1.5, smooth_mm=5.0, faster=1.0):
    """Yields the image after each update, without end.

    Args:
        data: Subsets.
        prior: with a diagonal.
        start: first image (x, y, z), not negative.
        hessian: c.
        smooth_mm: FWHM of the Gaussian.
        faster: times the published steps.
    Yields:
        The image (x, y, z), float32: the same array each time.
    """
    image, number = start.copy(), data.number
    blur = GaussianBlur(image.shape, prior.grid.voxel_mm, smooth_mm)
    sensitivity = sum(data.sensitivity(k) for k in range(number))
    order = shuffled(number)
    for update in itertools.count():
        passes, within = divmod(update, number)
        if within == 0 and passes < PRECONDITIONED_PASSES:
            scale = preconditioner(blur(image), sensitivity, prior, hessian)
        if within == 0 and passes % ANCHOR_PASSES == 0:
            tables, total = gradients(data, image)
            slope = total.copy()
        else:
            k = next(order)
            slope = data.sensitivity(k) - data.ratio_back(k, image) - tables[k]
            slope *= np.float32(number)
            slope += total
        slope += prior.gradient(image)
        slope *= scale
        slope *= np.float32(faster * step(update))
        image -= slope
        np.maximum(image, 0, out=image)
        yield image


def preconditioner(smooth, sensitivity, prior, hessian):
    """P of a smoothed image; 0 where the scanner sees nothing."""
    steepness = sensitivity + np.float32(hessian) * prior.diagonal(smooth) * smooth
    return np.divide(smooth, steepness, out=np.zeros_like(smooth), where=sensitivity > 0)


def step(update):
    """The published step of an update, from 0."""
    return next((size for last, size in UNTIL if update <= last), LAST_STEP)


def shuffled(number):
    """Numbers of subsets without end, each once before any comes again."""
    rng = np.random.default_rng(SEED)
    while True:
        yield from rng.permutation(number).tolist()
