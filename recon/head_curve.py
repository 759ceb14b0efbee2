"""The head curve: how many events a list has against time. A gap or a jump in it shows at once."""

import math
from dataclasses import dataclass

import numpy as np

from recon.io.files import replacing

_POINTS = 400  # as many as a picture shows apart


@dataclass(frozen=True, kw_only=True)
class HeadCurve:
    """Events by the millisecond of their time tag.

    Attributes:
        time_ms: since the list began, ascending, (tags,) int32; times without events are left out.
        prompts, delayeds: events of that time, (tags,) int32.
    """

    time_ms: np.ndarray
    prompts: np.ndarray
    delayeds: np.ndarray

    @classmethod
    def of(cls, events):
        """The curve of Events."""
        delayed = events.delayed.view(np.int8)
        return cls._summed(events.time_ms.astype(np.int32), 1 - delayed, delayed)

    @classmethod
    def joined(cls, curves):
        """The sum of curves, a list of HeadCurve."""
        names = cls.__dataclass_fields__
        parts = ([getattr(curve, name) for curve in curves] for name in names)
        return cls._summed(*(np.concatenate([np.zeros(0, np.int32), *part]) for part in parts))

    @classmethod
    def _summed(cls, time_ms, *counts):
        """Counts of equal times summed."""
        if np.any(time_ms[1:] < time_ms[:-1]):  # seldom: a list is in the order of its tags
            order = np.argsort(time_ms, kind="stable")
            time_ms, *counts = (array[order] for array in (time_ms, *counts))
        first = np.flatnonzero(np.diff(time_ms, prepend=time_ms[:1] - 1))
        if len(first):  # of an empty array reduceat takes nothing
            counts = [np.add.reduceat(count, first, dtype=np.int32) for count in counts]
        return cls(time_ms=time_ms[first], prompts=counts[0], delayeds=counts[1])

    def binned(self, stop_ms):
        """The curve in at most some hundred equal steps from 0 to `stop_ms` or a little later.

        Returns:
            Edges of the steps in ms, (steps + 1,); prompts and delayeds in each, (steps,).
        """
        width = max(math.ceil(stop_ms / _POINTS), 1)
        steps = max(math.ceil(stop_ms / width), 1)
        step = self.time_ms // width
        inside = step < steps
        counts = [
            np.bincount(step[inside], counts[inside], steps)
            for counts in (self.prompts, self.delayeds)
        ]
        return np.arange(steps + 1) * width, *counts

    def record(self, stop_ms):
        """The binned curve as a dict, for the sidecar of what was counted."""
        names = ("edges_ms", "prompts", "delayeds")
        return dict(zip(names, self.binned(stop_ms), strict=True)) | {"stop_ms": stop_ms}


def draw(curve, path, *, stop_ms, frames_ms=(), title=""):
    """Draws events per second against time.

    Args:
        curve: HeadCurve.
        path: .png, .pdf, .svg or .jpg; whole or not at all.
        stop_ms: where the list, or what was read of it, ends.
        frames_ms: (start, stop) of frames, whose edges are marked.
        title: of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=150, layout="constrained")
    ax = figure.subplots()
    plot(ax, *curve.binned(stop_ms), stop_ms=stop_ms, frames_ms=frames_ms)
    ax.set_title(title, fontsize=11)
    with replacing(path) as name:
        figure.savefig(name)


def plot(ax, edges_ms, prompts, delayeds, *, stop_ms, frames_ms=()):
    """Draws events per second against time into Matplotlib's Axes.

    Args:
        ax: Axes.
        edges_ms, prompts, delayeds: of `HeadCurve.binned`.
        stop_ms, frames_ms: as for `draw`.
    """
    # The last step may go past the end; its rate is of the time there was.
    width_s = np.diff(np.minimum(edges_ms, stop_ms)) / 1000
    for count, name, colour in (
        (prompts, "prompts", "tab:blue"), (delayeds, "delayeds", "tab:orange")
    ):
        rate = count / width_s / 1000
        ax.stairs(rate, edges_ms / 1000, baseline=None, label=name, color=colour, linewidth=1.2)
    for edge in sorted({edge for frame in frames_ms for edge in frame} - {0, stop_ms}):
        ax.axvline(edge / 1000, color="0.4", linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
    ax.set_xlim(0, edges_ms[-1] / 1000)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("time since the list began (s)")
    ax.set_ylabel("events per second (thousands)")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
