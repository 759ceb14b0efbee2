"""The weighted score of the Ultra-Low Dose PET Imaging challenge, as far as our labels allow.

    score = 0.5 (0.4 PSNR + 0.2 SSIM - 0.4 NRMSE) - 0.5 MAPE

against the standard-dose image, with MAPE the weighted errors in per cent of SUVmean (0.2), SUVmax
(0.2), total lesion metabolism (0.15), local PSNR (0.15) and six radiomic features (0.05 each), over
the ten terms, averaged over liver, heart and both kidneys: the organisers' evaluation code. There
PSNR has the reference's maximum as its range and NRMSE the reference's range.

Left out or changed here (OMITTED): what is left of MAPE keeps its weights, so a score of ours is
higher than theirs would be and compares methods of one study alone.
"""

import numpy as np

from benchmarks.image_metrics import psnr, ssim

ORGANS = ("liver", "myocardium", "kidney")
WEIGHTS = {
    "suvmean": 0.2, "suvmax": 0.2, "total lesion metabolism": 0.15,
    "root mean square": 0.05, "90th percentile": 0.05, "median": 0.05,
}
TERMS = 10  # that the challenge divides by
OMITTED = (
    "local PSNR, which there compares an image with its mask",
    "radiomic features GLRLM high grey level run emphasis, GLSZM zone percentage and GLCM joint "
    "average",
    "spheres inside organs, in place of which whole organs are measured, both kidneys as one, and "
    "of the heart the myocardium",
    "SSIM of images that are each divided by their own maximum, in place of which both have the "
    "reference's maximum as their range, in the body",
)


def udpet_score(image, reference, regions):
    """The score, and its terms.

    Args:
        image, reference: (x, y, z); the standard-dose image is the challenge's reference.
        regions: Regions.
    Returns:
        dict of score, psnr, ssim, nrmse (of the whole image), mape (None, and so no score, without
        any of ORGANS), and organs, the names of those that were measured.
    """
    everywhere, top = np.ones(reference.shape, bool), float(reference.max())
    error = np.sqrt(np.mean((image.astype(float) - reference) ** 2))
    found = {
        "psnr": psnr(image, reference, everywhere, top),
        "ssim": ssim(image, reference, regions.body, top),
        "nrmse": float(error / (top - float(reference.min()))),
        "organs": [name for name in ORGANS if name in regions.organs],
    }
    errors = [
        sum(weight * 100 * abs(now / before - 1) for weight, now, before in zip(
            WEIGHTS.values(), *(_features(array[regions.organs[name]]) for array in
                                (image, reference)), strict=True)) / TERMS
        for name in found["organs"]
    ]
    mape = float(np.mean(errors)) if errors else None
    score = None
    if errors:
        overall = 0.4 * found["psnr"] + 0.2 * found["ssim"] - 0.4 * found["nrmse"]
        score = float(0.5 * overall - 0.5 * mape)
    return found | {"mape": mape, "score": score}


def _features(values):
    """Of an organ's voxels, in the order of WEIGHTS; metabolism is the mean times its volume."""
    values = values.astype(float)
    mean = values.mean()
    return (mean, values.max(), mean * len(values), np.sqrt(np.mean(values**2)),
            np.percentile(values, 90), np.median(values))
