"""The U-Net: what it changes, what it keeps, and what it depends on."""

import pytest
import torch

from denoise.unet import REACHES, UNet
from tests.denoise import made

SMALL = {"width": 4, "levels": 2}
KINDS = ({}, {"dimensions": 2}, {"dimensions": 2, "slices": 3}, {"keeps": "counts"},
         {"dimensions": 2, "keeps": "counts"}, {"inputs": 2})


def stirred(**settings):
    """A small network whose last layer is not zero, as after training."""
    return made.stirred(**SMALL, **settings).network


def images(*shape, inputs=1):
    return torch.rand(2, inputs, *shape, generator=torch.Generator().manual_seed(2))


NOISE = torch.tensor([0.1, 0.6])


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 7, 5), (1, 3, 1)])
def test_any_size_comes_back(settings, shape):
    x = images(*shape, inputs=settings.get("inputs", 1))
    found = stirred(**settings)(x, NOISE)
    assert found.shape == (2, 1, *shape)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("settings", [kind for kind in KINDS if "keeps" not in kind])
def test_an_untrained_network_changes_nothing(settings):
    x = images(9, 7, 5, inputs=settings.get("inputs", 1))
    torch.testing.assert_close(UNet(**SMALL, **settings)(x, NOISE), x[:, :1], rtol=0, atol=0)


def test_an_untrained_network_that_keeps_counts_moves_few_of_them():
    x = torch.zeros(1, 1, 21, 21, 21)
    x[..., 10, 10, 10] = 1
    found = UNet(**SMALL, keeps="counts")(x, NOISE[:1])
    # Each of the nine moves keeps 1 / (1 + 2 exp(-5)).
    assert found[..., 10, 10, 10].item() == pytest.approx((1 + 2 * 0.0067379) ** -9, rel=1e-4)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_network_that_keeps_counts_keeps_the_sum_and_makes_nothing_negative(dimensions):
    x = images(19, 12, 9) * (images(19, 12, 9) > 0.7)
    found = stirred(dimensions=dimensions, keeps="counts")(x, NOISE)
    torch.testing.assert_close(found.sum((1, 2, 3, 4)), x.sum((1, 2, 3, 4)))
    assert found.min() >= 0
    assert (found - x).abs().max() > 0.01


def test_a_network_that_keeps_counts_makes_no_activity_far_from_any():
    x = torch.zeros(1, 1, 32, 16, 16)
    x[:, :, 8] = 1
    found = stirred(keeps="counts")(x, NOISE[:1])
    near = slice(8 - sum(REACHES), 8 + sum(REACHES) + 1)
    assert found[:, :, near].sum().item() == pytest.approx(256, rel=1e-5)
    assert torch.equal(found[:, :, near.stop:], torch.zeros_like(found[:, :, near.stop:]))
    assert found[:, :, 9].min() > 0


def test_what_a_voxel_becomes_depends_on_its_neighbourhood_alone():
    x = images(48, 8, 8)
    far = x.clone()
    far[:, :, 40:] += 5
    network = stirred()
    before, after = network(x, NOISE), network(far, NOISE)
    assert torch.equal(before[:, :, :8], after[:, :, :8])
    assert not torch.equal(before[:, :, 36:40], after[:, :, 36:40])


def test_slices_by_themselves_do_not_know_their_neighbours_and_2_5d_knows_the_nearest():
    x = images(8, 8, 7)
    other = x.clone()
    other[..., 3] += 1
    for slices, changed in ((1, [3]), (3, [2, 3, 4])):
        network = stirred(dimensions=2, slices=slices)
        differs = (network(x, NOISE) != network(other, NOISE)).any(3).any(2)[:, 0]
        assert [int(z) for z in torch.nonzero(differs[0])[:, 0]] == changed


def test_the_noise_level_changes_what_the_network_does_to_the_same_image():
    x = images(8, 8, 8)[:1]
    network = stirred()
    found = [network(x, torch.tensor([noise])) for noise in (0.1, 0.1, 0.5)]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], rtol=1e-3)


def test_an_image_without_noise_is_taken():
    assert torch.isfinite(stirred()(images(8, 8, 8), torch.zeros(2))).all()


def test_the_second_channel_is_looked_at():
    x = images(8, 8, 8, inputs=2)
    other = x.clone()
    other[:, 1] += 1
    network = stirred(inputs=2)
    assert not torch.equal(network(x, NOISE), network(other, NOISE))


@pytest.mark.parametrize("settings", KINDS)
def test_gradients_reach_every_weight(settings):
    network = stirred(**settings)
    x = images(8, 8, 8, inputs=settings.get("inputs", 1))
    (network(x, NOISE) ** 2).mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in network.parameters())


@pytest.mark.parametrize("settings", [
    {"levels": 0}, {"width": 0}, {"width": 4.5}, {"dimensions": 4}, {"dimensions": 2, "slices": 2},
    {"slices": 3}, {"keeps": "all"},
])
def test_settings_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match="UNet"):
        UNet(**settings)


@pytest.mark.parametrize("settings", KINDS)
def test_any_number_of_threads_gives_the_same_image(settings):
    network, x = stirred(**settings), images(24, 20, 17, inputs=settings.get("inputs", 1))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(network(x, NOISE))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
