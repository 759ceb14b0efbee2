"""What an anatomical image, of CT or MR, says of a scan's edges: neighbours alike, directions.

It lies on the grid of the images that it guides; `recon.resampling.resample` puts it there.
"""

import itertools

import numpy as np

from recon import backend
from recon.operators import Differences


def bowsher(anatomy, grid, count=6):
    """The neighbours of each voxel that are most like it in an anatomical image.

    Of neighbours as alike the nearest are taken, and of these the first in order of their offsets,
    so that in flat anatomy a prior smooths as one without anatomy does.

    Args:
        anatomy: (x, y, z) in any unit, NumPy or CuPy.
        grid: Grid of it and of the images.
        count: how many of the 26 neighbours each voxel chooses. 6, the number of its faces, is less
            than the 7 on the voxel's own side in the corner of a box: no face of a box is crossed.
    Returns:
        uint8 (13, x, y, z), what priors take as `chosen`: for each of the 13 offsets that come
        after (0, 0, 0), how many of a voxel and its neighbour there chose the other, 0 to 2.
    Raises:
        ValueError: the anatomy is not of the grid's shape or not finite, or there is no such count.
    Source: Bowsher et al., IEEE NSS 2004; Vunckx et al., IEEE TMI 31(3), 2012.
    """
    if not 1 <= count <= 26:
        raise ValueError(f"count takes a number of neighbours from 1 to 26, got {count}")
    offsets = window(grid.voxel_mm, 1)[0][1:]
    alike = most_alike(checked(anatomy, grid), offsets, count)[0]
    bits = {tuple(offset): bit for bit, offset in enumerate(offsets.tolist())}
    chosen = backend.array_module(alike).zeros((13, *grid.shape), np.uint8)
    for entry, offset in zip(chosen, list(itertools.product((-1, 0, 1), repeat=3))[14:],
                             strict=True):
        back = tuple(-o for o in offset)
        here, there = (
            tuple(slice(max(0, -o), n - max(0, o)) for o, n in zip(way, grid.shape, strict=True))
            for way in (offset, back)
        )
        entry[here] = (alike[here] >> bits[offset] & 1) + (alike[there] >> bits[back] & 1)
    return chosen


def direction(anatomy, grid, eta=None):
    """The direction in which an anatomical image changes, short where it hardly does.

    d / sqrt(|d|^2 + eta^2) of its differences d to the next voxels (`Differences`): of lengths
    below 1, and 0 where nothing changes.

    Args:
        anatomy: (x, y, z) in any unit, NumPy or CuPy.
        grid: Grid of it and of the images.
        eta: difference from one voxel to the next, in the anatomy's unit, that parts noise from
            edges. By default a tenth of the anatomy's standard deviation: the largest difference
            may be a single voxel's at metal, and the middle one is 0 in images drawn.
    Returns:
        float32 (3, x, y, z), what TotalVariation takes as `direction`.
    Raises:
        ValueError: the anatomy is not of the grid's shape or not finite, or eta is not above 0.
    Source: Ehrhardt & Betcke, SIAM J. Imaging Sciences 9(3), 2016.
    """
    if eta is not None and not 0 < eta < np.inf:
        raise ValueError(f"eta takes a difference above 0, got {eta:g}")
    anatomy = checked(anatomy, grid)
    xp = backend.array_module(anatomy)
    if eta is None:
        eta = 0.1 * float(anatomy.std(dtype=np.float64))
    field = Differences(grid.shape, grid.voxel_mm)(anatomy)
    length = xp.sqrt((field * field).sum(axis=0) + np.float32(eta) ** 2)
    field /= xp.where(length > 0, length, np.float32(1))
    return field


def checked(anatomy, grid):
    """An anatomical image as C-contiguous float32 (x, y, z).

    Raises:
        ValueError: it is not of the grid's shape, or has NaN or infinite values.
    """
    if anatomy.shape != grid.shape:
        raise ValueError(
            f"the anatomy takes the grid's shape {grid.shape}, got {anatomy.shape}; put it onto "
            "the grid by recon.resampling.resample"
        )
    xp = backend.array_module(anatomy)
    anatomy = xp.ascontiguousarray(anatomy, dtype=np.float32)
    if not bool(xp.isfinite(anatomy).all()):
        raise ValueError("the anatomy takes finite values, got NaN or infinite ones; fill them in")
    return anatomy


def window(voxel_mm, reach):
    """The voxels within `reach` voxels along each axis, nearest first, then in order (x, y, z).

    Returns:
        int32 ((2 reach + 1)^3, 3) offsets, the first of which is (0, 0, 0); their lengths in mm.
    """
    offsets = list(itertools.product(range(-reach, reach + 1), repeat=3))
    offsets = np.array(offsets, np.int32)
    # Rounded, so that offsets as long as each other are so whatever the order of their sums.
    lengths_mm = np.linalg.norm(offsets * np.array(voxel_mm), axis=1).round(6)
    order = np.argsort(lengths_mm, kind="stable")
    return offsets[order], lengths_mm[order]


def most_alike(anatomy, offsets, count, threads=None):
    """Which `count` voxels of a window are most like each voxel, as bits; ties go to the first.

    Args:
        anatomy: float32 (x, y, z).
        offsets: int32 (n, 3) of the window.
        count: fewer are chosen where the image's border leaves fewer.
    Returns:
        int32 (words, x, y, z): bit k % 32 of word k // 32 is 1 where offset k is chosen.
    """
    xp, (nx, ny, nz) = backend.array_module(anatomy), anatomy.shape
    chosen = xp.zeros((-(-len(offsets) // 32), nx, ny, nz), np.int32)
    arguments = (chosen, anatomy, xp.asarray(offsets), len(offsets), int(count), nx, ny, nz)
    backend.launch("most_alike", (nx * ny, 1), arguments, scratch_floats=3 * nz, threads=threads)
    return chosen
