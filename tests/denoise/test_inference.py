"""What becomes of an image: its scale, voxels, CT, uncertainty, and what is refused."""

import itertools
import re

import numpy as np
import pytest
import torch

from denoise.inference import denoise, find_device
from denoise.scaling import measure
from denoise.tiling import Tiling
from recon import text
from recon.grid import Grid
from recon.resampling import resample
from tests.denoise.made import Identity, SeesCT, SeesNoise, denoiser, stirred

GRID = Grid.centred(shape=(26, 22, 18), voxel_mm=(4, 4, 4))


def body(grid=GRID, level=700.0, noise=0.1):
    """A cylinder of tissue with noise, in air."""
    rng = np.random.default_rng(5)
    image = level * grid.cylinder(36.0) * (1 + noise * rng.standard_normal(grid.shape))
    return image.astype(np.float32)


def run(image, denoisers, grid=GRID, **more):
    return denoise(image, grid, denoisers, progress=False, **more)


def test_a_network_that_changes_nothing_gives_the_image_back():
    image = body()
    np.testing.assert_allclose(run(image, denoiser(Identity())).image, image, rtol=1e-6)


def test_a_network_sees_the_level_as_one():
    found = run(body(), denoiser(Identity(added=1.0)))
    np.testing.assert_allclose(found.image - body(), found.scaling.level, rtol=1e-4)
    assert found.scaling == measure(body(), GRID.voxel_mm)


def test_a_network_is_told_the_noise():
    found = run(body(), denoiser(SeesNoise()))
    np.testing.assert_allclose(found.image, found.scaling.noise * found.scaling.level, rtol=1e-6)


def test_an_image_in_another_unit_gives_the_same_in_that_unit():
    one, other = run(body(), stirred()), run(body() / 1024, stirred())
    np.testing.assert_allclose(other.image * 1024, one.image, rtol=1e-5, atol=1e-3)


def test_an_image_in_tiles_is_that_in_one():
    image, network = np.repeat(body(), 4, axis=0), stirred()
    grid = Grid.centred(shape=image.shape, voxel_mm=(4, 4, 4))
    cut = Tiling(voxels=80 * 22 * 18, margin=24, ramp=4, aligned=4)
    one, other = run(image, network, grid), run(image, network, grid, tiling=cut)
    assert np.abs(one.image - other.image).max() < 1e-5 * np.abs(one.image).max()


@pytest.mark.parametrize("side", [4.0, 4.2, 3.7])
def test_voxels_about_as_large_as_the_networks_are_left(side):
    grid = Grid.centred(shape=GRID.shape, voxel_mm=(side, 4, 4))
    found = run(body(grid), denoiser(Identity()), grid)
    assert found.network_grid == grid
    assert found.warnings == []


@pytest.mark.parametrize("sides", [(2.0, 2.0, 2.0), (5.0, 5.0, 3.0), (8.0, 8.0, 8.0)])
def test_other_voxels_are_resampled_to_the_networks_and_back(sides):
    shape = [round(4 * n / side) for n, side in zip(GRID.shape, sides, strict=True)]
    grid = Grid.centred(shape=shape, voxel_mm=sides, centre_mm=(3, -5, 40))
    image = np.full(grid.shape, 3.0, np.float32)
    found = run(image, denoiser(Identity()), grid)
    np.testing.assert_allclose(found.network_grid.voxel_mm, 4, rtol=0.06)
    np.testing.assert_allclose(found.network_grid.extent, grid.extent, rtol=1e-12)
    np.testing.assert_allclose(found.image, 3, rtol=1e-5)
    assert "resampled to them and back" in found.notes[0]
    (warning,) = found.warnings
    assert f"voxels are of {text.sides(sides)}, and" in warning
    assert warning.endswith("trained on 4 × 4 × 4 mm alone")


@pytest.mark.parametrize(("sides", "trained", "warned"), [
    ((6.0, 6.0, 5.0), [[4, 4, 4], [6, 6, 6]], False), ((6.5, 6, 6), [[4, 4, 4], [6, 6, 6]], False),
    ((7.0, 6.0, 6.0), [[4, 4, 4], [6, 6, 6]], True), ((4.0, 4.0, 4.0), [[6, 6, 6]], True),
])
def test_voxels_between_those_trained_on_have_no_warning(sides, trained, warned):
    shape = [round(4 * n / side) for n, side in zip(GRID.shape, sides, strict=True)]
    grid, network = Grid.centred(shape=shape, voxel_mm=sides), denoiser(Identity())
    network.settings["domain"]["voxels_mm"] = trained
    found = run(np.full(grid.shape, 3.0, np.float32), network, grid)
    assert bool(found.warnings) == warned
    assert bool(found.notes) == (sides != (4.0, 4.0, 4.0))


@pytest.mark.parametrize("side", [1.9, 8.1])
def test_voxels_far_from_the_networks_are_refused(side):
    grid = Grid.centred(shape=GRID.shape, voxel_mm=(4, 4, side))
    with pytest.raises(ValueError, match=f"4 × 4 × 4 mm takes sides up to 2 .* × {side:g} mm"):
        run(body(grid), denoiser(Identity()), grid)


def hounsfield(grid):
    """A CT whose values differ from voxel to voxel."""
    place = np.indices(grid.shape).sum(axis=0)
    return (40 + 10 * place - 1000 * ~grid.cylinder(36.0)).astype(np.float32)


def test_a_ct_is_shown_in_thousands_of_hounsfield_units():
    found = run(body(), denoiser(SeesCT(), inputs=("low", "ct")), ct=hounsfield(GRID))
    np.testing.assert_allclose(found.image, found.scaling.level * hounsfield(GRID) / 1000,
                               rtol=1e-5, atol=1e-3)
    assert found.notes == []


def test_a_ct_on_other_voxels_is_resampled_and_where_it_ends_there_is_air():
    grid = Grid.centred(shape=(80, 70, 15), voxel_mm=(1.5, 1.5, 2.0))
    found = run(body(), denoiser(SeesCT(), inputs=("low", "ct")), ct=hounsfield(grid), ct_grid=grid)
    seen = found.image / found.scaling.level * 1000
    np.testing.assert_allclose(seen[:, :, :5], -1000, rtol=1e-5)
    expected = resample(hounsfield(grid) + 1000, grid, GRID) - 1000
    np.testing.assert_allclose(seen, expected, atol=0.01)
    assert "resampled to the image's" in found.notes[0]
    assert "does not cover 42 mm of the image along z" in found.notes[1]


def test_a_ct_that_is_not_needed_is_said_not_to_be_used():
    found = run(body(), stirred(), ct=hounsfield(GRID))
    np.testing.assert_array_equal(found.image, run(body(), stirred()).image)
    assert "was not used" in found.notes[0]


@pytest.mark.parametrize(("ct", "ct_grid", "said"), [
    (None, None, "takes a CT beside the image, got none"),
    (np.full(GRID.shape, 0.1, np.float32), None, "takes Hounsfield units, got 0.1 to 0.1"),
    (np.full(GRID.shape, np.nan, np.float32), None, "a CT takes finite numbers"),
    (hounsfield(GRID), Grid.centred(shape=GRID.shape, voxel_mm=(4, 4, 4), centre_mm=(0, 0, 900)),
     "do not overlap along z"),
])
def test_a_ct_that_cannot_be_used_is_refused(ct, ct_grid, said):
    with pytest.raises(ValueError, match=said):
        run(body(), denoiser(SeesCT(), inputs=("low", "ct")), ct=ct, ct_grid=ct_grid)


def test_uncertainty_is_the_standard_deviation_over_flips_and_the_image_their_mean():
    image, network = body(), stirred()
    found = run(image, network, uncertainty=True)
    answers = [
        np.flip(run(np.flip(image, axes), network).image, axes)
        for axes in itertools.chain.from_iterable(
            itertools.combinations(range(3), count) for count in range(4))
    ]
    assert len(answers) == 8
    np.testing.assert_allclose(found.image, np.mean(answers, axis=0), rtol=1e-4, atol=0.05)
    np.testing.assert_allclose(found.uncertainty, np.std(answers, axis=0, ddof=1), rtol=1e-3,
                               atol=0.05)
    assert found.uncertainty.max() > 1


def test_several_networks_are_averaged_and_their_standard_deviation_is_the_uncertainty():
    several = [denoiser(Identity(added=added)) for added in (1.0, 2.0, 6.0)]
    found = run(body(), several, uncertainty=True)
    level = found.scaling.level
    np.testing.assert_allclose(found.image, body() + 3 * level, rtol=1e-4)
    np.testing.assert_allclose(found.uncertainty, np.sqrt(7) * level, rtol=1e-4)  # (4 + 1 + 9) / 2


def test_the_image_is_the_same_for_any_number_of_threads():
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(run(body(), stirred()).image)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_bfloat16_changes_what_is_changed_by_less_than_three_hundredths():
    whole, half = (run(body(), stirred(), precision=name).image
                   for name in ("float32", "bfloat16"))
    assert 0 < np.abs(half - whole).std() < 0.03 * np.abs(whole - body()).std()


def test_an_image_like_those_trained_on_has_no_warnings():
    assert run(body(), denoiser(Identity()), tracer="fdg", scanner="Demo").warnings == []


@pytest.mark.parametrize(("more", "trained", "said"), [
    ({}, (0.2, 0.4), "trained on 0.2 to 0.4: detail may be taken for noise"),
    ({}, (0.001, 0.002), "trained on 0.001 to 0.002: noise may stay, or be taken for uptake"),
    ({"tracer": "PSMA"}, (0.0, 1.0), "tracer is PSMA, and the network was trained on FDG alone"),
    ({"scanner": "Vision 600"}, (0.0, 1.0), "scanner is Vision 600, .* trained on demo alone"),
])
def test_an_image_of_another_kind_than_those_trained_on_has_a_warning(more, trained, said):
    (warning,) = run(body(), denoiser(Identity(), noise=trained), **more).warnings
    assert re.search(said, warning)


def test_values_that_are_not_finite_are_refused():
    image = body()
    image[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"got 1 that are not, the first nan at voxel \(1, 2, 3\)"):
        run(image, denoiser(Identity()))


def test_a_network_trained_on_another_scale_is_refused():
    other = denoiser(Identity(), scaling={"rule": "min-max", "ct_hu": 1000.0})
    with pytest.raises(ValueError, match=r"min-max.*train it again"):
        run(body(), other)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="auto, cpu or cuda, got 'tpu'"):
        find_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch sees no GPU"):
            find_device("cuda")
        assert find_device()[0] == "cpu"
        assert "for torch sees no GPU" in find_device()[1]
