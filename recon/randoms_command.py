"""The command `countless randoms`: delayed coincidences in, expected randoms out."""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from recon import text
from recon.agreement import refuse, role_misfits
from recon.command_line import command_line
from recon.corrections.coincidences import Coincidences
from recon.corrections.fan_sums import fit_fan_sums
from recon.corrections.randoms import randoms as expected_randoms
from recon.io import FileError, check_counts, provenance, read_layout, read_sinogram, write_sinogram
from recon.io.lists import open_list
from recon.sinogram_output import check_sinogram_output, study_of

_SHARED = "from the sinogram's bins, each shared evenly among its crystal pairs"


def randoms(
    *,
    delayed: Path,
    output: Annotated[Path, Parameter(alias="-o")],
    list_mode: Annotated[Path | None, Parameter(name="--list")] = None,
    config: Path | None = None,
):
    """Estimate a scan's randoms from its delayeds, for `countless recon --background`.

    Expected randoms are products of one number per crystal, which is found from all delayeds of
    the crystal by maximum likelihood; their noise is far below the delayeds' own.

    Args:
        delayed: Sinogram of delayed coincidences as counted (.hs), or a scanner's sinogram that
            holds them beside its prompts (.s.hdr).
        output: Sinogram to write (.hs), with a .json beside it that says how.
        list_mode: Header of the list that the delayeds were counted from (.hdr): it tells each
            one's crystals. Without it, a bin's counts are shared evenly among its crystal pairs,
            which is as good at span 1, and at a wider span blurs a little along the scanner.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    refuse(role_misfits(delayed, "delayeds"))
    layout, info = read_layout(delayed)
    events = list_mode and open_list(list_mode)
    lists = [list_mode, events.path] if events else []
    inputs = [delayed, *lists, *filter(None, [config])]
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
            "scan, or reconstruct without --background"
        )
    pairs = Coincidences(layout)
    if events:
        fans = _fan_sums(events, pairs, info, (list_mode, delayed, total))
    else:
        fans = pairs.shared_fan_sums(counts)
    del counts
    fit = _fit(fans, layout)
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
        ("fit", f"{'converged' if fit.converged else 'NOT converged'} after "
                f"{text.plural(fit.updates, 'update')}, largest change {fit.change:.1e}"),
        ("delayeds", text.number(total)),
        ("randoms", f"{estimated:,.1f}, written to {output}"),
    ]))


def _fit(fans, layout):
    with tqdm(unit=" updates", delay=1, file=sys.stderr, dynamic_ncols=True) as bar:

        def watch(change):
            bar.set_postfix_str(f"largest change {change:.1e}", refresh=False)
            bar.update()

        return fit_fan_sums(fans, layout, watch=watch)


def _check_scanner(events, layout, list_mode, delayed):
    ours = layout.scanner
    if events and (ours.rings, ours.crystals) != (events.scanner.rings, events.scanner.crystals):
        raise FileError(
            f"{list_mode} is of {events.scanner.name}, {delayed} of {ours.name}; give the list "
            "that the delayeds were counted from"
        )


def _fan_sums(events, pairs, info, named):
    """How many delayed events of the sinogram's time each crystal is part of.

    Raises:
        FileError: the list has another number of them than the sinogram.
    """
    list_mode, delayed, total = named
    start_ms = round(1000 * info.get("start_s", 0))
    stop_ms = start_ms + round(1000 * info["duration_s"]) if "duration_s" in info else np.inf
    fans = np.zeros((events.scanner.rings, events.scanner.crystals))
    for chunk in events.chunks():
        inside = chunk.delayed & (chunk.time_ms >= start_ms) & (chunk.time_ms < stop_ms)
        inside &= chunk.crystal1 >= 0  # an impossible address
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
