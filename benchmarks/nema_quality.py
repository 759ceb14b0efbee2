"""Contrast recovery and background variability of the NEMA image quality phantom.

    Q_H = (C_H / C_B - 1) / (a_H / a_B - 1)    hot spheres
    Q_C = 1 - C_C / C_B                        cold spheres
    N   = standard deviation of C_B over its 60 discs / C_B
    R   = C_lung / C_B                         what is left in the lung insert

C_H and C_C are means in a disc of the sphere's diameter through its middle; C_B is the mean of 60
discs of that diameter, at 12 places in five slices: that of the spheres, and 1 and 2 cm to either
side. Pixels count by the part of them that lies in the disc.

Source: NEMA NU 2-2018, section 7, as its users repeat it. The standard's figure of the 12 places
was not at hand: here they lie 15 mm and more from the phantom's edge, the spheres and the insert,
as far from each other as there is room, which lets the largest discs overlap a little.
"""

import numpy as np
from scipy import ndimage

from benchmarks.clinical_metrics import contrast_recovery

CLEAR_MM = 15.0
PLACES = 12
SLICES_MM = (-20.0, -10.0, 0.0, 10.0, 20.0)
LUNG_DISC_MM = 30.0
_FINE = 10  # points along each side of a pixel


def nema_quality(image, grid, phantom):
    """What the standard asks of an image of `sim.objects.nema.nema_iq`.

    Args:
        image: (x, y, z), in any unit.
        grid: Grid, in the phantom's coordinates.
        phantom: the Phantom.
    Returns:
        dict of spheres, a list of dict (diameter_mm, recovery, variability), and lung_residual;
        recovery is None where the image's background is not positive.
    Raises:
        ValueError: the images do not hold the five slices.
    """
    slices = [grid.nearest(2, mm) for mm in SLICES_MM]
    if len(set(slices)) < len(slices):
        raise ValueError(
            f"nema_quality takes an image with slices at {SLICES_MM} mm, got voxels of "
            f"{grid.voxel_mm[2]:g} mm from {grid.extent[2][0]:g} to {grid.extent[2][1]:g} mm; "
            "place the phantom's spheres in the scanner's middle"
        )
    places, (true_background,) = background_places(phantom), {
        region.activity_bq_ml for region in phantom.find("background")
    }
    found = []
    for region in phantom.lesions:
        low, high = np.array(region.solid.extent).T
        diameter, middle = float(high[0] - low[0]), (low + high) / 2
        values = [_mean(image[:, :, k], grid, place, diameter) for k in slices for place in places]
        background = np.mean(values)
        at = grid.nearest(2, middle[2])
        sphere = _mean(image[:, :, at], grid, middle[:2], diameter)
        found.append({
            "diameter_mm": round(diameter),
            "recovery": contrast_recovery(
                sphere, background, region.activity_bq_ml, true_background),
            "variability": float(np.std(values, ddof=1) / background),
        })
    lung = np.mean([_mean(image[:, :, k], grid, (0.0, 0.0), LUNG_DISC_MM) for k in slices])
    return {"spheres": found, "lung_residual": float(lung / background)}


def background_places(phantom):
    """The middles of the background's discs, (PLACES, 2) in mm, the same for all diameters."""
    body = phantom.find("background")[0].solid
    (left, right), (front, back), _ = body.extent
    x, y = np.arange(left, right + 1.0), np.arange(front, back + 1.0)
    inside = body.contains(*np.ix_(x, y, [0.0]))[:, :, 0]
    largest = max(np.ptp(region.solid.extent[0]) for region in phantom.lesions) / 2
    room = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] >= CLEAR_MM + largest
    for region in (*phantom.lesions, *phantom.find("lung insert wall")):
        ends = np.array(region.solid.extent)[:2]
        away = np.hypot(*np.ix_(x - ends[0].mean(), y - ends[1].mean()))
        room &= away >= np.ptp(ends[0]) / 2 + CLEAR_MM + largest
    points = np.stack([x[np.nonzero(room)[0]], y[np.nonzero(room)[1]]], axis=1)
    chosen = [points[0]]
    while len(chosen) < PLACES:
        nearest = np.min([np.hypot(*(points - one).T) for one in chosen], axis=0)
        chosen.append(points[nearest.argmax()])
    return np.array(chosen)


def _mean(plane, grid, middle, diameter_mm):
    """Mean of a slice (x, y) in a disc, pixels weighted by the part that lies in it."""
    fine = [
        (np.arange(n * _FINE) + 0.5) * side / _FINE + low - at
        for n, side, (low, _), at in zip(
            grid.shape, grid.voxel_mm, grid.extent, (*middle, 0.0), strict=True)
    ][:2]
    near = [np.flatnonzero(np.abs(axis) <= diameter_mm / 2) // _FINE for axis in fine]
    box = tuple(slice(part[0], part[-1] + 1) for part in near)
    x, y = (axis[part.start * _FINE : part.stop * _FINE] for axis, part in zip(fine, box,
                                                                              strict=True))
    disc = np.hypot(*np.ix_(x, y)) <= diameter_mm / 2
    weights = disc.reshape(len(x) // _FINE, _FINE, -1, _FINE).mean(axis=(1, 3))
    return float((weights * plane[box]).sum() / weights.sum())
