"""What a sinogram is: its bins, its corrections, what its numbers are, what comes next."""

import math
from pathlib import Path

import numpy as np

from recon import memory, text
from recon.agreement import role_of
from recon.doctor.file import (
    SINOGRAM,
    File,
    made_rows,
    next_row,
    note_rows,
    position_row,
    study_rows,
)
from recon.doctor.numbers import Numbers, count_misfits
from recon.io import read_layout, read_sinogram
from recon.io.provenance import read_sidecar
from recon.io.sinogram import is_siemens
from recon.plausibility import SLOPE, factor_misfits, pair_slope

_ARC = {"arc correction", "arc corrected"}


def examine(path, say):
    """Says what a sinogram is and returns its File.

    Raises:
        FileError: header or data cannot be used; what the header tells has been said.
    """
    layout, info = read_layout(path)
    sidecar = read_sidecar(path)
    file = File(path=path, kind=SINOGRAM, role=role_of(sidecar), layout=layout, info=info,
                sidecar=sidecar)
    say([*_header_rows(file), *made_rows(sidecar)])
    if info.get("compressed"):
        say([next_row("export it again with compression off, or countless histogram LIST.l.hdr")])
        return file
    needed, free = 4 * math.prod(layout.shape), memory.available("cpu")
    if needed > free:
        say([("note", f"its numbers take {memory.in_gib(needed)} of memory, where "
                      f"{memory.in_gib(free)} are free: not read")])
        return file
    # Told before the data are read: a template has none, and says so in an error.
    array = read_sinogram(path)[0]
    numbers = Numbers.of(array)
    file.role = file.role or ("prompts" if info.get("datasets") else _guess(numbers, array))
    if file.role:
        file.misfits += count_misfits(array, path, file.role, infinite=file.role == "correction")
    say([*numbers.rows(), *_gap_rows(file, array, numbers), *_role_rows(file, array)])
    del array
    if info.get("datasets") == 2:
        delayeds = Numbers.of(read_sinogram(path, dataset="delayeds")[0])
        say([("delayeds", f"{text.number(delayeds.total)}, the file's second data set")])
    say(_next_rows(file))
    return file


def _header_rows(file):
    layout, info = file.layout, file.info
    kind = info.get("pet_data_type", "Emission")
    by = "Siemens" if is_siemens(file.path) else "STIR Interfile"
    yield "type", f"sinogram ({kind}), {text.number_type(info['number_type'])}, {by}"
    yield "scanner", text.scanner(layout.scanner)
    yield "layout", text.layout(layout)
    yield "gaps", _gaps(layout)
    if layout.tof:
        yield "TOF", text.time_of_flight(layout)
    yield "corrections", ", ".join(info["applied_corrections"]) or "none applied"
    if "compressed" in info:
        yield "compressed", "yes" if info["compressed"] else "no"
    yield position_row(info)
    yield from study_rows(info)
    if "unit" in info:
        yield "unit", f"{info['unit']}, of images that it turns into counts"
    yield from note_rows(info.get("notes", ()))
    if info.get("unknown_keys"):
        yield "note", f"keys that mean nothing here: {', '.join(info['unknown_keys'])}"


def _gaps(layout):
    if layout.radial_mm is not None:
        return "arc-corrected bins are interpolated over them"
    live = np.broadcast_to(layout.mask(), layout.without_tof().shape)
    share = 1 - np.count_nonzero(live) / live.size
    return f"{100 * share:.3g} % of the bins lie between detectors" if share else "none"


def is_known(file):
    """Whether a sinogram's role is said by its sidecar or its format, rather than guessed."""
    return bool(role_of(file.sidecar)) or "datasets" in file.info


def _guess(numbers, array):
    """The role that the numbers show; "" where they show none."""
    if numbers.huge or (numbers.bad and math.isinf(float(np.nanmax(array[0])))):
        return "correction"
    # All ones are factors; few counts are mostly zeros.
    if numbers.whole and numbers.least >= 0 and (numbers.most > 1 or numbers.zero > array.size / 2):
        return "prompts"
    return ""


def _gap_rows(file, array, numbers):
    """What stands in bins between detectors, where nothing can be counted."""
    if file.layout.radial_mm is not None or file.role not in ("prompts", "delayeds"):
        return
    mask = np.broadcast_to(file.layout.mask(), file.layout.without_tof().shape)
    counted = 0.0
    for part, live in zip(array, mask, strict=True):
        flat = part.sum(axis=1) if file.layout.tof else part
        counted += float(flat[~live].sum(dtype=np.float64))
    if counted > 0:
        yield "note", (
            f"{text.number(counted)} of {text.number(numbers.total)} counts are in bins between "
            "detectors, which count nothing: is it of this scanner, and not filled or shifted?"
        )


def _role_rows(file, array):
    path, role = file.path, file.role
    if role in ("efficiency", "correction"):
        slope = pair_slope(array, file.layout)
        file.misfits += factor_misfits(array, file.layout, path, role, slope)
        if abs(slope) < SLOPE:
            yield "note", (
                "its planes do not go with the ring pairs that they sum, and factors must hold "
                "the number of pairs of each bin"
            )
    yield from note_rows(file.misfits)
    meaning = {
        "prompts": "coincidences as counted" if is_known(file) else
                   "whole numbers, so counts: taken as prompts",
        "delayeds": "delayed coincidences as counted",
        "efficiency": "factors m that multiply expected counts",
        "correction": "corrections, the inverse of factors m",
        "background": "expected counts",
        "scatter": "expected counts of scatter alone",
        "": "no whole numbers: factors, expected counts, or counts that were corrected",
    }
    yield "meaning", meaning[role]
    if role == "prompts" and set(file.info["applied_corrections"]) - _ARC:
        yield "note", "it is corrected already, and a reconstruction takes prompts as counted"


def _next_rows(file):
    """What a reconstruction takes beside it, and the command."""
    path = file.path
    if file.misfits:
        return
    if file.role == "prompts":
        yield "takes too", ("efficiency (countless norm), mu map (countless mu-map), randoms "
                            "(countless randoms), scatter (--scatter on)")
        delayed = ["--randoms delayed"] if file.info.get("datasets") == 2 else []
        norm = "--norm NORM.n.hdr" if "mMR" in file.layout.scanner.name else "--efficiency M.hs"
        yield next_row("countless recon", path, "-o image.nii.gz", norm, "--mu-map MU.nii.gz",
                       *delayed)
    elif file.role == "delayeds":
        output = Path(path).with_name("randoms.hs")
        yield next_row("countless randoms --delayed", path, "-o", output)
    elif file.role in ("efficiency", "correction", "background"):
        yield next_row(f"countless recon SCAN.hs -o image.nii.gz --{file.role}", path)
    elif file.role == "scatter":
        yield next_row("countless recon SCAN.hs -o image.nii.gz --scatter", path)
    else:
        yield next_row("countless recon SCAN.hs --efficiency, --correction, --background or "
                       "--additive, whichever it is:", path)
