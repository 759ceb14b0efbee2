"""The terms of a training's loss."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from denoise.discriminator import Discriminator
from denoise.losses import DATA_RANGE, ssim, terms
from denoise.recipe import Recipe


@pytest.fixture
def images():
    torch.manual_seed(0)
    target = 4 * torch.rand(1, 1, 12, 10, 9)
    return target + 0.5 * torch.randn(target.shape), target


def test_ssim_is_scikit_images(images):
    found, wanted = (image[0, 0].double().numpy() for image in images)
    reference = structural_similarity(found, wanted, win_size=7, data_range=DATA_RANGE, full=True,
                                      use_sample_covariance=False)[1]
    inside = (slice(3, -3),) * 3  # where windows lie in the image
    assert ssim(*images).item() == pytest.approx(np.mean(reference[inside]), rel=1e-5)


def test_ssim_of_an_image_with_itself_is_one_and_its_gradient_is_finite(images):
    image = images[1].clone().requires_grad_()
    assert ssim(image, images[1]).item() == pytest.approx(1, abs=1e-6)
    ssim(image, torch.zeros_like(image)).backward()
    assert torch.isfinite(image.grad).all()


def test_ssim_of_two_constants_is_by_hand():
    image, target = torch.full((1, 1, 3, 8, 1), 2.0), torch.full((1, 1, 3, 8, 1), 1.0)
    # (2 * 2 * 1 + 0.01) / (4 + 1 + 0.01), as 0.01 is the square of 0.01 * 10
    assert ssim(image, target).item() == pytest.approx(4.01 / 5.01, rel=1e-5)


class Scores(torch.nn.Module):
    """The mean of a candidate, times a weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, low, candidate, noise):
        return self.weight * candidate.mean()


def batch(target):
    return {"x": torch.zeros_like(target), "noise": torch.zeros(len(target)), "target": target}


def test_least_squares_by_hand():
    found, target = torch.full((1, 1, 8, 8, 8), 1.0), torch.full((1, 1, 8, 8, 8), 3.0)
    told = terms(Recipe(adversarial=1.0), found, batch(target), Scores())
    assert told["loss"].item() == 4
    assert told["adversarial"].item() == pytest.approx((0.5 - 1) ** 2 / 2)
    assert told["discriminator"].item() == pytest.approx((1.5 - 1) ** 2 / 2 + 0.5**2 / 2)


def test_each_term_moves_its_own_part_alone():
    torch.manual_seed(0)
    found = torch.rand(2, 1, 8, 8, 8, requires_grad=True)
    judge = Discriminator()
    told = terms(Recipe(adversarial=1.0), found, batch(torch.rand(2, 1, 8, 8, 8)), judge)
    told["adversarial"].backward(retain_graph=True)
    assert found.grad.abs().max() > 0
    assert all(weights.grad is None for weights in judge.parameters())
    before = found.grad.clone()
    told["discriminator"].backward()
    assert torch.equal(found.grad, before)
    assert all(weights.grad.abs().max() > 0 for weights in judge.parameters())


@pytest.mark.parametrize("settings", [
    {}, {"structural": 0.1}, {"adversarial": 0.01, "structural": 0.1, "loss": "l1"},
])
def test_the_terms_are_those_of_the_recipe_in_its_order(settings):
    recipe, target = Recipe(**settings), torch.rand(1, 1, 8, 8, 8)
    assert list(terms(recipe, target, batch(target), Scores())) == list(recipe.terms)
