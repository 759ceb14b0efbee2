"""What a network is trained to make small, term by term."""

import torch
from torch.nn import functional

WINDOW = 7  # voxels along each side, as scikit-image's
DATA_RANGE = 10.0  # levels of common tissue, as the evaluation's: an SUV of about 10
_CONTENT = {"l2": functional.mse_loss, "l1": functional.l1_loss}


def terms(recipe, found, batch, discriminator):
    """Terms of the loss of a batch, each without its weight.

    The generator's term moves the generator alone and the discriminator's the discriminator alone,
    so one backward pass of their sum gives each its own gradient.

    Args:
        recipe: Recipe, whose `terms` are those that are found.
        found: (n, 1, x, y, z), the network's output.
        batch: of `denoise.pairs.Patches`.
        discriminator: Discriminator, None where the recipe has no adversarial term.
    Returns:
        dict of scalar tensors, in the order of `recipe.terms`.
    Source: least squares: Mao et al., ICCV 2017, with the targets 0, 1 and 1 of a, b and c.
    """
    low, noise, target = batch["x"][:, :1], batch["noise"], batch["target"]
    told = {"loss": _CONTENT[recipe.loss](found, target)}
    if recipe.structural:
        told["structural"] = 1 - ssim(found, target)
    if recipe.adversarial:
        discriminator.requires_grad_(False)
        told["adversarial"] = _least_squares(discriminator(low, found, noise), 1.0)
        discriminator.requires_grad_(True)
        real, made = (discriminator(low, image, noise) for image in (target, found.detach()))
        told["discriminator"] = _least_squares(real, 1.0) + _least_squares(made, 0.0)
    return told


def _least_squares(scores, wanted):
    return 0.5 * (scores.float() - wanted).square().mean()


def ssim(image, target):
    """Mean structural similarity of scaled patches, in cubes of WINDOW that lie inside.

    Its range is DATA_RANGE: what is structure then has a standard deviation of 0.3 levels or more
    in a cube, as the edges of organs and lesions have, and noise of the standard dose has not.

    Args:
        image, target: (n, 1, x, y, z), float32; along an axis that is shorter the window is too.
    Returns:
        Scalar.
    Source: Wang, Bovik, Sheikh & Simoncelli, IEEE TIP 13(4), 2004, with K1 0.01 and K2 0.03.
    """
    window = [min(WINDOW, size) for size in image.shape[2:]]

    def mean(values):
        return functional.avg_pool3d(values, window, stride=1)

    luminance, contrast = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2
    a, b = mean(image), mean(target)
    variances = mean(image * image) - a * a + mean(target * target) - b * b
    covariance = mean(image * target) - a * b
    found = (2 * a * b + luminance) / (a * a + b * b + luminance)
    return torch.mean(found * (2 * covariance + contrast) / (variances + contrast))
