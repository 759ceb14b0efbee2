"""The CT of a study's phantoms, and the mu map that images are reconstructed with."""

import h5py
import numpy as np
import pytest

from recon import Grid
from recon.corrections.hounsfield import mu_at_511
from sim import study_phantom
from sim.materials import MATERIALS
from sim.phantoms import Phantom, Region
from sim.reconstruct import Reconstructed
from sim.shapes import Cylinder
from sim.study_ct import CT, scan_ct
from sim.study_file import read_study
from sim.study_phantom import draw_phantom, image_grid, simulate_phantom
from tests.sim.studies import TEXT, write

GRID = Grid.centred(shape=(64, 64, 3), voxel_mm=(4, 4, 5), centre_mm=(10, -20, 300))
WATER = MATERIALS["water"]


@pytest.fixture(scope="module")
def cylinder():
    """Endless water of 80 mm radius about x 10 and y -20 mm."""
    solid = Cylinder(centre_mm=(10, -20, 300), radii_mm=(80, 80, np.inf))
    return Phantom(name="water", regions=(
        Region(name="water", solid=solid, activity_bq_ml=1.0, material=WATER),
    ))


def ct(phantom, seed=1, threads=None, **settings):
    return scan_ct(CT(**settings), phantom, phantom.images(GRID), GRID,
                   np.random.default_rng(seed), threads=threads)


def amid(radius_mm):
    x, y = (GRID.centres(axis) - GRID.centre[axis] for axis in (0, 1))
    return np.hypot(x[:, None], y) < radius_mm


def test_the_mu_map_is_what_the_cts_noisy_numbers_give(cylinder):
    hu, mu_per_cm, _ = ct(cylinder, kvp=80, photons=1e4)
    np.testing.assert_array_equal(mu_per_cm, mu_at_511(hu, 80))
    assert hu[amid(60)].std() > 10
    assert mu_per_cm[amid(60)].mean() == pytest.approx(WATER.mu_per_cm, rel=0.01)


def test_fewer_photons_make_more_noise(cylinder):
    noise = [ct(cylinder, photons=photons)[0][amid(60)].std() for photons in (1e4, 1e5)]
    assert noise[0] == pytest.approx(np.sqrt(10) * noise[1], rel=0.1)


def test_a_ct_that_is_out_of_place_lies_where_its_shift_says(cylinder):
    hu, _, shift_mm = ct(cylinder, shift_mm=12)
    part = hu + 1000.0
    for axis, other in ((0, (1, 2)), (1, (0, 2))):
        line = part.sum(axis=other)
        found = line @ GRID.centres(axis) / line.sum() - GRID.centre[axis]
        assert found == pytest.approx(shift_mm[axis], abs=0.5)
    assert np.abs(shift_mm[:2]).min() > 2


def test_shifts_have_the_standard_deviation_that_was_asked_for(cylinder):
    grid = Grid.centred(shape=(2, 2, 1), voxel_mm=(50, 50, 5), centre_mm=GRID.centre)
    images = cylinder.images(grid)
    shifts = [scan_ct(CT(shift_mm=3), cylinder, images, grid, np.random.default_rng(seed))[2]
              for seed in range(200)]
    # 600 numbers: a relative deviation of 1 / sqrt(1200) is 2.9 %.
    assert np.std(shifts) == pytest.approx(3, rel=0.12)


def test_the_number_of_threads_makes_no_difference(cylinder):
    for one, three in zip(ct(cylinder, threads=1), ct(cylinder, threads=3), strict=True):
        np.testing.assert_array_equal(one, three)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A function that makes a phantom's file of a study's text, with blank images.

    It returns the file's CT and how far that is shifted, the phantom's own CT numbers and mu map,
    and the mu map that images were to be made with.
    """
    used = []

    def blank(prompts, delayeds, efficiency, mu_per_cm, mu_grid, layout, grid, *_, **__):
        used.append(mu_per_cm)
        image = np.zeros(grid.shape, np.float32)
        return Reconstructed(image=image, randoms=0, scatter=0, scatter_scale=1,
                             scatter_scale_sd=0, multiple_sd=0, factors=None, background=None)

    monkeypatch.setattr(study_phantom, "reconstruct", blank)

    def made(text, number=1):
        study = read_study(write(tmp_path, text))
        simulate_phantom(study, number, tmp_path)
        own = draw_phantom(study, number).images(image_grid(study))
        with h5py.File(tmp_path / f"phantom-{number:04d}.h5") as file:
            return file["ct"][:], file.attrs["ct_shift_mm"], own, used[-1]

    return made


def test_images_are_reconstructed_with_the_mu_map_of_a_ct_that_is_simulated(made):
    hu, shift_mm, own, used = made(TEXT)
    np.testing.assert_array_equal(used, mu_at_511(hu, 120))
    assert (hu != own["hu"]).all()
    np.testing.assert_array_equal(shift_mm, 0)


@pytest.mark.parametrize(
    "old, new", [("seed: 3", "ct: {simulated: false}\nseed: 3"),
                 ("split: 1", "split: 1\n  inverse_crime: true")]
)
def test_without_a_simulated_ct_and_in_an_inverse_crime_all_is_the_phantoms_own(
    made, old, new
):
    hu, _, own, used = made(TEXT.replace(old, new))
    np.testing.assert_array_equal(hu, own["hu"])
    np.testing.assert_array_equal(used, own["mu_per_cm"])


def test_each_phantom_has_noise_and_a_shift_of_its_own(made):
    text = TEXT + "ct: {shift_mm: 5}\n"
    first, second = (made(text, n) for n in (1, 2))
    assert (first[0] != second[0]).all()
    assert (first[1] != second[1]).all()
