from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.attenuation import attenuate
from recon.projectors import SinogramProjector
from sim import acquire
from sim.efficiency import etendue_mm2
from sim.protocol import Protocol

TINY = Scanner.preset("tiny")
GRID = Grid.centred(shape=(40, 40, 25), voxel_mm=(4, 4, 2))
NO_SINGLES = np.zeros((TINY.rings, TINY.crystals))
ALIKE = Protocol(scanner=TINY, minutes=2, spread=0.0)


def blob(x=0.0, y=0.0, z=0.0, sigma=6.0):
    """A Gaussian of 1000 Bq/mL at its middle."""
    distances = np.ix_(*(GRID.centres(axis) - at for axis, at in enumerate((x, y, z))))
    return (1000 * np.exp(-sum(d**2 for d in distances) / (2 * sigma**2))).astype(np.float32)


AIR = np.zeros(GRID.shape, np.float32)
WATER = (0.096 * (GRID.cylinder(50) & np.ones(GRID.shape, bool))).astype(np.float32)


def expect(activity, mu=AIR, protocol=ALIKE, seed=1, **options):
    options = {"pair_efficiency": 0.25, "singles_per_s": NO_SINGLES} | options
    return acquire.expect(activity, mu, GRID, protocol, rng=np.random.default_rng(seed), **options)


@pytest.fixture(scope="module")
def scan():
    """A scan with all there is: crystals that differ, scatter and randoms."""
    protocol = Protocol(scanner=TINY, minutes=5, span=3, dead_blocks=1)
    return expect(blob(10, -15, 2, 20), WATER, protocol, singles_per_s=NO_SINGLES + 2e3)


def test_all_crystal_pairs_together_see_each_decay_once():
    # A line through the axis at z leaves by the scanner's ends unless its slope is below
    # (20 mm - |z|) / 105 mm; the mean |z| of the blob is 6 mm sqrt(2 / pi) = 4.787 mm, the slope
    # 0.14489, and that part of all directions 0.14489 / hypot(1, 0.14489) = 0.1434.
    # 1000 Bq/mL (2 pi)^1.5 6^3 mm^3 = 3402 Bq, 0.9673 positrons each, half-life 6586.2 s.
    found = expect(blob())
    decays = 3.4017 * 1000 * 0.9673 * 120 * (1 - 120 * np.log(2) / 6586.2 / 2)
    assert found.counts["trues"] == pytest.approx(0.25 * 0.1434 * decays, rel=0.01)


def test_the_etendue_of_opposite_crystals_is_the_square_of_their_cells_over_their_distance():
    layout = SinogramLayout.of(TINY, max_ring_difference=0)
    # Cells of 2 pi 105 / 32 * 8 = 164.93 mm^2, 210 mm apart.
    assert etendue_mm2(layout)[11, 0] == pytest.approx((164.93 / 210) ** 2, rel=1e-4)
    # Between lines at right angles to the axis it is the same at any distance from it: A^2 / 4 R^2.
    np.testing.assert_allclose(etendue_mm2(layout), (164.93 / 210) ** 2, rtol=1e-4)


def test_trues_go_with_positrons_per_decay_and_the_decays_left_in_the_scan():
    hour = ALIKE.with_(minutes=60)
    found = {name: expect(blob(), protocol=hour, isotope=name).counts["trues"]
             for name in ("F-18", "Cu-64")}
    # The mean of exp(-t ln 2 / 6586.2 s) over 3600 s is 0.8324, with 45722.16 s it is 0.9732.
    ratio = 0.1749 * 0.9732 / (0.9673 * 0.8324)
    assert found["Cu-64"] / found["F-18"] == pytest.approx(ratio, rel=1e-3)


def test_the_known_efficiency_gives_trues_of_the_mean_line_integrals(scan):
    layout = scan.layout
    factors = scan.efficiency.copy()
    attenuate(factors, WATER, GRID, layout)
    model = factors * SinogramProjector(layout, GRID)(blob(10, -15, 2, 20))
    assert scan.counts["trues"] == pytest.approx(model.sum(dtype=float), rel=0.01)
    seen = model > 0.2 * model.max()
    # The tiny scanner's crystals of 21 mm blur even a blob of 20 mm.
    np.testing.assert_allclose(scan.trues[seen], model[seen], rtol=0.2)
    assert np.abs(scan.trues - model).max() > 0.01 * model.max()


def test_randoms_are_twice_tau_times_the_products_of_singles():
    # 1 ns * (1e4 / s)^2 * 120 s = 12 in each pair; Ge-68 hardly decays.
    found = expect(blob(), isotope="Ge-68", singles_per_s=NO_SINGLES + 1e4)
    np.testing.assert_allclose(found.randoms, 12.0, rtol=1e-4)
    # O-15: the mean of the decay's square over the scan.
    x = 2 * np.log(2) * 120 / 122.24
    decayed = expect(blob(), isotope="O-15", singles_per_s=NO_SINGLES + 1e4)
    np.testing.assert_allclose(decayed.randoms, 12.0 * (1 - np.exp(-x)) / x, rtol=1e-4)


def test_dead_time_takes_from_trues_efficiency_and_randoms_what_it_leaves_of_both_crystals():
    slow = replace(TINY, dead_time_ns=500.0)
    options = {"isotope": "Ge-68", "singles_per_s": NO_SINGLES + 1e4}
    live = expect(blob(), protocol=ALIKE.with_(scanner=slow), **options)
    ideal = expect(blob(), **options)
    left = np.exp(-500e-9 * 20 * 1e4) ** 2  # 20 crystals in a block, two blocks in a pair
    for name in ("trues", "efficiency", "randoms"):
        np.testing.assert_allclose(getattr(live, name), left * getattr(ideal, name), rtol=1e-4)
    assert live.live == pytest.approx(left, rel=1e-4)


def test_scatter_is_as_much_as_a_cylinder_of_water_of_10_cm_gives(scan):
    assert 0.1 < scan.scatter_fraction < 0.3
    assert 0 < scan.multiple_to_single < 0.2
    assert expect(blob()).counts["scatter"] == 0


def test_counts_are_poisson_and_delayeds_have_nothing_to_do_with_prompts(scan):
    drawn = [acquire.draw(scan, np.random.default_rng(seed)) for seed in range(8)]
    for counted, mean in (("prompts", scan.trues + scan.scatter + scan.randoms),
                          ("delayeds", scan.randoms)):
        seen = mean > 0
        assert not any(getattr(each, counted)[~seen].any() for each in drawn)
        square = [((getattr(each, counted) - mean)[seen] ** 2 / mean[seen]).sum() for each in drawn]
        # A chi-square variable's variance: 2 + 1 / mean of each bin. Of eight, within 4 sigma.
        spread = np.sqrt(8 * (2 + 1 / mean[seen].astype(float)).sum())
        assert abs(sum(square) - 8 * seen.sum()) < 4 * spread
        total = [getattr(each, counted).sum(dtype=float) for each in drawn]
        assert abs(sum(total) - 8 * mean.sum(dtype=float)) < 4 * np.sqrt(sum(total))
    pair = drawn[0]
    noise = [(pair.prompts - scan.trues - scan.scatter - scan.randoms).ravel(),
             (pair.delayeds - scan.randoms).ravel()]
    assert abs(np.corrcoef(*noise)[0, 1]) < 4 / np.sqrt(noise[0].size)


def test_the_inverse_crime_is_the_reconstructions_own_model():
    protocol = Protocol(scanner=TINY, minutes=5, inverse_crime=True)
    found = expect(blob(10, -15, 2, 20), WATER, protocol)
    factors = found.efficiency.copy()
    attenuate(factors, WATER, GRID, found.layout)
    model = factors * SinogramProjector(found.layout, GRID)(blob(10, -15, 2, 20))
    np.testing.assert_allclose(found.trues, model, rtol=1e-5, atol=1e-6)


def test_a_seed_gives_the_same_scan_with_any_number_of_threads_and_another_seed_another():
    images = blob(10, -15, 2, 20), WATER
    protocol = Protocol(scanner=TINY, minutes=5, photon_pairs=50_000)
    one, two = (expect(*images, protocol, threads=threads) for threads in (1, 2))
    other = expect(*images, protocol, seed=2)
    for name in ("trues", "scatter", "randoms", "efficiency"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert np.any(one.efficiency != other.efficiency)
    for draws in ([1, 1], [1, 2]):
        first, second = (acquire.draw(one, np.random.default_rng(seed)) for seed in draws)
        assert np.array_equal(first.prompts, second.prompts) == (draws[0] == draws[1])


def test_timed_trues_sum_to_those_without_time_of_flight():
    # Activity within 15 mm of the axis: the bins reach 67 mm, the timing error 95 mm at 5 sigma.
    timed = expect(blob(sigma=5), protocol=ALIKE.with_(tof_mashing=1))
    plain = expect(blob(sigma=5))
    assert timed.counts["trues"] == pytest.approx(plain.counts["trues"], rel=5e-3)


def test_the_bed_brings_a_part_of_the_phantom_to_the_scanners_middle():
    moved = expect(blob(z=6), protocol=ALIKE.with_(bed_mm=6.0))
    assert moved.counts["trues"] == pytest.approx(expect(blob()).counts["trues"], rel=1e-3)


def test_a_phantom_off_the_scanner_is_refused_with_the_bed_that_would_bring_it_in():
    far = replace(GRID, origin_mm=(*GRID.origin_mm[:2], 400.0))
    with pytest.raises(ValueError, match=r"none of it in the scanner.*give bed_mm 424"):
        acquire.expect(blob(), AIR, far, ALIKE, rng=np.random.default_rng(1))


@pytest.mark.parametrize("changes", [{"minutes": 0}, {"split": 5}, {"spread": 1.5}, {"span": 2}])
def test_protocols_that_no_scan_has_are_refused(changes):
    with pytest.raises(ValueError, match="takes"):
        ALIKE.with_(**changes)
