"""One value per crystal from the counts of all its coincidences, by maximum likelihood.

Of y_b ~ Poisson(sum over the pairs (i, j) of bin b of s_i s_j w_b + a_b) the values s are sought:
efficiencies, where w is what ideal crystals would count, or singles, where w = 1 and y are
coincidences at random. From any s > 0 the update

    s_i <- s_i sqrt( sum_j (y / expected) w s_j  /  sum_j w s_j ),

over all j that crystal i is in coincidence with, raises the likelihood: it maximises a bound that
touches it at s, made of EM's (a bin's counts are shared among its pairs) and of

    s_i s_j <= (s_i^2 s'_j / s'_i + s_j^2 s'_i / s'_j) / 2,   s' the values before.

All crystals are updated at once. Where a bin is one pair and a = 0, the numerator times s_i is the
crystal's fan sum of y, and the fan sums are all that is needed of the data.

Source: the likelihood and fan sums, Hogg et al., IEEE NSS Conf Rec 4, 2001 (they update a crystal
at a time, without the root); when a maximum exists, Jacobson and Thielemans, IEEE NSS Conf Rec,
2008. The root is what the bound above gives when all crystals change together.
"""

from dataclasses import dataclass

import numpy as np

from recon.corrections.coincidences import Coincidences, real_crystals, refuse_negative


@dataclass(frozen=True, eq=False)
class Fit:
    """Values of the crystals and how far the fit went.

    Attributes:
        values: float64 (rings, crystals); 0 for virtual crystals and those that counted nothing.
        updates: how many were made.
        change: largest relative change of a value in the last one.
        converged: whether that is below the tolerance.
        errors: `relative_errors` of the values, or None where they were not asked for.
    """

    values: np.ndarray
    updates: int
    change: float
    converged: bool
    errors: np.ndarray | None = None


def fit_crystals(
    counts, layout, *, expected=None, background=None, updates=500, tolerance=1e-6, watch=None
):
    """The values s of the crystals that make the counts of a sinogram most likely.

    Args:
        counts: y, (view, radial, [tof,] plane), not negative; time-of-flight bins are summed.
        layout: SinogramLayout of the counts; its bins follow the crystals.
        expected: w, what each of a bin's crystal pairs would count with s = 1, an array that
            broadcasts to (view, radial, plane), or None for 1.
        background: a, expected counts of the bin whatever its crystals, or None for 0.
        updates: at most so many.
        tolerance: ends when no value changes by more than this fraction.
        watch: called after each update with the largest change; None for nobody.
    Returns:
        Fit.
    Raises:
        ValueError: nothing was counted, a count is negative, shapes do not fit, or the bins are
            arc-corrected.
    """
    pairs = Coincidences(layout)
    shape = pairs.layout.shape
    if counts.shape not in (shape, layout.shape):
        raise ValueError(f"counts take shape {layout.shape} like the layout, got {counts.shape}")
    expected, background = (
        array if array is None else np.broadcast_to(array, shape)
        for array in (expected, background)
    )
    sums = _Sums(pairs, counts, expected, background)
    return _fit(sums.numerator, sums.denominator, sums.real, updates, tolerance, watch)


def fit_fan_sums(fans, layout, *, updates=500, tolerance=1e-6, watch=None):
    """The same from the fan sums alone, with w = 1 and a = 0, as listed events give them.

    Args:
        fans: how many coincidences of the layout each crystal is part of, (rings, crystals), as
            `Coincidences.fan_sums_of_events` counts them; virtual crystals have none.
        layout: SinogramLayout that says which pairs are in coincidence.
        updates, tolerance, watch: as for `fit_crystals`.
    Returns:
        Fit.
    Raises:
        ValueError: nothing was counted, or the shape is not the scanner's.
    """
    pairs, real = Coincidences(layout), real_crystals(layout.scanner)
    if fans.shape != real.shape:
        raise ValueError(
            f"fan sums take shape (rings, crystals) = {real.shape} of {layout.scanner.name!r}, "
            f"got {fans.shape}"
        )
    return _fit(lambda s: _divide(fans, s), pairs.partners, real, updates, tolerance, watch)


def relative_errors(values, layout, *, expected=None, background=None):
    """Statistical standard deviation of each fitted value as a fraction of it.

    One over the root of the Fisher information on its logarithm,

        sum over its pairs of (s_i s_j w)^2 / (expected counts of the bin);

    the errors of the partners are left out: each pair has another, and together they average out.

    Args:
        values: s as `fit_crystals` found them, (rings, crystals).
        layout, expected, background: what it found them with.
    Returns:
        float64 (rings, crystals); infinite where a crystal counts nothing.
    """
    pairs = Coincidences(layout)
    values = np.asarray(values, np.float32)
    information = np.zeros(values.shape)
    for views in pairs.chunks():
        mean, weight = pairs.sums(values, views), np.float32(1)
        if expected is not None:
            weight = np.broadcast_to(expected, pairs.layout.shape)[views]
            mean *= weight
        if background is not None:
            mean += np.broadcast_to(background, pairs.layout.shape)[views]
        square = np.broadcast_to(np.square(weight), mean.shape)
        information += pairs.fans(_divide(square, mean), np.square(values), views)
    information *= np.square(values, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return 1 / np.sqrt(information)


class _Sums:
    """Numerator and denominator of the update."""

    def __init__(self, pairs, counts, expected, background):
        self.pairs, self.counts = pairs, counts
        self.expected, self.background = expected, background
        self.real = real_crystals(pairs.layout.scanner)
        self._sufficient = None
        if pairs.one_pair and background is None:
            self._sufficient = self._total(lambda views: self._counts(views), self.real)

    def numerator(self, values):
        if self._sufficient is not None:
            return _divide(self._sufficient, values)
        return self._total(lambda views: self._ratio(views, values), values)

    def denominator(self, values):
        if self.expected is None:
            return self.pairs.partners(values)
        return self._total(lambda views: self.expected[views], values)

    def _total(self, bins, values):
        return sum(self.pairs.fans(bins(v), values, v) for v in self.pairs.chunks())

    def _counts(self, views):
        counts = np.asarray(self.counts[views], np.float32)
        refuse_negative(counts)
        counts = counts if counts.ndim == 3 else counts.sum(axis=2)
        # A bin that is expected to be empty says nothing about its crystals.
        return counts if self.expected is None else counts * (self.expected[views] > 0)

    def _ratio(self, views, values):
        model = self.pairs.sums(values, views)
        if self.expected is not None:
            model *= self.expected[views]
        if self.background is not None:
            model += self.background[views]
        ratio = _divide(self._counts(views), model)
        return ratio if self.expected is None else ratio * self.expected[views]


def _fit(numerator, denominator, real, updates, tolerance, watch):
    values, change, done = real.astype(np.float64), np.inf, 0
    for done in range(1, updates + 1):
        top, bottom = numerator(values), denominator(values)
        if done == 1 and not np.sum(top[real]) > 0:
            raise ValueError(
                "values of crystals take counts to be fitted to, got none between real crystals of "
                "the layout"
            )
        update = np.sqrt(_divide(top, bottom))
        change = float(np.max(np.abs(update - 1), where=real & (values > 0) & (update > 0),
                              initial=0))
        values *= update
        if watch:
            watch(change)
        if change < tolerance:
            break
    return Fit(values=values, updates=done, change=change, converged=change < tolerance)


def _divide(a, b):
    """a / b, and 0 where b is 0: bins without detectors, crystals without counts."""
    return np.divide(a, b, out=np.zeros_like(b, dtype=np.result_type(a, b)), where=b > 0)
