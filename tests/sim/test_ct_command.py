"""`countless ct` through the real command, and `countless mu-map` of what it wrote."""

import json

import numpy as np
import pytest

from countless import main
from recon import Grid
from recon.io import read_image, write_image
from sim.materials import MATERIALS
from sim.phantoms import Phantom, Region
from sim.shapes import Cylinder

GRID = Grid.centred(shape=(64, 60, 4), voxel_mm=(4, 4, 5), centre_mm=(0, 0, 30))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cylinder of water of 100 mm radius with one of bone in it, as `countless phantom` does."""
    regions = tuple(
        Region(name=name, activity_bq_ml=0.0, material=MATERIALS[name],
               solid=Cylinder(centre_mm=(x, 0, 0), radii_mm=(radius, radius, np.inf)))
        for name, x, radius in (("water", 0, 100), ("bone", 60, 15))
    )
    images = Phantom(name="rods", regions=regions).images(GRID)
    folder = tmp_path_factory.mktemp("phantom")
    write_image(folder / "mu-map.nii.gz", images["mu_per_cm"], GRID, unit="1/cm")
    write_image(folder / "ct.nii.gz", images["hu"], GRID, unit="HU")
    return folder


@pytest.fixture(scope="module")
def written(folder):
    output = folder / "low"
    assert main(["ct", str(folder), "-o", str(output), "--photons", "1e6", "--drf", "4"]) == 0
    return output


def water_of(image):
    return image[np.hypot(GRID.centres(0)[:, None] + 30, GRID.centres(1)) < 40]


def test_the_ct_lies_on_the_phantoms_grid_and_its_water_has_0_hu(written):
    image, grid, info = read_image(written / "ct.nii.gz")
    assert grid == GRID
    assert info["unit"] == "HU"
    assert water_of(image).mean() == pytest.approx(0, abs=3)
    assert water_of(image).std() > 2


def test_its_mu_map_has_0_096_per_cm_in_water_within_1_percent(written, tmp_path):
    path = tmp_path / "mu.nii.gz"
    assert main(["mu-map", str(written / "ct.nii.gz"), "--kvp", "120", "-o", str(path)]) == 0
    assert water_of(read_image(path)[0]).mean() == pytest.approx(0.096, rel=0.01)


def test_the_json_says_how_it_was_made(written, folder):
    said = json.loads((written / "ct.json").read_text("utf-8"))
    assert (said["unit"], said["seed"], said["photons_per_ray"]) == ("HU", 1, 250_000)
    assert said["readings_below_one_photon"] == 0
    assert said["configuration"]["kvp"] == 120
    assert str(folder / "mu-map.nii.gz") in [file["path"] for file in said["inputs"]]


def test_a_picture_is_drawn_beside_it(written):
    from matplotlib.image import imread

    assert imread(written / "preview.png").std() > 0.1


def test_a_quarter_of_the_photons_is_a_dose_reduction_of_4_and_the_noise_is_the_seeds(
    folder, written, tmp_path
):
    for name, seed in (("same", "1"), ("other", "2")):
        output = str(tmp_path / name)
        main(["ct", str(folder), "-o", output, "--photons", "250000", "--seed", seed])
    expected, same, other = (
        read_image(place / "ct.nii.gz")[0]
        for place in (written, tmp_path / "same", tmp_path / "other")
    )
    np.testing.assert_array_equal(same, expected)
    assert (other != expected).mean() > 0.99


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--drf", "0.5"], "--drf takes a factor of 1 or more, got 0.5"),
        (["--kvp", "90"], "got 90; take 80"),
        (["--photons", "5", "--drf", "10"], "more than 1 photon in a ray, got 0.5"),
    ],
)
def test_settings_out_of_range_exit_with_2_and_write_nothing(folder, tmp_path, capsys, words, said):
    assert main(["ct", str(folder), "-o", str(tmp_path / "new"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not list((tmp_path / "new").glob("*"))


def test_the_phantoms_own_folder_is_refused(folder, capsys):
    before = (folder / "ct.nii.gz").read_bytes()
    assert main(["ct", str(folder), "-o", str(folder)]) == 2
    assert "would overwrite the input" in capsys.readouterr().err
    assert (folder / "ct.nii.gz").read_bytes() == before


def test_a_folder_without_a_phantom_is_named(tmp_path, capsys):
    assert main(["ct", str(tmp_path), "-o", str(tmp_path / "new")]) == 2
    assert "mu-map.nii.gz" in capsys.readouterr().err


def test_images_of_two_grids_are_refused(folder, tmp_path, capsys):
    image, grid, _ = read_image(folder / "ct.nii.gz")
    write_image(tmp_path / "ct.nii.gz", image, grid)
    smaller = Grid.centred(shape=(64, 60, 3), voxel_mm=(4, 4, 5))
    write_image(tmp_path / "mu-map.nii.gz", image[..., :3] * 0, smaller)
    assert main(["ct", str(tmp_path), "-o", str(tmp_path / "new")]) == 2
    assert "takes the voxels of" in capsys.readouterr().err


def test_a_file_in_the_folders_place_is_refused(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["ct", str(folder), "-o", str(tmp_path / "file")]) == 2
    assert "cannot be made a folder" in capsys.readouterr().err
