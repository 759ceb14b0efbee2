"""Plug-and-play: where it settles, what a strength does, and denoisers that do not do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from recon import SinogramProjector, backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import Diverged, Subsets, kappa
from recon.algorithms.penalized import first_image, level
from recon.learned import plug_and_play
from tests.recon.cases import MACHINES, after
from tests.recon.learned.small import PLAIN, dense
from tests.recon.test_em import noisy
from tests.recon.test_penalized import (
    DATA,
    GRID,
    KAPPA,
    LAYOUT,
    LEVEL,
    MODEL,
    PROMPTS,
    START,
    SUBSETS,
    WHOLE,
    scan,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Of images this small threads are no help, and results do not hang on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def smooth(image):
    return gaussian_filter(image, (1.5, 1.5, 0), mode="constant")


def run(strength, passes, denoise=smooth, data=DATA, start=START):
    return after(passes * data.number, plug_and_play(data, denoise, start, strength=strength))


def wish(image, strength):
    """The largest move of a voxel that EM's step down -log likelihood and the pull makes."""
    exact, seen = image.astype(float), WHOLE.sensitivity(0).astype(float)
    slope = seen - WHOLE.ratio_back(0, image)
    slope += strength * KAPPA.astype(float) ** 2 * (exact - smooth(exact))
    step = np.maximum(exact, 1e-3 * LEVEL) / seen
    return np.abs(exact - np.maximum(exact - step * slope, 0)).max() / LEVEL


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_it_settles_where_data_and_denoiser_balance(strength):
    assert wish(run(strength, 100), strength) < 1e-4 * wish(START, strength)


def test_with_a_weak_pull_it_settles_slower():
    first, later = (wish(run(0.01, passes), 0.01) for passes in (10, 100))
    assert later < 1e-3 * wish(START, 0.01) and later < 0.05 * first


def test_where_it_settles_a_dense_iteration_in_float64_settles_too():
    # De Pierro's update with all data, written out for a matrix, its pull renewed each time.
    model, prompts = noisy(layout=PLAIN.layout, grid=PLAIN.grid, counts=40.0)
    a = dense(model.projector).numpy() * model.factors.reshape(-1, 1)
    background, counts = (x.ravel().astype(float) for x in (model.background, prompts))
    data, strength = Subsets(model, prompts, 2), 0.3
    start = first_image(data)
    x, weights = start.astype(float), strength * kappa(data, start).astype(float) ** 2
    seen, seeing = a.sum(axis=0).reshape(x.shape), a.sum(axis=0).reshape(x.shape) > 0
    for _ in range(4000):
        back = a.T @ (counts / (a @ x.ravel() + background))
        b, product = seen - weights * smooth(x), x * back.reshape(x.shape)
        root = np.sqrt(b**2 + 4 * weights * product)
        new = np.where(b > 0, 2 * product / np.where(b > 0, b + root, 1),
                       (root - b) / np.where(weights > 0, 2 * weights, 1))
        x = np.where(seeing, new, x)
    ours = run(strength, 400, data=data, start=start)
    np.testing.assert_allclose(ours, x, rtol=0, atol=1e-4 * x.max())
    assert np.abs(x - start).max() > 0.05 * x.max()


def test_the_stronger_the_nearer_to_what_the_denoiser_makes_of_it():
    images = [run(strength, 30) for strength in (0, 0.01, 0.1, 1, 10)]
    apart = [np.linalg.norm(image - smooth(image)) for image in images]
    assert np.all(np.diff(apart) < -0.05 * apart[0])
    likelihoods = [WHOLE.model.log_likelihood(image, PROMPTS) for image in images]
    assert np.all(np.diff(likelihoods) < 0)


def test_without_strength_it_goes_to_the_most_likely_image():
    images = [run(0, passes) for passes in (1, 10, 40)]
    likelihoods = [WHOLE.model.log_likelihood(image, PROMPTS) for image in (START, *images)]
    assert np.all(np.diff(likelihoods) > 0) and wish(images[-1], 0) < 2e-3
    np.testing.assert_array_equal(images[0], run(0, 1, denoise=np.zeros_like))


def test_a_strength_means_the_same_for_any_number_of_counts_and_any_unit():
    # Ten times the counts of an image three times as active: all else is alike.
    factors, background = MODEL.factors * np.float32(10 / 3), 10 * MODEL.background
    model = AcquisitionModel(MODEL.projector, factors=factors, background=background)
    other = run(0.3, 10, data=Subsets(model, 10 * PROMPTS, SUBSETS), start=3 * START)
    np.testing.assert_allclose(other, 3 * run(0.3, 10), rtol=1e-3, atol=1e-4 * LEVEL)


def test_the_denoiser_is_asked_once_a_pass_and_may_write_over_its_image():
    asked = []

    def spoiling(image):
        asked.append(image.copy())
        found = smooth(image)
        image[:] = np.nan
        return found.astype(np.float64)

    np.testing.assert_array_equal(run(0.1, 3, denoise=spoiling), run(0.1, 3))
    assert len(asked) == 3 and asked[0].dtype == np.float32
    np.testing.assert_array_equal(asked[0], START)
    np.testing.assert_array_equal(asked[2], run(0.1, 2))


def test_by_default_one_pass_of_osem_comes_first_and_a_start_is_left_as_it_is():
    before = START.copy()
    np.testing.assert_array_equal(run(0.1, 1, start=None), run(0.1, 1))
    np.testing.assert_array_equal(START, before)


def test_the_bits_are_the_same_for_any_number_of_threads():
    images = []
    for threads in (1, 2):
        projector = SinogramProjector(LAYOUT, GRID, threads=threads)
        model = AcquisitionModel(projector, factors=MODEL.factors, background=MODEL.background)
        images.append(run(0.1, 5, data=Subsets(model, PROMPTS, SUBSETS)))
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("machine", MACHINES)
def test_on_each_machine_the_image_is_the_cpus(machine):
    data = Subsets(*scan(machine), SUBSETS)
    found = run(0.1, 3, data=data, start=backend.to_device(START, machine))
    np.testing.assert_allclose(found, run(0.1, 3), rtol=1e-3, atol=1e-5 * LEVEL)


@pytest.mark.parametrize("strength", [-1.0, np.nan, np.inf])
def test_a_strength_below_0_or_without_end_is_refused(strength):
    with pytest.raises(ValueError, match=f"strength takes a number of 0 or more, got {strength:g}"):
        run(strength, 1)


def test_a_denoiser_that_returns_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"an image of shape \(20, 20, 1\).*, got \(20, 20\)"):
        run(0.1, 1, denoise=lambda image: image[..., 0])


def test_a_denoiser_that_returns_nan_is_refused():
    with pytest.raises(ValueError, match="returns finite values, got NaN or infinite ones"):
        run(0.1, 1, denoise=lambda image: np.where(image > LEVEL, np.nan, image))


def test_a_denoiser_that_makes_images_ever_larger_is_stopped():
    with pytest.raises(Diverged, match="with strength 10 the image explains more than 10 times"):
        run(10, 30, denoise=lambda image: 2 * image)


def test_a_weak_pull_holds_against_such_a_denoiser():
    image = run(0.001, 30, denoise=lambda image: 2 * image)
    assert level(image) < 3 * LEVEL


def test_a_scan_without_counts_gives_an_image_without_activity():
    model, prompts = MODEL, np.zeros_like(PROMPTS)
    image = run(0.1, 20, data=Subsets(model, prompts, SUBSETS))
    assert image.sum() < 1e-3 * START.sum()
