"""The command `countless convert`: lists and sinograms to CASToR and PETSIRD, and back."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recon import progress, text
from recon.castor_conversion import PARTS, from_histogram, to_histogram
from recon.command import WHOLE
from recon.command_line import command_line, flag_of
from recon.io import FileError, check_output, provenance
from recon.io.castor_data import data_mode
from recon.io.castor_header import read_keys
from recon.io.lists import WRITTEN, open_list, write_list
from recon.io.sinogram import is_sinogram

_OF_HISTOGRAM = ("scanner", "span", "max_ring_difference", "efficiency_out", "background_out")


def convert(
    scan: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    efficiency: Path | None = None,
    randoms: Path | None = None,
    scatter: Path | None = None,
    mu_map: Path | None = None,
    scanner: Path | None = None,
    span: Annotated[int | None, WHOLE] = None,
    max_ring_difference: Annotated[int | None, WHOLE] = None,
    efficiency_out: Path | None = None,
    background_out: Path | None = None,
    config: Path | None = None,
):
    """Bring a scan into another format: CASToR's or PETSIRD, or out of CASToR's histograms.

    A list becomes a CASToR or PETSIRD list. A sinogram becomes a CASToR histogram, with what is
    given of its model. A CASToR histogram becomes a sinogram.

    Args:
        scan: List (mMR's header .hdr, PETSIRD, CASToR's header .cdh), sinogram (.hs, .s.hdr), or
            CASToR's header of a histogram (.cdh).
        output: .cdh, with data (.cdf) and CASToR's files of the scanner (.hscan, .lut) beside it;
            .petsird; or .hs. A .json beside it says how.
        efficiency: Sinogram of factors m without attenuation, for a histogram.
        randoms: Sinogram of expected randoms, in counts, for a histogram.
        scatter: Sinogram of expected scatter, in counts, for a histogram.
        mu_map: Image of attenuation in 1/cm (.nii, .nii.gz, .hv), for a histogram.
        scanner: CASToR's file of the scanner (.geom, .hscan) where it is not beside the header nor
            in $CASTOR_CONFIG/scanner.
        span: Of a histogram that others wrote: its ring differences per segment, by default 1.
        max_ring_difference: The largest of that histogram, by default any.
        efficiency_out: Sinogram of a histogram's factors m to write, attenuation included (.hs).
        background_out: Sinogram of a histogram's randoms and scatter to write, in counts (.hs).
        config: YAML file of these settings by name; flags go over it.
    """
    settings = dict(locals())
    castor = scan.suffix.lower() == ".cdh"
    if castor and data_mode(read_keys(scan)) == "histogram":
        _only(settings, _OF_HISTOGRAM, "a CASToR histogram", output, (".hs",))
        from_histogram(settings, partial(_record, settings))
    elif is_sinogram(scan):
        _only(settings, PARTS, "a sinogram", output, (".cdh",))
        to_histogram(settings, partial(_record, settings))
    else:
        _only(settings, ("scanner",), "a list", output, WRITTEN)
        _from_list(settings)


def _only(settings, allowed, what, output, suffixes):
    """Refuses settings that say nothing of such a scan, and outputs that it cannot become."""
    for name in (*PARTS, *_OF_HISTOGRAM):
        if settings[name] is not None and name not in allowed:
            raise ValueError(
                f"{flag_of(name)} is of no use where {settings['scan']} is {what}; "
                "leave it out"
            )
    if output.suffix not in suffixes:
        more = "; `countless histogram` makes sinograms of lists" if output.suffix == ".hs" else ""
        raise FileError(
            f"{settings['scan']} is {what} and becomes {' or '.join(suffixes)}, got {output}{more}"
        )


def _from_list(settings):
    output = settings["output"]
    events = open_list(settings["scan"], settings["scanner"])
    check_output(output, events.inputs)
    print(text.table([
        ("list mode", f"{events.inputs[0]}, {events.size}, {events.end_ms / 1000:.10g} s"),
        ("scanner", text.scanner(events.scanner)),
        *([("TOF", text.time_of_flight(events.layout))] if events.layout.tof else []),
        *(("note", note) for note in events.known_notes),
    ]), flush=True)
    record = _record(settings, events.inputs, unit="events", quantity="list of coincidences")
    chunks = progress.events(events.chunks(), events.end_ms)
    counts = write_list(output, chunks, events, sidecar=record)
    left_out = {
        "delayeds": "delayed coincidences, which CASToR's lists cannot hold",
        "impossible": "events on crystals or in time-of-flight bins that the scanner does not have",
    }
    print(text.table([
        ("events", f"{counts['events']:,}, written to {output}"),
        *(("left out", f"{counts[name]:,} {why}") for name, why in left_out.items()
          if counts.get(name)),
        *(("note", note) for note in events.notes if note not in events.known_notes),
    ]))


def _record(settings, inputs, **more):
    said = {name: value for name, value in settings.items() if name != "config"}
    inputs = [*inputs, *filter(None, [settings["config"]])]
    return provenance(command=command_line(convert, said), configuration=said, inputs=inputs,
                      **more)
