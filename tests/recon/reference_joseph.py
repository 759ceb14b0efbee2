"""Slow, readable float64 Joseph projector that walks one line at a time: what kernels must match.

Joseph, IEEE TMI 1(3), 1982. The image is zero outside its voxels; a line counts between its ends.
"""

import math

import numpy as np
from scipy.special import erf


def line_integral(image, grid, first, second, weight=lambda along: 1.0):
    """Integral along one line, in value * mm: a step per plane of the axis it runs along most.

    Args:
        image: (x, y, z).
        grid: Grid of the image.
        first, second: its end points, 3 values in mm.
        weight: of positions along the line, in mm from its middle, positive towards `first`.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    direction = second - first
    length = np.linalg.norm(direction)
    if length == 0:
        return 0.0
    axis = int(np.argmax(np.abs(direction)))  # the first of equals
    part = (grid.centres(axis) - first[axis]) / direction[axis]
    part = part[(part >= 0) & (part <= 1)]
    points = first + part[:, None] * direction
    values = bilinear(image, grid, points, axis) * weight((0.5 - part) * length)
    return values.sum() * length * grid.voxel_mm[axis] / abs(direction[axis])


def bilinear(image, grid, points, axis):
    """The image at points (n, 3) in planes of `axis`, interpolated along the other two axes."""
    index = (points - grid.origin_mm) / grid.voxel_mm
    low = np.floor(index).astype(int)
    far = index - low
    low[:, axis], far[:, axis] = np.rint(index[:, axis]), 0.0
    total = np.zeros(len(points))
    b, c = (other for other in range(3) if other != axis)
    for step_b, step_c in ((0, 0), (0, 1), (1, 0), (1, 1)):
        voxel = low.copy()
        voxel[:, b] += step_b
        voxel[:, c] += step_c
        inside = np.all((voxel >= 0) & (voxel < image.shape), axis=1)
        share_b = far[:, b] if step_b else 1 - far[:, b]
        share_c = far[:, c] if step_c else 1 - far[:, c]
        total[inside] += (share_b * share_c)[inside] * image[tuple(voxel[inside].T)]
    return total


def ray_integrals(image, layout, grid, view, radial, sigmas=3.0):
    """All bins of one view and radial bin, (plane,) or (tof, plane), in value * mm.

    Steps follow x or y, whichever the ray runs along more (x at 45 degrees). Where a step of a
    segment advances by more than a voxel along z it is cut into n equal parts, which keep the
    step's place in the transaxial plane.
    """
    # Kernels take rays in float32, which decides at 45 degrees.
    cos, sin, s, half = layout.rays()[view, radial].astype(np.float32).astype(float)
    if half == 0:
        return np.zeros(layout.shape[2:])
    axis = 0 if abs(sin) >= abs(cos) else 1
    centres = grid.centres(axis)
    a = (centres - s * cos) / sin if axis == 0 else (s * sin - centres) / cos
    step = abs(grid.voxel_mm[axis] / (sin if axis == 0 else cos))
    a = a[np.abs(a) <= half]
    rows = [_row(image, grid, s * cos + ai * sin, s * sin - ai * cos, axis) for ai in a]
    out = np.zeros((layout.tof_bins, layout.planes))
    table = layout.segment_table()
    for segment, plane, (z0, spacing, axial) in zip(
        layout.segments, layout.first_planes(), table, strict=True
    ):
        slope = axial / (2 * half)
        slant = math.hypot(1, slope)
        n = max(1, math.ceil(abs(slope) * step / grid.voxel_mm[2] - 1e-3))
        middle = z0 + spacing * np.arange(segment.planes)
        for ai, row in zip(a, rows, strict=True):
            for k in range(n):
                here = ai + ((k + 0.5) / n - 0.5) * step
                z = (middle - here * slope - grid.origin_mm[2]) / grid.voxel_mm[2]
                value = step * slant / n * np.interp(z, np.arange(-1, len(row) - 1), row)
                for bin_ in range(layout.tof_bins):
                    share = tof_share(layout, bin_, here * slant, sigmas) if layout.tof else 1.0
                    out[bin_, plane : plane + segment.planes] += share * value
    return out if layout.tof else out[0]


def _row(image, grid, x, y, axis):
    """The image along z at (x, y) in a plane of `axis`, with a zero before and after."""
    i, j = (x - grid.origin_mm[0]) / grid.voxel_mm[0], (y - grid.origin_mm[1]) / grid.voxel_mm[1]
    planes = image[round(i)] if axis == 0 else image[:, round(j)]
    across = j if axis == 0 else i
    below = math.floor(across)
    row = np.zeros(image.shape[2] + 2)
    for index, share in ((below, 1 - across + below), (below + 1, across - below)):
        if 0 <= index < len(planes):
            row[1:-1] += share * planes[index]
    return row


def tof_share(layout, bin_, along, sigmas=3.0):
    """How likely an annihilation `along` mm from the middle, towards the first point, is in a bin.

    The Gaussian timing error is cut at `sigmas`, renormalised, and integrated over the bin.
    """
    scale = layout.tof_sigma_mm * math.sqrt(2)
    low, high = layout.tof_edges_mm[bin_ : bin_ + 2]
    reach = sigmas * layout.tof_sigma_mm

    def integral(edge):
        away = np.clip(edge - np.asarray(along, float), -reach, reach) / scale
        return erf(away) / (2 * erf(sigmas / math.sqrt(2)))

    return integral(high) - integral(low)
