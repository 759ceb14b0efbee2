"""PETLINK list mode in 32-bit words, as the Siemens Biograph mMR writes it.

A word, little-endian, says by its top bits what it is:

    0      an event; bit 30 is 1 for a prompt, 0 for a delayed coincidence, and bits 0 to 29 are
           the bin of a span-1 sinogram (plane, view, radial bin), radial bins fastest
    100    a time tag: milliseconds in the low 29 bits; it holds for the words after it
    101    the singles of a block: its number in bits 19 to 28, rate / scale in the low 19 bits
    110, 111   others: bed, gantry, gating

The list is read in pieces that stay in the processor's cache. np.fromfile takes as long as a
np.memmap does, and a file that is cut short meanwhile ends early instead of killing the process.
"""

from dataclasses import asdict, dataclass, fields

import numpy as np

from recon.events import Events
from recon.io.files import FileError, opened

WORD_BYTES = 4
CHUNK_WORDS = 1 << 17
_TAG, _PROMPT = np.uint32(1 << 31), np.uint32(1 << 30)
_TAIL_MS = 1000  # a list may end this much before its scan does
_TIME, _SINGLES = 4, 5  # the top three bits
_LOW_29 = np.uint32((1 << 29) - 1)
_LOW_19 = np.uint32((1 << 19) - 1)


@dataclass
class Tally:
    """Words that were read, by kind.

    Attributes:
        prompts, delayeds, time_tags, singles, others: words of each kind.
        foreign_addresses: events whose bin the sinogram does not have.
        foreign_blocks: singles of blocks that the scanner does not have.
        tags_backwards: time tags before the one that they follow.
    """

    prompts: int = 0
    delayeds: int = 0
    time_tags: int = 0
    singles: int = 0
    others: int = 0
    foreign_addresses: int = 0
    foreign_blocks: int = 0
    tags_backwards: int = 0

    @property
    def words(self):
        """All words."""
        return self.prompts + self.delayeds + self.time_tags + self.singles + self.others


@dataclass(frozen=True, kw_only=True)
class Singles:
    """Singles rates as the scanner's blocks report them, in the list's order.

    Attributes:
        time_ms: since the list began, (reports,) int64.
        block: which, (reports,) int32.
        rate: singles per second, (reports,) int64.
    """

    time_ms: np.ndarray
    block: np.ndarray
    rate: np.ndarray

    def means(self, blocks, start_ms=0, stop_ms=np.inf):
        """Mean rate of each block from start_ms to before stop_ms, (blocks,); NaN where none."""
        inside = (self.time_ms >= start_ms) & (self.time_ms < stop_ms)
        count = np.bincount(self.block[inside], minlength=blocks)
        total = np.bincount(self.block[inside], self.rate[inside], minlength=blocks)
        return np.divide(total, count, out=np.full(blocks, np.nan), where=count > 0)


class ListMode:
    """A list-mode file, read from its beginning each time that `chunks` is asked for.

    Args:
        path: the data file.
        layout: SinogramLayout that event words address: span 1, one pair of crystals for a bin.
        words: how many to read.
        blocks: singles blocks of the scanner.
        singles_scale: singles per second for one unit of a singles word.
        info: dict of facts of the study, as `recon.io.interfile_data.study_info` names them.
        notes: list of sentences on what was assumed or is missing.
        whole: whether all words that the scanner wrote are there.
        inputs: files that are read, the data file by default.
    Attributes:
        path, layout, words, blocks, info, inputs: as given.
        scanner: the layout's.
        size: how much there is, as text.
        known_notes: sentences on what was assumed or is missing.
        end_ms: when the list ends, a millisecond after its last time tag.
        last_ms: when a last frame may end: end_ms, or the scan's nominal duration where that is a
            little later and all words are there.
        tally: Tally of the last reading, as far as it went.
    Raises:
        FileError: the file cannot be read or holds no time tag.
    """

    def __init__(self, path, *, layout, words, blocks, singles_scale=1, info=None, notes=(),
                 whole=True, inputs=()):
        self.path, self.layout, self.scanner = path, layout, layout.scanner
        self.words, self.blocks, self._scale = words, blocks, singles_scale
        self.inputs, self.size = tuple(inputs) or (path,), f"{words:,} words"
        self.info, self.known_notes = dict(info or {}), list(notes)
        self._crystals, self._rings = _tables(layout)
        self.tally, self._singles, self._time_ms = Tally(), [], 0
        self.end_ms = self._last_tag() + 1
        nominal_ms = round(1000 * self.info.get("duration_s", 0))
        near = whole and self.end_ms < nominal_ms <= self.end_ms + _TAIL_MS
        self.last_ms = nominal_ms if near else self.end_ms

    @property
    def singles(self):
        """Singles of the last reading, as far as it went."""
        parts = zip(*self._singles, strict=True) if self._singles else ([np.zeros(0, int)],) * 3
        names = (field.name for field in fields(Singles))
        return Singles(**{name: np.concatenate(part)
                          for name, part in zip(names, parts, strict=True)})

    @property
    def notes(self):
        """Sentences on what was assumed or is missing, and on odd words that were read so far."""
        tally = self.tally
        odd = {
            f"events with a bin address beyond the sinogram of {self.scanner.name}":
                tally.foreign_addresses,
            f"singles words of a block beyond the scanner's {self.blocks}": tally.foreign_blocks,
            "time tags earlier than the one before them": tally.tags_backwards,
        }
        counted = (f"in the list: {count:,} {text}" for text, count in odd.items() if count)
        return [*self.known_notes, *counted]

    def record(self, start_ms, stop_ms):
        """What the last reading counted, as far as it went, for the .json beside an output.

        Args:
            start_ms, stop_ms: time that the mean singles are of.
        """
        singles = self.singles.means(self.blocks, start_ms, stop_ms)
        return {
            "words": asdict(self.tally),
            "mean_singles_per_second_by_block": singles if (singles == singles).any() else None,
        }

    def chunks(self):
        """Yields Events of at most CHUNK_WORDS; -1 for all detectors of an impossible address."""
        self.tally, self._singles, self._time_ms = Tally(), [], 0
        left, began = self.words, False
        with opened(self.path) as file:
            while left:
                words = np.fromfile(file, "<u4", min(CHUNK_WORDS, left))
                if not len(words):
                    raise FileError(
                        f"{self.path} has become {left * WORD_BYTES:,} bytes shorter while it was "
                        "read; copy it to a disk that nothing else writes to, and try again"
                    )
                left -= len(words)
                if not began:  # until the first tag it is as early as that tag
                    tags = words[words >> 29 == _TIME]
                    self._time_ms = int(tags[0] & _LOW_29) if len(tags) else 0
                    began = True
                events = self._decode(words)
                if len(events):
                    yield events

    def _decode(self, words):
        is_event = words < _TAG
        event = words[is_event]
        place = np.flatnonzero(~is_event)
        delayed = event < _PROMPT
        times = self._times(words[place], place, len(event))
        self.tally.delayeds += (delayeds := int(np.count_nonzero(delayed)))
        self.tally.prompts += len(event) - delayeds

        address = event & (_PROMPT - np.uint32(1))
        size = np.uint32(len(self._crystals[0]))
        plane = address // size
        ray = address - plane * size
        beyond = plane >= self.layout.planes
        if beyond.any():
            self.tally.foreign_addresses += int(np.count_nonzero(beyond))
            plane[beyond] = self.layout.planes
        ring1, ring2 = (table[plane] for table in self._rings)
        crystal1, crystal2 = (table[ray] for table in self._crystals)
        if beyond.any():
            crystal1[beyond], crystal2[beyond] = -1, -1
        return Events(ring1=ring1, crystal1=crystal1, ring2=ring2, crystal2=crystal2,
                      time_ms=times, delayed=delayed)

    def _times(self, others, place, events):
        """Time of each event: that of the last tag before it. Takes in what is no event, too.

        Args:
            others: words that are no events.
            place: where they stand among all words of the chunk.
            events: how many events the chunk has.
        """
        kind = others >> 29
        is_tag, is_singles = kind == _TIME, kind == _SINGLES
        tag = (others[is_tag] & _LOW_29).astype(np.int32)
        time = np.concatenate([np.array([self._time_ms], np.int32), tag])
        self._time_ms = int(time[-1])
        if is_singles.any():
            self._take_singles(others[is_singles], time[np.cumsum(is_tag)[is_singles]])
        tally = self.tally
        tally.time_tags += len(tag)
        tally.others += len(others) - len(tag) - int(np.count_nonzero(is_singles))
        tally.tags_backwards += int(np.count_nonzero(np.diff(time) < 0))
        # Events before each tag: its place less the other words before it.
        before = place[is_tag] - np.flatnonzero(is_tag)
        return np.repeat(time, np.diff(before, prepend=0, append=events))

    def _take_singles(self, words, time):
        block = (words & _LOW_29) >> 19
        known = block < self.blocks
        self.tally.singles += len(words)
        self.tally.foreign_blocks += len(words) - int(np.count_nonzero(known))
        rate = (words & _LOW_19).astype(np.int64) * self._scale
        self._singles.append((time[known].astype(np.int64), block[known].astype(np.int32),
                              rate[known]))

    def _last_tag(self):
        """Time of the last tag, sought from the end."""
        with opened(self.path) as file:
            for stop in range(self.words, 0, -CHUNK_WORDS):
                first = max(stop - CHUNK_WORDS, 0)
                file.seek(first * WORD_BYTES)
                words = np.fromfile(file, "<u4", stop - first)
                tags = words[words >> 29 == _TIME]
                if len(tags):
                    return int(tags[-1] & _LOW_29)
        raise FileError(
            f"{self.path} holds no time tag among its {self.words:,} words, so it is no 32-bit "
            "PETLINK list of an mMR, or only a moment of one; give the file that the scanner wrote"
        )


def _tables(layout):
    """Crystals of a view and radial bin, rings of a plane; the last plane, beyond all, has -1."""
    crystals = layout.crystal_pairs()[0].reshape(-1, 2).astype(np.int16)
    rings = np.concatenate([layout.ring_pairs()[:, 1:], [[-1, -1]]]).astype(np.int16)
    return (tuple(np.ascontiguousarray(table[:, i]) for i in (0, 1)) for table in (crystals, rings))
