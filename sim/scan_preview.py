"""A picture of a simulated scan: its sinograms, summed over planes, and its profiles."""

import numpy as np

from recon.io.files import replacing
from sim.protocol import INVERSE_CRIME

PANELS = ("prompts", "trues", "scatter", "randoms")


def draw(path, expected, counts):
    """Draws prompts as counted and trues, scatter and randoms as expected, summed over planes.

    Args:
        path: .png, .pdf, .svg or .jpg; whole or not at all.
        expected: Expected.
        counts: Counts.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    sums = {name: _summed(getattr(expected, name)) for name in PANELS[1:]}
    sums = {"prompts": _summed(counts.prompts)} | sums
    layout, totals = expected.layout, expected.counts
    s = layout.rays()[0, :, 2]
    figure = Figure(figsize=(12, 5.6), dpi=130, layout="constrained")
    figure.suptitle(_title(expected), fontsize=11)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.5, 1))
    axes = top.subplots(1, 4, sharex=True, sharey=True)
    for ax, (name, image) in zip(axes, sums.items(), strict=True):
        total = float(counts.prompts.sum(dtype=np.float64)) if name == "prompts" else totals[name]
        drawn = ax.imshow(
            image, aspect="auto", cmap="gray_r", extent=(s[0], s[-1], 180, 0), vmin=0,
            interpolation="nearest",
        )
        kind = "counted" if name == "prompts" else "expected"
        ax.set_title(f"{name}, {kind}: {_short(total)}", fontsize=10)
        ax.set_xlabel("distance from the axis (mm)", fontsize=8)
        ax.tick_params(labelsize=8)
        bar = top.colorbar(drawn, ax=ax, location="bottom", shrink=0.9, aspect=30, pad=0.02)
        bar.ax.tick_params(labelsize=7)
    axes[0].set_ylabel("view (degrees)", fontsize=8)
    profile, axial = bottom.subplots(1, 2, width_ratios=(1.3, 1))
    for name, image in sums.items():
        style = {"prompts": {"color": "black", "linewidth": 0.8}}.get(name, {"linewidth": 1.4})
        profile.plot(s, image.sum(axis=0), label=name, **style)
        axial.plot(*_along(getattr(counts if name == "prompts" else expected, name), layout),
                   label=name, **style)
    profile.set_xlabel("distance from the axis (mm)", fontsize=9)
    axial.set_xlabel("z of the direct planes (mm)", fontsize=9)
    for ax in (profile, axial):
        ax.set_ylabel("counts", fontsize=9)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_formatter(EngFormatter())
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    profile.legend(frameon=False, fontsize=9)
    with replacing(path) as name:
        figure.savefig(name)


def _title(expected):
    protocol, totals = expected.protocol, expected.counts
    words = [
        protocol.scanner.name, f"{protocol.minutes:g} min of {expected.isotope.name}",
        f"{_short(totals['prompts'])} prompts expected",
        f"scatter fraction {expected.scatter_fraction:.1%}",
        f"randoms {expected.randoms_fraction:.1%} of prompts",
    ]
    title = ", ".join(words)
    return f"{INVERSE_CRIME}: {title}" if protocol.inverse_crime else title


def _summed(array):
    """(view, radial): summed over planes and time of flight."""
    return array.sum(axis=tuple(range(2, array.ndim)), dtype=np.float64)


def _along(array, layout):
    """z of the planes of the segment about ring difference 0, and their counts."""
    index = int(np.argmin([abs(s.mean_ring_difference) for s in layout.segments]))
    segment, first = layout.segments[index], layout.first_planes()[index]
    start, step, _ = layout.segment_table()[index]
    part = array[..., first : first + segment.planes]
    counts = part.sum(axis=tuple(range(part.ndim - 1)), dtype=np.float64)
    return start + step * np.arange(segment.planes), counts


def _short(counts):
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if counts >= size:
            return f"{counts / size:.3g} {unit}"
    return f"{counts:.0f}"
