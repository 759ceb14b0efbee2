"""The command `countless histogram`: list mode in, sinograms and head curve out."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recon import frames as time_frames
from recon import head_curve, memory, progress, text
from recon.command import WHOLE
from recon.command_line import command_line
from recon.events import Stream
from recon.histogram import histogram as histogram_of
from recon.io import FileError, check_output, check_picture, provenance, write_sinogram
from recon.io.lists import open_list
from recon.layout import SinogramLayout

_PROGRAM = 300 << 20  # bytes: Python, its libraries, a chunk of events and the tables


def histogram(
    list_mode: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    start: float | None = None,
    stop: float | None = None,
    frames: Annotated[
        tuple[str, ...] | None, Parameter(consume_multiple=True, negative_iterable=())
    ] = None,
    span: Annotated[int, WHOLE] = 11,
    max_ring_difference: Annotated[int | None, WHOLE] = None,
    tof_mashing: Annotated[int | None, WHOLE] = None,
    tof: bool = True,
    scanner: Path | None = None,
    delayed_out: Path | None = None,
    curve: Path | None = None,
    config: Path | None = None,
):
    """Count a scan's list mode into a sinogram of prompts, and one of delayed coincidences.

    Args:
        list_mode: Siemens mMR's header of a list-mode file (.hdr), a PETSIRD file (.petsird, .bin)
            or a CASToR header (.cdh).
        output: Sinogram of prompts to write (.hs), with a .json beside it that says how; of several
            frames, scan.frame1.hs, scan.frame2.hs and on.
        start: First second that counts, by default that of the list's beginning, 0.
        stop: Second at which counting ends, by default that of the list's end.
        frames: Seconds at which frames begin, and the last one's end, such as 0 10 30 60; or a text
            file of them. In place of start and stop.
        span: Ring differences per segment, odd; 1 keeps every ring pair apart.
        max_ring_difference: The largest that counts, by default the list's.
        tof_mashing: The list's time-of-flight bins summed into one, by default so many that one is
            nearest to half the timing resolution.
        tof: Whether to keep time of flight; --no-tof sums all its bins.
        scanner: CASToR's file of the scanner (.geom, .hscan) where it is not beside the header nor
            in $CASTOR_CONFIG/scanner.
        delayed_out: Sinogram of delayed coincidences to write (.hs).
        curve: Picture to draw of events per second against time (.png, .pdf, .svg, .jpg).
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    events = open_list(list_mode, scanner)
    layout = _layout(events, span, max_ring_difference)
    job = Job(
        events=events,
        layout=_with_tof(layout, events.layout, tof, tof_mashing),
        frames_ms=time_frames.frames(events, start, stop, frames),
        output=output,
        delayed_out=delayed_out,
        curve=curve,
        inputs=(*events.inputs, *filter(None, [config])),
    )
    print(job, flush=True)
    record = provenance(
        command=command_line(histogram, settings),
        configuration=settings,
        inputs=job.inputs,
        unit="counts",
    )
    end_ms = job.frames_ms[-1][1]
    curves, rows, stream = [], [], Stream(progress.events(events.chunks(), end_ms))
    for number, (start_ms, stop_ms) in enumerate(job.frames_ms, start=1):
        counted = histogram_of(stream.until(stop_ms), job.layout, start_ms=start_ms,
                               stop_ms=stop_ms, delayeds=delayed_out is not None)
        job.write(number, counted, record)
        rows += job.rows(number, counted)
        curves.append(counted.curve)
        del counted  # before the next frame's arrays
    if curve:
        title = f"{list_mode.name}, {events.scanner.name}"
        whole = head_curve.HeadCurve.joined(curves)
        head_curve.draw(whole, curve, stop_ms=end_ms, frames_ms=job.frames_ms, title=title)
        rows.append(("curve", curve))
    notes = [note for note in events.notes if note not in events.known_notes]
    print(text.table([*rows, *(("note", note) for note in notes)]))


@dataclass(frozen=True, kw_only=True)
class Job:
    """What will be counted and written, checked before the list is read.

    Attributes:
        events: a list of `recon.io.lists.open_list`.
        layout: SinogramLayout of the sinograms.
        frames_ms: (start, stop) of each frame.
        output, delayed_out, curve: files to write; None for those not asked for.
        inputs: files that are read.
    Raises:
        FileError: an output cannot be written or would replace an input or another output.
        ValueError: the sinograms do not fit the memory.
    """

    events: object
    layout: SinogramLayout
    frames_ms: list
    output: Path
    delayed_out: Path | None
    curve: Path | None
    inputs: tuple[Path, ...]

    def __post_init__(self):
        if self.curve:
            check_picture(self.curve, "--curve", self.inputs)
        paths = [self.path(base, number) for base in self._sinograms
                 for number in range(1, len(self.frames_ms) + 1)]
        for path in paths:
            if path.suffix != ".hs":
                raise FileError(f"a sinogram takes a name that ends in .hs, got {path}")
            check_output(path, self.inputs)
        if len({path.resolve() for path in paths}) < len(paths):
            raise FileError(
                f"--output and --delayed-out are both {self.output}; give one another name"
            )
        needed = 4 * math.prod(self.layout.shape) * len(self._sinograms) + _PROGRAM
        free = memory.available("cpu")
        if needed > free:
            raise ValueError(
                f"sinograms of {self.layout.planes} planes take {memory.in_gib(needed)} of memory, "
                f"where {memory.in_gib(free)} are free; use a larger --span or a smaller "
                "--max-ring-difference, or make prompts and delayed coincidences one by one"
            )

    @property
    def _sinograms(self):
        return [base for base in (self.output, self.delayed_out) if base]

    def __str__(self):
        edges = f"{len(self.frames_ms)} frames, " if len(self.frames_ms) > 1 else ""
        (first, _), (_, last) = self.frames_ms[0], self.frames_ms[-1]
        return text.table([
            ("list mode", f"{self.inputs[0]}, {self.events.size}, "
                          f"{self.events.end_ms / 1000:.10g} s"),
            ("scanner", text.scanner(self.layout.scanner)),
            ("layout", text.layout(self.layout)),
            *_tof_rows(self.layout, self.events.layout),
            ("time", f"{edges}{first / 1000:.10g} to {last / 1000:.10g} s"),
            *(("note", note) for note in self.events.known_notes),
        ])

    def path(self, base, number):
        """scan.hs, or of several frames scan.frame1.hs."""
        several = len(self.frames_ms) > 1
        return base.with_suffix(f".frame{number}{base.suffix}") if several else base

    def write(self, number, counted, record):
        """Writes a frame's sinograms."""
        start_ms, stop_ms = self.frames_ms[number - 1]
        frame = {"start_s": start_ms / 1000, "duration_s": (stop_ms - start_ms) / 1000}
        known = {
            "prompts": counted.prompt_sum,
            "delayeds": counted.delayed_sum,
            "dropped": asdict(counted.dropped),
            "frame": number,
            **frame,
            "study": {k: v for k, v in self.events.info.items() if k not in ("notes", *frame)},
            **self.events.record(start_ms, stop_ms),
            "notes": self.events.notes,
            "head_curve": counted.curve.record(stop_ms),
        }
        sinograms = (counted.prompts, counted.delayeds)
        for base, array, kind in zip((self.output, self.delayed_out), sinograms,
                                     ("prompts", "delayed coincidences"), strict=True):
            if base:
                path = self.path(base, number)
                write_sinogram(path, array, self.layout, self.events.info | frame,
                               sidecar=record | {"file": path.name, "quantity": kind} | known)

    def rows(self, number, counted):
        """Rows of a table on what was counted and written."""
        start_ms, stop_ms = self.frames_ms[number - 1]
        if len(self.frames_ms) > 1:
            yield f"frame {number}", f"{start_ms / 1000:.10g} to {stop_ms / 1000:.10g} s"
        for name, count, base in (("prompts", counted.prompt_sum, self.output),
                                  ("delayeds", counted.delayed_sum, self.delayed_out)):
            yield name, f"{count:,}" + (f", written to {self.path(base, number)}" if base else "")
        reasons = {
            "outside_time": "before the time asked for",
            "impossible": "on crystals that the scanner does not have",
            "outside_layout": "outside the sinogram",
        }
        for name, reason in reasons.items():
            count = getattr(counted.dropped, name)
            if count:
                yield "dropped", f"{count:,} events {reason}"


def _layout(events, span, max_ring_difference):
    if span < 1 or span % 2 == 0:
        raise ValueError(
            f"--span takes an odd number (1 keeps every ring pair apart, 11 is usual), got {span}"
        )
    listed = events.layout
    most = max(segment.max_ring_difference for segment in listed.segments)
    if max_ring_difference is None:
        max_ring_difference = most
    elif not 0 <= max_ring_difference <= most:
        raise ValueError(
            f"--max-ring-difference takes 0 to {most}, the list's largest, got "
            f"{max_ring_difference}"
        )
    return SinogramLayout.of(events.scanner, span=span, radial_bins=listed.radial_bins,
                             max_ring_difference=max_ring_difference)


def _with_tof(layout, listed, tof, tof_mashing):
    """The layout with the list's time-of-flight bins mashed, as asked for."""
    if not listed.tof or not tof:
        if tof_mashing is not None:
            raise ValueError(
                "--tof-mashing takes a list with time of flight, got "
                f"{'--no-tof' if listed.tof else 'one without'}; leave it out"
            )
        return layout
    fine, scanner = listed.tof_bins, listed.scanner
    # Others would cut bins of the list in two: both are symmetric about the line's middle.
    bins = {m: fine // m - (fine // m * m - fine) % 2 for m in range(1, fine + 1)}
    bins = {m: n for m, n in bins.items() if n > 0 and (n * m - fine) % 2 == 0}
    if tof_mashing is None:
        half = scanner.timing_resolution_ps / 2
        tof_mashing = min(bins, key=lambda m: abs(m * scanner.tof_bin_ps - half))
    if tof_mashing not in bins:
        odd = " odd numbers" if fine % 2 else ""
        raise ValueError(
            f"--tof-mashing takes{odd} from 1 to {max(bins)} for the {fine} time-of-flight bins of "
            f"the list, got {tof_mashing}"
        )
    return layout.with_(tof_mashing=tof_mashing, tof_bins=bins[tof_mashing])


def _tof_rows(layout, listed):
    if layout.tof:
        unmashed = f"{layout.tof_mashing} of the list's {listed.tof_bins} bins to one"
        yield "TOF", f"{text.time_of_flight(layout)}; {unmashed}"
    elif listed.tof:
        yield "TOF", f"the list's {listed.tof_bins} time-of-flight bins are summed"
