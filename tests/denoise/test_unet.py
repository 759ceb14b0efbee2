"""The U-Net alone: counts that it keeps, and how it sees a CT (test_networks holds the rest)."""

import pytest
import torch

from denoise.unet import REACHES, UNet
from tests.denoise import made

SMALL = {"width": 4, "levels": 2}


def stirred(**settings):
    """A small network whose last layer is not zero, as after training."""
    return made.stirred(**SMALL, **settings).network


def images(*shape, inputs=1):
    return torch.rand(2, inputs, *shape, generator=torch.Generator().manual_seed(2))


NOISE = torch.tensor([0.1, 0.6])


def test_an_untrained_network_that_keeps_counts_moves_few_of_them():
    x = torch.zeros(1, 1, 21, 21, 21)
    x[..., 10, 10, 10] = 1
    found = UNet(**SMALL, keeps="counts")(x, NOISE[:1])
    # Each of the nine moves keeps 1 / (1 + 2 exp(-5)).
    assert found[..., 10, 10, 10].item() == pytest.approx((1 + 2 * 0.0067379) ** -9, rel=1e-4)


@pytest.mark.parametrize("settings", [
    {}, {"dimensions": 2}, {"inputs": 2, "fusion": "intermediate"}, {"inputs": 2, "fusion": "late"},
])
def test_a_network_that_keeps_counts_keeps_the_sum_and_makes_nothing_negative(settings):
    x = images(19, 12, 9, inputs=settings.get("inputs", 1))
    x[:, :1] *= x[:, :1] > 0.7
    found = stirred(keeps="counts", **settings)(x, NOISE)
    torch.testing.assert_close(found.sum((1, 2, 3, 4)), x[:, :1].sum((1, 2, 3, 4)))
    assert found.min() >= 0
    assert (found - x[:, :1]).abs().max() > 0.01


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


def test_features_of_a_ct_that_are_zero_leave_the_image_s_own_encoder():
    network, alone = stirred(inputs=2, fusion="intermediate"), UNet(**SMALL)
    for block in network.ct_encoder:
        torch.nn.init.zeros_(block.second.weight)
    alone.load_state_dict(network.state_dict(), strict=False)
    x = images(9, 8, 7, inputs=2)
    assert torch.equal(network(x, NOISE), alone(x[:, :1], NOISE))


def test_the_answers_of_late_fusion_weigh_the_same_before_training():
    network = stirred(inputs=2, fusion="late")
    torch.nn.init.zeros_(network.weigh.weight)
    both = UNet(**SMALL, inputs=2)
    both.load_state_dict(network.state_dict(), strict=False)
    x = images(9, 8, 7, inputs=2)
    wanted = (both(x, NOISE) + network.alone(x[:, :1], NOISE)) / 2
    torch.testing.assert_close(network(x, NOISE), wanted)


def test_late_fusion_may_leave_a_voxel_to_the_network_that_sees_no_ct():
    network = stirred(inputs=2, fusion="late")
    torch.nn.init.zeros_(network.weigh.weight)
    torch.nn.init.constant_(network.weigh.bias, -100.0)
    x = images(9, 8, 7, inputs=2)
    torch.testing.assert_close(network(x, NOISE), network.alone(x[:, :1], NOISE))


@pytest.mark.parametrize("settings", [
    {"keeps": "all"}, {"fusion": "midway", "inputs": 2}, {"fusion": "late"},
    {"fusion": "intermediate", "inputs": 3},
])
def test_settings_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match="UNet"):
        UNet(**settings)
