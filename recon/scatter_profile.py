"""The scatter profile: counts and scatter across the scanner. Scatter that does not fit shows."""

from dataclasses import dataclass

import numpy as np

from recon.corrections.scatter_scale import of_lines
from recon.io.files import replacing


@dataclass(frozen=True, kw_only=True)
class ScatterProfile:
    """Sums over views, time-of-flight bins and planes, by the distance of a line from the axis.

    Attributes:
        mm: of each radial bin, signed, (radial,) as all others.
        prompts, randoms, scatter: counts.
        single: how much of the scatter scattered only once.
        tail_prompts, tail_randoms, tail_scatter: the same in the tails alone.
        tail_share: part of the lines that are tails, 0 to 1.
    """

    mm: np.ndarray
    prompts: np.ndarray
    randoms: np.ndarray
    scatter: np.ndarray
    single: np.ndarray
    tail_prompts: np.ndarray
    tail_randoms: np.ndarray
    tail_scatter: np.ndarray
    tail_share: np.ndarray

    @classmethod
    def of(cls, layout, prompts, randoms, estimate):
        """The profile of sinograms of a layout, summed in float64 a view at a time.

        Args:
            layout: SinogramLayout.
            prompts: of layout.shape.
            randoms: the same, or None.
            estimate: ScatterEstimate.
        """
        named = {"prompts": prompts, "randoms": randoms, "scatter": estimate.scatter}
        sums = {f"{kind}{name}": np.zeros(layout.radial_bins)
                for name in named for kind in ("", "tail_")}
        for view, tail in enumerate(estimate.tails):
            for name, array in named.items():
                if array is None:
                    continue
                part, axes = array[view], tuple(range(1, array.ndim - 1))
                sums[name] += part.sum(axis=axes, dtype=np.float64)
                where = of_lines(tail, part)
                sums[f"tail_{name}"] += part.sum(axis=axes, where=where, dtype=np.float64)
        return cls(
            mm=layout.rays()[0, :, 2],
            tail_share=estimate.tails.mean(axis=(0, 2)),
            single=sums["scatter"] * estimate.single_share, **sums,
        )


def draw(profile, path, *, title=""):
    """Draws prompts less randoms with the scatter, over all lines and in the tails alone.

    Args:
        profile: ScatterProfile.
        path: .png, .pdf, .svg or .jpg; whole or not at all.
        title: of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=11)
    plot(*figure.subplots(2, sharex=True), profile)
    with replacing(path) as name:
        figure.savefig(name)


def plot(above, below, profile):
    """Draws the profile into two of Matplotlib's Axes: over all lines, and in the tails alone.

    Args:
        above, below: Axes.
        profile: ScatterProfile.
    """
    data, tail_data = (
        (prompts - randoms) / 1000
        for prompts, randoms in ((profile.prompts, profile.randoms),
                                 (profile.tail_prompts, profile.tail_randoms))
    )
    above.fill_between(profile.mm, profile.tail_share, step="mid", color="0.9", linewidth=0,
                       transform=above.get_xaxis_transform(), label="share of lines in the tails")
    above.step(profile.mm, data, where="mid", label="prompts − randoms", linewidth=1.2)
    above.plot(profile.mm, profile.scatter / 1000, label="scatter", linewidth=1.5)
    if (profile.single < profile.scatter).any():
        above.plot(profile.mm, profile.single / 1000, "--", label="single scatter", linewidth=1.2)
    above.set_title("all lines", fontsize=10)
    above.set_ylim(min(0, data.min()), 1.3 * above.get_ylim()[1])  # room for the legend
    used = profile.tail_share > 0
    if used.any():
        below.errorbar(
            profile.mm[used], tail_data[used], np.sqrt(profile.tail_prompts[used]) / 1000,
            fmt=".", markersize=3, linewidth=0.8, label="prompts − randoms, ± 1 sd",
        )
        inside = np.where(used, profile.tail_scatter / 1000, np.nan)
        below.plot(profile.mm, inside, label="scatter", linewidth=1.5)
    else:
        below.text(0.5, 0.5, "the object leaves no tails", ha="center", transform=below.transAxes)
    below.set_ylim(top=1.3 * below.get_ylim()[1])
    below.set_title("in the tails alone: where no true coincidence can be", fontsize=10)
    below.set_xlabel("distance of the line from the axis (mm)")
    for ax in (above, below):
        ax.set_ylabel("counts (thousands)")
        ax.spines[["top", "right"]].set_visible(False)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper center")
