"""List mode in PETSIRD (ETSI's open raw-data standard), its binary form.

The header is read by the package `petsird`, which is imported where it is used; the events by
`recon.io.petsird_stream`. The time-of-flight bins of the file are of t1 - t2, times at the first
and second detection bin: they grow towards the second, which is therefore crystal1 of Events.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recon.events import Events
from recon.io.files import FileError, opened, optional
from recon.io.petsird_header import scanner_of, study_of
from recon.io.petsird_stream import TimeBlocks
from recon.layout import SinogramLayout

_YARDL = b"yardl"


def petsird():
    """The package, or a sentence that says how to get it."""
    return optional("petsird", "petsird", "reading and writing PETSIRD")


def is_petsird(path):
    """Whether a file begins as the binary form of PETSIRD does."""
    with opened(path) as file:
        return file.read(len(_YARDL)) == _YARDL


def read_petsird(path):
    """Open a PETSIRD file as a list.

    Args:
        path: file in PETSIRD's binary form.
    Returns:
        PetsirdList; its blocks have been walked over once, to know where they end.
    Raises:
        FileError: no package petsird; a file of another kind or version, or damaged; detectors or
            time-of-flight bins that no sinogram has.
    """
    path = Path(path)
    header, offset = read_header(path)
    scanner, ring, crystal, first_bin, notes = scanner_of(header, path)
    return PetsirdList(path, offset, scanner=scanner, ring=ring, crystal=crystal,
                       first_bin=first_bin, info=study_of(header), notes=notes)


def read_header(path):
    """The header of a PETSIRD file.

    Returns:
        petsird.Header, and the byte at which time blocks begin.
    Raises:
        FileError: as of `read_petsird`.
    """
    package = petsird()
    with opened(path) as file:
        try:
            reader = package.BinaryPETSIRDReader(file, skip_completed_check=True)
            header = reader.read_header()
        except (EOFError, BufferError) as reason:  # the package's two ways to run out of bytes
            raise FileError(
                f"{path} ends within its header, so nothing of it can be used; copy it again"
            ) from reason
        except (RuntimeError, UnicodeDecodeError, IndexError, MemoryError) as reason:
            raise FileError(
                f"{path} is not PETSIRD as the package petsird "
                f"{getattr(package, '__version__', '')} knows it ({str(reason).lower()}); give a "
                "file in the binary form of that version"
            ) from reason
        stream = reader._stream
        return header, file.tell() - (stream._last_read_count - stream._offset)


class PetsirdList:
    """A list, as `recon.io.lists.open_list` describes it, of a PETSIRD file.

    Args:
        path: the file.
        offset: byte at which time blocks begin.
        scanner: Scanner.
        ring, crystal: of each detection bin, types of modules one after another, int16.
        first_bin: each type's first bin in them and, last, their number.
        info: dict of facts of the study.
        notes: sentences on what was assumed.
    Attributes:
        tally: recon.io.petsird_stream.Tally of the last walk, as far as it went.
    Raises:
        FileError: the time blocks are damaged, or there is none.
    """

    def __init__(self, path, offset, *, scanner, ring, crystal, first_bin, info, notes):
        self.path, self.inputs, self.scanner = path, (path,), scanner
        self.layout = SinogramLayout.of(scanner, tof_mashing=int(scanner.tof_bins > 1))
        self._tables, self._first_bin = (_with_none(ring), _with_none(crystal)), first_bin
        self._blocks, self._impossible = TimeBlocks(path, offset), 0
        tally = self._walked(offset)
        self.end_ms = self.last_ms = tally.end_ms
        if not tally.end_ms:
            raise FileError(f"{path} has no time block; it is a header without a scan")
        self.size = f"{tally.prompts + tally.delayeds:,} events"
        self.info = info | {"duration_s": tally.end_ms / 1000}
        self.known_notes = [*self.info.pop("notes"), *notes, *_notes(path, tally)]

    def _walked(self, offset):
        """Tally of the whole file, without decoding events."""
        size = self.path.stat().st_size - offset
        with tqdm(total=size, unit="B", unit_scale=True, delay=1, file=sys.stderr,
                  dynamic_ncols=True, desc="walking over the list") as bar:
            for _ in self._blocks.batches(decode=False, watch=bar.update):
                pass
        return self._blocks.tally

    @property
    def tally(self):
        return self._blocks.tally

    @property
    def notes(self):
        """Sentences on what was assumed or is missing, and on odd events that were read so far."""
        odd = [f"in the list: {self._impossible:,} events with a detection bin or time-of-flight "
               "bin that the scanner does not have"] if self._impossible else []
        return [*self.known_notes, *odd]

    def record(self, start_ms, stop_ms):
        """What the last reading counted, as far as it went, for the .json beside an output.

        Args:
            start_ms, stop_ms: time that the mean singles are of.
        """
        tally = self.tally
        names = ("prompts", "delayeds", "singles", "triples", "quadruples")
        rates = [np.array(units) / (stop - start) for start, stop, units in tally.rates
                 if start < stop_ms and stop > start_ms and stop > start]
        alike = len({len(rate) for rate in rates}) == 1  # always of the same units
        mean = 1000 * np.mean(rates, axis=0) if alike else None
        return {
            "listed": {name: getattr(tally, name) for name in names},
            "time_blocks": dict(tally.blocks),
            "mean_singles_per_second_by_unit": mean,
        }

    def chunks(self):
        """Yields Events; -1 for both detectors where the scanner lacks the bin of one."""
        self._impossible = 0
        with contextlib.closing(self._blocks.batches()) as batches:
            for batch in batches:
                yield self._events(batch)

    def _events(self, batch):
        first, second, tof = batch.bins
        types = batch.types or (None, None)
        row2, row1 = self._rows(first, types[0]), self._rows(second, types[1])
        impossible = (row1 < 0) | (row2 < 0)
        if impossible.any():
            row1, row2 = np.where(impossible, -1, [row1, row2])
            self._impossible += int(np.count_nonzero(impossible))
        ring, crystal = self._tables
        if self.layout.tof:
            tof = np.minimum(tof, np.iinfo(np.int16).max).astype(np.int16)
        return Events(
            ring1=ring[row1], crystal1=crystal[row1], ring2=ring[row2], crystal2=crystal[row2],
            time_ms=batch.time_ms, delayed=batch.delayed, tof_bin=tof if self.layout.tof else None,
        )

    def _rows(self, bins, types):
        """Rows of the tables, -1 (the last one, which says so) for bins that there are not."""
        first = self._first_bin
        if types is None:
            bad, rows = bins >= first[1], bins.view(np.int32)
        else:
            known = np.minimum(types, len(first) - 2)
            bad = (types > known) | (bins >= np.diff(first)[known])
            rows = bins + first[known]
        return np.where(bad, -1, rows) if bad.any() else rows


def _with_none(table):
    return np.append(table, np.int16(-1))


def _notes(path, tally):
    """Sentences on what a walk over the file met."""
    said = []
    if tally.cut_at is not None:
        said.append(
            f"{path.name} was cut short at byte {tally.cut_at:,}: its "
            f"{tally.prompts + tally.delayeds:,} whole events, up to {tally.end_ms / 1000:.10g} s, "
            "are used, what came after them is lost"
        )
    for kind in ("singles", "triples", "quadruples"):
        if getattr(tally, kind):
            said.append(f"{getattr(tally, kind):,} listed {kind} are left out")
    if tally.longest_ms > 1:
        said.append(f"events are timed by blocks of up to {tally.longest_ms:,} ms: at their starts")
    if tally.backwards:
        said.append(f"{tally.backwards:,} time blocks begin before the one that they follow")
    if tally.moved_ms:
        said.append(
            f"bed or gantry move {len(tally.moved_ms):,} times, first at "
            f"{tally.moved_ms[0] / 1000:.10g} s: make frames of the time between, for all events "
            "are taken as of one position"
        )
    if tally.blocks["dead time"]:
        said.append("the file's dead time is not used")
    return said
