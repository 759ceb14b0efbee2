"""Projectors so small that their matrices fit a test, for an image that is larger than they see."""

import numpy as np
import torch

from recon import Grid, SinogramLayout, SinogramProjector
from tests.recon.cases import TINY

_OPTIONS = {"radial_bins": 3, "view_mashing": 4, "max_ring_difference": 1}
_GRID = Grid.centred(shape=(4, 3, 5), voxel_mm=(20, 25, 8), centre_mm=(0, 0, 16))
# One thread: for so little, waiting for a second takes longer than the work.
PLAIN = SinogramProjector(SinogramLayout.of(TINY, **_OPTIONS), _GRID, threads=1)
TIMED = SinogramProjector(SinogramLayout.of(TINY, tof_mashing=3, **_OPTIONS), _GRID, threads=1)


def dense(operator):
    """The operator's matrix, float64 (values out, values in)."""
    units = np.eye(np.prod(operator.in_shape), dtype=np.float32)
    columns = [operator(unit.reshape(operator.in_shape)).ravel() for unit in units]
    return torch.from_numpy(np.stack(columns, axis=1)).double()
