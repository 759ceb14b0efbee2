"""List mode of a simulated scan: each count of its sinograms as an event of two crystals."""

import math
from dataclasses import replace

import numpy as np

from recon.events import Events
from recon.histogram import mashed_tof

_EVENTS = 2_000_000  # in a chunk, about


def events(counts, expected, rng):
    """Lists a scan's counts; sinograms that are counted from the list are the scan's own.

    An event's crystal pair is drawn from its bin's pairs in proportion to both efficiencies, its
    time from the isotope's decay over the scan, its unmashed time-of-flight bin evenly.

    Args:
        counts: Counts.
        expected: Expected that they were drawn from.
        rng: numpy Generator.
    Yields:
        Events in the order of time, of `scanner_of`.
    """
    total = sum(float(array.sum(dtype=np.float64)) for array in (counts.prompts, counts.delayeds))
    slices = max(1, math.ceil(total / _EVENTS))
    left = [counts.prompts.astype(np.int32), counts.delayeds.astype(np.int32)]
    pairs = _Pairs(expected)
    for k in range(slices):
        parts = []
        for delayed, rest in enumerate(left):
            now = _taken(rest, 1 / (slices - k), rng)
            parts.append(pairs.events(now, bool(delayed), (k / slices, (k + 1) / slices), rng))
        yield _in_order(parts)


def scanner_of(layout):
    """The Scanner of a layout's list: without time of flight where the layout has none."""
    if layout.tof:
        return layout.scanner
    return replace(layout.scanner, tof_bins=1, tof_bin_ps=None, timing_resolution_ps=None)


def _taken(rest, chance, rng):
    """Draws counts out of what is left, a view at a time, and takes them off it."""
    now = np.empty_like(rest)
    for view, row in enumerate(rest):
        now[view] = rng.binomial(row, chance) if chance < 1 else row
    rest -= now
    return now


class _Pairs:
    """The crystal pairs of a layout's bins, to draw from."""

    def __init__(self, expected):
        self.layout, self.crystals = expected.layout, expected.crystals / expected.crystals.max()
        self.seconds = expected.protocol.seconds
        self.rate = math.log(2) / expected.isotope.half_life_s
        self.ends = self.layout.crystal_pairs()
        plane, self.ring1, self.ring2 = self.layout.ring_pairs().T
        self.first = np.searchsorted(plane, np.arange(self.layout.planes))
        self.number = np.bincount(plane, minlength=self.layout.planes)
        if self.layout.tof:
            mashed = mashed_tof(self.layout, np.arange(self.layout.scanner.tof_bins))
            order = np.argsort(mashed, kind="stable")
            start = np.searchsorted(mashed[order], np.arange(self.layout.tof_bins))
            self.tof = order, start, np.bincount(mashed[mashed >= 0])

    def events(self, counts, delayed, part, rng):
        """Events of a sinogram of counts, at times in a part (from, to) of the scan's decays."""
        filled = np.flatnonzero(counts)
        index = np.repeat(filled, counts.ravel()[filled])
        place = np.unravel_index(index, self.layout.shape)
        view, radial, plane = place[0], place[1], place[-1]
        found = np.zeros((4, len(index)), np.int16)
        open_ = np.arange(len(index))
        while len(open_):  # rejection: what is kept is in proportion to both efficiencies
            v, r, p = view[open_], radial[open_], plane[open_]
            mash = rng.integers(len(self.ends), size=len(open_))
            pair = self.first[p] + (rng.random(len(open_)) * self.number[p]).astype(int)
            ends = self.ends[mash, v, r]
            drawn = self.ring1[pair], ends[:, 0], self.ring2[pair], ends[:, 1]
            chance = self.crystals[drawn[0], drawn[1]] * self.crystals[drawn[2], drawn[3]]
            kept = (ends[:, 0] >= 0) & (rng.random(len(open_)) < chance)
            found[:, open_[kept]] = np.stack(drawn)[:, kept]
            open_ = open_[~kept]
        chance = part[0] + (part[1] - part[0]) * rng.random(len(index))
        decayed = -math.expm1(-self.rate * self.seconds)
        time_s = -np.log1p(-chance * decayed) / self.rate
        tof_bin = None
        if self.layout.tof:
            order, start, number = self.tof
            t = place[2]
            tof_bin = order[start[t] + (rng.random(len(t)) * number[t]).astype(int)]
            tof_bin = tof_bin.astype(np.int16)
        ring1, crystal1, ring2, crystal2 = found
        return Events(
            ring1=ring1, crystal1=crystal1, ring2=ring2, crystal2=crystal2,
            time_ms=(1000 * time_s).astype(np.int32), delayed=np.full(len(index), delayed),
            tof_bin=tof_bin,
        )


def _in_order(parts):
    names = [name for name, array in vars(parts[0]).items() if array is not None]
    both = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Events(**both).select(np.argsort(both["time_ms"], kind="stable"))
