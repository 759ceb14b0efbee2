"""Unrolled networks of a recipe or a checkpoint, and what they are given of a scan."""

from dataclasses import dataclass

import numpy as np

from denoise.channels import CT_HU
from denoise.networks import network
from denoise.scaling import Scaling, body, measure
from recon import backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import Subsets
from recon.algorithms.penalized import first_image
from recon.field_of_view import seen
from recon.learned import Layers, Unrolled
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector

AROUND_MM = 24.0  # beyond the body, that networks see


def made(said, name, arguments, *, recompute=False):
    """A network that is not yet trained: a denoiser's, or an Unrolled of such.

    Args:
        said: dict of kind, blocks, updates and shared of an Unrolled; None for a denoiser's.
        name, arguments: of the networks (`denoise.networks.network`).
        recompute: as `Unrolled` takes it.
    Raises:
        ValueError: a setting does not fit.
    """
    if said is None:
        return network(name, arguments)
    count = 1 if said["shared"] else said["blocks"]
    return Unrolled([network(name, arguments) for _ in range(count)], kind=said["kind"],
                    blocks=said["blocks"], updates=said["updates"], recompute=recompute)


def subsets_of(scan, number, device="cpu"):
    """Subsets of a `sim.dataset.Scan`, on a device."""
    blur = GaussianBlur(scan.grid.shape, scan.grid.voxel_mm, scan.psf_mm) if scan.psf_mm else None
    prompts, factors, background = (
        backend.to_device(array, device) for array in (scan.prompts, scan.factors, scan.background)
    )
    model = AcquisitionModel(SinogramProjector(scan.layout, scan.grid), blur=blur, factors=factors,
                             background=background)
    return Subsets(model, prompts, number)


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What is found in a scan's first image.

    Attributes:
        scaling: Scaling.
        box: list of three (first, last + 1): the voxels that networks see.
    """

    scaling: Scaling
    box: list

    @classmethod
    def of(cls, start, voxel_mm):
        """Of a first image (x, y, z).

        Raises:
            ValueError: it has no activity.
        """
        inside, box = body(start, voxel_mm), []
        for axis, side in enumerate(voxel_mm):
            others = tuple({0, 1, 2} - {axis})
            there = np.flatnonzero(inside.any(axis=others))
            margin = int(np.ceil(AROUND_MM / side))
            box.append([max(int(there[0]) - margin, 0),
                        min(int(there[-1]) + 1 + margin, start.shape[axis])])
        return cls(scaling=measure(start, voxel_mm), box=box)


def first(data):
    """The first image of Subsets: one pass of OSEM, on their device."""
    return first_image(data, **inside(data))


def inside(data):
    """Where the first image is not 0, as `recon.algorithms.em.updates` takes it."""
    grid, layout = data.model.projector.grid, data.model.projector.layout
    return {"inside": data.xp.asarray(np.broadcast_to(seen(grid, layout), grid.shape))}


def layers(data, start=None, beginning=None, ct=None):
    """The Layers of a scan, and the Beginning that they are scaled by.

    Args:
        data: Subsets.
        start: of `first`, where it is known.
        beginning: Beginning, where it is known.
        ct: (x, y, z) in HU on the images' grid, for networks that see it.
    """
    start = first(data) if start is None else start
    if beginning is None:
        voxel_mm = data.model.projector.grid.voxel_mm
        beginning = Beginning.of(backend.to_device(start, "cpu"), voxel_mm)
    beside = None if ct is None else np.asarray(ct, np.float32)[None] / np.float32(CT_HU)
    return Layers(
        data, start, level=beginning.scaling.level, noise=beginning.scaling.noise,
        box=tuple(slice(*part) for part in beginning.box), beside=beside,
    ), beginning
