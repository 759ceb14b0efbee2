"""What a scanner is expected to count of an image: y = m (A G x) + b."""

import numpy as np

from recon import backend
from recon.operators import LinearOperator


class AcquisitionModel:
    """Expected counts y = m * (A G x) + b of an image x.

    Args:
        projector: A, from images (x, y, z) to bins: SinogramProjector or ListModeProjector.
        blur: G, image-space point spread function, an operator on images; None for none.
        factors: m, everything that multiplies: efficiency, attenuation, duration, multiplicity.
            Broadcasts against the bins; factors (view, radial, plane) serve every time-of-flight
            bin. 0 masks a bin. None for 1.
        background: b, expected randoms and scatter in counts, of the bins' full shape. None for 0.
    Raises:
        ValueError: shapes that do not fit; a background without the bins' time-of-flight axis, for
            how its counts spread over the bins is not known.
    """

    def __init__(self, projector: LinearOperator, *, blur=None, factors=None, background=None):
        if blur is not None and blur.out_shape != projector.in_shape:
            raise ValueError(
                f"the blur takes images {projector.in_shape} like the projector, got {blur!r}"
            )
        self.projector, self.blur = projector, blur
        self.factors, self.background = factors, background
        shape = projector.out_shape
        self._factors = None if factors is None else _broadcast("factors", factors, shape)
        if background is not None and background.shape != shape:
            raise ValueError(
                f"the background takes shape {shape} like the prompts, got {background.shape}"
                + ("; spread it over the time-of-flight bins first" if len(shape) == 4 else "")
            )

    @property
    def image_shape(self):
        return self.projector.in_shape

    @property
    def data_shape(self):
        return self.projector.out_shape

    def __call__(self, image):
        """Expected counts of an image, float32 of the bins' shape."""
        return self.expected_of(self.project(image))

    def expected_of(self, projection):
        """Expected counts m * projection + b, written over the projection."""
        if self._factors is not None:
            projection *= self._factors
        if self.background is not None:
            projection += self.background
        return projection

    def project(self, image):
        """A G image, without factors and background."""
        return self.projector(self._blurred(image))

    def adjoint(self, values):
        """The transpose of the linear part on bins: G^T A^T m values."""
        if self._factors is not None:
            values = values * self._factors
        return self.back(values)

    def back(self, values):
        """G^T A^T values, without the factors."""
        image = self.projector.T(values)
        return image if self.blur is None else self.blur.T(image)

    def sensitivity(self, xp=np):
        """Back projection of the factors: how much of what a voxel emits is counted, in mm.

        Args:
            xp: numpy or cupy, where the image shall live if there are no factors that say.
        Returns:
            Image (x, y, z) float32, zero outside what the scanner sees.
        """
        if self._factors is None:
            values = xp.ones(self.data_shape, np.float32)
        else:
            values = backend.array_module(self._factors).ascontiguousarray(self._factors)
        return self.back(values)

    def ratio(self, image, prompts=None):
        """m * prompts / expected, which EM back projects; 0 where nothing is expected.

        Args:
            prompts: counts of the bins' shape, or None for 1 in each (listed events).
        """
        return self.ratio_of(self.project(image), prompts)

    def ratio_of(self, projection, prompts=None):
        """The ratio of an image whose projection is known, written over the projection."""
        inputs = prompts, self._factors, self.background
        launch_on_bins("em_ratio", [projection], inputs, threads=self.projector.threads)
        return projection

    def totals(self, prompts):
        """Counts and expected background in the bins that see the image (m not 0), two floats."""
        seen = 1 if self._factors is None else self._factors > 0
        return tuple(
            0.0 if counts is None else float((counts * seen).sum(dtype=np.float64))
            for counts in (prompts, self.background)
        )

    def log_likelihood(self, image, prompts):
        """Poisson log-likelihood, sum of y log(expected) - expected, less a constant; float64.

        Bins that can count nothing (m = 0 and b = 0) are left out; -inf where counts stand in
        another bin of which none are expected.

        Raises:
            ValueError: the bins are listed events, which do not tell what was not counted.
        """
        return self.log_likelihood_of(self(image), prompts)

    def log_likelihood_of(self, expected, prompts):
        """The log-likelihood of an image of which these counts are expected; float64."""
        if len(self.data_shape) == 1:
            raise ValueError(
                "the log-likelihood takes all bins of a sinogram, got listed events; histogram them"
            )
        xp, total = backend.array_module(expected, prompts), 0.0
        for k in range(0, len(expected), 8):  # a few views at a time in float64
            e, y = expected[k : k + 8].astype(np.float64), prompts[k : k + 8].astype(np.float64)
            dead = xp.zeros(e.shape, bool)
            if self._factors is not None:
                dead = self._factors[k : k + 8] == 0
                if self.background is not None:
                    dead = dead & (self.background[k : k + 8] == 0)
            counted = (y > 0) & ~dead
            if bool((counted & (e <= 0)).any()):
                return -np.inf
            total += float(xp.sum(y[counted] * xp.log(e[counted]))) - float(xp.sum(e[~dead]))
        return total

    def subset(self, part):
        """The model of some views (sinograms) or events (list mode): a slice of the first axis."""
        background = None if self.background is None else self.background[part]
        factors = None if self._factors is None else self._factors[part]
        return AcquisitionModel(
            self.projector.subset(part), blur=self.blur, factors=factors, background=background
        )

    def _blurred(self, image):
        return image if self.blur is None else self.blur(image)


def _broadcast(name, array, shape):
    xp = backend.array_module(array)
    array = xp.asarray(array, np.float32)
    if len(shape) == 4 and array.ndim == 3:
        array = array[:, :, None]
    try:
        return xp.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"{name} of shape {array.shape} do not fit bins of shape {shape}"
        ) from None


EVENTS = 4096  # listed events that a kernel takes as one row


def launch_on_bins(kernel, bins, inputs, threads=None):
    """Runs an elementwise kernel on bins (kernels/em.cu, kernels/primal_dual.cu).

    Args:
        kernel: its name.
        bins: float32 arrays of one shape, C-contiguous; the kernel writes the first.
        inputs: arrays of that shape with any strides; None where the kernel may do without.
        threads: CPU threads.
    """
    rows, strides = zip(*map(_rows, inputs), strict=True)
    views, radial, tof, planes = _four(bins[0].shape)
    arguments = (*bins, *rows, np.int64(bins[0].size), radial, tof, planes)
    arguments += tuple(np.int64(step) for steps in strides for step in steps)
    backend.launch(kernel, (views * radial, 1), arguments, threads=threads)


def _four(shape):
    """A shape of bins as (view, radial, tof, plane); listed events as rows of `EVENTS`."""
    if len(shape) == 1:
        return (-(-shape[0] // EVENTS), 1, 1, EVENTS)
    return (*shape[:2], 1, shape[2]) if len(shape) == 3 else shape


def _rows(array):
    """An array whose planes are contiguous, and its strides along (view, radial, tof) in floats."""
    if array is None:
        return backend.NULL, (0, 0, 0)
    xp = backend.array_module(array)
    if array.dtype != np.float32 or array.strides[-1] != 4 or min(array.strides) < 0:
        array = xp.ascontiguousarray(array, np.float32)
    view, radial, tof = {
        1: (4 * EVENTS, 0, 0),
        3: (*array.strides[:2], 0),
        4: array.strides[:3],
    }[array.ndim]
    return array, (view // 4, radial // 4, tof // 4)
