"""Reconstruction inside networks: operators that torch differentiates, and layers made of them."""

from recon.learned.autograd import apply
from recon.learned.deep_image_prior import deep_image_prior
from recon.learned.em import EMUpdate, PoissonLikelihood
from recon.learned.layers import Layers
from recon.learned.plug_and_play import plug_and_play
from recon.learned.unrolled import Unrolled

__all__ = ["EMUpdate", "Layers", "PoissonLikelihood", "Unrolled", "apply", "deep_image_prior",
           "plug_and_play"]
