"""Reconstruction algorithms: generators that yield the image after every update, and FBP."""

from recon.algorithms.analytic import fbp
from recon.algorithms.anatomy import bowsher, direction
from recon.algorithms.em import listmode_osem, mlem, osem
from recon.algorithms.kernelised import KernelMatrix, kem
from recon.algorithms.penalized import Diverged, bsrem, mapem, objective, one_step_late
from recon.algorithms.primal_dual import spdhg
from recon.algorithms.priors import LogCosh, Quadratic, RelativeDifference, TotalVariation, kappa
from recon.algorithms.subsets import Subsets, subset_order
from recon.algorithms.variance_reduced import saga, svrg

__all__ = [
    "Diverged",
    "KernelMatrix",
    "LogCosh",
    "Quadratic",
    "RelativeDifference",
    "Subsets",
    "TotalVariation",
    "bowsher",
    "bsrem",
    "direction",
    "fbp",
    "kappa",
    "kem",
    "listmode_osem",
    "mapem",
    "mlem",
    "objective",
    "one_step_late",
    "osem",
    "saga",
    "spdhg",
    "subset_order",
    "svrg",
]
