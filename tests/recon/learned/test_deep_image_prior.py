"""Deep image prior: what it gains by a guide, what its numbers do, and input that does not do."""

import copy
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from torch import nn

from recon import Grid, SinogramLayout, SinogramProjector, backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import Diverged, Subsets, osem
from recon.algorithms.penalized import first_image
from recon.learned import deep_image_prior
from tests.recon.cases import MACHINES, TINY, after, rms_difference

GRID = Grid.centred(shape=(12, 12, 12), voxel_mm=(10, 10, 4))
SUBSETS = 4


def scan(counts=2e4, seed=5, machine="cpu"):
    """An ellipsoid with a hot and a cold box: truth, a CT that tells all three, and Subsets."""
    x, y, z = np.meshgrid(*map(GRID.centres, range(3)), indexing="ij")
    truth = ((x / 50) ** 2 + (y / 45) ** 2 + (z / 30) ** 2 < 1).astype(np.float32)
    ct = truth.copy()
    truth[6:9, 4:8, 4:8], ct[6:9, 4:8, 4:8] = 4, 0.8
    truth[3:5, 5:8, 5:8], ct[3:5, 5:8, 5:8] = 0, 0.3
    projector = SinogramProjector(SinogramLayout.of(TINY, span=3), GRID, threads=1)
    factors = projector(np.zeros_like(truth)) + 1
    factors *= np.float32(counts / projector(truth).sum())
    background = np.full_like(factors, 0.3 * counts / factors.size)
    model = AcquisitionModel(projector, factors=factors, background=background)
    prompts = np.random.default_rng(seed).poisson(model(truth)).astype(np.float32)
    factors, background, prompts = (
        backend.to_device(part, machine) for part in (factors, background, prompts)
    )
    model = AcquisitionModel(projector, factors=factors, background=background)
    return truth, ct[None], Subsets(model, prompts, SUBSETS)


TRUTH, CT, DATA = scan()
START = first_image(DATA).copy()


def network(inputs=1, drop=0.0):
    """Three convolutions of 3 x 3 x 3, of weights that are the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv3d(inputs, 8, 3, padding=1), nn.LeakyReLU(0.1), nn.Dropout(drop),
            nn.Conv3d(8, 8, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv3d(8, 1, 3, padding=1),
        )


def run(passes=2, made=None, guide=CT, data=DATA, first_steps=10, fit_steps=3, **options):
    images = deep_image_prior(data, made or network(), guide, first_steps=first_steps,
                              fit_steps=fit_steps, **options)
    return after(round(passes * data.number), images)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Of images this small threads are no help."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def guided():
    """The image after each of eight passes, and the loss at each step."""
    losses = []
    images = deep_image_prior(DATA, network(), CT, first_steps=150, fit_steps=15,
                              learning_rate=0.01, progress=losses.append)
    return [image.copy() for image in islice(images, SUBSETS - 1, 8 * SUBSETS, SUBSETS)], losses


@pytest.fixture(scope="module")
def likely():
    """OSEM's image after each of as many passes."""
    images = osem(DATA.model, DATA.all_prompts, subsets=SUBSETS)
    return [image.copy() for image in islice(images, SUBSETS - 1, 8 * SUBSETS, SUBSETS)]


def test_with_ct_at_low_counts_it_is_nearer_to_truth_than_osem(guided, likely):
    ours, theirs = ([rms_difference(image, TRUTH) for image in images]
                    for images in (guided[0], likely))
    assert ours[-1] < 0.8 * theirs[-1]
    assert ours[-1] < ours[0] and theirs[-1] > theirs[0]  # passes bring OSEM noise


def test_as_many_counts_are_expected_of_it_as_were_counted(guided):
    assert DATA.model(guided[0][-1]).sum() == pytest.approx(DATA.all_prompts.sum(), rel=0.03)


def test_the_loss_of_the_first_fit_falls_and_stays_low(guided):
    losses = guided[1]
    assert len(losses) == 150 + 8 * 15
    assert losses[149] < 0.05 * losses[0]
    assert max(losses[150:]) < 0.1 * losses[0]


def test_the_first_fit_is_of_the_start_in_any_unit():
    one, other = (run(passes=1 / SUBSETS, start=scale * START, first_steps=60, learning_rate=0.01)
                  for scale in (1, 1024))
    assert rms_difference(one, START) < 0.5
    np.testing.assert_array_equal(other, 1024 * one)


def test_the_stronger_the_pull_the_less_of_the_data_comes_in():
    images = [run(passes=2, first_steps=40, fit_steps=10, learning_rate=0.01, strength=strength)
              for strength in (0.01, 1, 100)]
    likelihoods = [DATA.model.log_likelihood(image, DATA.all_prompts) for image in images]
    assert np.all(np.diff(likelihoods) < -10)


def test_the_image_is_new_after_the_last_update_of_a_pass():
    images = deep_image_prior(DATA, network(), CT, first_steps=2, fit_steps=1)
    images = [image.copy() for image in islice(images, 2 * SUBSETS)]
    changed = [not np.array_equal(a, b) for a, b in pairwise(images)]
    assert changed == [False, False, True, False, False, False, True]


@pytest.mark.parametrize("guide", [CT, None], ids=["ct", "noise"])
def test_images_are_not_negative_and_the_same_each_time(guide):
    made = network(drop=0.2)
    before, random = copy.deepcopy(made.state_dict()), torch.get_rng_state()
    one, other = run(made=made, guide=guide), run(made=made, guide=guide)
    assert one.dtype == np.float32 and one.shape == GRID.shape and one.min() >= 0
    np.testing.assert_array_equal(one, other)
    # Neither the network that was given nor the random numbers of others are touched.
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.parametrize("drawn", ["noise", "dropout"])
def test_another_seed_is_another_image(drawn):
    made, guide = (network(), None) if drawn == "noise" else (network(drop=0.2), CT)
    one, other = (run(made=made, guide=guide, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_of_two_threads_comes_what_comes_of_one():
    one = run(passes=1)
    torch.set_num_threads(2)
    two = run(passes=1)
    torch.set_num_threads(1)
    assert rms_difference(two, one) < 1e-4


def test_channels_of_a_guide_may_be_many():
    image = run(made=network(2), guide=np.concatenate((CT, CT**2)))
    assert np.isfinite(image).all() and not np.array_equal(image, run())


def test_frozen_weights_are_trained_and_gradients_may_be_off():
    with torch.no_grad():
        image = run(made=network().requires_grad_(False))
    np.testing.assert_array_equal(image, run())


@pytest.mark.parametrize("machine", MACHINES)
def test_on_each_machine_the_image_is_near_the_cpus(machine):
    image = run(data=scan(machine=machine)[2])
    assert rms_difference(image, run()) < 0.01


def test_a_network_that_returns_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"to \(1, 1, 12, 12, 12\), got \(1, 8, 12, 12, 12\)"):
        run(made=network()[0])


@pytest.mark.parametrize("guide", [CT[0], CT[:, 1:]], ids=["no channels", "another grid"])
def test_a_guide_of_another_shape_is_refused(guide):
    with pytest.raises(ValueError, match=r"guide takes shape \(channels, 12, 12, 12\) .*resample"):
        run(guide=guide)


def test_a_guide_with_nan_is_refused():
    with pytest.raises(ValueError, match="guide takes finite values"):
        run(guide=np.where(CT > 0.5, np.nan, CT))


@pytest.mark.parametrize("options, said", [
    ({"strength": -1.0}, "strength takes a number of 0 or more, got -1"),
    ({"first_steps": 0}, "first_steps takes 1 step or more, got 0"),
    ({"fit_steps": 0}, "fit_steps takes 1 step or more, got 0"),
    ({"learning_rate": float("nan")}, "learning_rate takes a number above 0, got nan"),
])
def test_numbers_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        run(**options)


def test_a_first_image_of_zeros_is_refused():
    with pytest.raises(ValueError, match="first image with activity, got one of zeros"):
        run(start=np.zeros_like(START))


def test_a_fit_that_blows_up_says_that_it_learns_too_fast():
    with pytest.raises(Diverged, match="lower learning rate than 1e\\+30"):
        run(learning_rate=1e30)
