"""Penalised likelihood: images that are likely and agree with a prior, one update at a time.

All minimise -log likelihood + prior over images not below 0, and take a prior of
`recon.algorithms.priors`. `mapem` with one subset, `bsrem`, `svrg` and `saga` converge to the
minimum; `one_step_late` does not.
"""

import itertools

import numpy as np

from recon import backend
from recon.algorithms import em


class Diverged(RuntimeError):
    """An image that blew up, with what to do."""


def objective(data, prior, image):
    """-log likelihood + prior of an image, float64.

    Args:
        data: Subsets.
        prior: of `recon.algorithms.priors`.
        image: (x, y, z) float32.
    """
    likelihood = sum(part.log_likelihood(image, data.prompts(k))
                     for k, part in enumerate(data.models))
    return prior.value(image) - likelihood


def one_step_late(data, prior, start=None):
    """Yields the image after each update of EM with the prior's gradient at the image before it.

    It does not converge to the minimum, and breaks down where the prior is strong: an update is
    held between a tenth and ten times that of EM, as STIR does, and it is refused where that is
    needed for more than a hundredth of the activity.

    Args:
        data: Subsets.
        prior: of `recon.algorithms.priors`.
        start: first image (x, y, z), not negative; one pass of OSEM by default.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    Raises:
        Diverged: the prior's gradient outweighs the sensitivity.
    Source: Green, IEEE TMI 9(1), 1990.
    """
    image, xp = first_image(data, start), data.xp
    for k in itertools.cycle(data.order):
        sensitivity = data.sensitivity(k)
        late = prior.gradient(image)
        late /= np.float32(data.number)
        late += sensitivity
        held = xp.clip(late, sensitivity / np.float32(10), sensitivity * np.float32(10))
        amiss = float((image * ((held != late) & (sensitivity > 0))).sum(dtype=np.float64))
        if amiss > 0.01 * float(image.sum(dtype=np.float64)):
            raise Diverged(
                "one-step-late takes a prior whose gradient is below the sensitivity, and beta "
                f"{prior.strength:g} is too much for it; take less strength, or svrg or saga, "
                "which take any"
            )
        em.update(image, data.ratio_back(k, image), held, data.model.projector.threads)
        yield image


def mapem(data, prior, start=None):
    """Yields the image after each update of EM with a parabola on top of the prior.

    With one subset each update lowers the objective; with several it is faster at first, and does
    not converge.

    Args:
        data: Subsets.
        prior: of `recon.algorithms.priors`, with a curvature.
        start: first image (x, y, z), not negative; one pass of OSEM by default. Zeros stay.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    Source: De Pierro, IEEE TMI 14(1), 1995.
    """
    image = first_image(data, start)
    share = np.float32(1 / data.number)
    for k in itertools.cycle(data.order):
        back = data.ratio_back(k, image)
        arguments = (image, back, data.sensitivity(k), share * prior.gradient(image),
                     share * prior.curvature(image))
        _each("map_em_update", arguments, data)
        yield image


def bsrem(data, prior, start=None, *, step=1.0, relaxation=0.1, floor=1e-3):
    """Yields the image after each step down the gradient of one subset; steps grow ever smaller.

    The step of pass n, from 0, is step / (1 + relaxation n).

    Args:
        data: Subsets.
        prior: of `recon.algorithms.priors`.
        start: first image (x, y, z), not negative; one pass of OSEM by default.
        step: of the first pass, see `descend`.
        relaxation: how fast steps grow smaller.
        floor: least activity of a voxel in `descend`, as a part of the first image's `level`.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    Source: Ahn & Fessler, IEEE TMI 22(5), 2003, with steps as in `descend`.
    """
    image = first_image(data, start)
    least = floor * level(image)
    for passes in itertools.count():
        for k in data.order:
            descend(data, prior, image, k, step / (1 + relaxation * passes), least)
            yield image


def level(image):
    """How active an image is: its mean, weighted with itself; 0 of an image of zeros."""
    total = float(image.sum(dtype=np.float64))
    return float((image * image).sum(dtype=np.float64)) / total if total > 0 else 0.0


def descend(data, prior, image, k, step, least, table=None, total=None, replace=False):
    """One step from subset k, in place (`descent` in kernels/descent.cu).

    Each voxel's step is divided by how steep the objective can be there: sensitivity / image, which
    is EM's, and the prior's half-quadratic curvature, which keeps a strong prior from overshooting.
    Both are of the image as it is now, for that of a relative difference grows as activity
    vanishes: with the one of a pass before, images blow up.

    Args:
        data: Subsets.
        prior: of `recon.algorithms.priors`.
        image: (x, y, z) float32.
        k: of the subset.
        step: times what is said above; 1 or less is safe.
        least: activity that a voxel is taken to have at least: one at 0 would never leave it.
        table, total, replace: see the kernel.
    Source: after Ehrhardt, Schramm & Kereta, Frontiers in Nuclear Medicine 5, 2025, who take the
        diagonal of the prior's Hessian, now and then.
    """
    back, sensitivity = data.ratio_back(k, image), data.sensitivity(k)
    arguments = (image, back, sensitivity, table, total, *prior.descent(image),
                 data.largest_sensitivity, float(least), float(data.number), float(step),
                 int(replace))
    _each("descent", arguments, data)


def first_image(data, start=None, inside=None):
    """A copy of `start`, or the image after one pass of OSEM, flat at first `inside`."""
    if start is not None:
        return em.checked(data.model, start, data.xp)
    return next(itertools.islice(em.updates(data, inside=inside), data.number - 1, None))


def _each(kernel, arguments, data):
    """Launches a kernel over an image's voxels."""
    n = arguments[0].size
    backend.launch(kernel, (1, -(-n // 4096)), (*arguments, np.int64(n)),
                   threads=data.model.projector.threads)
