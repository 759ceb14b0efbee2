"""Plug-and-play: any function that denoises images, in place of a prior.

Venkatakrishnan, Bouman & Wohlberg, GlobalSIP 2013; the pull towards the denoised image is that of
Romano, Elad & Milanfar (regularisation by denoising), SIAM J. Imaging Sciences 10(4), 2017.
"""

import itertools

import numpy as np

from recon import backend
from recon.algorithms.penalized import Diverged, first_image
from recon.algorithms.priors import kappa
from recon.algorithms.variance_reduced import svrg

MOST = 10.0  # times what was counted, that an image explains before it is taken to have blown up


class Pull:
    """A prior: strength / 2 * sum of kappa_j^2 (f_j - target_j)^2.

    Args:
        strength: beta, 0 or more; with 1 it weighs as much as the scan.
        kappa: weights (x, y, z), see `recon.algorithms.kappa`.
    Attributes:
        target: image (x, y, z), to be set before use, and anew as it moves.
    Raises:
        ValueError: the strength is negative, NaN or infinite.
    """

    def __init__(self, strength, kappa):
        if not 0 <= strength < np.inf:
            raise ValueError(f"strength takes a number of 0 or more, got {strength:g}")
        self.strength, self.target = float(strength), None
        self._second = np.float32(strength) * kappa**2

    def gradient(self, image):
        """Its derivatives by each voxel, float32 (x, y, z)."""
        return self._second * (image - self.target)

    def curvature(self, image):
        """Its second derivatives by each voxel, float32 (x, y, z), the same of any image."""
        return self._second

    def descent(self, image):
        """Its gradient and its curvature."""
        return self.gradient(image), self._second


def plug_and_play(data, denoise, start=None, *, strength):
    """Yields the image after each update, pulled towards what a denoiser makes of it.

    Each pass denoises its first image once, D(x), and takes the steps of `svrg` with a `Pull`
    towards that. Where this settles, strength kappa^2 (x - D(x)) and the gradient of -log
    likelihood add up to 0 wherever there is activity, and no update moves the image any more. It
    settles with denoisers that bring images closer together, as linear smoothing does; with
    networks it may not, so watch how much a pass changes.

    Args:
        data: Subsets.
        denoise: function of an image, NumPy (x, y, z) float32, in the unit of the reconstruction,
            to an image of the same shape.
        start: first image (x, y, z), not negative; one pass of OSEM by default. The weights `kappa`
            are taken there.
        strength: of the pull, without a unit, the same for any dose; 0 is maximum likelihood, and
            the larger, the nearer the image is to what the denoiser makes of it.
    Yields:
        The image (x, y, z), float32, where the data live: the same array each time, so copy what
        you keep.
    Raises:
        ValueError: a strength that is none, or a denoiser that returns another shape, or NaN.
        Diverged: the image blows up, as with a denoiser that makes images ever larger.
    """
    image = first_image(data, start)
    pull = Pull(strength, kappa(data, image))
    seen = sum(data.sensitivity(k) for k in range(data.number))
    most = MOST * max(data.model.totals(data.all_prompts)[0], _counts(seen, image))
    # Longer steps would go past the target: a pull is exactly as steep as it says.
    images = svrg(data, pull, image, steps=(1.0,))
    while True:
        pull.target = _denoised(denoise, image)
        for image in itertools.islice(images, data.number):
            if not _counts(seen, image) <= most:  # NaN, too
                raise Diverged(
                    f"plug-and-play takes a denoiser that keeps the activity, and with strength "
                    f"{strength:g} the image explains more than {MOST:g} times what was counted; "
                    "take less strength, or another denoiser"
                )
            yield image


def _counts(seen, image):
    """Counts that are expected of an image, less the background."""
    return float((seen * image).sum(dtype=np.float64))


def _denoised(denoise, image):
    """What the denoiser makes of a copy of the image, float32 where the image lives."""
    found = np.asarray(denoise(np.array(backend.to_device(image, "cpu"))))
    if found.shape != image.shape:
        raise ValueError(
            f"plug-and-play takes a denoiser that returns an image of shape {image.shape} like its "
            f"input, got {found.shape}"
        )
    if not np.isfinite(found).all():
        raise ValueError(
            "plug-and-play takes a denoiser that returns finite values, got NaN or infinite ones"
        )
    found = np.ascontiguousarray(found, np.float32)
    return backend.to_device(found, "cuda" if backend.is_cuda(image) else "cpu")
