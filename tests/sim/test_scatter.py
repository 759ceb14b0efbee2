import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.attenuation import attenuate
from recon.corrections.photon_transport import PhotonSource
from recon.projectors import SinogramProjector
from sim import scatter
from sim.efficiency import etendue_mm2

TINY = Scanner.preset("tiny")
GRID = Grid.centred(shape=(25, 25, 20), voxel_mm=(4, 4, 4))
WATER = (0.096 * (GRID.cylinder(45) & np.ones(GRID.shape, bool))).astype(np.float32)
ACTIVITY = (WATER > 0).astype(np.float32)


def test_scatter_to_trues_is_what_photons_followed_to_the_detectors_show():
    layout = SinogramLayout.of(TINY)
    found, ratio = scatter.true_scatter(ACTIVITY, WATER, GRID, layout, photon_pairs=500_000,
                                        rng=np.random.default_rng(1))
    trues = SinogramProjector(layout, GRID)(ACTIVITY)
    attenuate(trues, WATER, GRID, layout)
    weights = etendue_mm2(layout)
    found, trues = ((array * weights).sum(dtype=float) for array in (found, trues))
    # 6 million photon pairs of photon_transport.PhotonSource, drawn once: 139 thousand of them
    # counted unscattered, and 0.2390 single and 0.0252 multiple for each of these, to 1 % and 3 %.
    assert found / trues == pytest.approx(0.2642, rel=0.03)
    assert ratio == pytest.approx(0.105, rel=0.25)


def test_nothing_scatters_in_air():
    layout = SinogramLayout.of(TINY, tof_mashing=3)
    found, ratio = scatter.true_scatter(ACTIVITY, WATER * 0, GRID, layout, photon_pairs=1000,
                                        rng=np.random.default_rng(1))
    assert found.shape == layout.shape
    assert not found.any() and ratio == 0


def test_scatter_in_time_of_flight_bins_sums_to_that_without():
    rngs = (np.random.default_rng(1) for _ in range(2))
    layout = SinogramLayout.of(TINY, tof_mashing=3)
    timed, plain = (
        scatter.true_scatter(ACTIVITY, WATER, GRID, each, photon_pairs=100_000, rng=rng)[0]
        for each, rng in zip((layout, layout.without_tof()), rngs, strict=True)
    )
    # Its bins end 67 mm from the middle of the line, beyond which some of it lies.
    assert 0.85 < timed.sum(dtype=float) / plain.sum(dtype=float) < 1.0


def test_the_estimators_scatter_is_much_the_same_but_not_the_same():
    layout = SinogramLayout.of(TINY)
    images = ACTIVITY, WATER, GRID
    true, _ = scatter.true_scatter(*images, layout, photon_pairs=300_000,
                                   rng=np.random.default_rng(1))
    estimated, _ = scatter.estimators_scatter(*images, layout, rng=np.random.default_rng(2))
    assert estimated.sum(dtype=float) == pytest.approx(true.sum(dtype=float), rel=0.05)
    assert np.abs(estimated - true).max() > 0.01 * true.max()


def test_smoothing_leaves_as_much_multiple_scatter_beside_the_object_as_was_counted():
    layout, batch = SinogramLayout.of(TINY), 250_000
    source = PhotonSource(ACTIVITY, GRID, 2 * WATER, GRID, TINY)
    smooth, _ = scatter.multiple_counts(source, layout, 4 * batch, np.random.default_rng(1))
    profile = (smooth * etendue_mm2(layout)).sum(axis=(0, 2), dtype=float)
    rng, counted = np.random.default_rng(1), np.zeros(layout.radial_bins)  # the same pairs
    for _ in range(4):
        drawn = source.pairs(batch, rng)
        _, radial, _, _ = drawn.bins(layout, rng)
        often = (radial >= 0) & (drawn.scatters > 1)
        counted += np.bincount(radial[often], drawn.weight[often], layout.radial_bins)
    away = np.abs(layout.rays()[0, :, 2])
    for beside_mm in (45, 55, 65):  # of which the object fills 45
        found, expected = (part[away > beside_mm].sum() / part.sum() for part in (profile, counted))
        assert found == pytest.approx(expected, rel=0.03)
