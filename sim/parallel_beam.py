"""A CT's geometry of parallel beams: line integrals of slices, and slices of line integrals."""

import math
from dataclasses import replace

from recon import AcquisitionModel, Scanner, SinogramLayout, SinogramProjector
from recon.algorithms.analytic import fbp


class ParallelBeam:
    """Parallel rays as far apart as voxels, about the middle of each slice, over half a turn.

    A ray is a line without a width, and a slice meets its own rays only. There are pi/2 views for
    each voxel across, so that the outermost voxels are sampled as finely along the turn as rays
    are across (Kak & Slaney, Principles of Computerized Tomographic Imaging, 1988, chapter 5).

    Args:
        grid: Grid of the slices.
        threads: CPU threads; results do not depend on it.
    """

    def __init__(self, grid, *, threads=None):
        dx, dy, dz = grid.voxel_mm
        sides = grid.shape[0] * dx, grid.shape[1] * dy
        ray_mm = min(dx, dy)
        bins = 2 * math.ceil(math.hypot(*sides) / 2 / ray_mm) + 1
        views = math.ceil(math.pi / 2 * max(sides) / ray_mm)
        rays = Scanner(
            name="parallel beam", rings=grid.shape[2], ring_spacing_mm=dz, crystals=2 * views,
            radius_mm=math.hypot(*sides), depth_mm=0.0, radial_bins=bins,
        )
        layout = SinogramLayout.of(
            rays, max_ring_difference=0, radial_bins=bins, radial_mm=ray_mm, interleaved=False
        )
        middle = [-(n - 1) / 2 * side for n, side in zip(grid.shape, grid.voxel_mm, strict=True)]
        self._projector = SinogramProjector(
            layout, replace(grid, origin_mm=tuple(middle)), threads=threads
        )

    @property
    def shape(self):
        """(views, rays, slices)."""
        return self._projector.out_shape

    def project(self, image):
        """Line integrals of an image (x, y, z) in value * cm: (view, ray, slice), float32."""
        return self._projector(image) / 10

    def reconstruct(self, lines, window):
        """The image (x, y, z) that has such line integrals, by filtered back projection.

        Args:
            lines: in value * cm, (view, ray, slice), float32.
            window: of the ramp filter, `recon.algorithms.analytic.WINDOWS`.
        """
        return fbp(AcquisitionModel(self._projector), lines * 10, window=window)
