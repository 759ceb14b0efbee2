import numpy as np
import pytest

from recon import Grid, Segment, SinogramLayout, backend, chunks, projectors
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector
from tests.recon.cases import (
    GRIDS,
    LAYOUTS,
    MACHINES,
    TINY,
    adjoint_gap,
    on_cpu,
    uniform,
)
from tests.recon.reference_joseph import ray_integrals

SPAN_1, SPAN_3 = LAYOUTS["span 1"], LAYOUTS["span 3"]


def farthest_from_walk(sinogram, image, layout, grid):
    """Largest difference from the float64 reference along a third of the rays, over its maximum."""
    rays = [(view, radial) for view in range(layout.views) for radial in range(layout.radial_bins)]
    walked = {ray: ray_integrals(image, layout, grid, *ray) for ray in rays[::3]}
    most = max(values.max() for values in walked.values())
    gaps = [np.abs(sinogram[ray] - values).max() for ray, values in walked.items()]
    return max(gaps) / most if most else max(gaps)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_back_projection_is_the_transpose_of_forward_projection(layout, grid, machine):
    assert adjoint_gap(SinogramProjector(LAYOUTS[layout], GRIDS[grid]), machine) <= 1e-6


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("views", [slice(5, 6), slice(1, None, 4), slice(None, None, -1)])
def test_a_subset_of_views_is_adjoint(views, machine):
    operator = SinogramProjector(SPAN_1, GRIDS["half the ring spacing"], views=views)
    assert adjoint_gap(operator, machine) <= 1e-6


@pytest.mark.parametrize("machine", MACHINES)
def test_projector_after_blur_is_adjoint_at_the_image_border_too(machine):
    grid = GRIDS["half the ring spacing"]
    operator = SinogramProjector(SPAN_3, grid) @ GaussianBlur(grid.shape, grid.voxel_mm, (9, 0, 14))
    assert adjoint_gap(operator, machine) <= 1e-6


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    "layout",
    ["span 1", "span 3", "mashed views that do not divide", "bins at and past the detectors"],
)
def test_line_integrals_agree_with_a_float64_walk_to_1e_5_of_the_maximum(layout, grid, machine):
    layout, grid = LAYOUTS[layout], GRIDS[grid]
    if grid is GRIDS["many thin slices"]:  # needs cut steps: see the test of one segment below
        layout = layout.with_(segments=layout.segments[:1])
    image = uniform(grid.shape)
    ours = on_cpu(SinogramProjector(layout, grid)(backend.to_device(image, machine)))
    assert farthest_from_walk(ours, image, layout, grid) <= 1e-5


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("voxel_z_mm", [1.0, 0.7, 4 / 3])
@pytest.mark.parametrize("difference", [-4, 3])
def test_steep_segments_agree_with_a_float64_walk_that_cuts_its_steps(
    difference, voxel_z_mm, machine
):
    # 4 rings of 8 mm over 210 mm: a step of 12 mm or more advances 1.8 mm along z.
    planes = 5 - abs(difference)
    segment = Segment(
        min_ring_difference=difference, max_ring_difference=difference, planes=planes
    )
    layout = SPAN_1.with_(segments=(segment,))
    grid = Grid.centred(shape=(9, 10, 41), voxel_mm=(13, 12, voxel_z_mm), centre_mm=(2, 1, 1))
    image = uniform(grid.shape)
    ours = on_cpu(SinogramProjector(layout, grid)(backend.to_device(image, machine)))
    assert farthest_from_walk(ours, image, layout, grid) <= 1e-5


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "layout, grid",
    [
        ("span 1", "half the ring spacing"),
        ("span 1", "the ring spacing"),
        ("span 3", "half the ring spacing"),
        ("span 3", "partly above"),
        ("even number of TOF bins", "half the ring spacing"),
    ],
)
def test_the_path_for_any_voxel_height_gives_what_the_fast_paths_give(
    layout, grid, machine, monkeypatch
):
    layout, grid = LAYOUTS[layout], GRIDS[grid]
    fast = SinogramProjector(layout, grid)
    image = backend.to_device(uniform(grid.shape), machine)
    sinogram = backend.to_device(uniform(layout.shape), machine)
    one, other = on_cpu(fast(image)), on_cpu(fast.T(sinogram))
    monkeypatch.setattr(chunks, "_spacings", lambda step, counts: np.zeros(len(counts), int))
    general = SinogramProjector(layout, grid)
    np.testing.assert_allclose(on_cpu(general(image)), one, atol=1e-5 * one.max())
    np.testing.assert_allclose(on_cpu(general.T(sinogram)), other, atol=1e-5 * other.max())


@pytest.mark.parametrize(
    "grid",
    [
        "half the ring spacing",
        "many thin slices",
    ],
)
def test_launches_of_few_segments_and_views_give_what_one_launch_gives(grid, monkeypatch):
    layout, grid = SPAN_1, GRIDS[grid]
    image, sinogram = uniform(grid.shape), uniform(layout.shape)
    whole = SinogramProjector(layout, grid)
    expected, back = whole(image), whole.T(sinogram)
    monkeypatch.setattr(chunks, "CPU_FLOATS", 1)
    monkeypatch.setattr(projectors, "CACHED_BYTES", 3 * sinogram[0].nbytes)
    split = SinogramProjector(layout, grid)
    np.testing.assert_allclose(split(image), expected, atol=1e-5 * expected.max())
    np.testing.assert_allclose(split.T(sinogram), back, atol=1e-5 * back.max())


@pytest.mark.parametrize("layout", ["span 1", "odd number of TOF bins"])
@pytest.mark.parametrize("grid", ["half the ring spacing", "no fraction of the ring spacing"])
def test_results_are_the_same_to_the_bit_for_any_number_of_threads(layout, grid):
    layout, grid = LAYOUTS[layout], GRIDS[grid]
    one, two, three = (SinogramProjector(layout, grid, threads=n) for n in (1, 2, 3))
    image, sinogram = uniform(grid.shape), uniform(layout.shape)
    assert one(image).tobytes() == two(image).tobytes() == three(image).tobytes()
    back = [operator.T(sinogram).tobytes() for operator in (one, two, three)]
    assert back[0] == back[1] == back[2]


@pytest.mark.parametrize("layout", ["span 3", "mashed views that do not divide"])
@pytest.mark.parametrize(
    "views", [slice(0, 3), slice(1, None, 4), slice(None, None, -1), slice(4, None, -2)]
)
def test_projector_of_a_subset_gives_those_views_to_the_bit(layout, views):
    layout, grid = LAYOUTS[layout], GRIDS["half the ring spacing"]
    image, whole = uniform(grid.shape), SinogramProjector(layout, grid)
    assert whole.subset(views)(image).tobytes() == whole(image)[views].tobytes()


def test_subset_of_a_subset_counts_within_the_subset():
    grid = GRIDS["half the ring spacing"]
    whole, image = SinogramProjector(SPAN_1, grid), uniform(grid.shape)
    inner = whole.subset(slice(1, None, 3)).subset(slice(None, None, -2))
    assert inner(image).tobytes() == whole(image)[1::3][::-2].tobytes()


def test_back_projections_of_all_subsets_add_up_to_that_of_the_whole():
    grid, sinogram = GRIDS["half the ring spacing"], uniform(SPAN_3.shape)
    whole = SinogramProjector(SPAN_3, grid)
    parts = sum(whole.subset(slice(k, None, 4)).T(sinogram[k::4]) for k in range(4))
    np.testing.assert_allclose(parts, whole.T(sinogram), rtol=1e-5)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_slice_of_a_larger_sinogram_is_back_projected_like_its_copy(machine):
    grid = GRIDS["half the ring spacing"]
    sinogram = backend.to_device(uniform(SPAN_1.shape), machine)
    part = SinogramProjector(SPAN_1, grid).subset(slice(3, None, 4))
    copied = part.T(sinogram[3::4].copy())
    np.testing.assert_allclose(on_cpu(part.T(sinogram[3::4])), on_cpu(copied), rtol=1e-6)


def test_an_image_in_fortran_order_is_projected_like_its_copy():
    grid = GRIDS["half the ring spacing"]
    image, operator = uniform(grid.shape), SinogramProjector(SPAN_1, grid)
    np.testing.assert_array_equal(operator(np.asfortranarray(image)), operator(image))


def test_the_image_is_zero_outside_its_voxels():
    # A border of zeros around the image changes no line integral.
    grid = GRIDS["half the ring spacing"]
    wider = Grid(
        shape=tuple(n + 2 for n in grid.shape),
        voxel_mm=grid.voxel_mm,
        origin_mm=tuple(o - v for o, v in zip(grid.origin_mm, grid.voxel_mm, strict=True)),
    )
    image = uniform(grid.shape)
    inside = SinogramProjector(SPAN_1, grid)(image)
    framed = SinogramProjector(SPAN_1, wider)(np.pad(image, 1))
    np.testing.assert_allclose(framed, inside, atol=1e-5 * inside.max())


def test_an_image_beyond_the_end_of_the_scanner_projects_to_nothing():
    grid = GRIDS["wholly above"]
    operator = SinogramProjector(SPAN_1, grid)
    assert not operator(uniform(grid.shape)).any()
    assert not operator.T(uniform(SPAN_1.shape)).any()


def test_an_image_moved_up_by_a_ring_is_seen_by_the_next_ring():
    # A ring is 2 voxels of 4 mm high.
    grid = Grid.centred(shape=(9, 9, 9), voxel_mm=(10, 10, 4))
    image = np.zeros(grid.shape, np.float32)
    image[..., 2:5] = uniform((9, 9, 3))
    operator = SinogramProjector(SinogramLayout.of(TINY, max_ring_difference=0), grid)
    here, above = operator(image), operator(np.roll(image, 2, axis=2))
    np.testing.assert_allclose(above[..., 1:], here[..., :-1], atol=1e-5 * here.max())
