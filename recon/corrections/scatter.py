"""Single scatter simulation, with or without time of flight.

A pair of photons from a point e of the line through detector A and a scatter point S is detected in
A and B where one photon reaches A and the other is scattered in S towards B. Summed over scatter
points of volume V, and over which of the two photons is scattered, the pair (A, B) counts

    sum_S V mu(S) p(cos) eff(E) / eff(511) cosA cosB / (rA^2 rB^2) exp(-aA - aB)
          [ eA exp(-(k - 1) aB) + eB exp(-(k - 1) aA) ]  *  r^2 / (cosA' cosB')

in units of what it would count of unscattered pairs per mm of line through unit activity without
attenuation. Here e and a are line integrals of the activity and of mu at 511 keV from S to each
detector, r distances, cos the obliquity of a ray to a detector's face (primed: of the line AB), p
the Klein-Nishina chance per steradian, E the energy left and k mu at E over mu at 511 keV (as
Klein-Nishina cross sections). So with trues m exp(-integral of mu) (A G x), where m holds
everything but attenuation, the expected scatter is m times what is returned: x in value gives value
* mm. Multiple scatter is not in it: see `recon.corrections.multiple_scatter`.

With time of flight, an annihilation u before S on the path to A is timed as if it lay
u + (rB - rA)/2 from the middle of AB, towards A; the timing error is that of kernels/tof.h.

Watson, Newport & Casey 1996; Watson, IEEE TNS 47(4), 2000; time of flight: Watson, IEEE TNS 54(5),
2007. STIR's single scatter is the same model with another constant: a factor 0.75 / (2 pi), volumes
in mm^3 and mu in 1/cm make it 0.75 * 10 / (2 pi) = 1.194 times as large. A Monte Carlo simulation
of a cylinder of water agrees with this one (tests/recon/corrections/test_scatter.py).
"""

import math
from dataclasses import dataclass

import numpy as np

from recon import backend
from recon.corrections.attenuation import PER_MM
from recon.corrections.energy_window import angle_table
from recon.corrections.scatter_pairs import CoarsePairs
from recon.corrections.scatter_points import scatter_points
from recon.grid import Grid

GROUP = 8  # SCATTER_GROUP of kernels/scatter.h
CHUNK = 64  # scatter points at a time: what bounds the tables' memory
CHUNK_TOF = 32
ANGLES = 4096
WIDEST = 16  # floats of a vector, at most


@dataclass(frozen=True, kw_only=True)
class ScatterSampling:
    """How finely scatter is simulated.

    Attributes:
        point_mm: largest side of the blocks of the mu map that have one scatter point each.
        crystals: coarse detectors per ring, even; at most the scanner's.
        ring_mm: largest distance between coarse rings.
        step_mm: along rays; default the smallest side of a voxel of either image, 3e-4 (RMS) off
            what a quarter of it makes.
        threshold_per_cm: voxels of the mu map below it do not scatter.
        seed: of scatter points drawn at random within their blocks; None for the centres.
        tof_sigmas: where the Gaussian timing error is cut off before it is renormalised.
    """

    point_mm: float = 20.0
    crystals: int = 64
    ring_mm: float = 20.0
    step_mm: float | None = None
    threshold_per_cm: float = 0.01
    seed: int | None = None
    tof_sigmas: float = 3.0

    def __post_init__(self):
        for name in ("point_mm", "crystals", "ring_mm", "step_mm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"ScatterSampling takes a positive {name}, got {value}")
        if self.crystals % 2:
            raise ValueError(
                f"ScatterSampling takes an even number of crystals, got {self.crystals}"
            )


def single_scatter(
    activity, grid, mu_per_cm, mu_grid, layout, *, sampling=ScatterSampling(), points=None,
    threads=None
):
    """Expected single scatter in every bin (this module's docstring has the formula).

    Args:
        activity: (x, y, z) float32, in value.
        grid: its Grid.
        mu_per_cm: linear attenuation coefficients at 511 keV in 1/cm, (x, y, z) float32.
        mu_grid: its Grid, which need not be the activity's.
        layout: SinogramLayout of the result.
        sampling: ScatterSampling.
        points: scatter points to use instead of the sampling's, (4, points) as
            `scatter_points` gives them.
        threads: CPU threads; the result does not depend on it.
    Returns:
        float32 of layout.shape in value * mm, where the activity lives: what a bin counts of single
        scatter where it counts the line integral of the activity unscattered and unattenuated.
        Mean of a bin's pairs; multiply by what multiplies the trues, less attenuation.
    Raises:
        ValueError: the mu map scatters nowhere, or the scanner does not state its energies.
    """
    single, pairs = coarse_single_scatter(
        activity, grid, mu_per_cm, mu_grid, layout, sampling=sampling, points=points,
        threads=threads,
    )
    return pairs.to_bins(single, layout, threads)


def coarse_single_scatter(
    activity, grid, mu_per_cm, mu_grid, layout, *, sampling=ScatterSampling(), points=None,
    threads=None
):
    """What `single_scatter` interpolates: float32 of CoarsePairs.shape, and the CoarsePairs."""
    xp = backend.array_module(activity, mu_per_cm)
    for name, image, its in (("activity", activity, grid), ("mu_per_cm", mu_per_cm, mu_grid)):
        if image.shape != its.shape:
            raise ValueError(
                f"scatter takes {name} of its grid's shape {its.shape}, got {image.shape}"
            )
    pairs = CoarsePairs.of(layout, sampling.crystals, sampling.ring_mm)
    if points is None:
        points = scatter_points(
            backend.to_device(mu_per_cm, "cpu"),
            mu_grid,
            spacing_mm=sampling.point_mm,
            threshold_per_cm=sampling.threshold_per_cm,
            seed=sampling.seed,
        )
    # A detector sees nothing that scatters beside or behind it.
    points = points[:, np.hypot(*points[:2]) < 0.95 * layout.scanner.effective_radius_mm]
    images = (activity, grid), (mu_per_cm, mu_grid)
    return _coarse_scatter(xp, points, *images, pairs, sampling, threads), pairs


def _coarse_scatter(xp, points, activity, mu_per_cm, pairs, sampling, threads):
    """Scatter of every coarse pair, float32 (crystals, offsets, tof, rings, rings)."""
    tof, layout = pairs.tof_bins, pairs.layout
    step = sampling.step_mm or min(*activity[1].voxel_mm, *mu_per_cm[1].voxel_mm)
    timing = _Timing.of(layout, sampling.tof_sigmas) if tof else None
    emitting = _Rays(xp, *activity, points, step, timing, pairs, threads)
    mu_per_mm = mu_per_cm[0] * xp.float32(PER_MM)
    absorbing = _Rays(xp, mu_per_mm, mu_per_cm[1], points, step, None, pairs, threads)
    angles = xp.asarray(angle_table(ANGLES, layout.scanner))
    capacity = CHUNK_TOF if tof else CHUNK
    scatter = xp.zeros(pairs.shape, np.float32)
    blocks = pairs.crystals * pairs.offsets, -(-(pairs.rings**2) // GROUP)
    for start in range(0, points.shape[1], capacity):
        here = points[:, start : start + capacity]
        count = here.shape[1]
        chunk = xp.zeros((4, capacity), np.float32)
        chunk[:, :count] = xp.asarray(here.astype(np.float32))
        attenuation = absorbing.sums(chunk, count)
        emission = None if tof else emitting.sums(chunk, count)
        profiles = emitting.profiles(chunk, count) if tof else None
        arguments = (
            *(scatter, chunk, pairs.detectors(xp), attenuation, xp.exp(-attenuation), angles),
            *(emission, profiles, count, capacity, pairs.crystals, pairs.rings),
            *(pairs.first_offset, pairs.offsets, ANGLES, tof),
            *(emitting.phases, emitting.columns, emitting.step, float(emitting.reach)),
        )
        backend.launch(
            "scatter_pairs", blocks, arguments,
            scratch_floats=GROUP * (8 * capacity + 2 * (tof + WIDEST)), threads=threads,
        )
    return scatter


@dataclass(frozen=True)
class _Timing:
    """How far along a ray its emission is spread among time-of-flight bins."""

    step: float  # a whole number of them make a bin
    phases: int
    taps: np.ndarray

    @classmethod
    def of(cls, layout, sigmas):
        width, sigma = layout.tof_bin_mm, layout.tof_sigma_mm
        # Profiles are interpolated linearly: a third of sigma costs 0.7 % of a point's peak.
        phases = math.ceil(3 * width / sigma)
        step = width / phases
        reach = math.ceil((width / 2 + sigmas * sigma) / step + 0.5)
        away = (np.arange(2 * reach) + 0.5 - reach) * step
        edges = away[:, None] + np.array([-0.5, 0.5]) * width
        cut = np.clip(edges / sigma, -sigmas, sigmas) / math.sqrt(2)
        erf = np.vectorize(math.erf)(cut) / math.erf(sigmas / math.sqrt(2))
        return cls(step, phases, (np.diff(erf, axis=1)[:, 0] / 2).astype(np.float32))


class _Rays:
    """Line integrals of an image from scatter points to coarse detectors."""

    def __init__(self, xp, image, grid, points, step, timing, pairs, threads):
        self.image, self.grid = _bordered(xp, image, grid)
        if timing:
            self.step, self.parts = timing.step, math.ceil(timing.step / step)
        else:
            self.step, self.parts = float(step), 1
        self.pairs, self.threads, self._xp = pairs, threads, xp
        # A ray is followed from its point to the far side of what is not zero.
        far = [
            max(high - here.min(), here.max() - low)
            for (low, high), here in zip(self.grid.extent, points, strict=False)
        ]
        self.samples = math.ceil(math.hypot(*far) / self.step) + 1
        self.taps = xp.asarray(timing.taps) if timing else None
        self.reach = len(timing.taps) // 2 if timing else 0
        self.phases = timing.phases if timing else 0
        bins = pairs.tof_bins if timing else 0
        inner = -(-(self.samples + 2 * self.reach) // self.phases) if timing else 0
        self.columns, self.bins = inner + 2 * bins, bins

    def sums(self, chunk, count):
        """float32 (crystal, ring, capacity), in value * mm."""
        out = self._xp.zeros((*self.pairs.detector_shape, chunk.shape[1]), np.float32)
        self._launch(chunk, count, out, None)
        return out

    def profiles(self, chunk, count):
        """Flat float32 (crystal, ring, capacity, phases, columns), see kernels/scatter.cu."""
        shape = *self.pairs.detector_shape, chunk.shape[1], self.phases, self.columns
        out = self._xp.zeros(math.prod(shape) + WIDEST, np.float32)  # vectors read past the end
        self._launch(chunk, count, None, out)
        return out

    def _launch(self, chunk, count, sums, profiles):
        grid = self.grid
        blocks = math.prod(self.pairs.detector_shape), -(-count // GROUP)
        inner = self.phases * (self.columns - 2 * self.bins)
        scratch = self.samples + 4 * self.reach + self.phases + inner
        arguments = (
            *(self.image, chunk, self.pairs.detectors(self._xp), self.taps, sums, profiles),
            *(count, chunk.shape[1], *grid.shape, *grid.voxel_mm, *grid.origin_mm),
            *(self.step, self.samples, self.parts, self.reach),
            *(self.phases, self.columns, self.bins),
        )
        backend.launch(
            "scatter_rays", blocks, arguments,
            scratch_floats=GROUP * scratch, threads=self.threads,
        )


def _bordered(xp, image, grid):
    """The part of an image that is not zero, with a border of zeros, and its Grid."""
    filled = backend.to_device(image != 0, "cpu")
    if not filled.any():
        filled = np.ones((1, 1, 1), bool)
    ends = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        where = np.flatnonzero(filled.any(axis=others))
        ends.append((int(where[0]), int(where[-1]) + 1))
    part = image[tuple(slice(*end) for end in ends)]
    origin = [
        o + (first - 1) * v
        for o, v, (first, _) in zip(grid.origin_mm, grid.voxel_mm, ends, strict=True)
    ]
    part = xp.ascontiguousarray(xp.pad(part.astype(np.float32, copy=False), 1))
    return part, Grid(shape=part.shape, voxel_mm=grid.voxel_mm, origin_mm=origin)
