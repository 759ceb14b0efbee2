"""Reconstruction algorithms: generators that yield the image after every update, and FBP."""

from recon.algorithms.analytic import fbp
from recon.algorithms.em import listmode_osem, mlem, osem, subset_order

__all__ = ["fbp", "listmode_osem", "mlem", "osem", "subset_order"]
