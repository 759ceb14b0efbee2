"""A training's settings."""

import pytest

from denoise.recipe import Recipe


def test_the_rate_rises_and_then_falls_as_a_cosine():
    recipe = Recipe(warmup=0.2)
    rates = [recipe.rate(step, 10) for step in range(10)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[6] == pytest.approx(0.5)  # half way from 2 to 10
    assert rates[9] == pytest.approx(0.0380602)  # (1 + cos(7/8 pi)) / 2


def test_without_a_warmup_the_rate_begins_at_its_highest():
    assert Recipe(warmup=0.0).rate(0, 10) == 1.0


def test_the_u_net_gets_a_channel_for_the_ct():
    assert Recipe().arguments["inputs"] == 1
    assert Recipe(ct=True).arguments["inputs"] == 2
    assert Recipe(ct=True).inputs == ("low", "ct")


def test_a_gan_of_slices_takes_a_patch_of_one_slice():
    assert Recipe(adversarial=0.1, dimensions=2, patch=(8, 8, 1)).kept == "last"
    assert Recipe(structural=0.1).kept == "best"


@pytest.mark.parametrize(("network", "names"), [
    ("unet", {"inputs", "width", "levels", "dimensions", "slices", "keeps", "fusion"}),
    ("redcnn", {"inputs", "width", "dimensions", "slices"}),
    ("nafnet", {"inputs", "width", "levels", "dimensions", "slices"}),
])
def test_a_network_gets_the_settings_it_takes(network, names):
    assert set(Recipe(network=network).arguments) == names


def test_a_network_of_ones_own_gets_its_settings_alone():
    assert Recipe(network="my.own:Network").arguments == {}
    assert Recipe(network="my.own:Network", network_settings={"a": 1}).arguments == {"a": 1}


@pytest.mark.parametrize(("settings", "said"), [
    ({"target": "standrad"}, "nearest known one is `standard`"),
    ({"loss": "l3"}, "loss takes l2, l1"),
    ({"epochs": 0}, "epochs takes a whole number from 1"),
    ({"patches": 3, "batch": 4}, "at least a batch, 4, got 3"),
    ({"patch": (8, 0, 8)}, "three numbers of voxels"),
    ({"slices": 5, "patch": (8, 8, 3)}, "at least the 5 slices"),
    ({"network": "my.own:Network", "keeps": "counts"}, "keeps is a setting of unet, and my.own"),
    ({"network": "redcnn", "levels": 2},
     "levels is a setting of unet, nafnet, and redcnn takes width, dimensions, slices; leave"),
    ({"network_settings": {"depth": 2}}, "network_settings is a setting of package.module:Class"),
    ({"fusion": "late"}, "fusion late takes a CT beside the image, got ct false"),
    ({"rotated": 1.5}, "rotated takes a number from 0 to 1"),
    ({"learning_rate": 0.0}, "above 0"),
    ({"warmup": float("nan")}, "warmup takes a number"),
    ({"adversarial": -1.0}, "adversarial takes a number from 0"),
    ({"adversarial": 0.1, "target": "noise2noise"}, "give target standard or truth"),
    ({"adversarial": 0.1, "patience": 3}, "takes patience 0, got 3"),
    ({"adversarial": 0.1, "patch": (8, 8, 3)}, "4 voxels along each axis or more"),
])
def test_settings_that_make_no_training_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Recipe(**settings)
