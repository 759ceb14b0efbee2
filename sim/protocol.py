"""How a scan is made: the scanner, its time, where the patient lies, and how events are binned."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from recon import Scanner, SinogramLayout, memory

FULL_RINGS = 40  # a scanner of more is binned at span 11, unless asked otherwise
_ARRAYS = 7  # of a scan's bins that are held at once while it is simulated
_PROGRAM = 1 << 30  # the program, its images, and rays that are projected at a time

INVERSE_CRIME = "INVERSE CRIME (not for results)"  # on all pictures of such a scan


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A scan of one bed position.

    Attributes:
        scanner: Scanner that states its energy resolution, energy window and coincidence window.
        minutes: how long the scan takes.
        bed_mm: z of the phantom that lies at the scanner's middle.
        span: ring differences per segment, odd; by default 11 for a scanner of more than 40 rings,
            else 1.
        max_ring_difference: None for all rings.
        view_mashing: neighbouring views summed into one.
        tof_mashing: time-of-flight bins summed into one; 0 without time of flight.
        spread: standard deviation of the crystals' efficiencies.
        dead_blocks: blocks of crystals, drawn at random, that count nothing.
        split: parts of a crystal along each side, whose rays make up those of a crystal pair.
        photon_pairs: drawn for multiple scatter.
        inverse_crime: simulate with the reconstruction's own model: for debugging, never for a
            result.
    Raises:
        ValueError: a number that no scan has, or a scanner that does not state what scatter and
            randoms take.
    """

    scanner: Scanner
    minutes: float = 10.0
    bed_mm: float = 0.0
    span: int | None = None
    max_ring_difference: int | None = None
    view_mashing: int = 1
    tof_mashing: int = 0
    spread: float = 0.1
    dead_blocks: int = 0
    split: int = 2
    photon_pairs: int = 10_000_000
    inverse_crime: bool = False

    def __post_init__(self):
        if self.span is None:
            object.__setattr__(self, "span", 11 if self.scanner.rings > FULL_RINGS else 1)
        for name, fits, takes in (
            ("minutes", 0 < self.minutes < float("inf"), "a number above 0"),
            ("split", 1 <= self.split <= 4, "1 to 4"),
            ("spread", 0 <= self.spread < 1, "0 to 1"),
            ("dead_blocks", 0 <= self.dead_blocks < self.blocks, f"0 to {self.blocks - 1}"),
            ("photon_pairs", self.photon_pairs >= 0, "0 or more"),
            ("bed_mm", abs(self.bed_mm) < float("inf"), "a number of mm"),
        ):
            if not fits:
                raise ValueError(f"Protocol takes {takes} as {name}, got {getattr(self, name)}")
        for name in ("energy_resolution", "energy_window_kev", "coincidence_window_ps"):
            if getattr(self.scanner, name) is None:
                raise ValueError(
                    f"Protocol takes a scanner whose {name} is known, got {self.scanner.name!r}; "
                    "take another, or set it in the Scanner"
                )
        _ = self.layout  # whose own numbers are checked

    @property
    def blocks(self):
        """How many blocks of crystals the scanner has."""
        across, along = self.scanner.block_crystals
        return -(-self.scanner.crystals // across) * -(-self.scanner.rings // along)

    @property
    def seconds(self):
        """How long the scan takes, in s."""
        return 60.0 * self.minutes

    @cached_property
    def layout(self):
        """SinogramLayout of prompts and delayeds."""
        return SinogramLayout.of(
            self.scanner, span=self.span, max_ring_difference=self.max_ring_difference,
            view_mashing=self.view_mashing, tof_mashing=self.tof_mashing,
        )

    @cached_property
    def pairs(self):
        """SinogramLayout of one crystal pair in each bin, time of flight as in `layout`."""
        return SinogramLayout.of(
            self.scanner, max_ring_difference=self.layout.max_ring_difference,
            tof_mashing=self.tof_mashing,
        )

    def placed(self, grid):
        """A phantom's Grid, moved so that `bed_mm` lies at the scanner's middle."""
        x, y, z = grid.origin_mm
        return replace(grid, origin_mm=(x, y, z - self.bed_mm)) if self.bed_mm else grid

    def with_(self, **changes):
        """A Protocol that differs in the attributes given."""
        return replace(self, **changes)


def check_memory(protocol, remedy, *, arrays=0):
    """Refuses a scan whose simulation takes more memory than is free.

    Args:
        protocol: Protocol.
        remedy: what to give instead.
        arrays: of the scan's bins that are held at once thereafter.
    Raises:
        ValueError: with both sizes.
    """
    bins, pairs = (math.prod(layout.shape) for layout in (protocol.layout, protocol.pairs))
    simulated = _ARRAYS * bins + (0 if protocol.inverse_crime else pairs)
    needed = 4 * max(simulated, arrays * bins) + _PROGRAM
    free = memory.available("cpu")
    if needed > free:
        raise ValueError(
            f"the scan takes {memory.in_gib(needed)} of memory, where {memory.in_gib(free)} are "
            f"free; give {remedy}"
        )


def check_place(protocol, activity, grid, setting="bed_mm"):
    """Refuses a phantom of which nothing lies in the scanner.

    Args:
        protocol: Protocol.
        activity: (x, y, z).
        grid: its Grid, as the phantom has it.
        setting: what places the bed, for the message.
    Raises:
        ValueError: with where its activity is.
    """
    here, scanner = protocol.placed(grid), protocol.scanner
    half = scanner.rings * scanner.ring_spacing_mm / 2
    z = here.centres(2)
    used = activity.any(axis=(0, 1))
    if not used.any():
        raise ValueError("a scan takes a phantom with activity, got none")
    inside = here.cylinder(scanner.radius_mm)
    if not (activity[:, :, np.abs(z) < half] * inside).any():
        own = grid.centres(2)[used]
        raise ValueError(
            f"the phantom's activity lies at z from {own[0]:g} to {own[-1]:g} mm and none of it in "
            f"the scanner, which reaches {half:g} mm to either side of {setting} "
            f"{protocol.bed_mm:g} and {scanner.radius_mm:g} mm from its axis; give {setting} "
            f"{(own[0] + own[-1]) / 2:.0f}"
        )
