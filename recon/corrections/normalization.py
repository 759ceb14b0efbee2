"""Normalization: how well each bin counts, as factors m that multiply what is expected.

A bin's factor is the SUM over its crystal pairs of e1 e2 times the other components, so the number
of pairs of a span or of mashed views is in it (`recon.layout.multiplicity` is the factor of ideal
crystals). Pairs with a virtual crystal count nothing: such bins get 0, which masks them, and no
step divides by it.

The Biograph mMR's components, for ring pair (r1, r2), crystals (c1, c2), view v before mashing and
radial bin t of `recon.layout`:

    m = sum of e[r1, c1] e[r2, c2] geometric[r1 + r2, t] interference[t, v mod 9] / axial[plane]

The file's crystals are numbered one less (`recon.io.siemens_norm`); then gaps fall on crystals
0 mod 9. `axial` has one number per plane of the file's own span (11, to ring difference 60); every
ring pair takes that of its plane, at any span: the file has none for single ring pairs, so at span
1 the planes of different ring pairs keep differences that only their sum was calibrated for. STIR
does the same; it also gives (r2, r1) the number of (r1, r2), where this takes each its own (they
differ by up to 3.4 % in the outermost segment). STIR's factors, which multiply data, are 1 / m.
"""

from dataclasses import replace

import numpy as np

from recon.corrections.coincidences import Coincidences, real_crystals
from recon.corrections.fan_sums import Fit, fit_crystals, relative_errors
from recon.layout import SinogramLayout

# What the .json beside them says they are.
QUANTITY = "factors m that multiply expected counts, summed over each bin's crystal pairs"


def efficiency_factors(layout, efficiencies, *, bins=None):
    """Factors from crystal efficiencies and whatever else multiplies, of any scanner.

    Args:
        layout: SinogramLayout whose bins follow the crystals.
        efficiencies: of the crystals, (rings, crystals); virtual ones are taken as 0.
        bins: array that broadcasts to (view, radial, plane) and multiplies each bin (geometry,
            dead time, …), or None.
    Returns:
        float32 (view, radial, plane): sum of e1 e2 over the bin's pairs, times `bins`.
    Raises:
        ValueError: the shape is not the scanner's, or a value cannot be an efficiency.
    """
    values = _real_values(layout.scanner, efficiencies)
    pairs = Coincidences(layout)
    factors = np.empty(pairs.layout.shape, np.float32)
    bins = None if bins is None else np.broadcast_to(bins, factors.shape)
    for views in pairs.chunks():
        factors[views] = pairs.sums(values, views)
        if bins is not None:
            factors[views] *= bins[views]
    return factors


def mmr_factors(components, layout, *, singles_per_s=None):
    """Factors of an mMR's component normalization at any span and mashing of views.

    Args:
        components: NormComponents, of `recon.io.siemens_norm.read_norm`.
        layout: SinogramLayout of the same scanner; ring differences within the file's.
        singles_per_s: singles rates of the buckets, for dead time, see `live_fractions`; None for
            no dead time.
    Returns:
        float32 (view, radial, plane), 0 in gaps.
    Raises:
        ValueError: the layout is of another scanner, or reaches beyond the components.
    """
    _check_layout(components, layout)
    values = components.efficiencies
    if singles_per_s is not None:
        values = values * live_fractions(components, singles_per_s)
    values = _real_values(components.scanner, values)
    pairs = Coincidences(layout)
    weights = _ring_weights(components, pairs)
    radial = _radial(components, layout)
    interference = np.ascontiguousarray(components.interference[radial].T)
    factors = np.empty(pairs.layout.shape, np.float32)
    for views in pairs.chunks():
        factors[views] = pairs.sums(
            values, views, ring_weights=weights,
            view_weights=lambda view: interference[view % len(interference)],
        )
    return factors


def live_fractions(components, singles_per_s):
    """Which part of its singles each crystal of an mMR passes on, given the singles rates.

    exp(b p / 2 / (1 + b n / 2)) / (1 + b n / 2) with the file's paralyzing p (negative) and
    non-paralyzing n of the crystal's ring and b the rate of its bucket. Multiplies efficiencies.

    Args:
        components: NormComponents.
        singles_per_s: mean rate of each bucket in 1/s, (axial, transaxial) such as (8, 28), each
            bucket a rectangle of rings and crystals. Bucket k of Siemens's list mode is
            [k // 28, k % 28]; rates of 224 buckets may come as one row.
    Returns:
        float32 (rings, crystals).
    Raises:
        ValueError: rates that no scanner has, or buckets that do not divide the crystals.
    Source: NiftyPET (Markiewicz et al., Neuroinformatics 16, 2018).
    """
    rates = np.asarray(singles_per_s, np.float64)
    if rates.shape == (224,):
        rates = rates.reshape(8, 28)
    shape = components.efficiencies.shape
    if rates.ndim != 2 or any(n % m for n, m in zip(shape, rates.shape, strict=True)):
        raise ValueError(
            f"singles rates take one number per bucket, (8, 28) for {components.scanner.name}, "
            f"got {rates.shape}"
        )
    if not (np.isfinite(rates) & (rates >= 0)).all():
        raise ValueError("singles rates take numbers of at least 0 per second, got others")
    for axis in (0, 1):
        rates = np.repeat(rates, shape[axis] // rates.shape[axis], axis=axis)
    paralyzing, other = (
        np.asarray(values, np.float64)[:, None] * rates / 2
        for values in (components.paralyzing_s, components.non_paralyzing_s)
    )
    return (np.exp(paralyzing / (1 + other)) / (1 + other)).astype(np.float32)


def singles_efficiencies(components):
    """How an mMR's crystals count singles: efficiencies times those of their places in blocks.

    The file's efficiencies leave out a crystal's place in its block, and its crystal interference
    has that of both ends of a line. In the middle 40 radial bins, where lines meet both crystals
    head on, interference is the product of one number per place, to an R^2 of 0.997 of its
    logarithm: crystals at a block's edges count 12 % less than its mean. Those numbers are found by
    least squares of the logarithm. Place along the scanner is not in them.

    Delayeds of a real scan, with the normalization of another day, show the same places within
    4 %: crystals' fan sums fit singles spread so better than even ones, by 226 of a deviance of
    34,521.

    Args:
        components: NormComponents.
    Returns:
        float32 (rings, crystals), 0 for virtual crystals.
    """
    scanner, places = components.scanner, components.interference.shape[1]
    layout = SinogramLayout.of(scanner, max_ring_difference=0)
    middle = slice(layout.radial_bins // 2 - 20, layout.radial_bins // 2 + 20)
    interference = components.interference[_radial(components, layout)][middle]
    log = np.log(interference.T[np.arange(layout.views) % places], dtype=np.float64)
    ends = layout.crystal_pairs()[0, :, middle] % places
    known = np.isin(ends, scanner.virtual_crystals, invert=True).all(axis=-1)
    ends = (ends[..., None] == np.arange(places)).sum(axis=2) * known[..., None]
    # Each radial bin has a level of its own, which goes with its mean over the views.
    share = known / known.sum(axis=0)
    rows, values = (
        (each - np.einsum("vr,vr...->r...", share, each))[known] for each in (ends, log)
    )
    effect = np.exp(np.linalg.lstsq(rows, values, rcond=None)[0])
    effect = effect[np.arange(scanner.crystals) % places]
    return _real_values(scanner, components.efficiencies * effect)


def crystal_efficiencies(counts, layout, expected, *, background=None, **options) -> Fit:
    """Crystal efficiencies of any scanner from a scan of an object that is known.

    By maximum likelihood of Poisson counts, see `recon.corrections.fan_sums` for the method and
    its source; without background the statistical error of an efficiency is about 1 / sqrt(counts
    of the crystal's coincidences).

    Args:
        counts: prompts, (view, radial, [tof,] plane).
        layout: SinogramLayout whose bins follow the crystals; best at span 1.
        expected: what each PAIR of the bin would count with ideal crystals, in any unit: for the
            projector's mean line integrals no number of pairs is to be multiplied in. Broadcasts
            to (view, radial, plane); 0 leaves a bin out.
        background: expected randoms and scatter in counts, or None.
        options: updates and tolerance of `fit_crystals`.
    Returns:
        Fit, its values scaled to 1 on average over the crystals that count, with their errors.
    Raises:
        ValueError: nothing was counted, or shapes do not fit.
    """
    fit = fit_crystals(counts, layout, expected=expected, background=background, **options)
    errors = relative_errors(fit.values, layout, expected=expected, background=background)
    return replace(fit, values=fit.values / fit.values[fit.values > 0].mean(), errors=errors)


def _real_values(scanner, values):
    real, values = real_crystals(scanner), np.asarray(values)
    if values.shape != real.shape:
        raise ValueError(
            f"efficiencies take shape (rings, crystals) = {real.shape} of {scanner.name!r}, got "
            f"{values.shape}"
        )
    values = np.where(real, values, 0).astype(np.float32)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError("efficiencies take numbers of at least 0, got negative or infinite ones")
    return values


def _check_layout(components, layout):
    ours, theirs = components.scanner, layout.scanner
    if (ours.rings, ours.crystals) != (theirs.rings, theirs.crystals):
        raise ValueError(
            f"the normalization {components.path} is of {ours.name} ({ours.rings} rings of "
            f"{ours.crystals}), the data are of {theirs.name} ({theirs.rings} rings of "
            f"{theirs.crystals}); give the normalization of the data's scanner"
        )
    differences = [
        abs(difference)
        for segment in layout.segments
        for difference in (segment.min_ring_difference, segment.max_ring_difference)
    ]
    if max(differences) > components.max_ring_difference:
        raise ValueError(
            f"the normalization {components.path} takes ring differences up to "
            f"{components.max_ring_difference}, got a layout with {max(differences)}; make it "
            f"with max_ring_difference={components.max_ring_difference}"
        )


def _ring_weights(components, pairs):
    """Geometric over axial effects of each ring pair, float32 (pairs of rings, radial)."""
    own = SinogramLayout.of(
        components.scanner, span=components.span, max_ring_difference=components.max_ring_difference
    )
    plane, ring1, ring2 = own.ring_pairs().T
    axial = np.zeros((components.scanner.rings,) * 2, np.float32)
    axial[ring1, ring2] = components.axial[plane]
    geometric = components.geometric[:, _radial(components, pairs.layout)]
    return geometric[pairs.ring1 + pairs.ring2] / axial[pairs.ring1, pairs.ring2][:, None]


def _radial(components, layout):
    """Where the layout's radial bins, counted from the middle, are in the components."""
    stored = components.geometric.shape[1]
    index = np.arange(layout.radial_bins) - layout.radial_bins // 2 + stored // 2
    if index[0] < 0 or index[-1] >= stored:
        raise ValueError(
            f"the normalization {components.path} has {stored} radial bins, got a layout with "
            f"{layout.radial_bins}; make it with radial_bins={stored} or fewer"
        )
    return index
