"""Scanners and images whose projection is timed, by name."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from recon import Grid, Scanner, SinogramLayout
from recon.layout import MM_PER_PS

LISTED_EVENTS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is projected.

    Attributes:
        layout: SinogramLayout.
        grid: Grid.
        view_step: every how many views are timed.
        subsets: of an OSEM update that is timed too; 0 for none.
        events: listed LORs that are timed too; 0 for none.
    """

    layout: SinogramLayout
    grid: Grid
    view_step: int = 1
    subsets: int = 0
    events: int = 0

    @property
    def views(self):
        """The views that are timed, as a slice of the layout's."""
        # Not from 0 on: views along x or y are unlike the others.
        return slice(self.view_step // 3, None, self.view_step)


def _mmr_image():
    return Grid.centred(shape=(200, 200, 127), voxel_mm=(2.086, 2.086, 2.03125))


def _mmr_like(**changes):
    scanner = Scanner.preset("mMR")
    return Problem(
        layout=SinogramLayout.of(scanner, max_ring_difference=5), grid=_mmr_image(), **changes
    )


def _mmr_tof():
    """13 bins of 41 mm and a timing error of 41 mm, on 12 views: a sinogram fits in memory."""
    problem = _mmr_like(view_step=21)
    ps = 41 / MM_PER_PS
    scanner = replace(
        problem.layout.scanner, timing_resolution_ps=ps, tof_bins=13, tof_bin_ps=ps
    )
    layout = problem.layout.with_(scanner=scanner, tof_mashing=1, tof_bins=13)
    return replace(problem, layout=layout)


def _mmr_span11():
    layout = SinogramLayout.of(Scanner.preset("mMR"), span=11, max_ring_difference=60)
    return Problem(layout=layout, grid=_mmr_image(), subsets=21)


def _mmr_span1():
    """All ring differences up to 60, 4084 planes; every 6th view."""
    layout = SinogramLayout.of(Scanner.preset("mMR"), max_ring_difference=60)
    return Problem(layout=layout, grid=_mmr_image(), view_step=6)


def _vision():
    """Files of the scanner: span 19, views and TOF bins mashed by 8; every 10th view."""
    layout = SinogramLayout.of(Scanner.preset("Vision 600"), span=19, view_mashing=8, tof_mashing=8)
    grid = Grid.centred(shape=(220, 220, 159), voxel_mm=(3.3, 3.3, 1.64375))
    return Problem(layout=layout, grid=grid, view_step=10)


def _total_body():
    """Ring differences up to 335 of 671 in spans of 15, without time of flight; 2 of 420 views."""
    layout = SinogramLayout.of(Scanner.preset("uEXPLORER"), span=15, max_ring_difference=335)
    grid = Grid.centred(shape=(240, 240, 1343), voxel_mm=(2.887, 2.887, 1.4435))
    return Problem(layout=layout, grid=grid, view_step=210)


def _tiny():
    """For tests of the benchmark."""
    layout = SinogramLayout.of(Scanner.preset("tiny"), tof_mashing=1)
    grid = Grid.centred(shape=(16, 16, 9), voxel_mm=(8, 8, 4))
    return Problem(layout=layout, grid=grid, subsets=4, events=1000)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "mmr-like": lambda: _mmr_like(subsets=21, events=LISTED_EVENTS),
    "mmr-tof": _mmr_tof,
    "mmr-span11": _mmr_span11,
    "mmr-span1": _mmr_span1,
    "vision": _vision,
    "total-body": _total_body,
    "tiny": _tiny,
}
DEFAULT = ("mmr-like", "mmr-tof", "mmr-span11", "mmr-span1", "vision", "total-body")


def problem(name):
    """The Problem of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in PROBLEMS:
        raise ValueError(f"--scanner takes names out of {', '.join(PROBLEMS)}, got {name!r}")
    return PROBLEMS[name]()
