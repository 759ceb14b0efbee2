"""Classical denoisers, each with one strength: what a network has to be better than.

A strength is a width in mm, or in units of the image's level (`denoise.scaling`), so that it holds
for any unit of activity. All else is fixed here, and the strength is found on validation images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from recon.io.files import optional
from recon.layout import FWHM_PER_SIGMA
from recon.names import known_name

BILATERAL_MM = 12.0  # FWHM of the bilateral filter's window
CT_WIDTH_HU = 60.0  # standard deviation of the CT's weight: fat and muscle are some 150 HU apart
CT_WINDOW_HU = (-1000.0, 300.0)  # within bone, and in metal, the CT does not part tissues
PATCH, SEARCH = 3, 3  # voxels: side of non-local means' patches, and how far away they are sought
_REACH = 2.0  # standard deviations of a window's Gaussian


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A denoiser and its one strength.

    Attributes:
        function: (image, voxel_mm, scaling, **{parameter: strength}[, ct=]) -> image: (x, y, z)
            float32 in any unit, sides of a voxel in mm, its `denoise.scaling.Scaling`, and the CT
            in HU on the same voxels.
        parameter: the strength's name.
        range: least and greatest strength that is worth a try.
        takes_ct: whether it is guided by the CT.
    """

    function: Callable
    parameter: str
    range: tuple[float, float]
    takes_ct: bool = False

    def __call__(self, image, voxel_mm, scaling, strength, ct=None):
        """The denoised image at a strength."""
        more = {"ct": ct} if self.takes_ct else {}
        return self.function(image, voxel_mm, scaling, **{self.parameter: strength}, **more)


def find_baseline(name):
    """The Baseline of a name, in any case.

    Raises:
        ValueError: there is none; the message gives the nearest.
    """
    return BASELINES[known_name(name, BASELINES, "a baseline is")]


def gaussian(image, voxel_mm, scaling, *, fwhm_mm):
    """A Gaussian post-filter."""
    sigmas = fwhm_mm / FWHM_PER_SIGMA / np.array(voxel_mm)
    return ndimage.gaussian_filter(image, sigmas, mode="nearest")


def non_local_means(image, voxel_mm, scaling, *, width):
    """Means over voxels whose surroundings look alike, within `width` levels.

    Source: Buades, Coll & Morel, "A non-local algorithm for image denoising", CVPR 2005.
    """
    restoration = optional("skimage", "baselines", "non-local means").restoration
    found = restoration.denoise_nl_means(
        image / np.float32(scaling.level), patch_size=PATCH, patch_distance=SEARCH, h=width,
        fast_mode=True,
    )
    return (found * scaling.level).astype(np.float32)


def total_variation(image, voxel_mm, scaling, *, weight):
    """The image near this one whose total variation, times `weight` levels, is least.

    Source: Rudin, Osher & Fatemi, Physica D 60, 1992; Chambolle, J. Math. Imaging Vis. 20, 2004.
    """
    restoration = optional("skimage", "baselines", "total variation").restoration
    found = restoration.denoise_tv_chambolle(image / np.float32(scaling.level), weight=weight)
    return (found * scaling.level).astype(np.float32)


def bilateral(image, voxel_mm, scaling, *, width):
    """Means over near voxels (BILATERAL_MM) of like value, within `width` levels.

    Source: Tomasi & Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.
    """
    return _weighted(image, voxel_mm, BILATERAL_MM, image, width * scaling.level)


def ct_guided(image, voxel_mm, scaling, *, fwhm_mm, ct):
    """A Gaussian post-filter that does not reach over the CT's edges: a joint bilateral filter.

    Source: Petschnigg et al., "Digital photography with flash and no-flash image pairs", SIGGRAPH
        2004.
    """
    return _weighted(image, voxel_mm, fwhm_mm, np.clip(ct, *CT_WINDOW_HU), CT_WIDTH_HU)


BASELINES = {
    "gaussian": Baseline(function=gaussian, parameter="fwhm_mm", range=(1.0, 30.0)),
    "nlm": Baseline(function=non_local_means, parameter="width", range=(0.02, 5.0)),
    "bilateral": Baseline(function=bilateral, parameter="width", range=(0.1, 20.0)),
    "tv": Baseline(function=total_variation, parameter="weight", range=(0.02, 4.0)),
    "ct-guided": Baseline(function=ct_guided, parameter="fwhm_mm", range=(2.0, 20.0),
                          takes_ct=True),
}


def _weighted(image, voxel_mm, fwhm_mm, guide, width):
    """Means over a Gaussian window, weighted by how near the guide's values are."""
    sigmas = fwhm_mm / FWHM_PER_SIGMA / np.array(voxel_mm)
    reach = np.ceil(_REACH * sigmas).astype(int)
    around = [(int(n), int(n)) for n in reach]
    padded, guides = (np.pad(array, around, mode="edge") for array in (image, guide))
    total, weights = np.zeros((2, *image.shape), np.float32)
    for offset in np.ndindex(*(2 * reach + 1)):
        near = tuple(slice(o, o + n) for o, n in zip(offset, image.shape, strict=True))
        distance = float(np.sum(((np.array(offset) - reach) / sigmas) ** 2))
        weight = (guides[near] - guide) / np.float32(width)
        weight = np.exp(-0.5 * (weight * weight + np.float32(distance)), dtype=np.float32)
        total += weight * padded[near]
        weights += weight
    return total / weights  # a voxel counts for itself
