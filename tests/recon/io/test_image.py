import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from recon.grid import Grid
from recon.io import FileError, like, read_image, write_image
from recon.io.provenance import read_sidecar

GRID = Grid(shape=(3, 4, 5), voxel_mm=(2, 3, 4), origin_mm=(1, 2, 3))


@pytest.mark.parametrize("name", ["image.hv", "image.nii", "image.nii.gz"])
def test_an_image_comes_back_from_every_format_with_its_unit(tmp_path, rng, name):
    array = rng.random(GRID.shape, dtype=np.float32)
    write_image(tmp_path / name, array, GRID, unit="Bq/mL", sidecar={"unit": "Bq/mL"})
    back, grid, info = read_image(tmp_path / name)
    assert grid == GRID
    assert back.tobytes() == array.tobytes()
    assert info["unit"] == "Bq/mL"
    assert json.loads((tmp_path / "image.json").read_text())["unit"] == "Bq/mL"


def test_an_image_written_over_another_takes_its_sidecars_place(tmp_path):
    for number, name in enumerate(("image.hv", "image.nii", "image.nii.gz")):
        old = {"unit": "old", "command": "old"}
        write_image(tmp_path / name, np.zeros(GRID.shape), GRID, sidecar=old)
        write_image(tmp_path / name, np.zeros(GRID.shape), GRID, unit=f"{number} Bq/mL")
        said = json.loads((tmp_path / "image.json").read_text())
        assert sorted(said) == ["date", "file", "unit", "version"]
        assert (said["file"], said["unit"]) == (name, f"{number} Bq/mL")
        assert read_image(tmp_path / name)[2]["unit"] == f"{number} Bq/mL"


def test_an_image_of_unknown_unit_does_not_inherit_one(tmp_path):
    write_image(tmp_path / "image.nii", np.zeros(GRID.shape), GRID, unit="Bq/mL")
    write_image(tmp_path / "image.nii", np.zeros(GRID.shape), GRID)
    assert "unit" not in read_image(tmp_path / "image.nii")[2]


def test_the_unit_that_is_written_wins_over_the_sidecars(tmp_path):
    sidecar = {"unit": None, "seed": 7}
    write_image(tmp_path / "image.hv", np.zeros(GRID.shape), GRID, unit="Bq/mL", sidecar=sidecar)
    said = json.loads((tmp_path / "image.json").read_text())
    assert (said["unit"], said["seed"]) == ("Bq/mL", 7)


def test_the_sidecar_of_an_image_is_not_that_of_another_format(tmp_path):
    write_image(tmp_path / "a.hv", np.zeros(GRID.shape), GRID, unit="1/cm")
    write_image(tmp_path / "a.nii.gz", np.zeros(GRID.shape), GRID, unit="Bq/mL")
    assert read_sidecar(tmp_path / "a.hv") == {}
    assert read_sidecar(tmp_path / "a.nii.gz")["unit"] == "Bq/mL"


def test_an_interfile_image_gives_its_grid_to_others(tmp_path):
    write_image(tmp_path / "image.hv", np.zeros(GRID.shape), GRID)
    assert like(tmp_path / "image.hv") == (GRID, None)


def test_facts_of_the_study_stand_in_an_interfile_header(tmp_path):
    write_image(tmp_path / "image.hv", np.zeros(GRID.shape), GRID, info={"duration_s": 60.0})
    assert read_image(tmp_path / "image.hv")[2]["duration_s"] == 60.0


def test_an_image_like_a_nifti_image_is_indexed_like_it(tmp_path, rng):
    affine = np.diag([-2.0, 3, 4, 1])
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.float32), affine), tmp_path / "a.nii")
    grid, frame = like(tmp_path / "a.nii", "FFS")
    write_image(tmp_path / "b.nii", rng.random(grid.shape), grid, frame=frame)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "b.nii").affine, affine)


@pytest.mark.parametrize("name", ["image.png", "image", "image.gz"])
def test_a_name_of_no_known_format_is_refused(tmp_path, name):
    with pytest.raises(FileError, match=r"takes a name that ends in \.hv, \.nii or \.nii\.gz"):
        write_image(tmp_path / name, np.zeros(GRID.shape), GRID)


def test_a_data_file_in_place_of_its_header_gets_a_hint(tmp_path):
    with pytest.raises(FileError, match=r"image\.v; give its header, \.hv"):
        read_image(tmp_path / "image.v")


def test_importing_the_formats_does_not_import_nibabel():
    code = "import recon.io, sys; sys.exit('nibabel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
