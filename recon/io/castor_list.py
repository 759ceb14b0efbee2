"""CASToR's list mode: events of one pair of crystals each, as `recon.events` has them.

An event's time of flight is dt = t1 - t2, positive where the photons began nearer crystal 2
(CASToR's documents on data files and time of flight; Filipovic et al., Phys Med Biol 64(23), 2019);
ours grows towards crystal 1. Bin b of n unmashed ones of width w has dt = -(b - (n - 1) / 2) w.
"""

import math

import numpy as np

from recon.events import Events
from recon.io.castor_data import read_data_header
from recon.io.castor_scanner import read_crystals, with_tof
from recon.io.files import FileError, opened
from recon.layout import SinogramLayout

CHUNK_EVENTS = 1 << 17
KINDS = ("unknown", "true", "scatter", "multiple scatter", "random")
_BINS_PER_FWHM = 6  # where nothing says in which steps time of flight was measured
_LEFT_OUT = {
    "acf": "attenuation corrections",
    "scatter": "scatter rates",
    "random": "rates of randoms",
    "norm": "normalization factors",
    "poi_radial": "radial points of interaction",
    "poi_tangential": "tangential points of interaction",
    "poi_axial": "axial points of interaction",
}


def read_castor_list(path, scanner_file=None):
    """Open a list-mode data file.

    Args:
        path: header, .cdh.
        scanner_file: .geom or .hscan; without it, the one of the scanner's name beside the header
            or in $CASTOR_CONFIG/scanner.
    Returns:
        CastorList.
    Raises:
        FileError: header, data or scanner are missing, of another kind or cannot be used.
    """
    header = read_data_header(path, "list")
    return CastorList(header, read_crystals(header, scanner_file))


class CastorList:
    """A list, read from its beginning each time that `chunks` is asked for.

    Args:
        header: recon.io.castor_data.DataHeader.
        crystals: recon.io.castor_scanner.Crystals.
    Attributes:
        path: the data file.
        scanner: Scanner, with the list's time of flight.
        layout: SinogramLayout, span 1, of every pair of crystals that an event may have.
        info: dict of facts of the study, as `recon.io.interfile_data.study_info` names them.
        known_notes: sentences on what was assumed, is missing or left out.
        end_ms, last_ms: end of the scan since its start, or of the list where that is later or
            events are lost.
        size: number of events, as words.
        inputs: files that are read.
    Raises:
        FileError: the data are not what the header says.
    """

    def __init__(self, header, crystals):
        self.path, self._header, self._crystals = header.data, header, crystals
        self.inputs = (*header.inputs, *crystals.files)
        self._events, cut = header.whole_events()
        first, last = self._ends()
        self.scanner, notes = self._timed(first)
        self.layout = SinogramLayout.of(
            self.scanner, max_ring_difference=self._most_rings(), tof_mashing=int(header.tof)
        )
        self._zero_ms = round(1000 * header.start_s)
        if header.start_s and first["time_ms"].min() < self._zero_ms:
            notes.append("event times are earlier than `Start time (s)`: they count from it")
            self._zero_ms = 0
        last_event = int(last["time_ms"][-1]) - self._zero_ms + 1
        nominal_ms = 0 if cut else round(1000 * header.duration_s)
        if not cut and last_event > nominal_ms:
            notes.append(f"`Duration (s)` is {header.duration_s:.10g}, less than the last event's "
                         f"{last_event / 1000:.10g} s: the list ends with that")
        self.end_ms = self.last_ms = max(last_event, nominal_ms)
        self.size = f"{self._events:,} events"
        self.info = header.study | {"originating_system": self.scanner.name,
                                    "duration_s": self.end_ms / 1000}
        left_out = [text for name, text in _LEFT_OUT.items() if name in header.record.names]
        if left_out:
            notes.append(f"the events' own {', '.join(left_out)} are left out: give them by bins")
        if "kind" in header.record.names:
            notes.append("which event is true, scattered or random is only counted, not kept")
        self.known_notes = [*header.notes, *crystals.notes, *cut, *notes]
        self._begin()
        self._check(first)

    @property
    def notes(self):
        """Sentences on what was assumed, and on odd events that were read so far."""
        counted = (f"in the list: {count:,} {text}" for text, count in self._tally.items() if count)
        return [*self.known_notes, *counted]

    def record(self, start_ms, stop_ms):
        """Facts for a sidecar after a reading, a dict; they are of all events read."""
        facts = {"events": self._read, "odd": dict(self._tally)}
        if "kind" in self._header.record.names:
            facts["kinds"] = {name: int(count) for name, count in
                              zip((*KINDS, "other"), self._kinds, strict=True)}
        return facts

    def _records(self):
        """Yields events as they stand in the file, structured arrays (DataHeader.record)."""
        left = self._events
        with opened(self.path) as file:
            while left:
                part = np.fromfile(file, self._header.record, min(CHUNK_EVENTS, left))
                if not len(part):
                    raise FileError(
                        f"{self.path} has become {left:,} events shorter while it was read; copy "
                        "it to a disk that nothing else writes to, and try again"
                    )
                left -= len(part)
                yield part

    def chunks(self):
        """Yields Events; -1 for rings and crystals of both ends where the scanner lacks one.

        Raises:
            FileError: an event has several lines, so that its crystals are not known.
        """
        self._begin()
        time_ms = 0
        for part in self._records():
            events = self._decoded(part)
            self._tally["times earlier than the one before them"] += int(
                np.count_nonzero(np.diff(events.time_ms, prepend=time_ms) < 0)
            )
            time_ms = events.time_ms[-1]
            yield events

    def _begin(self):
        self._tally, self._read, self._kinds = _tally(), 0, np.zeros(len(KINDS) + 1, np.int64)

    def _decoded(self, part):
        if self._header.lines > 1 and (several := part["lines"] > 1).any():
            place = self._read + int(np.argmax(several))
            raise FileError(
                f"{self.path}: event {place:,} has {part['lines'][several][0]} lines, so its "
                "crystals are not known; give a list that was not summed, or a histogram"
            )
        self._read += len(part)
        if "kind" in part.dtype.names:
            kinds = np.minimum(part["kind"], len(KINDS))
            self._kinds += np.bincount(kinds, minlength=len(KINDS) + 1)
        (ring1, crystal1), (ring2, crystal2) = (
            self._crystals.of(part["pairs"][:, 0, end]) for end in (0, 1)
        )
        foreign = (ring1 < 0) | (ring2 < 0)
        if self._header.lines > 1:
            foreign |= part["lines"] == 0
        self._tally["events on crystal numbers that the scanner does not have"] += int(
            np.count_nonzero(foreign)
        )
        ring1, crystal1, ring2, crystal2 = (
            np.where(foreign, np.int16(-1), index) for index in (ring1, crystal1, ring2, crystal2)
        )
        return Events(
            ring1=ring1, crystal1=crystal1, ring2=ring2, crystal2=crystal2,
            time_ms=part["time_ms"].astype(np.int64) - self._zero_ms,
            delayed=np.zeros(len(part), bool),
            tof_bin=self._tof_bins(part["tof_ps"]) if self._header.tof else None,
        )

    def _tof_bins(self, tof_ps):
        bins = self.scanner.tof_bins
        place = np.floor(bins / 2 - tof_ps.astype(np.float64) / self.scanner.tof_bin_ps)
        beyond = ~((place >= 0) & (place < bins))
        self._tally["events with a time of flight beyond the measurement range"] += int(
            np.count_nonzero(beyond)
        )
        return np.where(beyond, -1, place).astype(np.int16)

    def _ends(self):
        """The first events, and the last one."""
        record = self._header.record
        with opened(self.path) as file:
            first = np.fromfile(file, record, min(CHUNK_EVENTS, self._events))
            file.seek((self._events - 1) * record.itemsize)
            return first, np.fromfile(file, record, 1)

    def _timed(self, first):
        """The scanner with the list's time of flight, and a note where its bins are our choice."""
        keys, scanner = self._header.keys, self._crystals.scanner
        if not self._header.tof:
            return scanner, []
        resolution = _positive(keys, "TOF resolution (ps)")
        measured = _positive(keys, "List TOF measurement range (ps)")
        step = keys.number("List TOF quantization bin size (ps)", -1.0)
        notes = []
        if step > 0:
            bins = max(math.ceil(measured / step - 1e-3), 1)
            # Steps are whole multiples, or half-way between: an odd or an even number of bins.
            place = first["tof_ps"] / step
            place = place[np.isfinite(place)] % 1
            whole = np.minimum(place, 1 - place).sum() <= np.abs(place - 0.5).sum()
            bins += bins % 2 != whole
        else:
            step = resolution / _BINS_PER_FWHM
            bins = math.ceil(measured / step - 1e-3) // 2 * 2 + 1
            notes.append(
                f"times of flight have no steps: taken in {bins} bins of {step:.5g} ps, "
                f"1/{_BINS_PER_FWHM} of the resolution"
            )
        if bins > np.iinfo(np.int16).max:
            raise keys.wrong("List TOF measurement range (ps)", "less than 32,768 bins")
        return with_tof(scanner, resolution, bins, step), notes

    def _most_rings(self):
        """The largest ring difference, by the header's largest axial one; None for any."""
        most_mm = self._header.keys.number("Maximum axial difference mm", -1.0)
        most = int(most_mm / self.scanner.ring_spacing_mm + 1e-3)
        return min(most, self.scanner.rings - 1) if most_mm >= 0 else None

    def _check(self, first):
        """Refuse data of which most cannot be: their header speaks of other events."""
        numbers = first["pairs"][:, 0]
        foreign = int(np.count_nonzero((numbers >= len(self._crystals.ring) - 1).any(axis=1)))
        if 2 * foreign > len(first):
            raise FileError(
                f"{self.path}: {foreign:,} of the first {len(first):,} events are on crystal "
                f"numbers that {self._crystals.files[0].name} does not have; correct the flags of "
                f"{self._header.keys.path}, or give the scanner that the data are of"
            )


def _positive(keys, key):
    if (value := keys.number(key)) <= 0:
        raise keys.wrong(key, "a positive number")
    return value


def _tally():
    return dict.fromkeys((
        "events on crystal numbers that the scanner does not have",
        "events with a time of flight beyond the measurement range",
        "times earlier than the one before them",
    ), 0)
