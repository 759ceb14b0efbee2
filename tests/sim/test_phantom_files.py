import json

import numpy as np
import pytest

from recon import Grid
from recon.io import FileError, provenance, read_image, write_image
from sim import catalogue
from sim.phantom_files import IMAGES, check_folder, read_phantom, write_phantom

GRID = Grid.centred(shape=(27, 26, 20), voxel_mm=(9, 9, 10))
MADE = provenance(command="test", configuration={})


@pytest.fixture(scope="module")
def phantom():
    return catalogue.phantom("jaszczak", contrast=4)


@pytest.fixture(scope="module")
def folder(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, phantom, GRID, samples=2, made=MADE, options={"contrast": 4})
    return folder


def test_what_is_read_is_what_was_painted(folder, phantom):
    stored, images = read_phantom(folder), phantom.images(GRID, 2)
    for name in ("activity", "mu_per_cm", "hu", "labels"):
        np.testing.assert_array_equal(getattr(stored, name), images[name])
    assert stored.grid == GRID
    assert stored.labels.dtype == np.uint16


def test_images_say_their_units_and_what_made_them(folder):
    for file, (_, unit) in IMAGES.items():
        assert read_image(folder / file)[2]["unit"] == unit
        said = json.loads((folder / file.replace("nii.gz", "json")).read_text())
        assert said["command"] == "test"


def test_the_table_of_regions_says_each_label_in_the_image(folder):
    stored = read_phantom(folder)
    rows = {row["label"]: row for row in stored.said["regions"]}
    assert set(np.unique(stored.labels)) - {0} <= set(rows)
    sphere = next(row for row in rows.values() if row["name"] == "sphere 31.8 mm")
    assert sphere["lesion"] and sphere["activity_bq_ml"] == 21200
    assert sphere["volume_ml"] == pytest.approx(np.pi / 6 * 31.8**3 / 1000)
    assert sphere["centre_mm"] == pytest.approx([58 * np.cos(np.pi / 6), -29, 34])
    held = rows[2]["volume_ml"]
    assert rows[2]["name"] == "background" and held == pytest.approx(6300, rel=0.05)


def test_the_summary_says_name_options_and_isotope(folder):
    said = read_phantom(folder).said
    assert (said["name"], said["isotope"], said["seed"]) == ("jaszczak", "F-18", None)
    assert said["options"] == {"contrast": 4}
    assert (folder / "preview.png").exists()


def test_a_folder_without_a_summary_is_no_phantom(tmp_path):
    with pytest.raises(FileError, match=r"holds no phantom.json.*make it with"):
        read_phantom(tmp_path)


def test_images_of_several_grids_are_refused(phantom, tmp_path):
    write_phantom(tmp_path, phantom, GRID, samples=1, made=MADE)
    other = Grid.centred(shape=(5, 5, 5), voxel_mm=(9, 9, 10))
    write_image(tmp_path / "ct.nii.gz", np.zeros(other.shape, np.float32), other)
    with pytest.raises(FileError, match=r"ct.nii.gz has another grid than activity.nii.gz"):
        read_phantom(tmp_path)


def test_a_summary_disappears_before_images_change(phantom, tmp_path, monkeypatch):
    write_phantom(tmp_path, phantom, GRID, samples=1, made=MADE)

    def full(*_, **__):
        raise FileError("no space left")

    monkeypatch.setattr("sim.phantom_files.write_image", full)
    with pytest.raises(FileError, match="no space left"):
        write_phantom(tmp_path, phantom, GRID, samples=1, made=MADE)
    with pytest.raises(FileError, match=r"holds no phantom.json"):
        read_phantom(tmp_path)


def test_the_same_phantom_may_be_written_again_and_another_may_not(folder, phantom):
    check_folder(folder, phantom, {"contrast": 4}, overwrite=False)
    with pytest.raises(FileError, match=r"another phantom \(jaszczak, F-18, contrast 4; this "
                                        r"is jaszczak, F-18, contrast 5\)"):
        check_folder(folder, phantom, {"contrast": 5}, overwrite=False)
    with pytest.raises(FileError, match=r"this is acr, F-18\); give another folder"):
        check_folder(folder, catalogue.phantom("acr"), {}, overwrite=False)
    check_folder(folder, catalogue.phantom("acr"), {}, overwrite=True)


def test_a_users_own_image_is_not_overwritten(phantom, tmp_path):
    write_image(tmp_path / "ct.nii.gz", np.zeros(GRID.shape, np.float32), GRID)
    with pytest.raises(FileError, match=r"holds ct.nii.gz and no phantom.json"):
        check_folder(tmp_path, phantom, {}, overwrite=False)


def test_an_input_is_never_overwritten(phantom, tmp_path):
    write_image(tmp_path / "labels.nii.gz", np.zeros(GRID.shape, np.float32), GRID)
    with pytest.raises(FileError, match="would overwrite the input"):
        check_folder(tmp_path, phantom, {}, overwrite=True, inputs=[tmp_path / "labels.nii.gz"])
