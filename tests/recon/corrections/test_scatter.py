"""Single scatter: against a slow reference, STIR, a Monte Carlo simulation, and invariants."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.scatter import ScatterSampling, single_scatter
from recon.corrections.scatter_points import scatter_points
from recon.io import read_image, read_sinogram
from recon.projectors import SinogramProjector
from tests.recon import reference_scatter
from tests.recon.monte_carlo import scatter_to_trues

SMALL = Scanner(
    name="small", rings=4, crystals=24, radius_mm=200, depth_mm=6, ring_spacing_mm=21,
    radial_bins=15, tilt_deg=4.0, energy_resolution=0.15, energy_window_kev=(425, 650),
    tof_bins=27, tof_bin_ps=100.0, timing_resolution_ps=350.0,
)
LAYOUT = SinogramLayout.of(SMALL)
ALL = ScatterSampling(crystals=24, ring_mm=21, point_mm=24)
STIR_SCALE = 0.75 * 10 / (2 * np.pi)


def case(rng):
    """An activity and a mu map on unlike grids, off centre and unlike in every direction."""
    grid = Grid.centred(shape=(15, 13, 9), voxel_mm=(8, 9, 7), centre_mm=(6, -9, 4))
    mu_grid = Grid.centred(shape=(14, 16, 8), voxel_mm=(9, 9, 10), centre_mm=(-5, 3, 1))
    activity = rng.random(grid.shape, dtype=np.float32)
    mu = (0.06 + 0.06 * rng.random(mu_grid.shape)).astype(np.float32)
    return activity, grid, mu, mu_grid


def cylinder(radius_mm=60.0, half_mm=25.0, voxel_mm=5.0):
    """A centred cylinder of ones and its Grid, with soft edges."""
    n = 2 * int(radius_mm / voxel_mm + 1)
    grid = Grid.centred(shape=(n, n, 2 * int(half_mm / voxel_mm + 1)), voxel_mm=(voxel_mm,) * 3)
    x, y, z = (grid.centres(axis) for axis in range(3))
    across = np.clip((radius_mm - np.hypot(x[:, None], y)) / voxel_mm + 0.5, 0, 1)
    along = np.clip((half_mm - np.abs(z)) / voxel_mm + 0.5, 0, 1)
    return (across[:, :, None] * along).astype(np.float32), grid


@pytest.mark.parametrize("tof_mashing", [0, 3, 4])
def test_every_bin_is_what_the_slow_reference_gives(rng, tof_mashing):
    activity, grid, mu, mu_grid = case(rng)
    layout = SinogramLayout.of(SMALL, tof_mashing=tof_mashing)
    tof = None
    if tof_mashing:
        phases = int(np.ceil(3 * layout.tof_bin_mm / layout.tof_sigma_mm))
        parts = int(np.ceil(layout.tof_bin_mm / phases / 7.0))
        tof = layout.tof_bins, layout.tof_bin_mm, layout.tof_sigma_mm, 3.0, phases, parts
    points = scatter_points(mu, mu_grid, spacing_mm=40)
    found = single_scatter(activity, grid, mu, mu_grid, layout, sampling=ALL, points=points)
    bins = np.stack([rng.integers(0, n, 8) for n in (12, 15, 16)], axis=-1)
    for view, radial, plane in bins:
        first, second = layout.lor_end_points(view, radial, plane)
        expected = reference_scatter.single_scatter(
            activity, grid, mu / 10, mu_grid, SMALL, points, first, second, step=7.0, tof=tof
        )
        np.testing.assert_allclose(
            found[view, radial, ..., plane], expected, rtol=1e-5, atol=1e-6 * found.max()
        )


def test_single_scatter_is_stirs_to_its_constant(reference):
    folder = reference / "stir" / "scatter_cylinder"
    activity, grid, _ = read_image(folder / "my_uniform_cylinder.hv")
    mu, mu_grid, _ = read_image(folder / "my_atten_image.hv")
    stir, layout, _ = read_sinogram(folder / "my_scatter_cylinder.hs")
    points = stirs_points(mu, mu_grid, layout)
    ours = single_scatter(activity, grid, mu, mu_grid, layout, points=points)
    ours *= STIR_SCALE / grid.voxel_mm[0]  # line integrals of STIR's are over the voxel
    assert ours.sum() == pytest.approx(stir.sum(), rel=0.012)
    assert np.abs(ours - stir).max() < 0.025 * stir.max()
    shape = ours * (stir.sum() / ours.sum())
    assert np.sqrt(((shape - stir) ** 2).sum() / (stir**2).sum()) < 0.003


def stirs_points(mu, grid, layout):
    """Scatter points as STIR takes them: a map of 17 x 17 x 8 voxels, averaged by overlap.

    Found from STIR's documentation: voxels as wide as a radial bin, one plane per ring.
    """
    across = layout.scanner.effective_radius_mm * np.sin(np.pi / layout.scanner.crystals)
    sizes = (17, 17, 8)
    voxel = np.array([across, across, grid.voxel_mm[2] * 46 / 7])
    origin = np.array([-8 * across, -8 * across, grid.origin_mm[2]])
    coarse = mu.astype(np.float64)
    for axis in range(3):
        old = grid.centres(axis), grid.voxel_mm[axis]
        new = origin[axis] + np.arange(sizes[axis]) * voxel[axis]
        low = np.maximum(old[0] - old[1] / 2, (new - voxel[axis] / 2)[:, None])
        high = np.minimum(old[0] + old[1] / 2, (new + voxel[axis] / 2)[:, None])
        share = np.maximum(high - low, 0) / voxel[axis]
        coarse = np.moveaxis(np.tensordot(share, coarse, (1, axis)), 0, axis)
    index = np.argwhere(coarse >= 0.01)
    weight = coarse[tuple(index.T)] / 10 * np.prod(voxel)
    return np.concatenate([(origin + index * voxel).T, weight[None]])


def test_scatter_over_trues_is_that_of_a_monte_carlo_simulation():
    image, grid = cylinder(radius_mm=100, half_mm=60, voxel_mm=5)
    scanner = replace(SMALL, rings=6, crystals=64, radius_mm=400, radial_bins=45, tilt_deg=0)
    layout = SinogramLayout.of(scanner)
    mu = image * np.float32(0.096)
    scatter = single_scatter(image, grid, mu, grid, layout, sampling=ScatterSampling(point_mm=15))
    trues = SinogramProjector(layout, grid)(image)
    trues *= np.exp(-SinogramProjector(layout, grid)(mu / np.float32(10)))
    # What a pair of detectors' areas see of a line between them: cosA cosB / r^2.
    axial = np.repeat(layout.segment_table()[:, 2], [s.planes for s in layout.segments])
    half = layout.rays()[..., 3, None]
    weight = half**2 / (4 * half**2 + axial**2) ** 2
    ours = (weight * scatter).sum() / (weight * trues).sum()
    ratio, error = scatter_to_trues(
        radius_mm=100, half_mm=60, mu_per_mm=0.0096, detector_radius_mm=406,
        half_length_mm=3 * 21, resolution=0.15, window=(425, 650), pairs=2_000_000, seed=1,
    )
    assert error < 0.01 * ratio
    assert ours == pytest.approx(ratio, rel=0.02)


def test_a_centred_cylinder_scatters_alike_from_all_sides():
    image, grid = cylinder()
    scanner = replace(SMALL, tilt_deg=0)
    layout = SinogramLayout.of(scanner)
    found = single_scatter(image, grid, image * np.float32(0.096), grid, layout, sampling=ALL)
    largest = found.max()
    quarter = layout.views // 2  # a square of voxels looks the same every quarter of a turn
    assert np.abs(found[quarter:] - found[:-quarter]).max() < 1e-4 * largest
    assert np.abs(found[0] - found[0, ::-1]).max() < 0.01 * largest  # odd bins: between two views
    even = found[0, 1::2]
    assert np.abs(even - even[::-1]).max() < 1e-4 * largest
    planes = {
        segment.mean_ring_difference: found[..., first : first + segment.planes]
        for segment, first in zip(layout.segments, layout.first_planes(), strict=True)
    }
    for difference, part in planes.items():  # seen in a mirror across the axis
        assert np.abs(part - planes[-difference][..., ::-1]).max() < 1e-4 * largest
    assert found.std(axis=0).max() < 0.02 * largest


def test_scatter_is_converged_in_the_number_of_points():
    image, grid = cylinder(radius_mm=90, half_mm=40, voxel_mm=5)
    mu = image * np.float32(0.096)
    fine, usual, random = (
        single_scatter(image, grid, mu, grid, LAYOUT, sampling=replace(ALL, **options))
        for options in ({"point_mm": 10}, {"point_mm": 20}, {"point_mm": 20, "seed": 5})
    )
    assert usual.sum() == pytest.approx(fine.sum(), rel=0.01)
    assert random.sum() == pytest.approx(fine.sum(), rel=0.03)
    assert np.sqrt(((usual - fine) ** 2).mean()) < 0.02 * np.sqrt((fine**2).mean())


def test_coarse_detectors_give_what_all_of_them_give():
    image, grid = cylinder(radius_mm=90, half_mm=40, voxel_mm=5)
    mu = image * np.float32(0.096)
    scanner = replace(SMALL, crystals=128, radial_bins=71, rings=9, ring_spacing_mm=8)
    layout = SinogramLayout.of(scanner, span=3, view_mashing=4)
    few, all_of_them = (
        single_scatter(image, grid, mu, grid, layout,
                       sampling=ScatterSampling(crystals=n, ring_mm=mm, point_mm=25))
        for n, mm in ((48, 20), (128, 8))
    )
    assert few.shape == layout.shape
    assert np.abs(few - all_of_them).max() < 0.02 * all_of_them.max()


@pytest.mark.parametrize("tof_mashing", [1, 3])
def test_time_of_flight_bins_sum_to_scatter_without(rng, tof_mashing):
    activity, grid, mu, mu_grid = case(rng)
    layout = SinogramLayout.of(SMALL, tof_mashing=tof_mashing)
    sampling = replace(ALL, step_mm=1.0)
    timed = single_scatter(activity, grid, mu, mu_grid, layout, sampling=sampling)
    untimed = single_scatter(activity, grid, mu, mu_grid, LAYOUT, sampling=sampling)
    assert np.abs(timed.sum(axis=2) - untimed).max() < 1e-4 * untimed.max()


def test_time_of_flight_turns_with_the_object():
    image, grid = cylinder()
    left = image * (grid.centres(0) < 0)[:, None, None]
    layout = SinogramLayout.of(replace(SMALL, tilt_deg=0), tof_mashing=3)
    mu = image * np.float32(0.096)
    one, other = (
        single_scatter(side, grid, mu, grid, layout, sampling=ALL) for side in (left, left[::-1])
    )
    # Half a turn about z brings a line of view v, bin t, back with its ends exchanged: t -> -t.
    middle = layout.radial_bins // 2
    direct = slice(0, SMALL.rings)
    # The half cylinder is symmetric in y, so its mirror image in x is its half turn.
    np.testing.assert_allclose(
        other[:, middle, ::-1, direct], one[:, middle, :, direct], atol=1e-4 * one.max()
    )
    assert np.abs(one - other).max() > 0.1 * one.max()


def test_any_number_of_threads_gives_the_same_bits(rng):
    activity, grid, mu, mu_grid = case(rng)
    for layout in (LAYOUT, SinogramLayout.of(SMALL, tof_mashing=3)):
        one, three = (
            single_scatter(activity, grid, mu, mu_grid, layout, sampling=ALL, threads=n)
            for n in (1, 3)
        )
        assert (one == three).all()


def test_scatter_is_linear_in_the_activity_and_nothing_without(rng):
    activity, grid, mu, mu_grid = case(rng)
    one, two = (
        single_scatter(factor * activity, grid, mu, mu_grid, LAYOUT, sampling=ALL)
        for factor in (np.float32(1), np.float32(2))
    )
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)
    assert not single_scatter(0 * activity, grid, mu, mu_grid, LAYOUT, sampling=ALL).any()


def test_a_whole_number_of_mm_is_as_good_a_step(rng):
    images = case(rng)
    whole, real = (
        single_scatter(*images, LAYOUT, sampling=replace(ALL, step_mm=step)) for step in (4, 4.0)
    )
    assert whole.max() > 0
    np.testing.assert_array_equal(whole, real)


def test_a_scanner_that_does_not_state_its_energies_is_named(rng):
    layout = SinogramLayout.of(replace(SMALL, energy_window_kev=None))
    with pytest.raises(ValueError, match=r"resolution and window, got 'small' with 0\.15 and None"):
        single_scatter(*case(rng), layout)


def test_an_image_of_another_shape_is_refused(rng):
    activity, grid, mu, mu_grid = case(rng)
    with pytest.raises(ValueError, match=r"activity of its grid's shape \(15, 13, 9\), got"):
        single_scatter(activity[1:], grid, mu, mu_grid, LAYOUT)


def test_a_mu_map_in_another_unit_is_refused(rng):
    activity, grid, mu, mu_grid = case(rng)
    with pytest.raises(ValueError, match=r"1/cm \(water: 0\.096\).*check its unit"):
        single_scatter(activity, grid, mu / 100, mu_grid, LAYOUT)


def test_a_sampling_of_an_odd_number_of_crystals_is_refused():
    with pytest.raises(ValueError, match="even number of crystals, got 33"):
        ScatterSampling(crystals=33)
