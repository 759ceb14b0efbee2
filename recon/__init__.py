"""PET reconstruction: geometry, projectors, algorithms, corrections and file formats."""

from recon.grid import Grid
from recon.layout import SinogramLayout
from recon.scanner import Scanner
from recon.segments import Segment

__all__ = ["Grid", "Scanner", "Segment", "SinogramLayout"]
