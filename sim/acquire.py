"""A scan: what a scanner is expected to count of an activity, and counts drawn from that.

    trues    K sum over a bin's pairs of  etendue e1 e2 blur(attenuated integral of the activity)
    scatter  efficiency * (single + multiple scatter)
    randoms  sum over a bin's pairs of  2 tau e1 s1 e2 s2 * integral of decay^2

K is 1 / (2 pi), positrons per decay, the chance that a pair of crystals records a pair of photons,
and the integral of decay over the scan; e of a crystal is its efficiency and what dead time leaves;
s are singles per s at the scan's start. With the sums of pairs alone, `efficiency` is what a user
knows: m in trues = m exp(-integral of mu) (mean line integral of the activity at the scan's start).

The reconstruction's model has none of this: rays between parts of crystals (`sim.rays`), resolution
in data space and positron range (`sim.resolution`), finer scatter and its Monte Carlo
(`sim.scatter`), crystals that differ within a bin. Only `Protocol.inverse_crime` simulates with
that model: one ray for each bin, no resolution, the scatter that reconstruction would estimate.

Dead time is that of the mean activity over the scan.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from recon import backend
from recon.corrections.attenuation import attenuate
from recon.corrections.calibration import Isotope
from recon.corrections.calibration import isotope as isotope_of
from recon.corrections.coincidences import real_crystals
from recon.corrections.randoms import randoms_from_singles
from recon.grid import Grid
from recon.projectors import SinogramProjector
from recon.resampling import resample
from sim.efficiency import counted, crystal_efficiencies, pair_sums
from sim.protocol import Protocol, check_place
from sim.rays import attenuated_trues
from sim.resolution import DataBlur, annihilations
from sim.scatter import estimators_scatter, true_scatter

TIMING_SIGMAS = 5.0  # reconstruction cuts the timing error off at 3
SINGLES_PAIRS = 500_000  # photon pairs that singles rates are found from
SMOOTH_MM = 5.0  # voxels of the images that scatter and singles are simulated from
_PER_ML = 1e-3  # mL in a mm^3


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Expected counts of a whole scan, and what its user would know.

    Attributes:
        protocol: Protocol.
        isotope: Isotope.
        trues, scatter, randoms: float32 of layout.shape.
        efficiency: (view, radial, plane) float32, counts per Bq/mL * mm of unattenuated trues,
            activity at the scan's start.
        crystals: efficiencies of the crystals, (rings, crystals) float32.
        singles_per_s: of the crystals at the scan's start, dead time and efficiencies in it,
            (rings, crystals) float64.
        live: part of the pairs that dead time leaves, mean over the crystal pairs.
        multiple_to_single: multiple over single scatter, in counts.
    """

    protocol: Protocol
    isotope: Isotope
    trues: np.ndarray
    scatter: np.ndarray
    randoms: np.ndarray
    efficiency: np.ndarray
    crystals: np.ndarray
    singles_per_s: np.ndarray
    live: float
    multiple_to_single: float

    @property
    def layout(self):
        """SinogramLayout of prompts and delayeds."""
        return self.protocol.layout

    @property
    def delayeds(self):
        """Expected delayed coincidences: as many as randoms."""
        return self.randoms

    @cached_property
    def counts(self):
        """Expected counts by kind: dict of trues, scatter, randoms and prompts."""
        found = {name: float(getattr(self, name).sum(dtype=np.float64))
                 for name in ("trues", "scatter", "randoms")}
        return found | {"prompts": sum(found.values())}

    @property
    def scatter_fraction(self):
        """Scatter over trues and scatter."""
        unrandom = self.counts["trues"] + self.counts["scatter"]
        return self.counts["scatter"] / unrandom if unrandom else 0.0

    @property
    def randoms_fraction(self):
        """Randoms over prompts."""
        return self.counts["randoms"] / self.counts["prompts"] if self.counts["prompts"] else 0.0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a scan counted: prompts and delayeds, float32 whole numbers of layout.shape."""

    prompts: np.ndarray
    delayeds: np.ndarray


def expect(activity, mu_per_cm, grid, protocol, *, isotope="F-18", rng, pair_efficiency=None,
           singles_per_s=None, threads=None, device="cpu", watch=None):
    """What a scanner is expected to count (this module's docstring has the model).

    Args:
        activity: (x, y, z) in Bq/mL at the scan's start.
        mu_per_cm: (x, y, z), attenuation at 511 keV in 1/cm.
        grid: Grid of both, as the phantom has it; finer than a reconstruction's.
        protocol: Protocol.
        isotope: name of the isotope.
        rng: numpy Generator: of crystals that differ, and of Monte Carlo simulations.
        pair_efficiency: chance that crystals record the pairs that cross both of them; by default
            that of `sim.count_rates` in each direction.
        singles_per_s: of ideal crystals, (rings, crystals), without dead time; by default that of
            `sim.count_rates`.
        threads: CPU threads; the result does not depend on it.
        device: "cpu" or "cuda", where kernels run.
        watch: function called with what is being done and the part of it that is; None for none.
    Returns:
        Expected.
    Raises:
        ValueError: nothing of the phantom is in the scanner, or the scanner lacks what scatter
            and randoms take.
    """
    watch = watch or (lambda *_: None)
    check_place(protocol, activity, grid)
    grid, layout, scanner = protocol.placed(grid), protocol.layout, protocol.scanner
    found, rngs = isotope_of(isotope), rng.spawn(3)
    crystals = crystal_efficiencies(scanner, rngs[0], spread=protocol.spread,
                                    dead_blocks=protocol.dead_blocks)
    *smooth, coarse = _smooth(activity, mu_per_cm, grid)
    smooth = *(backend.to_device(image, device) for image in smooth), coarse
    watch("singles", 0.0)
    singles, live = _singles(*smooth, protocol, found, singles_per_s, rngs[1])
    ends = (crystals * live).astype(np.float32)
    mean_decay = found.mean_decay(0.0, protocol.seconds)
    decays = found.positron_fraction * protocol.seconds * mean_decay
    scale = np.float32(_PER_ML * decays / (2 * np.pi))
    options = {"pair_efficiency": pair_efficiency}
    efficiency = pair_sums(layout, ends, **options) * scale
    if protocol.inverse_crime:
        trues = _reconstructions_trues(activity, mu_per_cm, grid, layout, efficiency, threads)
        scatter, multiple = estimators_scatter(*smooth, layout, rng=rngs[2], threads=threads)
    else:
        spread = annihilations(activity, grid, found.name)
        trues = attenuated_trues(spread, mu_per_cm, grid, protocol.pairs, split=protocol.split,
                                 tof_sigmas=TIMING_SIGMAS, threads=threads, device=device,
                                 watch=lambda done: watch("rays", done))
        watch("crystal pairs", 0.0)
        blur = DataBlur(layout=protocol.pairs, split=protocol.split)
        trues = counted(trues, protocol.pairs, layout, ends, blur=blur, **options)
        trues *= scale
        watch("scatter", 0.0)
        scatter, multiple = true_scatter(*smooth, layout, photon_pairs=protocol.photon_pairs,
                                         rng=rngs[2], threads=threads)
    watch("scatter", 1.0)
    scatter *= efficiency[:, :, None] if layout.tof else efficiency
    singles *= ends
    squares = replace(found, half_life_s=found.half_life_s / 2).mean_decay(0.0, protocol.seconds)
    return Expected(
        protocol=protocol, isotope=found, trues=trues, scatter=scatter,
        randoms=randoms_from_singles(singles, layout, protocol.seconds * squares),
        efficiency=efficiency, crystals=crystals, singles_per_s=singles,
        live=float((live[real_crystals(scanner)]).mean() ** 2), multiple_to_single=multiple,
    )


def draw(expected, rng):
    """Poisson counts of a scan: prompts, and delayeds of their own.

    Args:
        expected: Expected.
        rng: numpy Generator.
    Returns:
        Counts.
    """
    prompts, delayeds = (np.empty(expected.layout.shape, np.float32) for _ in range(2))
    prompts_rng, delayeds_rng = rng.spawn(2)
    for view in range(len(prompts)):  # a view at a time: int64 of no more
        mean = expected.trues[view] + expected.scatter[view]
        prompts[view] = prompts_rng.poisson(mean + expected.randoms[view])
        delayeds[view] = delayeds_rng.poisson(expected.delayeds[view])
    return Counts(prompts=prompts, delayeds=delayeds)


def _smooth(activity, mu_per_cm, grid):
    """Both images in voxels of at least SMOOTH_MM, and their Grid."""
    voxel_mm = [max(side, SMOOTH_MM) for side in grid.voxel_mm]
    shape = [max(1, round(n * side / voxel)) for n, side, voxel in
             zip(grid.shape, grid.voxel_mm, voxel_mm, strict=True)]
    voxel_mm = [n * side / m for n, side, m in zip(grid.shape, grid.voxel_mm, shape, strict=True)]
    coarse = Grid.centred(shape=shape, voxel_mm=voxel_mm, centre_mm=grid.centre,
                          patient_position=grid.patient_position)
    return *(resample(image, grid, coarse) for image in (activity, mu_per_cm)), coarse


def _singles(activity, mu_per_cm, grid, protocol, isotope, singles, rng):
    """Singles at the scan's start of ideal crystals, and what dead time leaves of them."""
    from sim import count_rates

    scanner = protocol.scanner
    if singles is None:
        singles = count_rates.singles_rates(activity, mu_per_cm, grid, scanner, rng=rng,
                                            pairs=SINGLES_PAIRS, isotope=isotope.name)
    singles = np.where(real_crystals(scanner), singles, 0.0)
    return singles, count_rates.live(scanner, singles * isotope.mean_decay(0, protocol.seconds))


def _reconstructions_trues(activity, mu_per_cm, grid, layout, efficiency, threads):
    trues = SinogramProjector(layout, grid, threads=threads)(activity)
    factors = efficiency.copy()
    attenuate(factors, mu_per_cm, grid, layout, threads=threads)
    trues *= factors[:, :, None] if layout.tof else factors
    return trues
