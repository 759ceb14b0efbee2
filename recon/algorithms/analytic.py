"""Filtered back projection of direct planes after single-slice rebinning.

For comparison and as a start image. Rebinning: Daube-Witherspoon & Muehllehner, JNM 28(11), 1987.
Filter: Kak & Slaney, Principles of Computerized Tomographic Imaging, 1988, eq. 3.61.
"""

from dataclasses import replace

import numpy as np

from recon import backend
from recon.grid import Grid
from recon.layout import SinogramLayout
from recon.projectors import SinogramProjector
from recon.segments import segments_of

WINDOWS = {
    "ramp": lambda f: np.ones_like(f),
    "hann": lambda f: 0.5 + 0.5 * np.cos(np.pi * f),
    "hamming": lambda f: 0.54 + 0.46 * np.cos(np.pi * f),
    "cosine": lambda f: np.cos(np.pi / 2 * f),
}


def fbp(model, prompts, *, window="hann", cutoff=1.0):
    """Filtered back projection of what the prompts say of each line integral, (y - b) / m.

    Time-of-flight bins are summed, oblique planes rebinned to direct ones at the same z, bins
    brought to equal spacing and interleaving undone by linear interpolation. Masked bins (m = 0)
    are filled from their radial neighbours.

    Args:
        model: AcquisitionModel with a SinogramProjector of all views, without a blur.
        prompts: counts, float32 (view, radial, [tof,] plane).
        window: apodising window: ramp (none), hann, hamming or cosine.
        cutoff: where the window ends, as a fraction of the Nyquist frequency of the radial bins.
    Returns:
        Image (x, y, z), float32, in the model's units; it may be negative. NumPy, whichever
        machine the prompts live on.
    """
    if window not in WINDOWS or not 0 < cutoff <= 1:
        raise ValueError(
            f"fbp takes a window out of {', '.join(WINDOWS)} and a cutoff above 0 and up to 1, "
            f"got {window!r} and {cutoff}"
        )
    layout, grid = model.projector.layout, model.projector.grid
    if layout.radial_bins < 3:
        raise ValueError(f"fbp takes at least 3 radial bins, got {layout.radial_bins}")
    direct = _rebin(_line_integrals(model, prompts), layout)
    direct, radial_mm = _equal_spacing(direct, layout)
    direct = _filter(direct, radial_mm, window, cutoff)
    dx, dy, dz = grid.voxel_mm
    direct, radial_mm = _finer(direct, radial_mm, min(dx, dy) / 4)
    direct = _at_slices(direct, layout.scanner.ring_spacing_mm / 2, grid)
    # A scanner whose rings are the image's slices: each plane meets one slice.
    slices = replace(layout.scanner, rings=grid.shape[2], ring_spacing_mm=dz, virtual_rings=())
    flat = SinogramLayout(
        scanner=slices,
        views=layout.views,
        view_mashing=layout.view_mashing,
        radial_bins=direct.shape[1],
        radial_mm=radial_mm,
        segments=segments_of(grid.shape[2], max_ring_difference=0),
        interleaved=False,
    )
    centred = Grid.centred(
        shape=grid.shape, voxel_mm=grid.voxel_mm, centre_mm=(*grid.centre[:2], 0.0)
    )
    angles = _angles(layout)[:, None, None] * (radial_mm / (dx * dy))
    back = SinogramProjector(flat, centred, threads=model.projector.threads).T
    return back((direct * angles).astype(np.float32))


def _line_integrals(model, prompts):
    """(y - b) / m summed over time-of-flight bins, masked bins filled in, float32."""
    y = backend.to_device(prompts, "cpu").astype(np.float32)
    if model.background is not None:
        y = y - backend.to_device(model.background, "cpu")
    m = None if model.factors is None else backend.to_device(model.factors, "cpu")
    if y.ndim == 4:
        y = y.sum(axis=2)
        if m is not None and m.ndim == 4:
            m = m.mean(axis=2)
    if m is None:
        return y
    m = np.broadcast_to(m, y.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(m > 0, y / m, np.nan).astype(np.float32)
    return _fill_gaps(y)


def _fill_gaps(y):
    """Replaces NaN by linear interpolation along the radial axis; 0 where a whole row is masked."""
    for view in y:
        columns = np.flatnonzero(np.isnan(view).any(axis=0))
        for plane in columns:
            row = view[:, plane]
            known = np.flatnonzero(~np.isnan(row))
            row[:] = np.interp(np.arange(len(row)), known, row[known]) if len(known) else 0
    return y


def _rebin(values, layout):
    """Single-slice rebinning: the mean of all planes at the same z, weighted by ring pairs.

    Planes that no ring pair has lie between two that have: their mean stands for them.
    """
    rings, spacing = layout.scanner.rings, layout.scanner.ring_spacing_mm
    rays, pairs = layout.rays(), layout.multiplicity()[0, 0]
    total = np.zeros((*values.shape[:2], 2 * rings - 1), np.float32)
    weight = np.zeros(2 * rings - 1)
    for segment, first in zip(layout.segments, layout.first_planes(), strict=True):
        sums = segment.first_ring_sum(rings) + segment.step * np.arange(segment.planes)
        axial = segment.mean_ring_difference * spacing
        length = 2 * rays[..., 3:4]
        # A bin at or past the detectors has no length: nothing comes of it.
        cosine = np.zeros_like(length, np.float32)
        np.divide(length, np.hypot(length, axial), out=cosine, where=length > 0, casting="unsafe")
        planes = slice(first, first + segment.planes)
        w = pairs[planes].astype(np.float32)
        total[..., sums] += values[..., planes] * cosine * w
        weight[sums] += w
    seen = np.flatnonzero(weight)
    total /= np.maximum(weight, 1).astype(np.float32)
    low, high = seen[0], seen[-1]
    # Ring differences that are all even, or all odd, leave out every other plane.
    unseen = np.setdiff1d(np.arange(low, high), seen)
    total[..., unseen] = (total[..., unseen - 1] + total[..., unseen + 1]) / 2
    margin = min(low, 2 * rings - 2 - high)
    return total[..., margin : 2 * rings - 1 - margin]


def _equal_spacing(direct, layout):
    """Bins at view angles without interleaving and at equal distances, and that distance in mm."""
    if layout.radial_mm is not None:
        return direct, layout.radial_mm
    bins, crystals = layout.radial_bins, layout.scanner.crystals
    t = np.arange(bins) - bins // 2
    if layout.interleaved:
        # The view after the last is the first one seen from the other side.
        mirrored = np.zeros_like(direct[:1])
        at = bins // 2 - t
        inside = (at >= 0) & (at < bins)
        mirrored[:, inside] = direct[:1, at[inside]]
        following = np.concatenate([direct[1:], mirrored])
        odd, share = t % 2 == 1, np.float32(0.5 / layout.view_mashing)
        direct = direct.copy()
        direct[:, odd] = (1 - share) * direct[:, odd] + share * following[:, odd]
    s = layout.scanner.effective_radius_mm * np.sin(t * np.pi / crystals)
    radial_mm = float(s[bins // 2 + 1] - s[bins // 2]) if bins > 1 else 1.0
    reach = int(np.floor(s[-1] / radial_mm))
    equal = np.arange(-reach - 1, reach + 1) * radial_mm
    below = np.clip(np.searchsorted(s, equal, side="right") - 1, 0, bins - 2)
    share = ((equal - s[below]) / (s[below + 1] - s[below])).astype(np.float32)[:, None]
    share = np.clip(share, 0, 1)
    return (1 - share) * direct[:, below] + share * direct[:, below + 1], radial_mm


def _filter(direct, radial_mm, window, cutoff):
    """Ramp filter along the radial axis, apodised, in 1/mm."""
    bins = direct.shape[1]
    size = 2 ** int(np.ceil(np.log2(2 * bins)))
    n = np.fft.fftfreq(size, 1 / size)
    kernel = np.where(n % 2 == 1, -1 / (np.pi * np.where(n == 0, 1, n) * radial_mm) ** 2, 0.0)
    kernel[0] = 1 / (4 * radial_mm**2)
    f = np.fft.rfftfreq(size) * 2 / cutoff
    response = np.fft.rfft(kernel).real * radial_mm * np.where(f <= 1, WINDOWS[window](f), 0)
    filtered = np.empty_like(direct)
    for view, out in zip(direct, filtered, strict=True):
        spectrum = np.fft.rfft(view, size, axis=0) * response[:, None]
        out[:] = np.fft.irfft(spectrum, size, axis=0)[:bins]
    return filtered


def _finer(direct, radial_mm, most_mm):
    """Bins of at most `most_mm` by linear interpolation, and their size in mm.

    Lines as far apart as voxels would pass some voxels closer than others, which shows as a moire:
    about the axis of a uniform object by up to 0.9 % at half a voxel, by 0.2 % at a quarter.
    """
    bins, times = direct.shape[1], int(np.ceil(radial_mm / most_mm))
    if times == 1 or bins == 1:
        return direct, radial_mm
    at = np.arange(2 * (bins // 2) * times + 1) / times
    below = np.minimum(at.astype(int), bins - 2)
    share = np.minimum(at - below, 1).astype(np.float32)[:, None]
    return (1 - share) * direct[:, below] + share * direct[:, below + 1], radial_mm / times


def _at_slices(direct, step, grid):
    """Direct planes, centred on the scanner and `step` apart, brought to the grid's slices.

    Linear between planes, constant up to half a step beyond the last, then zero.
    """
    planes = direct.shape[2]
    at = grid.centres(2) / step + (planes - 1) / 2
    inside = (at >= -0.5) & (at <= planes - 0.5)
    at = np.clip(at, 0, planes - 1)
    below = np.minimum(at.astype(int), max(planes - 2, 0))
    above = np.minimum(below + 1, planes - 1)
    share = (at - below).astype(np.float32)
    values = (1 - share) * direct[..., below] + share * direct[..., above]
    return values * inside.astype(np.float32)


def _angles(layout):
    """The angle that each view stands for, summing to pi; the last mashed one may be narrower."""
    half = layout.scanner.crystals // 2
    first = np.arange(layout.views) * layout.view_mashing
    return (np.minimum(first + layout.view_mashing, half) - first) * np.pi / half
