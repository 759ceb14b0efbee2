"""Volumes through a network in overlapping tiles, so that memory is bounded and no seam is seen.

Along each axis neighbouring tiles share `2 margin + ramp` voxels. Of these the outer `margin` of
either tile, where it lacks what lies beyond, counts for nothing, and along the `ramp` between the
one fades into the other. Where the margin is as wide as a network looks, the result is that of the
whole volume. RED-CNN looks 20 voxels far, a U-Net with two levels 24 and a NAFNet 25. With three
levels they look 52 and 53 far, and so little at what is farthest that 32 voxels leave 3e-4 of
common tissue at most (measured on a trained U-Net; a NAFNet trained for a minute left 1e-6). A
module of the user's own may look farther. A tile begins at a multiple of `aligned` voxels, so that
voxels are pooled in the same cells as in the whole volume.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a volume is cut.

    Attributes:
        voxels: of a tile, at most.
        margin: voxels at a tile's inner faces that are left out.
        ramp: voxels over which neighbouring tiles fade into one another.
        aligned: what a tile's first voxel is a multiple of, along each axis: 2 to the network's
            levels, or a multiple of that.
    Raises:
        ValueError: a negative margin or ramp, or nothing to align to.
    """

    voxels: int = 6_000_000
    margin: int = 32
    ramp: int = 8
    aligned: int = 16

    def __post_init__(self):
        if min(self.margin, self.ramp, self.aligned - 1) < 0:
            raise ValueError(
                f"Tiling takes margin and ramp from 0 and aligned from 1, got {self}"
            )

    @property
    def overlap(self):
        """Voxels that neighbouring tiles share along an axis."""
        return 2 * self.margin + self.ramp

    def tiles(self, shape):
        """Boxes and weights of a volume's tiles, in order: those with the least work in sum.

        Args:
            shape: of the volume (x, y, z).
        Returns:
            List of (box, weights): three slices; three float32 arrays, for x, y and z, whose
            products sum to 1 over the tiles at each voxel.
        Raises:
            ValueError: among so few voxels none is left between the margins.
        """
        ways = [
            (math.prod(max(_lengths(parts)) for parts in axes), axes)
            for axes in itertools.product(*(self._cuts(length) for length in shape))
        ]
        least = min(largest for largest, _ in ways)
        if self.voxels < least:
            raise ValueError(
                f"a tile of a volume of {' × '.join(map(str, shape))} voxels takes {least} at "
                f"least, for {self.overlap} along an axis are shared, got {self.voxels}; allow more"
            )
        axes = min((axes for largest, axes in ways if largest <= self.voxels),
                   key=lambda axes: math.prod(sum(_lengths(parts)) for parts in axes))
        weighted = [
            [(part, self._weights(part, length)) for part in parts]
            for parts, length in zip(axes, shape, strict=True)
        ]
        return [tuple(zip(*tile, strict=True)) for tile in itertools.product(*weighted)]

    def _cuts(self, length):
        """Yields ways to cut an axis, each a list of slices about as long: from one to many."""
        yield [slice(0, length)]
        before = None
        for count in range(2, max(length - self.overlap, 0) // self.aligned + 2):
            step = -(-(length - self.overlap) // (count * self.aligned)) * self.aligned
            if step != before:
                starts = range(0, length - self.overlap, step)
                yield [slice(at, min(at + step + self.overlap, length)) for at in starts]
            before = step

    def _weights(self, part, length):
        """Weights of a tile along an axis of the volume."""
        rise = np.zeros(self.overlap, np.float32)
        rise[self.margin + self.ramp :] = 1
        middle = (np.arange(self.ramp) + 0.5) / max(self.ramp, 1)
        rise[self.margin : self.margin + self.ramp] = np.sin(np.pi / 2 * middle) ** 2
        weights = np.ones(part.stop - part.start, np.float32)
        if part.start:
            weights[: self.overlap] = rise
        if part.stop < length:
            weights[len(weights) - self.overlap :] -= rise
        return weights


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


def _lengths(parts):
    return [part.stop - part.start for part in parts]
