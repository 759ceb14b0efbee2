"""Scans whose randoms and scatter are known, of which no estimator is told more than a scan tells.

Trues are counted by crystals cut into parts (`sim.rays`), with efficiencies that vary and two
blocks that are dead. Single scatter is simulated with finer and other scatter points and detectors
than an estimate takes; multiple scatter is a Monte Carlo simulation's own counts, smoothed, not a
convolution. Randoms are products of the crystals' singles. The timing error reaches 5 sigma, where
reconstruction cuts it off at 3.
"""

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.corrections_torso import torso
from recon import Grid, Scanner, SinogramLayout
from recon.corrections.attenuation import attenuate
from recon.corrections.normalization import efficiency_factors
from recon.corrections.photon_transport import PhotonSource
from recon.corrections.randoms import randoms as expected_randoms
from recon.corrections.scatter import ScatterSampling, single_scatter
from sim.efficiency import crystal_efficiencies
from sim.materials import AIR, MATERIALS, Material
from sim.phantoms import END, Phantom, Region
from sim.rays import attenuated_trues
from sim.scatter import multiple_counts
from sim.shapes import Cylinder

RANDOMS = 0.3  # of the prompts
MU_FACTOR = 1.03  # how the mu map that estimators get is wrong; it is shifted, too
TIMING_SIGMAS = 5.0


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is scanned, and how an image of it is made.

    Attributes:
        phantom: Phantom.
        layout: SinogramLayout of prompts.
        truth_grid, grid: Grids of the phantom that is scanned, and of the reconstruction.
        region: centre and radius in mm of a sphere in which the activity is uniform.
        photon_pairs: drawn for the true multiple scatter.
        fine: ScatterSampling of the true single scatter.
        sampling: ScatterSampling of the estimates.
        subsets: of OSEM.
        mu_shift_mm: how far the mu map that estimators get lies from the object.
    """

    phantom: Phantom
    layout: SinogramLayout
    truth_grid: Grid
    grid: Grid
    region: tuple[tuple[float, float, float], float]
    photon_pairs: int
    fine: ScatterSampling
    sampling: ScatterSampling
    subsets: int
    mu_shift_mm: tuple[float, float, float]

    @property
    def delayed_layout(self):
        """SinogramLayout of the delayeds: as listed, one crystal pair a bin."""
        return SinogramLayout.of(self.layout.scanner, radial_bins=self.layout.radial_bins)

    def in_region(self):
        """Where the image is measured, bool of grid.shape."""
        centre, radius = self.region
        x, y, z = np.ix_(*(self.grid.centres(axis) - c for axis, c in enumerate(centre)))
        return x**2 + y**2 + z**2 <= radius**2


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Expected counts of a scan of one prompt, and what a user would know of it.

    Attributes:
        trues, scatter, randoms: float32 of layout.shape.
        delayeds: float32 of delayed_layout.shape.
        efficiency: what multiplies, less attenuation; activity * mm to counts, (view, radial,
            plane).
        attenuation: survival by the wrong mu map, of the same shape.
        mu_per_cm: that map, on the problem's grid.
        scatter_fraction: scatter over trues and scatter.
        multiple_to_single: multiple over single scatter, before efficiencies.
    """

    trues: np.ndarray
    scatter: np.ndarray
    randoms: np.ndarray
    delayeds: np.ndarray
    efficiency: np.ndarray
    attenuation: np.ndarray
    mu_per_cm: np.ndarray
    scatter_fraction: float
    multiple_to_single: float

    @property
    def prompts(self):
        """Expected, float32 of layout.shape."""
        return self.trues + self.scatter + self.randoms


def problem(scanner, name, tof):
    """The Problem of a scanner ('demo' or 'tiny') and an object ('torso' or 'arms').

    The demo scanner has every 3 ring differences and 4 views summed, and time-of-flight bins of
    300 ps. Its torso has air about it; with arms at its sides and a light shell around it, 'arms',
    every line of the field of view meets something. For tests, the tiny scanner has cylinders of
    water instead.

    Raises:
        ValueError: there is none.
    """
    if scanner == "demo":
        return Problem(
            phantom=torso(1) if name == "torso" else _with_arms(torso(1)),
            layout=SinogramLayout.of(
                Scanner.preset("demo"), span=3, view_mashing=4, tof_mashing=3 * tof
            ),
            truth_grid=Grid.centred(shape=(200, 200, 64), voxel_mm=(3.125, 3.125, 3.125)),
            grid=Grid.centred(shape=(100, 100, 32), voxel_mm=(6.25, 6.25, 6.25)),
            region=((-110.0, 20.0, 55.0), 22.0),
            photon_pairs=40_000_000,
            fine=ScatterSampling(
                point_mm=16.0, crystals=80, ring_mm=12.5, step_mm=3.0, seed=1,
                tof_sigmas=TIMING_SIGMAS,
            ),
            sampling=ScatterSampling(),
            subsets=8,
            mu_shift_mm=(3.0, -2.0, 0.0),
        )
    if scanner == "tiny":
        # It ends halfway between two of the scanner's lines, 40.2 and 49.5 mm from the axis. Of one
        # that a line grazes, at 40 or 50 mm, the image's outer 6 mm come out a third too dark or
        # bright; half of the tails' scatter comes from there, and its scale errs by 12 %.
        solid = Cylinder(centre_mm=(0, 0, 0), radii_mm=(*(2 * [45.0 if name == "torso" else 95.0]),
                                                        END))
        water = Region(name="water", solid=solid, activity_bq_ml=5e3, material=MATERIALS["water"])
        return Problem(
            phantom=Phantom(name=name, regions=(water,)),
            layout=SinogramLayout.of(Scanner.preset("tiny"), tof_mashing=3 * tof),
            truth_grid=Grid.centred(shape=(50, 50, 10), voxel_mm=(4, 4, 4)),
            grid=Grid.centred(shape=(25, 25, 10), voxel_mm=(8, 8, 4)),
            region=((0.0, 0.0, 0.0), 20.0),
            photon_pairs=5_000_000,
            fine=ScatterSampling(point_mm=12.0, ring_mm=8.0, seed=1, tof_sigmas=TIMING_SIGMAS),
            sampling=ScatterSampling(),
            subsets=4,
            mu_shift_mm=(0.75, -0.5, 0.0),
        )
    raise ValueError(f"--scanner takes demo or tiny, got {scanner!r}")


def simulate(problem, seed):
    """The Truth of a problem: the same for the same seed, from one prompt's expected counts."""
    layout, grid, rng = problem.layout, problem.truth_grid, np.random.default_rng(seed)
    activity, mu = problem.phantom.activity(grid), problem.phantom.mu_per_cm(grid)
    crystals = crystal_efficiencies(layout.scanner, rng, dead_blocks=2)
    efficiency = efficiency_factors(layout, crystals)
    trues = attenuated_trues(activity, mu, grid, layout, tof_sigmas=TIMING_SIGMAS)
    trues *= _bins(efficiency / layout.multiplicity(), layout)
    scatter = single_scatter(activity, grid, mu, grid, layout, sampling=problem.fine)
    source = PhotonSource(activity, grid, mu, grid, layout.scanner)
    multiple, ratio = multiple_counts(source, layout, problem.photon_pairs, rng)
    pairs = _bins(layout.multiplicity(), layout)
    multiple *= np.float32(ratio * _sum(scatter * pairs) / _sum(multiple * pairs))
    scatter += multiple
    scatter *= _bins(efficiency, layout)
    scale = (1 - RANDOMS) / (_sum(trues) + _sum(scatter))
    for array in (trues, scatter, efficiency):
        array *= np.float32(scale)
    # A crystal's singles vary with its own efficiency, and slowly around and along the scanner.
    ring, crystal = np.indices(crystals.shape)
    singles = crystals * (1 + 0.2 * np.cos(2 * np.pi * crystal / crystals.shape[1]))
    singles *= 1 - 0.2 * (2 * ring / crystals.shape[0] - 1) ** 2
    at_random = expected_randoms(singles, layout)
    delayeds = expected_randoms(singles, problem.delayed_layout)
    share = np.float32(RANDOMS / _sum(at_random))
    shift = np.subtract(problem.grid.origin_mm, problem.mu_shift_mm)
    wrong = problem.phantom.mu_per_cm(replace(problem.grid, origin_mm=tuple(shift)))
    wrong *= np.float32(MU_FACTOR)
    attenuation = np.ones(layout.without_tof().shape, np.float32)
    attenuate(attenuation, wrong, problem.grid, layout)
    return Truth(
        trues=trues, scatter=scatter, randoms=at_random * share, delayeds=delayeds * share,
        efficiency=efficiency, attenuation=attenuation, mu_per_cm=wrong,
        scatter_fraction=_sum(scatter) / (1 - RANDOMS), multiple_to_single=ratio,
    )


def _with_arms(phantom):
    """A torso with arms at its sides, in a light shell as wide as the field of view."""
    def cylinder(name, x, radii, activity, material):
        solid = Cylinder(centre_mm=(x, 20.0 if x else 0.0, 0.0), radii_mm=(*radii, END))
        return Region(name=name, solid=solid, activity_bq_ml=activity, material=material)

    foam = Material(name="foam", mu_per_cm=0.02, hu=-800.0)
    around = (
        cylinder("shell", 0.0, (305.0, 305.0), 200.0, foam),
        cylinder("air", 0.0, (290.0, 290.0), 0.0, AIR),
        cylinder("arm", -242.0, (45.0, 55.0), 3500.0, MATERIALS["muscle"]),
        cylinder("arm", 242.0, (45.0, 55.0), 3500.0, MATERIALS["muscle"]),
    )
    return Phantom(name="arms", regions=around + phantom.regions, seed=phantom.seed)


def _bins(array, layout):
    """An array without time of flight, to multiply one of the layout's shape."""
    return array[:, :, None] if layout.tof else array


def _sum(array):
    return float(array.sum(dtype=np.float64))
