"""The command `countless randoms`: delayed coincidences or singles in, expected randoms out."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from recon import progress, text
from recon.agreement import refuse, role_misfits
from recon.command_line import command_line
from recon.corrections.coincidences import Coincidences
from recon.corrections.fan_sums import fit_fan_sums
from recon.corrections.normalization import singles_efficiencies
from recon.corrections.randoms import (
    crystal_singles,
    mean_of_squares,
    randoms_from_singles,
)
from recon.corrections.randoms import randoms as expected_randoms
from recon.histogram import mashed_tof
from recon.io import FileError, check_counts, provenance, read_layout, read_sinogram, write_sinogram
from recon.io.lists import open_list
from recon.io.siemens_norm import read_norm
from recon.quantity import isotope_of
from recon.singles import block_singles, singles_file
from recon.sinogram_output import check_sinogram_output, study_of

_SHARED = "from the sinogram's bins, each shared evenly among its crystal pairs"


def randoms(
    *,
    delayed: Path | None = None,
    output: Annotated[Path, Parameter(alias="-o")],
    list_mode: Annotated[Path | None, Parameter(name="--list")] = None,
    singles: Path | None = None,
    norm: Path | None = None,
    window_ps: float | None = None,
    config: Path | None = None,
):
    """Estimate a scan's randoms from its delayeds or singles, for `countless recon --randoms`.

    Expected randoms are products of one number per crystal. It is found from all delayeds of the
    crystal by maximum likelihood, with noise far below the delayeds' own; or it is the crystal's
    rate of singles, which has hardly any noise, but only blocks report it: without --norm a block's
    singles are spread evenly over its crystals.

    Args:
        delayed: Sinogram of delayed coincidences as counted (.hs), or a scanner's sinogram that
            holds them beside its prompts (.s.hdr).
        output: Sinogram to write (.hs), with a .json beside it that says how.
        list_mode: Header of the list that the delayeds were counted from (.hdr): it tells each
            one's crystals. Without it, a bin's counts are shared evenly among its crystal pairs,
            which is as good at span 1, and at a wider span blurs a little along the scanner.
        singles: Sinogram that `countless histogram` made: its bins are taken, and the singles rates
            from the .json beside it or a Siemens header itself; in place of --delayed.
        norm: Siemens mMR's component normalization (.n.hdr), by which a block's singles are spread:
            crystal efficiencies, and less at the block's edges.
        window_ps: Full width 2 tau of the coincidence window, in place of the scanner's.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    if (delayed is None) == (singles is None):
        raise ValueError("randoms take --delayed or --singles; give one of them")
    for flag, value, other in (("--list", list_mode, delayed), ("--norm", norm, singles),
                               ("--window-ps", window_ps, singles)):
        if value is not None and other is None:
            raise ValueError(f"{flag} belongs to {'--singles' if delayed else '--delayed'}; leave "
                             "it out")
    more = [config] if config else []
    if delayed:
        _from_delayeds(settings, delayed, list_mode, output, more)
    else:
        _from_singles(settings, singles, norm, window_ps, output, more)


def _from_singles(settings, scan, norm, window_ps, output, more):
    layout, info = read_layout(scan)
    inputs = [singles_file(scan, info), *([norm] if norm else []), *more]
    check_sinogram_output(output, layout, [scan, *inputs[1:]], arrays=2)
    if "duration_s" not in info:
        raise FileError(f"{scan} does not say how long it took; histogram it again")
    rates, why = block_singles(scan, info, layout.scanner)
    if rates is None:
        raise FileError(f"{scan}: {why}; use delayeds, or a longer frame")
    efficiencies = _efficiencies(norm, layout.scanner)
    duration_s = info["duration_s"]
    decay, words = _decay(info, scan)
    window_ps = layout.scanner.coincidence_window_ps if window_ps is None else window_ps
    print(text.table([
        ("singles", f"{rates.sum():,.0f} per second in {rates.size} blocks, {rates.min():,.0f} to "
                    f"{rates.max():,.0f}, by {inputs[0]}"),
        ("layout", f"of {scan}: {text.layout(layout)}"),
        ("crystals", f"spread by {norm}" if norm else "spread evenly"),
    ]), flush=True)
    values = crystal_singles(rates, layout.scanner, efficiencies=efficiencies)
    found = randoms_from_singles(values, layout, duration_s * decay, window_ps=window_ps)
    estimated = float(found.sum(dtype=np.float64))
    record = provenance(
        command=command_line(randoms, settings),
        configuration=settings,
        inputs=inputs,
        unit="counts",
        quantity="expected random coincidences",
        singles_per_second=float(rates.sum()),
        coincidence_window_ps=window_ps,
        duration_s=duration_s,
        decay_factor=decay,
        randoms=estimated,
    )
    write_sinogram(output, found, layout, study_of(info), sidecar=record)
    print(text.table([
        ("window", f"2 tau = {window_ps:g} ps, for {duration_s:g} s"),
        ("decay", words),
        ("randoms", f"{estimated:,.1f}, written to {output}"),
    ]))


def _decay(info, scan):
    """The mean square of the scan's singles over the square of their mean, and words on it."""
    try:
        found = isotope_of(info, scan)
    except FileError:
        return 1.0, "of an unknown isotope: singles are taken as constant"
    factor = mean_of_squares(found, info["duration_s"])
    return factor, (
        f"of {found.name}, which singles are taken to follow: × {factor:.6g}, for randoms go with "
        "their square"
    )


def _efficiencies(norm, scanner):
    """How crystals count singles by a normalization of this scanner, or None."""
    if norm is None:
        return None
    components = read_norm(norm)
    own = components.scanner
    if (own.rings, own.crystals) != (scanner.rings, scanner.crystals):
        raise FileError(f"{norm} is of {own.name}, the scan of {scanner.name}; give its own")
    return singles_efficiencies(components)


def _from_delayeds(settings, delayed, list_mode, output, more):
    refuse(role_misfits(delayed, "delayeds"))
    layout, info = read_layout(delayed)
    events = list_mode and open_list(list_mode)
    lists = list(events.inputs) if events else []
    inputs = [delayed, *lists, *more]
    check_sinogram_output(output, layout, inputs, arrays=2)
    _check_scanner(events, layout, list_mode, delayed)
    print(text.table([
        ("delayeds", f"{delayed}, {text.layout(layout)}"),
        ("crystals", f"of the events of {list_mode}" if events else _SHARED),
    ]), flush=True)
    counts = read_sinogram(delayed, dataset="delayeds")[0]
    check_counts(counts, delayed, "delayed coincidences")
    total = float(counts.sum(dtype=np.float64))
    if not total:
        raise FileError(
            f"{delayed} has no delayed coincidence, so nothing tells the randoms; give a longer "
            "scan, or reconstruct without --randoms"
        )
    if events:
        fans = _fan_sums(events, layout, info, (list_mode, delayed, total))
    else:
        fans = Coincidences(layout).shared_fan_sums(counts)
    del counts
    with progress.updates() as watch:
        fit = fit_fan_sums(fans, layout, watch=watch)
    found = expected_randoms(fit.values, layout)
    estimated = float(found.sum(dtype=np.float64))
    record = provenance(
        command=command_line(randoms, settings),
        configuration=settings,
        inputs=inputs,
        unit="counts",
        quantity="expected random coincidences",
        delayeds=total,
        randoms=estimated,
        updates=fit.updates,
        largest_change=fit.change,
        converged=fit.converged,
    )
    write_sinogram(output, found, layout, study_of(info), sidecar=record)
    print(text.table([
        ("fit", text.fit(fit)),
        ("delayeds", text.number(total)),
        ("randoms", f"{estimated:,.1f}, written to {output}"),
    ]))


def _check_scanner(events, layout, list_mode, delayed):
    ours = layout.scanner
    if events and (ours.rings, ours.crystals) != (events.scanner.rings, events.scanner.crystals):
        raise FileError(
            f"{list_mode} is of {events.scanner.name}, {delayed} of {ours.name}; give the list "
            "that the delayeds were counted from"
        )


def _fan_sums(events, layout, info, named):
    """How many delayed events of the sinogram's time and bins each crystal is part of.

    Raises:
        FileError: the list has another number of them than the sinogram.
    """
    (list_mode, delayed, total), pairs = named, Coincidences(layout)
    start_ms = round(1000 * info.get("start_s", 0))
    stop_ms = start_ms + round(1000 * info["duration_s"]) if "duration_s" in info else np.inf
    fans = np.zeros((events.scanner.rings, events.scanner.crystals))
    for chunk in events.chunks():
        inside = chunk.delayed & (chunk.time_ms >= start_ms) & (chunk.time_ms < stop_ms)
        inside &= chunk.crystal1 >= 0  # an impossible address
        if layout.tof and chunk.tof_bin is not None:
            inside &= mashed_tof(layout, chunk.tof_bin) >= 0
        part = chunk.select(inside)
        fans += pairs.fan_sums_of_events(part.ring1, part.crystal1, part.ring2, part.crystal2)
    listed = fans.sum() / 2
    if round(total) != listed:
        raise FileError(
            f"{list_mode} has {listed:,.0f} delayed coincidences in the bins and the time of "
            f"{delayed}, which has {total:,.10g}; give the list that they were counted from, or "
            "leave --list out"
        )
    return fans
