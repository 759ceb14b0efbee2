"""What a reader of PET measures: SUVs of organs and lesions, contrast, noise, spots that are none.

A standardized uptake value is Bq/mL times a constant of the patient (`recon.corrections.
calibration`), which is the same for an image and its truth: biases here, relative to the truth,
are those of SUVs.
"""

import numpy as np
from scipy import ndimage, signal

from benchmarks.image_metrics import around
from recon.grid import Grid
from sim import shapes

PEAK_ML = 1.0
SPOT_MM = 10.0  # a spot is where the mean over 1 mL is greatest as far as this
SPOT_RISE = 1.0  # times the body's mean: about an SUV of 1
LOST = 0.25  # of a lesion's contrast over 1 mL
_ACROSS = 9  # points along each side of a voxel by which a ball's share of it is counted


def ball(volume_ml, voxel_mm):
    """Weights of a ball of a volume about a voxel's middle, (x, y, z) with odd sides, sum 1."""
    radius = (3000 * volume_ml / (4 * np.pi)) ** (1 / 3)
    shape = [2 * int(np.ceil(radius / side)) + 1 for side in voxel_mm]
    grid = Grid.centred(shape=shape, voxel_mm=voxel_mm)
    (inside,) = shapes.paint([shapes.ball((0, 0, 0), 2 * radius)], [[1.0]], grid, samples=_ACROSS)
    return inside / inside.sum(dtype=float)


def means_over(weights, image):
    """Weighted means about each voxel, float64; what lies outside the image counts as zero."""
    return signal.fftconvolve(image.astype(float), weights, mode="same")


def suv(image, mask, weights):
    """Mean, maximum and peak of an image in a mask.

    The peak is the greatest mean over 1 mL about a voxel of the mask: Wahl et al., "From RECIST to
    PERCIST", J. Nucl. Med. 50, suppl. 1, 122S-150S, 2009.

    Args:
        weights: of `ball`.
    """
    box = around(mask, max(weights.shape) // 2)
    values = image[mask]
    return {
        "mean": float(values.mean(dtype=float)),
        "max": float(values.max()),
        "peak": float(means_over(weights, image[box])[mask[box]].max()),
    }


def lesion_biases(image, regions):
    """What became of each lesion, a list of dict.

    `suvmean`, `suvmax` and `suvpeak` are relative errors. `recovery` is the contrast recovery of
    the lesion's mean, `peak_recovery` that of its peak; None without a background.
    """
    weights = ball(PEAK_ML, regions.voxel_mm)
    found = []
    for lesion in regions.lesions:
        measured, true = (suv(array, lesion.mask, weights) for array in (image, regions.truth))
        row = {"name": lesion.name, "diameter_mm": lesion.diameter_mm}
        row |= {f"suv{kind}": measured[kind] / true[kind] - 1 for kind in true}
        row |= {"recovery": None, "peak_recovery": None}
        if lesion.background is not None:
            backgrounds = [array[lesion.background].mean(dtype=float)
                           for array in (image, regions.truth)]
            for name, kind in (("recovery", "mean"), ("peak_recovery", "peak")):
                row[name] = contrast_recovery(measured[kind], backgrounds[0], true[kind],
                                              backgrounds[1])
        found.append(row)
    return found


def contrast_recovery(hot, background, true_hot, true_background):
    """Contrast over the true contrast; None where a background is not positive or there is none.

    Source: NEMA NU 2-2018, section 7: Q_H = (C_H / C_B - 1) / (a_H / a_B - 1).
    """
    if background <= 0 or true_background <= 0 or true_hot == true_background:
        return None
    return float((hot / background - 1) / (true_hot / true_background - 1))


def organ_biases(image, regions):
    """Relative error of the mean of each organ, a dict."""
    return {
        name: float(image[mask].mean(dtype=float) / regions.truth[mask].mean(dtype=float) - 1)
        for name, mask in regions.organs.items()
    }


def coefficient_of_variation(image, regions):
    """Standard deviation over mean of the image in the uniform organ, less its true pattern.

    The image is divided by the truth there first, so that the organ's own texture is no noise. None
    without such an organ, and where its mean is not positive.
    """
    if regions.inside is None:
        return None
    values = image[regions.inside] / regions.truth[regions.inside].astype(float)
    return float(values.std() / values.mean()) if values.mean() > 0 else None


def false_spots(image, regions):
    """How many spots in the body are none: invention, counted without knowing where to look.

    A spot is where the mean over 1 mL is greatest within SPOT_MM. It is none where that lies by
    SPOT_RISE of the body's mean activity above all true means over 1 mL within SPOT_MM.
    """
    weights = ball(PEAK_ML, regions.voxel_mm)
    box = around(regions.body, max(weights.shape) // 2)
    found, true = (means_over(weights, array[box]) for array in (image, regions.truth))
    near = ball(4 / 3 * np.pi * SPOT_MM**3 / 1000, regions.voxel_mm) > 0
    rise = SPOT_RISE * float(regions.truth[regions.body].mean(dtype=float))
    false = (found == ndimage.maximum_filter(found, footprint=near)) & regions.body[box]
    false &= found > ndimage.maximum_filter(true, footprint=near) + rise
    return int(np.count_nonzero(false))


def lost_lesions(lesions):
    """How many lesions keep less than LOST of their peak's contrast; None where none has one.

    Args:
        lesions: of `lesion_biases`.
    """
    recoveries = [row["peak_recovery"] for row in lesions if row["peak_recovery"] is not None]
    return sum(one < LOST for one in recoveries) if recoveries else None
