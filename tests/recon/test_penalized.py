"""Penalised likelihood: what all algorithms agree on, and what each one alone promises."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from recon import Grid, SinogramLayout, SinogramProjector, backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import (
    Diverged,
    LogCosh,
    Quadratic,
    RelativeDifference,
    Subsets,
    TotalVariation,
    bsrem,
    kappa,
    mapem,
    objective,
    one_step_late,
    osem,
    saga,
    svrg,
    variance_reduced,
)
from recon.algorithms.penalized import first_image, level
from tests.recon.cases import DEMO, MACHINES, after
from tests.recon.test_em import noisy

GRID = Grid.centred(shape=(20, 20, 1), voxel_mm=(14, 14, 6.25))
LAYOUT = SinogramLayout.of(replace(DEMO, rings=1), view_mashing=4)
SUBSETS = 4


def scan(machine="cpu", counts=5e4, seed=3):
    """A noisy scan of an ellipse with hot and cold discs: its model and prompts."""
    x, y, _ = np.meshgrid(*map(GRID.centres, range(3)), indexing="ij")
    body = (x / 130) ** 2 + (y / 100) ** 2 < 1
    truth = body.astype(np.float32)
    for a, b, radius, value in ((60, 0, 30, 4), (-60, 10, 30, 0), (0, -50, 20, 2)):
        truth[(x - a) ** 2 + (y - b) ** 2 < radius**2] = value
    projector = SinogramProjector(LAYOUT, GRID)
    factors = np.exp(-0.0096 * projector(body.astype(np.float32)))
    factors *= np.float32(counts / AcquisitionModel(projector, factors=factors)(truth).sum())
    background = np.full(LAYOUT.shape, 0.3 * counts / np.prod(LAYOUT.shape), np.float32)
    model = AcquisitionModel(projector, factors=factors, background=background)
    prompts = np.random.default_rng(seed).poisson(model(truth)).astype(np.float32)
    factors, background, prompts = (
        backend.to_device(part, machine) for part in (factors, background, prompts)
    )
    return AcquisitionModel(projector, factors=factors, background=background), prompts


MODEL, PROMPTS = scan()
DATA, TWO, WHOLE = (Subsets(MODEL, PROMPTS, number) for number in (SUBSETS, 2, 1))
START = first_image(DATA, None).copy()
LEVEL = level(START)
KAPPA = kappa(DATA, START)
PRIORS = {
    "quadratic": Quadratic(GRID, strength=0.05, kappa=KAPPA),
    "relative difference": RelativeDifference(
        GRID, strength=0.05 * LEVEL, gamma=2, epsilon=0.1 * LEVEL, kappa=KAPPA),
    "log-cosh": LogCosh(GRID, strength=0.05, delta=0.2 * LEVEL, kappa=KAPPA),
    "total variation": TotalVariation(
        GRID, strength=0.05 * LEVEL, epsilon=0.1 * LEVEL, kappa=KAPPA),
}
CONVERGING = {  # and updates that are enough here
    "svrg": (lambda prior: svrg(DATA, prior, START), 150 * SUBSETS),
    "saga": (lambda prior: saga(DATA, prior, START), 150 * SUBSETS),
    # Its steps must shrink slowly, and subsets be alike: two of 16 views.
    "bsrem": (lambda prior: bsrem(TWO, prior, START, relaxation=0.03), 2500 * 2),
    "mapem": (lambda prior: mapem(WHOLE, prior, START), 1000),
}
VOIS = [(slice(13, 16), slice(8, 12)), (slice(4, 7), slice(9, 12)), (slice(9, 12), slice(5, 8))]
named = pytest.mark.parametrize("name", PRIORS)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Of images this small threads are no help, and results do not hang on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def least():
    """Of each prior the image of least objective that is known: a long run."""
    return {name: after(300 * SUBSETS, svrg(DATA, prior, START, steps=(1.0,)))
            for name, prior in PRIORS.items()}


@named
@pytest.mark.parametrize("algorithm", CONVERGING)
def test_converging_algorithms_reach_the_same_minimum(algorithm, name, least):
    make, updates = CONVERGING[algorithm]
    prior = PRIORS[name]
    image = after(updates, make(prior))
    best, start = objective(WHOLE, prior, least[name]), objective(WHOLE, prior, START)
    assert (objective(WHOLE, prior, image) - best) / (start - best) <= 1e-5
    for voi in VOIS:
        assert image[voi].mean() == pytest.approx(least[name][voi].mean(), rel=1e-3)


@named
def test_at_the_minimum_no_voxel_wants_to_move(name, least):
    # The gradient is 0 where there is activity, and not below 0 where there is none.
    prior, image = PRIORS[name], least[name]
    slope = WHOLE.sensitivity(0) - WHOLE.ratio_back(0, image) + prior.gradient(image)
    scale = np.abs(WHOLE.sensitivity(0)).max()
    active = image > 1e-2 * LEVEL
    assert active.sum() > 100
    assert np.abs(slope[active]).max() < 1e-3 * scale
    assert slope[image == 0].min(initial=0) > -1e-3 * scale


@named
def test_each_update_of_mapem_lowers_the_objective(name):
    prior = PRIORS[name]
    values = [objective(WHOLE, prior, START)]
    for image in islice(mapem(WHOLE, prior, START), 20):
        values.append(objective(WHOLE, prior, image))
    assert np.all(np.diff(values) < 1e-9 * abs(values[0]))


def test_one_step_late_stops_elsewhere_than_at_the_minimum(least):
    # It is labelled as not converging: with several subsets it goes round and round.
    prior = PRIORS["quadratic"]
    image = after(400 * SUBSETS, one_step_late(DATA, prior, START))
    best, start = (objective(WHOLE, prior, one) for one in (least["quadratic"], START))
    assert 1e-5 < (objective(WHOLE, prior, image) - best) / (start - best) < 0.5


def test_one_step_late_says_when_the_prior_is_too_strong_for_it():
    with pytest.raises(Diverged, match="beta 100000 is too much for it"):
        after(10, one_step_late(DATA, Quadratic(GRID, strength=1e5, kappa=KAPPA), START))


@pytest.mark.parametrize("algorithm", [svrg, saga, bsrem])
def test_a_strength_of_any_size_does_not_make_the_image_blow_up(algorithm):
    # 16 views in 8 subsets, far from alike, and priors from nothing to all there is.
    model, prompts = noisy(counts=20.0)
    data = Subsets(model, prompts, 8)
    start = first_image(data, None).copy()
    weights = kappa(data, start)
    for strength in (0.0, 0.01, 1.0, 100.0):
        prior = RelativeDifference(model.projector.grid, strength=strength * level(start),
                                   epsilon=1e-3 * level(start), kappa=weights)
        images = algorithm(data, prior, start)
        values = [objective(data, prior, image) for image in islice(images, 0, 12 * 8, 8)]
        assert values[-1] < objective(data, prior, start)
        assert max(values[4:]) <= values[0]


@pytest.mark.parametrize("algorithm", [svrg, saga, bsrem, mapem, one_step_late])
def test_without_strength_updates_go_towards_more_likelihood(algorithm):
    prior = Quadratic(GRID, strength=0)
    image = after(5 * SUBSETS, algorithm(DATA, prior, START))
    assert objective(WHOLE, prior, image) < objective(WHOLE, prior, START)


@pytest.mark.parametrize("algorithm", [mapem, one_step_late])
def test_without_strength_em_with_a_prior_is_osem(algorithm):
    image = after(6, algorithm(DATA, Quadratic(GRID, strength=0), START))
    np.testing.assert_allclose(image, after(6, osem(MODEL, PROMPTS, subsets=SUBSETS, start=START)),
                               rtol=1e-5, atol=1e-6 * LEVEL)


def test_by_default_one_pass_of_osem_comes_first():
    np.testing.assert_array_equal(START, after(SUBSETS, osem(MODEL, PROMPTS, subsets=SUBSETS)))
    prior = PRIORS["quadratic"]
    np.testing.assert_array_equal(after(3, svrg(DATA, prior)), after(3, svrg(DATA, prior, START)))


def test_the_start_is_left_as_it_is():
    before = START.copy()
    after(2, saga(DATA, PRIORS["quadratic"], START))
    np.testing.assert_array_equal(START, before)


def test_kappa_squared_is_the_row_sum_of_the_hessian():
    # By differences of the gradient of the likelihood along an image of ones.
    step = np.float32(1e-2 * LEVEL)
    ends = [WHOLE.ratio_back(0, START + sign * step).astype(float) for sign in (-1, 1)]
    expected = (ends[0] - ends[1]) / (2 * step)
    inside = START > 0.3 * LEVEL  # where the step is small beside the image
    np.testing.assert_allclose(KAPPA[inside] ** 2, expected[inside], rtol=0.02)


def test_a_prior_with_kappa_means_the_same_for_any_number_of_counts():
    # With ten times the counts and an image in the same unit, likelihood and prior grow alike.
    few = kappa(DATA, START)
    factors, background = 10 * MODEL.factors, 10 * MODEL.background
    many = AcquisitionModel(MODEL.projector, factors=factors, background=background)
    ten = kappa(Subsets(many, 10 * PROMPTS, SUBSETS), START)
    np.testing.assert_allclose(ten, np.sqrt(10) * few, rtol=1e-4)


def test_level_is_the_mean_weighted_with_itself():
    assert level(np.array([1, 3, 0], np.float32)) == pytest.approx(10 / 4)
    assert level(np.zeros(3, np.float32)) == 0


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("algorithm", [svrg, saga, bsrem, mapem, one_step_late])
def test_algorithms_do_on_each_machine_what_they_do_on_the_cpu(algorithm, machine):
    data = Subsets(*scan(machine), SUBSETS)
    prior = RelativeDifference(GRID, strength=0.05 * LEVEL, epsilon=0.1 * LEVEL,
                               kappa=backend.to_device(KAPPA, machine))
    found = after(6, algorithm(data, prior, backend.to_device(START, machine)))
    expected = after(6, algorithm(DATA, PRIORS["relative difference"], START))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * LEVEL)


def test_algorithms_give_the_same_bits_for_any_number_of_threads():
    def images(threads):
        projector = SinogramProjector(LAYOUT, GRID, threads=threads)
        model = AcquisitionModel(projector, factors=MODEL.factors, background=MODEL.background)
        data, prior = Subsets(model, PROMPTS, SUBSETS), PRIORS["total variation"]
        return [after(5, make(data, prior, START)) for make in (svrg, saga, bsrem, mapem)]

    for one, three in zip(images(1), images(3), strict=True):
        np.testing.assert_array_equal(one, three)


def test_saga_takes_each_subset_once_a_pass_and_in_another_order_each_time(monkeypatch):
    taken = []
    monkeypatch.setattr(variance_reduced, "descend", lambda *args, **_: taken.append(args[3]))
    after(3 * SUBSETS, saga(DATA, PRIORS["quadratic"], START))
    orders = [taken[k : k + SUBSETS] for k in range(0, 3 * SUBSETS, SUBSETS)]
    assert all(sorted(order) == list(range(SUBSETS)) for order in orders)
    assert orders[0] != orders[1] or orders[1] != orders[2]


def test_subsets_that_do_not_divide_the_views_are_refused():
    with pytest.raises(ValueError, match=r"divisor of the 32 views, got 5; try one of \[1, 2"):
        Subsets(MODEL, PROMPTS, 5)


def test_a_start_with_negative_values_is_refused():
    with pytest.raises(ValueError, match="without NaN or negative values"):
        next(svrg(DATA, PRIORS["quadratic"], -START))
