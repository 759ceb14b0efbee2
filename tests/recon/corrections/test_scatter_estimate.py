"""Expected scatter of a scan: single, multiple, and their scale."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.attenuation import attenuate
from recon.corrections.multiple_scatter import MultipleScatter
from recon.corrections.photon_transport import PhotonSource
from recon.corrections.scatter import ScatterSampling, single_scatter
from recon.corrections.scatter_estimate import estimate_scatter
from recon.projectors import SinogramProjector

LAYOUT = SinogramLayout.of(Scanner.preset("tiny"))
GRID = Grid.centred(shape=(21, 21, 9), voxel_mm=(6, 6, 4))
WATER = np.broadcast_to(GRID.cylinder(45.0), GRID.shape).astype(np.float32)
IMAGES = 2 * WATER, GRID, np.float32(0.096) * WATER, GRID


def test_the_absolute_scale_of_single_scatter_is_that_times_the_factors(rng):
    factors = rng.uniform(0.5, 1.5, LAYOUT.shape).astype(np.float32)
    prompts = np.ones(LAYOUT.shape, np.float32)
    found = estimate_scatter(prompts, factors, None, *IMAGES, LAYOUT, scale="absolute",
                             multiple=False)
    expected = factors * single_scatter(*IMAGES, LAYOUT)
    np.testing.assert_allclose(found.scatter, expected, rtol=1e-6)
    assert found.single_counts == pytest.approx(expected.sum(dtype=float))
    assert (found.multiple_counts, found.multiple_to_single, found.multiple) == (0, 0, None)


def test_multiple_scatter_is_added_in_the_ratio_that_was_found():
    layout = SinogramLayout.of(LAYOUT.scanner, tof_mashing=3)
    ones = np.ones(layout.shape, np.float32)
    single, both = (
        estimate_scatter(ones, ones, None, *IMAGES, layout, scale="absolute", multiple=multiple)
        for multiple in (False, True)
    )
    assert both.multiple_to_single == pytest.approx(both.multiple.to_single, rel=0.05)
    assert both.single_counts == pytest.approx(single.single_counts, rel=0.003)
    total = both.scatter.sum(dtype=float)
    assert both.single_counts + both.multiple_counts == pytest.approx(total)
    assert (both.scatter >= single.scatter * (1 - 1e-6)).all()
    again = estimate_scatter(ones, ones, None, *IMAGES, layout, scale="absolute", threads=1)
    assert (again.scatter == both.scatter).all()  # by a fixed seed, on any number of threads


def test_bins_that_count_nothing_are_no_tails(rng):
    factors = np.ones(LAYOUT.shape, np.float32)
    factors[:, :3] = 0
    prompts = rng.poisson(3.0, LAYOUT.shape).astype(np.float32)
    found = estimate_scatter(prompts, factors, None, *IMAGES, LAYOUT, multiple=False)
    assert not found.tails[:, :3].any() and found.tails[:, -3:].any()
    assert not found.scatter[:, :3].any()


def test_an_unknown_scale_is_refused():
    ones = np.ones(LAYOUT.shape, np.float32)
    with pytest.raises(ValueError, match="takes scale tails or absolute, got 'free'"):
        estimate_scatter(ones, ones, None, *IMAGES, LAYOUT, scale="free")


def monte_carlo_scan(image, grid, mu_per_cm, layout, pairs):
    """Counts of photon pairs that a scan would count, and m that makes such counts of the image.

    Returns:
        Prompts of layout.shape; how many of them scattered; factors m, so that trues are m times
        attenuation times the image's line integrals.
    """
    scanner, rng = layout.scanner, np.random.default_rng(11)
    source = PhotonSource(image, grid, mu_per_cm, grid, scanner)
    prompts, scattered = np.zeros(layout.shape, np.float32), 0
    for _ in range(pairs // 250_000):
        drawn = source.pairs(250_000, rng)
        kept = rng.random(len(drawn.weight)) < drawn.weight
        ends = []
        for end in (drawn.first[kept], drawn.second[kept]):
            turn = np.arctan2(end[:, 0], -end[:, 1]) * scanner.crystals / (2 * np.pi)
            ends += [np.floor(end[:, 2] / scanner.ring_spacing_mm + scanner.rings / 2).astype(int),
                     np.rint(turn).astype(int) % scanner.crystals]
        view, radial, plane, _ = layout.bin_of(*ends)
        inside = view >= 0
        np.add.at(prompts, (view[inside], radial[inside], plane[inside]), 1)
        scattered += int((drawn.scatters[kept][inside] > 0).sum())
    half = layout.rays()[..., 3, None]
    apart = np.repeat(layout.segment_table()[:, 2], [s.planes for s in layout.segments])
    radius = scanner.effective_radius_mm
    area = 2 * np.pi * radius / scanner.crystals * scanner.ring_spacing_mm
    solid = area**2 * 4 * half**4 / radius**2 / (4 * half**2 + apart**2) ** 2
    emitted = image.sum(dtype=float) * np.prod(grid.voxel_mm)
    factors = layout.multiplicity() * solid * pairs / emitted / (2 * np.pi)
    return prompts, scattered, factors.astype(np.float32)


def test_the_scale_of_a_monte_carlo_scan_is_one_with_multiple_scatter_and_more_without():
    layout = SinogramLayout.of(replace(Scanner.preset("demo"), tilt_deg=0.0), view_mashing=4)
    grid = Grid.centred(shape=(42, 42, 32), voxel_mm=(5, 5, 5))
    image = np.broadcast_to(grid.cylinder(100.0), grid.shape).astype(np.float32)
    images = image, grid, np.float32(0.096) * image, grid
    prompts, scattered, factors = monte_carlo_scan(image, grid, images[2], layout, 2_500_000)
    both, single = (
        estimate_scatter(prompts, factors, None, *images, layout, multiple=multiple,
                         sampling=ScatterSampling(crystals=48, point_mm=25))
        for multiple in (True, False)
    )
    sd = both.scale.scan_sd
    assert sd < 0.03
    assert abs(both.scale.scan - 1) < 3 * sd
    assert single.scale.scan > 1 + 5 * sd
    # Before it is scaled, too: no count of the scan enters it.
    unscaled = (both.scatter / both.scale.planes).sum()
    assert unscaled == pytest.approx(scattered, rel=0.02)


def filled(tof_mashing=0):
    """A layout, images of water on all its lines, and the expected counts of them."""
    layout = SinogramLayout.of(Scanner.preset("tiny"), tof_mashing=tof_mashing)
    grid = Grid.centred(shape=(33, 33, 9), voxel_mm=(6, 6, 4))
    water = np.broadcast_to(grid.cylinder(98.0), grid.shape).astype(np.float32)
    images = 5000 * water, grid, np.float32(0.096) * water, grid
    survival = np.ones(layout.without_tof().shape, np.float32)
    attenuate(survival, *images[2:], layout)
    survival = survival[:, :, None] if layout.tof else survival
    trues = survival * SinogramProjector(layout, grid)(images[0])
    return layout, images, trues, single_scatter(*images, layout)


@pytest.mark.parametrize("tof_mashing", [0, 3])
def test_without_tails_scatter_is_right_however_bright_the_image_is(tof_mashing):
    layout, images, trues, scatter = filled(tof_mashing)
    factors = np.ones(layout.without_tof().shape, np.float32)
    factors[:, :4] = 0  # what is counted there says nothing
    randoms = np.full(layout.shape, 2.0, np.float32)
    for bright in (0.5, 1, 1.6):
        found = estimate_scatter(
            trues + scatter + randoms, factors, randoms, np.float32(bright) * images[0],
            *images[1:], layout, multiple=False,
        )
        assert not found.tails.any()
        assert found.balance == pytest.approx(1 / bright, rel=1e-4)
        np.testing.assert_allclose(found.scatter[:, 4:], scatter[:, 4:], rtol=1e-3)
        assert not found.scatter[:, :4].any()


def test_with_no_more_prompts_than_randoms_the_likely_scale_is_one():
    layout, images, _, _ = filled()
    nothing, factors = np.zeros(layout.shape, np.float32), np.ones(layout.shape, np.float32)
    found = estimate_scatter(nothing, factors, factors, *images, layout, multiple=False)
    assert found.balance == found.scale.scan == 1


def test_multiple_scatter_that_was_found_before_is_not_simulated_again(rng):
    prompts, factors = (np.ones(LAYOUT.shape, np.float32) for _ in range(2))
    known = MultipleScatter(
        to_single=0.5, to_single_sd=0.0, to_trues=0.1, radial_mm=0.0, axial_mm=0.0, along_mm=0.0,
        pairs=0,
    )
    found = estimate_scatter(
        prompts, factors, None, *IMAGES, LAYOUT, scale="absolute", multiple=known
    )
    assert found.multiple is known
    assert found.multiple_to_single == pytest.approx(0.5, rel=1e-3)
