"""`countless phantom` as a user runs it."""

import json
import re

import numpy as np
import pytest

import countless
from recon import Grid
from recon.io import read_image, write_image
from sim.catalogue import phantom_names
from sim.phantom_files import IMAGES, read_phantom

COARSE = "--voxel-mm", "8", "8", "8", "--samples", "2"
TABLE = "1: {name: liver, activity_bq_ml: 1000, material: soft tissue}\n"


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    """Runs `countless phantom` with these words in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words, refused=False):
        code = countless.main(["phantom", *map(str, words)])
        out, err = capfd.readouterr()
        assert code == (2 if refused else 0), err
        return " ".join((err if refused else out).split())

    return run


@pytest.fixture
def labels(tmp_path):
    """labels.nii.gz of a box of label 1, and table.yaml, in the empty folder."""
    grid = Grid.centred(shape=(10, 12, 14), voxel_mm=(5, 5, 5), centre_mm=(1, 2, 3))
    image = np.zeros(grid.shape, np.float32)
    image[2:7, 3:9, 4:10] = 1
    write_image(tmp_path / "labels.nii.gz", image, grid)
    (tmp_path / "table.yaml").write_text(TABLE)
    return grid


def test_a_test_object_becomes_a_folder_of_files(run, tmp_path):
    said = run("nema-iq", "-o", "nema", *COARSE)
    assert "nema-iq, 16 regions, 6 lesions" in said
    mbq = float(re.search(r"activity ([\d.]+) MBq of F-18", said)[1])
    assert mbq == pytest.approx(50.38, rel=0.005)  # 9314 mL of 5.3 and 47.8 mL of 21.2 kBq/mL
    assert "warning" not in said
    files = {path.name for path in (tmp_path / "nema").iterdir()}
    assert {*IMAGES, "phantom.json", "preview.png"} <= files
    stored = read_phantom(tmp_path / "nema")
    assert stored.grid.voxel_mm == (8, 8, 8)
    assert stored.activity.max() == pytest.approx(21200)


def test_options_of_the_phantom_are_flags_and_are_kept(run, tmp_path):
    run("nema-iq", "-o", "nema", *COARSE, "--contrast", 8, "--edition", 2012)
    said = read_phantom(tmp_path / "nema").said
    assert said["options"] == {"contrast": 8, "edition": 2012}
    rows = {row["name"]: row["activity_bq_ml"] for row in said["regions"]}
    assert (rows["sphere 22 mm"], rows["sphere 28 mm"]) == (8 * 5300, 0)
    assert said["made"]["command"].endswith("--contrast 8 --edition 2012")
    assert said["made"]["configuration"]["contrast"] == 8


def test_a_grid_that_cuts_the_phantom_is_warned_of_with_the_percentage(run, tmp_path):
    grid = Grid.centred(shape=(30, 30, 10), voxel_mm=(8, 8, 15))  # 150 of 300 mm
    write_image(tmp_path / "like.nii.gz", np.zeros(grid.shape, np.float32), grid)
    said = run("uniform", "-o", "u", "--grid-like", "like.nii.gz", "--samples", 2)
    assert "the grid cuts off 50.00% of the activity" in said
    assert read_phantom(tmp_path / "u").grid == grid


def test_another_isotope_is_kept_by_its_name_in_the_tables(run, tmp_path):
    assert "MBq of Ga-68" in run("point-source", "-o", "p", "--isotope", "68Ga")
    assert read_phantom(tmp_path / "p").said["isotope"] == "Ga-68"


def test_labels_of_the_users_become_a_phantom_on_their_own_grid(run, tmp_path, labels):
    said = run("labels.nii.gz", "--values", "table.yaml", "-o", "my")
    assert "0.0225 MBq" in said  # 5 x 6 x 6 voxels of 0.125 mL, 1000 Bq/mL
    assert read_phantom(tmp_path / "my").grid == labels
    inputs = json.loads((tmp_path / "my" / "phantom.json").read_text())["made"]["inputs"]
    assert [entry["path"] for entry in inputs] == ["labels.nii.gz", "table.yaml"]


def test_organs_are_said_with_their_z_to_centre_a_scan_on(run, tmp_path, labels):
    said = run("labels.nii.gz", "--values", "table.yaml", "-o", "my")
    assert "z in mm liver 3: what countless scan takes as --bed-mm" in said
    (row,) = read_phantom(tmp_path / "my").said["regions"]
    assert row["centre_mm"] == pytest.approx([-1.5, 2, 3])


def test_labels_may_be_painted_on_other_voxels(run, tmp_path, labels):
    run("labels.nii.gz", "--values", "table.yaml", "-o", "my", "--voxel-mm", 4, 4, 4)
    image, grid, _ = read_image(tmp_path / "my" / "activity.nii.gz")
    assert grid.voxel_mm == (4, 4, 4)
    assert image.sum() * 0.064 == pytest.approx(22500, rel=0.03)


def test_a_second_run_is_fine_and_another_phantom_is_not(run, tmp_path):
    run("point-source", "-o", "p")
    run("point-source", "-o", "p")
    said = run("point-source", "-o", "p", "--z-mm", "4", refused=True)
    assert "holds another phantom" in said
    run("point-source", "-o", "p", "--z-mm", "4", "--overwrite")
    assert read_phantom(tmp_path / "p").said["options"] == {"z_mm": 4}


def test_all_phantoms_are_listed(run):
    said = run("--list")
    assert all(name in said for name in phantom_names())


def test_options_of_a_phantom_are_listed_with_their_meaning(run):
    said = run("nema-iq", "--list")
    assert "--contrast 4.0 --edition 2018" in said
    assert "of hot spheres to the background" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nema-ik", "-o", "x"], "the nearest is 'nema-iq'"),
        (["nema-iq", "-o", "x", "--contrats", "4"], "the nearest is --contrast"),
        (["nema-iq", "-o", "x", "--isotope", "Ga-86"], "got 'Ga-86'; the nearest is Ga-68"),
        (["nema-iq", "-o", "x", "--contrast", "1e400"], "contrast takes a number"),
        (["nema-iq", "-o", "x", "--contrast", "four"], "contrast takes a number of 0 or more"),
        (["nema-iq"], "takes --output"),
        (["-o", "x"], "takes a name"),
        (["nema-iq", "-o", "x", "--samples", "0"], "--samples takes 1 to 16, got 0"),
        (["nema-iq", "-o", "x", "--voxel-mm", "0", "1", "1"], "--voxel-mm takes three sides"),
        (["nema-iq", "-o", "x", "--voxel-mm", "0.01", "0.01", "0.01"], "give larger --voxel-mm"),
        (["nema-iq", "-o", "x", "--isotope", "H-3"], "H-3"),
        (["nema-iq", "-o", "x", "--values", "table.yaml"], "--values belongs to an image"),
        (["labels.mha", "-o", "x"], "image of labels is .nii, .nii.gz or .hv, got labels.mha"),
        (["labels.nii.gz", "-o", "x"], "labels.nii.gz takes --values"),
        (["no.nii.gz", "-o", "x", "--values", "table.yaml"], "no.nii.gz"),
        (["labels.nii.gz", "-o", "x", "--values", "no.yaml"], "no.yaml cannot be read"),
        (["labels.nii.gz", "-o", "x", "--values", "table.yaml", "--contrast", "1"],
         "labels.nii.gz takes no option --contrast"),
        (["labels.nii.gz", "-o", ".", "--values", "table.yaml"], "would overwrite the input"),
        (["nema-iq", "-o", "table.yaml"], "table.yaml cannot be made a folder"),
    ],
)
def test_bad_input_ends_with_one_sentence_before_anything_is_written(
    run, tmp_path, labels, words, message
):
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert message in run(*words, refused=True)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.name != "x") == before
