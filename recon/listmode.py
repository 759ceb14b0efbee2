"""Projector of listed lines of response: list mode, or any geometry that is no sinogram's."""

import copy

import numpy as np

from recon import backend
from recon.grid import Grid
from recon.operators import LinearOperator
from recon.projectors import tof_arguments

SLAB = 16  # as in kernels/lors.cu
GROUP = 256  # LORs of a block


class ListModeProjector(LinearOperator):
    """Line integrals of an image along listed LORs, in value * mm, timed or not.

    Joseph's method (IEEE TMI 1(3), 1982) along the axis, x, y or z, that the LOR runs along most;
    bilinear interpolation, the image zero outside its voxels; a LOR counts between its end points.

    Args:
        first, second: end points, (events, 3) in mm, in scanner coordinates (recon.grid).
        grid: Grid.
        tof_bin: time-of-flight bin of each event, (events,), counted towards the first point; with
            it, `layout` says what the bins are.
        layout: SinogramLayout with time of flight.
        tof_sigmas: where the Gaussian timing error is cut off before it is renormalised.
        threads: CPU threads; results do not depend on it.
    """

    def __init__(
        self, first, second, grid: Grid, *, tof_bin=None, layout=None, tof_sigmas=3.0, threads=None
    ):
        xp = backend.array_module(first, second, tof_bin)
        first, second = (xp.asarray(end, np.float32) for end in (first, second))
        if first.shape != second.shape or first.shape[1:] != (3,):
            raise ValueError(
                f"end points take shape (events, 3), got {first.shape} and {second.shape}"
            )
        self._lors = xp.concatenate([first, second], axis=1)
        if not bool(xp.isfinite(self._lors).all()):
            raise ValueError("end points take finite positions in mm, got NaN or infinite ones")
        self.grid, self.threads = grid, threads
        self._tof = tof_arguments(layout if tof_bin is not None else None, tof_sigmas)
        self._bins = xp.zeros(1, np.int32) if tof_bin is None else _checked_bins(tof_bin, layout)
        if tof_bin is not None and self._bins.shape != (len(first),):
            raise ValueError(
                f"tof_bin takes one bin for each of {len(first)} events, got {self._bins.shape}"
            )
        self._sort(len(first))

    def _sort(self, events):
        super().__init__(self.grid.shape, (events,))
        xp = self._xp()
        along = xp.abs(self._lors[:, 3:] - self._lors[:, :3])
        axis = xp.argmax(along, axis=1)  # the first of equals, as the kernel chooses
        self._by_axis = [xp.flatnonzero(axis == a).astype(np.int32) for a in range(3)]

    def _xp(self):
        return backend.array_module(self._lors)

    def subset(self, events):
        """The projector of a slice of this projector's events."""
        part = copy.copy(self)
        part._lors = self._xp().ascontiguousarray(self._lors[events])
        part._bins = (
            self._bins if self._tof[0] == 0 else self._xp().ascontiguousarray(self._bins[events])
        )
        part._sort(len(part._lors))
        return part

    def _apply(self, image):
        xp = backend.array_module(image, self._lors)
        values = xp.empty(self.out_shape, np.float32)
        blocks = 1, -(-len(values) // backend.CUDA_THREADS)
        arguments = (xp.ascontiguousarray(image), values, len(values), *self._geometry())
        backend.launch("lors_forward", blocks, arguments, threads=self.threads)
        return values

    def _apply_transposed(self, values):
        xp = backend.array_module(values, self._lors)
        image = xp.zeros(self.in_shape, np.float32)
        for axis, chosen in enumerate(self._by_axis):
            if len(chosen):
                blocks = -(-self.in_shape[axis] // SLAB), -(-len(chosen) // GROUP)
                arguments = (
                    image,
                    xp.ascontiguousarray(values),
                    chosen,
                    len(chosen),
                    GROUP,
                    *self._geometry(),
                )
                backend.launch(f"lors_back_{axis}", blocks, arguments, threads=self.threads)
        return image

    def _geometry(self):
        grid = self.grid
        return (self._lors, self._bins, *grid.shape, *grid.voxel_mm, *grid.origin_mm, *self._tof)


def _checked_bins(tof_bin, layout):
    """Time-of-flight bins as int32, or a ValueError that says what is wrong with them."""
    xp = backend.array_module(tof_bin)
    if layout is None or not layout.tof:
        raise ValueError(
            "tof_bin takes a layout with time of flight that says what the bins are, got none"
        )
    bins = xp.asarray(tof_bin)
    if bins.dtype.kind not in "iu" or not bool(((bins >= 0) & (bins < layout.tof_bins)).all()):
        raise ValueError(f"tof_bin takes whole numbers from 0 to {layout.tof_bins - 1}, got others")
    return xp.ascontiguousarray(bins, np.int32)
