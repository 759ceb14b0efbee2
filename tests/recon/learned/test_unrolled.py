"""Unrolled networks: what blocks are made of, their gradients, and what does not matter."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from recon import AcquisitionModel, backend
from recon.algorithms.em import updates
from recon.algorithms.subsets import Subsets
from recon.learned.layers import Layers
from recon.learned.unrolled import Unrolled, _Fusion, fused
from recon.method import UNROLLED
from tests.gpu import exact, on_gpu  # noqa: F401, a fixture
from tests.recon.cases import MACHINES
from tests.recon.learned.small import PLAIN, TIMED

SEEN = (slice(0, 4), slice(0, 3), slice(1, 5))


class Small(nn.Module):
    """The first channel and a convolution of all, with a number that the noise scales."""

    def __init__(self, channels=1, seed=0):
        super().__init__()
        self.conv = nn.Conv3d(channels, 1, 3, padding=1)
        rng = torch.Generator().manual_seed(seed)
        for values in self.parameters():
            values.data = 0.2 * torch.randn(values.shape, generator=rng)

    def forward(self, x, noise):
        return x[:, :1] + self.conv(x) * noise.reshape(-1, 1, 1, 1, 1)


def scan(projector=PLAIN, unit=1.0, seed=1, subsets=2, machine="cpu"):
    """Subsets of a scan of a random image, and a first image, in a unit, on a machine."""
    rng = np.random.default_rng(seed)
    factors = rng.uniform(0.5, 1.5, (*projector.out_shape[:2], projector.out_shape[-1]))
    factors[0, 0] = 0
    background = rng.uniform(0.1, 0.3, projector.out_shape).astype(np.float32)
    truth = rng.uniform(0, 2, projector.in_shape).astype(np.float32)
    model = AcquisitionModel(projector, factors=(factors / unit).astype(np.float32),
                             background=background)
    prompts = rng.poisson(model(truth * np.float32(unit))).astype(np.float32)
    start = np.float32(unit) * rng.uniform(0.5, 1.5, projector.in_shape).astype(np.float32)
    factors, background, prompts, start = (
        backend.to_device(array, machine) for array in (model.factors, background, prompts, start)
    )
    model = AcquisitionModel(projector, factors=factors, background=background)
    return Subsets(model, prompts, subsets), start


def layers(projector=PLAIN, unit=1.0, *, kind="fbsem", machine="cpu", **options):
    subsets = 1 if kind == "primal-dual" else 2
    data, start = scan(projector, unit, subsets=subsets, machine=machine)
    return Layers(data, start, level=1.5 * unit, noise=0.7, **options)


def unrolled(kind, *, blocks=2, shared=False, seed=0, beside=0, **options):
    channels = beside + (2 if kind == "primal-dual" else 1)
    count = 1 if shared else blocks
    torch.manual_seed(seed)
    made = Unrolled([Small(channels, seed + k) for k in range(count)], kind=kind, blocks=blocks,
                    **options)
    rng = torch.Generator().manual_seed(9)
    for name, values in made.named_parameters():  # a dual network's last layer is 0 at first
        if not values.any():
            size = 0.01 if name == "weights" else 0.1
            values.data = size * torch.randn(values.shape, generator=rng)
    return made


def test_fusion_is_the_root_of_its_quadratic_and_0_of_nothing():
    x = torch.tensor([2.0, 2.0, 2.0, 0.0, 3.0, 1e-6])
    answer = torch.tensor([2.0, 0.0, 6.0, -1.0, 5.0, 1e4])
    sensitivity = torch.tensor([4.0, 4.0, 4.0, 4.0, 0.0, 4.0])
    z = fused(x, answer, sensitivity, torch.tensor(8.0))
    # 2 z^2 + (1 - 2 r) z - x = 0: of r = x = 2 the root is 2, of r = 0 it is (sqrt(17) - 1) / 4.
    assert z[:2].tolist() == pytest.approx([2.0, (17**0.5 - 1) / 4])
    weight = 8.0 / 4.0
    left = weight * z**2 + (1 - weight * answer) * z - x
    assert left[[2, 5]].abs().div(z[[2, 5]] ** 2).max() < 1e-6
    assert z[3] == 0 and z[4] == 3  # what is not seen stays


def test_gradients_of_a_fusion_match_finite_differences():
    rng = np.random.default_rng(0)
    x, answer, weight = (torch.tensor(rng.uniform(low, 3, 8), requires_grad=True)
                         for low in (0.1, -3, 0.1))
    assert torch.autograd.gradcheck(_Fusion.apply, (x, answer, weight))


def test_without_weight_a_fbsem_is_osem():
    data, start = scan()
    given = Layers(data, start, level=1.5, noise=0.7)
    made = unrolled("fbsem", blocks=3, updates=2)
    made.weights.data[:] = -3  # 1e-38 counts
    expected = torch.from_numpy(next(islice(updates(data, start=start), 5, None)) / 1.5)
    seen = given.sensitivity > 0  # of the others one keeps the first image, and the other nothing
    assert torch.allclose(made(given)[seen], expected[seen], rtol=1e-5)


def test_with_all_weight_a_fbsem_is_its_network_where_that_is_positive():
    given, made = layers(), unrolled("fbsem", blocks=1)
    made.weights.data[:] = 1  # 2e14 counts
    answer = given.seen(made.networks[0], given.start)
    image, seen = made(given), given.sensitivity > 0
    assert torch.allclose(image[seen], answer.relu()[seen], atol=1e-4)


def test_a_gradient_of_nothing_leaves_em():
    given, made = layers(), unrolled("learned-gradient", blocks=2)
    for values in made.networks.parameters():
        values.data.zero_()
    expected = given.em(given.start, 0, 2)
    assert torch.allclose(made(given), expected, rtol=1e-6)


def test_a_first_primal_dual_block_without_training_goes_up_the_likelihood():
    data, start = scan(subsets=1)
    given = Layers(data, start, level=1.5, noise=0.7)
    made = Unrolled([Small(2)], kind="primal-dual", blocks=1)
    for values in made.networks.parameters():
        values.data.zero_()
    image = 1.5 * made(given).detach().numpy()
    model = data.model
    before, after = (model.log_likelihood(each, data.all_prompts) for each in (start, image))
    best = next(islice(updates(data, start=start), 200, None))
    assert after - before > 0.3 * (model.log_likelihood(best, data.all_prompts) - before)


@pytest.mark.parametrize("kind", UNROLLED)
@pytest.mark.parametrize("projector", [PLAIN, TIMED], ids=["plain", "tof"])
def test_gradients_of_weights_match_finite_differences(kind, projector):
    given, made = layers(projector, kind=kind), unrolled(kind).eval()
    target = torch.rand(projector.in_shape, generator=torch.Generator().manual_seed(3))

    def loss():
        return (made(given) - target).double().square().sum()

    loss().backward()
    rng = torch.Generator().manual_seed(5)
    for values in made.parameters():
        turn = torch.randn(values.shape, generator=rng)
        slope, step, kept = float((values.grad * turn).sum()), 2e-3, values.data.clone()
        ends = []
        for sign in (1, -1):
            values.data = kept + sign * step * turn / turn.norm()
            ends.append(loss().item())
        values.data = kept
        found = (ends[0] - ends[1]) / (2 * step) * turn.norm().item()
        # Rectifiers of many bins have kinks within a step.
        within = {"rel": 0.1, "abs": 0.02} if kind == "primal-dual" else {"rel": 0.03, "abs": 2e-3}
        assert slope == pytest.approx(found, **within)


@pytest.mark.parametrize("kind", UNROLLED)
def test_what_is_computed_again_gives_the_same_gradients(kind):
    given, found = layers(kind=kind), []
    for recompute in (False, True):
        made = unrolled(kind, blocks=3, shared=True, recompute=recompute)
        made(given).square().sum().backward()
        found.append([values.grad for values in made.parameters()])
    for once, again in zip(*found, strict=True):  # summed over blocks in another order
        assert torch.allclose(once, again, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", UNROLLED)
def test_blocks_apart_learn_from_their_own_image_alone(kind):
    given, made = layers(kind=kind), unrolled(kind, blocks=3)
    images = list(made.images(given, apart=True))
    images[2].square().sum().backward()
    for number, network in enumerate(made.networks):
        assert (network.conv.weight.grad is not None) == (number == 2)


@pytest.mark.parametrize("kind", UNROLLED)
def test_the_unit_of_a_scan_does_not_matter(kind):
    made = unrolled(kind)
    images = [made(layers(unit=unit, kind=kind)).detach() for unit in (1.0, 2500.0)]
    assert torch.allclose(*images, rtol=1e-4, atol=1e-6)


def test_networks_see_the_box_alone_and_what_lies_beside():
    beside = np.ones((1, *PLAIN.in_shape), np.float32)
    given = layers(box=SEEN, beside=beside)
    found = given.seen(lambda x, noise: 100 * x[:, 1:] + noise, given.start)
    inside = torch.zeros(PLAIN.in_shape, dtype=bool)
    inside[SEEN] = True
    assert (found[inside] == 100.7).all() and torch.equal(found[~inside], given.start[~inside])


@pytest.mark.parametrize("kind", UNROLLED)
def test_one_learns_what_another_knows_of_a_scan(kind):
    given = layers(kind=kind)
    target = unrolled(kind, seed=5)(given).detach()
    made = unrolled(kind, seed=1)
    optimizer, errors = torch.optim.Adam(made.parameters(), 1e-2), []
    for _ in range(40):
        optimizer.zero_grad()
        error = (made(given) - target).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0]


@pytest.mark.parametrize(("options", "said"), [
    ({"kind": "fbsm"}, "fbsem, learned-gradient, primal-dual, got 'fbsm'"),
    ({"blocks": 0}, "blocks from 1"), ({"updates": 0}, "updates from 1"),
    ({"blocks": 3}, "1 network or 3, one for each block, got 2"),
])
def test_settings_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Unrolled([Small(), Small()], **{"blocks": 2} | options)


def test_primal_dual_takes_all_data_at_once():
    with pytest.raises(ValueError, match="takes Layers of 1 subset, got 2"):
        unrolled("primal-dual")(layers())


def image_and_gradients(kind, projector, machine, **options):
    """The last image of a network that sees a box and an image beside, and its gradients."""
    beside = np.ones((1, *projector.in_shape), np.float32)
    given = layers(projector, kind=kind, machine=machine, box=SEEN, beside=beside)
    made = unrolled(kind, beside=1, **options).to(machine)
    image = made(given)
    image.square().sum().backward()
    return [value.detach().cpu() for value in (image, *(w.grad for w in made.parameters()))]


@on_gpu
@pytest.mark.parametrize("kind", UNROLLED)
@pytest.mark.parametrize("projector", [PLAIN, TIMED], ids=["plain", "tof"])
@pytest.mark.parametrize("recompute", [False, True])
def test_on_a_gpu_images_and_gradients_are_the_cpus(kind, projector, recompute, exact):  # noqa: F811
    ours, theirs = (image_and_gradients(kind, projector, machine, recompute=recompute)
                    for machine in ("cuda", "cpu"))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


@pytest.mark.parametrize("kind", UNROLLED)
@pytest.mark.parametrize("machine", MACHINES)
def test_autocast_rounds_networks_alone(kind, machine):
    with torch.autocast(machine, torch.bfloat16):
        ours = image_and_gradients(kind, PLAIN, machine)
    theirs = image_and_gradients(kind, PLAIN, "cpu")
    for one, other, most in zip(ours, theirs, [0.01] + [0.2] * len(ours[1:]), strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < most * other.norm()
