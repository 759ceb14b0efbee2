"""What holds of every network of ours: what it changes, what it keeps, what it depends on."""

import inspect

import numpy as np
import pytest
import torch

from denoise import inference
from denoise.checkpoint import load_denoiser, save_denoiser
from denoise.networks import NETWORKS, network
from denoise.recipe import Recipe
from denoise.unet import REACHES
from recon.grid import Grid
from tests.denoise import made
from tests.denoise.runs import run

KINDS = [
    ("unet", {}), ("unet", {"dimensions": 2}), ("unet", {"dimensions": 2, "slices": 3}),
    ("unet", {"inputs": 2}),
    ("unet", {"inputs": 2, "fusion": "intermediate"}),
    ("unet", {"inputs": 2, "fusion": "late", "dimensions": 2, "slices": 3}),
    ("unet", {"keeps": "counts"}), ("unet", {"keeps": "counts", "inputs": 2, "fusion": "late"}),
    ("redcnn", {}), ("redcnn", {"dimensions": 2}),
    ("redcnn", {"dimensions": 2, "slices": 3, "inputs": 2}),
    ("nafnet", {}), ("nafnet", {"dimensions": 2}),
    ("nafnet", {"dimensions": 2, "slices": 3, "inputs": 2}),
]
NOISE = torch.tensor([0.1, 0.6])
every = pytest.mark.parametrize(("name", "settings"), KINDS, ids=str)


def stirred(name, settings):
    return made.stirred(name, **settings).network


def images(*shape, inputs=1, **_):
    return torch.rand(2, inputs, *shape, generator=torch.Generator().manual_seed(2))


@every
@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 7, 5), (1, 3, 1)])
def test_any_size_comes_back(name, settings, shape):
    with torch.no_grad():
        found = stirred(name, settings)(images(*shape, **settings), NOISE)
    assert found.shape == (2, 1, *shape)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(("name", "settings"), [k for k in KINDS if "keeps" not in k[1]], ids=str)
def test_an_untrained_network_changes_nothing(name, settings):
    x = images(9, 7, 5, **settings)
    found = network(name, {"width": 4} | settings)(x, NOISE)
    torch.testing.assert_close(found, x[:, :1], rtol=0, atol=0)


FARTHEST = {"unet": 24, "redcnn": 20, "nafnet": 25}  # voxels that these networks look


@every
def test_a_part_of_an_image_gives_the_same_but_where_the_rest_is_missed(name, settings):
    x, cut = images(56, 4, 4, **settings), 12
    module = stirred(name, settings)
    with torch.no_grad():
        whole, part = module(x, NOISE)[:, :, cut:], module(x[:, :, cut:], NOISE)
    moved = sum(REACHES) if settings.get("keeps") == "counts" else 0
    far = slice(FARTHEST[name] + moved, None)
    torch.testing.assert_close(part[:, :, far], whole[:, :, far], rtol=1e-4, atol=1e-5)
    assert (part - whole).abs().max() > 0.01


@every
def test_the_noise_level_changes_what_a_network_does_to_the_same_image(name, settings):
    x = images(8, 8, 8, **settings)[:1]
    module = stirred(name, settings)
    with torch.no_grad():
        found = [module(x, torch.tensor([noise])) for noise in (0.1, 0.1, 0.5)]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], rtol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_without_noise_is_taken(name):
    assert torch.isfinite(stirred(name, {})(images(8, 8, 8), torch.zeros(2))).all()


@pytest.mark.parametrize(("name", "settings"), [k for k in KINDS if "inputs" in k[1]], ids=str)
def test_the_ct_is_looked_at(name, settings):
    x = images(8, 8, 8, inputs=2)
    other = x.clone()
    other[:, 1] += 1
    module = stirred(name, settings)
    assert not torch.allclose(module(x, NOISE), module(other, NOISE), rtol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_slices_by_themselves_do_not_know_their_neighbours_and_2_5d_knows_the_nearest(name):
    x = images(8, 8, 7)
    other = x.clone()
    other[..., 3] += 1
    for slices, changed in ((1, [3]), (3, [2, 3, 4])):
        module = stirred(name, {"dimensions": 2, "slices": slices})
        differs = (module(x, NOISE) != module(other, NOISE)).any(3).any(2)[:, 0]
        assert [int(z) for z in torch.nonzero(differs[0])[:, 0]] == changed


@every
def test_gradients_reach_every_weight(name, settings):
    module = stirred(name, settings)
    (module(images(8, 8, 8, **settings), NOISE) ** 2).mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in module.parameters())


@every
def test_any_number_of_threads_gives_the_same_image(name, settings):
    module, x = stirred(name, settings), images(24, 20, 17, **settings)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            with torch.no_grad():
                found.append(module(x, NOISE))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize(("name", "settings"), [
    *(KINDS[k] for k in (0, 1, 4, 5)), ("redcnn", {}), ("redcnn", {"dimensions": 2}),
    ("nafnet", {}), ("nafnet", {"dimensions": 2}),
], ids=str)
def test_a_network_learns_a_patch_by_heart(name, settings):
    torch.manual_seed(1)
    smaller = {"levels": 1} if "levels" in NETWORKS[name][1] else {}
    module = network(name, {"width": 8} | smaller | settings)
    x, target = images(6, 6, 4, **settings)[:1], images(6, 6, 5)[:1, ..., 1:]
    optimizer, losses = torch.optim.Adam(module.parameters(), lr=1e-2), []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (module(x, NOISE[:1]) - target).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


GRID = Grid.centred(shape=(20, 18, 9), voxel_mm=(4, 4, 4))


@every
def test_a_saved_network_denoises_as_before(name, settings, tmp_path):
    denoiser = made.stirred(name, **settings)
    save_denoiser(tmp_path / "model.pt", denoiser)
    rng = np.random.default_rng(1)
    image = rng.uniform(500, 900, GRID.shape).astype(np.float32)
    more = {"ct": rng.uniform(-900, 900, GRID.shape).astype(np.float32)} if (
        "inputs" in settings) else {}
    images = [inference.denoise(image, GRID, each, device="cpu", **more).image
              for each in (denoiser, load_denoiser(tmp_path / "model.pt"))]
    np.testing.assert_array_equal(*images)
    assert np.abs(images[0] - image).max() > 1


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_takes_the_settings_that_are_said_with_a_recipes_defaults(name):
    path, takes = NETWORKS[name]
    made_of = type(network(name, {}))
    assert path == f"{made_of.__module__}:{made_of.__name__}"
    parameters = inspect.signature(made_of).parameters
    assert set(parameters) == {"inputs", *takes}
    assert all(parameters[each].default == getattr(Recipe, each) for each in takes)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("settings", [
    {"levels": 0}, {"width": 0}, {"width": 4.5}, {"dimensions": 4}, {"dimensions": 2, "slices": 2},
    {"slices": 3}, {"inputs": 0},
])
def test_settings_that_do_not_fit_are_refused(name, settings):
    with pytest.raises(ValueError, match=rf"(?i){name} takes|{name} cannot be made of"):
        network(name, settings)


@pytest.mark.parametrize(("name", "settings"), [
    ("redcnn", {"dimensions": 2, "slices": 3}), ("nafnet", {"levels": 1}),
    ("unet", {"levels": 1, "ct": True, "fusion": "late"}),
], ids=str)
def test_every_network_is_trained_from_a_recipe(name, settings, study_folder, tmp_path):
    (row,) = run(study_folder, tmp_path / "run", network=name, epochs=1,
                 **{"levels": Recipe.levels} | settings)
    assert 0 < row["nrmse"] < 1
    found = load_denoiser(tmp_path / "run" / "model.pt").settings
    assert (found["network"], found["inputs"]) == (name, ["low", "ct"][: 1 + ("ct" in settings)])
