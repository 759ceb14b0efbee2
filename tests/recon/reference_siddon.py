"""STIR's ray-tracing projector of one slice, written to be read: exact path lengths, several rays.

Siddon, Med Phys 12(2), 1985. As STIR 6 does by default: rays spread evenly over the width of a
bin, each counts inside the largest circle about the axis that the voxel centres span, angles
without interleaving, time of flight from where a voxel's centre projects onto the bin's line.
"""

import numpy as np
from scipy import sparse
from scipy.special import erf

from recon.operators import LinearOperator


class SiddonProjector(LinearOperator):
    """Mean path length through each voxel of a one-slice grid, from a sparse matrix, in mm.

    Args:
        layout: SinogramLayout of one plane, not interleaved.
        grid: Grid of one slice.
        rays: per bin.
        views: slice of the layout's views.
    """

    threads = None

    def __init__(self, layout, grid, rays, views=slice(None)):
        self.layout, self.grid, self.rays, self.views = layout, grid, rays, views
        chosen = range(layout.views)[views]
        super().__init__(grid.shape, (len(chosen), *layout.shape[1:]))
        self._matrix = sparse.vstack([self._of_view(view) for view in chosen]).tocsr()

    def subset(self, views):
        return SiddonProjector(self.layout, self.grid, self.rays, views)

    def _apply(self, image):
        return (self._matrix @ image.ravel()).reshape(self.out_shape).astype(np.float32)

    def _apply_transposed(self, sinogram):
        return (self._matrix.T @ sinogram.ravel()).reshape(self.in_shape).astype(np.float32)

    def _of_view(self, view):
        """The matrix of one view: rows (radial) or (radial, tof), columns voxels."""
        radial, columns, length, (cos, sin) = self._paths(view)
        nx, ny, _ = self.grid.shape
        shape = (self.layout.radial_bins, nx * ny)
        matrix = sparse.coo_array((length, (radial, columns)), shape).tocsr()
        if not self.layout.tof:
            return matrix
        matrix = matrix.tocoo()
        along = (self.grid.centres(0)[matrix.col // ny] * sin
                 - self.grid.centres(1)[matrix.col % ny] * cos)
        scale = self.layout.tof_sigma_mm * np.sqrt(2)
        share = np.diff(erf((self.layout.tof_edges_mm[:, None] - along) / scale) / 2, axis=0)
        bins = self.layout.tof_bins
        rows = matrix.row * bins + np.arange(bins)[:, None]
        columns = np.broadcast_to(matrix.col, rows.shape)
        return sparse.coo_array(
            ((matrix.data * share).ravel(), (rows.ravel(), columns.ravel())),
            (shape[0] * bins, shape[1]),
        ).tocsr()

    def _paths(self, view):
        """Radial bin, voxel and length / rays of every piece of a ray; cosine and sine."""
        layout, grid = self.layout, self.grid
        cos, sin, _, _ = layout.rays()[view, 0]
        t = np.arange(layout.radial_bins) - layout.radial_bins // 2
        s = layout.scanner.effective_radius_mm * np.sin(
            np.array([t - 1, t, t + 1]) * np.pi / layout.scanner.crystals
        )
        offsets = (np.arange(self.rays) + 0.5) / self.rays - 0.5
        s = (s[1][:, None] + offsets * (s[2] - s[0])[:, None] / 2).reshape(-1, 1)
        circle = min(-grid.centres(0)[0], -grid.centres(1)[0])
        end = np.sqrt(np.maximum(circle**2 - s**2, 0))
        x, y = (
            grid.extent[axis][0] + grid.voxel_mm[axis] * np.arange(grid.shape[axis] + 1)
            for axis in (0, 1)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            a = np.concatenate([(x - s * cos) / sin, (s * sin - y) / cos, -end, end], axis=1)
        a = np.sort(np.clip(np.where(np.isnan(a), 0, a), -end, end), axis=1)
        middle, length = (a[:, 1:] + a[:, :-1]) / 2, np.diff(a, axis=1)
        i = np.floor((s * cos + middle * sin - x[0]) / grid.voxel_mm[0]).astype(int)
        j = np.floor((s * sin - middle * cos - y[0]) / grid.voxel_mm[1]).astype(int)
        used = length > 1e-9
        radial = np.broadcast_to(np.arange(len(s))[:, None] // self.rays, length.shape)
        voxel = i * grid.shape[1] + j
        return radial[used], voxel[used], length[used] / self.rays, (cos, sin)
