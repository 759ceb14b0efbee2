"""The command `countless convert`: lists and sinograms to CASToR and PETSIRD, and back."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from recon import agreement, text
from recon.command import WHOLE
from recon.command_line import command_line
from recon.corrections.attenuation import attenuate
from recon.histogram_command import watched
from recon.io import (
    FileError,
    check_counts,
    check_output,
    provenance,
    read_image,
    read_layout,
    sidecar_path,
    write_sinogram,
)
from recon.io.castor_data import data_mode
from recon.io.castor_header import read_keys
from recon.io.castor_histogram import read_castor_histogram, read_castor_layout
from recon.io.castor_histogram_writing import write_castor_histogram
from recon.io.castor_list import read_castor_list
from recon.io.castor_list_writing import write_castor_list
from recon.io.lists import open_list
from recon.io.provenance import write_json
from recon.measurement import read_bins
from recon.sinogram_output import check_memory, check_sinogram_output, study_of

_PETSIRD = (".petsird", ".bin")
_PARTS = ("efficiency", "randoms", "scatter", "mu_map")
_OF_HISTOGRAM = ("span", "max_ring_difference", "efficiency_out", "background_out")


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
):
    """Bring a scan into another format: CASToR's or PETSIRD, or out of CASToR's histograms.

    A list becomes a CASToR or PETSIRD list. A sinogram becomes a CASToR histogram, with what is
    given of its model. A CASToR histogram becomes a sinogram.

    Args:
        scan: List (mMR's header .hdr, PETSIRD, CASToR's header .cdh), sinogram (.hs), or CASToR's
            header of a histogram (.cdh).
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
    """
    settings = dict(locals())
    castor = scan.suffix.lower() == ".cdh"
    if scanner and not castor:
        raise ValueError("--scanner takes a scan in CASToR's format (.cdh); leave it out")
    if castor and data_mode(read_keys(scan)) == "histogram":
        _only(settings, _OF_HISTOGRAM, "a CASToR histogram", output, (".hs",))
        _from_histogram(settings)
    elif scan.suffix == ".hs":
        _only(settings, _PARTS, "a sinogram", output, (".cdh",))
        _from_sinogram(settings)
    else:
        _only(settings, (), "a list", output, (".cdh", *_PETSIRD))
        _from_list(settings, castor)


def _only(settings, allowed, what, output, suffixes):
    """Refuses settings that say nothing of such a scan, and outputs that it cannot become."""
    for name in (*_PARTS, *_OF_HISTOGRAM):
        if settings[name] is not None and name not in allowed:
            raise ValueError(
                f"--{name.replace('_', '-')} is of no use where {settings['scan']} is {what}; "
                "leave it out"
            )
    if output.suffix not in suffixes:
        more = "; `countless histogram` makes sinograms of lists" if output.suffix == ".hs" else ""
        raise FileError(
            f"{settings['scan']} is {what} and becomes {' or '.join(suffixes)}, got {output}{more}"
        )


def _from_list(settings, castor):
    scan, output = settings["scan"], settings["output"]
    events = read_castor_list(scan, settings["scanner"]) if castor else open_list(scan)
    check_output(output, events.inputs)
    check_output(sidecar_path(output), events.inputs)
    print(text.table([
        ("list mode", f"{events.inputs[0]}, {events.size}, {events.end_ms / 1000:.10g} s"),
        ("scanner", text.scanner(events.scanner)),
        *([("TOF", text.time_of_flight(events.layout))] if events.layout.tof else []),
        *(("note", note) for note in events.known_notes),
    ]), flush=True)
    info = events.info | {"duration_s": events.last_ms / 1000}
    record = _record(settings, events.inputs, unit="events", quantity="list of coincidences")
    chunks = watched(events.chunks(), events.end_ms)
    if output.suffix == ".cdh":
        counts = write_castor_list(
            output, chunks, events.scanner, info=info, sidecar=record,
            max_ring_difference=events.layout.max_ring_difference,
        )
    else:
        from recon.io.petsird_writing import write_petsird

        # A scanner's bins of time of flight are not there where the list has none.
        bins = events.scanner.tof_bins if events.layout.tof else 1
        scanner = replace(events.scanner, tof_bins=bins)
        written, impossible = write_petsird(output, chunks, scanner, info=info)
        counts = {"events": written, "delayeds": 0, "impossible": impossible}
        write_json(sidecar_path(output), record | {"file": output.name, "counts": counts})
    left_out = {
        "delayeds": "delayed coincidences, which CASToR's lists cannot hold",
        "impossible": "events on crystals or in time-of-flight bins that the scanner does not have",
    }
    print(text.table([
        ("events", f"{counts['events']:,}, written to {output}"),
        *(("left out", f"{counts[name]:,} {why}") for name, why in left_out.items()
          if counts[name]),
        *(("note", note) for note in events.notes if note not in events.known_notes),
    ]))


def _from_sinogram(settings):
    scan, output = settings["scan"], settings["output"]
    layout, info = read_layout(scan)
    parts = {name: settings[name] for name in _PARTS if settings[name]}
    inputs = [scan, *parts.values()]
    check_output(output, inputs)
    _check_parts(parts, scan, layout, info)
    check_memory(layout, 1 + len(parts))
    notes = list(info["notes"])
    if "duration_s" not in info:
        notes.append("how long the scan took is not known: `Duration (s): 1` is written")
    if layout.tof and "randoms" in parts:
        notes.append("CASToR's randoms are of all time-of-flight bins together, shared evenly")
    print(text.table([
        ("sinogram", f"{scan}, {text.layout(layout)}"),
        ("scanner", text.scanner(layout.scanner)),
        *((name.replace("_", " "), path) for name, path in parts.items()),
        *(("note", note) for note in notes),
    ]), flush=True)
    flat = layout.without_tof()
    arrays = {
        "factors": _read(parts, "efficiency", "efficiencies", flat),
        "randoms": _read(parts, "randoms", "randoms", layout),
        "scatter": _read(parts, "scatter", "scatter", layout),
        "attenuation": _attenuation(parts, flat, info),
    }
    prompts = read_bins(scan, "prompts", layout)
    with tqdm(total=layout.views, unit=" views", file=sys.stderr, dynamic_ncols=True) as bar:
        counts = write_castor_histogram(
            output, prompts, layout, **arrays, info=info, watch=bar.update,
            sidecar=_record(settings, inputs, unit="counts", quantity="prompts", notes=notes),
        )
    rows = [("bins", f"{counts['bins']:,}, written to {output}")]
    if counts["left_out"]:
        prompts_lost = text.number(counts["prompts_left_out"])
        rows.append(("left out", f"{counts['left_out']:,} bins without crystals or with factors of "
                                 f"0, with {prompts_lost} prompts in them"))
    print(text.table(rows))


def _check_parts(parts, scan, layout, info):
    """Whether the files of the model fit the scan."""
    if "efficiency" in parts:
        agreement.check_layout(parts["efficiency"], "factors", scan, tof=layout.tof)
        if read_layout(parts["efficiency"])[0].tof:
            raise FileError(
                f"{parts['efficiency']} has factors by time of flight, where CASToR has one for "
                "all its bins; give factors without it"
            )
    if "scatter" in parts:
        agreement.check_layout(parts["scatter"], "background", scan, tof=layout.tof)
    if "randoms" in parts:
        tof = layout.tof and read_layout(parts["randoms"])[0].tof
        agreement.check_layout(parts["randoms"], "randoms", scan, tof=tof)
    if "mu_map" in parts:
        agreement.check_position(parts["mu_map"], info["patient_position"], scan)
        agreement.check_per_cm(parts["mu_map"])


def _read(parts, name, what, layout):
    """A part's sinogram, None where it is not given."""
    if name not in parts:
        return None
    stored = read_layout(parts[name])[0]
    return read_bins(parts[name], what, layout if stored.tof else layout.without_tof())


def _attenuation(parts, layout, info):
    """What is left of the photon pairs, None without a mu map."""
    if "mu_map" not in parts:
        return None
    mu, grid, _ = read_image(parts["mu_map"], info["patient_position"])
    check_counts(mu, parts["mu_map"], "attenuation in 1/cm", axes=("x", "y", "z"))
    survival = np.ones(layout.shape, np.float32)
    attenuate(survival, mu, grid, layout)
    return survival


def _from_histogram(settings):
    scan, output = settings["scan"], settings["output"]
    how = {name: settings[name] for name in ("span", "max_ring_difference")}
    layout, header, crystals = read_castor_layout(scan, settings["scanner"], **how)
    inputs = (*header.inputs, *crystals.files)
    held = {*header.record.names, *header.record["bins"].base.names}
    if settings["background_out"] and not held & {"random", "scatter"}:
        raise FileError(
            f"--background-out: {scan} has neither randoms nor scatter; leave it out"
        )
    outputs = [settings[name] for name in ("output", "efficiency_out", "background_out")]
    outputs = [path for path in outputs if path]
    kept = held & {"acf", "norm", "random", "scatter"}
    for path in outputs:
        check_sinogram_output(path, layout, inputs, arrays=2 + len(kept))
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise FileError(f"two outputs have the name of one another, {output}; give others")
    print(text.table([
        ("histogram", f"{scan}, {header.events:,} bins"),
        ("scanner", text.scanner(layout.scanner)),
        ("layout", text.layout(layout)),
        *([("TOF", text.time_of_flight(layout))] if layout.tof else []),
    ]), flush=True)
    with tqdm(total=header.events, unit=" bins", unit_scale=True, file=sys.stderr,
              dynamic_ncols=True) as bar:
        found = read_castor_histogram(scan, settings["scanner"], **how, watch=bar.update)
    check_counts(found.prompts, scan)
    rows = [*(("note", note) for note in found.notes),
            *_write(settings, found), *_dropped(found.dropped)]
    print(text.table(rows))


def _write(settings, found):
    """Writes a histogram's sinograms; yields rows of a table on them."""
    study, inputs = study_of(found.info), found.inputs
    facts = {"dropped": found.dropped, "notes": found.notes}
    write_sinogram(settings["output"], found.prompts, found.layout, found.info, sidecar=_record(
        settings, inputs, unit="counts", quantity="prompts", **facts))
    total = float(found.prompts.sum(dtype=np.float64))
    yield "prompts", f"{text.number(total)}, written to {settings['output']}"
    attenuation = "" if found.attenuation is None else ", attenuation included"
    if settings["efficiency_out"]:
        quantity = f"factors m that multiply expected counts{attenuation}"
        record = _record(settings, inputs, unit="1", quantity=quantity, **facts)
        write_sinogram(settings["efficiency_out"], found.factors(), found.layout.without_tof(),
                       {"patient_position": study["patient_position"]}, sidecar=record)
        yield "factors", f"m{attenuation}, written to {settings['efficiency_out']}"
    else:
        yield "left out", f"factors m{attenuation}; --efficiency-out writes them"
    background = found.background()
    if settings["background_out"]:
        record = _record(settings, inputs, unit="counts",
                         quantity="expected randoms and scatter", **facts)
        write_sinogram(settings["background_out"], background, found.layout, study, sidecar=record)
        total = float(background.sum(dtype=np.float64))
        yield "background", f"{text.number(total)}, written to {settings['background_out']}"
    elif background is not None:
        yield "left out", "randoms and scatter; --background-out writes them"


def _dropped(dropped):
    reasons = {
        "impossible": "on crystals that the scanner does not have",
        "outside_layout": "outside the sinogram",
    }
    for name, reason in reasons.items():
        if dropped[name]:
            yield "dropped", f"{dropped[name]:,} bins {reason}"
    if dropped["prompts"]:
        yield "dropped", f"{text.number(dropped['prompts'])} prompts in them"


def _record(settings, inputs, **more):
    return provenance(command=command_line(convert, settings), configuration=settings,
                      inputs=inputs, **more)
