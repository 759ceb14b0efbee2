import numpy as np
import pytest
from scipy import stats

from benchmarks.detectability import (
    area_under_curve,
    detectability,
    dog_channels,
    hotelling_template,
    outputs,
)

VOXEL = (4.0, 4.0, 4.0)


@pytest.fixture(scope="module")
def channels():
    return dog_channels(VOXEL)


def signal(shape, fwhm_mm=14.0):
    """A Gaussian blob in the middle, of norm 1."""
    axes = ((np.arange(n) - n // 2) * 4.0 for n in shape)
    r2 = sum(np.ix_(*(axis**2 for axis in axes)))
    blob = np.exp(-4 * np.log(2) * r2 / fwhm_mm**2)
    return blob / np.sqrt((blob**2).sum())


def seen(rng, channels, count, strength):
    """Outputs of white noise with a blob, and of other white noise without, by their covariance."""
    flat = channels.reshape(len(channels), -1)
    noise = rng.normal(size=(2, count, len(flat))) @ np.linalg.cholesky(flat @ flat.T).T
    return noise[0] + strength * flat @ signal(channels.shape[1:]).ravel(), noise[1]


def index(channels, strength, internal=0.0):
    """d' of the observer in white noise of variance 1: (U's)' (U'U + internal)^-1 (U's)."""
    flat = channels.reshape(len(channels), -1)
    difference = strength * flat @ signal(channels.shape[1:]).ravel()
    covariance = flat @ flat.T
    covariance += internal * np.diag(np.diag(covariance))
    return np.sqrt(difference @ np.linalg.solve(covariance, difference))


def test_channels_see_no_constant_and_have_norm_1(channels):
    assert channels.shape == (4, 15, 15, 15)
    assert channels.sum(axis=(1, 2, 3)) == pytest.approx(np.zeros(4), abs=1e-12)
    assert (channels**2).sum(axis=(1, 2, 3)) == pytest.approx(np.ones(4))


def test_channels_are_alike_from_all_sides_and_centred(channels):
    for axes in ((0, 2, 1, 3), (0, 3, 2, 1)):
        assert np.allclose(channels, channels.transpose(axes))
    assert np.allclose(channels, channels[:, ::-1])


def test_outputs_are_taken_about_a_voxel_and_not_beyond_the_end(channels):
    image = np.zeros((20, 20, 20))
    image[8, 9, 10] = 1
    assert outputs(image, channels, (8, 9, 10)) == pytest.approx(channels[:, 7, 7, 7])
    assert outputs(image, channels, (6, 9, 10)) is None
    assert outputs(image, channels, (8, 9, 13)) is None


def test_the_curve_of_four_values_by_hand():
    # Of 3 x 2 pairs, 4 are won and 1 is equal.
    assert area_under_curve(np.array([3.0, 2.0, 1.0]), np.array([1.0, 1.5])) == pytest.approx(
        (2 + 2 + 0.5) / 6)


def test_one_channel_that_is_the_signal_has_the_matched_filters_auc(rng):
    strength, count = 1.5, 2000
    blob = signal((15, 15, 15)).ravel()
    noise = rng.normal(size=(2, count, blob.size)) @ blob
    auc = area_under_curve(noise[0] + strength, noise[1])
    assert auc == pytest.approx(stats.norm.cdf(strength / np.sqrt(2)), abs=0.02)


@pytest.mark.parametrize("internal", [0.0, 2.0])
def test_the_observer_in_white_noise_has_the_auc_of_its_formula(rng, channels, internal):
    present, absent = seen(rng, channels, 3000, 1.5)
    found = detectability(present, absent, np.arange(3000) // 10, internal)
    expected = stats.norm.cdf(index(channels, 1.5, internal) / np.sqrt(2))
    assert found["auc"] == pytest.approx(expected, abs=0.02)
    assert found["low"] < expected < found["high"]
    assert (found["pairs"], found["phantoms"]) == (3000, 300)


def test_the_template_is_the_signal_seen_through_the_noise(rng, channels):
    present, absent = seen(rng, channels, 4000, 1.5)
    template, noise = hotelling_template(present, absent)
    flat = channels.reshape(4, -1)
    expected = np.linalg.solve(flat @ flat.T, 1.5 * flat @ signal((15, 15, 15)).ravel())
    assert template == pytest.approx(expected, abs=0.15) and noise == 0


def test_without_a_signal_the_observer_guesses(rng, channels):
    present, absent = seen(rng, channels, 1000, 0.0)
    found = detectability(present, absent, np.arange(1000) // 10)
    assert found["auc"] == pytest.approx(0.5, abs=0.05)


def test_the_same_phantom_never_trains_and_tests(rng, channels):
    """Outputs that mark each phantom, alike with a lesion: an observer that met it would err."""
    phantoms = np.repeat(np.arange(4), 20)
    present, absent = (rng.normal(size=(80, 2)) for _ in range(2))
    present[phantoms % 2 == 0] += 5  # half of the phantoms, which are trained on together
    present[phantoms % 2 == 1] -= 5
    assert detectability(present, absent, phantoms)["auc"] < 0.1


def test_fewer_than_six_phantoms_have_no_interval(rng, channels):
    present, absent = seen(rng, channels, 80, 1.0)
    few = detectability(present, absent, np.arange(80) % 5)
    assert 0.5 < few["auc"] < 1 and few["low"] is None and few["high"] is None
    more = detectability(present, absent, np.arange(80) % 6)
    assert more["low"] < more["auc"] < more["high"]


def test_too_few_pairs_or_one_phantom_tell_nothing(rng, channels):
    present, absent = seen(rng, channels, 16, 1.0)
    assert detectability(present, absent, np.arange(16))["auc"] is None
    present, absent = seen(rng, channels, 40, 1.0)
    assert detectability(present, absent, np.zeros(40))["auc"] is None
