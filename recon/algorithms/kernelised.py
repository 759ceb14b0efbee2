"""Kernelised EM: images made of coefficients, each voxel of those that are alike in the anatomy."""

import numpy as np

from recon import backend
from recon.acquisition import AcquisitionModel
from recon.algorithms.anatomy import checked, most_alike, window
from recon.algorithms.em import updates
from recon.operators import LinearOperator


class KernelMatrix(LinearOperator):
    """K from coefficients to images: each voxel is a mean over those most like it in the anatomy.

    K_jl = exp(-(v_j - v_l)^2 / (2 sigma^2)) of the `neighbours` voxels l around voxel j whose
    anatomy v is most like its own, itself first, then divided by their sum over l. Ties go to the
    nearest voxels, then to the first ones.

    What is kept is which voxels of the window are chosen, a bit each: 24 bytes a voxel for a reach
    of 2, less than their weights would take. These are computed anew each time, for all
    (2 reach + 1)^3 voxels, which is what an application costs, transposed or not.

    Args:
        anatomy: v, (x, y, z) in any unit, NumPy or CuPy: images live where it does.
        grid: Grid of it and of the images.
        neighbours: how many voxels, 1 to (2 reach + 1)^3, as Wang & Qi choose. 27 is what lies on a
            voxel's own side in the corner of a box, with a reach of 2: no face of a box is crossed.
        reach: voxels around, along each axis.
        sigma: difference in the anatomy's unit; by default its standard deviation over the image,
            by which Deidda et al. divide it. Less tells tissues apart that differ by little.
        distance_sigma_mm: of a Gaussian of distance by which weights are multiplied, as Deidda et
            al. do, who take the whole window; None for none, as Wang & Qi.
        threads: CPU threads.
    Raises:
        ValueError: the anatomy is not of the grid's shape or not finite, or a number cannot be.
    Source: Wang & Qi, IEEE TMI 34(1), 2015; of anatomical images Hutchcroft et al., PMB 61(18),
        2016, and Deidda et al., Inverse Problems 35(4), 2019.
    """

    def __init__(self, anatomy, grid, *, neighbours=27, reach=2, sigma=None,
                 distance_sigma_mm=None, threads=None):
        super().__init__(grid.shape, grid.shape)
        if reach < 1 or not 1 <= neighbours <= (2 * reach + 1) ** 3:
            raise ValueError(
                f"neighbours takes a number from 1 to (2 reach + 1)^3 with a reach from 1, got "
                f"{neighbours} and a reach of {reach}"
            )
        for name, width in [("sigma", sigma), ("distance_sigma_mm", distance_sigma_mm)]:
            if width is not None and not 0 < width < np.inf:
                raise ValueError(f"{name} takes a width above 0, got {width:g}")
        anatomy = checked(anatomy, grid)
        xp = backend.array_module(anatomy)
        if sigma is None:  # where the anatomy is flat, any will do
            sigma = float(anatomy.std(dtype=np.float64)) or 1.0
        offsets, lengths_mm = window(grid.voxel_mm, reach)
        near = np.ones(len(offsets))
        if distance_sigma_mm is not None:
            near = np.exp(-0.5 * (lengths_mm / distance_sigma_mm) ** 2)
        self.neighbours, self.reach, self.sigma, self.threads = neighbours, reach, sigma, threads
        self._chosen = most_alike(anatomy, offsets, neighbours, threads)
        self._feature = anatomy * np.float32(1 / (np.sqrt(2) * sigma))
        self._offsets, self._near = xp.asarray(offsets), xp.asarray(near.astype(np.float32))
        self._scale = xp.ones(grid.shape, np.float32)
        self._scale = 1 / self._apply(self._scale)

    def _apply(self, x):
        return self._launched(x, transposed=0)

    def _apply_transposed(self, y):
        return self._launched(y, transposed=1)

    def _launched(self, image, transposed):
        xp, (nx, ny, nz) = backend.array_module(image), self.in_shape
        image = xp.ascontiguousarray(image)
        out = xp.empty_like(image)
        arguments = (out, image, self._feature, self._scale, self._chosen, self._offsets,
                     self._near, len(self._offsets), transposed, nx, ny, nz)
        backend.launch("kernelised", (nx * ny, 1), arguments, threads=self.threads)
        return out


def kem(data, kernel, start=None, *, inside=None):
    """Yields the image K alpha after each update of OSEM on the coefficients alpha, without end.

    It is OSEM with K before the model's own blur: it minimises no penalised likelihood, its noise
    grows with every update, only slower, and it is stopped early like OSEM. What the anatomy does
    not show, K blurs.

    Args:
        data: Subsets of the scan, whose model is without K.
        kernel: K, a KernelMatrix on the model's images.
        start: first coefficients, float32 (x, y, z), not negative; by default flat. Zeros stay.
        inside: where the flat start is not 0, bool (x, y, z); everywhere by default.
    Yields:
        The image (x, y, z), float32, a new array each time.
    Raises:
        ValueError: a kernel on other images, or what `osem` refuses.
    Source: Wang & Qi, IEEE TMI 34(1), 2015.
    """
    model = data.model
    if kernel.in_shape != model.image_shape:
        raise ValueError(
            f"kem takes a kernel on images {model.image_shape} like the model, got {kernel!r}; "
            "make it on the model's grid"
        )
    blur = kernel if model.blur is None else model.blur @ kernel
    kernelised = AcquisitionModel(model.projector, blur=blur, factors=model.factors,
                                  background=model.background)
    for coefficients in updates(data.with_model(kernelised), start=start, inside=inside):
        yield kernel(coefficients)
