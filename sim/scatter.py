"""True scatter of a simulated scan: single scatter by other points than estimates, and multiple.

Points are drawn at random within some 2000 blocks, and detectors are other ones. On a torso in the
demo scanner blocks of 24 mm are within 0.8 % (RMS) of blocks of 18 mm and rings 15 mm apart.

Multiple scatter is a Monte Carlo simulation's own counts, smoothed, not a convolution of single
scatter as an estimate's is. Both are means over a bin's crystal pairs, in activity * mm: what
multiplies trues, less attenuation, multiplies them too (`recon.corrections.scatter`).
"""

import numpy as np
from scipy import ndimage

from recon import backend
from recon.corrections.multiple_scatter import multiple_scatter
from recon.corrections.photon_transport import PhotonSource
from recon.corrections.scatter import ScatterSampling, coarse_single_scatter, single_scatter
from recon.corrections.scatter_widening import widened
from sim.efficiency import etendue_mm2

_POINTS, _MOST_MM = 2000, 25.0  # scatter points, but for large objects; side of their blocks
_BATCH = 250_000


def true_scatter(activity, mu_per_cm, grid, layout, *, photon_pairs, rng, threads=None):
    """Expected scatter, single and multiple.

    Args:
        activity: (x, y, z), where is simulated: NumPy's or CuPy's array.
        mu_per_cm: (x, y, z), attenuation at 511 keV in 1/cm.
        grid: Grid of both.
        layout: SinogramLayout.
        photon_pairs: drawn for multiple scatter; 0 leaves it out.
        rng: numpy Generator.
        threads: CPU threads.
    Returns:
        float32 of layout.shape, activity * mm; and multiple over single scatter, in counts.
    """
    filled = int((mu_per_cm >= ScatterSampling().threshold_per_cm).sum())
    if not filled:
        return np.zeros(layout.shape, np.float32), 0.0
    point_mm = np.cbrt(filled * np.prod(grid.voxel_mm) / _POINTS)
    # Steps of a voxel change a torso's scatter by 1e-4 of what half of them make it.
    sampling = ScatterSampling(
        point_mm=float(min(point_mm, _MOST_MM)), crystals=72, ring_mm=18.0, seed=1, tof_sigmas=5.0,
        step_mm=min(grid.voxel_mm),
    )
    scatter = single_scatter(activity, grid, mu_per_cm, grid, layout, sampling=sampling,
                             threads=threads)
    scatter = backend.to_device(scatter, "cpu")
    if not photon_pairs:
        return scatter, 0.0
    source = PhotonSource(activity, grid, mu_per_cm, grid, layout.scanner, threads=threads)
    multiple, ratio = multiple_counts(source, layout, photon_pairs, rng)
    # Etendue is what a pair counts of a mean line integral.
    plane, _, _ = layout.ring_pairs().T
    weights = np.stack([np.bincount(plane, row, layout.planes) for row in etendue_mm2(layout)])
    weights = (weights[:, None] if layout.tof else weights).astype(np.float32)
    counts = [sum(float(np.vdot(view, np.broadcast_to(weights, view.shape))) for view in array)
              for array in (scatter, multiple)]
    if counts[1] > 0:
        multiple *= np.float32(ratio * counts[0] / counts[1])
        scatter += multiple
    return scatter, ratio


def multiple_counts(source, layout, photon_pairs, rng):
    """Multiple scatter's shape by a Monte Carlo simulation, taken to depend on a plane's z alone.

    Args:
        source: PhotonSource.
        layout: SinogramLayout.
        photon_pairs: drawn.
        rng: numpy Generator.
    Returns:
        float32 of layout.shape, the mean of a bin's pairs in any unit of activity * mm; and
        multiple over single scatter, in counts.
    """
    shape = layout.views, layout.radial_bins, layout.tof_bins, 2 * layout.scanner.rings - 1
    counted, once, often = np.zeros(np.prod(shape), np.float32), 0.0, 0.0
    planes, ring1, ring2 = layout.ring_pairs().T
    ring_sum, at = ring1 + ring2, np.zeros(layout.planes, np.int64)
    at[planes] = ring_sum  # all of a plane's
    for start in range(0, photon_pairs, _BATCH):
        drawn = source.pairs(min(_BATCH, photon_pairs - start), rng)
        bins = drawn.bins(layout, rng)
        inside = bins[0] >= 0
        once += drawn.weight[inside & (drawn.scatters == 1)].sum()
        inside &= drawn.scatters > 1
        often += drawn.weight[inside].sum()
        view, radial, tof, plane = (part[inside] for part in bins)
        np.add.at(counted, np.ravel_multi_index((view, radial, tof, at[plane]), shape),
                  drawn.weight[inside].astype(np.float32))
    etendue = np.stack([np.bincount(ring_sum, row, shape[-1]) for row in etendue_mm2(layout)])
    smooth = _smooth(counted.reshape(shape), etendue, layout)
    ratio = float(often / once) if once else 0.0
    return smooth[..., at].reshape(layout.shape), ratio


def _smooth(counts, etendue, layout):
    """Counts (view, radial, tof, ring sum) over etendue (radial, ring sum), without their noise.

    Blurred across and along the line by a thirtieth of the detectors' radius, along the axis by a
    twelfth, around it by 9 degrees; and what the blur changes about its own result is taken from
    it (twicing: Tukey, Exploratory Data Analysis, 1977). Beside an object scatter falls to a third
    within 40 mm: a blur of a sixteenth alone made 20 to 50 % more of its tails.
    """
    scanner = layout.scanner
    blur_mm = scanner.effective_radius_mm / 30
    across = blur_mm / (np.ptp(layout.rays()[0, :, 2]) / layout.radial_bins)
    along = scanner.effective_radius_mm / 12 / scanner.ring_spacing_mm * 2  # two sums to a ring
    in_time = blur_mm / layout.tof_bin_mm if layout.tof else 0.0

    def over_space(array, sigmas):
        return ndimage.gaussian_filter(array, sigmas, mode="nearest")

    def over_bins(array):
        # Half a turn on, the same lines are seen from their other ends.
        turned = np.roll(array[:, ::-1, ::-1], 1 - layout.radial_bins % 2, axis=1)
        both = ndimage.gaussian_filter1d(np.concatenate([array, turned]), layout.views / 20, axis=0,
                                         mode="wrap")[: layout.views]
        return over_space(both, (0, across, in_time, along))

    smooth = np.maximum(_twiced(over_bins, counts), 0)
    even = _twiced(lambda array: over_space(array, (across, along)), etendue)
    return smooth / even[:, None].astype(np.float32)


def _twiced(blur, array):
    once = blur(array)
    return 2 * once - blur(once)


def estimators_scatter(activity, mu_per_cm, grid, layout, *, rng, threads=None):
    """The same by the model that reconstruction estimates scatter with: the inverse crime.

    Args and returns: as `true_scatter`.
    """
    if not (mu_per_cm >= ScatterSampling().threshold_per_cm).any():
        return np.zeros(layout.shape, np.float32), 0.0
    images = activity, grid, mu_per_cm, grid
    single, pairs = coarse_single_scatter(*images, layout, threads=threads)
    multiple = multiple_scatter(
        *images, layout, seed=int(rng.integers(2**31)), threads=threads
    )
    both = single + widened(single, pairs, multiple)
    return backend.to_device(pairs.to_bins(both, layout, threads), "cpu"), multiple.to_single
