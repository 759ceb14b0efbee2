import numpy as np
import pytest
import torch

from recon import AcquisitionModel, GaussianBlur, ListModeProjector
from recon.acquisition import launch_on_bins
from recon.algorithms import osem
from recon.learned import EMUpdate, PoissonLikelihood, apply
from tests.gpu import on_gpu
from tests.recon.learned.small import PLAIN, TIMED, dense

BLUR = GaussianBlur(PLAIN.in_shape, (20, 25, 8), 30, threads=1)
CASES = {"plain": (PLAIN, None), "timed": (TIMED, None), "blurred": (PLAIN, BLUR)}
each_case = pytest.mark.parametrize("projector, blur", CASES.values(), ids=CASES)


def rand(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def scan(projector, blur=None, batch=()):
    """An image, prompts, factors and background: some bins masked, some of no background or counts.

    The background of masked bins is 0, too. Factors lack the time-of-flight axis.
    """
    layout = projector.layout
    image = 0.2 + rand(1, *batch, *projector.in_shape)
    factors = 0.02 + 0.1 * rand(2, *batch, *layout.without_tof().shape)
    background = 0.3 * rand(3, *batch, *layout.shape)
    background[..., ::2] = 0
    factors[..., 3, 1, :] = 0
    every = factors.unsqueeze(-2).expand(background.shape) if layout.tof else factors
    background[every == 0] = 0
    expected = every * apply(projector, image) + background
    prompts = torch.poisson(expected, torch.Generator().manual_seed(4))
    assert prompts.max() > 2 and (prompts == 0).any()
    return image, prompts, factors, background


def sensitivity_of(projector, factors, blur=None):
    model = AcquisitionModel(projector, blur=blur, factors=factors.numpy())
    return torch.from_numpy(model.sensitivity())


def update_by_matrix(projector, blur, x, y, s, m, b):
    """EMUpdate in float64 and plain torch: what the layer is compared with."""
    system = dense(projector if blur is None else projector @ blur)
    m = m.unsqueeze(-2).expand(y.shape) if m.ndim < y.ndim else m
    y, m, b, s = (t.double().ravel() for t in (y, m, b, s))
    expected = m * (system @ x.ravel()) + b
    ratio = torch.where(expected > 0, m * y / torch.where(expected > 0, expected, 1), 0)
    change = torch.where(s > 0, system.T @ ratio / torch.where(s > 0, s, 1), 1)
    return x * change.reshape(x.shape)


def likelihood_by_matrix(projector, blur, x, y, m, b):
    """PoissonLikelihood in float64 and plain torch, of the bins that can count."""
    system = dense(projector if blur is None else projector @ blur)
    m = m.unsqueeze(-2).expand(y.shape) if m.ndim < y.ndim else m
    y, m, b = (t.double().ravel() for t in (y, m, b))
    expected = m * (system @ x.ravel()) + b
    y, expected = y[expected > 0], expected[expected > 0]
    return (expected - y * expected.log()).sum()


def assert_near(ours, theirs, tolerance=1e-5):
    gap = (ours.double() - theirs.double()).abs().max()
    assert gap <= tolerance * theirs.abs().max()


@each_case
def test_an_update_is_what_osem_makes_of_all_bins(projector, blur):
    x, y, m, b = scan(projector, blur)
    model = AcquisitionModel(projector, blur=blur, factors=m.numpy(), background=b.numpy())
    s = sensitivity_of(projector, m, blur)
    theirs = next(osem(model, y.numpy(), subsets=1, start=x.numpy()))
    ours = EMUpdate(projector, blur)(x, y, s, m, b)
    seen = s > 0  # osem sets the others to 0 after its first pass
    assert seen.any()
    assert_near(ours[seen], torch.from_numpy(theirs)[seen], 1e-6)


@each_case
def test_an_update_by_a_subset_of_the_views_is_what_osem_makes_of_them(projector, blur):
    x, y, m, b = scan(projector, blur)
    model = AcquisitionModel(projector, blur=blur, factors=m.numpy(), background=b.numpy())
    updates = osem(model, y.numpy(), subsets=4, start=x.numpy(), order="sequential")
    first = next(updates).copy()
    part = projector.subset(slice(1, None, 4))
    s = sensitivity_of(part, m[1::4], blur)
    ours = EMUpdate(part, blur)(torch.from_numpy(first), y[1::4], s, m[1::4], b[1::4])
    assert_near(ours, torch.from_numpy(next(updates)), 1e-6)


def test_without_factors_and_background_they_are_1_and_0():
    x, y, m, b = scan(PLAIN)
    s = sensitivity_of(PLAIN, m)
    bare, full = (x, y), (torch.ones_like(m), torch.zeros_like(b))
    assert EMUpdate(PLAIN)(*bare, s).equal(EMUpdate(PLAIN)(*bare, s, *full))
    assert PoissonLikelihood(PLAIN)(*bare) == PoissonLikelihood(PLAIN)(*bare, *full)


@pytest.mark.parametrize("timed", [False, True])
def test_differences_confirm_the_gradients_of_the_reference(timed):
    projector = TIMED if timed else PLAIN
    x, y, m, b = scan(projector)
    s, x = sensitivity_of(projector, m), x.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: update_by_matrix(projector, None, x, y, s, m, b), x, fast_mode=True
    )
    assert torch.autograd.gradgradcheck(
        lambda x: likelihood_by_matrix(projector, None, x, y, m, b), x, fast_mode=True
    )


@each_case
def test_the_gradient_of_an_update_is_the_references(projector, blur):
    x, y, m, b = scan(projector, blur)
    s, weights = sensitivity_of(projector, m, blur), rand(5, *x.shape) - 0.5
    exact, x = x.double().requires_grad_(), x.requires_grad_()
    theirs = update_by_matrix(projector, blur, exact, y, s, m, b)
    ours = EMUpdate(projector, blur)(x, y, s, m, b)
    assert_near(ours, theirs)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    assert_near(x.grad, exact.grad)


@each_case
def test_the_likelihood_and_its_gradient_are_the_references(projector, blur):
    x, y, m, b = scan(projector, blur)
    exact, x = x.double().requires_grad_(), x.requires_grad_()
    theirs = likelihood_by_matrix(projector, blur, exact, y, m, b)
    ours = PoissonLikelihood(projector, blur)(x, y, m, b)
    assert ours.dtype == torch.float64
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    ours.backward()
    theirs.backward()
    assert_near(x.grad, exact.grad)


@each_case
def test_the_likelihoods_curvature_is_the_references(projector, blur):
    x, y, m, b = scan(projector, blur)
    weights, products = rand(5, *x.shape) - 0.5, []
    for value, image in (
        (likelihood_by_matrix, x.double().requires_grad_()),
        (lambda p, g, *data: PoissonLikelihood(p, g)(*data), x.clone().requires_grad_()),
    ):
        found = value(projector, blur, image, y, m, b)
        (gradient,) = torch.autograd.grad(found, image, create_graph=True)
        products.append(torch.autograd.grad((gradient * weights).sum(), image)[0])
    assert_near(products[1], products[0])


@each_case
def test_the_gradient_of_the_likelihood_is_sensitivity_less_back_projected_ratio(projector, blur):
    x, y, m, b = scan(projector, blur)
    model = AcquisitionModel(projector, blur=blur, factors=m.numpy(), background=b.numpy())
    x.requires_grad_()
    PoissonLikelihood(projector, blur)(x, y, m, b).backward()
    ratio = model.back(model.ratio(x.detach().numpy(), y.numpy()))
    assert_near(x.grad, torch.from_numpy(model.sensitivity() - ratio))


@each_case
def test_the_likelihood_is_the_acquisition_models(projector, blur):
    x, y, m, b = scan(projector, blur)
    model = AcquisitionModel(projector, blur=blur, factors=m.numpy(), background=b.numpy())
    theirs = -model.log_likelihood(x.numpy(), y.numpy())
    assert PoissonLikelihood(projector, blur)(x, y, m, b).item() == theirs


@pytest.mark.parametrize("batch", [(2,), (1, 2)])
@pytest.mark.parametrize("projector", [PLAIN, TIMED], ids=["plain", "timed"])
def test_a_batch_gives_what_its_samples_give(projector, batch):
    x, y, m, b = scan(projector, batch=batch)
    x.requires_grad_()
    s = torch.stack([sensitivity_of(projector, each) for each in m.flatten(0, -4)])
    s = s.reshape(x.shape)
    update = EMUpdate(projector)(x, y, s, m, b)
    likelihood = PoissonLikelihood(projector)(x, y, m, b)
    assert (update.shape, likelihood.shape) == (x.shape, batch)
    (gradient,) = torch.autograd.grad(update.sum() + likelihood.sum(), x)
    for at in np.ndindex(batch):
        image = x[at].detach().requires_grad_()
        one = EMUpdate(projector)(image, y[at], s[at], m[at], b[at])
        other = PoissonLikelihood(projector)(image, y[at], m[at], b[at])
        assert update[at].equal(one) and likelihood[at] == other
        assert gradient[at].equal(torch.autograd.grad(one.sum() + other, image)[0])


def test_images_of_a_batch_share_data_that_are_expanded():
    x, y, m, b = scan(PLAIN)
    s, images = sensitivity_of(PLAIN, m), torch.stack([x, 2 * x])
    shared = [t.expand(2, *t.shape) for t in (y, m, b)]
    both = EMUpdate(PLAIN)(images, shared[0], s, *shared[1:])
    assert both[0].equal(EMUpdate(PLAIN)(x, y, s, m, b))
    assert both[1].equal(EMUpdate(PLAIN)(2 * x, y, s, m, b))


def test_the_gradient_through_updates_in_a_row_is_the_references():
    x, y, m, b = scan(PLAIN)
    s, exact, x = sensitivity_of(PLAIN, m), x.double().requires_grad_(), x.requires_grad_()
    ours, theirs, layer = x, exact, EMUpdate(PLAIN)
    for _ in range(3):
        ours = layer(ours, y, s, m, b)
        theirs = update_by_matrix(PLAIN, None, theirs, y, s, m, b)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    assert_near(x.grad, exact.grad, 3e-5)


@pytest.mark.parametrize("garbage", [1e9, float("nan")])
def test_what_masked_bins_counted_changes_neither_values_nor_gradients(garbage):
    x, y, m, b = scan(PLAIN)
    x.requires_grad_()
    s, results = sensitivity_of(PLAIN, m), []
    for counts in (0.0, garbage):
        y = torch.where(m == 0, counts, y)
        update, likelihood = EMUpdate(PLAIN)(x, y, s, m, b), PoissonLikelihood(PLAIN)(x, y, m, b)
        results.append((update, likelihood, *torch.autograd.grad(update.sum() + likelihood, x)))
    for clean, spoiled in zip(*results, strict=True):
        assert clean.equal(spoiled)


def test_a_voxel_that_is_not_seen_stays_and_passes_its_gradient_on():
    x, y, m, b = scan(PLAIN)
    x.requires_grad_()
    s = sensitivity_of(PLAIN, m)
    update = EMUpdate(PLAIN)(x, y, s, m, b)
    unseen = s == 0
    assert unseen.any() and update[unseen].equal(x[unseen])
    (gradient,) = torch.autograd.grad((3 * update)[unseen].sum(), x)
    assert torch.all(gradient[unseen] == 3) and torch.all(gradient[~unseen] == 0)


def test_an_image_of_zeros_gives_zeros_and_a_finite_gradient():
    # Without a background nothing is expected: such bins say nothing.
    x, y, m, _ = scan(PLAIN)
    x = torch.zeros_like(x).requires_grad_()
    update = EMUpdate(PLAIN)(x, y, sensitivity_of(PLAIN, m), m)
    update.sum().backward()
    assert not update.any() and x.grad.isfinite().all()


def test_counts_of_which_none_are_expected_are_infinitely_unlikely():
    x, y, m, _ = scan(PLAIN)
    assert PoissonLikelihood(PLAIN)(torch.zeros_like(x), y, m).item() == float("inf")


def test_the_gradient_of_a_ratio_worked_out_by_hand():
    # -g r^2 / y: -2 * 9 / 3, nothing where the ratio is 0, and -1 * 16 / 8.
    arrays = [np.array(v, np.float32).reshape(2, 1, 2) for v in ([2, 5, 7, 1], [3, 0, 0, 4])]
    counts = np.array([3, 0, 6, 8], np.float32).reshape(2, 1, 2)
    out = np.full_like(counts, np.nan)
    launch_on_bins("em_ratio_back", [out, *arrays], [counts])
    assert out.ravel().tolist() == [-6, 0, 0, -2]


def test_a_small_gradient_of_a_ratio_that_squared_is_infinite_is_finite():
    # A gradient of 1e-18 and 100 counts where 1e-19 are expected: 1e-18 * 1e21^2 / 100.
    gradient, ratio, counts = (np.full((1, 1, 1), v, np.float32) for v in (1e-18, 1e21, 100))
    out = np.empty_like(ratio)
    launch_on_bins("em_ratio_back", [out, gradient, ratio], [counts])
    assert out[0, 0, 0] == pytest.approx(-1e22, rel=1e-5)


def test_of_half_precision_come_float32_and_of_float64_float64():
    x, y, m, b = scan(PLAIN)
    layer, data = EMUpdate(PLAIN), (y, sensitivity_of(PLAIN, m), m, b)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x.bfloat16(), *data)
    assert half.equal(layer(x.bfloat16().float(), *data))
    assert layer(x.double(), *data).equal(layer(x, *data).double())


def test_updates_are_not_differentiated_twice():
    x, y, m, b = scan(PLAIN)
    x.requires_grad_()
    update = EMUpdate(PLAIN)(x, y, sensitivity_of(PLAIN, m), m, b)
    (gradient,) = torch.autograd.grad(update.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("name", ["prompts", "sensitivity", "factors", "background"])
def test_data_that_require_a_gradient_are_refused(name):
    x, y, m, b = scan(PLAIN)
    data = {"prompts": y, "factors": m, "background": b, "sensitivity": sensitivity_of(PLAIN, m)}
    data[name].requires_grad_()
    with pytest.raises(ValueError, match=rf"{name} takes a tensor that requires no .*detach\(\)"):
        EMUpdate(PLAIN)(x, **data)


@pytest.mark.parametrize("name", ["prompts", "sensitivity", "factors", "background"])
def test_data_without_the_images_axes_of_a_batch_are_refused(name):
    x, y, m, b = scan(PLAIN, batch=(2,))
    s = torch.ones(x.shape)
    data = {"prompts": y, "factors": m, "background": b, "sensitivity": s}
    data[name] = data[name][:1]
    with pytest.raises(ValueError, match=f"{name} takes .*2.*, got .*1"):
        EMUpdate(PLAIN)(x, **data)


def test_arrays_are_refused_with_how_to_make_a_tensor():
    x, y, _, _ = scan(PLAIN)
    with pytest.raises(TypeError, match=r"prompts takes a tensor, got ndarray; .*as_tensor"):
        PoissonLikelihood(PLAIN)(x, y.numpy())


def test_listed_events_update_an_image_but_have_no_likelihood():
    ends = np.eye(3, dtype=np.float32) * 90
    listed = ListModeProjector(ends, -ends, PLAIN.grid, threads=1)
    image, ones = torch.ones(PLAIN.in_shape), torch.ones(3)
    model = AcquisitionModel(listed)
    ours = EMUpdate(listed)(image, ones, image)
    assert ours.equal(torch.from_numpy(model.back(model.ratio(image.numpy()))).where(ours != 1, 1))
    with pytest.raises(ValueError, match="got listed events"):
        PoissonLikelihood(listed)(image, ones)


@on_gpu
@each_case
def test_on_a_gpu_values_and_gradients_are_the_cpus(projector, blur):
    x, y, m, b = scan(projector, blur, batch=(2,))
    results = []
    for device in ("cpu", "cuda"):
        image = x.to(device).requires_grad_()
        y, m, b = (t.to(device) for t in (y, m, b))
        s = torch.ones_like(image)
        update = EMUpdate(projector, blur)(image, y, s, m, b)
        likelihood = PoissonLikelihood(projector, blur)(image, y, m, b)
        gradient = torch.autograd.grad(update.sum() + likelihood.sum(), image)
        results.append([t.detach().cpu() for t in (update, likelihood, *gradient)])
    for ours, theirs in zip(*results[::-1], strict=True):
        assert_near(ours, theirs)
