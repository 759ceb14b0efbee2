"""Priors: what is known of an image before the scan, as penalties to be added to -log likelihood.

Each one has, of an image (x, y, z), its value, its gradient, the diagonal of its Hessian, and a
curvature: the diagonal of a parabola that touches the prior at that image and lies nowhere below it
where images are not negative. All hold `strength` already.

Of pairs of neighbours j, k: strength * sum over pairs of w_jk kappa_j kappa_k psi(f_j, f_k), with
the 26 neighbours, and w_jk the side of a voxel along x over the distance (as STIR has it).
"""

import itertools

import numpy as np

from recon import backend
from recon.operators import Differences

_VALUE, _GRADIENT, _DIAGONAL, _CURVATURE = range(4)  # of kernels/prior.cu
_DESCENT = 5


class _Pairs:
    """A prior on pairs of neighbours; a subclass names its potential's number and parameters.

    Args:
        grid: Grid of the images.
        strength: beta, 0 or more.
        kappa: weights (x, y, z), see `kappa`; None for 1.
        chosen: uint8 (13, x, y, z) of `recon.algorithms.anatomy.bowsher`; None for all pairs.
    """

    def __init__(self, grid, *, strength, kappa=None, chosen=None, gamma=0.0, epsilon=0.0):
        _check(grid, strength, kappa)
        if chosen is not None and (chosen.shape != (13, *grid.shape) or chosen.dtype != np.uint8):
            raise ValueError(
                f"chosen takes uint8 of shape {(13, *grid.shape)}, got {chosen.dtype} "
                f"{chosen.shape}; make it by recon.algorithms.bowsher on the image's grid"
            )
        self.grid, self.strength, self.kappa, self.chosen = grid, float(strength), kappa, chosen
        self.gamma, self.epsilon = float(gamma), float(epsilon)
        self._weights = np.float32(strength) * _neighbours(grid.voxel_mm)

    def value(self, image):
        """strength * R(image), a float; sums are in float64."""
        return float(self._of(image, _VALUE)[0].sum(dtype=np.float64))

    def gradient(self, image):
        """Its derivatives by each voxel, float32 (x, y, z)."""
        return self._of(image, _GRADIENT)[0]

    def diagonal(self, image):
        """Its second derivatives by each voxel, float32 (x, y, z)."""
        return self._of(image, _DIAGONAL)[0]

    def curvature(self, image):
        """Second derivatives of a parabola that is nowhere below it, float32 (x, y, z)."""
        return self._of(image, _CURVATURE)[0]

    def descent(self, image):
        """Its gradient, and the curvature of a parabola that pulls no voxel beyond its neighbours.

        That parabola touches the prior at the image, and of each pair it is least where both are
        alike (half-quadratic). It is that of `curvature`, but for the relative difference, where it
        is flatter.
        """
        return self._of(image, _DESCENT)

    def _of(self, image, what):
        if image.shape != self.grid.shape or image.dtype != np.float32:
            raise ValueError(
                f"the prior takes a float32 image of shape {self.grid.shape}, got {image.dtype} "
                f"{image.shape}"
            )
        xp, (nx, ny, nz) = backend.array_module(image), image.shape
        out = [xp.empty_like(image, order="C") for _ in range(2 if what == _DESCENT else 1)]
        arguments = (*(out if what == _DESCENT else (*out, backend.NULL)),
                     xp.ascontiguousarray(image), _on(xp, self.kappa), _on(xp, self.chosen),
                     xp.asarray(self._weights), self.gamma, self.epsilon, self._potential, what,
                     nx, ny, nz)
        backend.launch("prior_pairs", (nx * ny, 1), arguments)
        return out


class Quadratic(_Pairs):
    """psi = (f_j - f_k)^2 / 2: smooths edges and noise alike."""

    _potential = 0


class RelativeDifference(_Pairs):
    """psi = (f_j - f_k)^2 / (f_j + f_k + gamma |f_j - f_k| + epsilon); for images not negative.

    Differences count relative to the activity; the larger gamma, the better edges are kept.

    Args:
        gamma: 0 or more; 2 as clinical scanners have it.
        epsilon: keeps the denominator from 0, in the image's unit; with 0, 0/0 counts as 0, and
            nothing bounds the second derivatives where there is no activity.
    Source: Nuyts et al., IEEE TNS 49(1), 2002, equation 3; with epsilon as in STIR.
    """

    _potential = 1

    def __init__(self, grid, *, strength, gamma=2.0, epsilon=0.0, kappa=None, chosen=None):
        if not gamma >= 0 or not epsilon >= 0:
            raise ValueError(
                f"gamma and epsilon take numbers of 0 or more, got {gamma:g} and {epsilon:g}"
            )
        super().__init__(grid, strength=strength, kappa=kappa, chosen=chosen, gamma=gamma,
                         epsilon=epsilon)

    def curvature(self, image):
        if self.gamma < 1 or self.epsilon <= 0:
            raise ValueError(
                "the relative difference prior has a curvature for gamma of 1 or more and epsilon "
                f"above 0, got {self.gamma:g} and {self.epsilon:g}; change them, or take an "
                "algorithm that does without, as svrg and bsrem do"
            )
        return super().curvature(image)


class LogCosh(_Pairs):
    """psi = delta^2 log cosh((f_j - f_k) / delta): quadratic below delta, linear above.

    Args:
        delta: where edges begin, in the image's unit.
    Source: Green, IEEE TMI 9(1), 1990.
    """

    _potential = 2

    def __init__(self, grid, *, strength, delta, kappa=None, chosen=None):
        if not delta > 0:
            raise ValueError(f"delta takes a difference above 0, got {delta:g}")
        super().__init__(grid, strength=strength, kappa=kappa, chosen=chosen, epsilon=delta)


class TotalVariation:
    """strength * sum of kappa_j^2 (l_j - epsilon), l = sqrt(|d|^2 - (direction . d)^2 + epsilon^2).

    d are the differences to the next voxel along each axis, relative to the side along x. Without
    direction it is total variation, smoothed by epsilon; with that of an anatomical image
    (`recon.algorithms.anatomy.direction`) edges that lie as there cost less, which are parallel
    level sets. With epsilon 0 it is not smooth, and for `spdhg` alone.

    Args:
        grid: Grid of the images.
        strength: beta, 0 or more.
        epsilon: differences, in the image's unit, below which it is quadratic.
        kappa: weights (x, y, z), see `kappa`; None for 1.
        direction: (3, x, y, z), of lengths below 1; None for none.
    Source: Ehrhardt & Betcke, SIAM J. Imaging Sciences 9(3), 2016, equation 3.2.
    """

    def __init__(self, grid, *, strength, epsilon, kappa=None, direction=None):
        _check(grid, strength, kappa)
        if not epsilon >= 0:
            raise ValueError(f"epsilon takes a number of 0 or more, got {epsilon:g}")
        if direction is not None and direction.shape != (3, *grid.shape):
            raise ValueError(
                f"direction takes shape {(3, *grid.shape)}, got {direction.shape}; make it by "
                "recon.algorithms.direction on the image's grid"
            )
        self.grid, self.strength, self.kappa = grid, float(strength), kappa
        self.epsilon, self.direction = float(epsilon), direction
        self.differences = Differences(grid.shape, grid.voxel_mm)

    def value(self, image):
        """strength * R(image), a float; sums are in float64."""
        value = backend.array_module(image).empty_like(image, order="C")
        self._flux(self.differences(image), value)
        return self.strength * float(value.sum(dtype=np.float64))

    def gradient(self, image):
        """Its derivatives by each voxel, float32 (x, y, z)."""
        return self._flux_back(self.differences(image))

    def diagonal(self, image):
        """Its second derivatives by each voxel, float32 (x, y, z)."""
        return self._second(self.differences(image), _DIAGONAL)

    def curvature(self, image):
        """Second derivatives of a parabola that is nowhere below it, float32 (x, y, z)."""
        return self._second(self.differences(image), _CURVATURE)

    def descent(self, image):
        """Its gradient and its curvature."""
        field = self.differences(image)
        curvature = self._second(field, _CURVATURE)  # first, for the flux is written over the field
        return self._flux_back(field), curvature

    def _flux_back(self, field):
        out = self.differences.T(self._flux(field))
        out *= np.float32(self.strength)
        return out

    def _flux(self, field, value=backend.NULL):
        xp, n = backend.array_module(field), field[0].size
        arguments = (value, field, _on(xp, self.direction), _on(xp, self.kappa), self.epsilon,
                     np.int64(n))
        backend.launch("tv_flux", (1, -(-n // 4096)), arguments)
        return field

    def _second(self, field, what):
        xp = backend.array_module(field)
        out, (nx, ny, nz) = xp.empty(self.grid.shape, np.float32), self.grid.shape
        arguments = (out, field, _on(xp, self.direction), _on(xp, self.kappa), self.epsilon,
                     *self.differences.scales, what, nx, ny, nz)
        backend.launch("tv_diagonal", (nx * ny, 1), arguments)
        out *= np.float32(self.strength)
        return out


def kappa(data, image):
    """Weights by which a strength smooths alike everywhere: root of what counts say of a voxel.

    kappa_j^2 is the sum of row j of the Hessian of -log likelihood at an image,
    A^T (y / ybar^2) A 1, so that a quadratic prior of any strength blurs an image as much where
    counts are many as where they are few.

    Args:
        data: Subsets of the scan.
        image: near the answer, (x, y, z), as one pass of OSEM makes it.
    Returns:
        (x, y, z) float32, 0 where the scanner sees nothing.
    Source: Fessler & Rogers, IEEE TIP 5(9), 1996, with the image's Hessian as PETRIC takes it.
    """
    total, ones = data.xp.zeros_like(image), data.xp.ones_like(image)
    for k, part in enumerate(data.models):
        projection = part.project(image)
        values = part.ratio_of(projection.copy(), data.prompts(k))  # m y / ybar
        values *= part.ratio_of(projection)  # m / ybar
        values *= part.project(ones)
        total += part.back(values)
    return data.xp.sqrt(total)


def _check(grid, strength, kappa):
    if not 0 <= strength < np.inf:
        raise ValueError(f"strength takes a number of 0 or more, got {strength:g}")
    if kappa is not None and (kappa.shape != grid.shape or not bool((kappa >= 0).all())):
        raise ValueError(
            f"kappa takes weights of 0 or more of shape {grid.shape}, got shape {kappa.shape}"
            + ("" if kappa.shape != grid.shape else " with negative ones or NaN")
        )


def _neighbours(voxel_mm):
    """Weights of the 27 offsets along x, y and z, (27,) float32, 0 of the voxel itself."""
    distances = [np.linalg.norm(np.multiply(offset, voxel_mm))
                 for offset in itertools.product((-1, 0, 1), repeat=3)]
    return np.array([voxel_mm[0] / d if d else 0.0 for d in distances], np.float32)


def _on(xp, array):
    """An array where the image lives; nothing stays nothing."""
    return backend.NULL if array is None else xp.ascontiguousarray(xp.asarray(array))
