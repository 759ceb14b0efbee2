"""PET reconstruction: geometry, projectors, algorithms, corrections and file formats."""

from recon.acquisition import AcquisitionModel
from recon.grid import Grid
from recon.layout import SinogramLayout
from recon.listmode import ListModeProjector
from recon.operators import Diagonal, GaussianBlur, LinearOperator
from recon.projectors import SinogramProjector
from recon.scanner import Scanner
from recon.segments import Segment
from recon.version import __version__

__all__ = [
    "AcquisitionModel",
    "Diagonal",
    "GaussianBlur",
    "Grid",
    "LinearOperator",
    "ListModeProjector",
    "Scanner",
    "Segment",
    "SinogramLayout",
    "SinogramProjector",
    "__version__",
]
