"""Sinograms to CASToR's histograms and back, with what else a histogram holds, for a command."""

import sys

import numpy as np
from tqdm import tqdm

from recon import agreement, text
from recon.corrections.attenuation import attenuate
from recon.io import (
    FileError,
    check_counts,
    check_output,
    read_layout,
    write_sinogram,
)
from recon.io.castor_histogram import read_castor_histogram, read_castor_layout
from recon.io.castor_histogram_writing import write_castor_histogram
from recon.measurement import Measurement, read_bins, read_mu_map
from recon.sinogram_output import check_memory, check_sinogram_output, study_of

PARTS = ("efficiency", "randoms", "scatter", "mu_map")


def to_histogram(settings, record):
    """A sinogram to CASToR's histogram.

    Args:
        settings: dict of the settings of `countless convert`.
        record: function of inputs and facts that gives the sidecar.
    Raises:
        FileError: files are missing, cannot be used or do not fit each other.
        ValueError: they do not fit the memory.
    """
    scan, output = settings["scan"], settings["output"]
    parts = {name: settings[name] for name in PARTS if settings[name]}
    inputs = [scan, *parts.values()]
    check_output(output, inputs)
    scatter = (parts["scatter"],) if "scatter" in parts else ()
    model = Measurement(scan=scan, efficiency=parts.get("efficiency"), background=scatter,
                        mu_map=parts.get("mu_map"))
    layout, info = model.layout, model.info
    _check_parts(parts, scan, layout)
    check_memory(layout, 1 + len(parts))
    notes = list(model.notes())
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
        "factors": model.read_efficiency() if "efficiency" in parts else None,
        "randoms": _read(parts, "randoms", "randoms", layout),
        "scatter": _read(parts, "scatter", "scatter", layout),
        "attenuation": _attenuation(parts, flat, info),
    }
    prompts = read_bins(scan, "prompts", layout)
    with tqdm(total=layout.views, unit=" views", file=sys.stderr, dynamic_ncols=True) as bar:
        counts = write_castor_histogram(
            output, prompts, layout, **arrays, info=info, watch=bar.update,
            sidecar=record(inputs, unit="counts", quantity="prompts", notes=notes),
        )
    rows = [("bins", f"{counts['bins']:,}, written to {output}")]
    if counts["left_out"]:
        prompts_lost = text.number(counts["prompts_left_out"])
        rows.append(("left out", f"{counts['left_out']:,} bins without crystals or with factors of "
                                 f"0, with {prompts_lost} prompts in them"))
    print(text.table(rows))


def _check_parts(parts, scan, layout):
    """Whether CASToR's format can hold the files of the model."""
    if "efficiency" in parts and read_layout(parts["efficiency"])[0].tof:
        raise FileError(
            f"{parts['efficiency']} has factors by time of flight, where CASToR has one for all "
            "its bins; give factors without it"
        )
    if "randoms" in parts:  # of all time-of-flight bins together, or of each
        tof = layout.tof and read_layout(parts["randoms"])[0].tof
        agreement.check_layout(parts["randoms"], "randoms", scan, tof=tof)


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
    mu, grid = read_mu_map(parts["mu_map"], info["patient_position"])
    survival = np.ones(layout.shape, np.float32)
    attenuate(survival, mu, grid, layout)
    return survival


def from_histogram(settings, record):
    """CASToR's histogram to sinograms; as `to_histogram`."""
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
            *_write(settings, record, found), *_dropped(found.dropped)]
    print(text.table(rows))


def _write(settings, record, found):
    """Writes a histogram's sinograms; yields rows of a table on them."""
    study, inputs = study_of(found.info), found.inputs
    facts = {"dropped": found.dropped, "notes": found.notes}
    write_sinogram(settings["output"], found.prompts, found.layout, found.info, sidecar=record(
        inputs, unit="counts", quantity="prompts", **facts))
    total = float(found.prompts.sum(dtype=np.float64))
    yield "prompts", f"{text.number(total)}, written to {settings['output']}"
    attenuation = "" if found.attenuation is None else ", attenuation included"
    if settings["efficiency_out"]:
        quantity = f"factors m that multiply expected counts{attenuation}"
        said = record(inputs, unit="1", quantity=quantity,
                      attenuation=found.attenuation is not None, **facts)
        write_sinogram(settings["efficiency_out"], found.factors(), found.layout.without_tof(),
                       {"patient_position": study["patient_position"]}, sidecar=said)
        yield "factors", f"m{attenuation}, written to {settings['efficiency_out']}"
    else:
        yield "left out", f"factors m{attenuation}; --efficiency-out writes them"
    background = found.background()
    if settings["background_out"]:
        said = record(inputs, unit="counts", quantity="expected randoms and scatter", **facts)
        write_sinogram(settings["background_out"], background, found.layout, study, sidecar=said)
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
