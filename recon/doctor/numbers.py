"""What an array sums to, and what should not be in it, a part at a time."""

import math
from dataclasses import dataclass

import numpy as np

from recon import text
from recon.io import FileError, check_counts
from recon.plausibility import GAP


@dataclass
class Numbers:
    """Of the finite numbers of an array, but for those of 1e20 and more: gaps of a correction.

    Attributes:
        size: numbers in all.
        total, least, most: sum, minimum, maximum.
        negative, zero, bad, huge: how many are below 0, 0, NaN or infinite, 1e20 and more.
        whole: whether all are whole numbers.
    """

    size: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    negative: int = 0
    zero: int = 0
    bad: int = 0
    huge: int = 0
    whole: bool = True

    @classmethod
    def of(cls, array):
        """Numbers of an array, summed in float64 along its first axis."""
        found = cls(size=array.size)
        for part in array:
            usual = np.isfinite(part)
            found.bad += part.size - int(np.count_nonzero(usual))
            huge = usual & (part >= GAP)
            found.huge += int(np.count_nonzero(huge))
            part = part[usual & ~huge]
            if not part.size:
                continue
            found.total += float(part.sum(dtype=np.float64))
            found.negative += int(np.count_nonzero(part < 0))
            found.zero += part.size - int(np.count_nonzero(part))
            found.least = min(found.least, float(part.min()))
            found.most = max(found.most, float(part.max()))
            found.whole = found.whole and bool((part == np.rint(part)).all())
        return found

    def rows(self):
        """Rows for `recon.text.table`."""
        yield "sum", f"{text.number(self.total)} over {self.size:,} values, {self.zero:,} of them 0"
        if self.least <= self.most:
            yield "range", f"{text.number(self.least)} to {text.number(self.most)}"
        if self.huge:
            yield "note", f"{self.huge:,} values are 1e20 or more, as corrections have in gaps"
        if self.negative or self.bad:
            yield "note", f"{self.negative:,} values are negative, {self.bad:,} NaN or infinite"


def count_misfits(array, path, what, **options):
    """What `check_counts` refuses such an array for, as sentences.

    Args:
        array, path, what, options: as of `check_counts`.
    """
    try:
        check_counts(array, path, what, **options)
    except FileError as reason:
        yield str(reason)
