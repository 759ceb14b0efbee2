"""Listed events summed into sinograms.

Two tables give an event's bin: one by its pair of crystals (view, radial bin, which of the two
comes first on the line), one by its pair of rings (plane), both of `SinogramLayout.bin_of`.
Bins are counted by np.add.at: 7 ns an event whether the sinogram has 73 million bins or 354
million, where sorting first took 10, np.unique 17 and np.bincount 30 and more (it goes over all
bins for every chunk).
"""

from dataclasses import dataclass, field

import numpy as np

from recon.head_curve import HeadCurve
from recon.segments import Segment

OUTSIDE, IMPOSSIBLE = -1, -2  # in the tables, instead of a bin


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """How many events went into no sinogram, and why; one event counts once.

    Attributes:
        outside_time: before or after the time asked for.
        impossible: on a crystal or ring that is virtual or that the scanner does not have.
        outside_layout: on crystals that no bin of the layout joins.
    """

    outside_time: int = 0
    impossible: int = 0
    outside_layout: int = 0


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """What `histogram` gives.

    Attributes:
        prompts: sinogram (view, radial, plane) or (view, radial, tof, plane), float32.
        delayeds: the same of delayed coincidences; None where not asked for.
        prompt_sum, delayed_sum: events in them, ints; also where the sinogram was not asked for.
        dropped: Dropped.
        curve: HeadCurve of all events, dropped ones too.
    """

    prompts: np.ndarray
    delayeds: np.ndarray | None
    prompt_sum: int
    delayed_sum: int
    dropped: Dropped
    curve: HeadCurve = field(repr=False)


def histogram(chunks, layout, *, start_ms=0, stop_ms=None, delayeds=True):
    """Count events into sinograms.

    Args:
        chunks: iterable of Events of the layout's scanner; memory is for one at a time.
        layout: SinogramLayout, not arc-corrected; with time of flight, events need theirs.
        start_ms, stop_ms: events at start_ms or later and before stop_ms are counted; None for
            all to the end.
        delayeds: whether to make a sinogram of delayed coincidences, too.
    Returns:
        Histogram.
    Raises:
        ValueError: arc-corrected bins, or a layout with time of flight and events without.
    """
    bins = _Bins(layout)
    sinograms = [np.zeros(layout.shape, np.float32)]
    sinograms.append(np.zeros(layout.shape, np.float32) if delayeds else None)
    sums, dropped, curves = [0, 0], dict.fromkeys(Dropped.__dataclass_fields__, 0), []
    one = np.float32(1)  # a float64 would be cast for every event
    for events in chunks:
        curves.append(HeadCurve.of(events))
        inside = events.time_ms >= start_ms
        if stop_ms is not None:
            inside &= events.time_ms < stop_ms
        if not inside.all():
            dropped["outside_time"] += len(events) - int(np.count_nonzero(inside))
            events = events.select(inside)
        index, delayed = bins.of(events, dropped)
        for kind, chosen in enumerate((index[~delayed], index[delayed])):
            sums[kind] += len(chosen)
            if sinograms[kind] is not None:
                np.add.at(sinograms[kind].reshape(-1), chosen, one)
    return Histogram(
        prompts=sinograms[0],
        delayeds=sinograms[1],
        prompt_sum=sums[0],
        delayed_sum=sums[1],
        dropped=Dropped(**dropped),
        curve=HeadCurve.joined(curves),
    )


class _Bins:
    """Tables from pairs of crystals and of rings to bins of a layout."""

    def __init__(self, layout):
        self._layout, scanner = layout, layout.scanner
        self._rings, self._crystals = scanner.rings, scanner.crystals
        transaxial, axial = scanner.block_crystals
        # A segment 0 that is whole: where a pair of crystals belongs does not hang on its rings.
        whole = Segment(min_ring_difference=0, max_ring_difference=0, planes=scanner.rings)
        first, second = np.indices((scanner.crystals, scanner.crystals))
        view, radial, _, swapped = layout.with_(segments=(whole,)).bin_of(0, first, 0, second)
        ray = (view * layout.radial_bins + radial) * 2 + swapped
        self._rays = _table(ray, view < 0, scanner.virtual_crystals, transaxial)

        crystals = layout.crystal_pairs()[0, 0, layout.radial_bins // 2]
        first, second = np.indices((scanner.rings, scanner.rings))
        plane = layout.bin_of(first, crystals[0], second, crystals[1])[2]
        plane = _table(plane, plane < 0, scanner.virtual_rings, axial).reshape(first.shape)
        self._planes = np.stack([plane, plane.T]).ravel()
        self._tof = self._tof_table() if layout.tof else None

    def of(self, events, dropped):
        """Bins of those events that have one, counting the others.

        Returns:
            Index into the flat sinogram, int64, and whether delayed, bool, one for each of them.
        """
        events = self._with_detectors(events, dropped)
        ray = self._rays[_pair(events.crystal1, events.crystal2, self._crystals)]
        rings = _pair(events.ring1, events.ring2, self._rings)
        swapped = ray & 1
        plane = self._planes[rings + swapped * np.int32(self._rings**2)]
        delayed, last = events.delayed, [plane]
        if self._tof is not None:
            if events.tof_bin is None:
                raise ValueError(
                    "histogram takes events with time of flight for this layout, got some without; "
                    "use layout.without_tof()"
                )
            last.append(self._tof[swapped, events.tof_bin])
        bad = ray < 0
        for index in last:
            bad |= index < 0
        if bad.any():
            impossible = int(np.count_nonzero((ray == IMPOSSIBLE) | (plane == IMPOSSIBLE)))
            dropped["impossible"] += impossible
            dropped["outside_layout"] += int(np.count_nonzero(bad)) - impossible
            ray, delayed = ray[~bad], delayed[~bad]
            last = [index[~bad] for index in last]
        index = (ray >> 1).astype(np.int64)
        if self._tof is not None:
            index = index * self._layout.tof_bins + last[1]
        return index * self._layout.planes + last[0], delayed

    def _with_detectors(self, events, dropped):
        """Events without those whose numbers cannot stand in a table."""
        ends = [(events.ring1, self._rings), (events.ring2, self._rings),
                (events.crystal1, self._crystals), (events.crystal2, self._crystals)]
        if self._tof is not None and events.tof_bin is not None:
            ends.append((events.tof_bin, self._layout.scanner.tof_bins))
        if not len(events) or all(a.min() >= 0 and a.max() < size for a, size in ends):
            return events
        possible = np.ones(len(events), bool)
        for array, size in ends:
            possible &= (array >= 0) & (array < size)
        dropped["impossible"] += len(events) - int(np.count_nonzero(possible))
        return events.select(possible)

    def _tof_table(self):
        """Mashed bin of an unmashed one, by whether the line runs the other way; OUTSIDE if none.
        """
        layout = self._layout
        mashed = mashed_tof(layout, np.arange(layout.scanner.tof_bins))
        return np.stack([mashed, np.where(mashed < 0, OUTSIDE, layout.tof_bins - 1 - mashed)])


def mashed_tof(layout, tof_bin):
    """Time-of-flight bins of a layout that unmashed ones are summed into.

    Both are centred on the line's middle, so that the mashed ones may leave the outermost out.

    Args:
        layout: SinogramLayout with time of flight.
        tof_bin: unmashed bins, integers of any shape; those that the scanner does not have, too.
    Returns:
        The mashed bin of each, of the same shape, growing towards the same end; OUTSIDE if none.
    """
    twice = 2 * np.asarray(tof_bin, np.int64) - (layout.scanner.tof_bins - 1)
    mashed = (twice + layout.tof_bins * layout.tof_mashing) // (2 * layout.tof_mashing)
    return np.where((mashed >= 0) & (mashed < layout.tof_bins), mashed, OUTSIDE)


def _pair(first, second, size):
    return first.astype(np.int32) * np.int32(size) + second


def _table(values, outside, virtual, block):
    """Values of all pairs, flat int32, with IMPOSSIBLE where one of the two is virtual."""
    values = np.where(outside, OUTSIDE, values)
    missing = np.isin(np.arange(len(values)) % block, virtual)
    values[missing], values[:, missing] = IMPOSSIBLE, IMPOSSIBLE
    return np.ascontiguousarray(values, np.int32).ravel()
