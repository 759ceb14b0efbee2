"""Volumes through a network in overlapping tiles, so that memory is bounded and no seam is seen.

Along each axis neighbouring tiles share `2 margin + ramp` voxels. Of these the outer `margin` of
either tile, where it lacks what lies beyond, counts for nothing, and along the `ramp` between the
one fades into the other. Where the margin is as wide as a network looks, the result is that of the
whole volume. A U-Net with three levels looks 44 voxels far, and little at what is far: see
`tests/denoise/test_tiling.py` for what is left of seams.

A tile begins at a multiple of `aligned` voxels, so that voxels are pooled in the same cells as in
the whole volume.
"""

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a volume is cut.

    Attributes:
        size: of a tile along each axis, in voxels, at most.
        margin: voxels at a tile's inner faces that are left out.
        ramp: voxels over which neighbouring tiles fade into one another.
        aligned: what a tile's first voxel is a multiple of: 2 to the network's levels, or a
            multiple of that.
    Raises:
        ValueError: a size in which nothing is left between the margins.
    """

    size: int = 128
    margin: int = 16
    ramp: int = 8
    aligned: int = 16

    def __post_init__(self):
        least = self.overlap + self.aligned
        if min(self.margin, self.ramp) < 0 or self.aligned < 1 or self.size < least:
            raise ValueError(
                f"Tiling takes a size of 2 margin + ramp + aligned = {least} voxels or more, each "
                f"of 0 or more and aligned from 1, got {self}"
            )

    @property
    def overlap(self):
        """Voxels that neighbouring tiles share."""
        return 2 * self.margin + self.ramp

    def tiles(self, shape):
        """Boxes and weights of a volume's tiles, in order.

        Args:
            shape: of the volume (x, y, z).
        Returns:
            List of (box, weights): three slices; three float32 arrays, for x, y and z, whose
            products sum to 1 over the tiles at each voxel.
        """
        axes = [self._axis(length) for length in shape]
        return [
            (tuple(part for part, _ in tile), tuple(weights for _, weights in tile))
            for tile in itertools.product(*axes)
        ]

    def _axis(self, length):
        """(slice, weights) of the tiles along an axis."""
        if length <= self.size:
            return [(slice(0, length), np.ones(length, np.float32))]
        most = (self.size - self.overlap) // self.aligned
        count = -(-(length - self.overlap) // (most * self.aligned))
        step = -(-(length - self.overlap) // (count * self.aligned)) * self.aligned
        starts = range(0, length - self.overlap, step)  # as even as alignment lets them be
        rise = np.zeros(self.overlap, np.float32)
        rise[self.margin + self.ramp :] = 1
        middle = (np.arange(self.ramp) + 0.5) / max(self.ramp, 1)
        rise[self.margin : self.margin + self.ramp] = np.sin(np.pi / 2 * middle) ** 2
        found = []
        for start in starts:
            stop = length if start == starts[-1] else start + step + self.overlap
            weights = np.ones(stop - start, np.float32)
            if start:
                weights[: self.overlap] = rise
            if stop < length:
                weights[stop - start - self.overlap :] -= rise
            found.append((slice(start, stop), weights))
        return found


def tiled(function, volume, tiling, done=lambda: None):
    """What a function makes of a volume, tile by tile.

    Args:
        function: takes (channels, x, y, z) float32 and returns (x, y, z).
        volume: (channels, x, y, z) float32.
        tiling: Tiling.
        done: called after each tile.
    Returns:
        (x, y, z) float32.
    """
    found = np.zeros(volume.shape[1:], np.float32)
    for box, (along_x, along_y, along_z) in tiling.tiles(found.shape):
        part = function(np.ascontiguousarray(volume[(slice(None), *box)]))
        found[box] += along_x[:, None, None] * along_y[:, None] * along_z * part
        done()
    return found
