"""Photon pairs through objects: the exponential law, conservation, and another simulation."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.compton import (
    draw_scatter,
    scatter_density,
    total_cross_section,
    turned,
)
from recon.corrections.photon_transport import DetectedPairs, PhotonSource
from tests.recon import reference_photons
from tests.recon.monte_carlo import scatter_to_trues

# Long, and open to all energies: what is emitted is detected.
OPEN = Scanner(
    name="open", rings=1000, crystals=64, radius_mm=400, depth_mm=6, ring_spacing_mm=1000,
    radial_bins=45, energy_resolution=1e-6, energy_window_kev=(0, 1000),
)
RING = replace(OPEN, rings=6, ring_spacing_mm=21, energy_resolution=0.15,
               energy_window_kev=(425, 650))
WATER = 0.096


def cylinder(radius_mm=100.0, half_mm=60.0, voxel_mm=2.5):
    """Ones in a centred cylinder, and its Grid."""
    n = 2 * int(radius_mm / voxel_mm) + 2
    grid = Grid.centred(shape=(n, n, 2 * int(half_mm / voxel_mm)), voxel_mm=(voxel_mm,) * 3)
    return np.broadcast_to(grid.cylinder(radius_mm), grid.shape).astype(np.float32), grid


def point():
    """A small voxel at the centre, and its Grid."""
    return np.ones((1, 1, 1), np.float32), Grid.centred(shape=(1, 1, 1), voxel_mm=(1e-3,) * 3)


def box(mu_per_cm, side_mm=50.0):
    """A cube of one voxel, and its Grid."""
    grid = Grid.centred(shape=(1, 1, 1), voxel_mm=(side_mm,) * 3)
    return np.full((1, 1, 1), mu_per_cm, np.float32), grid


def draw(source, count=200_000, seed=1):
    return source.pairs(count, np.random.default_rng(seed))


def test_without_an_object_no_photon_scatters_and_lines_pass_through_the_source():
    pairs = draw(PhotonSource(*point(), *box(0.0), RING), 50_000)
    solid = 63 / math.hypot(63, 406)  # the part of all directions that the ring covers
    assert len(pairs.weight) == pytest.approx(50_000 * solid, rel=0.04)
    assert not pairs.scatters.any() and (pairs.weight == 1).all()
    assert np.abs(pairs.radial_mm).max() < 0.01 and np.abs(pairs.along_mm).max() < 0.01
    across = np.linalg.norm(pairs.first[:, :2] - pairs.second[:, :2], axis=1)
    np.testing.assert_allclose(across, 812, atol=0.01)


def test_pairs_pass_unscattered_by_the_exponential_law():
    # From the middle of a long thin rod along the axis outwards: both photons cross its radius.
    rod = Grid.centred(shape=(201, 201, 1), voxel_mm=(1, 1, 1e7))
    inside = np.broadcast_to(rod.cylinder(100.5), rod.shape).astype(np.float32)
    source = PhotonSource(*point(), np.float32(0.05) * inside, rod, OPEN)
    pairs = draw(source)
    sine = 812 / np.linalg.norm(pairs.first - pairs.second, axis=1)
    flat = (pairs.scatters == 0) & (sine > 0.99)
    emitted = 200_000 * math.sqrt(1 - 0.99**2)
    mean = 0.5 * (1 + 1 / 0.99)  # of 1 / sine, near enough
    expected = emitted * math.exp(-0.005 * 2 * 100.5 * mean)
    assert flat.sum() == pytest.approx(expected, abs=4 * math.sqrt(expected))


def test_every_pair_is_detected_by_a_detector_of_all_energies():
    water, grid = cylinder(half_mm=50)
    pairs = draw(PhotonSource(water, grid, np.float32(WATER) * water, grid, OPEN), 50_000)
    # Below about 1 keV nothing is followed; most photons stay far above.
    assert len(pairs.weight) > 0.99 * 50_000
    assert pairs.scatters.max() >= 6


def test_single_scatter_over_trues_is_that_of_another_simulation():
    water, grid = cylinder()
    source = PhotonSource(water, grid, np.float32(WATER) * water, grid, RING)
    pairs = [draw(source, 250_000, seed) for seed in range(4)]
    kind = np.concatenate([p.scatters for p in pairs])
    weight = np.concatenate([p.weight for p in pairs])
    counts = [weight[kind == n].sum() for n in (0, 1)]
    sd = [math.sqrt((weight[kind == n] ** 2).sum()) for n in (0, 1)]
    ratio = counts[1] / counts[0]
    expected, error = scatter_to_trues(
        radius_mm=100, half_mm=60, mu_per_mm=WATER / 10, detector_radius_mm=406,
        half_length_mm=3 * 21, resolution=0.15, window=(425, 650), pairs=500_000, seed=1,
    )
    own = ratio * math.hypot(sd[0] / counts[0], sd[1] / counts[1])
    assert own < 0.02 * ratio
    assert ratio == pytest.approx(expected, abs=3 * math.hypot(own, error))


def test_time_of_flight_puts_a_source_off_the_middle_where_it_is():
    ones, grid = point()
    grid = Grid.centred(shape=(1, 1, 1), voxel_mm=(1e-3,) * 3, centre_mm=(0, 60, 0))
    pairs = draw(PhotonSource(ones, grid, *box(0.0), RING), 20_000)
    middle = (pairs.first + pairs.second) / 2
    towards = pairs.first - pairs.second
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    place = middle + pairs.along_mm[:, None] * towards
    np.testing.assert_allclose(place, np.broadcast_to([0, 60, 0], place.shape), atol=0.01)


def test_radial_distance_is_the_same_from_either_end():
    water, grid = cylinder(voxel_mm=5)
    pairs = draw(PhotonSource(water, grid, np.float32(WATER) * water, grid, RING), 20_000)
    other = replace(pairs, first=pairs.second, second=pairs.first)
    np.testing.assert_allclose(pairs.radial_mm, other.radial_mm, atol=1e-9)
    assert abs(pairs.radial_mm.mean()) < 4 * pairs.radial_mm.std() / math.sqrt(len(pairs.weight))


def test_unscattered_pairs_meet_the_detectors_at_the_angles_of_their_line():
    ones, grid = point()
    grid = Grid.centred(shape=(1, 1, 1), voxel_mm=(1e-3,) * 3, centre_mm=(120, 0, 40))
    pairs = draw(PhotonSource(ones, grid, *box(0.0), OPEN), 2_000)
    line = pairs.second - pairs.first
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    for end, sign, cosine in zip((pairs.first, pairs.second), (-1, 1), pairs.cosines.T,
                                 strict=True):
        normal = end[:, :2] / np.linalg.norm(end[:, :2], axis=1, keepdims=True)
        np.testing.assert_allclose(cosine, sign * (line[:, :2] * normal).sum(1), atol=1e-6)


def test_single_photons_of_a_point_fill_the_part_of_the_sphere_that_the_ring_covers():
    solid = 63 / math.hypot(63, 406)
    source = PhotonSource(*point(), *box(0.0), RING)
    ring, crystal, cosine, weight = source.photons(50_000, np.random.default_rng(1))
    expected = 50_000 * solid
    assert len(ring) == pytest.approx(expected, abs=4 * math.sqrt(expected))
    assert (weight == 1).all() and source.emitting == 1
    assert cosine.min() == pytest.approx(406 / math.hypot(63, 406), abs=1e-3)
    per_ring = np.bincount(ring, minlength=6)
    assert ((per_ring - per_ring[::-1]) ** 2 < 16 * (per_ring + per_ring[::-1])).all()
    assert len(np.unique(crystal)) == 64


def test_photons_lose_their_partners_absorber_but_not_their_own():
    # Of photons through water the exponential law holds for one of them, of pairs for both.
    rod = Grid.centred(shape=(201, 201, 1), voxel_mm=(1, 1, 1e7))
    inside = np.broadcast_to(rod.cylinder(100.5), rod.shape).astype(np.float32)
    narrow = replace(RING, energy_window_kev=(505, 1000), energy_resolution=1e-6)
    source = PhotonSource(*point(), np.float32(0.05) * inside, rod, narrow)
    *_, weight = source.photons(200_000, np.random.default_rng(1))
    expected = 200_000 * 63 / math.hypot(63, 406) * math.exp(-0.005 * 100.5)
    assert weight.sum() == pytest.approx(expected, abs=4 * math.sqrt(expected))


def test_the_same_seed_draws_the_same_pairs():
    water, grid = cylinder(voxel_mm=5)
    source = PhotonSource(water, grid, np.float32(WATER) * water, grid, RING)
    one, two, other = (draw(source, 1000, seed) for seed in (1, 1, 2))
    assert (one.first == two.first).all() and (one.weight == two.weight).all()
    assert len(one.first) != len(other.first) or (one.first != other.first).any()


def test_scatter_angles_are_those_of_klein_and_nishina():
    rng = np.random.default_rng(2)
    ratio, cosine = draw_scatter(np.full(200_000, 511.0), rng)
    np.testing.assert_allclose(ratio, 1 / (2 - cosine))
    edges = np.linspace(-1, 1, 21)
    found = np.histogram(cosine, edges)[0]
    fine = np.linspace(-1, 1, 20_001)
    middle = (fine[1:] + fine[:-1]) / 2
    expected = np.add.reduceat(scatter_density(middle), np.arange(0, 20_000, 1000)) * 1e-4
    expected *= 2 * np.pi * 200_000
    assert ((found - expected) ** 2 / expected).sum() < 45  # chi square of 20 bins, 0.1 %


def test_a_turned_direction_makes_the_angle_and_stays_of_unit_length(rng):
    direction = rng.standard_normal((1000, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    cosine = rng.uniform(-1, 1, 1000)
    found = turned(direction, cosine, rng.uniform(0, 7, 1000))
    np.testing.assert_allclose((found * direction).sum(1), cosine, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)


def test_counted_random_numbers_are_those_that_the_method_publishes():
    assert reference_photons.philox((0, 0), (0,) * 4) == (
        0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8
    )
    ones = 0xFFFFFFFF
    assert reference_photons.philox((ones,) * 2, (ones,) * 4) == (
        0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD
    )


def test_the_kernel_follows_each_pair_as_a_reference_does(rng):
    grid = Grid.centred(shape=(9, 8, 7), voxel_mm=(14, 16, 18), centre_mm=(6, -4, 3))
    mu_grid = Grid.centred(shape=(20, 18, 16), voxel_mm=(9, 10, 11), centre_mm=(3, 2, -5))
    activity = rng.random(grid.shape, np.float32)
    mu = rng.uniform(0.05, 0.15, mu_grid.shape).astype(np.float32)
    scanner = replace(RING, radius_mm=200)
    count, key = 1500, 5_000_000_019
    source = PhotonSource(activity, grid, mu, mu_grid, scanner)
    found = source.pairs(count, SimpleNamespace(integers=lambda _: np.int64(key)))
    least = source._least_kev

    def excess(kev):
        return total_cross_section(kev) / total_cross_section(511.0)

    pairs = [
        reference_photons.pair(
            item, count, key, activity=activity, grid=grid, mu_per_mm=mu / 10, mu_grid=mu_grid,
            excess=excess, least_kev=least, radius_mm=scanner.effective_radius_mm, half_mm=63,
        )
        for item in range(count)
    ]
    expected = np.array([pair for pair in pairs if pair[-1] is not None])
    assert len(expected) == len(found.weight) > 50
    assert expected[:, :, 5].max() > 2
    for number, end in enumerate((found.first, found.second)):
        np.testing.assert_allclose(end, expected[:, number, :3], atol=0.02)
    np.testing.assert_allclose(found.kev, expected[:, :, 3], rtol=2e-5)
    np.testing.assert_allclose(
        found.along_mm, (expected[:, 1, 4] - expected[:, 0, 4]) / 2, atol=0.01
    )
    assert (found.scatters == expected[:, :, 5].sum(axis=1)).all()


def test_images_of_any_number_type_draw_the_same_pairs():
    water, grid = cylinder(voxel_mm=5)
    mu = np.float32(WATER) * water
    single, double = (
        draw(PhotonSource(water.astype(kind), grid, mu.astype(kind), grid, RING), 20_000)
        for kind in (np.float32, np.float64)
    )
    np.testing.assert_array_equal(single.scatters, double.scatters)
    np.testing.assert_allclose(single.kev, double.kev, rtol=1e-6)


def test_any_number_of_threads_draws_the_same_pairs():
    water, grid = cylinder(voxel_mm=5)
    one, three = (
        draw(PhotonSource(water, grid, np.float32(WATER) * water, grid, RING, threads=n), 20_000)
        for n in (1, 3)
    )
    for name in ("first", "second", "kev", "along_mm", "scatters", "weight"):
        assert (getattr(one, name) == getattr(three, name)).all()


def test_an_image_without_activity_is_refused():
    ones, grid = point()
    with pytest.raises(ValueError, match="takes an image with activity within the detectors"):
        PhotonSource(0 * ones, grid, *box(0.1), RING)


def test_a_pair_between_two_crystals_is_in_their_bin_at_either_order_of_its_ends(rng):
    scanner = replace(Scanner.preset("tiny"), timing_resolution_ps=1.0)
    layout = SinogramLayout.of(scanner, tof_mashing=1)
    first, second = (np.array(end)[None] for end in layout.lor_end_points(3, 14, 7))
    along = np.array([31.0])  # in bins of 15 mm from -67.5 mm on: towards the first point
    for ends, sign in (((first, second), 1), ((second, first), -1)):
        pair = DetectedPairs(
            *ends, np.array([1]), np.ones(1), sign * along, *[np.ones((1, 2))] * 2
        )
        assert [int(part[0]) for part in pair.bins(layout, rng)] == [3, 14, 6, 7]
    beyond = DetectedPairs(
        first, second, np.array([1]), np.ones(1), np.array([80.0]),
        *[np.ones((1, 2))] * 2,
    )
    assert [int(part[0]) for part in beyond.bins(layout, rng)] == [-1] * 4
