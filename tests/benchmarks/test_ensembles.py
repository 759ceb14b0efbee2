import numpy as np
import pytest
from scipy import ndimage

from benchmarks.ensembles import largest_cube, noise_and_bias, noise_power

VOXEL = (2.0, 2.0, 2.0)


def test_noise_and_bias_of_three_images_by_hand():
    values = np.array([[9.0, 12.0], [10.0, 12.0], [11.0, 12.0]])
    found = noise_and_bias(values, np.array([10.0, 10.0]))
    assert found["noise"] == pytest.approx(np.sqrt((1 + 0) / 2) / 10)
    assert found["bias"] == pytest.approx(0.1)


def test_the_largest_cube_of_a_slab_and_of_an_image():
    mask = np.zeros((20, 15, 12), bool)
    mask[3:17, 2:11, 1:12] = True  # 14 x 9 x 11
    cube = largest_cube(mask)
    assert mask[cube].all() and mask[cube].shape == (9, 9, 9)
    assert mask[largest_cube(np.ones((9, 9, 9), bool))].shape == (9, 9, 9)


def test_no_cube_is_found_in_what_is_too_thin():
    mask = np.zeros((20, 20, 20), bool)
    mask[:, :, 4:9] = True
    assert largest_cube(mask) is None


def test_white_noise_has_the_same_power_at_all_frequencies(rng):
    images = 100 + 5 * rng.normal(size=(40, 16, 16, 16))
    frequency, power = noise_power(images, VOXEL)
    assert power == pytest.approx(np.full(len(power), 25 * 8), rel=0.05)
    assert frequency[0] > 0 and frequency[-1] < 0.25


def test_two_realisations_give_the_same_power_as_many(rng):
    images = rng.normal(size=(200, 8, 8, 8))
    many = noise_power(images, VOXEL)[1]
    two = np.mean([noise_power(images[k : k + 2], VOXEL)[1] for k in range(0, 200, 2)], axis=0)
    assert two == pytest.approx(many, rel=0.1)  # of some 2600 numbers


def test_smoothed_noise_has_the_gaussians_squared_response(rng):
    sigma = 1.2  # voxels
    white = rng.normal(size=(60, 24, 24, 24))
    smooth = ndimage.gaussian_filter(white, (0, sigma, sigma, sigma), mode="wrap")
    frequency, power = noise_power(smooth, VOXEL)
    expected = 8 * np.exp(-((2 * np.pi * frequency * sigma * 2) ** 2))
    low = frequency < 0.1
    assert power[low] == pytest.approx(expected[low], rel=0.15)  # bins are wide


def test_one_realisation_is_refused(rng):
    with pytest.raises(ValueError, match="two realisations or more, got 1"):
        noise_power(rng.normal(size=(1, 8, 8, 8)), VOXEL)
