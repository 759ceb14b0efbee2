"""The discriminator: what it scores, and that it tells textures apart."""

import pytest
import torch

from denoise.discriminator import Discriminator

NOISE = torch.tensor([0.03, 0.1])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(("dimensions", "size", "scores"), [
    (3, (16, 12, 9), (2, 1, 4, 3, 2)), (3, (4, 4, 4), (2, 1, 1, 1, 1)),
    (2, (16, 12, 3), (6, 1, 4, 3)),
])
def test_a_score_stands_for_four_voxels_along_each_axis(dimensions, size, scores):
    made = Discriminator(dimensions=dimensions)
    low, candidate = torch.rand(2, 2, 1, *size).unbind()
    assert made(low, candidate, NOISE).shape == scores


def test_slices_are_scored_by_themselves_with_their_own_images_noise():
    made = Discriminator(dimensions=2).eval()
    low, candidate = torch.rand(2, 2, 1, 8, 8, 3).unbind()
    alone = made(low[1:, ..., 2:], candidate[1:, ..., 2:], NOISE[1:])
    torch.testing.assert_close(made(low, candidate, NOISE)[5:], alone)


def test_a_score_hangs_on_the_low_dose_image_and_on_its_noise():
    made = Discriminator().eval()
    low, candidate = torch.rand(2, 1, 1, 8, 8, 8).unbind()
    score = made(low, candidate, NOISE[:1])
    assert not torch.equal(made(low + 0.1, candidate, NOISE[:1]), score)
    assert not torch.equal(made(low, candidate, NOISE[1:]), score)


def test_every_layers_largest_singular_value_is_one():
    made = Discriminator()
    for _ in range(50):  # a step of power iteration each
        made(*torch.rand(2, 1, 1, 4, 4, 4).unbind(), NOISE[:1])
    for layer in made.layers[::2]:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.02)


def test_noise_of_a_few_per_cent_is_told_from_smoother_noise():
    def images(count):
        activity = torch.ones(count, 1, 8, 8, 8)
        noise = 0.05 * torch.randn(2, count, 1, 8, 8, 8)
        smooth = torch.nn.functional.avg_pool3d(noise[1], 3, 1, 1)
        low = activity + 0.2 * torch.randn_like(activity)
        return low, activity + noise[0], activity + smooth

    made, seen = Discriminator(), NOISE[1:].expand(8)
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-3)
    for _ in range(80):
        low, real, smooth = images(8)
        loss = (made(low, real, seen) - 1).square().mean() + made(low, smooth, seen).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    low, real, smooth = images(8)
    with torch.no_grad():
        scores = [made(low, image, seen).mean((1, 2, 3, 4)) for image in (real, smooth)]
    assert scores[0].min() > scores[1].max()
