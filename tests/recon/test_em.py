from itertools import islice

import numpy as np
import pytest

from recon import Grid, SinogramLayout, backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import listmode_osem, mlem, osem, subset_order
from recon.listmode import ListModeProjector
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector
from tests.recon.cases import (
    DEMO,
    GRIDS,
    LAYOUTS,
    MACHINES,
    after,
    cylinder_chords,
    uniform,
)

GRID = GRIDS["half the ring spacing"]
SPAN_1, SPAN_3 = LAYOUTS["span 1"], LAYOUTS["span 3"]
MU_PER_MM = 0.0096  # of water at 511 keV


def noisy(layout=SPAN_3, grid=GRID, counts=5.0, seed=7):
    """A model with factors and a background, and Poisson counts of a random image."""
    projector = SinogramProjector(layout, grid)
    factors = 0.1 + uniform(layout.without_tof().shape, seed)
    background = uniform(layout.shape, seed + 1)
    model = AcquisitionModel(projector, factors=factors, background=background)
    expected = model(uniform(grid.shape, seed + 2))
    factors *= counts / expected.mean()
    background *= counts / expected.mean()
    model = AcquisitionModel(projector, factors=factors, background=background)
    prompts = np.random.default_rng(seed).poisson(model(uniform(grid.shape, seed + 2)))
    return model, prompts.astype(np.float32)


CYLINDER = Grid.centred(shape=(32, 32, 31), voxel_mm=(8, 8, 6.25))


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("attenuated", [False, True])
@pytest.mark.parametrize("timed", [False, True])
def test_a_uniform_cylinder_reconstructs_to_its_value_within_1_percent(timed, attenuated, machine):
    # Analytic lengths of 4.2 counts/mm in a cylinder of 100 mm radius, longer than the scanner.
    layout = SinogramLayout.of(
        DEMO, span=3, max_ring_difference=4, view_mashing=2, tof_mashing=9 if timed else 0
    )
    value = 4.2
    lengths = cylinder_chords(layout, 100.0)
    factors = None
    if attenuated:
        factors = np.exp(-MU_PER_MM * cylinder_chords(layout.without_tof(), 100.0))
        lengths = lengths * (factors[:, :, None] if timed else factors)
        factors = backend.to_device(factors.astype(np.float32), machine)
    prompts = np.broadcast_to(value * lengths, layout.shape).astype(np.float32)
    prompts = backend.to_device(prompts, machine)
    model = AcquisitionModel(SinogramProjector(layout, CYLINDER), factors=factors)
    image = after(6 * 4, osem(model, prompts, subsets=4))
    central = image[CYLINDER.cylinder(60.0)[..., 0]][:, 5:-5]
    assert central.mean() == pytest.approx(value, rel=0.003)
    np.testing.assert_allclose(central, value, rtol=0.01)


@pytest.mark.parametrize("layout", ["span 3", "odd number of TOF bins"])
def test_log_likelihood_increases_with_every_iteration(layout):
    model, prompts = noisy(LAYOUTS[layout])
    images = islice(mlem(model, prompts), 30)
    likelihood = [model.log_likelihood(image, prompts) for image in images]
    gained = np.diff(likelihood)
    assert np.all(gained >= -1e-7 * np.abs(likelihood[1:]))
    assert np.all(gained[:10] > 0)


def test_an_iteration_makes_the_model_expect_as_many_counts_as_there_are():
    # Without a background: sum of A x = sum of s x = sum of y after every EM update.
    projector = SinogramProjector(SPAN_3, GRID)
    model = AcquisitionModel(projector, blur=GaussianBlur(GRID.shape, GRID.voxel_mm, 8))
    prompts = np.random.default_rng(1).poisson(3, SPAN_3.shape).astype(np.float32)
    prompts[model(np.ones(GRID.shape, np.float32)) == 0] = 0
    expected = model(after(3, mlem(model, prompts)))
    assert expected.sum(dtype=float) == pytest.approx(prompts.sum(dtype=float), rel=1e-5)


def test_one_voxel_is_solved_by_one_iteration():
    # x = sum y / sum a whatever the start.
    grid = GRIDS["one voxel"]
    projector = SinogramProjector(SPAN_1, grid)
    lengths = projector(np.ones((1, 1, 1), np.float32))
    prompts = np.where(lengths > 0, 3, 0).astype(np.float32)
    start = np.full((1, 1, 1), 0.01, np.float32)
    image = after(1, mlem(AcquisitionModel(projector), prompts, start=start))
    expected = prompts.sum(dtype=float) / lengths.sum(dtype=float)
    assert image[0, 0, 0] == pytest.approx(expected, rel=1e-6)


def test_zero_counts_give_a_zero_image():
    model, prompts = noisy()
    assert not after(1, mlem(model, np.zeros_like(prompts))).any()


def test_voxels_that_no_bin_sees_become_0_after_the_first_pass():
    # Voxels higher than the scanner's 40 mm and beyond the reach of its bins.
    grid = Grid.centred(shape=(25, 25, 21), voxel_mm=(10, 10, 4))
    model, prompts = noisy(SPAN_1, grid)
    unseen = model.sensitivity() == 0
    assert unseen[0, 0, 10] and unseen[12, 12, 0] and not unseen[12, 12, 10]
    for image in islice(osem(model, prompts, subsets=4), 3, 8):
        assert not image[unseen].any()
        assert np.isfinite(image).all()


def test_voxels_that_one_subset_does_not_see_are_left_to_the_others():
    # Subsets of one view, whose rays lie farther apart than voxels do.
    grid = Grid.centred(shape=(41, 41, 9), voxel_mm=(3, 3, 4))
    projector = SinogramProjector(SPAN_1, grid)
    disc = np.broadcast_to(grid.cylinder(50.0), grid.shape).astype(np.float32)
    views = SPAN_1.views
    model = AcquisitionModel(projector)
    assert (model.subset(slice(0, None, views)).sensitivity()[disc > 0] == 0).any()

    image = after(3 * views, osem(model, projector(disc), subsets=views))
    inside = np.broadcast_to(grid.cylinder(30.0), grid.shape).copy()
    inside[..., [0, -1]] = False
    assert image[inside].mean() == pytest.approx(1, rel=0.02)
    assert (image[inside] > 0.5).all()


@pytest.mark.parametrize("garbage", [0.0, 1e9])
def test_counts_in_masked_bins_change_nothing(garbage):
    model, prompts = noisy()
    factors = model.factors.copy()
    factors[:, 7:9] = 0
    masked = AcquisitionModel(model.projector, factors=factors, background=model.background)
    spoiled = prompts.copy()
    spoiled[:, 7:9] = garbage
    ours = after(6, osem(masked, spoiled, subsets=4))
    np.testing.assert_array_equal(ours, after(6, osem(masked, prompts, subsets=4)))


def test_zeros_of_the_start_stay_0():
    model, prompts = noisy()
    start = np.ones(GRID.shape, np.float32)
    start[:4] = 0
    image = after(5, osem(model, prompts, subsets=4, start=start))
    assert not image[:4].any() and image[4:].any()


def test_counts_where_the_image_has_all_but_vanished_make_no_infinities():
    # 1e-38 is the least that float32 holds in full; a count over that would be infinite.
    model = AcquisitionModel(SinogramProjector(SPAN_3, GRID))
    start = np.full(GRID.shape, 1e-38, np.float32)
    start[8, 8] = 1
    prompts = np.full(SPAN_3.shape, 5, np.float32)
    for image in islice(osem(model, prompts, subsets=4, start=start), 12):
        assert np.isfinite(image).all()
    assert image[8, 8].max() > 1


def test_the_start_is_left_as_it_was():
    model, prompts = noisy()
    start = np.ones(GRID.shape, np.float32)
    after(2, osem(model, prompts, subsets=4, start=start))
    assert np.all(start == 1)


def test_one_subset_is_mlem():
    model, prompts = noisy()
    np.testing.assert_array_equal(
        after(3, osem(model, prompts, subsets=1)), after(3, mlem(model, prompts))
    )


def test_the_second_update_takes_the_view_subset_farthest_from_the_first():
    # Of 4 subsets in 'spread' order: views 0, 4, 8, 12, then views 2, 6, 10, 14.
    model, prompts = noisy()
    image = np.ones(GRID.shape, np.float32)
    ours = after(2, osem(model, prompts, subsets=4, start=image))
    for k in (0, 2):
        part = model.subset(slice(k, None, 4))
        back = part.adjoint(prompts[k::4] / part(image))
        image = np.where(part.sensitivity() > 0, image * back / part.sensitivity(), 0)
        image = image.astype(np.float32)
    np.testing.assert_allclose(ours, image, rtol=1e-4)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_the_memory_for_sensitivities_changes_no_image(kept):
    model, prompts = noisy()
    budget = kept * 4 * np.prod(GRID.shape)
    ours = after(9, osem(model, prompts, subsets=4, sensitivity_bytes=budget))
    np.testing.assert_array_equal(ours, after(9, osem(model, prompts, subsets=4)))


@pytest.mark.parametrize("layout", ["span 3", "even number of TOF bins"])
def test_images_are_the_same_to_the_bit_for_any_number_of_threads(layout):
    model, prompts = noisy(LAYOUTS[layout])
    images = []
    for threads in (1, 2, 3):
        projector = SinogramProjector(LAYOUTS[layout], GRID, threads=threads)
        blur = GaussianBlur(GRID.shape, GRID.voxel_mm, 8, threads=threads)
        same = AcquisitionModel(
            projector, blur=blur, factors=model.factors, background=model.background
        )
        images.append(after(6, osem(same, prompts, subsets=4)).tobytes())
    assert images[0] == images[1] == images[2]


def test_time_of_flight_resolves_in_one_iteration_what_plain_data_do_not():
    # Two points 160 mm apart; a timing error of 60 mm tells them from what lies between.
    layout = SinogramLayout.of(
        DEMO, span=3, max_ring_difference=1, view_mashing=4, tof_mashing=5
    )
    grid = Grid.centred(shape=(31, 31, 1), voxel_mm=(8, 8, 6.25))
    truth = np.zeros(grid.shape, np.float32)
    truth[5, 15], truth[25, 15] = 1, 1
    contrast = []
    for lay in (layout, layout.without_tof()):
        model = AcquisitionModel(SinogramProjector(lay, grid))
        image = after(1, mlem(model, model(truth)))
        contrast.append(image[5, 15, 0] / image[15, 15, 0])
    assert contrast[0] > 2 * contrast[1]


@pytest.mark.parametrize("subsets", [3, 0, 32])
def test_subsets_that_do_not_divide_the_views_are_refused(subsets):
    model, prompts = noisy()
    with pytest.raises(ValueError, match=r"divisor of the 16 views.*\[1, 2, 4, 8, 16\]"):
        next(osem(model, prompts, subsets=subsets))


def test_prompts_of_another_shape_are_refused():
    model, prompts = noisy()
    with pytest.raises(ValueError, match=r"\(16, 23, 19\), got \(16, 23, 18\)"):
        next(osem(model, prompts[..., 1:], subsets=4))


@pytest.mark.parametrize("wrong", [-1, np.nan])
def test_a_start_that_is_negative_or_not_a_number_is_refused(wrong):
    model, prompts = noisy()
    with pytest.raises(ValueError, match="without NaN or negative"):
        next(mlem(model, prompts, start=np.full(GRID.shape, wrong, np.float32)))


@pytest.mark.parametrize("subsets", [1, 2, 7, 12, 21, 36])
@pytest.mark.parametrize("order", ["spread", "sequential"])
def test_every_subset_is_taken_once(subsets, order):
    assert sorted(subset_order(subsets, order)) == list(range(subsets))


def test_spread_order_of_8_and_6_subsets_worked_out_by_hand():
    assert subset_order(8) == [0, 4, 2, 6, 1, 5, 3, 7]
    assert subset_order(6) == [0, 3, 1, 4, 2, 5]  # halves first, then thirds
    assert subset_order(4, "sequential") == [0, 1, 2, 3]


def test_an_order_without_a_name_is_refused():
    with pytest.raises(ValueError, match="spread"):
        subset_order(4, "random")


def listed(layout, prompts, copies=1):
    """Every count of an integer sinogram as an event: its bin, and its LOR's end points."""
    counts = prompts.astype(int)
    index = np.repeat(np.argwhere(counts >= 0), copies * counts.ravel(), axis=0).T
    view, radial, plane = index[0], index[1], index[-1]
    return index, layout.lor_end_points(view, radial, plane)


def cylinder_counts(layout, background=0.0):
    factors = np.exp(-MU_PER_MM * cylinder_chords(layout.without_tof(), 60.0)).astype(np.float32)
    chords = cylinder_chords(layout, 60.0)
    expected = 0.05 * chords * (factors[:, :, None] if layout.tof else factors) + background
    rng = np.random.default_rng(11)
    return factors, rng.poisson(np.broadcast_to(expected, layout.shape)).astype(np.float32)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("layout", ["span 1", "odd number of TOF bins"])
def test_listed_events_of_a_cylinder_give_the_binned_image_to_1e_3(layout, machine):
    layout = LAYOUTS[layout]
    background = np.full(layout.shape, 0.3, np.float32)
    factors, prompts = cylinder_counts(layout, 0.3)
    binned = AcquisitionModel(
        SinogramProjector(layout, GRID), factors=factors, background=background
    )
    start = np.ones(GRID.shape, np.float32)
    expected = after(4, mlem(binned, prompts, start=start))

    index, (first, second) = listed(layout, prompts)
    bins = {}
    if layout.tof:
        bins = {"tof_bin": backend.to_device(index[2], machine), "layout": layout}
    first, second = (backend.to_device(ends, machine) for ends in (first, second))
    m = backend.to_device(factors[0, index[1], index[-1]], machine)
    b = backend.to_device(background[tuple(index)], machine)
    events = AcquisitionModel(
        ListModeProjector(first, second, GRID, **bins), factors=m, background=b
    )
    sensitivity = backend.to_device(binned.sensitivity(), machine)
    ours = after(4, listmode_osem(events, sensitivity, start=backend.to_device(start, machine)))
    assert np.abs(ours - expected).max() <= 1e-3 * expected.max()


def test_subsets_of_listed_events_that_are_alike_are_iterations():
    # Each event three times in a row: each of 3 subsets holds the whole scan.
    factors, prompts = cylinder_counts(SPAN_1)
    binned = AcquisitionModel(SinogramProjector(SPAN_1, GRID), factors=factors)
    expected = after(6, mlem(binned, 3 * prompts))
    index, (first, second) = listed(SPAN_1, prompts, copies=3)
    m = factors[0, index[1], index[-1]]
    events = AcquisitionModel(ListModeProjector(first, second, GRID), factors=m)
    ours = after(6, listmode_osem(events, binned.sensitivity(), subsets=3))
    assert np.abs(ours - expected).max() <= 1e-3 * expected.max()


def test_sensitivity_of_another_shape_is_refused():
    events = AcquisitionModel(ListModeProjector(np.zeros((2, 3)), np.ones((2, 3)), GRID))
    with pytest.raises(ValueError, match="sensitivity takes shape"):
        next(listmode_osem(events, np.ones((3, 3, 3), np.float32)))


@pytest.mark.parametrize("subsets", [0, 3])
def test_more_subsets_than_events_are_refused(subsets):
    events = AcquisitionModel(ListModeProjector(np.zeros((2, 3)), np.ones((2, 3)), GRID))
    with pytest.raises(ValueError, match="from 1 to the 2 events"):
        next(listmode_osem(events, np.ones(GRID.shape, np.float32), subsets=subsets))
