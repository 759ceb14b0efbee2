"""Sinograms that commands make: whether they can be made, and what they tell of the study."""

import math

from recon import memory
from recon.io import FileError, check_output
from recon.io.interfile_data import study_of

__all__ = ["check_sinogram_output", "study_of"]

_PROGRAM = 300 << 20  # bytes: Python, its libraries and what a step takes


def check_sinogram_output(path, layout, inputs, *, arrays):
    """Refuse a sinogram that cannot be written or does not fit the memory.

    Args:
        path: header to write, .hs.
        layout: SinogramLayout of it.
        inputs: paths that are read.
        arrays: how many sinograms of the layout are in memory at once.
    Raises:
        FileError: another suffix, no such folder, or an input would be overwritten.
        ValueError: it does not fit the memory.
    """
    if path.suffix != ".hs":
        raise FileError(f"a sinogram takes a name that ends in .hs, got {path}")
    check_output(path, inputs)
    check_memory(layout, arrays)


def check_memory(layout, arrays):
    """Refuse what takes more memory than there is.

    Args:
        layout: SinogramLayout.
        arrays: how many sinograms of the layout are in memory at once.
    Raises:
        ValueError: they do not fit.
    """
    needed, free = 4 * arrays * math.prod(layout.shape) + _PROGRAM, memory.available("cpu")
    if needed > free:
        raise ValueError(
            f"a sinogram of {layout.planes} planes takes {memory.in_gib(needed)} of memory to "
            f"make, where {memory.in_gib(free)} are free; use a scan of a larger span or a smaller "
            "ring difference"
        )
