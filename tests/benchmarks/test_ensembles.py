import numpy as np
import pytest
from scipy import ndimage

from benchmarks.ensembles import against_spectrum, largest_cube, noise_and_bias, noise_power

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


def test_a_spectrums_level_and_texture_by_hand():
    found = against_spectrum([10.0, 100.0, 5.0, 0.0], [1.0, 1.0, 0.0, 2.0])
    assert found == pytest.approx({"level_db": 15.0, "texture_db": 5.0})  # 10 dB and 20 dB
    assert against_spectrum([1.0, 0.0], [1.0, 1.0]) == {"level_db": None, "texture_db": None}


def test_noise_of_the_same_texture_and_half_the_strength_is_6_db_down(rng):
    noise = ndimage.gaussian_filter(rng.normal(size=(4, 16, 16, 16)), (0, 1, 1, 1), mode="wrap")
    spectra = [noise_power(images, VOXEL)[1] for images in (0.5 * noise, noise)]
    found = against_spectrum(*spectra)
    assert found["level_db"] == pytest.approx(20 * np.log10(0.5))
    assert found["texture_db"] == pytest.approx(0, abs=1e-9)


def test_smoother_noise_is_as_far_as_its_gaussians_response(rng):
    white, sigma_mm = rng.normal(size=(2, 20, 24, 24, 24)), 1.0
    squares = np.fft.fftfreq(24, VOXEL[0]) ** 2
    response = np.exp(-2 * np.pi**2 * sigma_mm**2 * sum(np.ix_(squares, squares, squares)))
    smooth = np.fft.ifftn(np.fft.fftn(white[0], axes=(1, 2, 3)) * response, axes=(1, 2, 3)).real
    frequency, power = noise_power(smooth, VOXEL)
    found = against_spectrum(power, noise_power(white[1], VOXEL)[1])
    response_db = -10 * np.log10(np.e) * (2 * np.pi * frequency * sigma_mm) ** 2
    assert found["level_db"] == pytest.approx(response_db.mean(), rel=0.03)
    assert found["texture_db"] == pytest.approx(response_db.std(), rel=0.03)
