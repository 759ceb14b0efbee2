"""Linear operators: `A(x)`, `A.T(y)`, `A @ B`, with shapes known and checked."""

import numpy as np

from recon import backend


class LinearOperator:
    """A linear map between float32 arrays of fixed shapes, with its exact transpose.

    Attributes:
        in_shape, out_shape: shapes of what it takes and returns.

    A subclass writes `_apply(x)` and `_apply_transposed(y)`. Arrays are NumPy's or CuPy's; results
    live where the input lives.
    """

    def __init__(self, in_shape, out_shape):
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)

    def __call__(self, x):
        return self._apply(_checked(self, x, self.in_shape))

    @property
    def T(self):
        return Transposed(self)

    def __matmul__(self, other):
        return Composition(self, other)

    def __repr__(self):
        return f"<{type(self).__name__} {self.in_shape} -> {self.out_shape}>"


def _checked(operator, x, shape):
    if not hasattr(x, "dtype") or x.dtype != np.float32:
        kind = getattr(x, "dtype", type(x).__name__)
        raise TypeError(
            f"{operator!r} takes a float32 array, got {kind}; convert it with .astype('float32')"
        )
    if x.shape != shape:
        raise ValueError(f"{operator!r} takes an array of shape {shape}, got {x.shape}")
    return x


class Transposed(LinearOperator):
    """The transpose of an operator; its own transpose is that operator."""

    def __init__(self, operator):
        super().__init__(operator.out_shape, operator.in_shape)
        self.operator = operator

    def _apply(self, x):
        return self.operator._apply_transposed(x)

    @property
    def T(self):
        return self.operator


class Composition(LinearOperator):
    """`outer @ inner`: first inner, then outer."""

    def __init__(self, outer, inner):
        if outer.in_shape != inner.out_shape:
            raise ValueError(f"{outer!r} @ {inner!r}: the first must take what the second returns")
        super().__init__(inner.in_shape, outer.out_shape)
        self.outer, self.inner = outer, inner

    def _apply(self, x):
        return self.outer._apply(self.inner._apply(x))

    def _apply_transposed(self, y):
        return self.inner._apply_transposed(self.outer._apply_transposed(y))


class Diagonal(LinearOperator):
    """Multiplies by `factors`, which broadcast against `shape`."""

    def __init__(self, factors, shape):
        if np.broadcast_shapes(factors.shape, shape) != tuple(shape):
            raise ValueError(f"factors of shape {factors.shape} do not broadcast to {tuple(shape)}")
        super().__init__(shape, shape)
        self.factors = factors

    def _apply(self, x):
        return x * self.factors

    _apply_transposed = _apply


class GaussianBlur(LinearOperator):
    """Image-space point spread function: a Gaussian along each axis, zero outside the image.

    The kernel is sampled at voxel centres, cut at 4 sigmas and normalised to one, and is its own
    transpose up to the image's border, where what is blurred outside is lost.

    Args:
        shape: of the image (x, y, z).
        voxel_mm: sides of a voxel.
        fwhm_mm: full width at half maximum, one value or one for each axis; 0 leaves an axis alone.
    """

    def __init__(self, shape, voxel_mm, fwhm_mm, threads=None):
        super().__init__(shape, shape)
        widths = np.broadcast_to(np.asarray(fwhm_mm, float), (3,))
        if not np.all(np.isfinite(widths)) or np.any(widths < 0):
            raise ValueError(f"fwhm_mm takes one or three widths of 0 mm or more, got {fwhm_mm}")
        self.fwhm_mm, self.threads = tuple(map(float, widths)), threads
        self._weights = [gaussian_weights(w / v).astype(np.float32)
                         for w, v in zip(widths, voxel_mm, strict=True)]
        self._there = {}

    def _weights_on(self, xp):
        """The weights along each axis, brought to a GPU once."""
        if xp is np:
            return self._weights
        device = xp.cuda.Device().id
        if device not in self._there:
            self._there[device] = [xp.asarray(weights) for weights in self._weights]
        return self._there[device]

    def _apply(self, x):
        xp = backend.array_module(x)
        there = self._weights_on(xp)
        x = xp.ascontiguousarray(x)
        nx, ny, nz = self.in_shape
        for axis, (size, step) in enumerate([(nx, ny * nz), (ny, nz), (nz, 1)]):
            weights = there[axis]
            if len(weights) > 1:
                out = xp.empty_like(x)
                # In an image of one slice neighbours along y, too, are neighbours in memory.
                length = size if step == 1 else nz
                arguments = (
                    x,
                    out,
                    weights,
                    len(weights) // 2,
                    size,
                    step,
                    length,
                    x.size // length,
                )
                backend.launch("blur", (x.size // length, 1), arguments, threads=self.threads)
                x = out
        return x

    _apply_transposed = _apply


class Differences(LinearOperator):
    """Differences to the next voxel along x, y and z, 0 at the last one: (x, y, z) to (3, x, y, z).

    Each is multiplied by the side along x over that along its axis, so that slopes are alike in all
    directions.

    Args:
        shape: of the image (x, y, z).
        voxel_mm: sides of a voxel.
    """

    def __init__(self, shape, voxel_mm, threads=None):
        super().__init__(shape, (3, *shape))
        self.scales, self.threads = tuple(float(voxel_mm[0] / side) for side in voxel_mm), threads

    def _apply(self, x):
        return self._launched("differences", x, self.out_shape)

    def _apply_transposed(self, y):
        return self._launched("differences_transposed", y, self.in_shape)

    def _launched(self, kernel, array, shape):
        xp = backend.array_module(array)
        out, (nx, ny, nz) = xp.empty(shape, np.float32), self.in_shape
        arguments = (out, xp.ascontiguousarray(array), *self.scales, nx, ny, nz)
        backend.launch(kernel, (nx * ny, 1), arguments, threads=self.threads)
        return out


def gaussian_weights(fwhm_voxels):
    """Weights of a Gaussian sampled at whole voxels, cut at 4 sigmas, summing to one.

    Args:
        fwhm_voxels: full width at half maximum; 0 for a single weight.
    Returns:
        (2 reach + 1,) float64.
    """
    sigma = fwhm_voxels / np.sqrt(8 * np.log(2))
    radius = int(np.ceil(4 * sigma))
    if radius == 0:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()
