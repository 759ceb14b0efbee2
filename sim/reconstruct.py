"""Images of simulated scans, made of what a scan tells, as the chain of `countless recon` does.

Randoms come from the scan's own delayeds, scatter from its own image by turns: two passes of OSEM
without scatter, an estimate, two passes with it, a second estimate, and the image is made with
that. One pass of 8 subsets leaves an image that is too flat: its scatter was 5 % too little.
Scatter is smooth, so the images that it is estimated from have voxels of 8 mm across (SCATTER_MM),
and what is multiple of it is found once.
"""

import math
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from recon import backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import osem
from recon.algorithms.subsets import divisor_nearest
from recon.corrections.attenuation import attenuate
from recon.corrections.randoms import randoms_from_delayeds
from recon.corrections.scatter import ScatterSampling
from recon.corrections.scatter_estimate import COARSER, estimate_scatter
from recon.field_of_view import image_grid, seen
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector
from recon.reconstruction import post_filter
from recon.resampling import resample

ROUNDS, PASSES = 2, 2  # estimates of scatter, and of OSEM before each
SCATTER_MM = 8.0
SAMPLING = ScatterSampling(step_mm=SCATTER_MM)  # 2e-4 (RMS) off what half the step makes


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """How an image is made.

    Attributes:
        voxel_mm: side of a voxel across the axis; they cover what the scanner sees.
        plane_mm: its side along the axis; None for half a ring spacing, as `countless recon` takes
            it, whose projections are three to four times as fast as others.
        iterations, subsets: passes of OSEM, and subsets of the views, which divide their number.
        psf_mm: FWHM of the image-space point spread function in the model; 0 for none.
        post_filter_mm: FWHM of a Gaussian over the image; 0 for none.
    """

    voxel_mm: float = 4.0
    plane_mm: float | None = None
    iterations: int = 3
    subsets: int = 8
    psf_mm: float = 6.0
    post_filter_mm: float = 5.0

    def __post_init__(self):
        for name, least in (("iterations", 1), ("subsets", 1), ("psf_mm", 0),
                            ("post_filter_mm", 0)):
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise ValueError(f"reconstruction.{name} takes {least} or more, got {value:g}")
        for name in ("voxel_mm", "plane_mm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"reconstruction.{name} takes mm above 0, got {value:g}")

    def grid(self, layout):
        """The Grid of images of a layout.

        Raises:
            ValueError: voxels larger than the field of view, or subsets that do not divide the
                layout's views.
        """
        if layout.views % self.subsets:
            raise ValueError(
                f"reconstruction.subsets takes a divisor of the scan's {layout.views} views, got "
                f"{self.subsets}; the nearest is {divisor_nearest(layout.views, self.subsets)}"
            )
        plane_mm = self.plane_mm or layout.scanner.ring_spacing_mm / 2
        return image_grid(layout, voxel_mm=(self.voxel_mm, self.voxel_mm, plane_mm))[0]

    def with_(self, **changes):
        """A Reconstruction that differs in the attributes given."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Reconstructed:
    """An image, and what was estimated for it.

    Attributes:
        image: (x, y, z) float32, in Bq/mL where the efficiency makes it so.
        randoms, scatter: estimated counts.
        scatter_scale, scatter_scale_sd: that the tails gave, see `ScatterScale`.
        multiple_sd: standard error of the simulation of multiple scatter, as a fraction of all
            scatter.
        factors: what multiplied expected counts, attenuation included, (view, radial, plane).
        background: expected randoms and scatter, of the prompts' shape.
    """

    image: np.ndarray
    randoms: float
    scatter: float
    scatter_scale: float
    scatter_scale_sd: float
    multiple_sd: float
    factors: np.ndarray
    background: np.ndarray


def reconstruct(
    prompts, delayeds, efficiency, mu_per_cm, mu_grid, layout, grid, settings, *,
    delayed_layout=None, sampling=SAMPLING, threads=None, device="cpu",
):
    """The image of a noisy scan, with randoms and scatter estimated from it.

    Args:
        prompts: counts, float32 of layout.shape.
        delayeds: counts, of the delayed layout's shape.
        efficiency: what multiplies expected counts, less attenuation, (view, radial, plane).
        mu_per_cm: linear attenuation coefficients at 511 keV in 1/cm, (x, y, z) float32.
        mu_grid: its Grid.
        layout: SinogramLayout of the prompts.
        grid: Grid of the image.
        settings: Reconstruction.
        delayed_layout: SinogramLayout of the delayeds; None for the prompts'.
        sampling: ScatterSampling of the estimates.
        threads: CPU threads; the result does not depend on it.
        device: "cpu" or "cuda", where kernels run.
    Returns:
        Reconstructed.
    Raises:
        ValueError: there are no prompts, or shapes do not fit.
    """
    factors, at_random, estimate = estimated(
        prompts, delayeds, efficiency, mu_per_cm, mu_grid, layout, settings,
        delayed_layout=delayed_layout, sampling=sampling, threads=threads, device=device,
    )
    background = at_random + estimate.scatter
    images = passes(prompts, factors, background, layout, grid, settings.subsets, settings.psf_mm,
                    threads, device)
    image = next(islice(images, settings.iterations - 1, None))
    blur = _blur(grid, settings.post_filter_mm, threads)
    image = post_filter(blur, backend.array_module(image))(image)
    return Reconstructed(
        image=backend.to_device(image, "cpu"), randoms=float(at_random.sum(dtype=np.float64)),
        scatter=float(estimate.scatter.sum(dtype=np.float64)),
        scatter_scale=estimate.scale.scan, scatter_scale_sd=estimate.scale.scan_sd,
        multiple_sd=estimate.multiple.relative_sd, factors=backend.to_device(factors, "cpu"),
        background=background,
    )


def estimated(
    prompts, delayeds, efficiency, mu_per_cm, mu_grid, layout, settings, *,
    delayed_layout=None, sampling=SAMPLING, threads=None, device="cpu",
):
    """What a noisy scan says of its own model.

    Args and errors: as for `reconstruct`.
    Returns:
        Factors with attenuation, on the device, expected randoms (layout.shape), and the
        ScatterEstimate.
    """
    if not prompts.any():
        raise ValueError("reconstruct takes a scan with prompts, got none; simulate a higher dose")
    at_random = estimate_randoms(delayeds, delayed_layout or layout, layout)
    factors = backend.to_device(efficiency.copy(), device)
    attenuate(factors, backend.to_device(mu_per_cm, device), mu_grid, layout, threads=threads)
    coarse = settings.with_(voxel_mm=max(settings.voxel_mm, SCATTER_MM), plane_mm=None).grid(layout)
    mu_map = backend.to_device(resample(mu_per_cm, mu_grid, coarse), device), coarse
    first = replace(sampling, point_mm=COARSER * sampling.point_mm)
    background, multiple = at_random, True
    for number in range(ROUNDS):
        last = number == ROUNDS - 1
        images = passes(prompts, factors, background, layout, coarse, settings.subsets, 0.0,
                        threads, device)
        image = next(islice(images, PASSES - 1, None)), coarse
        estimate = estimate_scatter(prompts, efficiency, at_random, *image, *mu_map, layout,
                                    multiple=multiple, sampling=sampling if last else first,
                                    threads=threads)
        background, multiple = at_random + estimate.scatter, estimate.multiple
    return factors, at_random, estimate


def passes(prompts, factors, background, layout, grid, subsets, psf_mm, threads=None,
           device="cpu"):
    """Yields the image after each pass of OSEM, without a filter, without end.

    Args:
        prompts, layout, grid: as for `reconstruct`.
        factors, background: what multiplies expected counts, and what is added to them.
        subsets, psf_mm: as in Reconstruction.
        threads: CPU threads; the result does not depend on it.
        device: "cpu" or "cuda", where the images are made, and stay.
    Yields:
        (x, y, z) float32: the same array each time, so copy what you keep.
    """
    prompts, factors, background = (
        backend.to_device(array, device) for array in (prompts, factors, background)
    )
    model = AcquisitionModel(
        SinogramProjector(layout, grid, threads=threads), blur=_blur(grid, psf_mm, threads),
        factors=factors, background=background,
    )
    updates = osem(model, prompts, subsets=subsets, inside=seen(grid, layout))
    yield from islice(updates, subsets - 1, None, subsets)


def estimate_randoms(delayeds, layout, target):
    """Expected randoms in each bin, from noisy delayeds.

    Args:
        delayeds: counts, of layout.shape.
        layout: SinogramLayout of them.
        target: SinogramLayout of the randoms.
    Returns:
        float32 of target.shape; 0 where there are no delayeds.
    """
    if not delayeds.any():
        return np.zeros(target.shape, np.float32)
    return randoms_from_delayeds(delayeds, layout, target=target)[0]


def _blur(grid, fwhm_mm, threads):
    return GaussianBlur(grid.shape, grid.voxel_mm, fwhm_mm, threads) if fwhm_mm else None
