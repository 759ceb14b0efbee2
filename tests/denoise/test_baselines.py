import sys

import numpy as np
import pytest
from scipy import ndimage

from denoise.baselines import BASELINES, CT_WIDTH_HU, find_baseline
from denoise.scaling import Scaling
from recon.layout import FWHM_PER_SIGMA

SHAPE = (17, 15, 13)
VOXEL = (4.0, 4.0, 4.0)
SCALING = Scaling(level=1000.0, noise=0.2)
MIDDLE = [(name, float(np.sqrt(np.prod(one.range)))) for name, one in BASELINES.items()]


@pytest.fixture
def step():
    """Two halves, of 1000 and 4000 Bq/mL, and a CT whose edge lies there, too."""
    image = np.full(SHAPE, 1000, np.float32)
    image[9:] = 4000
    ct = np.where(image > 2000, np.float32(200), np.float32(-800))
    return image, ct


def noisy(rng, image, sd=300.0):
    return (image + rng.normal(0, sd, image.shape)).astype(np.float32)


@pytest.mark.parametrize("name, strength", MIDDLE)
def test_every_baseline_takes_noise_away_and_keeps_the_mean(rng, name, strength):
    image = noisy(rng, np.full(SHAPE, 1000))
    found = BASELINES[name](image, VOXEL, SCALING, strength, np.zeros(SHAPE, np.float32))
    assert found.dtype == np.float32 and found.shape == SHAPE
    inner = found[3:-3, 3:-3, 3:-3]
    assert inner.std() < 0.9 * image.std()
    assert inner.mean() == pytest.approx(1000, rel=0.03)


@pytest.mark.parametrize("name, strength", MIDDLE)
def test_every_baseline_is_the_same_in_any_unit(rng, step, name, strength):
    image, ct = noisy(rng, step[0]), step[1]
    found = BASELINES[name](image, VOXEL, SCALING, strength, ct)
    kilo = BASELINES[name](image / 1000, VOXEL, Scaling(level=1.0, noise=0.2), strength, ct)
    assert kilo == pytest.approx(found / 1000, abs=2e-4)


def test_a_point_becomes_a_gaussian_of_the_width_asked_for():
    point = np.zeros((31, 31, 31), np.float32)
    point[15, 15, 15] = 1
    found = BASELINES["gaussian"](point, (2.0, 2.0, 4.0), SCALING, 12.0)
    for axis, side in enumerate((2.0, 2.0, 4.0)):
        line = found.sum(axis=tuple(a for a in range(3) if a != axis))
        sd = np.sqrt(line @ ((np.arange(31) - 15.0) * side) ** 2)
        assert sd * FWHM_PER_SIGMA == pytest.approx(12, rel=0.02)


def test_the_ct_guided_filter_with_one_tissue_is_a_gaussian(rng):
    image = noisy(rng, np.full(SHAPE, 1000))
    found = BASELINES["ct-guided"](image, VOXEL, SCALING, 8.0, np.full(SHAPE, 40, np.float32))
    expected = ndimage.gaussian_filter(image, 8.0 / FWHM_PER_SIGMA / 4, mode="nearest", radius=2)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name, strength", [("ct-guided", 8.0), ("bilateral", 0.5), ("nlm", 0.2)])
def test_an_edge_stays_where_a_gaussian_blurs_it(step, name, strength):
    image, ct = step
    found = BASELINES[name](image, VOXEL, SCALING, strength, ct)
    assert found[8].mean() == pytest.approx(1000, rel=0.02)
    assert BASELINES["gaussian"](image, VOXEL, SCALING, 8.0)[8].mean() > 1500


def test_a_ct_edge_of_one_width_weighs_by_the_gaussian():
    image = np.zeros((5, 1, 1), np.float32)
    image[3:] = 1
    ct = np.where(image > 0, np.float32(CT_WIDTH_HU), np.float32(0))
    found = BASELINES["ct-guided"](image, VOXEL, SCALING, 4.0, ct)[2, 0, 0]
    near = np.exp(-0.5 * (4 / (4 / FWHM_PER_SIGMA)) ** 2)
    across = np.exp(-0.5) * near
    # The window ends after 2 standard deviations, one voxel; along y and z all is alike.
    assert found == pytest.approx(across / (1 + near + across), rel=1e-4)


def test_total_variation_flattens_what_is_nearly_flat(rng, step):
    image = noisy(rng, step[0], 100.0)
    found = BASELINES["tv"](image, VOXEL, SCALING, 0.3)
    assert found[:7].std() < 15 and abs(found[7].mean() - found[10].mean()) > 2500


def test_names_are_found_in_any_case_and_the_nearest_is_offered():
    assert find_baseline("CT-Guided") is BASELINES["ct-guided"]
    with pytest.raises(ValueError, match=r"one of gaussian, .* nearest is 'gaussian'"):
        find_baseline("gausian")


def test_a_missing_scikit_image_is_said_with_what_to_install(monkeypatch, step):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ValueError, match=r"pip install 'countless\[baselines\]'"):
        BASELINES["nlm"](step[0], VOXEL, SCALING, 0.2)
