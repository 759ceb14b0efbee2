"""`countless benchmark scatter-fraction`: the NEMA scatter fraction of the preset scanners."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from benchmarks import machine, nema_scatter
from recon import Scanner, SinogramLayout
from recon.corrections.attenuation import attenuate
from recon.corrections.multiple_scatter import multiple_scatter
from recon.corrections.photon_transport import PhotonSource
from recon.corrections.scatter import ScatterSampling, coarse_single_scatter
from recon.corrections.scatter_widening import widened
from recon.io.files import check_writable
from recon.io.provenance import write_json
from recon.projectors import SinogramProjector

Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())]

# Scatter fractions in per cent, as measured at or below the peak of the noise-equivalent count
# rate: what could be read at its source or where another quotes it.
HSU = "Hsu et al., J Nucl Med 58(9), 2017"
SITES = "the comparison of sites in EJNMMI Phys 7, 2020, doi 10.1186/s40658-020-0271-x"
QUADRA = "Prenosil et al., J Nucl Med 63(3), 2022"
PUBLISHED = {
    "mMR": (
        (37.9, f"Delso et al., J Nucl Med 52(12), 2011, as {HSU} quotes it"),
        (37.0, "Karlberg et al., EJNMMI Phys 3:5, 2016"),
        (36.0, "Fürst et al., J Nucl Med 52 (suppl. 1), 2011"),
    ),
    "Vision 600": (),
    "Vision Quadra": ((37.0, f"{QUADRA}, ring differences up to 322"),),
    "Discovery MI": (
        (40.6, HSU), (40.5, SITES), (40.8, f"Uppsala, in {SITES}"), (42.1, f"Tokyo, in {SITES}"),
    ),
    "uEXPLORER": (),
}
LEFT_OUT = (
    "covers and end shields, which scatter too, pile-up at high count rates, and that detectors "
    "record photons that come at an angle better: each would add to the scatter that is counted; "
    "all ring differences are accepted"
)
# Scatter fractions to which the effective thresholds of presets were fitted (--fit); the Vision 600
# has the Quadra's crystals, and its threshold. All other rows are predictions.
FITTED = {"Discovery MI": (40.6, HSU), "Vision Quadra": (37.0, QUADRA)}
_PER_KEV = -0.25  # points of scatter fraction per keV of threshold, to begin with
_TOLERANCE_KEV, _MOST_STEPS = 0.5, 10
_RING_MM, _RINGS, _VIEWS = 8.0, 48, 24


def scatter_fraction(
    *,
    scanner: Names = tuple(PUBLISHED),
    pairs: int = 2_000_000,
    fit: bool = False,
    output: Path | None = None,
):
    """Simulate the NEMA NU 2 scatter phantom and compare scatter fractions with measured ones.

    Single and total scatter fraction are found from sinograms of trues and scatter as NEMA NU 2
    does from measured ones; the same from photon pairs of the Monte Carlo simulation beside them.

    Args:
        scanner: Presets, and Vision Quadra (the Vision 600, four times as long).
        pairs: Photon pairs that the Monte Carlo simulation draws.
        fit: Find the effective thresholds that give the scatter fractions to which those of presets
            are fitted, and use them; only scanners that have one.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    if fit:
        scanner = tuple(name for name in scanner if name in FITTED)
    scanners = [(name, named(name)) for name in scanner]
    if not scanners:
        raise ValueError(f"--fit takes a --scanner out of {', '.join(FITTED)}, got none of them")
    if pairs < 1:
        raise ValueError(f"--pairs takes a number from 1, got {pairs}")
    if output is not None:
        check_writable(output)
    results = machine.origin()
    results |= {"unit": "percent", "left_out": LEFT_OUT, "rows": []}
    print(f"{'':14} {'kev':>7} {'single':>7} {'total':>7} {'Monte Carlo':>13}   published")
    for name, its in scanners:
        if fit:
            its = fitted(its, FITTED[name][0], pairs)
        row = {"scanner": name} | _thresholds(name, its) | measure(its, pairs) | _compared(name)
        row["points_off"] = points_off(row)
        results["rows"].append(row)
        print(_line(row), flush=True)
    for name in results["rows"][0]["changes"]:
        points = ", ".join(f"{row['changes'][name]:+.1f}" for row in results["rows"])
        print(f"{name}: {points} points")
    print(f"\nnot in the simulation: {LEFT_OUT}")
    if output is not None:
        write_json(output, results)
    return results


def measure(scanner, pairs):
    """Scatter fractions of a scanner in per cent, a dict; `pairs` photon pairs are drawn."""
    began = time.perf_counter()
    single, total, multiple = fractions(scanner, pairs)
    source = PhotonSource(*nema_scatter.line(), *nema_scatter.cylinder_on_table(), scanner)
    drawn, drawn_sd = nema_scatter.fraction_of_pairs(source, pairs)
    return {
        "single": single, "total": total, "monte_carlo": 100 * drawn,
        "monte_carlo_sd": 100 * drawn_sd, "multiple_scatter": asdict(multiple),
        "changes": changes(scanner, pairs), "seconds": time.perf_counter() - began,
    }


def fractions(scanner, pairs):
    """Single and total scatter fraction in per cent of simulated sinograms, and MultipleScatter."""
    layout = _layout(scanner)
    line, grid = nema_scatter.line()
    soft = nema_scatter.line(nema_scatter.SOFT_MM)
    phantom = nema_scatter.cylinder_on_table()
    geometry = _geometry(layout)
    trues = geometry.copy()
    attenuate(trues, *phantom, layout)
    trues *= SinogramProjector(layout, grid)(line)
    sampling = ScatterSampling(crystals=48, ring_mm=max(20.0, layout.scanner.ring_spacing_mm))
    coarse, coarse_pairs = coarse_single_scatter(*soft, *phantom, layout, sampling=sampling)
    multiple = multiple_scatter(line, grid, *phantom, layout, most=pairs, precision=0)
    both = coarse + widened(coarse, coarse_pairs, multiple)
    found = (
        nema_scatter.rebinned(trues + geometry * coarse_pairs.to_bins(scatter, layout), layout)
        for scatter in (coarse, both)
    )
    return *(100 * float(nema_scatter.fraction(slices, layout)) for slices in found), multiple


def fitted(scanner, percent, pairs):
    """The scanner with the effective threshold, in whole keV, that gives a scatter fraction.

    Found by the secant method, for the total scatter fraction is nearly straight in the threshold.

    Raises:
        ValueError: no threshold gives it.
    """
    kev, before, before_off = scanner.energy_window_kev[0], None, None
    for _ in range(_MOST_STEPS):
        now = replace(scanner, effective_threshold_kev=kev)
        off = fractions(now, pairs)[1] - percent
        slope = _PER_KEV if before is None else (off - before_off) / (kev - before)
        if slope == 0:
            break
        before, before_off, kev = kev, off, kev - off / slope
        if abs(kev - before) < _TOLERANCE_KEV:
            return replace(scanner, effective_threshold_kev=round(kev))
    raise ValueError(
        f"the threshold of {scanner.name} cannot be fitted to a scatter fraction of {percent} %; "
        "correct its energy_resolution or energy_window_kev"
    )


def changes(scanner, pairs):
    """By how many points the scatter fraction would change, were the scanner another, a dict."""
    line, phantom = nema_scatter.line(), nema_scatter.cylinder_on_table()
    lower = (scanner.effective_threshold_kev or scanner.energy_window_kev[0]) - 10
    others = {
        "window from 10 keV lower": replace(scanner, effective_threshold_kev=lower),
        "the window's own threshold": replace(scanner, effective_threshold_kev=None),
        "crystals measured one by one": replace(
            scanner, block_crystals=(1, 1), virtual_crystals=(), virtual_rings=(),
            adds_blocks=False,
        ),
        "energies of blocks added": replace(scanner, adds_blocks=True),
        "energy resolution alone, all energy measured": replace(scanner, scintillator=None),
    }
    now, slanted, *parts = nema_scatter.scattered_part(
        PhotonSource(*line, *phantom, scanner), pairs, others.values()
    )
    parts = dict(zip(others, parts, strict=True)) | {"photons at an angle recorded better": slanted}
    alone = PhotonSource(*line, *nema_scatter.cylinder(), scanner)
    parts["no patient table"] = nema_scatter.scattered_part(alone, pairs)[0]
    return {name: 100 * (part - now) for name, part in parts.items()}


def _thresholds(name, scanner):
    """The lower edge of the window, and what the one that photons meet was fitted to."""
    own, effective = scanner.energy_window_kev[0], scanner.effective_threshold_kev
    said = {"threshold_kev": own, "effective_threshold_kev": effective or own}
    if name in FITTED:
        return said | {"fitted_to": "{:g} % of {}".format(*FITTED[name])}
    source = "predicted" if effective is None else "predicted, with the threshold of Vision Quadra"
    return said | {"fitted_to": source}


def named(name):
    """A preset, or Vision Quadra."""
    if name == "Vision Quadra":
        # 106 cm, with the crystals of the Vision 600.
        return replace(Scanner.preset("Vision 600"), name=name, rings=320)
    scanner = Scanner.preset(name)
    if scanner.energy_resolution is None:
        raise ValueError(
            f"scatter-fraction takes scanners with energy_resolution, got {name!r}, whose is not "
            f"known; {', '.join(PUBLISHED)} have one"
        )
    return scanner


def _layout(scanner):
    """Arc-corrected bins of the scanner in fewer rings and views: the phantom is smooth in both."""
    length = scanner.rings * scanner.ring_spacing_mm
    rings = max(1, min(_RINGS, round(length / _RING_MM), scanner.rings))
    coarse = replace(scanner, rings=rings, ring_spacing_mm=length / rings)
    half = scanner.crystals // 2
    bins = 2 * round(240 / scanner.radial_bin_mm) + 1
    widest = 0.9 * scanner.effective_radius_mm
    return SinogramLayout.of(
        coarse, radial_bins=min(bins, 2 * int(widest / scanner.radial_bin_mm) + 1),
        radial_mm=scanner.radial_bin_mm, view_mashing=max(1, half // _VIEWS),
    )


def _geometry(layout):
    """What each bin counts of a line of unit activity, but for a constant, float32 layout.shape.

    cosA cosB / r^2 of its pairs of detectors, and how many of those a mm across the scanner has.
    """
    half = layout.rays()[..., 3, None]
    apart = np.repeat(layout.segment_table()[:, 2], [s.planes for s in layout.segments])
    radius = layout.scanner.effective_radius_mm
    return (half**3 * radius / (half**2 + (apart / 2) ** 2) ** 2).astype(np.float32)


def _compared(name):
    values = [value for value, _ in PUBLISHED.get(name, ())]
    return {
        "published": [{"value": value, "source": source}
                      for value, source in PUBLISHED.get(name, ())],
        "published_range": [min(values), max(values)] if values else None,
    }


def points_off(row):
    """How far the total lies from the published range, negative below; 0 within, None without."""
    if row["published_range"] is None:
        return None
    low, high = row["published_range"]
    return min(row["total"] - low, 0.0) or max(row["total"] - high, 0.0)


def _line(row):
    words = "no value that could be checked"
    if row["published_range"]:
        low, high = row["published_range"]
        words = f"{low:.1f}" if low == high else f"{low:.1f} to {high:.1f}"
        words += f": {row['points_off']:+.1f} points off" if row["points_off"] else ": within"
    drawn = f"{row['monte_carlo']:.1f} ± {row['monte_carlo_sd']:.1f}"
    return (
        f"{row['scanner']:14} {row['effective_threshold_kev']:7.0f} {row['single']:6.1f}% "
        f"{row['total']:6.1f}% {drawn:>12}%   {words}; {row['fitted_to']}"
    )
