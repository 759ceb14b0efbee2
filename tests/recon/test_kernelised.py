"""The kernel matrix of an anatomical image, and expectation maximisation with it."""

import itertools
from itertools import islice

import numpy as np
import pytest

from recon import Grid, backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import KernelMatrix, Subsets, kem, osem
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector
from tests.recon.cases import GRIDS, LAYOUTS, MACHINES, adjoint_gap, after, on_cpu, uniform

SMALL = Grid.centred(shape=(4, 5, 11), voxel_mm=(4, 5, 3))  # more z than a vector holds
GREY = uniform(SMALL.shape, seed=2)
TISSUES = np.random.default_rng(1).integers(0, 3, SMALL.shape).astype(np.float32)  # many ties
OPTIONS = {
    "default": {},
    "few neighbours": {"neighbours": 4, "reach": 1, "sigma": 0.2},
    "whole window and a Gaussian of distance": {
        "neighbours": 125, "sigma": 0.3, "distance_sigma_mm": 6},
    "a long reach": {"neighbours": 40, "reach": 3, "sigma": 0.5},
}
LAYOUT, GRID = LAYOUTS["span 3"], GRIDS["half the ring spacing"]


def dense(anatomy, grid, neighbours=27, reach=2, sigma=None, distance_sigma_mm=np.inf):
    """K as (voxels, voxels), float64, voxel by voxel, by sorting."""
    sigma = sigma or anatomy.astype(np.float64).std()
    numbers = np.arange(anatomy.size).reshape(grid.shape)
    matrix = np.zeros((anatomy.size, anatomy.size))
    window = list(itertools.product(range(-reach, reach + 1), repeat=3))
    for voxel in np.ndindex(grid.shape):
        ranked = []
        for order, offset in enumerate(window):
            other = tuple(np.add(voxel, offset))
            if all(0 <= o < n for o, n in zip(other, grid.shape, strict=True)):
                squared_mm = sum((np.multiply(offset, grid.voxel_mm)) ** 2)
                ranked.append((abs(anatomy[other] - anatomy[voxel]), squared_mm, order, other))
        for difference, squared_mm, _, other in sorted(ranked)[:neighbours]:
            matrix[numbers[voxel], numbers[other]] = np.exp(
                -float(difference) ** 2 / (2 * sigma**2) - squared_mm / (2 * distance_sigma_mm**2)
            )
    return matrix / matrix.sum(axis=1, keepdims=True)


def line(values, **options):
    """The kernel matrix of voxels along z."""
    grid = Grid.centred(shape=(1, 1, len(values)), voxel_mm=(1, 1, 1))
    return KernelMatrix(np.array(values).reshape(grid.shape), grid, **options)


def rows(operator):
    """An operator of voxels along z written out, (voxels, voxels)."""
    units = np.eye(operator.in_shape[-1], dtype=np.float32)
    return np.stack([operator(unit.reshape(1, 1, -1)).ravel() for unit in units], axis=1)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("anatomy", [GREY, TISSUES], ids=["grey", "tissues"])
@pytest.mark.parametrize("name", OPTIONS)
def test_kernel_matrix_is_that_of_sorting_the_neighbours_of_each_voxel(name, anatomy, machine):
    expected = dense(anatomy, SMALL, **OPTIONS[name])
    kernel = KernelMatrix(backend.to_device(anatomy, machine), SMALL, **OPTIONS[name])
    image = uniform(SMALL.shape, seed=3)
    found = on_cpu(kernel(backend.to_device(image, machine)))
    np.testing.assert_allclose(found.ravel(), expected @ image.ravel(), rtol=3e-6)
    found = on_cpu(kernel.T(backend.to_device(image, machine)))
    np.testing.assert_allclose(found.ravel(), expected.T @ image.ravel(), rtol=3e-6)


def test_kernel_matrix_of_three_voxels_is_what_is_worked_out_by_hand():
    # 0, 0, 2 with two voxels each and sigma 2: between the last two exp(-4 / 8).
    w = np.exp(-0.5)
    expected = [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, w / (1 + w), 1 / (1 + w)]]
    kernel = line([0, 0, 2], neighbours=2, reach=1, sigma=2)
    np.testing.assert_allclose(rows(kernel), expected, rtol=1e-6)
    np.testing.assert_allclose(rows(kernel.T), np.transpose(expected), rtol=1e-6)


def test_sigma_by_default_is_the_standard_deviation_of_the_anatomy():
    assert line([0, 0, 6, 6]).sigma == pytest.approx(3)


def test_in_flat_anatomy_a_voxel_becomes_the_mean_of_the_27_nearest():
    grid = Grid.centred(shape=(7, 7, 7), voxel_mm=(3, 3, 3))
    image = np.zeros(grid.shape, np.float32)
    image[3, 3, 3] = 27
    expected = np.zeros(grid.shape)
    expected[2:5, 2:5, 2:5] = 1
    found = KernelMatrix(np.full(grid.shape, 5.0), grid)(image)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", OPTIONS)
def test_a_flat_image_stays_flat_up_to_the_border(name, machine):
    kernel = KernelMatrix(backend.to_device(GREY, machine), SMALL, **OPTIONS[name])
    flat = backend.to_device(np.full(SMALL.shape, 3, np.float32), machine)
    np.testing.assert_allclose(on_cpu(kernel(flat)), 3, rtol=1e-6)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("shape", [(4, 5, 11), (1, 1, 1), (1, 9, 1), (2, 3, 40), (6, 1, 3)])
def test_kernel_matrix_has_its_exact_transpose_at_the_border_too(shape, machine):
    grid = Grid.centred(shape=shape, voxel_mm=(4, 5, 3))
    anatomy = backend.to_device(uniform(shape, seed=2), machine)
    assert adjoint_gap(KernelMatrix(anatomy, grid, sigma=0.3), machine) < 1e-6


def test_one_neighbour_is_the_voxel_itself():
    image = uniform(SMALL.shape, seed=3)
    kernel = KernelMatrix(GREY, SMALL, neighbours=1)
    np.testing.assert_array_equal(kernel(image), image)
    np.testing.assert_array_equal(kernel.T(image), image)


def test_no_face_of_a_box_in_the_anatomy_is_crossed():
    grid = Grid.centred(shape=(12, 11, 13), voxel_mm=(4, 4, 4))
    box = np.zeros(grid.shape, np.float32)
    box[4:8, 3:8, 5:10] = 1
    image = 2 + 5 * box
    np.testing.assert_allclose(KernelMatrix(100 * box, grid)(image), image, rtol=1e-6)


def test_voxels_as_unlike_as_can_be_keep_their_values():
    kernel = line([0, 1e6, -3e6], neighbours=3, sigma=1e-3)
    np.testing.assert_array_equal(rows(kernel), np.eye(3))


def test_kernel_matrix_is_the_same_to_the_bit_for_any_number_of_threads():
    image, found = uniform(SMALL.shape, seed=3), []
    for threads in (1, 2, 3):
        kernel = KernelMatrix(GREY, SMALL, threads=threads)
        found.append(kernel(image).tobytes() + kernel.T(image).tobytes())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("anatomy, options, said", [
    (GREY[1:], {}, r"the anatomy takes the grid's shape \(4, 5, 11\), got \(3, 5, 11\)"),
    (np.where(GREY > 0.9, np.nan, GREY), {}, "the anatomy takes finite values, got NaN"),
    (GREY, {"neighbours": 0}, "neighbours takes a number from 1 .* got 0 and a reach of 2"),
    (GREY, {"neighbours": 28, "reach": 1}, "got 28 and a reach of 1"),
    (GREY, {"reach": 0, "neighbours": 1}, "reach from 1"),
    (GREY, {"sigma": 0}, "sigma takes a width above 0, got 0"),
    (GREY, {"distance_sigma_mm": np.nan}, "distance_sigma_mm takes a width above 0, got nan"),
])
def test_what_makes_no_kernel_matrix_is_refused(anatomy, options, said):
    with pytest.raises(ValueError, match=said):
        KernelMatrix(anatomy, SMALL, **options)


def two_tissues(counts=4.0, seed=5):
    """A cylinder of two tissues that meet at x = 8, active 1 and 3, its model and counts."""
    inside = np.broadcast_to(GRID.cylinder(40.0), GRID.shape)
    anatomy = np.where(inside, 1, 0).astype(np.float32)
    anatomy[8:] *= 2
    activity = np.choose(anatomy.astype(int), [0, 1, 3]).astype(np.float32)
    model = AcquisitionModel(SinogramProjector(LAYOUT, GRID))
    expected = model(activity)
    factors = np.full(LAYOUT.shape, counts / expected.mean(), np.float32)
    background = np.full(LAYOUT.shape, 0.5, np.float32)
    model = AcquisitionModel(model.projector, factors=factors, background=background)
    prompts = np.random.default_rng(seed).poisson(model(activity)).astype(np.float32)
    return anatomy, activity, model, prompts


FLAT = np.s_[10:12, 6:-6, 2:-2]  # well inside one tissue


def noise(image):
    """Standard deviation where activity is flat over its mean."""
    return image[FLAT].std() / image[FLAT].mean()


def edge(image):
    """How much higher an image is on one side of the edge of the tissues than on the other."""
    return image[8, 5:-5, 2:-2].mean() - image[7, 5:-5, 2:-2].mean()


@pytest.fixture(scope="module")
def compared():
    """Images of OSEM and of kernelised EM after as many updates: of counts, of expected counts."""
    anatomy, activity, model, prompts = two_tissues()
    kernel = KernelMatrix(anatomy, GRID)
    return [
        (after(16, osem(model, data, subsets=4)), after(16, kem(Subsets(model, data, 4), kernel)))
        for data in (prompts, model(activity))
    ]


def test_kem_has_a_third_of_the_noise_of_osem_after_as_many_updates(compared):
    plain, guided = compared[0]
    assert noise(guided) < noise(plain) / 3


def test_kem_shows_an_edge_of_the_anatomy_as_high_as_osem_after_as_many_updates(compared):
    plain, guided = compared[1]  # without noise; the edge is 2
    assert 1.6 < edge(plain) < edge(guided) < 2.05


def test_a_blur_that_takes_as_much_noise_from_osem_takes_half_of_the_edge_too(compared):
    (plain, guided), (plain_edge, _) = compared
    blur = GaussianBlur(GRID.shape, GRID.voxel_mm, 12)
    assert noise(blur(plain)) == pytest.approx(noise(guided), rel=0.3)
    assert edge(blur(plain_edge)) < edge(plain_edge) / 2


def test_kem_lowers_a_hot_spot_that_the_anatomy_does_not_show():
    anatomy, activity, model, _ = two_tissues()
    activity[10, 8, 4] = 15
    data = model(activity)
    plain = after(16, osem(model, data, subsets=4))
    guided = after(16, kem(Subsets(model, data, 4), KernelMatrix(anatomy, GRID)))
    assert guided[10, 8, 4] < plain[10, 8, 4] / 2


def test_kem_of_one_neighbour_is_osem():
    anatomy, _, model, prompts = two_tissues()
    kernel = KernelMatrix(anatomy, GRID, neighbours=1)
    np.testing.assert_array_equal(
        after(6, kem(Subsets(model, prompts, 4), kernel)), after(6, osem(model, prompts, subsets=4))
    )


@pytest.mark.parametrize("blurred", [False, True])
def test_images_of_kem_become_more_likely_with_every_iteration(blurred):
    anatomy, _, model, prompts = two_tissues()
    if blurred:
        blur = GaussianBlur(GRID.shape, GRID.voxel_mm, 9)
        model = AcquisitionModel(model.projector, blur=blur, factors=model.factors,
                                 background=model.background)
    images = islice(kem(Subsets(model, prompts, 1), KernelMatrix(anatomy, GRID)), 8)
    likelihood = [model.log_likelihood(image, prompts) for image in images]
    assert np.all(np.diff(likelihood) > 0)


def test_kem_yields_a_new_image_each_time():
    anatomy, _, model, prompts = two_tissues()
    first, second = islice(kem(Subsets(model, prompts, 4), KernelMatrix(anatomy, GRID)), 2)
    assert not np.shares_memory(first, second)


def test_kem_passes_on_what_osem_takes():
    anatomy, _, model, prompts = two_tissues()
    start = np.ones(GRID.shape, np.float32)
    start[:4] = 0
    kernel = KernelMatrix(anatomy, GRID)
    one, other = (after(3, kem(Subsets(model, prompts, 4, order=order), kernel, start=start))
                  for order in ("spread", "sequential"))
    assert not one[:2].any()  # coefficients of 0 stay, farther than the reach of 2
    assert not np.array_equal(one, other)


def test_kem_is_the_same_to_the_bit_for_any_number_of_threads():
    anatomy, _, model, prompts = two_tissues()
    found = []
    for threads in (1, 3):
        same = AcquisitionModel(SinogramProjector(LAYOUT, GRID, threads=threads),
                                factors=model.factors, background=model.background)
        kernel = KernelMatrix(anatomy, GRID, threads=threads)
        found.append(after(5, kem(Subsets(same, prompts, 4), kernel)).tobytes())
    assert found[0] == found[1]


def test_kem_refuses_a_kernel_on_other_images():
    _, _, model, prompts = two_tissues()
    with pytest.raises(ValueError, match=r"kernel on images \(17, 16, 9\) like the model"):
        next(kem(Subsets(model, prompts, 4), KernelMatrix(GREY, SMALL)))
