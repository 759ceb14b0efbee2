"""Attenuation: which part of the photon pairs leaves the body along each line."""

import math

from recon import backend
from recon.projectors import SinogramProjector

PER_MM = 0.1  # mu maps are in 1/cm, lengths in mm
_CHUNK_BYTES = 32 << 20


def attenuate(factors, mu_per_cm, grid, layout, *, threads=None):
    """Multiplies factors by exp(-line integral of mu), in place, a few views at a time.

    Args:
        factors: float32 of layout.shape, with or without its time-of-flight axis.
        mu_per_cm: linear attenuation coefficients at 511 keV in 1/cm, float32 (x, y, z).
        grid: Grid of mu_per_cm, which need not be the image's.
        layout: SinogramLayout of the factors.
        threads: CPU threads; the result does not depend on it.
    """
    xp = backend.array_module(factors, mu_per_cm)
    projector = SinogramProjector(layout.without_tof(), grid, threads=threads)
    mu_per_mm = mu_per_cm * xp.float32(PER_MM)
    step = max(1, _CHUNK_BYTES // (4 * math.prod(projector.out_shape[1:])))
    for start in range(0, layout.views, step):
        views = slice(start, start + step)
        survival = projector.subset(views)(mu_per_mm)
        xp.negative(survival, out=survival)
        xp.exp(survival, out=survival)
        factors[views] *= survival if factors.ndim == 3 else survival[:, :, None]
