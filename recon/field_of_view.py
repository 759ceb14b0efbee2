"""Which voxels to reconstruct."""

from dataclasses import replace

import numpy as np

from recon.grid import Grid
from recon.io import like


def image_grid(layout, patient_position="HFS", *, voxel_mm=None, grid_like=None):
    """The Grid to reconstruct on.

    By default z voxels are half a ring spacing and reach from the first ring to the last; those
    across are near that, rounded to 0.5 mm, and cover all radial bins; one is on the axis.

    Args:
        layout: SinogramLayout.
        patient_position: of the scan.
        voxel_mm: sides of a voxel instead, for the same field of view.
        grid_like: an image, whose grid to take.
    Returns:
        Grid, and the frame that makes `recon.io.write_image` index like that image, or None.
    Raises:
        ValueError: both are given, or a side is not positive.
        FileError: the image cannot be used.
    """
    if voxel_mm is not None and grid_like is not None:
        raise ValueError("--voxel-mm and --grid-like both set the voxels; give one of them")
    if grid_like is not None:
        grid, frame = like(grid_like, patient_position)
        return replace(grid, patient_position=patient_position), frame
    half = layout.scanner.ring_spacing_mm / 2
    across = max(round(2 * half), 1) / 2
    voxel_mm = voxel_mm or (across, across, half)
    if not all(0 < side < np.inf for side in voxel_mm):
        raise ValueError(f"--voxel-mm takes three sides above 0 mm, got {voxel_mm}")
    check_sizes(layout, "--voxel-mm", voxel_mm)
    diameter = 2 * radius_mm(layout)
    length = (2 * layout.scanner.rings - 1) * half
    field = (max(diameter, voxel_mm[0]), max(diameter, voxel_mm[1]), length)
    shape = [_odd(side / voxel) for side, voxel in zip(field, voxel_mm, strict=True)]
    return Grid.centred(shape=shape, voxel_mm=voxel_mm, patient_position=patient_position), None


def radius_mm(layout):
    """How far from the scanner's axis the radial bins reach."""
    return float(np.abs(layout.rays()[..., 2]).max())


def seen(grid, layout):
    """Where an image can hold activity, (x, y, 1) bool.

    That is what the radial bins see of a circle as wide as the grid's longer side: activity beyond
    is not in the image's model, and in a square's corners it would gather.

    Args:
        grid: Grid of the image.
        layout: SinogramLayout.
    """
    return grid.cylinder() & grid.cylinder(radius_mm(layout))


def check_sizes(layout, flag, sizes_mm):
    """Refuses voxels and widths larger than the field of view.

    Raises:
        ValueError: with the flag that set them.
    """
    field = max(2 * radius_mm(layout), layout.scanner.rings * layout.scanner.ring_spacing_mm)
    if max(sizes_mm) > field:
        raise ValueError(
            f"{flag} takes up to {field:.4g} mm, the size of the scanner's field of view, got "
            f"{', '.join(f'{size:g}' for size in sizes_mm)}; give mm"
        )


def same_place(grid, other):
    """Whether two Grids have the same voxels, to a hundredth of one."""
    if grid.shape != other.shape:
        return False
    tolerance = min(other.voxel_mm) / 100
    ends = [np.array(g.extent).ravel() for g in (grid, other)]
    return np.allclose(*ends, rtol=0, atol=tolerance)


def _odd(number):
    """The least odd whole number that is not smaller, rounding errors aside."""
    return 2 * max(0, int(np.ceil((number - 1) / 2 - 1e-6))) + 1
