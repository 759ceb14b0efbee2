"""Writes list mode as PETSIRD: the header by the package `petsird`, time blocks by whole arrays.

A block is of one millisecond, or of the time without events between two; event times thus come back
exactly. Of two detection bins PETSIRD wants the larger first, and its time-of-flight bins grow
towards the second: pairs come back in that order, on the same line.
"""

import numpy as np

from recon.io.files import replacing
from recon.io.petsird import petsird
from recon.io.petsird_scanner import Bins, header_of
from recon.io.provenance import sidecar_content, sidecar_path, write_json
from recon.io.varints import encoded

_BEFORE, _BETWEEN, _AFTER = 7, 3, 2  # numbers of a block around its prompts and delayeds


def write_petsird(path, chunks, scanner, *, info=None, efficiencies=None, sidecar=None):
    """Write a list, with its provenance beside it; all of it or nothing.

    Args:
        path: file to write; provenance goes to its name and .json.
        chunks: iterable of Events in the order of time; with time of flight where the scanner has
            several bins of it.
        scanner: Scanner of the events.
        info: dict as of `recon.io.interfile_data.study_info`; of it duration_s, study_time,
            injection_time, injected_bq, isotope, patient_position and energy_window_kev are
            written.
        efficiencies: of each real crystal, (rings, crystals) float; None for 1.
        sidecar: dict of `recon.io.provenance`; without it the .json holds version, unit and date.
    Returns:
        dict: events that were written, and impossible ones that were left out (on no real crystal
        or beyond the scanner's time-of-flight bins).
    Raises:
        FileError: no package petsird, or the file cannot be written.
        ValueError: events that go back in time or lack their time of flight.
    """
    package, info, bins = petsird(), info or {}, Bins(scanner)
    with replacing(sidecar_path(path), path) as (sidecar_file, list_file):
        with open(list_file, "wb") as file:
            writer = package.BinaryPETSIRDWriter(file)
            writer.write_header(header_of(bins, info, efficiencies))
            writer._close()  # into the file, which stays open
            stream = _Stream(file, bins)
            for events in chunks:
                stream.add(events)
            stream.close(round(1000 * info.get("duration_s", 0)))
        counts = {"events": stream.written, "impossible": stream.left_out}
        write_json(sidecar_file, sidecar_content(path, sidecar, "events") | {"counts": counts})
    return counts


class _Stream:
    """Events to time blocks, chunk after chunk."""

    def __init__(self, file, bins):
        self._file, self._bins, self._time_ms = file, bins, 0
        self.written, self.left_out = 0, 0

    def add(self, events):
        chosen, first, second, tof = self._detection_bins(events)
        self.written += len(first)
        self.left_out += len(events) - len(first)
        if not len(first):
            return
        time, delayed = events.time_ms[chosen].astype(np.int64), events.delayed[chosen]
        order = np.lexsort((delayed, time))
        if time[order[0]] < self._time_ms - 1:
            raise ValueError(
                f"write_petsird takes events in the order of time, got {time[order[0]]} ms after "
                f"{self._time_ms - 1} ms; sort them"
            )
        table = np.stack([first, second, tof], axis=-1)[order].astype(np.uint32)
        self._write(table, time[order], delayed[order])

    def close(self, end_ms):
        """Ends the stream, with a block without events up to a time that lies after the last."""
        if end_ms > self._time_ms:
            none = np.zeros(1, int)
            self._blocks(np.array([self._time_ms]), np.array([end_ms]), none, none,
                         np.zeros((0, 3), np.uint32), np.zeros(0, bool))
        self._file.write(b"\0")

    def _detection_bins(self, events):
        """Which events can be written, and their bins and time-of-flight bins in PETSIRD's order.
        """
        scanner, of = self._bins.scanner, self._bins.of
        timed = scanner.tof_bins > 1
        if timed and events.tof_bin is None:
            raise ValueError(
                f"write_petsird takes events with time of flight for {scanner.name}, got none"
            )
        good = np.ones(len(events), bool)
        for ring, crystal in ((events.ring1, events.crystal1), (events.ring2, events.crystal2)):
            good &= (ring >= 0) & (ring < scanner.rings)
            good &= (crystal >= 0) & (crystal < scanner.crystals)
        if timed:
            good &= (events.tof_bin >= 0) & (events.tof_bin < scanner.tof_bins)
        good = np.flatnonzero(good)
        one = of[events.ring1[good], events.crystal1[good]]
        other = of[events.ring2[good], events.crystal2[good]]
        real = (one >= 0) & (other >= 0)
        good, one, other = good[real], one[real], other[real]
        tof = np.zeros(len(good), int)
        if timed:
            tof = events.tof_bin[good].astype(int)
            tof = np.where(one > other, scanner.tof_bins - 1 - tof, tof)
        return good, np.maximum(one, other), np.minimum(one, other), tof

    def _write(self, table, time, delayed):
        """Blocks of ascending times, and of the gaps before each of them."""
        start, first = np.unique(time, return_index=True)
        count = np.diff(first, append=len(table))
        late = np.add.reduceat(delayed, first, dtype=int)
        before = np.append(self._time_ms, start[:-1] + 1)  # where the block before it stops
        none = np.zeros_like(start)
        # A gap and a block, a gap and a block; most gaps are none.
        columns = [(before, start), (start, start + 1), (none, count - late), (none, late)]
        start, stop, prompts, late = (np.stack(pair, axis=-1).ravel() for pair in columns)
        there = (stop > start) & (np.arange(len(start)) % 2 == 0) | (prompts + late > 0)
        self._blocks(*(array[there] for array in (start, stop, prompts, late)), table, delayed)

    def _blocks(self, start, stop, prompts, late, table, delayed):
        """Blocks of a time, with so many prompts and delayeds each.

        Args:
            start, stop, prompts, late: of the blocks, (blocks,).
            table: events in order, block after block, prompts first, (events, 3) uint32.
            delayed: of these, (events,) bool.
        """
        count = prompts + late
        size = _BEFORE + 3 * count + _BETWEEN + _AFTER
        at = np.cumsum(size) - size
        numbers = np.zeros(int(size.sum()), np.uint32)
        for place, values in ((1, start), (2, stop), (4, 1), (5, 1), (6, prompts)):
            numbers[at + place] = values
        middle = at + _BEFORE + 3 * prompts
        for place, values in ((0, 1), (1, 1), (2, late)):
            numbers[middle + place] = values
        place = np.repeat(at + _BEFORE - 3 * (np.cumsum(count) - count), count)
        place += 3 * np.arange(len(table)) + _BETWEEN * delayed
        for k in range(3):
            numbers[place + k] = table[:, k]
        self._file.write(encoded(np.array([len(start)], np.uint32)).tobytes())
        self._file.write(encoded(numbers).tobytes())
        self._time_ms = int(stop[-1])
