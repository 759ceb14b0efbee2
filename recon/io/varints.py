"""Whole numbers of a variable number of bytes: 7 bits a byte, the lowest first.

The top bit is set in all bytes of a number but the last.
"""

import numpy as np

from recon.io.files import FileError

BUFFER = 1 << 17  # bytes; a buffer and what is made of it stay in the processor's cache
_MOST_BYTES = 10  # of a number of 64 bits


class CutShort(Exception):
    """The file ends where another number was expected."""


def encoded(values):
    """Bytes of numbers, (numbers,) uint32, as a uint8 array."""
    more = sum((values >= np.uint32(1 << bits)).view(np.int8) for bits in (7, 14, 21, 28))
    last = np.cumsum(more + 1) - 1
    first = last - more
    coded = np.empty(int(last[-1]) + 1 if len(last) else 0, np.uint8)
    for k in range(int(more.max()) + 1 if len(more) else 0):
        longer = np.flatnonzero(more >= k) if k else slice(None)
        coded[first[longer] + k] = (values[longer] >> np.uint32(7 * k)) & np.uint32(127) | 128
    coded[last] &= 127
    return coded


class Varints:
    """Numbers of a file one by one or many at once, a buffer at a time.

    Attributes:
        raw: the buffer, bytes.
        ends: last byte of the number before each, and of the last, int64; number i of the buffer
            has bytes ends[i] + 1 to ends[i + 1].
        count: numbers that are whole.
        next, at: the next number, and the byte at which it begins.

    Args:
        file, path: to read, from where it stands.
        leave: called before a buffer is given up.
        watch: called with the number of bytes that were read.
    """

    def __init__(self, file, path, leave, watch=None):
        self._file, self._path, self._leave, self._watch = file, path, leave, watch
        self.raw, self.at = b"", 0
        self._index()

    def _index(self):
        self._bytes = np.frombuffer(self.raw, np.uint8)
        self.ends = np.append(-1, np.flatnonzero(self._bytes < 128))
        self.next, self.count = 0, len(self.ends) - 1

    def more(self):
        """Reads on; places in the buffer before are no longer valid."""
        self._leave()
        read = self._file.read(BUFFER)
        if not read:
            raise CutShort
        self.raw, self.at = self.raw[self.at :] + read, 0
        self._index()
        if self._watch:
            self._watch(len(read))

    def one(self):
        """The next number."""
        while self.next == self.count:
            if len(self.raw) - self.at > _MOST_BYTES:
                raise self.damaged("a number without an end")
            self.more()
        raw, at = self.raw, self.at
        value = raw[at]
        if value >= 128:
            value, shift = value & 127, 7
            while True:
                at += 1
                byte = raw[at]
                value |= (byte & 127) << shift
                if byte < 128:
                    break
                shift += 7
            if shift > 63:
                raise self.damaged("a number beyond 64 bits")
        self.at, self.next = at + 1, self.next + 1
        return value

    def take(self, count, numbers):
        """Goes past up to `count` items of so many numbers, as far as they are in the buffer.

        Returns:
            First varint, and how many items it was.
        """
        first = self.next
        there = min(count, (self.count - first) // numbers)
        if there:
            self.next = first + there * numbers
            self.at = int(self.ends[self.next]) + 1
        return first, there

    def skip(self, count):
        """Goes past so many bytes."""
        while (beyond := self.at + count - len(self.raw)) > 0:
            self.at, count = len(self.raw), beyond
            self.more()
        self.at += count
        self.next = int(np.searchsorted(self.ends, self.at)) - 1

    def numbers(self, index):
        """Numbers of the buffer by their places in it, uint32.

        Args:
            index: a slice from one to before another, or an array of integers.
        """
        if isinstance(index, slice):
            first = self.ends[index] + 1
            more = self.ends[index.start + 1 : index.stop + 1] - first
        else:
            first = self.ends[index] + 1
            more = self.ends[index + 1] - first
        most = int(more.max(initial=0))
        if most > 4:
            raise self.damaged("a number beyond 32 bits in a block of events")
        values = (self._bytes[first] & 127).astype(np.uint32)
        for k in range(1, most + 1):
            longer = np.flatnonzero(more >= k)
            part = self._bytes[first[longer] + k] & 127
            values[longer] |= part.astype(np.uint32) << np.uint32(7 * k)
        return values

    def damaged(self, found):
        """A FileError on what was found instead of a time block."""
        at = self._file.tell() - len(self.raw) + self.at
        return FileError(
            f"{self._path} is damaged before byte {at:,}: it has {found}; copy it again from where "
            "it was written"
        )
