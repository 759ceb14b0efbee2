"""Reconstruction inside networks: operators that torch differentiates, and layers made of them."""

from recon.learned.autograd import apply
from recon.learned.em import EMUpdate, PoissonLikelihood

__all__ = ["EMUpdate", "PoissonLikelihood", "apply"]
