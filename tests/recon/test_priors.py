"""Priors against their definition in float64, by differences of it."""

import numpy as np
import pytest

from recon import Grid, backend
from recon.algorithms import LogCosh, Quadratic, RelativeDifference, TotalVariation
from recon.operators import Differences
from tests.recon import reference_priors as reference
from tests.recon.cases import MACHINES, adjoint_gap, on_cpu, uniform

GRID = Grid.centred(shape=(5, 6, 19), voxel_mm=(4, 5, 3))  # more z than a vector holds
KAPPA = uniform(GRID.shape, seed=1) + np.float32(0.5)
CHOSEN = np.random.default_rng(2).integers(0, 3, (13, *GRID.shape)).astype(np.uint8)
DIRECTION = 0.5 * uniform((3, *GRID.shape), seed=3).astype(np.float32)
STRENGTH = 0.7

# name: (prior, its value without strength in float64)
PRIORS = {
    "quadratic": (
        lambda: Quadratic(GRID, strength=STRENGTH, kappa=KAPPA),
        lambda f: reference.pair_value(f, GRID.voxel_mm, reference.quadratic, KAPPA),
    ),
    "quadratic of chosen pairs": (
        lambda: Quadratic(GRID, strength=STRENGTH, chosen=CHOSEN),
        lambda f: reference.pair_value(f, GRID.voxel_mm, reference.quadratic, chosen=CHOSEN),
    ),
    "relative difference": (
        lambda: RelativeDifference(GRID, strength=STRENGTH, gamma=2, epsilon=0.1, kappa=KAPPA),
        lambda f: reference.pair_value(
            f, GRID.voxel_mm, reference.relative_difference(2, 0.1), KAPPA),
    ),
    "relative difference of chosen pairs": (
        lambda: RelativeDifference(GRID, strength=STRENGTH, gamma=1, epsilon=0.2, kappa=KAPPA,
                                   chosen=CHOSEN),
        lambda f: reference.pair_value(
            f, GRID.voxel_mm, reference.relative_difference(1, 0.2), KAPPA, CHOSEN),
    ),
    "log-cosh": (
        lambda: LogCosh(GRID, strength=STRENGTH, delta=0.3, kappa=KAPPA),
        lambda f: reference.pair_value(f, GRID.voxel_mm, reference.log_cosh(0.3), KAPPA),
    ),
    "total variation": (
        lambda: TotalVariation(GRID, strength=STRENGTH, epsilon=0.1, kappa=KAPPA),
        lambda f: reference.total_variation(f, GRID.voxel_mm, 0.1, KAPPA),
    ),
    "parallel level sets": (
        lambda: TotalVariation(GRID, strength=STRENGTH, epsilon=0.1, kappa=KAPPA,
                               direction=DIRECTION),
        lambda f: reference.total_variation(f, GRID.voxel_mm, 0.1, KAPPA, DIRECTION),
    ),
}
VOXELS = [(0, 0, 0), (4, 5, 18), (2, 3, 9), (2, 0, 17), (0, 5, 1), (3, 2, 0)]
named = pytest.mark.parametrize("name", PRIORS)


@pytest.fixture(scope="module")
def image():
    return 2 * uniform(GRID.shape, seed=4)


def moved(image, voxel, by):
    image = image.astype(np.float64)
    image[voxel] += by
    return image


@named
@pytest.mark.parametrize("machine", MACHINES)
def test_value_is_that_of_the_definition(name, machine, image):
    prior, value = PRIORS[name]
    found = prior().value(backend.to_device(image, machine))
    assert found == pytest.approx(STRENGTH * value(image), rel=1e-6)


@named
@pytest.mark.parametrize("machine", MACHINES)
def test_gradient_is_what_differences_of_the_value_give(name, machine, image):
    prior, value = PRIORS[name]
    gradient = on_cpu(prior().gradient(backend.to_device(image, machine)))
    scale = float(np.abs(gradient).max())
    for voxel in VOXELS:
        expected = (value(moved(image, voxel, 1e-5)) - value(moved(image, voxel, -1e-5))) / 2e-5
        assert gradient[voxel] == pytest.approx(STRENGTH * expected, abs=2e-6 * scale)


@named
@pytest.mark.parametrize("machine", MACHINES)
def test_diagonal_is_what_second_differences_of_the_value_give(name, machine, image):
    prior, value = PRIORS[name]
    diagonal = on_cpu(prior().diagonal(backend.to_device(image, machine)))
    for voxel in VOXELS:
        ends = [value(moved(image, voxel, by)) for by in (-1e-3, 0, 1e-3)]
        expected = STRENGTH * (ends[0] - 2 * ends[1] + ends[2]) / 1e-6
        assert diagonal[voxel] == pytest.approx(expected, rel=2e-4)


@named
def test_curvature_bounds_the_hessian(name, image):
    # diag(curvature) - H has no negative eigenvalue; H by differences of the gradient.
    prior = PRIORS[name][0]()
    grid, part = GRID, (slice(1, 4), slice(1, 4), slice(3, 8))  # its voxels, the others held
    numbers = np.arange(image.size).reshape(grid.shape)[part].ravel()
    hessian = np.empty((len(numbers), len(numbers)))
    for column, number in enumerate(numbers):
        ends = [image.copy(), image.copy()]
        for end, by in zip(ends, (-1e-2, 1e-2), strict=True):
            end.reshape(-1)[number] += np.float32(by)
        step = float(ends[1].reshape(-1)[number]) - float(ends[0].reshape(-1)[number])
        low, high = (prior.gradient(end).astype(np.float64).reshape(-1) for end in ends)
        hessian[:, column] = (high - low)[numbers] / step
    bound = np.diag(prior.curvature(image).reshape(-1)[numbers].astype(np.float64))
    gap = np.linalg.eigvalsh(bound - (hessian + hessian.T) / 2)
    assert gap.min() > -1e-3 * bound.max()
    assert np.linalg.eigvalsh(hessian + hessian.T).min() > -1e-3 * bound.max()  # it is convex


@named
def test_parabola_of_the_curvature_lies_nowhere_below_the_prior(name, image):
    prior, value = PRIORS[name]
    prior, rng = prior(), np.random.default_rng(5)
    gradient, curvature = (part.astype(np.float64)
                           for part in (prior.gradient(image), prior.curvature(image)))
    for size in (0.01, 0.1, 1.0, 10.0):
        for _ in range(20):
            other = np.maximum(image + size * rng.normal(size=image.shape), 0)
            step = other - image
            parabola = (STRENGTH * value(image) + (gradient * step).sum()
                        + (curvature * step**2).sum() / 2)
            assert STRENGTH * value(other) <= parabola * (1 + 1e-6)


@named
def test_a_flat_image_costs_nothing_and_has_no_gradient(name):
    flat = np.full(GRID.shape, 3, np.float32)
    prior = PRIORS[name][0]()
    assert prior.value(flat) == 0
    assert not prior.gradient(flat).any()


def test_relative_difference_of_two_voxels_is_what_is_worked_out_by_hand():
    # 3 and 1: d = 2, 4 / (4 + 2 * 2 + 0) = 1/2; its derivative by the 3: 2 (3 + 3 + 4) / 64.
    grid = Grid.centred(shape=(2, 1, 1), voxel_mm=(4, 4, 4))
    image = np.array([3, 1], np.float32).reshape(2, 1, 1)
    prior = RelativeDifference(grid, strength=1, gamma=2)
    assert prior.value(image) == pytest.approx(0.5)
    assert prior.gradient(image)[0, 0, 0] == pytest.approx(2 * (3 + 3 + 4) / 64)
    assert prior.diagonal(image)[0, 0, 0] == pytest.approx(2 * 2**2 / 8**3)


def test_relative_difference_of_voxels_without_activity_is_0_without_epsilon():
    prior = RelativeDifference(GRID, strength=1, gamma=2)
    nothing = np.zeros(GRID.shape, np.float32)
    assert prior.value(nothing) == 0
    assert not prior.gradient(nothing).any() and not prior.diagonal(nothing).any()


def test_relative_difference_grows_with_the_unit_as_the_image_does(image):
    prior = RelativeDifference(GRID, strength=1, gamma=2)
    np.testing.assert_allclose(prior.gradient(1000 * image), prior.gradient(image), rtol=2e-5,
                               atol=1e-6)


def test_log_cosh_far_beyond_delta_is_linear_and_finite():
    grid = Grid.centred(shape=(2, 1, 1), voxel_mm=(1, 1, 1))
    image = np.array([1e6, 0], np.float32).reshape(2, 1, 1)
    prior = LogCosh(grid, strength=1, delta=0.01)
    assert prior.value(image) == pytest.approx(0.01 * 1e6, rel=1e-6)
    assert prior.gradient(image)[0, 0, 0] == pytest.approx(0.01)


def test_parallel_level_sets_cost_less_along_the_direction():
    grid = Grid.centred(shape=(2, 1, 1), voxel_mm=(1, 1, 1))
    image = np.array([0, 3], np.float32).reshape(2, 1, 1)
    along = np.zeros((3, 2, 1, 1), np.float32)
    along[0] = 0.8  # l = 3 sqrt(1 - 0.64) = 1.8
    assert TotalVariation(grid, strength=1, epsilon=0).value(image) == pytest.approx(3)
    guided = TotalVariation(grid, strength=1, epsilon=0, direction=along)
    assert guided.value(image) == pytest.approx(1.8)


@pytest.mark.parametrize("machine", MACHINES)
def test_differences_have_their_exact_transpose(machine):
    assert adjoint_gap(Differences(GRID.shape, GRID.voxel_mm), machine) < 1e-6


def test_differences_are_relative_to_the_side_along_x():
    image = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    found = Differences((2, 3, 4), (4, 2, 8))(image)
    np.testing.assert_array_equal(found[0, 0], np.full((3, 4), 12))
    np.testing.assert_array_equal(found[1, :, :2], np.full((2, 2, 4), 8))
    np.testing.assert_array_equal(found[2, :, :, :3], np.full((2, 3, 3), 0.5))
    assert not found[0, 1].any() and not found[1, :, 2].any() and not found[2, :, :, 3].any()


def test_priors_give_the_same_bits_for_any_number_of_threads(image, monkeypatch):
    found = {}
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found[threads] = [part for prior, _ in PRIORS.values()
                          for part in (prior().gradient(image), prior().diagonal(image))]
    for one, three in zip(found["1"], found["3"], strict=True):
        np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("make, said", [
    (lambda: Quadratic(GRID, strength=-1), "strength takes a number of 0 or more, got -1"),
    (lambda: Quadratic(GRID, strength=np.nan), "strength takes"),
    (lambda: Quadratic(GRID, strength=1, kappa=-KAPPA), "negative ones or NaN"),
    (lambda: Quadratic(GRID, strength=1, kappa=KAPPA[1:]), r"shape \(5, 6, 19\)"),
    (lambda: Quadratic(GRID, strength=1, chosen=CHOSEN.astype(int)), "uint8 of shape"),
    (lambda: RelativeDifference(GRID, strength=1, gamma=-1), "gamma and epsilon"),
    (lambda: LogCosh(GRID, strength=1, delta=0), "delta takes a difference above 0"),
    (lambda: TotalVariation(GRID, strength=1, epsilon=-1), "epsilon takes"),
    (lambda: TotalVariation(GRID, strength=1, epsilon=1, direction=KAPPA), "direction takes"),
    (lambda: RelativeDifference(GRID, strength=1).curvature(KAPPA), "epsilon above 0"),
    (lambda: Quadratic(GRID, strength=1).value(KAPPA.astype(float)), "float32 image"),
])
def test_what_makes_no_prior_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@named
@pytest.mark.parametrize("machine", MACHINES)
def test_descent_is_the_gradient_and_a_curvature_no_larger_than_the_bound(name, machine, image):
    prior = PRIORS[name][0]()
    gradient, flatter = map(on_cpu, prior.descent(backend.to_device(image, machine)))
    scale = float(np.abs(gradient).max())
    np.testing.assert_allclose(gradient, prior.gradient(image), rtol=1e-5, atol=1e-6 * scale)
    assert np.all(flatter <= 1.0001 * prior.curvature(image)) and np.all(flatter > 0)


def test_parabola_of_the_relative_differences_descent_is_least_where_two_voxels_are_alike():
    # Of one pair each voxel's share is half of it: 3 - gradient / (curvature / 2) is the other, 1.
    grid = Grid.centred(shape=(2, 1, 1), voxel_mm=(4, 4, 4))
    image = np.array([3, 1], np.float32).reshape(2, 1, 1)
    gradient, curvature = RelativeDifference(grid, strength=1, gamma=2).descent(image)
    np.testing.assert_allclose(image - 2 * gradient / curvature, image[::-1], rtol=1e-6)
