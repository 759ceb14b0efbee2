"""Rays between parts of crystals: a finer model than the one that reconstructs."""

import math

import numpy as np
from scipy import sparse

from recon import Grid, Scanner, Segment, SinogramLayout, backend
from recon.projectors import SinogramProjector
from recon.resampling import resample

FINE_BYTES = 1 << 28  # of rays that are projected at a time, which bounds the memory


def attenuated_trues(activity, mu_per_cm, grid: Grid, layout: SinogramLayout, *, split=2,
                     tof_sigmas=3.0, threads=None, device="cpu", watch=None):
    """Sum over a bin's crystal pairs of the attenuated line integral of the activity.

    Every crystal is cut into split x split smaller ones. A pair's line integral is the mean over
    all rays between the parts of its two crystals, each attenuated on its own way, which blurs as
    the crystals' size does. Reconstruction knows one ray per bin, so it has no part in this.

    Args:
        activity: image (x, y, z) on a grid finer than that of the reconstruction.
        mu_per_cm: image (x, y, z), attenuation at 511 keV in 1/cm.
        grid: Grid of both.
        layout: SinogramLayout whose bins follow the crystals.
        split: parts of a crystal along each of its sides.
        tof_sigmas: where the Gaussian timing error is cut off before it is renormalised.
        threads: CPU threads.
        device: "cpu" or "cuda", where rays are projected.
        watch: function called with the part of the rays that is done; None for none.
    Returns:
        float32 of layout.shape, activity * mm.
    """
    fine = _finer(layout, split, _reach_mm(activity, grid))
    grid, images = _even_steps(grid, (activity, mu_per_cm), fine)
    activity, mu_per_cm = (backend.to_device(image, device) for image in images)
    xp = backend.array_module(activity)
    without_tof = fine.without_tof()
    normal, swapped = (
        plane_sums(fine, layout, split=split, turned=turned) for turned in (False, True)
    )
    rows, columns = layout.views * layout.radial_bins, layout.tof_bins * layout.planes
    total = np.zeros((rows, columns), np.float32)
    at_once = max(1, FINE_BYTES // (4 * math.prod(fine.shape[1:])))
    for first in range(0, fine.views, at_once):
        views = slice(first, first + at_once)
        emitted = SinogramProjector(
            fine, grid, views=views, tof_sigmas=tof_sigmas, threads=threads
        )(activity)
        mm = SinogramProjector(without_tof, grid, views=views, threads=threads)(mu_per_cm) / 10
        emitted = emitted.reshape(*mm.shape[:2], layout.tof_bins, fine.planes)
        emitted *= xp.exp(-mm)[:, :, None]
        emitted = backend.to_device(emitted, "cpu")
        for planes, step, bins in zip(
            (normal, swapped), (1, -1), _bin_sums(fine, layout, split, views), strict=True
        ):
            summed = emitted[:, :, ::step].reshape(-1, fine.planes) @ planes
            filled = np.flatnonzero(np.diff(bins.indptr))
            total[filled] += bins[filled] @ summed.reshape(bins.shape[1], -1)
        if watch:
            watch(min(1.0, (first + at_once) / fine.views))
    total /= split**4
    return total.reshape(layout.shape)


def _reach_mm(activity, grid):
    """How far from the axis there is activity."""
    used = np.argwhere(activity.any(axis=2))
    corners = [np.abs(grid.centres(axis)[used[:, axis]]) + grid.voxel_mm[axis] for axis in (0, 1)]
    return float(np.hypot(*corners).max(initial=0.0))


def _even_steps(grid, images, layout):
    """The images in voxels that are half a plane's step long, four times as fast to project."""
    step = layout.scanner.ring_spacing_mm
    ratio = step / grid.voxel_mm[2]
    if ratio > 2 - 1e-5 or abs(ratio - 1) < 1e-5:  # finer still, or even steps
        return grid, images
    low, high = grid.extent[2]
    planes = max(1, math.ceil((high - low) / (step / 2) - 1e-6))
    onto = Grid.centred(
        shape=(*grid.shape[:2], planes), voxel_mm=(*grid.voxel_mm[:2], step / 2),
        centre_mm=grid.centre, patient_position=grid.patient_position,
    )
    return onto, [resample(image, grid, onto) for image in images]


def _finer(layout, split, reach_mm):
    """The layout, of span 1 and unmashed, of the scanner whose crystals are parts of ours.

    Its radial bins are those that come as near to the axis as `reach_mm`.
    """
    coarse = layout.scanner
    tilt = coarse.tilt_deg - 180 * (split - 1) / (split * coarse.crystals)
    scanner = Scanner(
        name=f"{coarse.name}, crystals in {split} x {split} parts",
        rings=split * coarse.rings, crystals=split * coarse.crystals,
        ring_spacing_mm=coarse.ring_spacing_mm / split, tilt_deg=tilt,
        radius_mm=coarse.radius_mm, depth_mm=coarse.depth_mm,
        radial_bins=split * coarse.radial_bins, tof_bins=coarse.tof_bins,
        tof_bin_ps=coarse.tof_bin_ps, timing_resolution_ps=coarse.timing_resolution_ps,
    )
    largest = max(
        max(-segment.min_ring_difference, segment.max_ring_difference)
        for segment in layout.segments
    )
    most = min(split * (layout.radial_bins + 2), scanner.crystals - 1)
    turn = math.asin(min(1.0, reach_mm / scanner.effective_radius_mm))
    return SinogramLayout.of(
        scanner,
        max_ring_difference=split * (largest + 1) - 1,
        radial_bins=min(most, 2 * math.ceil(turn * scanner.crystals / math.pi) + 3),
        tof_mashing=layout.tof_mashing,
    ).with_(tof_bins=layout.tof_bins)


def plane_sums(fine, layout, *, split=1, turned=False):
    """Sparse (fine planes, planes): which planes belong to which, for rays seen from either end."""
    plane, ring1, ring2 = fine.ring_pairs().T
    rings = (ring2, ring1) if turned else (ring1, ring2)
    opposite = layout.scanner.crystals // 2
    to = layout.bin_of(rings[0] // split, 0, rings[1] // split, opposite)[2]
    return _sums(plane, to, (fine.planes, layout.planes))


def _bin_sums(fine, layout, split, views):
    """Sparse (bins of the layout, fine bins) for rays seen from the same end, and the other."""
    crystal1, crystal2 = fine.crystal_pairs()[0, views].reshape(-1, 2).T // split
    direct = Segment(min_ring_difference=0, max_ring_difference=0, planes=layout.scanner.rings)
    direct = layout.with_(segments=(direct,))
    view, radial, _, swapped = direct.bin_of(0, crystal1, 0, crystal2)
    to = np.where(view < 0, -1, view * layout.radial_bins + radial)
    shape = layout.views * layout.radial_bins, len(to)
    for turned in (False, True):
        yield _sums(np.where(swapped == turned, to, -1), np.arange(len(to)), shape)


def _sums(row, column, shape):
    kept = (row >= 0) & (column >= 0)
    ones = np.ones(np.count_nonzero(kept), np.float32)
    return sparse.csr_array((ones, (row[kept], column[kept])), shape=shape)
