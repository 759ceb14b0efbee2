"""Layouts, grids and machines that the tests of projectors and algorithms go through."""

from dataclasses import replace
from itertools import islice

import numpy as np

from recon import Grid, Scanner, Segment, SinogramLayout, backend
from tests.recon.reference_joseph import tof_share

TINY, DEMO = Scanner.preset("tiny"), Scanner.preset("demo")
MACHINES = ("cpu", "cuda") if backend.find_device()[0] == "cuda" else ("cpu",)

LAYOUTS = {
    "span 1": SinogramLayout.of(TINY),
    "span 3": SinogramLayout.of(TINY, span=3),
    "span 11, fewer planes": SinogramLayout.of(DEMO, span=11, radial_bins=7, view_mashing=16).with_(
        segments=(
            Segment(min_ring_difference=-5, max_ring_difference=5, planes=21),
            Segment(min_ring_difference=6, max_ring_difference=15, planes=15),
        )
    ),
    "not interleaved": SinogramLayout.of(TINY, interleaved=False),
    "arc-corrected": SinogramLayout.of(TINY, span=3, radial_bins=9, radial_mm=11.0),
    "mashed views that do not divide": SinogramLayout.of(TINY, view_mashing=3, span=3),
    "odd number of TOF bins": SinogramLayout.of(TINY, tof_mashing=3, max_ring_difference=2),
    "even number of TOF bins": SinogramLayout.of(TINY, tof_mashing=2, span=3),
    "one ring": SinogramLayout.of(replace(TINY, rings=1)),
    "one view": SinogramLayout.of(TINY, view_mashing=16),
    "one radial bin": SinogramLayout.of(TINY, radial_bins=1, span=5),
    "bins at and past the detectors": SinogramLayout.of(TINY, radial_mm=15.0, radial_bins=16),
}

# Rings of the tiny scanner are 8 mm apart.
GRIDS = {
    "half the ring spacing": Grid.centred(shape=(17, 16, 9), voxel_mm=(6, 6, 4)),
    "the ring spacing": Grid.centred(shape=(16, 17, 5), voxel_mm=(6, 6, 8)),
    "a third of the ring spacing": Grid.centred(shape=(13, 11, 13), voxel_mm=(7, 9, 8 / 3)),
    "no fraction of the ring spacing": Grid.centred(shape=(13, 14, 11), voxel_mm=(7, 6, 3.1)),
    "off centre": Grid.centred(shape=(12, 9, 8), voxel_mm=(6, 5, 4), centre_mm=(31, -17, 7.3)),
    "larger than the scanner": Grid.centred(
        shape=(29, 33, 40), voxel_mm=(8, 7, 4), centre_mm=(1.3, -2.1, 0)
    ),
    "smaller than a detector": Grid.centred(shape=(3, 2, 2), voxel_mm=(1, 1, 4)),
    "one voxel": Grid.centred(shape=(1, 1, 1), voxel_mm=(30, 30, 8)),
    "many thin slices": Grid.centred(shape=(9, 9, 37), voxel_mm=(12, 12, 1)),
    "partly above": Grid.centred(shape=(11, 11, 6), voxel_mm=(8, 8, 4), centre_mm=(0, 0, 17)),
    "wholly above": Grid.centred(shape=(11, 11, 6), voxel_mm=(8, 8, 4), centre_mm=(0, 0, 90)),
}


def uniform(shape, seed=0):
    """Random numbers from 0 to 1, float32."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def adjoint_gap(operator, machine="cpu"):
    """|<A x, y> - <x, A^T y>| / <A x, y> of x and y uniform on (0, 1), sums in float64.

    0 where both are 0.
    """
    x, y = uniform(operator.in_shape, 1), uniform(operator.out_shape, 2)
    forward = on_cpu(operator(backend.to_device(x, machine))).astype(np.float64)
    back = on_cpu(operator.T(backend.to_device(y, machine))).astype(np.float64)
    one, other = np.vdot(forward, y), np.vdot(x, back)
    return abs(one - other) / one if one or other else 0.0


def on_cpu(array):
    """The array as NumPy's, wherever it lives."""
    return backend.to_device(array, "cpu")


def after(updates, images):
    """The image after a number of updates, as NumPy's."""
    return on_cpu(next(islice(images, updates - 1, None))).copy()


def assert_same(ours, theirs):
    """Bit for bit on a CPU; a GPU, whose sums have no order, is within 1e-5 of the largest."""
    most = 0.0 if MACHINES == ("cpu",) else 1e-5 * np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=most)


def rms_difference(ours, theirs):
    """Root mean square of the difference as a fraction of theirs."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return np.sqrt(np.sum((ours - theirs) ** 2) / np.sum(theirs**2))


def cylinder_chords(layout, radius_mm):
    """Lengths of a layout's lines in an endless cylinder about the axis, analytic, in mm.

    With time of flight, the part of each length that is timed into each bin.

    Returns:
        float64 of the layout's shape, but 1 for the views, which all see the same.
    """
    s, half = layout.rays()[0, :, 2:].T
    axial = np.repeat(layout.segment_table()[:, 2], [g.planes for g in layout.segments])
    across = 2 * np.sqrt(np.maximum(radius_mm**2 - s**2, 0))
    length = across[:, None] * np.hypot(1, axial / (2 * half[:, None]))
    if not layout.tof:
        return length[None]
    samples = 400
    along = ((np.arange(samples) + 0.5) / samples - 0.5) * length[..., None]
    share = [tof_share(layout, k, along).mean(axis=-1) for k in range(layout.tof_bins)]
    return (length * share).transpose(1, 0, 2)[None]
