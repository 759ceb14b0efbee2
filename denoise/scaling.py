"""The one rule by which images are scaled for a network, measured from the image alone.

An image is divided by its `level`, the activity of common tissue: the median inside the body after
smoothing. Neither a full bladder nor a hot lesion moves it, as they would a maximum or a mean, nor
does the dose. What the network is told beside the image is its `noise`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from recon.operators import gaussian_weights

SMOOTH_MM = 20.0  # FWHM: little noise is left at 1/50 of the dose, and organs are
EDGE = 0.25  # of the median inside: where the body ends
ISLAND = 0.02  # of the largest part's volume: arms count as body, clots of noise do not
FINE_MM, COARSE_MM = 8.0, 16.0  # FWHM of the two Gaussians between which noise is measured
# What checkpoints call the rule: with other numbers it is another one.
RULE = (
    f"median inside the body of the image smoothed by {SMOOTH_MM:g} mm, the body above {EDGE:g} of "
    f"it; noise between {FINE_MM:g} and {COARSE_MM:g} mm"
)
_DARK = 1e-4  # of the largest value: what is darker is air without a further look
_MEDIAN = 0.6744897501960817  # of the absolute value of a normal variable of sigma 1


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How an image's numbers become those a network sees.

    Attributes:
        level: what 1 stands for, in the image's unit.
        noise: relative standard deviation in the body at a resolution of 8 mm FWHM, about one over
            the root of the dose: 0.014 of people in 4 minutes on the demo scanner, 0.025 at 1/4 and
            0.055 at 1/20 of that dose. 0 without noise or detail.
    """

    level: float
    noise: float


def measure(image, voxel_mm):
    """The Scaling of an image.

    Noise is what varies along x, y and z at once, between Gaussians of 8 and 16 mm along each,
    which the surfaces of organs hardly do. Its robust spread, relative to the smoothed image, is
    divided by what white noise would leave there.

    Args:
        image: (x, y, z), of activity in any unit.
        voxel_mm: sides of a voxel.
    Returns:
        Scaling. Between voxels of 2 and 6 mm the noise of one scan differs by 1 % where it is
        white, and by a quarter where it is correlated over 6 mm.
    Raises:
        ValueError: a value is NaN or infinite, or none is positive.
    Source: median of the finest details: Donoho & Johnstone, Biometrika 81(3), 1994.
    """
    smooth, inside = _smooth_and_body(image, voxel_mm)
    detail, left = np.asarray(image, np.float32), 1.0
    for axis, side in enumerate(voxel_mm):
        if detail.shape[axis] > 1:
            fine, coarse = (gaussian_weights(fwhm / side) for fwhm in (FINE_MM, COARSE_MM))
            band = np.pad(fine, (len(coarse) - len(fine)) // 2) - coarse
            detail = ndimage.correlate1d(detail, band, axis=axis, mode="reflect")
            left *= np.sqrt(np.sum(band**2) / np.sum(fine**2))
    spread = np.median(np.abs(detail[inside]) / smooth[inside]) / _MEDIAN
    return Scaling(level=float(np.median(smooth[inside])), noise=float(spread / left))


def body(image, voxel_mm):
    """Where the body is: voxels whose smoothed value is above a quarter of the median inside.

    The search begins between air and tissue as Otsu finds them among logarithms, where the hottest
    organs weigh little. Parts below 2 % of the largest are left out, and holes are filled.

    Args:
        image, voxel_mm: as for `measure`.
    Returns:
        (x, y, z) bool.
    Raises:
        ValueError: as for `measure`.
    Source: Otsu, IEEE Trans. Syst. Man Cybern. 9(1), 1979.
    """
    return _smooth_and_body(image, voxel_mm)[1]


def check_finite(image, what="an image"):
    """Refuses an image with NaN or infinite values.

    Args:
        image: (x, y, z).
        what: it is, for the message.
    Raises:
        ValueError: with how many there are, and where the first is.
    """
    bad = ~np.isfinite(image)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{what} takes finite numbers, got {np.count_nonzero(bad)} that are not, the first "
            f"{image[place]} at voxel {place}; make it again, or set them to 0 if they lie "
            "outside the body"
        )


def _smooth_and_body(image, voxel_mm):
    check_finite(image)
    smooth = np.asarray(image, np.float32)
    for axis, side in enumerate(voxel_mm):
        weights = gaussian_weights(SMOOTH_MM / side)
        smooth = ndimage.correlate1d(smooth, weights, axis=axis, mode="reflect")
    if not smooth.max() > 0:
        raise ValueError(
            f"an image takes activity, got none above 0 in {image.shape} voxels; check that it is "
            "a PET image"
        )
    threshold, inside = _air(smooth), None
    while inside is None or not np.array_equal(smooth > threshold, inside):
        inside = smooth > threshold  # grows or shrinks from one turn to the next, never both
        threshold = EDGE * np.median(smooth[inside])
    parts, count = ndimage.label(inside)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return smooth, ndimage.binary_fill_holes((sizes >= ISLAND * sizes.max())[parts])


def _air(smooth):
    """The threshold between dark and bright that leaves least variance of logarithms in the two."""
    counts, edges = np.histogram(np.log(smooth[smooth > _DARK * smooth.max()]), bins=256)
    sums = np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)
    below = np.cumsum(counts)
    above = below[-1] - below
    weight = below * above
    # Between the two, n1 n2 (m1 - m2)^2 = (n S1 - n1 S)^2 / (n1 n2), largest where that is best.
    between = (below[-1] * sums - below * sums[-1]) ** 2
    between = np.divide(between, weight, out=np.zeros_like(between), where=weight > 0)
    return np.exp(edges[1 + np.argmax(between)])
