"""Lists written as CASToR's list mode (`recon.io.castor_list` says what its events are)."""

import numpy as np

from recon.io.castor_data import check_header_path, header_text, list_record, study
from recon.io.castor_scanner import numbers_of, scanner_files
from recon.io.files import FileError, replacing
from recon.io.provenance import sidecar_content, sidecar_path, write_json


def write_castor_list(path, chunks, scanner, *, info=None, max_ring_difference=None, sidecar=None):
    """Write a list as CASToR's, with the scanner's files beside it; all of it or nothing.

    Args:
        path: header, .cdh; events go to .cdf and provenance to .cdh.json beside it, the scanner to
            .lut and .hscan of its name.
        chunks: iterable of Events of the scanner; memory is for one at a time.
        scanner: Scanner.
        info: dict of facts of the study; of it start_s, duration_s (by default up to the last
            event), isotope, half_life_s, branching_ratio and patient_position are written.
        max_ring_difference: the largest that the list can have, None for any.
        sidecar: dict of `recon.io.provenance`; without it the .json holds version, unit and date.
    Returns:
        dict: events that were written, and delayeds and impossible (on no real crystal or beyond
        the scanner's time-of-flight bins), which CASToR cannot hold.
    Raises:
        FileError: the place cannot be written, or there is not one prompt.
        ValueError: some chunks have time of flight and others not.
    """
    path = check_header_path(path)
    info = dict(info or {})
    name, lut, hscan = scanner_files(scanner)
    data, folder = path.with_suffix(".cdf"), path.parent
    files = [folder / f"{name}.lut", folder / f"{name}.hscan", data, sidecar_path(path), path]
    with replacing(*files) as (lut_file, hscan_file, data_file, sidecar_file, header_file):
        with open(data_file, "wb") as file:
            counts, tof, last_ms = _write_events(file, chunks, scanner, info.get("start_s", 0))
        if not counts["events"]:
            raise FileError(f"there is no prompt to write into {path}; give a list that has some")
        info.setdefault("duration_s", (last_ms + 1) / 1000)
        more = []
        if tof:
            more += [
                ("TOF information flag", 1),
                ("TOF resolution (ps)", repr(scanner.timing_resolution_ps)),
                ("List TOF measurement range (ps)", repr(scanner.tof_bins * scanner.tof_bin_ps)),
                ("List TOF quantization bin size (ps)", repr(scanner.tof_bin_ps)),
            ]
        if max_ring_difference is not None:
            # Half a ring more: none is lost to rounding.
            most_mm = (max_ring_difference + 0.5) * scanner.ring_spacing_mm
            more.append(("Maximum axial difference mm", repr(most_mm)))
        text = header_text("list-mode", scanner_name=name, data_name=data.name, info=info,
                           events=counts["events"], more=more, ours=study(info))
        lut_file.write_bytes(lut)
        hscan_file.write_bytes(hscan)
        header_file.write_text(text, encoding="utf-8")
        write_json(sidecar_file, sidecar_content(path, sidecar, "events") | {"counts": counts})
    return counts


def _write_events(file, chunks, scanner, start_s):
    """Writes events; returns how many were and were not, whether with tof, and the last time."""
    numbers, record, last_ms = numbers_of(scanner), None, 0
    counts = {"events": 0, "delayeds": 0, "impossible": 0}
    for events in chunks:
        if record is None:
            record = list_record((), lines=1, tof=events.tof_bin is not None)
        if (events.tof_bin is not None) != ("tof_ps" in record.names):
            raise ValueError("write_castor_list takes chunks that all have time of flight or none")
        counts["delayeds"] += int(np.count_nonzero(events.delayed))
        events = events.select(~events.delayed)
        first = _numbers(numbers, events.ring1, events.crystal1)
        second = _numbers(numbers, events.ring2, events.crystal2)
        there = (first >= 0) & (second >= 0)
        if events.tof_bin is not None:
            there &= (events.tof_bin >= 0) & (events.tof_bin < scanner.tof_bins)
        counts["impossible"] += len(events) - (kept := int(np.count_nonzero(there)))
        counts["events"] += kept
        if not kept:
            continue
        out = np.empty(kept, record)
        out["time_ms"] = events.time_ms[there] + round(1000 * start_s)
        out["pairs"][:, 0, 0], out["pairs"][:, 0, 1] = first[there], second[there]
        if events.tof_bin is not None:
            place = (scanner.tof_bins - 1) / 2 - events.tof_bin[there]
            out["tof_ps"] = place * scanner.tof_bin_ps
        last_ms = max(last_ms, int(events.time_ms[there].max()))
        file.write(out.data)
    return counts, record is not None and "tof_ps" in record.names, last_ms


def _numbers(numbers, ring, crystal):
    """CASToR's numbers, -1 for crystals that are virtual or beyond the scanner."""
    rings, crystals = numbers.shape
    inside = (ring >= 0) & (ring < rings) & (crystal >= 0) & (crystal < crystals)
    return np.where(inside, numbers[np.where(inside, ring, 0), np.where(inside, crystal, 0)], -1)
