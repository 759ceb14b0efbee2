"""Shares a sinogram's segments out among launches of the projector's kernels."""

import functools
from dataclasses import dataclass

import numpy as np

from recon import backend

FORWARD_TILE, BACK_TILE = 16, 8  # as in kernels/sinogram_*.cu
ROW_FLOATS = 8192  # of image rows that stay in a core's first-level cache
CPU_FLOATS = 160_000  # a block's scratch that stays in a core's second-level cache
GPU_FLOATS = 12_288  # a block's scratch that leaves room for others on a multiprocessor


@dataclass(frozen=True)
class Chunk:
    """Segments that one launch projects: of one plane spacing and of like obliquity.

    Attributes:
        spacing: of planes, in voxels, 1 or 2; 0 for any other.
        segments, planes: the kernels' tables (kernels/passes.h), where the launch will run.
        padded: floats of one time-of-flight bin in a block's own rows of planes.
        tile: parts of steps that forward projection takes at once.
        floats: scratch of a block.
    """

    spacing: int
    segments: object
    planes: object
    padded: int
    tile: int
    floats: int


def kept_chunks(xp, layout, grid, *, back):
    """`chunks`, made once: subsets of the views have the same, and scans of like layout and grid.

    They take longer to make than a GPU takes to project.
    """
    machine = (backend.cpu_lanes(), CPU_FLOATS) if xp is np else xp.cuda.Device().id
    return _kept(xp, layout, grid, back, machine)


@functools.lru_cache(maxsize=16)
def _kept(xp, layout, grid, back, machine):
    return chunks(xp, layout, grid, back=back)


def chunks(xp, layout, grid, *, back):
    """Splits a layout's segments into Chunks whose scratch fits the machine.

    Args:
        xp: numpy or cupy: the machine.
        layout, grid: SinogramLayout and Grid.
        back: for back projection, which holds no image rows.
    Raises:
        RuntimeError: one segment alone does not fit a GPU's shared memory.
    """
    lanes, soft = (backend.cpu_lanes(), CPU_FLOATS) if xp is np else (1, GPU_FLOATS)
    z, step, axial = (layout.segment_table() / grid.voxel_mm[2]).T
    z = z - grid.origin_mm[2] / grid.voxel_mm[2]
    counts = np.array([segment.planes for segment in layout.segments])
    spacings = _spacings(step, counts)
    made, group = [], []
    order = sorted(range(len(counts)), key=lambda i: (spacings[i], abs(axial[i]), i))
    for index, following in zip(order, [*order[1:], None], strict=True):
        group.append(index)
        spacing = int(spacings[index])
        if following is not None and spacings[following] == spacing:
            joined = counts[[*group, following]]
            if _scratch(joined, spacing, layout.tof_bins, grid.shape[2], lanes, back)[1] <= soft:
                continue
        padded = counts[group] + _padding(spacing, lanes)
        local = np.cumsum([0, *padded[:-1]]) + lanes
        tile, floats = _scratch(counts[group], spacing, layout.tof_bins, grid.shape[2], lanes, back)
        if xp is not np and floats > backend.shared_floats():
            raise RuntimeError(
                f"a segment of {counts[group][0]} planes and {layout.tof_bins} time-of-flight bins "
                f"takes {4 * floats} bytes of a GPU's shared memory, which has "
                f"{4 * backend.shared_floats()}; mash time-of-flight bins or project on the CPU"
            )
        table = np.stack([z[group], step[group], axial[group]], 1)
        planes = np.stack([layout.first_planes()[group], counts[group], local], 1)
        made.append(
            Chunk(
                spacing=spacing,
                segments=xp.asarray(table, np.float32, order="C"),
                planes=xp.asarray(planes, np.int32, order="C"),
                padded=int(padded.sum()),
                tile=tile,
                floats=floats,
            )
        )
        group = []
    return made


def _spacings(step, counts):
    """1 or 2 where all planes of a segment lie that many voxels apart to 1e-3 voxel, else 0."""
    whole = np.rint(step)
    drift = np.abs(step - whole) * counts
    return np.where((drift < 1e-3) & np.isin(whole, (1, 2)), whole, 0).astype(int)


def _scratch(counts, spacing, bins, nz, lanes, back):
    """Tile of forward projection, and floats of a block: rows, planes, and passes."""
    z = {2: nz // 2 + 2, 1: nz + 1, 0: nz + 1 + 2 * lanes}[spacing]
    row = -(-(z + lanes) // lanes) * lanes * (3 if spacing == 2 else 2)
    tile = int(np.clip(ROW_FLOATS // row, 2, FORWARD_TILE))
    padded = int((counts + _padding(spacing, lanes)).sum())
    passes = 3 * bins * len(counts)
    if back:
        return tile, bins * padded + passes * BACK_TILE
    return tile, tile * row + bins * padded + (passes + 1) * FORWARD_TILE


def _padding(spacing, lanes):
    """Zeros around a segment's planes: a vector before, one or two after them."""
    return 3 * lanes if spacing == 0 else 2 * lanes
