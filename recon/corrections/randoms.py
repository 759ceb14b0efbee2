"""Randoms: expected accidental coincidences of each bin, with little noise.

Two photons of different annihilations meet by chance at a rate 2 tau S_i S_j, S the singles rates
of the crystals and 2 tau the width of the coincidence window. Whatever the S are, the expected
counts are a product s_i s_j of one number per crystal. Delayed coincidences measure it in each bin,
with few counts; from them the s are found by maximum likelihood, each from all coincidences of its
crystal (`recon.corrections.fan_sums`), and multiplied again. With K partners per crystal the
variance falls to about 2 / K of the delayeds' in a bin of one pair, and the sum of the randoms of
each crystal stays that of its delayeds. No efficiencies enter: s are singles as counted.

Measured: the demo scanner's variance falls 970 times (K = 2160). On the tiny one with only 44
delayeds per crystal, means of 3000 scans are within 0.1 % (RMS over the bins) of the truth; an
early end, at a tolerance of 1e-3, leaves a tilt of 0.2 % from edge to edge.

Sources: Casey and Hoffman, J Comput Assist Tomogr 10(5), 1986 (fan sums of delayeds);
Hogg et al., IEEE NSS Conf Rec 4, 2001, and Jacobson and Thielemans, IEEE NSS Conf Rec, 2008
(maximum likelihood).
"""

import math

import numpy as np

from recon.corrections.coincidences import Coincidences, real_crystals
from recon.corrections.fan_sums import fit_fan_sums


def singles_from_delayeds(delayeds, layout, **options):
    """The s of each crystal whose products are the expected delayed coincidences.

    They are fitted to the crystals' fan sums (`Coincidences.shared_fan_sums`), exact where a bin is
    one crystal pair. Fitted to bins of several pairs, they would follow the noise of few delayeds.
    Of listed events, `Coincidences.fan_sums_of_events` and `fit_fan_sums` give the same without
    a sinogram.

    Args:
        delayeds: counts, (view, radial, [tof,] plane), at any span; span 1 keeps the most.
        layout: SinogramLayout of them.
        options: updates and tolerance of `fit_fan_sums`.
    Returns:
        Fit; values in square roots of counts, 0 for virtual crystals.
    Raises:
        ValueError: there are no delayeds, or the shape does not fit the layout.
    """
    return fit_fan_sums(Coincidences(layout).shared_fan_sums(delayeds), layout, **options)


def randoms(singles, layout, *, scale=1.0, views=slice(None)):
    """Expected randoms of each bin: the sum over its crystal pairs of scale s_i s_j.

    Time-of-flight bins share the randoms evenly, for accidental coincidences come at any time
    difference alike.

    Args:
        singles: s of each crystal, (rings, crystals); virtual crystals are taken as 0.
        layout: SinogramLayout to expand to, of any span, mashing and time of flight.
        scale: multiplies all; for time of flight, the counts of all bins together.
        views: slice of the views that are wanted.
    Returns:
        float32 (view, radial, [tof,] plane), 0 in gaps.
    Raises:
        ValueError: the shape of the singles is not the scanner's, or one is negative.
    """
    singles = _checked(singles, layout.scanner)
    values = (singles * np.sqrt(scale / layout.tof_bins)).astype(np.float32)
    start, stop, step = views.indices(layout.views)
    if step != 1:
        raise ValueError(f"views take a slice of neighbours, got a step of {step}")
    pairs = Coincidences(layout)
    found = np.empty((max(stop - start, 0), *layout.shape[1:]), np.float32)
    for chunk in pairs.chunks():
        part = slice(max(chunk.start, start), min(chunk.stop, stop))
        if part.start < part.stop:
            sums = pairs.sums(values, part)
            found[part.start - start : part.stop - start] = (
                sums[:, :, None] if layout.tof else sums
            )
    return found


def randoms_from_delayeds(delayeds, layout, *, target=None, **options):
    """Delayeds with their noise reduced, expanded to any layout of the scanner.

    Args:
        delayeds: counts, (view, radial, [tof,] plane).
        layout: SinogramLayout of them.
        target: SinogramLayout of the randoms, or None for the same.
        options: of `singles_from_delayeds`.
    Returns:
        float32 of the target's shape, and the Fit.
    Raises:
        ValueError: there are no delayeds, or the layouts are of different scanners.
    """
    target = target or layout
    shapes = [(each.scanner.rings, each.scanner.crystals) for each in (layout, target)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"randoms take the delayeds' scanner {layout.scanner.name!r}, got a target of "
            f"{target.scanner.name!r}; give delayeds of the same scan"
        )
    fit = singles_from_delayeds(delayeds, layout, **options)
    return randoms(fit.values, target), fit


def randoms_from_singles(singles_per_s, layout, duration_s, *, window_ps=None):
    """2 tau S_i S_j times the duration, summed over each bin's crystal pairs.

    Args:
        singles_per_s: rate of each crystal in 1/s, constant over the duration, (rings, crystals);
            of blocks or buckets see `crystal_singles`.
        layout: SinogramLayout; time-of-flight bins get the part of the window that they cover.
        duration_s: of the scan, times `mean_of_squares` for singles that decay.
        window_ps: full width 2 tau of the coincidence window; default the scanner's.
    Returns:
        float32 (view, radial, [tof,] plane), expected counts.
    Raises:
        ValueError: the window is not known, or a number is out of range.
    """
    window_ps = layout.scanner.coincidence_window_ps if window_ps is None else window_ps
    if window_ps is None or not window_ps > 0:
        raise ValueError(
            f"randoms from singles take the width of the coincidence window, got {window_ps} of "
            f"{layout.scanner.name!r}; give window_ps"
        )
    if not duration_s > 0:
        raise ValueError(f"randoms from singles take a positive duration, got {duration_s} s")
    part = 1.0
    if layout.tof:
        covered = layout.tof_bins * layout.tof_mashing * layout.scanner.tof_bin_ps
        part = min(1.0, covered / window_ps)
    return randoms(singles_per_s, layout, scale=part * window_ps * 1e-12 * duration_s)


def mean_of_squares(isotope, duration_s):
    """The mean of a decaying activity's square over the square of its mean, at least 1.

    (x / 2) / tanh(x / 2), x = ln 2 duration / half-life: randoms go with the square of the singles,
    of which a scan's list tells the mean.

    Args:
        isotope: `recon.corrections.calibration.Isotope`, whose decay the singles follow.
        duration_s: of the scan.
    """
    half = math.log(2) * duration_s / isotope.half_life_s / 2
    return half / math.tanh(half) if half else 1.0


def crystal_singles(group_rates, scanner, *, efficiencies=None):
    """Singles rates of crystals from those of equal groups of crystals, such as blocks.

    Args:
        group_rates: (axial, transaxial), rates of rectangles of rings and crystals that tile the
            scanner.
        scanner: Scanner.
        efficiencies: (rings, crystals), how a group's singles spread over its crystals; default
            evenly over those that are not virtual.
    Returns:
        float64 (rings, crystals), in the unit of the rates; each group's sum is its rate.
    Raises:
        ValueError: the groups do not tile the scanner, or all crystals of one have efficiency 0.
    """
    rates, real = np.asarray(group_rates, np.float64), real_crystals(scanner)
    if rates.ndim != 2 or any(n % m for n, m in zip(real.shape, rates.shape, strict=True)):
        raise ValueError(
            f"rates take groups (axial, transaxial) that divide {real.shape[0]} rings of "
            f"{real.shape[1]} crystals, got {rates.shape}"
        )
    weights = real if efficiencies is None else np.where(real, _checked(efficiencies, scanner), 0)
    (rings, crystals), (axial, across) = real.shape, rates.shape
    tiles = weights.reshape(axial, rings // axial, across, crystals // across).astype(np.float64)
    sums = tiles.sum(axis=(1, 3), keepdims=True)
    rates = rates[:, None, :, None]
    if np.any((sums == 0) & (rates > 0)):
        raise ValueError("rates take groups with crystals that count, got singles in one without")
    shares = np.divide(tiles, sums, out=np.zeros_like(tiles), where=sums > 0)
    return (shares * rates).reshape(real.shape)


def _checked(values, scanner):
    real, values = real_crystals(scanner), np.asarray(values, np.float64)
    if values.shape != real.shape:
        raise ValueError(
            f"singles take shape (rings, crystals) = {real.shape} of {scanner.name!r}, got "
            f"{values.shape}"
        )
    values = np.where(real, values, 0)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError("singles take numbers of at least 0, got negative or infinite ones")
    return values
