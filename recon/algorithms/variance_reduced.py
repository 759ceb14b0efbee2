"""Penalised likelihood by subsets whose gradients are corrected by those of all the others.

A subset's gradient alone leads elsewhere than the minimum; the difference to what the same subset
said at an image before does not, once the sum of what all subsets said there is added.
"""

import itertools

import numpy as np

from recon.algorithms.penalized import descend, first_image, level

SEED = 1  # of the orders of `saga`


def svrg(data, prior, start=None, *, steps=(3.0, 2.0, 1.0), anchor_passes=2, floor=1e-3):
    """Yields the image after each step, the gradients of all subsets at an anchor image known.

    Every `anchor_passes` passes the image becomes the anchor, which takes a pass of its own.

    Args:
        data: Subsets.
        prior: of `recon.algorithms.priors`.
        start: first image (x, y, z), not negative; one pass of OSEM by default.
        steps: of each pass, see `descend`; the last goes on.
        anchor_passes: passes between anchors.
        floor: least activity of a voxel in `descend`, as a part of the first image's `level`.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    Source: Twyman et al., IEEE TMI 42(1), 2023; decreasing steps as Ehrhardt, Schramm & Kereta,
        Frontiers in Nuclear Medicine 5, 2025.
    """
    image = first_image(data, start)
    least = floor * level(image)
    for passes in itertools.count():
        if passes % anchor_passes == 0:
            tables, total = gradients(data, image)
        for k in data.order:
            step = steps[min(passes, len(steps) - 1)]
            descend(data, prior, image, k, step, least, tables[k], total)
            yield image


def saga(data, prior, start=None, *, steps=(2.0, 1.0), floor=1e-3):
    """Yields the image after each step, what each subset said last known.

    Each pass takes the subsets in a random order of its own: in one that comes again and again,
    what was said last is always as old, and images go round in circles about the minimum.

    Args:
        data: Subsets.
        prior: of `recon.algorithms.priors`.
        start: first image (x, y, z), not negative; one pass of OSEM by default.
        steps: of each pass, see `descend`; the last goes on.
        floor: least activity of a voxel in `descend`, as a part of the first image's `level`.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    Source: Defazio, Bach & Lacoste-Julien, NeurIPS 2014; Twyman et al., IEEE TMI 42(1), 2023.
    """
    image = first_image(data, start)
    least = floor * level(image)
    tables, total = gradients(data, image)
    rng = np.random.default_rng(SEED)
    for passes in itertools.count():
        step = steps[min(passes, len(steps) - 1)]
        for k in rng.permutation(data.number).tolist():
            descend(data, prior, image, k, step, least, tables[k], total, replace=True)
            yield image


def gradients(data, image):
    """Gradients of the subsets' -log likelihoods at an image, a list, and their sum."""
    tables = [data.sensitivity(k) - data.ratio_back(k, image) for k in range(data.number)]
    return tables, sum(tables[1:], tables[0].copy())
