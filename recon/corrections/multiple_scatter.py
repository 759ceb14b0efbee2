"""Multiple scatter: how much there is beside single scatter, and how much wider it lies.

The share of multiple scatter, and how much farther from the axis, along it and in time of flight it
lies than single scatter, come from a Monte Carlo simulation of the same object in the same scanner
(`recon.corrections.photon_transport`). Its shape is that of the single scatter, convolved with
Gaussians whose variances are the differences of the mean squares.

Goggin & Ollinger, IEEE NSS/MIC 1994, p. 1609; Ollinger, Phys Med Biol 41(1), 1996. There, one
radial kernel serves all objects; here the object's own does. That such a convolution fits where all
that scatters is in the image: Lewellen, Harrison & Kohlmyer, IEEE NSS/MIC 1994.
"""

import math
from dataclasses import dataclass

import numpy as np

from recon.corrections.photon_transport import PhotonSource

BATCH = 250_000
MOST = 64 * BATCH
PRECISION = 0.002  # of all scatter: its standard error as a fraction


@dataclass(frozen=True, kw_only=True)
class MultipleScatter:
    """Multiple scatter of an object in a scanner.

    Attributes:
        to_single: multiple over single scatter, in counts, and `to_single_sd` its standard error.
        to_trues: all scatter over unscattered pairs, in counts.
        radial_mm, axial_mm, along_mm: standard deviations of the Gaussians by which it is wider
            than single scatter, across the line, along the axis and, in time of flight, along the
            line; 0 where it is not.
        pairs: photon pairs that were drawn.
    """

    to_single: float
    to_single_sd: float
    to_trues: float
    radial_mm: float
    axial_mm: float
    along_mm: float
    pairs: int

    @property
    def relative_sd(self):
        """Standard error of all scatter, as a fraction of it."""
        return self.to_single_sd / (1 + self.to_single)


def multiple_scatter(
    activity, grid, mu_per_cm, mu_grid, layout, *, seed=0, precision=PRECISION, most=MOST,
    threads=None,
):
    """Finds how much multiple scatter a scan has, and where, by a Monte Carlo simulation.

    Args:
        activity: (x, y, z), in any unit; grid: its Grid.
        mu_per_cm: (x, y, z) in 1/cm; mu_grid: its Grid.
        layout: SinogramLayout; pairs beyond its bins or ring differences are not counted.
        seed: of the draw.
        precision: ends the draw: standard error of all scatter, as a fraction of it.
        most: ends the draw: photon pairs.
        threads: CPU threads; the result does not depend on it.
    Returns:
        MultipleScatter; nothing where the draw has no scatter.
    """
    source = PhotonSource(activity, grid, mu_per_cm, mu_grid, layout.scanner, threads=threads)
    rng = np.random.default_rng(seed)
    counts, squares, spread = np.zeros(3), np.zeros(3), np.zeros((3, 3))
    pairs, error = 0, math.inf
    while pairs < most and not error <= precision:
        drawn = source.pairs(min(BATCH, most - pairs), rng)
        pairs += min(BATCH, most - pairs)
        kind = np.minimum(drawn.scatters, 2)
        weight = drawn.weight * _counted(drawn, layout)
        counts += np.bincount(kind, weight, 3)
        squares += np.bincount(kind, weight**2, 3)
        z = (drawn.first + drawn.second)[:, 2] / 2
        for axis, place in enumerate((drawn.radial_mm, z, drawn.along_mm)):
            spread[axis] += np.bincount(kind, weight * place**2, 3)
        ratio, ratio_sd = _ratio(counts, squares)
        error = ratio_sd / (1 + ratio) if counts[1] else math.inf
    mean = np.divide(spread, counts, np.zeros((3, 3)), where=counts > 0)
    wider = np.sqrt(np.maximum(mean[:, 2] - mean[:, 1], 0)) if counts[2] else np.zeros(3)
    scattered = counts[1:].sum()
    return MultipleScatter(
        to_single=ratio, to_single_sd=ratio_sd,
        to_trues=float(scattered / counts[0]) if counts[0] else math.nan,
        radial_mm=float(wider[0]), axial_mm=float(wider[1]), along_mm=float(wider[2]), pairs=pairs,
    )


def _counted(drawn, layout):
    """Whether a layout's bins count pairs, (pairs,) bool."""
    widest = (layout.max_ring_difference + 0.5) * layout.scanner.ring_spacing_mm
    apart = np.abs(drawn.second[:, 2] - drawn.first[:, 2])
    inside = np.abs(drawn.radial_mm) <= np.abs(layout.rays()[0, :, 2]).max()
    inside &= apart <= widest
    if layout.tof:
        inside &= np.abs(drawn.along_mm) <= layout.tof_edges_mm[-1]
    return inside


def _ratio(counts, squares):
    """Multiple over single scatter, and its standard error."""
    if not counts[1]:
        return 0.0, 0.0
    ratio = counts[2] / counts[1]
    # Of a weighted count the variance is the sum of the squared weights.
    return float(ratio), float(math.sqrt(squares[2] + ratio**2 * squares[1]) / counts[1])
