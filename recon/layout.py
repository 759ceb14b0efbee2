"""Which crystal pairs each bin of a sinogram sums, and the line that stands for them.

A sinogram is an array (view, radial, plane), with time of flight (view, radial, tof, plane),
float32, planes fastest; segments follow one another along the plane axis. Coordinates and the
line of response are stated in `recon.grid`.

Crystal i of ring r, of N per ring, is at angle psi = 2 pi i / N + tilt:
X = R sin(psi), Y = -R cos(psi), Z = (r - (rings - 1)/2) * ring spacing. View v and radial bin t
(counted from the middle one) join, in STIR's numbering,

    crystal1 = (v + floor(t/2)) mod N,   crystal2 = (v - floor((t+1)/2) + N/2) mod N,

and crystal1 is the line's first point, a = +A. Hence s = R sin(t pi/N), phi = 2 pi v/N + tilt, and
phi - pi/N for odd t: the two kinds of bin interleave. STIR's projectors leave that last term out;
interleaved=False does the same. Arc-corrected bins belong to no crystals and never interleave.

A segment's planes are all projected at its mean ring difference. At the ends of oblique segments a
plane's own ring pairs have another mean, and the line is tilted about its middle. For the mMR at
span 11 and ring differences up to 60 that is 180 of 837 planes, by up to 5 rings: 3.0 mm in z at
100 mm from the line's middle. Against averages over each plane's ring pairs of analytic chords,
the whole sinogram of a centred uniform sphere of 100 mm radius errs by 0.23 % (RMSE / RMS; those
180 planes alone 0.57 %). A sphere of 20 mm radius centred at (100, 0, 0) mm errs by 5.6 % (those
planes 11 %), most of it elsewhere (4.3 %) and due to the range of slopes that a span sums. The
tests of recon.segments bound all but the small sphere's; span 1 has no such error.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from recon import pairs
from recon.scanner import Scanner
from recon.segments import ORDERS, Segment, check_segments, segments_of

# Half the speed of light: how far along the line an annihilation moves per ps of time difference.
MM_PER_PS = 0.299792458 / 2
FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True, kw_only=True)
class SinogramLayout:
    """The bins of a sinogram of a scanner (this module's docstring has the geometry).

    Attributes:
        scanner: the Scanner.
        views: angles over half a turn, crystals / 2 / view_mashing rounded up.
        radial_bins: bins across the scanner.
        segments: Segments in the order of the plane axis.
        view_mashing: neighbouring views summed into one; the last may hold fewer.
        tof_mashing: unmashed time-of-flight bins summed into one; 0 without time of flight.
        tof_bins: time-of-flight bins; 1 without.
        radial_mm: size of arc-corrected bins; None where bins follow the crystals.
        interleaved: whether odd radial bins lie half a crystal earlier in angle, as crystals do.
    Raises:
        ValueError: a number does not fit the scanner or the others.
    """

    scanner: Scanner
    views: int
    radial_bins: int
    segments: tuple[Segment, ...]
    view_mashing: int = 1
    tof_mashing: int = 0
    tof_bins: int = 1
    radial_mm: float | None = None
    interleaved: bool = True

    def __post_init__(self):
        for name in ("views", "radial_bins", "view_mashing", "tof_mashing", "tof_bins"):
            object.__setattr__(self, name, int(getattr(self, name)))
        object.__setattr__(self, "segments", tuple(self.segments))
        object.__setattr__(self, "interleaved", bool(self.interleaved))
        if self.radial_mm is not None:
            object.__setattr__(self, "radial_mm", float(self.radial_mm))
        self._check_bins()
        self._check_tof()
        check_segments(self.scanner.rings, self.segments)

    def _check_bins(self):
        half = self.scanner.crystals // 2
        if not 1 <= self.view_mashing <= half:
            raise ValueError(
                f"SinogramLayout takes view_mashing from 1 to {half}, got {self.view_mashing}"
            )
        views = -(-half // self.view_mashing)
        if self.views != views:
            raise ValueError(
                f"SinogramLayout of {self.scanner.crystals} crystals per ring mashed by "
                f"{self.view_mashing} takes {views} views, got {self.views}; a subset of views "
                "is a slice of the arrays, not a layout"
            )
        if self.radial_mm is not None and not 0 < self.radial_mm < math.inf:
            raise ValueError(
                f"SinogramLayout takes a positive radial_mm, got {self.radial_mm}; leave it out "
                "where bins are not arc-corrected"
            )
        most = self.scanner.crystals - 1
        if self.radial_bins < 1 or (self.radial_mm is None and self.radial_bins > most):
            raise ValueError(
                f"SinogramLayout takes 1 to {most} radial_bins ({most + 1} crystals per ring), "
                f"got {self.radial_bins}; set radial_mm where bins are arc-corrected"
            )

    def _check_tof(self):
        if self.tof_mashing < 0 or self.tof_bins < 1 or (not self.tof and self.tof_bins != 1):
            raise ValueError(
                "SinogramLayout takes tof_mashing 0 and tof_bins 1, or both positive, got "
                f"{self.tof_mashing} and {self.tof_bins}"
            )
        if self.tof and None in (self.scanner.tof_bin_ps, self.scanner.timing_resolution_ps):
            raise ValueError(
                f"SinogramLayout with tof_mashing {self.tof_mashing} takes a scanner with "
                f"tof_bin_ps and timing_resolution_ps, got {self.scanner.name!r} with "
                f"{self.scanner.tof_bin_ps} and {self.scanner.timing_resolution_ps}; "
                "set them or tof_mashing 0"
            )
        if self.tof and self.tof_bins > -(-self.scanner.tof_bins // self.tof_mashing):
            raise ValueError(
                f"SinogramLayout with tof_mashing {self.tof_mashing} takes at most "
                f"{-(-self.scanner.tof_bins // self.tof_mashing)} tof_bins ({self.scanner.name!r} "
                f"has {self.scanner.tof_bins} before mashing), got {self.tof_bins}"
            )

    @classmethod
    def of(cls, scanner, *, span=1, max_ring_difference=None, radial_bins=None, view_mashing=1,
           tof_mashing=0, radial_mm=None, interleaved=True, order=ORDERS[0]):
        """The layout a scanner usually has, with all planes and views.

        Args:
            scanner: the Scanner.
            span: ring differences per segment, odd.
            max_ring_difference: default rings - 1.
            radial_bins: default the scanner's.
            view_mashing: views summed into one; need not divide their number.
            tof_mashing: time-of-flight bins summed into one; 0 without time of flight.
            radial_mm: size of arc-corrected bins.
            interleaved: see SinogramLayout.
            order: of segments, see `recon.segments.segments_of`; Siemens's by default.
        Raises:
            ValueError: a number does not fit the scanner or the others.
        """
        return cls(
            scanner=scanner,
            views=-(-(scanner.crystals // 2) // max(view_mashing, 1)),
            radial_bins=scanner.radial_bins if radial_bins is None else radial_bins,
            segments=segments_of(scanner.rings, span, max_ring_difference, order),
            view_mashing=view_mashing,
            tof_mashing=tof_mashing,
            tof_bins=max(scanner.tof_bins // tof_mashing, 1) if tof_mashing > 0 else 1,
            radial_mm=radial_mm,
            interleaved=interleaved,
        )

    def with_(self, **changes):
        """This layout with some attributes changed, checked again."""
        return replace(self, **changes)

    def without_tof(self):
        """This layout with its time-of-flight bins summed."""
        return self.with_(tof_mashing=0, tof_bins=1)

    @property
    def tof(self):
        """Whether there is a time-of-flight axis."""
        return self.tof_mashing > 0

    @property
    def planes(self):
        """Planes of all segments."""
        return sum(segment.planes for segment in self.segments)

    @property
    def max_ring_difference(self):
        """The greatest of all segments, in either direction."""
        return max(max(-s.min_ring_difference, s.max_ring_difference) for s in self.segments)

    @property
    def shape(self):
        """(views, radial, planes), or (views, radial, tof, planes)."""
        tof = (self.tof_bins,) if self.tof else ()
        return (self.views, self.radial_bins, *tof, self.planes)

    @property
    def tof_bin_mm(self):
        """Width of a time-of-flight bin along the line."""
        self._need_tof()
        return self.tof_mashing * self.scanner.tof_bin_ps * MM_PER_PS

    @property
    def tof_sigma_mm(self):
        """Standard deviation of the measured position along the line."""
        self._need_tof()
        return self.scanner.timing_resolution_ps * MM_PER_PS / FWHM_PER_SIGMA

    @property
    def tof_edges_mm(self):
        """Edges of the time-of-flight bins along the line, (tof_bins + 1,) ascending float64.

        Positive towards the line's first point, 0 its middle; symmetric for any number of bins.
        """
        return (np.arange(self.tof_bins + 1) - self.tof_bins / 2) * self.tof_bin_mm

    def _need_tof(self):
        if not self.tof:
            raise ValueError(
                "this SinogramLayout takes no question about time of flight, got tof_mashing 0; "
                "make it with tof_mashing"
            )

    def rays(self, views=slice(None)):
        """The transaxial line of every view, or of a slice of them, and radial bin.

        Returns:
            float64 (views, radial, 4): cos phi, sin phi, s in mm, A in mm; A is half the line's
            length in the transaxial plane, 0 where |s| >= R.
        """
        crystals, radius = self.scanner.crystals, self.scanner.effective_radius_mm
        first = np.arange(self.views)[views] * self.view_mashing
        last = np.minimum(first + self.view_mashing, crystals // 2) - 1
        phi = (first + last) * np.pi / crystals + np.radians(self.scanner.tilt_deg)
        t = np.arange(self.radial_bins) - self.radial_bins // 2
        phi = np.broadcast_to(phi[:, None], (len(phi), self.radial_bins))
        if self.radial_mm is not None:
            s = t * self.radial_mm
        else:
            s = radius * np.sin(t * np.pi / crystals)
            if self.interleaved:
                phi = phi - (t % 2) * np.pi / crystals
        half = np.sqrt(np.maximum(radius**2 - s**2, 0))
        return np.stack(np.broadcast_arrays(np.cos(phi), np.sin(phi), s, half), axis=-1)

    def segment_table(self):
        """Where each segment's planes lie.

        Returns:
            float64 (segments, 3) in mm: z of the first plane's line at its middle (a = 0), step
            from plane to plane, and z of the line's second point minus that of its first (the
            mean ring difference times the ring spacing).
        """
        spacing = self.scanner.ring_spacing_mm
        rows = []
        for segment in self.segments:
            step = segment.step * spacing / 2
            rows.append((-(segment.planes - 1) / 2 * step, step,
                         segment.mean_ring_difference * spacing))
        return np.array(rows)

    def first_planes(self):
        """Index of each segment's first plane, (segments,) int."""
        planes = [segment.planes for segment in self.segments]
        return np.cumsum([0, *planes[:-1]])

    def lor_end_points(self, view, radial, plane):
        """Where a bin's line meets the cylinder of the detectors.

        Args:
            view, radial, plane: integers or arrays that broadcast.
        Returns:
            First and second point, each float64 (…, 3) in mm; the first is at a = +A.
        Raises:
            IndexError: there is no such bin.
        """
        self.check_bin(view, radial, plane)
        cos, sin, s, half = np.moveaxis(self.rays()[view, radial], -1, 0)
        plane = np.asarray(plane)
        segment = np.searchsorted(self.first_planes(), plane, side="right") - 1
        start, step, axial = np.moveaxis(self.segment_table()[segment], -1, 0)
        middle = start + (plane - self.first_planes()[segment]) * step
        return tuple(
            np.stack(np.broadcast_arrays(s * cos + a * sin, s * sin - a * cos, z), axis=-1)
            for a, z in ((half, middle - axial / 2), (-half, middle + axial / 2))
        )

    def check_bin(self, view, radial, plane):
        """Raises IndexError where an index is negative or past the end of its axis."""
        sizes = (self.views, self.radial_bins, self.planes)
        for name, index, size in zip(
            ("view", "radial", "plane"), (view, radial, plane), sizes, strict=True
        ):
            index = np.asarray(index)
            if index.size and not 0 <= index.min() <= index.max() < size:
                raise IndexError(
                    f"this SinogramLayout has {size} along {name} and takes 0 to {size - 1}, got "
                    f"{index.min()} to {index.max()}"
                )

    crystal_pairs = pairs.crystal_pairs
    ring_pairs = pairs.ring_pairs
    crystals_of = pairs.crystals_of
    bin_of = pairs.bin_of
    pair_counts = pairs.pair_counts
    multiplicity = pairs.multiplicity
    mask = pairs.mask
