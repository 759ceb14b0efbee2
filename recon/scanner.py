"""A cylindrical PET scanner as values in mm, ps and keV; published ones by name."""

import math
from dataclasses import dataclass, replace

from recon.names import known_name


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """Detectors on a circle, in equally spaced rings.

    Gaps between blocks are virtual crystals and rings: positions of the regular raster that hold
    no detector. Numbers of rings and crystals include them.

    Attributes:
        name: what the scanner is called, as STIR calls it where STIR knows it.
        rings: number of rings.
        crystals: per ring, even.
        radius_mm: from the axis to the crystals' inner face.
        depth_mm: mean depth of interaction.
        ring_spacing_mm: between ring centres.
        tilt_deg: angle of crystal 0 from the vertical (STIR's view offset).
        crystal_mm: sides of one crystal (transaxial, axial, radial).
        scintillator: "LSO" (any lutetium silicate) or "BGO"; None where it is not known.
        block_crystals: crystals of a block (transaxial, axial), virtual ones included.
        virtual_crystals: positions in a block, transaxially, that hold no crystal.
        virtual_rings: positions in a block, axially, that hold no crystal.
        radial_bins: the scanner's usual number of bins that are not arc-corrected.
        radial_bin_mm: its usual size of arc-corrected bins.
        energy_resolution: FWHM at 511 keV as a fraction of 511 keV.
        energy_window_kev: (low, high).
        effective_threshold_kev: lower edge that photons meet, where it was fitted to a measured
            scatter fraction; None for that of energy_window_kev.
        adds_blocks: whether the energy that a photon leaves in neighbouring blocks is added up.
        dead_time_ns: for which a block is blind after each photon it records, and after each that
            comes meanwhile (paralysable); None where it is not known.
        coincidence_window_ps: full width (2 tau) of the accepted differences of arrival times.
        timing_resolution_ps: FWHM of that difference.
        tof_bins: time-of-flight bins before mashing; 1 where there is no time of flight.
        tof_bin_ps: width of one of them.
    Raises:
        ValueError: a number is out of its range or contradicts another.
    """

    name: str
    rings: int
    crystals: int
    radius_mm: float
    depth_mm: float
    ring_spacing_mm: float
    radial_bins: int
    tilt_deg: float = 0.0
    crystal_mm: tuple[float, float, float] | None = None
    scintillator: str | None = None
    block_crystals: tuple[int, int] = (1, 1)
    virtual_crystals: tuple[int, ...] = ()
    virtual_rings: tuple[int, ...] = ()
    radial_bin_mm: float | None = None
    energy_resolution: float | None = None
    energy_window_kev: tuple[float, float] | None = None
    effective_threshold_kev: float | None = None
    adds_blocks: bool = False
    dead_time_ns: float | None = None
    coincidence_window_ps: float | None = None
    timing_resolution_ps: float | None = None
    tof_bins: int = 1
    tof_bin_ps: float | None = None

    def __post_init__(self):
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is not None:
                plain = tuple(kind(v) for v in value) if isinstance(value, _MANY) else kind(value)
                object.__setattr__(self, name, plain)
        for name in ("rings", "crystals", "radius_mm", "ring_spacing_mm", "radial_bins",
                     "tof_bins", *_POSITIVE_IF_KNOWN):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"Scanner {self.name!r} takes a positive {name}, got {value}")
        if not self.depth_mm >= 0:
            raise ValueError(
                f"Scanner {self.name!r} takes a depth_mm of at least 0, got {self.depth_mm}"
            )
        if self.crystals % 2:
            raise ValueError(
                f"Scanner {self.name!r} takes an even number of crystals per ring (a view joins "
                f"opposite ones), got {self.crystals}; count virtual crystals too"
            )
        if self.radial_bins >= self.crystals:
            raise ValueError(
                f"Scanner {self.name!r} takes fewer radial_bins than its {self.crystals} crystals "
                f"per ring, got {self.radial_bins}"
            )
        if self.tof_bins > 1 and None in (self.tof_bin_ps, self.timing_resolution_ps):
            raise ValueError(
                f"Scanner {self.name!r} has {self.tof_bins} tof_bins and takes tof_bin_ps and "
                f"timing_resolution_ps, got {self.tof_bin_ps} and {self.timing_resolution_ps}"
            )
        self._check_blocks()

    def _check_blocks(self):
        transaxial, axial = self.block_crystals
        if self.virtual_crystals and self.crystals % transaxial:
            raise ValueError(
                f"Scanner {self.name!r} with virtual_crystals takes crystals in whole blocks of "
                f"{transaxial}, got {self.crystals}; block_crystals counts virtual ones too"
            )
        for name, size in (("virtual_crystals", transaxial), ("virtual_rings", axial)):
            positions = getattr(self, name)
            if len(set(positions)) >= size and positions:
                raise ValueError(
                    f"Scanner {self.name!r} takes fewer {name} than the block's {size} positions, "
                    f"got {positions}"
                )
            if any(not 0 <= position < size for position in positions):
                raise ValueError(
                    f"Scanner {self.name!r} takes {name} from 0 to {size - 1} (positions in a "
                    f"block of block_crystals), got {positions}"
                )

    @classmethod
    def preset(cls, name):
        """A published scanner (`recon.presets`), by a name in any case, spacing or short form.

        Raises:
            ValueError: no preset has this name; the message gives the nearest.
        """
        from recon.presets import ALIASES, PRESETS

        return PRESETS[known_name(name, PRESETS, "Scanner.preset takes", aliases=ALIASES)]

    def stating(self, **fields):
        """The Scanner with what a file says of it; a threshold fitted with another window goes."""
        own = self.energy_window_kev
        if fields.get("energy_window_kev", own) != own:
            fields = {"effective_threshold_kev": None} | fields
        return replace(self, **fields)

    @property
    def effective_radius_mm(self):
        """From the axis to the mean point of interaction: the R of all lines of response."""
        return self.radius_mm + self.depth_mm


def preset_names():
    """Names that `Scanner.preset` knows, one per scanner."""
    from recon.presets import PRESETS

    return tuple(PRESETS)


_MANY = (tuple, list)
_POSITIVE_IF_KNOWN = ("radial_bin_mm", "energy_resolution", "effective_threshold_kev",
                      "dead_time_ns", "coincidence_window_ps", "timing_resolution_ps",
                      "tof_bin_ps")
_KINDS = {
    "rings": int, "crystals": int, "radial_bins": int, "tof_bins": int, "radius_mm": float,
    "depth_mm": float, "ring_spacing_mm": float, "tilt_deg": float, "crystal_mm": float,
    "scintillator": str, "block_crystals": int, "virtual_crystals": int, "virtual_rings": int,
    "energy_window_kev": float, "adds_blocks": bool,
    **dict.fromkeys(_POSITIVE_IF_KNOWN, float),
}
