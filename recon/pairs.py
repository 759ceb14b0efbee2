"""Which crystal pairs the bins of a SinogramLayout sum; methods of it, see `recon.layout`."""

from functools import lru_cache

import numpy as np

from recon.segments import ring_pairs as ring_pairs_of


def crystal_pairs(layout):
    """The crystals of every view and radial bin.

    Returns:
        int32 (view_mashing, views, radial, 2): crystal1 and crystal2 of each of the views that a
        bin sums; -1 where the last bin sums fewer.
    Raises:
        ValueError: the bins are arc-corrected.
    """
    _need_crystals(layout, "crystal_pairs")
    crystals = layout.scanner.crystals
    view = np.arange(layout.views)[:, None] * layout.view_mashing
    view = view + np.arange(layout.view_mashing)[:, None, None]
    t = np.arange(layout.radial_bins) - layout.radial_bins // 2
    first = (view + (t >> 1)) % crystals
    second = (view - ((t + 1) >> 1) + crystals // 2) % crystals
    pairs = np.stack([first, second], axis=-1)
    return np.where(view[..., None] < crystals // 2, pairs, -1).astype(np.int32)


def ring_pairs(layout):
    """The ring pairs of all planes, int32 (pairs, 3): plane, ring1, ring2, planes ascending."""
    return ring_pairs_of(layout.scanner.rings, layout.segments)


def crystals_of(layout, view, radial, plane):
    """All crystal pairs of one bin.

    Returns:
        ring1, crystal1, ring2, crystal2: int32 arrays, one element per pair.
    Raises:
        ValueError: the bins are arc-corrected.
        IndexError: there is no such bin.
    """
    layout.check_bin(view, radial, plane)
    crystals = crystal_pairs(layout)[:, view, radial]
    crystals = crystals[crystals[:, 0] >= 0]
    rings = ring_pairs(layout)
    rings = rings[rings[:, 0] == plane]
    ring1, crystal1 = (array.ravel() for array in np.meshgrid(rings[:, 1], crystals[:, 0]))
    ring2, crystal2 = (array.ravel() for array in np.meshgrid(rings[:, 2], crystals[:, 1]))
    return ring1, crystal1, ring2, crystal2


def bin_of(layout, ring1, crystal1, ring2, crystal2):
    """The bin that a pair of crystals belongs to, in whichever order they come.

    Args:
        ring1, crystal1, ring2, crystal2: integers or arrays that broadcast.
    Returns:
        view, radial, plane: int32 arrays, all three -1 where the pair is outside the layout.
        swapped: bool array, True where (ring2, crystal2) is the line's first point; there
        time-of-flight bin i, counted towards crystal1, is bin tof_bins - 1 - i.
    Raises:
        ValueError: a ring or crystal is not the scanner's, or the bins are arc-corrected.
        TypeError: a ring or crystal is not an integer.
    """
    _need_crystals(layout, "bin_of")
    crystals, rings = layout.scanner.crystals, layout.scanner.rings
    ring1, ring2 = _indices("rings", rings, ring1), _indices("rings", rings, ring2)
    crystal1 = _indices("crystals", crystals, crystal1)
    crystal2 = _indices("crystals", crystals, crystal2)
    half = crystals // 2
    t = crystal1 - crystal2
    t = np.where(t < 0, t + crystals, t) - half
    view = crystal1 - (t >> 1)
    view = np.where(view < 0, view + crystals, np.where(view >= crystals, view - crystals, view))
    # In the other order the same pair lies half a turn on, at -t.
    swapped = view >= half
    view = np.where(swapped, view - half, view)
    radial = np.where(swapped, -t, t) + layout.radial_bins // 2
    planes = _planes_of_rings(rings, layout.segments)
    plane = np.where(swapped, planes[ring2, ring1], planes[ring1, ring2])
    view, radial, plane = np.broadcast_arrays(view // layout.view_mashing, radial, plane)
    outside = (radial < 0) | (radial >= layout.radial_bins) | (plane < 0)
    view, radial, plane = (np.where(outside, -1, index) for index in (view, radial, plane))
    return view, radial, plane, np.broadcast_to(swapped, outside.shape)


def pair_counts(layout):
    """How many real crystal pairs each bin sums, as two factors.

    Returns:
        float32 (views, radial, 1), pairs of crystals, and float32 (1, 1, planes), pairs of rings;
        their product counts the pairs of a bin that touch no virtual crystal or ring.
    Raises:
        ValueError: the bins are arc-corrected.
    """
    scanner = layout.scanner
    transaxial, axial = scanner.block_crystals
    virtual = np.isin(np.arange(scanner.crystals) % transaxial, scanner.virtual_crystals)
    pairs = crystal_pairs(layout)
    real = (pairs[..., 0] >= 0) & ~virtual[pairs].any(axis=-1)
    virtual = np.isin(np.arange(scanner.rings) % axial, scanner.virtual_rings)
    plane, ring1, ring2 = ring_pairs(layout).T
    rings = np.bincount(plane[~virtual[ring1] & ~virtual[ring2]], minlength=layout.planes)
    return real.sum(axis=0, dtype=np.float32)[:, :, None], rings.astype(np.float32)[None, None]


def multiplicity(layout):
    """How many pairs each bin sums: ring pairs times mashed views, virtual ones included.

    Returns:
        float32 (views, 1, planes), the same for all radial bins.
    """
    first = np.arange(layout.views) * layout.view_mashing
    views = np.minimum(first + layout.view_mashing, layout.scanner.crystals // 2) - first
    rings = np.bincount(ring_pairs(layout)[:, 0], minlength=layout.planes)
    return (views[:, None] * rings).astype(np.float32)[:, None]


def mask(layout):
    """Where a bin has detectors: False where every pair touches a virtual crystal or ring.

    Returns:
        bool that broadcasts to (views, radial, planes); all True for arc-corrected bins, which
        are interpolated over gaps.
    """
    if layout.radial_mm is not None:
        return np.ones((1, 1, 1), bool)
    crystals, rings = (count > 0 for count in pair_counts(layout))
    return crystals if rings.all() else crystals & rings


@lru_cache(maxsize=8)
def _planes_of_rings(rings, segments):
    planes = np.full((rings, rings), -1, np.int32)
    plane, ring1, ring2 = ring_pairs_of(rings, segments).T
    planes[ring1, ring2] = plane
    return planes


def _need_crystals(layout, name):
    if layout.radial_mm is not None:
        raise ValueError(
            f"SinogramLayout.{name} takes bins that follow the crystals, got arc-corrected ones "
            f"of {layout.radial_mm} mm; use the layout before arc correction"
        )


def _indices(name, size, array):
    array = np.asarray(array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"SinogramLayout.bin_of takes integer {name}, got {array.dtype}")
    if array.size and not (array.min() >= 0 and array.max() < size):
        raise ValueError(
            f"SinogramLayout.bin_of takes {name} from 0 to {size - 1}, got {array.min()} to "
            f"{array.max()}; count from 0, virtual ones included"
        )
    return array.astype(np.int32)
