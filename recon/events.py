"""Listed coincidences: what every list-mode reader gives and every user of events takes."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Events:
    """A chunk of a list of coincidences, in the order in which they were measured.

    Rings and crystals count from 0 along and around the scanner, virtual ones included, as in
    `recon.layout`; -1 stands for one that the scanner does not have. The scanner itself is the
    reader's to say.

    Attributes:
        ring1, crystal1: of one detector, (events,) int16.
        ring2, crystal2: of the other.
        time_ms: since the list began, (events,) integers.
        delayed: True for a coincidence with a delayed window, False for a prompt, (events,) bool.
        tof_bin: unmashed time-of-flight bin, from 0 to the scanner's tof_bins - 1, growing
            towards crystal1, (events,) int16; None without time of flight.
    Raises:
        ValueError: the arrays are not of one length.
    """

    ring1: np.ndarray
    crystal1: np.ndarray
    ring2: np.ndarray
    crystal2: np.ndarray
    time_ms: np.ndarray
    delayed: np.ndarray
    tof_bin: np.ndarray | None = None

    def __post_init__(self):
        shapes = {name: array.shape for name, array in self._arrays().items()}
        if len(set(shapes.values())) != 1 or self.ring1.ndim != 1:
            raise ValueError(f"Events takes arrays of one length, got shapes {shapes}")

    def _arrays(self):
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in arrays.items() if array is not None}

    def __len__(self):
        return len(self.ring1)

    def select(self, chosen):
        """The Events of a mask (events,), a slice or an array of indices."""
        return Events(**{name: array[chosen] for name, array in self._arrays().items()})


class Stream:
    """Chunks of Events that are taken up to one time after another, each event once.

    Args:
        chunks: iterable of Events.
    """

    def __init__(self, chunks):
        self._chunks = iter(chunks)
        self._rest = None

    def until(self, stop_ms):
        """Yields what is left of the chunks up to the first event at `stop_ms` or later.

        Args:
            stop_ms: a time since the list began; None for all that is left.
        """
        while True:
            events = self._rest if self._rest is not None else next(self._chunks, None)
            self._rest = None
            if events is None:
                return
            later = np.zeros(0) if stop_ms is None else np.flatnonzero(events.time_ms >= stop_ms)
            if len(later):
                self._rest = events.select(slice(later[0], None))
                events = events.select(slice(None, later[0]))
            if len(events):
                yield events
            if self._rest is not None:
                return
