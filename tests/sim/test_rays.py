import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.projectors import SinogramProjector
from sim.rays import attenuated_trues

TINY = Scanner.preset("tiny")
GRID = Grid.centred(shape=(28, 28, 20), voxel_mm=(5, 5, 2))


def blob(x, y, z, sigma):
    """A Gaussian of 1 at its middle."""
    distances = np.ix_(*(GRID.centres(axis) - at for axis, at in enumerate((x, y, z))))
    return np.exp(-sum(d**2 for d in distances) / (2 * sigma**2)).astype(np.float32)


def difference(a, b):
    """RMSE over RMS."""
    return np.sqrt(np.sum((a - b) ** 2, dtype=float) / np.sum(b**2, dtype=float))


def test_undivided_crystals_give_the_projectors_own_attenuated_line_integrals():
    layout = SinogramLayout.of(TINY)
    activity, mu = blob(20, -30, 4, 12), blob(0, 0, 0, 40) * np.float32(0.1)
    a = SinogramProjector(layout, GRID)
    expected = a(activity) * np.exp(-a(mu) / 10)
    trues = attenuated_trues(activity, mu, GRID, layout, split=1)
    assert difference(trues, expected) < 1e-5


@pytest.mark.parametrize("split", [2, 3])
def test_divided_crystals_see_a_smooth_blob_off_centre_much_as_undivided_ones_do(split):
    # Crystals of 21 x 8 mm blur a blob of sigma 25 mm by a few per cent; a part of a crystal that
    # went to a wrong bin, ring or end of the line would change it by tens of per cent.
    layout = SinogramLayout.of(TINY)
    activity, mu = blob(15, -20, 4, 25), np.zeros(GRID.shape, np.float32)
    expected = SinogramProjector(layout, GRID)(activity)
    trues = attenuated_trues(activity, mu, GRID, layout, split=split)
    assert difference(trues, expected) < 0.05


def test_a_bin_that_sums_pairs_gets_the_sum_of_what_the_pairs_get():
    activity, mu = blob(15, -20, 4, 25), np.zeros(GRID.shape, np.float32)
    single, summed = SinogramLayout.of(TINY), SinogramLayout.of(TINY, span=3, view_mashing=3)
    pairs = attenuated_trues(activity, mu, GRID, single)
    bins = attenuated_trues(activity, mu, GRID, summed)
    view, radial, plane = np.indices(single.shape)
    ring1, crystal1, ring2, crystal2 = (np.empty(single.shape, int) for _ in range(4))
    crystal1[:], crystal2[:] = np.moveaxis(single.crystal_pairs()[0], -1, 0)[..., None]
    ring1[:], ring2[:] = single.ring_pairs().T[1:, None, None]
    view, radial, plane, _ = summed.bin_of(ring1, crystal1, ring2, crystal2)
    expected = np.zeros(summed.shape)
    np.add.at(expected, (view, radial, plane), pairs)
    np.testing.assert_allclose(bins, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_time_of_flight_bins_sum_to_what_is_seen_without_and_lean_to_the_activitys_end():
    layout = SinogramLayout.of(TINY, tof_mashing=1)
    # The bins reach to 67 mm, the timing error (cut at 3 sigmas) 57 mm from where activity is.
    activity, mu = blob(0, -12, 0, 4), blob(0, 0, 0, 40) * np.float32(0.1)
    timed = attenuated_trues(activity, mu, GRID, layout)
    plain = attenuated_trues(activity, mu, GRID, layout.without_tof())
    assert difference(timed.sum(axis=2), plain) < 1e-3
    # View 0, middle bin: the first point is crystal 0, at y = -R, so bins above the middle win.
    middle = timed[0, layout.radial_bins // 2, :, 2]
    assert middle[5:].sum() > 2 * middle[:4].sum()
