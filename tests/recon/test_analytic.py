from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, SinogramLayout
from recon.acquisition import AcquisitionModel
from recon.algorithms import fbp
from recon.io import read_image, read_sinogram
from recon.projectors import SinogramProjector
from tests.recon.cases import DEMO, cylinder_chords, rms_difference, uniform

GRID = Grid.centred(shape=(64, 64, 5), voxel_mm=(4, 4, 6.25))
CENTRE = GRID.cylinder(70.0)[..., 0]
LAYOUTS = {
    "direct planes": SinogramLayout.of(DEMO, max_ring_difference=0),
    "all ring differences": SinogramLayout.of(DEMO),
    "span 5": SinogramLayout.of(DEMO, span=5),
    "mashed views": SinogramLayout.of(DEMO, span=3, max_ring_difference=4, view_mashing=2),
    "mashed views that do not divide": SinogramLayout.of(
        DEMO, span=3, max_ring_difference=4, view_mashing=3
    ),
    "arc-corrected": SinogramLayout.of(
        DEMO, span=3, max_ring_difference=4, radial_mm=5.0, radial_bins=61
    ),
    "without interleaving": SinogramLayout.of(
        DEMO, span=3, max_ring_difference=4, interleaved=False
    ),
    "timed": SinogramLayout.of(DEMO, span=3, max_ring_difference=1, tof_mashing=15),
}


def disc(layout, value=3.7):
    """A noise-free sinogram, analytic, of a cylinder of 100 mm radius."""
    chords = np.broadcast_to(cylinder_chords(layout, 100.0), layout.shape)
    return (value * chords).astype(np.float32)


def model_of(layout, **options):
    return AcquisitionModel(SinogramProjector(layout, GRID), **options)


@pytest.mark.parametrize("window", ["ramp", "hann"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_disc_has_its_value_within_2_percent(layout, window):
    layout = LAYOUTS[layout]
    image = fbp(model_of(layout), disc(layout), window=window)
    centre = image[CENTRE]
    assert centre.mean() == pytest.approx(3.7, rel=0.004)
    np.testing.assert_allclose(centre, 3.7, rtol=0.02)


def test_outside_a_disc_the_image_is_0_within_2_percent_of_its_value():
    layout = LAYOUTS["direct planes"]
    image = fbp(model_of(layout), disc(layout), window="hann")
    outside = ~GRID.cylinder(110.0)[..., 0] & GRID.cylinder(125.0)[..., 0]
    assert np.abs(image[outside].mean()) <= 0.02 * 3.7


def test_a_point_off_centre_comes_back_where_it_was():
    layout, grid = LAYOUTS["mashed views"], GRID
    image = np.zeros(grid.shape, np.float32)
    image[45, 20, 2] = 1
    model = model_of(layout)
    back = fbp(model, model(image))
    assert np.unravel_index(back.argmax(), back.shape) == (45, 20, 2)


@pytest.mark.parametrize("view_mashing", [1, 2])
def test_interleaving_is_undone(view_mashing):
    # Off centre half a crystal in angle is 1 mm in place, for every other bin.
    layout = SinogramLayout.of(DEMO, span=3, max_ring_difference=1, view_mashing=view_mashing)
    x, y = (GRID.centres(axis)[:, None, None] for axis in (0, 1))
    blob = np.exp(-((x - 70) ** 2 + (y.transpose(1, 0, 2) + 50) ** 2) / (2 * 8**2))
    image = np.broadcast_to(blob, GRID.shape).astype(np.float32)
    flat, interleaved = model_of(layout.with_(interleaved=False)), model_of(layout)
    expected = fbp(flat, flat(image))
    assert rms_difference(fbp(interleaved, interleaved(image)), expected) <= 0.01
    assert rms_difference(fbp(flat, interleaved(image)), expected) > 0.04


def test_the_last_of_mashed_views_counts_by_the_angle_it_holds():
    # 128 views mashed by 9: the last of 15 holds 2.
    layout = SinogramLayout.of(
        DEMO, span=3, max_ring_difference=1, view_mashing=9, interleaved=False
    )
    share = []
    for view in (13, 14):
        prompts = np.zeros(layout.shape, np.float32)
        prompts[view] = disc(layout)[view]
        share.append(fbp(model_of(layout), prompts)[CENTRE].mean())
    assert share[1] / share[0] == pytest.approx(2 / 9, rel=0.01)


def test_factors_and_background_are_taken_out():
    layout = LAYOUTS["mashed views"]
    factors = 0.2 + uniform(layout.shape, 1)
    background = 50 * uniform(layout.shape, 2)
    prompts = disc(layout)
    ours = fbp(
        model_of(layout, factors=factors, background=background), factors * prompts + background
    )
    expected = fbp(model_of(layout), prompts)
    np.testing.assert_allclose(ours, expected, atol=1e-3 * expected.max())


@pytest.mark.parametrize("axis", [False, True], ids=["without an axis", "with an axis"])
def test_factors_over_time_of_flight_bins_are_taken_out(axis):
    layout = LAYOUTS["timed"]
    factors = 0.2 + uniform(layout.without_tof().shape, 1)
    timed = np.repeat(factors[:, :, None], layout.tof_bins, axis=2)
    prompts = disc(layout)
    ours = fbp(model_of(layout, factors=timed if axis else factors), timed * prompts)
    expected = fbp(model_of(layout), prompts)
    np.testing.assert_allclose(ours, expected, atol=1e-3 * expected.max())


def test_masked_bins_are_filled_from_their_neighbours():
    # The mMR's way to lose bins: every crystal of a position in a block, here 1 of 16.
    scanner = replace(DEMO, block_crystals=(16, 4), virtual_crystals=(0,))
    layout = SinogramLayout.of(scanner, span=3, max_ring_difference=1)
    factors = np.broadcast_to(layout.mask(), layout.shape).astype(np.float32)
    lost = 1 - factors.mean()
    assert 0.1 < lost < 0.15
    image = fbp(model_of(layout, factors=factors), factors * disc(layout))
    np.testing.assert_allclose(image[CENTRE], 3.7, rtol=0.05)


def test_a_sinogram_of_one_masked_row_has_no_nan():
    layout = LAYOUTS["direct planes"]
    factors = np.ones(layout.shape, np.float32)
    factors[3] = 0
    assert np.isfinite(fbp(model_of(layout, factors=factors), disc(layout))).all()


def test_a_lower_cutoff_leaves_less_noise():
    layout = LAYOUTS["direct planes"]
    noise = (uniform(layout.shape) - 0.5).astype(np.float32)
    spread = [fbp(model_of(layout), noise, cutoff=cutoff).std() for cutoff in (1.0, 0.5, 0.25)]
    assert spread[0] > 2 * spread[1] > 4 * spread[2]


@pytest.mark.parametrize("options", [{"window": "boxcar"}, {"cutoff": 0.0}, {"cutoff": 1.5}])
def test_an_unknown_window_or_cutoff_is_refused(options):
    layout = LAYOUTS["direct planes"]
    with pytest.raises(ValueError, match="fbp takes a window out of ramp, hann"):
        fbp(model_of(layout), disc(layout), **options)


def test_noise_free_thorax_agrees_with_stirs_fbp2d_within_5_percent(reference):
    # Theirs interpolates bins while it back projects, ours pixels: the edges differ, not the sum.
    folder = reference / "stir" / "thorax"
    prompts, layout, _ = read_sinogram(folder / "fp256_10rays.hs", interleaved=False)
    expected, grid, _ = read_image(folder / "fbp2d_noisefree.hv")
    model = AcquisitionModel(SinogramProjector(layout, grid))
    ours = fbp(model, prompts, window="ramp") * grid.voxel_mm[0]
    assert rms_difference(ours, expected) <= 0.05
    assert ours.sum() == pytest.approx(expected.sum(), rel=0.01)


@pytest.mark.parametrize(
    "rings, depth, voxel_z_mm",
    [(1, 1, 6.25), (1, 1, 12.5), (DEMO.rings, 15, 2.0), (DEMO.rings, 3, 9.0)],
)
def test_the_value_depends_neither_on_the_rings_nor_on_the_height_of_voxels(
    rings, depth, voxel_z_mm
):
    layout = SinogramLayout.of(replace(DEMO, rings=rings), max_ring_difference=0)
    grid = Grid.centred(shape=(64, 64, depth), voxel_mm=(4, 4, voxel_z_mm))
    model = AcquisitionModel(SinogramProjector(layout, grid))
    centre = fbp(model, disc(layout))[CENTRE]
    np.testing.assert_allclose(centre.mean(axis=0), 3.7, rtol=0.01)


def test_slices_beyond_the_scanner_are_0():
    layout = SinogramLayout.of(replace(DEMO, rings=1), max_ring_difference=0)
    grid = Grid.centred(shape=(64, 64, 5), voxel_mm=(4, 4, 12.5))
    image = fbp(AcquisitionModel(SinogramProjector(layout, grid)), disc(layout))
    assert not image[..., [0, 1, 3, 4]].any() and image[..., 2].any()


def test_two_radial_bins_are_refused():
    layout = SinogramLayout.of(DEMO, max_ring_difference=0, radial_bins=2)
    with pytest.raises(ValueError, match="at least 3 radial bins, got 2"):
        fbp(model_of(layout), np.ones(layout.shape, np.float32))
