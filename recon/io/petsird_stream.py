"""The time blocks of a PETSIRD file, decoded fast: whole buffers of numbers at once.

In the binary form (of the yardl tool) whole numbers are varints (`recon.io.varints`), float32 are 4
bytes, and a list is its length, then its items. The stream is a count of blocks, these blocks, and
on until a count of 0. A block is a byte that says its kind, then its fields one after another; a
block of events is

    start, stop   in ms
    singles       by type of module: lists of (bin, time)
    prompts       by type1, type2 of the two modules: lists of (bin1, bin2, TOF bin)
    delayeds      the same
    triples, quadruples, by three and four types: lists of (bin1, bin2, bin3, TOF bin, TOF bin)

so that all of it is varints. NumPy finds where each ends, Python walks over the lengths, and the
events between them are decoded together.
"""

from dataclasses import dataclass, field

import numpy as np

from recon.io.files import opened
from recon.io.varints import CutShort, Varints

KINDS = ("events", "external signals", "bed movement", "gantry movement", "dead time", "singles")


@dataclass
class Tally:
    """What a reading of the stream met, as far as it went.

    Attributes:
        prompts, delayeds, singles, triples, quadruples: listed events.
        blocks: time blocks by kind, dict of KINDS.
        end_ms: the latest stop of a block.
        longest_ms: of the blocks that hold coincidences.
        backwards: blocks of events that begin before the one that they follow.
        moved_ms: when a bed or gantry moved, after the first block of events; list.
        rates: of blocks of singles of units: (start_ms, stop_ms, singles of each unit); list.
        cut_at: byte at which a file that was cut short ends; None for a whole one.
    """

    prompts: int = 0
    delayeds: int = 0
    singles: int = 0
    triples: int = 0
    quadruples: int = 0
    blocks: dict = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    end_ms: int = 0
    longest_ms: int = 0
    backwards: int = 0
    moved_ms: list = field(default_factory=list)
    rates: list = field(default_factory=list)
    cut_at: int | None = None


@dataclass(frozen=True)
class Batch:
    """Coincidences in the file's order.

    Attributes:
        bins: two detection bins and the TOF bin of each, three arrays (events,) uint32.
        types: types of modules of the two bins, two arrays (events,) int; None where all are 0.
        time_ms: start of the block, (events,) int64.
        delayed: (events,) bool.
    """

    bins: tuple
    types: tuple | None
    time_ms: np.ndarray
    delayed: np.ndarray


class TimeBlocks:
    """The stream of a file, walked from its beginning each time that `batches` is asked for.

    Args:
        path: the file.
        offset: byte at which the stream begins.
    Attributes:
        tally: Tally of the last walk, as far as it went.
    """

    def __init__(self, path, offset):
        self.path, self._offset = path, offset
        self.tally = Tally()

    def batches(self, decode=True, watch=None):
        """Yields Batch after Batch; a file that was cut short ends with its last whole event.

        Args:
            decode: False walks over the events without decoding them, and yields nothing.
            watch: called with the number of bytes each time that a buffer was read.
        Raises:
            FileError: the bytes are no stream of time blocks.
        """
        self.tally = tally = Tally()
        self._last_ms = self._left = 0
        self._mixed = False  # other numbers than those of events are in the buffer
        with opened(self.path) as file:
            file.seek(self._offset)
            self._bytes = Varints(file, self.path, self._leave, watch)
            self._segments, self._ready = [] if decode else None, []
            try:
                while left := self._plain_blocks() or self._bytes.one():
                    self._left = left - 1
                    yield from self._block()
                    yield from self._taken()
            except CutShort:
                tally.cut_at = file.tell()
            self._leave()
            yield from self._taken()

    def _plain_blocks(self):
        """Goes past the blocks of events of one type of module that are whole in the buffer.

        These are nearly all: this loop and arrays do fast what `_block` does for every kind.

        Returns:
            How many blocks are left of the last count.
        """
        numbers = self._bytes
        raw, end, count = numbers.raw, numbers.ends.item, numbers.count
        at, here, left, found = numbers.at, numbers.next, self._left, []
        while here + 12 <= count:
            head, byte = here, raw[at]
            if not left:
                if not 0 < byte < 128:
                    break
                head, byte = head + 1, raw[at + 1]
            p = end(head + 6) + 1
            if byte or raw[p - 3 : p] != b"\0\1\1":
                break
            if (prompts := _short(raw, p)) is None:
                break
            late = head + 7 + 3 * prompts
            if late + 4 > count:
                break
            p, delayeds = end(late) + 1, 0
            if raw[p] == 0:
                after = late + 1
            elif raw[p : p + 2] == b"\1\1":
                if (delayeds := _short(raw, p + 2)) is None:
                    break
                after = late + 3 + 3 * delayeds
                if after + 2 > count:
                    break
            else:
                break
            p = end(after) + 1
            if raw[p : p + 2] != b"\0\0":
                break
            found += (head, prompts, late, delayeds)
            left = (left or raw[at]) - 1
            here, at = after + 2, p + 2
        numbers.at, numbers.next, self._left = at, here, left
        if found:
            self._take_plain(*np.array(found).reshape(-1, 4).T)
        return left

    def _take_plain(self, head, prompts, late, delayeds):
        """Blocks by their first numbers, numbers of prompts, numbers after these, and delayeds."""
        tally = self.tally
        start, stop = self._bytes.numbers(np.concatenate([head + 1, head + 2])).astype(
            np.int64).reshape(2, -1)
        tally.prompts += int(prompts.sum())
        tally.delayeds += int(delayeds.sum())
        tally.blocks[KINDS[0]] += len(head)
        tally.end_ms = max(tally.end_ms, int(stop.max()))
        width = (stop - start)[prompts + delayeds > 0]
        tally.longest_ms = max(tally.longest_ms, int(width.max(initial=0)))
        tally.backwards += int(np.count_nonzero(np.diff(start, prepend=self._last_ms) < 0))
        self._last_ms = int(start[-1])
        if self._segments is not None:
            none = np.zeros_like(head)
            pairs = [(head + 7, late + 3), (prompts, delayeds), (start, start), (none, none + 1)]
            columns = [np.stack(pair, axis=-1).ravel() for pair in pairs]
            columns += [np.zeros_like(columns[0])] * 2
            self._segments.append(np.stack(columns)[:, columns[1] > 0])

    def _block(self):
        kind, tally = self._bytes.one(), self.tally
        if kind >= len(KINDS):
            raise self._bytes.damaged(f"a time block of kind {kind}, where 0 to {len(KINDS) - 1} "
                                      "are known")
        start, stop = self._bytes.one(), self._bytes.one()
        if max(start, stop) >= 1 << 32:
            raise self._bytes.damaged("a time beyond 32 bits")
        if kind == 0:
            before = tally.prompts + tally.delayeds
            yield from self._events(start)
            if tally.prompts + tally.delayeds > before:
                tally.longest_ms = max(tally.longest_ms, stop - start)
            tally.backwards += start < self._last_ms
            self._last_ms = start
        elif kind == 5:
            self._mixed = True
            self._rates(start, stop)
        else:
            self._mixed = True
            (self._signals, self._bed, self._gantry, self._dead_time)[kind - 1]()
            if kind in (2, 3) and tally.blocks["events"]:
                tally.moved_ms.append(start)
        tally.blocks[KINDS[kind]] += 1
        tally.end_ms = max(tally.end_ms, stop)

    def _events(self, start):
        one, tally = self._bytes.one, self.tally
        for _ in range(one()):
            tally.singles += self._skip_lists(2)
        for delayed in (False, True):
            for type1 in range(one()):
                for type2 in range(one()):
                    yield from self._coincidences(start, delayed, type1, type2)
        for _ in range(one()):
            for _ in range(one()):
                for _ in range(one()):
                    tally.triples += self._skip_lists(5)
        for _ in range(one()):
            for _ in range(one()):
                for _ in range(one()):
                    for _ in range(one()):
                        tally.quadruples += self._skip_lists(5)

    def _coincidences(self, start, delayed, type1, type2):
        left = self._bytes.one()
        while left:
            first, there = self._bytes.take(left, 3)
            if there:
                if delayed:
                    self.tally.delayeds += there
                else:
                    self.tally.prompts += there
                self.tally.end_ms = max(self.tally.end_ms, start + 1)
                if self._segments is not None:
                    segment = (first, there, start, delayed, type1, type2)
                    self._segments.append([[number] for number in segment])
                left -= there
            if left:
                self._bytes.more()
                yield from self._taken()

    def _skip_lists(self, numbers):
        """Goes past a list of items of so many varints; how many items there were."""
        left = count = self._bytes.one()
        while left:
            left -= self._bytes.take(left, numbers)[1]
            if left:
                self._bytes.more()
        return count

    def _taken(self):
        while self._ready:
            yield self._ready.pop(0)

    def _leave(self):
        """Decodes the events that were met in the buffer."""
        if not self._segments:
            return
        segments = np.concatenate([np.array(part, np.int64) for part in self._segments], axis=1)
        self._segments.clear()
        first, count, start, delayed, type1, type2 = segments
        if not len(first):
            return
        low, high, events = int(first[0]), int(first[-1] + 3 * count[-1]), int(count.sum())
        at = np.repeat(first - 3 * (count.cumsum() - count), count) + 3 * np.arange(events)
        if self._mixed or high - low > 6 * events:
            values = self._bytes.numbers((at[:, None] + np.arange(3)).ravel())
            bins = tuple(values[i::3] for i in range(3))
        else:  # with the few numbers between them is faster
            values, at = self._bytes.numbers(slice(low, high)), at - low
            bins = tuple(values[at + i] for i in range(3))
        self._mixed = False
        several = type1.any() or type2.any()
        self._ready.append(Batch(
            bins, tuple(np.repeat(t, count) for t in (type1, type2)) if several else None,
            np.repeat(start, count), np.repeat(delayed.astype(bool), count),
        ))

    def _rates(self, start, stop):
        one = self._bytes.one
        units = [sum(one() for _ in range(one())) for _ in range(one())]
        for _ in range(one()):
            self._skip_lists(1)
        if units:
            self.tally.rates.append((start, stop, units))

    def _signals(self):
        self._bytes.one()
        self._bytes.skip(4 * self._bytes.one())

    def _bed(self):
        self._bytes.skip(48)

    def _gantry(self):
        self._bytes.skip(48 * self._bytes.one())

    def _dead_time(self):
        one, skip = self._bytes.one, self._bytes.skip
        for _ in range(one()):
            skip(4 * one())
        for _ in range(one()):
            for _ in range(one()):
                matrices = 1
                for _ in range(one()):
                    matrices *= one()
                for _ in range(matrices):
                    for _ in range(one()):
                        skip(4 * one())


def _short(raw, at):
    """The varint at a byte, None where it has more than two bytes."""
    low = raw[at]
    if low < 128:
        return low
    high = raw[at + 1]
    return low & 127 | high << 7 if high < 128 else None
