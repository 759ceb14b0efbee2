"""From a plan and its data to images, with a progress bar, an image after every pass."""

import sys
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from recon import text
from recon.acquisition import AcquisitionModel
from recon.algorithms import Diverged, Subsets


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a scan's arrays sum to.

    Attributes:
        prompts, most: all of them, and most in a bin.
        background: expected randoms and scatter, 0 without.
        bins, masked_bins: all of them, and those whose factors are 0.
        masked_prompts: prompts in masked bins, which no image can explain.
    """

    prompts: float
    most: float
    background: float
    bins: int
    masked_bins: int
    masked_prompts: float

    def rows(self):
        """Rows for `recon.text.table`."""
        yield "prompts", f"{text.number(self.prompts)}, at most {text.number(self.most)} in a bin"
        if self.background:
            share = f", {100 * self.background / self.prompts:.0f} %" if self.prompts else ""
            yield "background", f"{text.number(self.background)}{share}"
        yield "masked", f"{self.masked_bins:,} of {self.bins:,} bins have no efficiency"
        if self.masked_prompts:
            yield "note", f"{text.number(self.masked_prompts)} prompts in masked bins do not count"
        if not self.prompts:
            yield "note", "there are no prompts: the image will be 0"
        elif self.background > self.prompts:
            yield "note", "more background than prompts: is it of this scan, in counts?"


def counts_of(prompts, factors, background):
    """The Counts of a scan's arrays, summed in float64 a view at a time."""
    total = {"prompts": 0.0, "background": 0.0, "masked_prompts": 0.0}
    masked, most = 0, 0.0
    for view in range(len(prompts)):
        dead = factors[view] == 0
        counted = prompts[view]
        total["prompts"] += float(counted.sum(dtype=np.float64))
        if background is not None:
            total["background"] += float(background[view].sum(dtype=np.float64))
        most = max(most, float(counted.max()))
        if dead.ndim < counted.ndim:
            dead = dead[:, None].repeat(counted.shape[1], axis=1)
        masked += int(dead.sum())
        total["masked_prompts"] += float(counted[dead].sum(dtype=np.float64))
    return Counts(most=most, bins=prompts.size, masked_bins=masked, **total)


@dataclass(frozen=True, kw_only=True)
class Pass:
    """The image after a pass over all subsets.

    Attributes:
        number: from 1 on.
        image: float32 (x, y, z), post-filtered where the plan says so, on the device of the data.
        change: root mean square of what the pass changed, as a part of the image's, unfiltered;
            None after the first.
        last: whether nothing follows.
        settled: what the method found on the way, a dict (`recon.method.Method.images`).
    """

    number: int
    image: object
    change: float | None
    last: bool
    settled: dict


def reconstruct(plan, prompts, factors, background):
    """Yields a Pass after each pass of the plan's method.

    Args:
        plan: Plan.
        prompts, factors, background: of `Measurement.load`.
    Raises:
        Diverged: the image blew up.
    """
    model = AcquisitionModel(
        plan.projector, blur=plan.blur(plan.psf_mm), factors=factors, background=background
    )
    data = Subsets(
        model, prompts, plan.subsets, order=plan.order, kept_bytes=plan.sensitivity_bytes
    )
    anatomy, note = plan.method.read_anatomy(plan.grid, plan.measurement.scan, plan.device)
    if note:
        print(text.table([("note", note)]))
    settled = {}
    updates = plan.method.images(data, plan.first_image(), anatomy, settled)
    smooth = post_filter(plan.blur(plan.post_filter_mm), data.xp)
    total, before = plan.iterations * plan.subsets, None
    with tqdm(total=total, unit="update", file=sys.stderr, dynamic_ncols=True) as bar:
        for number in range(1, plan.iterations + 1):
            bar.set_description(f"pass {number} of {plan.iterations}")
            for _ in range(plan.subsets):
                image = next(updates)
                bar.update()
            change = _change(image, before, number, plan)
            small = None not in (change, plan.method.tolerance) and change < plan.method.tolerance
            last = small or number == plan.iterations
            yield Pass(number=number, image=smooth(image), change=change, last=last,
                       settled=settled)
            if last:
                return
            if plan.method.algorithm != "osem":
                bar.set_postfix_str("" if change is None else f"changed by {100 * change:.2g} %")
            before = image.copy()


def _change(image, before, number, plan):
    """Root mean square of the change since the pass before, as a part of the image's."""
    size = float((image * image).sum(dtype=np.float64))
    if not np.isfinite(size):
        remedy = "lower --strength, or take fewer subsets" if plan.method.strength else (
            "take fewer subsets")
        if plan.method.learned:
            remedy = "take another network, or --algorithm osem, to see whether the scan is sound"
        raise Diverged(
            f"the image blew up in pass {number} of {plan.method.name}; {remedy}"
        )
    if before is None:
        return None
    moved = image - before
    return float(np.sqrt((moved * moved).sum(dtype=np.float64) / size)) if size else 0.0


def ended(done, tolerance):
    """How a reconstruction with a tolerance came to its end."""
    if done.change is None:
        return "after 1 pass; how near that is takes two to tell"
    moved = f"after {done.number} passes; the last changed the image by {100 * done.change:.2g} %"
    if done.change < tolerance:
        return moved
    return f"{moved}, more than {100 * tolerance:g} %: give more --iterations to come nearer"


def post_filter(blur, xp=np):
    """A function that smooths images by a blur, an operator on images; None for none.

    It divides by the blur of ones, so that a uniform image stays so to its borders: beyond them is
    activity that was not imaged, not none.
    """
    if blur is None:
        return lambda image: image
    within = blur(xp.ones(blur.in_shape, np.float32))
    return lambda image: blur(image) / within
