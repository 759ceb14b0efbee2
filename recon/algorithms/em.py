"""Maximum likelihood by expectation maximisation, whole or by ordered subsets.

Shepp & Vardi, IEEE TMI 1(2), 1982; Hudson & Larkin, IEEE TMI 13(4), 1994. Zeros are defined:
a voxel that a subset does not see keeps its value, and becomes 0 after the first pass if none sees
it; a bin of which nothing is expected (below 1e-20 counts) says nothing.
"""

import itertools

import numpy as np

from recon import backend
from recon.algorithms.subsets import Subsets


def mlem(model, prompts, start=None):
    """Yields the image after each EM iteration over all bins, without end.

    Args:
        model: AcquisitionModel.
        prompts: counts, float32 (view, radial, [tof,] plane).
        start: first image, float32 (x, y, z), not negative; by default flat, see `osem`. Zeros
            stay.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    """
    yield from osem(model, prompts, subsets=1, start=start)


def osem(
    model, prompts, *, subsets, start=None, inside=None, order="spread", sensitivity_bytes=2 << 30
):
    """Yields the image after each update from one subset of the views, without end.

    Subset k holds views k, k + subsets, k + 2 subsets, …

    Args:
        model: AcquisitionModel with a SinogramProjector.
        prompts: counts, float32 (view, radial, [tof,] plane).
        subsets: their number; divides the number of views.
        start: first image, float32 (x, y, z), not negative; by default flat, of the level that
            explains the first subset's prompts above its background, whatever the unit. Zeros stay.
        inside: where the flat start is not 0, bool (x, y, z); everywhere by default.
        order: 'spread' or 'sequential', see `subset_order`.
        sensitivity_bytes: memory for sensitivity images; those that do not fit are computed anew.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    Raises:
        ValueError: subsets that do not divide the views, shapes that do not fit, negative start.
    """
    data = Subsets(model, prompts, subsets, order=order, kept_bytes=sensitivity_bytes)
    yield from updates(data, start=start, inside=inside)


def updates(data, *, start=None, inside=None):
    """Yields the image after each update of OSEM on Subsets, see `osem`."""
    image = None if start is None else checked(data.model, start, data.xp)
    seen = data.xp.zeros(data.model.image_shape, bool)
    for number, k in enumerate(itertools.cycle(data.order), 1):
        sensitivity = data.sensitivity(k)
        if image is None:
            image = _flat(data.models[k], data.prompts(k), sensitivity, inside, data.xp)
        update(image, data.ratio_back(k, image), sensitivity, data.model.projector.threads)
        if number <= data.number:
            seen |= sensitivity > 0
        if number == data.number:
            image *= seen
        yield image


def listmode_osem(model, sensitivity, *, subsets=1, start=None):
    """Yields the image after each update from one subset of listed events, without end.

    Subset k holds events k, k + subsets, …: shuffle events that are not in order of time.

    Args:
        model: AcquisitionModel with a ListModeProjector; factors and background are each event's
            own m and b (b in expected counts of the bin the event fell into).
        sensitivity: back projection of m over all LORs the scanner has, not over the events:
            `AcquisitionModel(sinogram projector, factors=…).sensitivity()`, (x, y, z).
        subsets: their number.
        start: first image; by default flat, of the level that explains all events.
    Yields:
        The image (x, y, z), float32: the same array each time, so copy what you keep.
    Source: Parra & Barrett, IEEE TMI 17(2), 1998.
    """
    events = model.data_shape[0]
    if not 1 <= subsets <= max(events, 1):
        raise ValueError(f"subsets takes a number from 1 to the {events} events, got {subsets}")
    if sensitivity.shape != model.image_shape:
        raise ValueError(
            f"the sensitivity takes shape {model.image_shape} like images, got {sensitivity.shape}"
        )
    xp = backend.array_module(sensitivity)
    share = xp.ascontiguousarray(sensitivity, np.float32) / np.float32(subsets)
    if start is None:
        seen = float(share.sum(dtype=np.float64)) * subsets
        level = events / seen if seen > 0 else 1.0
        start = xp.full(model.image_shape, level, np.float32)
    image = checked(model, start, xp) * (share > 0)
    for part in itertools.cycle([model.subset(slice(k, None, subsets)) for k in range(subsets)]):
        update(image, part.back(part.ratio(image)), share, part.projector.threads)
        yield image


def _flat(model, prompts, sensitivity, inside, xp):
    """A flat image of which as many counts are expected as there are prompts above background."""
    image = xp.ones(model.image_shape, np.float32)
    if inside is not None:
        image *= xp.asarray(inside)
    expected = float((sensitivity * image).sum(dtype=np.float64))
    counts, background = model.totals(prompts)
    # Prompts no more than the background leave no level: theirs is kept, above 0, for EM to lower.
    counts = counts - background if counts > background else counts
    level = counts / expected if counts > 0 and expected > 0 else 1.0
    image *= np.float32(level)
    return image


def checked(model, start, xp):
    """A copy of a first image, float32 (x, y, z).

    Raises:
        ValueError: it is of another shape, or has NaN or negative values.
    """
    if start.shape != model.image_shape:
        raise ValueError(f"start takes an image of shape {model.image_shape}, got {start.shape}")
    if not bool((start >= 0).all()):
        raise ValueError("start takes an image without NaN or negative values: EM only multiplies")
    return xp.array(start, dtype=np.float32, order="C")


def update(image, back, sensitivity, threads=None):
    """image * back / sensitivity, in place; a voxel of no sensitivity stays as it is."""
    arguments = image, back, sensitivity, np.int64(image.size)
    backend.launch("em_update", (1, -(-image.size // 4096)), arguments, threads=threads)
