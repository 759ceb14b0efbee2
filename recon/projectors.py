"""Projectors: line integrals of an image along the LORs of a sinogram or of listed events."""

import math

import numpy as np

from recon import backend
from recon.chunks import BACK_TILE, kept_chunks
from recon.grid import Grid
from recon.layout import SinogramLayout
from recon.operators import LinearOperator

RADIAL_GROUP = 16  # neighbouring rays read neighbouring rows: one thread takes this many
CACHED_BYTES = 8 << 20  # of sinogram that back projection reads once per slab of the image


class SinogramProjector(LinearOperator):
    """Mean line integral of an image along the LORs of every bin of a sinogram, in value * mm.

    Joseph's method (IEEE TMI 1(3), 1982) along x or y, linear interpolation, the image zero outside
    its voxels; a LOR counts between its end points. Planes of a segment share the segment's mean
    ring difference. Steps that would skip voxels along z are subdivided.

    Args:
        layout: SinogramLayout.
        grid: Grid.
        views: slice of the layout's views, for a subset.
        tof_sigmas: where the Gaussian timing error is cut off before it is renormalised.
        threads: CPU threads; results do not depend on it.
    """

    def __init__(
        self, layout: SinogramLayout, grid: Grid, *, views=slice(None), tof_sigmas=3.0, threads=None
    ):
        if not isinstance(views, slice):
            raise TypeError(f"SinogramProjector takes views as a slice, got {views!r}")
        self.layout, self.grid, self.views = layout, grid, views
        self.tof_sigmas, self.threads = tof_sigmas, threads
        rays = layout.rays(views)
        super().__init__(grid.shape, (len(rays), *layout.shape[1:]))
        self._rays = np.ascontiguousarray(rays, np.float32)
        self._along_y = np.abs(self._rays[..., 1]) < np.abs(self._rays[..., 0])
        self._tof = tof_arguments(layout, tof_sigmas)
        self._made = {}

    def subset(self, views):
        """The projector of a slice of this projector's views."""
        chosen = range(self.layout.views)[self.views][views]
        stop = chosen.stop if chosen.stop >= 0 else None
        views = slice(chosen.start, stop, chosen.step)
        return SinogramProjector(
            self.layout, self.grid, views=views, tof_sigmas=self.tof_sigmas, threads=self.threads
        )

    def _apply(self, image):
        xp = backend.array_module(image)
        image = xp.ascontiguousarray(image)
        out = xp.empty(self.out_shape, np.float32)
        blocks = len(self._rays) * -(-self.layout.radial_bins // RADIAL_GROUP), RADIAL_GROUP
        for chunk in self._chunks(xp, back=False):
            arguments = (image, out, RADIAL_GROUP, chunk.tile)
            arguments += self._geometry(xp, chunk, slice(None), out)
            self._launch(f"sinogram_forward_{chunk.spacing}", blocks, arguments, chunk)
        return out

    def _apply_transposed(self, sinogram):
        xp = backend.array_module(sinogram)
        image = xp.zeros(self.in_shape, np.float32)
        if not sinogram[:1].flags.c_contiguous or sinogram.strides[0] < 0:
            sinogram = xp.ascontiguousarray(sinogram)
        for chunk in self._chunks(xp, back=True):
            for views in self._cached_views(xp):
                part, along_y = sinogram[views], self._along_y[views]
                for axis in [axis for axis in (0, 1) if (along_y == axis).any()]:
                    blocks = (
                        -(-self.in_shape[axis] // BACK_TILE),
                        len(part) * self.layout.radial_bins,
                    )
                    arguments = (image, part, axis, *self._geometry(xp, chunk, views, sinogram))
                    self._launch(f"sinogram_back_{chunk.spacing}", blocks, arguments, chunk)
        return image

    def _launch(self, kernel, blocks, arguments, chunk):
        backend.launch(kernel, blocks, arguments, scratch_floats=chunk.floats, threads=self.threads)

    def _cached_views(self, xp):
        """Slices of the views whose bins stay in a CPU's cache while slab after slab reads them."""
        views = len(self._rays)
        bytes_per_view = 4 * math.prod(self.out_shape[1:])
        size = views if xp is not np else max(1, CACHED_BYTES // bytes_per_view)
        return [slice(start, start + size) for start in range(0, views, size)]

    def _geometry(self, xp, chunk, views, sinogram):
        """The kernels' arguments after the arrays they read and write."""
        layout, grid = self.layout, self.grid
        sizes = layout.radial_bins, len(chunk.segments), layout.planes, chunk.padded
        return (
            self._on(xp, "rays", lambda: xp.asarray(self._rays))[views],
            *(chunk.segments, chunk.planes, *sizes, np.int64(sinogram.strides[0] // 4)),
            *(*grid.shape, *grid.voxel_mm, *grid.origin_mm[:2], *self._tof),
        )

    def _chunks(self, xp, back):
        return self._on(
            xp, "back" if back else "forward",
            lambda: kept_chunks(xp, self.layout, self.grid, back=back),
        )

    def _on(self, xp, name, make):
        """Something made once for each machine."""
        if (xp.__name__, name) not in self._made:
            self._made[xp.__name__, name] = make()
        return self._made[xp.__name__, name]


def tof_arguments(layout, sigmas):
    """The kernels' five numbers about time of flight (kernels/tof.h); zeros without."""
    if not 0 < sigmas <= 5.5:
        raise ValueError(f"tof_sigmas takes a number above 0 and up to 5.5, got {sigmas}")
    if layout is None or not layout.tof:
        return 0, 1.0, 1.0, 1.0, 1.0
    sigma = layout.tof_sigma_mm
    norm = 0.5 / math.erf(sigmas / math.sqrt(2))
    return layout.tof_bins, layout.tof_bin_mm, sigmas * sigma, 1 / (sigma * math.sqrt(2)), norm
