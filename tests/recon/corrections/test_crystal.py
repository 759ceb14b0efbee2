"""Photons in a block of crystals: published attenuation, chances by hand, conservation."""

import numpy as np
import pytest

from recon.corrections.crystal import attenuation_per_mm, deposited_kev

WIDE = 1e5


def draw(kev=511.0, scintillator="LSO", size_mm=(WIDE, WIDE, 20.0), count=100_000, *,
         pitch_mm=None, **options):
    rng = np.random.default_rng(4)
    pitch_mm = pitch_mm or size_mm[:2]
    return deposited_kev(kev, scintillator, size_mm, pitch_mm, count, rng, **options)


@pytest.mark.parametrize("scintillator, per_cm, photo", [("LSO", 0.82, 0.34), ("BGO", 0.91, 0.44)])
def test_attenuation_at_511_kev_is_the_published(scintillator, per_cm, photo):
    absorbed, scattered = attenuation_per_mm(np.array([511.0]), scintillator)
    assert 10 * (absorbed + scattered) == pytest.approx(per_cm, rel=0.01)
    assert absorbed / (absorbed + scattered) == pytest.approx(photo, rel=0.02)


def test_photons_miss_a_block_by_the_exponential_law():
    missed = np.exp(-2.0 * 0.8194)
    found = (draw() == 0).mean()
    assert found == pytest.approx(missed, abs=4 * np.sqrt(missed / 100_000))


@pytest.mark.parametrize("cosine", [0.8, 0.4])
def test_photons_that_come_at_an_angle_meet_as_much_more_of_the_block(cosine):
    missed = np.exp(-2.0 * 0.8194 / cosine)
    found = (draw(cosine=cosine) == 0).mean()
    assert found == pytest.approx(missed, abs=4 * np.sqrt(missed / 100_000))


def test_photons_that_come_straight_down_a_gap_leave_nothing():
    # Thick blocks, which nothing passes; what scatters out of one is lost or lands in the next.
    left = draw(size_mm=(30.0, 30.0, 500.0), pitch_mm=(40.0, 60.0))
    part = 30 * 30 / (40 * 60)
    assert (left > 0).mean() == pytest.approx(part, abs=4 * np.sqrt(part * (1 - part) / 100_000))


def test_blocks_added_up_measure_what_one_endless_block_does():
    added = draw(size_mm=(8.0, 8.0, 20.0), add=True, count=200_000)
    endless = draw(count=200_000)
    for least in (1, 300, 510):
        ends = [(left > least).mean() for left in (added, endless)]
        assert ends[0] == pytest.approx(ends[1], abs=4 * np.sqrt(0.5 / 200_000))


def test_the_block_that_counts_is_the_one_with_the_most_energy():
    size = (8.0, 8.0, 20.0)
    one, added = draw(size_mm=size), draw(size_mm=size, add=True)
    assert (one <= added + 1e-9).all()
    assert (one[added > 0] > 0).all()
    assert 0.05 < (one < added - 1e-6).mean() < 0.5


def test_all_energy_is_left_once_the_photoelectric_share_or_more_is():
    left = draw()
    assert left.max() <= 511 + 1e-9
    full = (left > 510.99).sum() / (left > 0).sum()
    assert 0.4 < full < 0.95  # the first collision alone makes 0.34, those that follow the rest


def test_no_photon_leaves_between_its_compton_edge_and_all_it_has_in_a_thin_layer():
    left = draw(size_mm=(WIDE, WIDE, 0.1), count=400_000)
    edge = 511 * 2 / 3
    once = left[left > 0]
    between = ((once > edge + 1) & (once < 510)).mean()
    assert between < 0.02 < (once <= edge).mean()


def test_a_bigger_block_measures_more_photons_whole():
    small, big = ((draw(size_mm=(x, x, 20.0)) > 510).mean() for x in (4.0, 32.0))
    assert big > 1.3 * small


def test_an_unknown_scintillator_is_refused():
    with pytest.raises(ValueError, match="takes a scintillator LSO or BGO, got 'NaI'"):
        draw(scintillator="NaI")
