"""Images of a study on the voxels that a network sees, whole or in boxes."""

import math

import numpy as np

from denoise.network_input import network_grid
from recon.grid import Grid
from recon.resampling import resample

WHOLE = (slice(None),) * 3


class StudyImages:
    """Images of a study as a network sees them in use: as they are, or resampled to its voxels.

    Args:
        study: StoredStudy.
        voxel_mm: sides of the network's voxels.
    """

    def __init__(self, study, voxel_mm):
        self.study, self.voxel_mm = study, tuple(voxel_mm)

    def grid(self, number):
        """The Grid on which a network sees a phantom's images.

        Raises:
            ValueError: their voxels are too far from the network's.
        """
        return network_grid(self.study.grid(number), self.voxel_mm)

    def read(self, pair, names, box=WHOLE):
        """Images of a pair; of the stored ones no more is read than the box takes.

        Args:
            pair: Pair.
            names: as of `StoredStudy.read`.
            box: three slices of `grid`'s voxels.
        Returns:
            dict of arrays (x, y, z), float32; labels are uint16, of the nearest stored voxel.
        """
        stored, seen = self.study.grid(pair.number), self.grid(pair.number)
        if seen == stored:
            return self.study.read(pair, names, box)
        box = [slice(*part.indices(n)[:2]) for part, n in zip(box, seen.shape, strict=True)]
        reach = tuple(_reach(stored, seen, axis, box[axis]) for axis in range(3))
        images = self.study.read(pair, names, reach)
        grid, onto = _part(stored, reach), _part(seen, box)
        nearest = np.ix_(*(_nearest(stored, seen, axis)[box[axis]] - reach[axis].start
                           for axis in range(3)))
        return {name: image[nearest] if name == "labels" else resample(image, grid, onto)
                for name, image in images.items()}


def _reach(stored, seen, axis, part):
    """The stored voxels that `resample` makes a part of an axis of, a slice."""
    first, last = _places(stored, seen, axis)[[part.start, part.stop - 1]]
    half = max(seen.voxel_mm[axis] / stored.voxel_mm[axis], 1.0) / 2 + 0.5
    return slice(max(math.floor(first - half) + 1, 0),
                 min(math.ceil(last + half), stored.shape[axis]))


def _nearest(stored, seen, axis):
    """The stored voxel that each lies in."""
    return np.floor(_places(stored, seen, axis) + 0.5).astype(int)


def _places(stored, seen, axis):
    """Middles of voxels, in stored voxels from the first one's middle."""
    return (seen.centres(axis) - stored.origin_mm[axis]) / stored.voxel_mm[axis]


def _part(grid, box):
    """The Grid of a box of voxels."""
    return Grid(
        shape=[part.stop - part.start for part in box], voxel_mm=grid.voxel_mm,
        origin_mm=[grid.centres(axis)[part.start] for axis, part in enumerate(box)],
        patient_position=grid.patient_position,
    )
