"""The level and the noise of an image, and where its body is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from denoise.scaling import EDGE, body, measure
from recon.grid import Grid
from sim.catalogue import phantom

VOXEL_MM = (6.0, 6.0, 6.0)


@pytest.fixture(scope="module")
def person():
    """A person's activity, with kidneys a hundred times as hot as muscle, and the true body."""
    drawn = phantom("person", seed=4, tracer="PSMA", part="torso")
    low, high = np.transpose(drawn.extent)
    shape = np.ceil((high - low) / 6).astype(int) + np.array([12, 12, 0])
    grid = Grid.centred(shape=shape, voxel_mm=VOXEL_MM, centre_mm=(low + high) / 2)
    images = drawn.images(grid, 1, ("activity", "labels"))
    return gaussian_filter(images["activity"], 0.5), images["labels"] > 0


def noisy(activity, relative):
    """With noise as OSEM leaves it: more where there is more activity, none below 0, correlated
    over 6 mm; and 2 % of a tissue's activity in the air."""
    tissue = np.median(activity[activity > 0])
    expected = activity + 0.02 * tissue
    shape = expected / (relative**2 * tissue)
    drawn = np.random.default_rng(0).standard_gamma(shape.astype(np.float32), dtype=np.float32)
    return gaussian_filter(drawn * (expected / shape).astype(np.float32), 0.425)


def ball(radius=20, shape=(64, 64, 64)):
    across = np.indices(shape) - np.array(shape).reshape(3, 1, 1, 1) // 2
    return ((across**2).sum(axis=0) <= radius**2).astype(np.float32)


@pytest.fixture(scope="module")
def doses(person):
    """The Scaling at 1, 1/10 and 1/50 of a dose with the noise of 4 minutes on the demo scanner."""
    return [measure(noisy(person[0], 0.05 * np.sqrt(factor)), VOXEL_MM) for factor in (1, 10, 50)]


def test_the_level_is_the_same_at_all_doses(doses):
    assert [scaling.level for scaling in doses] == pytest.approx([doses[0].level] * 3, rel=0.02)


def test_noise_grows_about_with_the_root_of_the_dose_reduction_factor():
    low, lower = (measure(noisy(ball(), 0.05 * np.sqrt(factor)), VOXEL_MM) for factor in (4, 50))
    # The fewer the counts, the more voxels at the body's edge have none.
    assert lower.noise / low.noise == pytest.approx(np.sqrt(12.5), rel=0.2)


def test_organs_hide_no_dose(doses):
    assert doses[0].noise * 2 < doses[1].noise < doses[2].noise / 1.8


def test_the_level_is_the_median_of_the_bodys_tissue(person, doses):
    activity, inside = person
    assert doses[0].level == pytest.approx(np.median(activity[inside]), rel=0.1)


@pytest.mark.parametrize("factor", [1, 50])
def test_the_body_is_that_of_the_phantom_at_any_dose(person, factor):
    activity, inside = person
    found = body(noisy(activity, 0.05 * np.sqrt(factor)), VOXEL_MM)
    assert 2 * (found & inside).sum() / (found.sum() + inside.sum()) > 0.95


def test_scaling_an_image_scales_its_level_and_leaves_its_noise(person):
    image = noisy(person[0], 0.3)
    one, other = measure(image, VOXEL_MM), measure(image * np.float32(1e-4), VOXEL_MM)
    assert other.level == pytest.approx(1e-4 * one.level, rel=1e-5)
    assert other.noise == pytest.approx(one.noise, rel=1e-4)


def test_a_bladder_a_hundred_times_as_hot_moves_the_level_little():
    image = ball()
    image[29:34, 29:34, 29:34] = 100.0
    cold, hot = measure(ball(), VOXEL_MM), measure(image, VOXEL_MM)
    assert hot.level == pytest.approx(cold.level, rel=0.05)
    assert body(image, VOXEL_MM).sum() == pytest.approx(body(ball(), VOXEL_MM).sum(), rel=0.01)


@pytest.mark.parametrize("side", [2.0, 4.0, 6.0])
def test_white_noise_is_what_a_gaussian_of_8_mm_leaves_of_it(side):
    white = np.random.default_rng(1).standard_normal((80, 80, 80)).astype(np.float32)
    left = gaussian_filter(white, 8 / 2.35482 / side, mode="wrap").std()
    assert measure(1 + 0.2 * white, (side,) * 3).noise == pytest.approx(0.2 * left, rel=0.03)


def test_an_image_without_edges_or_noise_has_no_noise():
    assert measure(np.full((20, 20, 20), 3.0, np.float32), VOXEL_MM).noise < 1e-4


def test_flat_surfaces_are_no_noise():
    step = np.ones((48, 48, 48), np.float32)
    step[24:] = 4.0
    assert measure(step, VOXEL_MM).noise < 1e-4


def test_an_image_that_fills_its_voxels_is_all_body():
    assert body(np.full((20, 20, 20), 3.0, np.float32), VOXEL_MM).all()


def test_holes_are_body_and_small_islands_are_not():
    image = ball()
    image[26:38, 26:38, 26:38] = 0.0
    image[:4, :4, :4] = 1.0
    found = body(image, VOXEL_MM)
    assert found[32, 32, 32]
    assert not found[1, 1, 1]


def test_negative_values_outside_do_not_move_the_body():
    rng = np.random.default_rng(2)
    image = ball() + 0.2 * rng.standard_normal((64, 64, 64)).astype(np.float32)
    assert image.min() < 0
    levels = [measure(each, VOXEL_MM).level for each in (image, ball())]
    assert levels[0] == pytest.approx(levels[1], rel=0.02)


def test_the_body_ends_at_a_quarter_of_its_median():
    ramp = np.repeat(np.linspace(0, 1, 200, dtype=np.float32), 100).reshape(200, 10, 10)
    found = body(ramp, VOXEL_MM)[:, 5, 5]
    first = ramp[np.flatnonzero(found)[0], 5, 5]
    # The median of what lies above `first` is (1 + first) / 2, and EDGE of that is `first`.
    assert first == pytest.approx(EDGE / (2 - EDGE), abs=0.01)


def test_a_single_slice_has_a_scaling():
    image = 1 + 0.2 * np.random.default_rng(3).standard_normal((80, 80, 1)).astype(np.float32)
    assert measure(image, VOXEL_MM).noise > 0.01


@pytest.mark.parametrize(("value", "said"), [(np.nan, "2 that are not"), (np.inf, "3, 4, 5")])
def test_values_that_are_not_finite_are_refused_with_their_place(value, said):
    image = ball()
    image[3, 4, 5] = image[6, 7, 8] = value
    with pytest.raises(ValueError, match=said):
        measure(image, VOXEL_MM)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_an_image_without_activity_is_refused(value):
    with pytest.raises(ValueError, match="got none above 0"):
        measure(np.full((8, 8, 8), value, np.float32), VOXEL_MM)
