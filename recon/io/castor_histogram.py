"""CASToR's histograms: sinograms of prompts with what their model needs, read as arrays.

CASToR expects of an event with attenuation correction a, normalization n and rates r and s of
randoms and scatter, after T seconds,

    (line integral of the image) / (a n) + (r + s) T,

the line being the mean of its k pairs of crystals. That is ours with m = 1 / (a n): n holds the
number of pairs. Without n we take m = k / a, where CASToR would take 1 / a: k pairs count k times
what one does. Bins without an event, and those with a or n of 0 or less, which CASToR skips, have
m = 0. Rates are as measured, not multiplied by n; r is of all time-of-flight bins together, and
CASToR shares it evenly among them. Its bins ascend with t1 - t2, so from crystal 1 to crystal 2.

Sources: CASToR's general documentation, "PET datafile format", its document on time of flight, and
its reader of version 3.1.
"""

from dataclasses import dataclass

import numpy as np

from recon.io.castor_data import read_data_header
from recon.io.castor_scanner import read_crystals, with_tof
from recon.io.files import FileError, opened
from recon.layout import SinogramLayout
from recon.segments import Segment

CHUNK_EVENTS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class CastorHistogram:
    """A histogram.

    Attributes:
        layout: SinogramLayout.
        info: dict of facts of the study, as `recon.io.interfile_data.study_info` names them.
        prompts: float32 of layout.shape.
        efficiency: m without attenuation, float32 (view, radial, plane).
        attenuation: what is left of the photon pairs, the same; None where the file has none.
        randoms: expected counts of all time-of-flight bins together, the same; None as well.
        scatter: expected counts, float32 of layout.shape; None as well.
        bins: how many the file has.
        dropped: dict of events that went into no bin: impossible (on foreign crystals) and
            outside_layout; and prompts, the counts in them.
        notes: sentences on what was assumed or is missing.
        inputs: files that were read.
    """

    layout: SinogramLayout
    info: dict
    prompts: np.ndarray
    efficiency: np.ndarray
    attenuation: np.ndarray | None
    randoms: np.ndarray | None
    scatter: np.ndarray | None
    bins: int
    dropped: dict
    notes: list
    inputs: tuple

    def factors(self):
        """m of the model, float32 (view, radial, plane)."""
        return self.efficiency if self.attenuation is None else self.efficiency * self.attenuation

    def background(self):
        """Expected counts of randoms and scatter, float32 of layout.shape; None without both."""
        if self.randoms is None:
            return self.scatter
        randoms = self.randoms
        if self.layout.tof:
            share = randoms[:, :, None] / np.float32(self.layout.tof_bins)
            randoms = np.broadcast_to(share, self.layout.shape)
        return randoms.copy() if self.scatter is None else self.scatter + randoms


def read_castor_layout(path, scanner_file=None, *, span=None, max_ring_difference=None):
    """What a histogram's arrays will be.

    Args:
        path: header, .cdh.
        scanner_file: .geom or .hscan; see `recon.io.castor_list.read_castor_list`.
        span: ring differences per segment; by default those that Countless wrote, else 1.
        max_ring_difference: the largest, by default that of the file or any.
    Returns:
        SinogramLayout, DataHeader, Crystals.
    Raises:
        FileError: header, data or scanner are missing, of another kind or cannot be used.
    """
    header = read_data_header(path, "histogram")
    crystals = read_crystals(header, scanner_file)
    keys, scanner, ours = header.keys, crystals.scanner, header.keys.ours.get("layout")
    mashing = 0
    if header.tof:
        mashing = ours.get("tof_mashing", 1) if ours else 1
        size, resolution = (keys.number(key) for key in
                            ("Histo TOF bin size (ps)", "TOF resolution (ps)"))
        if min(size, resolution) <= 0:
            raise keys.wrong("TOF resolution (ps)" if size > 0 else "Histo TOF bin size (ps)",
                             "a positive number")
        if not ours or (mashing * (scanner.tof_bin_ps or 0), scanner.timing_resolution_ps) != (
                size, resolution):
            mashing = 1
            scanner = with_tof(scanner, resolution, header.tof_bins, size)
    tof = {"tof_mashing": mashing, "tof_bins": header.tof_bins}
    try:
        if span is None and ours:
            segments = tuple(Segment(min_ring_difference=low, max_ring_difference=high,
                                     planes=planes) for low, high, planes in ours["segments"])
            layout = SinogramLayout(
                scanner=scanner, segments=segments, **tof,
                **{name: ours[name] for name in ("views", "radial_bins", "view_mashing")},
            )
        else:
            layout = SinogramLayout.of(scanner, span=span or 1, tof_mashing=mashing,
                                       max_ring_difference=max_ring_difference).with_(**tof)
    except (KeyError, TypeError, ValueError) as reason:
        raise FileError(f"{path}: {reason}; give another --span, or the scanner that the data are "
                        "of") from reason
    return layout, header, crystals


def read_castor_histogram(path, scanner_file=None, *, span=None, max_ring_difference=None,
                          watch=None):
    """Read a histogram.

    Args:
        path, scanner_file, span, max_ring_difference: as `read_castor_layout` takes them.
        watch: called with the number of events that each step has read.
    Returns:
        CastorHistogram.
    Raises:
        FileError: also where an event's lines belong to several bins, or several events to a bin.
    """
    layout, header, crystals = read_castor_layout(
        path, scanner_file, span=span, max_ring_difference=max_ring_difference
    )
    count, cut = header.whole_events()
    reading = _Reading(layout, header, crystals)
    with opened(header.data) as file:
        left = count
        while left:
            part = np.fromfile(file, header.record, min(CHUNK_EVENTS, left))
            if not len(part):
                raise FileError(f"{header.data} became shorter while it was read; try again")
            reading.take(part)
            left -= len(part)
            if watch:
                watch(len(part))
    return reading.histogram(cut)


class _Reading:
    """Arrays of a layout that events are put into."""

    def __init__(self, layout, header, crystals):
        self._layout, self._header, self._crystals = layout, header, crystals
        flat, names = layout.without_tof().shape, header.record.names
        self._rays, self._events, self._odd_lines = flat[0] * flat[1], 0, 0
        self._arrays = {"counts": np.zeros(layout.shape, np.float32)}
        if "scatter" in header.record["bins"].base.names:
            self._arrays["scatter"] = np.zeros(layout.shape, np.float32)
        for name in ("acf", "random", "norm"):
            if name in names:
                self._arrays[name] = np.zeros(flat, np.float32)
        self._lines = np.zeros(flat, np.uint16)
        real = layout.pair_counts()
        self._real = [array.astype(np.int32).ravel() for array in real]
        self._dropped = {"impossible": 0, "outside_layout": 0, "prompts": 0.0}
        if header.duration_s == 0 and {"scatter", "random"} & set(self._arrays):
            raise header.keys.wrong("Duration (s)", "a positive time, for rates become counts")

    def take(self, part):
        """Puts events into the arrays."""
        lines = part["lines"].astype(np.int64) if self._header.lines > 1 else np.ones(
            len(part), np.int64)
        first, foreign = self._place(part["pairs"][:, 0], lines > 0)
        outside = ~foreign & (first[0] < 0)
        self._drop(part, "impossible", foreign)
        self._drop(part, "outside_layout", outside)
        for line in range(1, int(lines.max(initial=0))):
            chosen = np.flatnonzero((lines > line) & ~foreign & ~outside)
            other, _ = self._place(part["pairs"][chosen, line], np.ones(len(chosen), bool))
            same = 4 if self._header.tof else 3  # which end is first matters to time of flight
            apart = np.any([a[chosen] != b for a, b in zip(first[:same], other[:same],
                                                           strict=True)], axis=0)
            if apart.any():
                event = self._events + int(chosen[np.argmax(apart)])
                raise FileError(
                    f"{self._header.data}: the lines of event {event:,} are of several bins, as "
                    f"{self._layout.planes} planes have them; give the --span of the histogram"
                )
        self._events += len(part)
        there = ~foreign & ~outside
        part, lines = part[there], lines[there]
        view, radial, plane, swapped = (index[there] for index in first)
        ray = view * self._layout.radial_bins + radial
        if (self._lines.reshape(self._rays, -1)[ray, plane] > 0).any():
            raise self._again()
        self._lines.reshape(self._rays, -1)[ray, plane] = lines
        self._odd_lines += int(np.count_nonzero(lines != self._real[0][ray] * self._real[1][plane]))
        for name, array in self._arrays.items():
            if name in part.dtype.names:
                array.reshape(self._rays, -1)[ray, plane] = part[name]
                continue
            # Ours ascend towards the line's first point, which is crystal 2 where swapped.
            values = np.where(swapped[:, None], part["bins"][name], part["bins"][name][:, ::-1])
            bins = array.reshape(self._rays, self._layout.tof_bins, self._layout.planes)
            bins[ray, :, plane] = values

    def histogram(self, cut):
        """The CastorHistogram of all that was taken."""
        header, arrays, duration = self._header, self._arrays, np.float32(self._header.duration_s)
        seen = self._lines > 0
        kept = self._events - self._dropped["impossible"] - self._dropped["outside_layout"]
        if np.count_nonzero(seen) < kept:
            raise self._again()
        if 2 * self._dropped["impossible"] > self._events:
            raise FileError(
                f"{header.data}: {self._dropped['impossible']:,} of {self._events:,} events are on "
                f"crystal numbers that {self._crystals.files[0].name} does not have; correct the "
                f"flags of {header.keys.path}, or give the scanner that the data are of"
            )
        notes = [*header.notes, *self._crystals.notes, *cut]
        if "norm" in arrays:
            efficiency = _inverse(arrays["norm"])
        else:
            efficiency = self._lines.astype(np.float32)
            notes.append("no normalization is in the file: the factors hold each bin's number of "
                         "crystal pairs alone")
        if self._odd_lines:
            notes.append(f"{self._odd_lines:,} bins have other numbers of lines than they have "
                         "pairs of crystals")
        for name in ("scatter", "random"):
            if name in arrays:
                arrays[name] *= duration
        return CastorHistogram(
            layout=self._layout,
            info=header.study | {"originating_system": self._layout.scanner.name},
            prompts=arrays["counts"],
            efficiency=efficiency,
            attenuation=_inverse(arrays["acf"]) if "acf" in arrays else None,
            randoms=arrays.get("random"),
            scatter=arrays.get("scatter"),
            bins=kept,
            dropped=self._dropped,
            notes=notes,
            inputs=(*header.inputs, *self._crystals.files),
        )

    def _place(self, pairs, there):
        """View, radial bin, plane and whether swapped, of pairs; and which are of no crystals."""
        (ring1, crystal1), (ring2, crystal2) = (self._crystals.of(pairs[:, end]) for end in (0, 1))
        foreign = ~there | (ring1 < 0) | (ring2 < 0)
        numbers = (np.where(foreign, 0, index) for index in (ring1, crystal1, ring2, crystal2))
        return self._layout.bin_of(*numbers), foreign

    def _drop(self, part, why, chosen):
        if count := int(np.count_nonzero(chosen)):
            self._dropped[why] += count
            self._dropped["prompts"] += float(part["bins"]["counts"][chosen].sum(dtype=np.float64))

    def _again(self):
        return FileError(
            f"{self._header.data} has several events of one bin: a histogram of several frames or "
            "gates, of which Countless reads one; split it first"
        )


def _inverse(factors):
    """1 / factors in place, 0 where they are not positive."""
    for part in factors:
        good = part > 0
        np.divide(1, part, out=part, where=good)
        part[~good] = 0
    return factors
