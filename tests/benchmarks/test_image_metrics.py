import numpy as np
import pytest
import torch
from skimage import metrics as skimage_metrics
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)
from torchmetrics.functional.regression import normalized_root_mean_squared_error

from benchmarks.image_metrics import around, compare, default_range, nrmse, psnr, ssim, ssim_map

SHAPE = (24, 21, 19)
RANGE = 500.0


@pytest.fixture
def pair(rng):
    """A smooth reference and a noisy image of it, of PET's sizes."""
    x, y, z = np.ogrid[:24, :21, :19]
    reference = 100 + 80 * np.sin(x / 3) * np.cos(y / 4) + 3 * z
    return (reference + rng.normal(0, 20, SHAPE)).astype(np.float32), reference.astype(np.float32)


@pytest.fixture
def everywhere():
    return np.ones(SHAPE, bool)


@pytest.fixture
def middle():
    """Voxels whose windows end within the image, where all programs agree."""
    mask = np.zeros(SHAPE, bool)
    mask[6:-6, 7:-5, 5:-5] = True
    return mask


def test_an_error_of_a_tenth_of_the_range_has_20_db(everywhere):
    reference = np.full(SHAPE, 7.0, np.float32)
    assert psnr(reference + 1, reference, everywhere, 10.0) == pytest.approx(20)


def test_an_image_of_nine_tenths_of_the_reference_has_an_nrmse_of_a_tenth(pair, everywhere):
    assert nrmse(0.9 * pair[1], pair[1], everywhere) == pytest.approx(0.1, rel=1e-6)


def test_ssim_of_two_constants_is_the_luminance_term(everywhere):
    first, second = np.full(SHAPE, 2.0), np.full(SHAPE, 3.0)
    expected = (2 * 2 * 3 + 0.01) / (4 + 9 + 0.01)  # c1 = (0.01 * 10)^2
    assert ssim(first, second, everywhere, 10.0) == pytest.approx(expected)


def test_equal_images_have_no_error(pair, everywhere):
    found = compare(pair[0], pair[0], everywhere, RANGE)
    assert found == {"nrmse": 0, "psnr": np.inf, "ssim": pytest.approx(1)}


def test_what_lies_outside_the_mask_counts_neither_for_psnr_nor_for_nrmse(pair, middle):
    spoiled = np.where(middle, pair[0], 1e6)
    for metric, more in ((nrmse, ()), (psnr, (RANGE,))):
        assert metric(spoiled, pair[1], middle, *more) == metric(*pair, middle, *more)


def test_ssim_of_a_mask_is_the_mean_of_the_whole_map_over_it(pair, middle):
    whole = ssim_map(*pair, RANGE)
    assert ssim(*pair, middle, RANGE) == pytest.approx(whole[middle].mean(), rel=1e-12)


def test_metrics_are_those_of_torchmetrics(pair, middle):
    found = compare(*pair, middle, RANGE)
    image, reference = (torch.from_numpy(array.astype(np.float64)) for array in pair)
    _, similar = structural_similarity_index_measure(
        image[None, None], reference[None, None], data_range=RANGE, return_full_image=True
    )
    image, reference = image[middle], reference[middle]
    assert found["ssim"] == pytest.approx(float(similar[0, 0][middle].mean()), rel=1e-9)
    assert found["psnr"] == pytest.approx(
        float(peak_signal_noise_ratio(image, reference, data_range=RANGE)), rel=1e-6
    )
    # It divides the root *mean* square error by the norm, which falls with the number of voxels.
    theirs = normalized_root_mean_squared_error(image, reference, normalization="l2")
    assert found["nrmse"] == pytest.approx(float(theirs) * np.sqrt(len(image)), rel=1e-6)


def test_metrics_are_those_of_scikit_image(pair, middle):
    found = compare(*pair, middle, RANGE)
    image, reference = pair
    _, similar = skimage_metrics.structural_similarity(
        reference.astype(float), image.astype(float), data_range=RANGE, gaussian_weights=True,
        use_sample_covariance=False, full=True,
    )
    assert found["ssim"] == pytest.approx(similar[middle].mean(), rel=1e-9)
    assert found["psnr"] == pytest.approx(skimage_metrics.peak_signal_noise_ratio(
        reference[middle], image[middle], data_range=RANGE), rel=1e-6)
    assert found["nrmse"] == pytest.approx(
        skimage_metrics.normalized_root_mse(reference[middle], image[middle]), rel=1e-6)


def test_the_default_range_is_ten_times_the_mean_in_the_mask(middle):
    reference = np.where(middle, np.float32(3), np.float32(99))
    assert default_range(reference, middle) == pytest.approx(30)


def test_a_box_around_a_mask_ends_where_the_image_does():
    mask = np.zeros((9, 9, 9), bool)
    mask[1, 4, 7:] = True
    assert around(mask, 2) == (slice(0, 4), slice(2, 7), slice(5, 11))


@pytest.mark.parametrize("data_range", [0.0, -1.0, np.nan, np.inf])
def test_a_data_range_that_is_not_positive_is_refused(pair, everywhere, data_range):
    with pytest.raises(ValueError, match="compare takes a positive data_range, got"):
        compare(*pair, everywhere, data_range)


@pytest.mark.parametrize("which, name", [(0, "image"), (1, "reference")])
def test_values_that_are_not_finite_are_counted_and_refused(pair, everywhere, which, name):
    pair[which][2, 3, 4:6] = np.nan, np.inf
    with pytest.raises(ValueError, match=f"compare's {name} takes finite numbers, got 2 that are"):
        compare(*pair, everywhere, RANGE)


def test_shapes_that_differ_are_refused(pair, everywhere):
    with pytest.raises(ValueError, match=r"of one shape, got \(23, 21, 19\), \(24, 21, 19\)"):
        compare(pair[0][1:], pair[1], everywhere, RANGE)


def test_an_empty_mask_and_a_reference_of_zeros_are_refused(pair, everywhere):
    with pytest.raises(ValueError, match="bool mask with voxels in it"):
        compare(*pair, ~everywhere, RANGE)
    with pytest.raises(ValueError, match="not zero all over the mask"):
        compare(pair[0], np.zeros_like(pair[1]), everywhere, RANGE)
