"""Exact total variation against a bound from below that a dual in float64 gives."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, SinogramLayout, backend
from recon.acquisition import AcquisitionModel, launch_on_bins
from recon.algorithms import (
    LogCosh,
    Subsets,
    TotalVariation,
    mlem,
    objective,
    saga,
    spdhg,
)
from recon.algorithms.penalized import first_image
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector
from tests.recon.cases import LAYOUTS, MACHINES, TINY, after, assert_same, on_cpu, uniform

LAYOUT = SinogramLayout.of(replace(TINY, rings=2), span=3, view_mashing=2, radial_bins=13)
GRID = Grid.centred(shape=(6, 7, 3), voxel_mm=(15, 12, 4))  # slopes that differ along each axis
VOXELS = 6 * 7 * 3
KAPPA = uniform(GRID.shape, seed=3) + np.float32(0.5)
DIRECTION = np.float32(0.55) * uniform((3, *GRID.shape), seed=4)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Of kernels this small; threads that wait for one another would take longer than the work."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def scan(layout=LAYOUT, grid=GRID, counts=5.0, background=True, blur=None, threads=None):
    """A model with factors and background, and counts of an image with a hot half and a hole."""
    truth = np.full(grid.shape, 1, np.float32)
    truth[: grid.shape[0] // 2] = 3
    truth[1:3, 2:4] = 0
    projector = SinogramProjector(layout, grid, threads=threads)
    factors = 0.2 + uniform(layout.without_tof().shape, seed=1)
    mean = AcquisitionModel(projector, blur=blur, factors=factors)(truth).mean()
    factors *= np.float32(counts / mean)
    ground = np.float32(counts / 2) * uniform(layout.shape, seed=2) if background else None
    model = AcquisitionModel(projector, blur=blur, factors=factors, background=ground)
    return model, np.random.default_rng(5).poisson(model(truth)).astype(np.float32)


def moved(model, machine):
    """The model with its arrays on a machine."""
    factors, background = (None if array is None else backend.to_device(array, machine)
                           for array in (model.factors, model.background))
    return AcquisitionModel(model.projector, blur=model.blur, factors=factors,
                            background=background)


def gap(data, prior, image, bound):
    """How far an image's objective is from the bound, as a part of how far one pass of OSEM is."""
    start = objective(data, prior, first_image(data, None))
    return (objective(data, prior, image) - bound) / (start - bound)


def total_variation(strength, grid=GRID, **options):
    return TotalVariation(grid, strength=strength, epsilon=0, **options)


def dense(operator):
    """A linear operator as a matrix, float64."""
    units = np.eye(VOXELS, dtype=np.float32).reshape(VOXELS, *GRID.shape)
    return np.stack([operator(unit).reshape(-1) for unit in units], axis=1).astype(np.float64)


def lower_bound(model, prompts, prior, steps=10_000):
    """What no image's objective lies below, by weak duality; near the minimum after many steps.

    Primal and dual steps on dense matrices in float64, with the diagonal steps of Pock & Chambolle,
    ICCV 2011. Dual variables 1 - u of bins and q of differences bound the objective by
    sum b (1 - u) + y - y log(y / u), if K^T (1 - u) + D^T q has no negative value, for which u is
    made somewhat smaller.
    """
    linear = AcquisitionModel(model.projector, blur=model.blur, factors=model.factors)
    rows = dense(linear)
    b = np.zeros(len(rows)) if model.background is None else model.background.ravel().astype(float)
    y, live = prompts.ravel().astype(float), rows.sum(1) > 0
    unseen = ~live & (b > 0)
    constant = (b[unseen] - y[unseen] * np.log(b[unseen])).sum()
    rows, b, y = rows[live], b[live], y[live]

    slopes = dense(prior.differences).reshape(3, VOXELS, VOXELS)
    if prior.direction is not None:
        v = prior.direction.reshape(3, VOXELS).astype(float)
        squared = (v**2).sum(0)
        root = np.eye(3) - np.einsum("ai,bi,i->iab", v, v, (1 - np.sqrt(1 - squared)) / squared)
        slopes = np.einsum("iab,bij->aij", root, slopes)
    kappa = np.ones(VOXELS) if prior.kappa is None else prior.kappa.ravel().astype(float)
    slopes *= prior.strength * kappa[:, None] ** 2

    tau = 1 / (rows.sum(0) + np.abs(slopes).sum((0, 1)))
    sigma = 1 / rows.sum(1)
    sigma_q = 1 / np.maximum(np.abs(slopes).sum(2).max(0), 1e-9)
    flat, transposed = slopes.reshape(-1, VOXELS), rows.T.copy()
    x = np.full(VOXELS, y.sum() / rows.sum())
    u, q = np.ones(len(y)), np.zeros((3, VOXELS))
    for _ in range(steps):
        new = np.maximum(x - tau * (transposed @ (1 - u) + q.ravel() @ flat), 0)
        ahead, x = 2 * new - x, new
        c = u - sigma * (rows @ ahead + b)
        u = (c + np.sqrt(c**2 + 4 * sigma * y)) / 2
        q += sigma_q * (flat @ ahead).reshape(3, -1)
        q /= np.maximum(np.sqrt((q**2).sum(0)), 1)
    share = ((rows.sum(0) + q.ravel() @ flat) / (transposed @ u)).min()
    u *= min(share, 1)
    counted = y > 0
    logs = y[counted] * np.log(y[counted] / u[counted])
    return constant + (b * (1 - u) + y).sum() - logs.sum()


PRIORS = {
    "weak": lambda: total_variation(0.5),
    "strong": lambda: total_variation(2.0),
    "weighted": lambda: total_variation(1.5, kappa=KAPPA),
    "guided": lambda: total_variation(1.5, direction=DIRECTION),
    "weighted and guided": lambda: total_variation(1.5, kappa=KAPPA, direction=DIRECTION),
    "none": lambda: total_variation(0.0),
}


@pytest.mark.parametrize("name", PRIORS)
def test_one_subset_and_several_come_to_the_minimum_within_1e_5_of_the_way(name):
    model, prompts = scan()
    prior = PRIORS[name]()
    bound = lower_bound(model, prompts, prior)
    for machine in MACHINES:
        for subsets, passes in ((1, 3000), (4, 400)):
            data = Subsets(moved(model, machine), backend.to_device(prompts, machine), subsets)
            image = after(subsets * passes, spdhg(data, prior))
            assert -1e-6 < gap(data, prior, backend.to_device(image, machine), bound) < 1e-5


def test_without_a_background_and_with_a_blur_the_minimum_is_reached_too():
    blur = GaussianBlur(GRID.shape, GRID.voxel_mm, 15)
    model, prompts = scan(counts=1.0, background=False, blur=blur)
    assert (prompts == 0).sum() > 50
    prior, data = total_variation(0.05), Subsets(model, prompts, 4)
    image = after(4 * 300, spdhg(data, prior))
    assert -1e-6 < gap(data, prior, image, lower_bound(model, prompts, prior)) < 1e-5


def test_subsets_come_to_the_image_of_one_subset():
    model, prompts = scan()
    prior = total_variation(0.5)
    one, four = (after(subsets * passes, spdhg(Subsets(model, prompts, subsets), prior))
                 for subsets, passes in ((1, 3000), (4, 500)))
    np.testing.assert_allclose(four, one, atol=1e-3 * one.max())


def test_images_of_smoothed_total_variation_come_nearer_the_less_it_is_smoothed():
    # What smoothing hides of the exact prior is at most strength epsilon in each voxel.
    model, prompts = scan()
    data, exact = Subsets(model, prompts, 4), total_variation(0.5)
    least = objective(data, exact, after(4 * 300, spdhg(data, exact)))
    above = []
    for epsilon in (1.0, 0.1, 0.01):
        smooth = TotalVariation(GRID, strength=0.5, epsilon=epsilon)
        above.append(objective(data, exact, after(4 * 400, saga(data, smooth))) - least)
        assert 0 < above[-1] < 0.5 * epsilon * VOXELS
    assert above[2] < above[1] / 5 < above[0] / 25


def test_with_strength_0_no_image_of_em_is_more_likely():
    model, prompts = scan()
    image = after(4 * 200, spdhg(Subsets(model, prompts, 4), total_variation(0)))
    em = after(500, mlem(model, prompts))
    assert model.log_likelihood(image, prompts) > model.log_likelihood(em, prompts) - 1e-4


def test_with_a_huge_strength_the_image_is_flat_and_as_high_as_is_most_likely():
    # Of a flat image f the likelihood's derivative, sum a (1 - y / (a f + b)), is 0.
    model, prompts = scan()
    image = after(4 * 400, spdhg(Subsets(model, prompts, 4), total_variation(10)))
    flat = float(image.mean())
    np.testing.assert_allclose(image, flat, rtol=1e-3)
    b = model.background.astype(np.float64)
    a = model(np.ones(GRID.shape, np.float32)) - b
    assert (a * (1 - prompts / (a * flat + b))).sum() == pytest.approx(0, abs=1e-3 * a.sum())


def test_of_a_scan_without_counts_the_image_is_0():
    model, prompts = scan()
    data = Subsets(model, np.zeros_like(prompts), 4)
    assert not after(400, spdhg(data, total_variation(0.5), np.ones(GRID.shape, np.float32))).any()


def test_counts_in_masked_bins_change_nothing():
    model, prompts = scan()
    factors = model.factors.copy()
    factors[:, 4:6] = 0
    masked = AcquisitionModel(model.projector, factors=factors, background=model.background)
    images = []
    for garbage in (0, 1e9):
        prompts[:, 4:6] = garbage
        data = Subsets(masked, prompts, 4)
        images.append(after(20, spdhg(data, total_variation(1))))
    np.testing.assert_array_equal(*images)


def test_voxels_that_no_bin_sees_stay_as_they_are():
    grid = Grid.centred(shape=(25, 25, 5), voxel_mm=(10, 10, 4))
    model, prompts = scan(grid=grid)
    unseen = model.sensitivity() == 0
    assert 0 < unseen.sum() < unseen.size
    start = 1 + uniform(grid.shape)
    image = after(8, spdhg(Subsets(model, prompts, 4), total_variation(1, grid), start))
    np.testing.assert_array_equal(image[unseen], start[unseen])
    assert (image[~unseen] != start[~unseen]).mean() > 0.99


def test_in_another_unit_the_image_is_the_same():
    model, prompts = scan()
    image = after(40, spdhg(Subsets(model, prompts, 4), total_variation(1)))
    thousandth = AcquisitionModel(model.projector, factors=model.factors / 1000,
                                  background=model.background)
    other = after(40, spdhg(Subsets(thousandth, prompts, 4), total_variation(1e-3)))
    np.testing.assert_allclose(other, 1000 * image, rtol=1e-3)


def test_twice_is_the_same_to_the_bit():
    model, prompts = scan()
    images = [after(9, spdhg(Subsets(model, prompts, 4), total_variation(1))) for _ in range(2)]
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("layout", ["span 3", "even number of TOF bins"])
def test_images_are_the_same_to_the_bit_for_any_number_of_threads(layout, monkeypatch):
    grid = Grid.centred(shape=(17, 16, 19), voxel_mm=(6, 6, 2))
    direction = np.float32(0.5) * uniform((3, *grid.shape), seed=4)
    prior = total_variation(1, grid, kappa=uniform(grid.shape), direction=direction)
    images = []
    for threads in (1, 2, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        model, prompts = scan(LAYOUTS[layout], grid, threads=threads)
        images.append(after(6, spdhg(Subsets(model, prompts, 4), prior)).tobytes())
    assert images[0] == images[1] == images[2]


@pytest.mark.parametrize("machine", MACHINES)
def test_the_machine_changes_no_image(machine):
    layout = LAYOUTS["odd number of TOF bins"]
    grid = Grid.centred(shape=(17, 16, 9), voxel_mm=(6, 6, 4))
    model, prompts = scan(layout, grid)
    prior = total_variation(1, grid, kappa=uniform(grid.shape))
    ours = after(6, spdhg(Subsets(model, prompts, 4), prior))
    there = Subsets(moved(model, machine), backend.to_device(prompts, machine), 4)
    assert_same(after(6, spdhg(there, prior)), ours)


def test_the_start_is_left_as_it_was():
    model, prompts = scan()
    start = np.ones(GRID.shape, np.float32)
    assert after(3, spdhg(Subsets(model, prompts, 4), total_variation(1), start)).max() != 1
    assert np.all(start == 1)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("u, reach, expected, y, found", [
    (2, 1, 3, 6, 2),  # u is y / e, and stays
    (0, 2, 1, 3, 1),  # 2 u^2 + u - 3 = 0
    (3, 1, 1, 0, 2),  # u^2 - 2 u = 0
    (3, 1, 5, 0, 0),  # u^2 + 2 u = 0
    (7, None, 4, 6, 1.5),  # y / e
    (7, None, 0, 6, 0),  # counts of which none are expected
    (7, None, 0, 0, 0),
])
def test_step_of_a_bin_worked_out_by_hand(u, reach, expected, y, found, machine):
    bins = [backend.to_device(np.full((2, 3, 5), value, np.float32), machine)
            for value in (expected / 2, u, y, 2)]
    far = None if reach is None else backend.to_device(np.full((2, 3, 5), reach / 2, np.float32),
                                                       machine)
    launch_on_bins("poisson_dual", bins[:2], [bins[2], bins[3], None, far])
    change, dual = map(on_cpu, bins[:2])
    np.testing.assert_allclose(dual, found, rtol=1e-6)
    np.testing.assert_allclose(change, 2 * (u - found), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("prior, options, error, said", [
    (LogCosh(GRID, strength=1, delta=1), {}, TypeError,
     "epsilon 0, got LogCosh; take svrg or bsrem"),
    (TotalVariation(GRID, strength=1, epsilon=0.5), {}, TypeError,
     "got TotalVariation with epsilon 0.5; take svrg or bsrem"),
    (total_variation(1, Grid.centred(shape=(6, 7, 4), voxel_mm=(1, 1, 1))), {}, ValueError,
     r"shape \(6, 7, 3\) like the model's, got \(6, 7, 4\)"),
    (total_variation(1), {"balance": 0}, ValueError, "balance takes a number above 0, got 0"),
    (total_variation(1), {"balance": np.nan}, ValueError, "balance takes"),
    (total_variation(1), {"start": -np.ones(GRID.shape)}, ValueError, "negative"),
])
def test_what_it_cannot_do_is_refused(prior, options, error, said):
    model, prompts = scan()
    with pytest.raises(error, match=said):
        next(spdhg(Subsets(model, prompts, 4), prior, **options))
