"""How near an image is to a reference: PSNR, SSIM and NRMSE in a mask, over a stated data range.

    NRMSE = |image - reference| / |reference|            (Euclidean norms over the mask)
    PSNR  = 10 log10(range^2 / mean((image - reference)^2))
    SSIM  = mean((2 m n + c1) (2 s_mn + c2) / ((m^2 + n^2 + c1) (s_m^2 + s_n^2 + c2)))

with means m, n, variances and covariance under a Gaussian of 1.5 voxels, cut off at 5 voxels, in
three dimensions, c1 = (0.01 range)^2 and c2 = (0.03 range)^2: Wang et al., IEEE Trans. Image
Process. 13(4), 600-612, 2004. The tests hold all three against torchmetrics and scikit-image.
torchmetrics itself sums SSIM's window in one go, 11^3 voxels, which takes some 20 times as long.

The range is never that of the image at hand: an image would then be judged by a scale of its own.
"""

import numpy as np
from scipy import ndimage

from denoise.scaling import check_finite

RANGE_IN_MEANS = 10.0  # times the reference's mean in the mask: in a whole body an SUV of about 10
SIGMA_VOXELS, REACH_VOXELS = 1.5, 5
K1, K2 = 0.01, 0.03


def default_range(reference, mask):
    """The data range of a reference: RANGE_IN_MEANS times its mean in the mask."""
    return RANGE_IN_MEANS * float(np.mean(reference[mask], dtype=float))


def compare(image, reference, mask, data_range):
    """NRMSE, PSNR in dB and SSIM of an image.

    Args:
        image, reference: (x, y, z), in the same unit.
        mask: bool (x, y, z), the voxels that count.
        data_range: in that unit, of PSNR and SSIM.
    Returns:
        dict of nrmse, psnr (infinite for equal images) and ssim.
    Raises:
        ValueError: shapes differ, the mask is empty, a value is not finite, the data range is not
            positive, or the reference is zero all over the mask.
    """
    check(image, reference, mask, data_range)
    return {
        "nrmse": nrmse(image, reference, mask),
        "psnr": psnr(image, reference, mask, data_range),
        "ssim": ssim(image, reference, mask, data_range),
    }


def check(image, reference, mask, data_range):
    """Refuses what `compare` cannot use.

    Raises:
        ValueError: with what to do.
    """
    if not np.shape(image) == np.shape(reference) == np.shape(mask):
        raise ValueError(
            f"compare takes an image, a reference and a mask of one shape, got {np.shape(image)}, "
            f"{np.shape(reference)} and {np.shape(mask)}; resample them first"
        )
    if np.ndim(image) != 3:
        raise ValueError(f"compare takes images (x, y, z), got {np.ndim(image)} dimensions")
    if mask.dtype != bool or not mask.any():
        raise ValueError("compare takes a bool mask with voxels in it, got none; give another mask")
    for name, array in (("image", image), ("reference", reference)):
        check_finite(array, f"compare's {name}")
    if not 0 < data_range < np.inf:
        raise ValueError(
            f"compare takes a positive data_range, got {data_range:g}; give the range of values "
            "that matter, such as 10 times the reference's mean"
        )
    if not reference[mask].any():
        raise ValueError("compare takes a reference that is not zero all over the mask, got one")


def nrmse(image, reference, mask):
    """Root mean square error over the reference's root mean square."""
    values = reference[mask].astype(float)
    # No norm of BLAS's, whose bits would hang on the number of threads.
    return float(np.sqrt(np.sum((image[mask] - values) ** 2) / np.sum(values**2)))


def psnr(image, reference, mask, data_range):
    """Peak signal-to-noise ratio in dB; infinite for equal images."""
    error = np.mean((image[mask] - reference[mask].astype(float)) ** 2)
    return psnr_of(error, data_range)


def psnr_of(mean_square_error, data_range):
    """PSNR in dB of a mean square error."""
    return 10 * np.log10(data_range**2 / mean_square_error) if mean_square_error else np.inf


def ssim(image, reference, mask, data_range):
    """Mean structural similarity in the mask; voxels beyond it count as its voxels' neighbours."""
    box = around(mask, REACH_VOXELS)
    return float(ssim_map(image[box], reference[box], data_range)[mask[box]].mean())


def ssim_map(image, reference, data_range):
    """SSIM of each voxel, (x, y, z) float64; at the faces the images are mirrored."""
    x, y = image.astype(float), reference.astype(float)

    def mean(array):
        return ndimage.gaussian_filter(array, SIGMA_VOXELS, radius=REACH_VOXELS)

    m, n = mean(x), mean(y)
    variances = mean(x * x) - m * m + mean(y * y) - n * n
    covariance = mean(x * y) - m * n
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    return (2 * m * n + c1) * (2 * covariance + c2) / ((m * m + n * n + c1) * (variances + c2))


def around(mask, voxels):
    """Slices of the smallest box around a mask, so many voxels wider on each side."""
    found = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(slice(max(part.start - voxels, 0), part.stop + voxels) for part in found)
