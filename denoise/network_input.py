"""What a network sees of an image: on the voxels and on the scale that it knows, with a CT."""

from dataclasses import dataclass

import numpy as np

from denoise.channels import CT_HU, channels
from denoise.scaling import RULE, Scaling, check_finite, measure
from recon import text
from recon.corrections.hounsfield import AIR_HU
from recon.grid import Grid
from recon.resampling import coverage, resample

SAME = 1.1  # ratio of voxels' sides up to which a network takes an image as it is
FARTHEST = 2.0  # ratio up to which an image is resampled to a network's voxels
_LEAST_RANGE_HU = 100.0  # of a CT, from its darkest voxel to its brightest


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkInput:
    """What a network sees of an image.

    Attributes:
        volume: (channels, x, y, z) float32.
        grid: Grid of it.
        scaling: Scaling of the image on this grid.
        notes: sentences.
    """

    volume: np.ndarray
    grid: Grid
    scaling: Scaling
    notes: list

    @classmethod
    def of(cls, image, grid, denoiser, ct=None, ct_grid=None):
        """What the Denoiser's network sees of an image; arguments as of `inference.denoise`."""
        if image.shape != grid.shape:
            raise ValueError(
                f"denoise takes an image of the grid's shape {grid.shape}, got {image.shape}"
            )
        check_finite(image)
        check_rule(denoiser.settings["scaling"])
        onto, notes = network_grid(grid, denoiser.settings["voxel_mm"]), []
        if onto != grid:
            image = resample(image, grid, onto)
            notes.append(
                f"the network knows voxels of {text.sides(denoiser.settings['voxel_mm'])}: the "
                f"image, of {text.sides(grid.voxel_mm)}, was resampled to them and back, which "
                "smooths it"
            )
        takes = "ct" in denoiser.settings["inputs"]
        if takes and ct is None:
            raise ValueError("the network takes a CT beside the image, got none; give the CT in HU")
        if takes:
            ct, more = _ct_on(ct, ct_grid or grid, onto)
            notes += more
        elif ct is not None:
            ct = None
            notes.append("the network takes no CT: the one given was not used")
        scaling = measure(image, onto.voxel_mm)
        return cls(volume=channels(image, scaling.level, ct), grid=onto, scaling=scaling,
                   notes=notes)


def network_grid(grid, voxel_mm):
    """The Grid on which a network sees an image: the image's own, or one about as fine as it knows.

    Args:
        grid: the image's.
        voxel_mm: sides of the voxels that the network was trained on.
    Raises:
        ValueError: a side differs by more than FARTHEST.
    """
    if check_voxels(grid, voxel_mm) <= SAME:
        return grid
    lengths = np.multiply(grid.shape, grid.voxel_mm)
    shape = np.maximum(np.round(lengths / voxel_mm), 1).astype(int)
    return Grid.centred(shape=shape, voxel_mm=lengths / shape, centre_mm=grid.centre,
                        patient_position=grid.patient_position)


def check_voxels(grid, voxel_mm):
    """How many times as long or short a Grid's voxels are as those that a network knows, at most.

    Raises:
        ValueError: more than FARTHEST.
    """
    ratios = np.divide(grid.voxel_mm, voxel_mm)
    farthest = max(ratios.max(), 1 / ratios.min())
    if farthest > FARTHEST:
        raise ValueError(
            f"a network trained on voxels of {text.sides(voxel_mm)} takes sides up to {FARTHEST:g} "
            f"times as long or short, got {text.sides(grid.voxel_mm)}; reconstruct the image with "
            "voxels nearer to these, or train a network on such images"
        )
    return farthest


def check_rule(said):
    """Refuses a network trained on values of another scale."""
    if said != {"rule": RULE, "ct_hu": CT_HU}:
        raise ValueError(
            f"a network takes images on the scale that it was trained on, {said}, and this version "
            f"of Countless scales by {RULE}, with CT / {CT_HU:g} HU; train it again"
        )


def check_ct(ct):
    """Refuses an image (x, y, z) that is no CT in HU.

    Raises:
        ValueError: NaN, or values that do not differ as those of air and tissue do.
    """
    check_finite(ct, "a CT")
    if np.ptp(ct) < _LEAST_RANGE_HU:
        raise ValueError(
            f"a CT takes Hounsfield units, got {ct.min():g} to {ct.max():g}; give the CT itself "
            "and no mu map"
        )


def _ct_on(ct, grid, onto):
    """The CT on the network's voxels, air where it ends, and sentences on what it lacks."""
    check_ct(ct)
    if grid == onto:
        return ct, []
    notes = ["the CT is on other voxels: it was resampled to the image's"]
    for axis, part in enumerate(coverage(grid, onto)):
        missing = (part.size - part.sum()) * onto.voxel_mm[axis]
        if part.max() <= 0:
            raise ValueError(
                f"the CT and the image do not overlap along {'xyz'[axis]}; check that they are of "
                "one patient in one frame of reference"
            )
        if missing > onto.voxel_mm[axis]:
            notes.append(
                f"the CT does not cover {missing:.4g} mm of the image along {'xyz'[axis]}: taken "
                "as air there"
            )
    return resample(ct - np.float32(AIR_HU), grid, onto) + np.float32(AIR_HU), notes
