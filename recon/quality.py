"""The quality page: what was counted, estimated and reconstructed of one scan, at a glance."""

from dataclasses import dataclass, field

import numpy as np

from recon import backend, head_curve, scatter_profile, text
from recon.grid import Grid
from recon.io.files import replacing
from recon.io.provenance import read_sidecar
from recon.preview import draw_slices
from recon.projectors import SinogramProjector

_WORDS = 62  # letters in a line of the sums
_ROOM = 1.2  # above the curves, for their legend
_DARK, _BRIGHT = 0.5, 99.5  # percentiles that set a sinogram's grey scale


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What the page shows.

    Attributes:
        image, grid, unit: of the reconstruction, (x, y, z).
        radial_mm: distance of each radial bin from the axis, (radial,).
        before: prompts of the direct planes, summed, (views, radial).
        after: the same less background, over the factors with attenuation; NaN in gaps.
        across, along: prompts, background and what the image makes expected, as rows (3, radial),
            (3, direct planes): sums over all else, the latter of direct planes alone.
        counts: rows (name, text) of sums.
        curve: of the head curve, as `HeadCurve.record` gives it; None of a scan that was no list.
        scatter: the sidecar of the scatter, {} without.
    """

    image: np.ndarray = field(repr=False)
    grid: Grid
    unit: str
    radial_mm: np.ndarray
    before: np.ndarray
    after: np.ndarray
    across: np.ndarray
    along: np.ndarray
    counts: list
    curve: dict | None
    scatter: dict

    @classmethod
    def of(cls, plan, image, prompts, factors, background):
        """The page of a reconstruction.

        Args:
            plan: recon.plan.Plan.
            image: as it was written.
            prompts, factors, background: of `Measurement.load`.
        """
        layout, files = plan.measurement.layout, plan.measurement
        direct = _direct_planes(layout)
        before, after = np.zeros((2, layout.views, layout.radial_bins))
        across = np.zeros((3, layout.radial_bins))
        along = np.zeros((3, direct.stop - direct.start))
        projector = SinogramProjector(layout, plan.grid)
        blurred = plan.blur(plan.psf_mm)
        source = backend.to_device(image, plan.device)
        source = source if blurred is None else blurred(source)
        for view in range(layout.views):
            arrays = [
                None if array is None else backend.to_device(array[view], "cpu")
                for array in (prompts, factors, background)
            ]
            counted, m, b = (_without_tof(array) for array in arrays)
            # Of factors with time of flight the mean serves: nothing but the picture hangs on it.
            m = m / layout.tof_bins if arrays[1].ndim == 3 else m
            mean = projector.subset(slice(view, view + 1))(source)[0]
            expected = m * _without_tof(backend.to_device(mean, "cpu"))
            b = np.zeros_like(counted) if b is None else b
            rows = np.stack([counted, b, expected + b])
            across += rows.sum(axis=2)
            along += rows[..., direct].sum(axis=1)
            before[view] = counted[:, direct].sum(axis=1)
            weight = m[:, direct].sum(axis=1)
            left = before[view] - b[:, direct].sum(axis=1)
            after[view] = np.divide(left, weight, np.full_like(left, np.nan), where=weight > 0)
        shown = plan.calibration(image) if plan.calibration else image
        sidecars = {path: read_sidecar(path) for path in files.background}
        scatter = next((said for said in sidecars.values() if "scatter_scale" in said), {})
        return cls(
            image=shown, grid=plan.grid, unit=plan.unit, radial_mm=layout.rays()[0, :, 2],
            before=before, after=after, across=across, along=along,
            counts=list(_sums(files, sidecars, across)),
            curve=read_sidecar(files.scan).get("head_curve"),
            scatter=scatter,
        )


def _direct_planes(layout):
    """The planes of the segment whose ring differences are least, a slice."""
    segments, first = layout.segments, layout.first_planes()
    number = min(range(len(segments)), key=lambda i: abs(segments[i].mean_ring_difference))
    return slice(int(first[number]), int(first[number]) + segments[number].planes)


def _without_tof(array):
    """A view (radial, [tof,] planes) summed over time of flight, float64."""
    if array is None:
        return None
    return array.sum(axis=1, dtype=np.float64) if array.ndim == 3 else array.astype(np.float64)


def _sums(files, sidecars, across):
    """Rows of what each term of the model sums to."""
    prompts, background, expected = across.sum(axis=1)
    yield "prompts", text.number(prompts)
    if delayeds := read_sidecar(files.scan).get("delayeds"):
        yield "delayeds", text.number(delayeds)
    for path, said in sidecars.items():
        if "sums" in said:
            yield "scatter", f"{text.number(said['sums']['scatter'])}, {_fraction(said['sums'])}"
        elif "randoms" in said:
            yield "randoms", text.number(said["randoms"])
        yield "", str(path)
    if background:
        yield "background", f"{text.number(background)}, {_percent(background, prompts)} of prompts"
    yield "trues", text.number(prompts - background)
    yield "model", f"{text.number(expected)}, {_percent(expected, prompts)} of prompts"
    yield "factors", " × ".join(files.factor_names())


def _fraction(sums):
    """The scatter fraction with its standard deviation, where they are known."""
    fraction, sd = sums["scatter_fraction"], sums["relative_sd"]
    if fraction is None:
        return "no more prompts than randoms"
    told = "" if sd is None else f" ± {100 * fraction * sd:.1f}"
    return f"{100 * fraction:.1f}{told} % of prompts − randoms"


def _percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "–"


def draw(quality, path, *, title):
    """Draws the page.

    Args:
        quality: Quality.
        path: .png, .pdf, .svg or .jpg; whole or not at all.
        title: of the page.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 13.5), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=13)
    above, middle, below = figure.subfigures(3, 1, height_ratios=(4, 4.2, 4.9))
    left, right = above.subfigures(1, 2, width_ratios=(2.2, 1))
    _draw_counts(left, right, quality)
    _draw_profiles(middle, quality)
    sides = [high - low for low, high in quality.grid.extent]
    in_per_mm = 12 / (2 * sides[0] + sides[1])
    draw_slices(below, quality.image, quality.grid, unit=quality.unit, in_per_mm=in_per_mm)
    with replacing(path) as name:
        figure.savefig(name)


def _draw_counts(left, right, quality):
    """Sinograms before and after, and the sums."""
    axes = left.subplots(1, 2)
    pictures = (
        (quality.before, "prompts, direct planes summed", "counts"),
        (quality.after, "less background, over factors", "line integral"),
    )
    ends = quality.radial_mm[[0, -1]]
    for ax, (array, name, unit) in zip(axes, pictures, strict=True):
        finite = array[np.isfinite(array)]
        low, high = np.percentile(finite, (_DARK, _BRIGHT)) if finite.size else (0, 1)
        drawn = ax.imshow(array, cmap="gray_r", aspect="auto", interpolation="nearest",
                          vmin=min(low, 0), vmax=high if high > min(low, 0) else 1,
                          extent=[*ends, len(array), 0])
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("distance from the axis (mm)", fontsize=8)
        ax.set_ylabel("view", fontsize=8)
        left.colorbar(drawn, ax=ax, label=unit, pad=0.01)
    ax = right.subplots()
    ax.axis("off")
    ax.set_title("sums", fontsize=10)
    words = text.table(quality.counts, width=_WORDS)
    ax.text(0, 1, words, va="top", family="monospace", fontsize=7.5, transform=ax.transAxes)


def _draw_profiles(figure, quality):
    """Head curve, what was counted and expected across and along, and scatter in its tails."""
    with_scatter = bool(quality.scatter.get("profile"))
    axes = figure.subplots(2, 3 if with_scatter else 2, squeeze=False)
    if quality.curve:
        curve = quality.curve
        counts = (np.asarray(curve[name]) for name in ("edges_ms", "prompts", "delayeds"))
        head_curve.plot(axes[0, 0], *counts, stop_ms=curve["stop_ms"])
        axes[0, 0].set_title("head curve", fontsize=10)
    else:
        axes[0, 0].axis("off")
        axes[0, 0].text(0.5, 0.5, "no head curve: the scan was no list", ha="center")
    _draw_sums(axes[0, 1], quality.radial_mm, quality.across, "distance from the axis (mm)")
    _draw_sums(axes[1, 1], np.arange(quality.along.shape[1]), quality.along, "direct plane")
    _draw_scales(axes[1, 0], quality.scatter.get("scatter_scale"))
    if with_scatter:
        said = {name: np.array(values, float) for name, values in
                quality.scatter["profile"].items()}
        scatter_profile.plot(axes[0, 2], axes[1, 2], scatter_profile.ScatterProfile(**said))


def _draw_sums(ax, at, rows, name):
    for counts, label, style in zip(
        rows / 1000, ("prompts", "background", "model of the image written"),
        ({"linewidth": 1.2}, {"linewidth": 1.2}, {"linewidth": 1, "linestyle": "--"}), strict=True,
    ):
        ax.plot(at, counts, label=label, **style)
    ax.set_ylim(0, _ROOM * ax.get_ylim()[1])
    ax.set_xlabel(name, fontsize=8)
    ax.set_ylabel("counts (thousands)")
    ax.legend(frameon=False, fontsize=8, ncols=3, loc="upper center")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_scales(ax, scale):
    """Scale of each plane's scatter with its standard deviation."""
    if not scale or scale.get("from") == "absolute":
        ax.axis("off")
        ax.text(0.5, 0.5, "scatter is not scaled" if scale else "no scatter was estimated",
                ha="center")
        return
    planes, sd = (np.array(scale[name], float) for name in ("planes", "planes_sd"))
    at = np.arange(len(planes))
    ax.fill_between(at, planes - sd, planes + sd, color="tab:blue", alpha=0.25, linewidth=0)
    ax.plot(at, planes, linewidth=1)
    ax.axhline(1, color="0.5", linewidth=0.7)
    ax.set_title("scale of scatter, ± 1 sd", fontsize=10)
    ax.set_xlabel("plane", fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
