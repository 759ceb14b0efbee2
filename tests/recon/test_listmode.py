import numpy as np
import pytest

from recon import Grid, SinogramLayout, backend
from recon.listmode import ListModeProjector
from recon.projectors import SinogramProjector
from tests.recon.cases import GRIDS, LAYOUTS, MACHINES, TINY, adjoint_gap, on_cpu, uniform
from tests.recon.reference_joseph import line_integral, tof_share

# 60 mm x 60 mm x 60 mm about the origin.
CUBE = Grid.centred(shape=(10, 10, 10), voxel_mm=(6, 6, 6))
TIMED = SinogramLayout.of(TINY, tof_mashing=1)


def random_lors(number=400, seed=5):
    """Lines of all directions, some of them short, within 120 mm of the origin."""
    rng = np.random.default_rng(seed)
    return tuple(rng.uniform(-120, 120, (number, 3)).astype(np.float32) for _ in range(2))


def on(machine, *arrays):
    return tuple(backend.to_device(array, machine) for array in arrays)


def chord(first, second, machine, grid=CUBE):
    first, second = on(machine, np.float32([first]), np.float32([second]))
    ones = backend.to_device(np.ones(grid.shape, np.float32), machine)
    return float(on_cpu(ListModeProjector(first, second, grid)(ones))[0])


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "first, second, expected",
    [
        ((-100, 4, 5), (100, 4, 5), 60),
        ((4, 100, 5), (4, -100, 5), 60),
        ((4, 5, -100), (4, 5, 100), 60),
        ((-100, 30, 0), (100, 30, 0), 30),  # along a face: half of it
        ((0, 0, 100), (30, 0, 100), 0),
        ((-100, 40, 0), (100, 40, 0), 0),
        ((100, 100, 0), (-100, -100, 0), 60 * np.sqrt(2)),  # from edge to edge
        ((0, 100, -100), (0, -100, 100), 60 * np.sqrt(2)),
        ((-90, -90, -90), (90, 90, 90), 60 * np.sqrt(3)),  # from corner to corner
        ((50, 10, 0), (10, 50, 0), 0),  # past an edge
        ((-100, 0, -20), (100, 0, 20), 60 * np.sqrt(1 + 0.2**2)),  # oblique in z
        ((-20, 3, -100), (20, 3, 100), 60 * np.sqrt(1 + 0.2**2)),  # steep
        ((7, 8, 9), (7, 8, 9), 0),  # no length
        ((-100, 3, 3), (-17, 3, 3), 12),  # ends in the cube: planes at -27 and -21 mm count
        ((-1, 3, 3), (1, 3, 3), 0),  # lies between two planes
    ],
)
def test_line_through_a_uniform_cube_returns_its_chord(first, second, expected, machine):
    assert chord(first, second, machine) == pytest.approx(expected, abs=1e-4)
    assert chord(second, first, machine) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("grid", GRIDS)
def test_line_integrals_agree_with_a_float64_walk_to_1e_5_of_the_maximum(grid, machine):
    grid, (first, second) = GRIDS[grid], random_lors()
    image = uniform(grid.shape)
    expected = np.array([line_integral(image, grid, first[i], second[i]) for i in range(400)])
    first, second, image = on(machine, first, second, image)
    ours = on_cpu(ListModeProjector(first, second, grid)(image))
    assert np.abs(ours - expected).max() <= 1e-5 * max(expected.max(), 1)


@pytest.mark.parametrize("machine", MACHINES)
def test_timed_line_integrals_agree_with_a_float64_walk_to_1e_5_of_the_maximum(machine):
    grid, (first, second) = GRIDS["off centre"], random_lors(200)
    bins = np.random.default_rng(6).integers(0, TIMED.tof_bins, 200)
    image = uniform(grid.shape)
    expected = np.array(
        [
            line_integral(image, grid, first[i], second[i], lambda x, k=k: tof_share(TIMED, k, x))
            for i, k in enumerate(bins)
        ]
    )
    first, second, bins, image = on(machine, first, second, bins, image)
    ours = on_cpu(ListModeProjector(first, second, grid, tof_bin=bins, layout=TIMED)(image))
    assert expected.max() > 1
    assert np.abs(ours - expected).max() <= 1e-5 * expected.max()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("grid", GRIDS)
def test_back_projection_is_the_transpose_of_forward_projection(grid, timed, machine):
    first, second = random_lors()
    bins = np.arange(len(first)) % TIMED.tof_bins
    first, second, bins = on(machine, first, second, bins)
    options = {"tof_bin": bins, "layout": TIMED} if timed else {}
    assert adjoint_gap(ListModeProjector(first, second, GRIDS[grid], **options), machine) <= 1e-6


@pytest.mark.parametrize("machine", MACHINES)
def test_a_line_of_no_length_is_back_projected_to_nothing(machine):
    ends, ones = on(machine, np.zeros((3, 3), np.float32), np.ones(3, np.float32))
    assert not on_cpu(ListModeProjector(ends, ends, CUBE).T(ones)).any()


def test_projection_of_no_events_is_empty_and_back_projects_to_nothing():
    none = np.zeros((0, 3), np.float32)
    operator = ListModeProjector(none, none, CUBE)
    assert operator(uniform(CUBE.shape)).shape == (0,)
    assert not operator.T(np.zeros(0, np.float32)).any()


@pytest.mark.parametrize("layout", ["span 1", "not interleaved", "odd number of TOF bins"])
def test_lines_of_a_sinograms_bins_give_the_sinogram(layout):
    # The voxels' planes cut both alike: no line is steeper than 45 degrees or skips a slice.
    layout, grid = LAYOUTS[layout], GRIDS["half the ring spacing"]
    image = uniform(grid.shape)
    expected = SinogramProjector(layout, grid)(image)
    sizes = (layout.views, layout.radial_bins, layout.planes)
    view, radial, plane = (index.ravel() for index in np.indices(sizes))
    first, second = layout.lor_end_points(view, radial, plane)
    for k in range(layout.tof_bins):
        bins = {"tof_bin": np.full(len(first), k), "layout": layout} if layout.tof else {}
        ours = ListModeProjector(first, second, grid, **bins)(image).reshape(sizes)
        binned = expected[:, :, k] if layout.tof else expected
        np.testing.assert_allclose(ours, binned, atol=1e-5 * expected.max())


def test_swapping_the_ends_of_a_line_mirrors_its_time_of_flight():
    grid, (first, second) = GRIDS["off centre"], random_lors(200)
    bins, image = np.arange(200) % TIMED.tof_bins, uniform(grid.shape)
    one = ListModeProjector(first, second, grid, tof_bin=bins, layout=TIMED)(image)
    mirrored = TIMED.tof_bins - 1 - bins
    other = ListModeProjector(second, first, grid, tof_bin=mirrored, layout=TIMED)(image)
    np.testing.assert_allclose(other, one, atol=1e-5 * one.max())
    unmirrored = ListModeProjector(second, first, grid, tof_bin=bins, layout=TIMED)(image)
    assert np.abs(unmirrored - one).max() > 0.1 * one.max()


def test_results_are_the_same_to_the_bit_for_any_number_of_threads():
    grid, (first, second) = GRIDS["half the ring spacing"], random_lors(1000)
    values = uniform(1000)
    operators = [ListModeProjector(first, second, grid, threads=n) for n in (1, 2, 3)]
    assert len({operator(uniform(grid.shape)).tobytes() for operator in operators}) == 1
    assert len({operator.T(values).tobytes() for operator in operators}) == 1


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("events", [slice(0, 7), slice(3, None, 5)])
def test_projector_of_a_subset_gives_those_events_to_the_bit(events, timed):
    grid, (first, second) = GRIDS["off centre"], random_lors()
    bins = {"tof_bin": np.arange(len(first)) % 9, "layout": TIMED} if timed else {}
    whole = ListModeProjector(first, second, grid, **bins)
    image = uniform(grid.shape)
    assert whole.subset(events)(image).tobytes() == whole(image)[events].tobytes()


def test_projector_refuses_end_points_that_are_not_three_numbers_each():
    with pytest.raises(ValueError, match=r"shape \(events, 3\), got \(4, 2\)"):
        ListModeProjector(np.zeros((4, 2)), np.zeros((4, 2)), CUBE)


def test_projector_refuses_time_of_flight_bins_without_a_layout():
    with pytest.raises(ValueError, match="layout with time of flight"):
        ListModeProjector(np.zeros((4, 3)), np.ones((4, 3)), CUBE, tof_bin=np.zeros(4, int))


@pytest.mark.parametrize(
    "bins, says",
    [([0, 1], r"4 events, got .*\(2,\)"), ([0, 1, 2, 9], "0 to 8"), ([-1, 0, 0, 0], "0 to 8")],
)
def test_projector_refuses_time_of_flight_bins_that_do_not_fit(bins, says):
    with pytest.raises(ValueError, match=says):
        ListModeProjector(
            np.zeros((4, 3)), np.ones((4, 3)), CUBE, tof_bin=np.array(bins), layout=TIMED
        )


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_end_point_nowhere_is_refused(wrong):
    first, second = random_lors(3)
    first[1, 2] = wrong
    with pytest.raises(ValueError, match="NaN or infinite"):
        ListModeProjector(first, second, CUBE)


@pytest.mark.parametrize("bins", [[0, 1, 99], [0, 1, -1], [0.0, 1.5, 2.0]])
def test_time_of_flight_bins_that_are_none_are_refused(bins):
    with pytest.raises(ValueError, match="whole numbers from 0 to 8"):
        ListModeProjector(*random_lors(3), CUBE, tof_bin=bins, layout=TIMED)
