from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner
from recon.histogram import histogram
from sim import acquire, listing
from sim.protocol import Protocol

TINY = replace(Scanner.preset("tiny"), virtual_crystals=(0,))
GRID = Grid.centred(shape=(20, 20, 10), voxel_mm=(8, 8, 4))


def scan(**options):
    """A scan of a blob with about as many randoms as trues: Expected and Counts."""
    x, y, z = np.ix_(*(GRID.centres(axis) for axis in range(3)))
    blob = 3000 * np.exp(-((x - 10) ** 2 + y**2 + z**2) / (2 * 20.0**2))
    expected = acquire.expect(
        blob.astype(np.float32), np.zeros(GRID.shape, np.float32), GRID,
        Protocol(scanner=TINY, minutes=20, **options), isotope="O-15", pair_efficiency=0.2,
        singles_per_s=np.full((TINY.rings, TINY.crystals), 2e3), rng=np.random.default_rng(1),
    )
    return expected, acquire.draw(expected, np.random.default_rng(2))


@pytest.mark.parametrize("options", [
    {}, {"span": 3, "view_mashing": 3}, {"tof_mashing": 1}, {"tof_mashing": 3, "span": 3},
])
def test_a_list_counts_to_the_scans_own_sinograms(options, monkeypatch):
    monkeypatch.setattr(listing, "_EVENTS", 20_000)
    expected, counts = scan(**options)
    chunks = list(listing.events(counts, expected, np.random.default_rng(3)))
    assert len(chunks) > 2
    found = histogram(chunks, expected.layout)
    np.testing.assert_array_equal(found.prompts, counts.prompts)
    np.testing.assert_array_equal(found.delayeds, counts.delayeds)
    assert found.dropped.impossible == found.dropped.outside_layout == 0


def test_events_come_in_the_order_of_time_and_as_the_isotope_decays():
    expected, counts = scan()
    times = np.concatenate([
        chunk.time_ms for chunk in listing.events(counts, expected, np.random.default_rng(3))
    ])
    assert np.all(np.diff(times) >= 0)
    assert 0 <= times[0] <= times[-1] < 1_200_000
    # Half of O-15 decays in its half-life of 122.24 s; in 1200 s almost all.
    half = np.count_nonzero(times < 122_240) / len(times)
    assert half == pytest.approx(0.5 / (1 - 0.5 ** (1200 / 122.24)), abs=4 * 0.5 / len(times)**0.5)


def test_of_a_bins_crystal_pairs_the_more_efficient_are_listed_more_often():
    expected, counts = scan(span=9, view_mashing=4)
    chunk, = listing.events(counts, expected, np.random.default_rng(3))
    seen = np.bincount(chunk.ring1.astype(int) * TINY.crystals + chunk.crystal1, minlength=160)
    seen += np.bincount(chunk.ring2.astype(int) * TINY.crystals + chunk.crystal2, minlength=160)
    assert not seen[expected.crystals.ravel() == 0].any()
    real = expected.crystals.ravel() > 0
    assert np.corrcoef(seen[real], expected.crystals.ravel()[real])[0, 1] > 0.3
