"""Lower doses: what is left of a scan's counts, and counts discarded at random until that is left.

Of Poisson counts with mean m, each kept with probability p by a draw of its own, the kept ones are
Poisson counts with mean p m, the discarded ones with mean (1 - p) m, and the two are independent
(the colouring theorem; Kingman, Poisson Processes, 1993). So a thinned scan has the statistics of a
scan at the lower dose, and kept and discarded counts are a fair pair for training. A thinned scan
and the scan that it was thinned from are not: they share a part p of their noise.

    mode        trues and scatter   randoms
    time        1 / factor          1 / factor       a shorter scan
    activity    1 / factor          1 / factor^2     less activity: randoms go with its square

Dead time stays as it was at the standard dose, in both modes.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

MODES = ("time", "activity")


@dataclass(frozen=True, kw_only=True)
class Dose:
    """How much lower than the standard dose.

    Attributes:
        factor: dose reduction factor, 1 for the standard dose itself.
        mode: "time" for a shorter scan, "activity" for less activity.
    """

    factor: float
    mode: str = "time"

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"Dose takes mode {' or '.join(MODES)}, got {self.mode!r}")
        if not 1 <= self.factor < math.inf:
            raise ValueError(
                f"Dose takes a dose reduction factor of 1 or more, got {self.factor:g}; 4 is a "
                "quarter of the dose"
            )

    @property
    def signal(self):
        """Part of trues and scatter that is left, and of the efficiency."""
        return 1 / self.factor

    @property
    def randoms(self):
        """Part of the randoms that is left, and of the delayeds."""
        return 1 / self.factor**2 if self.mode == "activity" else 1 / self.factor

    def prompts(self, randoms_fraction):
        """Part of the prompts that is left.

        Args:
            randoms_fraction: randoms over prompts, expected: of all, or of each bin.
        Returns:
            float, or array like the fraction; whatever the fraction, 1 / factor in mode "time".
        """
        return self.signal + (self.randoms - self.signal) * randoms_fraction


def at_dose(expected, dose):
    """What is expected of a scan at a lower dose.

    Args:
        expected: Expected, of the standard dose.
        dose: Dose.
    Returns:
        Expected; with its efficiency, images are in Bq/mL of the standard dose.
    """
    signal, randoms = np.float32(dose.signal), np.float32(dose.randoms)
    return replace(
        expected, trues=expected.trues * signal, scatter=expected.scatter * signal,
        randoms=expected.randoms * randoms, efficiency=expected.efficiency * signal,
    )


def thin(counts, keep, rng):
    """Keeps each count with a given probability, by a draw of its own.

    Args:
        counts: whole numbers, of a sinogram or any other shape, of one axis or more.
        keep: probability of being kept; one number, or one for each bin (they broadcast).
        rng: numpy Generator.
    Returns:
        Kept and discarded counts, float32 arrays that sum to the counts.
    Raises:
        ValueError: a count is negative or no whole number, or a probability is not in 0 to 1.
    """
    counts = np.asarray(counts)
    keep = np.broadcast_to(np.asarray(keep, np.float64), counts.shape)
    kept = np.empty(counts.shape, np.float32)
    for view, p in enumerate(keep):  # a view at a time: int64 and float64 of no more
        n = counts[view]
        if not ((n >= 0) & (n == np.floor(n))).all():
            raise ValueError(
                "thin takes counts, whole numbers of 0 or more, got others; thin prompts and "
                "delayeds as they were measured, before anything is subtracted or scaled"
            )
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError(f"thin takes probabilities from 0 to 1, got {p.min()} to {p.max()}")
        kept[view] = rng.binomial(n.astype(np.int64), p)
    return kept, counts.astype(np.float32) - kept


def halves(counts, rng):
    """Two independent scans of half the counts each, as Noise2Noise trains with.

    Args:
        counts: as in `thin`.
        rng: numpy Generator.
    Returns:
        Two float32 arrays that sum to the counts.
    """
    return thin(counts, 0.5, rng)


def parts(counts, number, rng):
    """Independent scans of an equal share of the counts each: every count goes to one of them.

    A bin's counts are shared out by a multinomial draw, for each scan is thinned from what those
    before it have left; the parts of Poisson counts are independent Poisson counts (see above).

    Args:
        counts: as in `thin`.
        number: of scans, 1 or more.
        rng: numpy Generator.
    Yields:
        float32 arrays that sum to the counts.
    """
    left = np.asarray(counts, np.float32)
    for share in range(number, 1, -1):
        part, left = thin(left, 1 / share, rng)
        yield part
    yield left


def thin_events(chunks, keep, rng):
    """Keeps each listed coincidence with a given probability, by a draw of its own.

    Args:
        chunks: iterable of `recon.events.Events`.
        keep: probability of being kept, a number (`Dose.signal` of a shorter scan); or a function
            that gives one for each of the Events that it is called with, as less activity takes:
            `Dose.randoms` of a delayed one, `Dose.prompts` of a prompt at its bin's fraction.
        rng: numpy Generator; the draw does not depend on how events are shared among chunks.
    Yields:
        Events, those that are kept of each chunk.
    """
    for events in chunks:
        yield events.select(rng.random(len(events)) < (keep(events) if callable(keep) else keep))
