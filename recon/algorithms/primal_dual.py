"""Penalised likelihood with exact total variation, whose edges no smoothing rounds off.

Besides the image there is a dual variable for each bin and each difference of voxels; steps of the
one and the others take turns, and none needs a gradient of the prior.
"""

import itertools

import numpy as np

from recon import backend
from recon.acquisition import launch_on_bins
from recon.algorithms.penalized import first_image, level
from recon.algorithms.priors import TotalVariation

_FLOOR = 0.05  # least activity by which a voxel's step is scaled, as a part of the image's level


def spdhg(data, prior, start=None, *, balance=1.5):
    """Yields the image after each update; all together lead to the minimum of the objective.

    Each update takes one subset's bins and all of total variation. With one subset it is PDHG.
    Steps are as large as they may be: of bins S, of the image T, and of differences S',

        S = 1 / K_k v,  T = 0.999 v / (n max_k K_k^T 1 + |D|^2T c),  S' = c / (v_j + max v_next)

    with K_k = m A G of subset k of n, D the differences to the next voxels, c = strength kappa^2,
    and v = max(start, 0.05 level(start)) / balance. The sources have v = 1 / balance; with an image
    the steps are EM's where they meet counts, and balance has no unit.
    The source draws subsets at random, and its proof needs that; here they are taken in
    `data.order`, which took as many passes in tests.

    Args:
        data: Subsets. Two arrays of the prompts' size are kept beside it.
        prior: TotalVariation with epsilon 0.
        start: first image (x, y, z), not negative; one pass of OSEM by default. Near the answer,
            steps fit best. A voxel that no bin sees stays as it is.
        balance: of the dual steps to the primal. A weak prior is best served by 1, a strong one by
            3; between them passes differed about twofold.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    Raises:
        TypeError, ValueError: another prior, a prior on another grid, balance not above 0.
    Source: Chambolle, Ehrhardt, Richtarik & Schoenlieb, SIAM J. Optim. 28(4), 2018, algorithm 1;
        steps of Ehrhardt, Markiewicz & Schoenlieb, Phys. Med. Biol. 64, 2019, with v as Pock &
        Chambolle, ICCV 2011, allow.
    """
    _check(data, prior, balance)
    image = first_image(data, start)
    xp, threads = data.xp, data.model.projector.threads
    scale = xp.maximum(image, _FLOOR * (level(image) or 1.0)) / float(balance)
    direction = prior.direction
    if direction is not None:
        direction = xp.ascontiguousarray(xp.asarray(direction), np.float32)
    weight = xp.full_like(image, prior.strength)
    if prior.kappa is not None:
        weight *= xp.asarray(prior.kappa, np.float32) ** 2
    span, pull = _neighbours(scale, weight, prior.differences.scales, xp)

    # The bins' dual variables begin where those of the start are, the others at 0.
    duals = [xp.zeros(part.data_shape, np.float32) for part in data.models]
    slope = xp.zeros_like(image)
    for k in range(data.number):
        slope += data.sensitivity(k)
        slope += _change(data, k, image, duals[k], None)
    largest = data.largest_sensitivity
    seen = largest > 0
    step = 0.999 * (scale * seen) / xp.where(seen, largest + pull, np.float32(1))
    reach = [part.project(scale) for part in data.models]

    dual = xp.zeros((3, *image.shape), np.float32)
    bins, edges = xp.zeros_like(image), xp.zeros_like(image)
    n = np.int64(image.size)
    blocks = 1, -(-image.size // 4096)
    for k in itertools.cycle(data.order):
        arguments = image, slope, bins, edges, step, float(data.number), n
        backend.launch("primal_step", blocks, arguments, threads=threads)
        bins = _change(data, k, image, duals[k], reach[k])
        field = prior.differences(image)
        arguments = field, dual, direction, weight, span, n
        backend.launch("tv_dual", blocks, arguments, threads=threads)
        edges = prior.differences.T(field)
        yield image


def _check(data, prior, balance):
    if not isinstance(prior, TotalVariation) or prior.epsilon > 0:
        smooth = f" with epsilon {prior.epsilon:g}" if isinstance(prior, TotalVariation) else ""
        raise TypeError(
            f"spdhg takes TotalVariation with epsilon 0, got {type(prior).__name__}{smooth}; take "
            "svrg or bsrem for priors that are smooth"
        )
    if prior.grid.shape != data.model.image_shape:
        raise ValueError(
            f"spdhg takes a prior on images of shape {data.model.image_shape} like the model's, "
            f"got {prior.grid.shape}"
        )
    if not 0 < balance < np.inf:
        raise ValueError(f"balance takes a number above 0, got {balance:g}")


def _change(data, k, image, dual, reach):
    """By how much a step of subset k's dual variable changes what it says of the image."""
    part = data.models[k]
    projection = part.project(image)
    inputs = data.prompts(k), part.factors, part.background, reach
    launch_on_bins("poisson_dual", [projection, dual], inputs, threads=part.projector.threads)
    return part.back(projection)


def _neighbours(scale, weight, scales, xp):
    """What total variation says of the steps: v_j + max v_next and |D|^2T c, both (x, y, z).

    |D|^2T c sums c over the differences that a voxel is in, times the square of their scale.
    """
    largest, pull = scale.copy(), xp.zeros_like(scale)
    for axis, factor in enumerate(scales):
        here = tuple(slice(0, -1 if a == axis else None) for a in range(3))
        there = tuple(slice(1 if a == axis else 0, None) for a in range(3))
        largest[here] = xp.maximum(largest[here], scale[there])
        pull[here] += factor**2 * weight[here]
        pull[there] += factor**2 * weight[here]
    return scale + largest, pull
