import json

import numpy as np
import pytest

import countless
from recon import Grid
from recon.io import write_image

GRID = Grid.centred(shape=(20, 18, 16), voxel_mm=(10.0, 10.0, 10.0))


@pytest.fixture
def reference():
    """A body of 1000 Bq/mL with a hot organ."""
    x, y, z = np.ix_(*(GRID.centres(axis) for axis in range(3)))
    body = (x**2 + y**2 < 70**2) & (np.abs(z) < 90)
    image = np.where(body, 1000.0, 0.0).astype(np.float32)
    image[8:11, 8:11, 7:9] = 3000
    return image


@pytest.fixture
def folder(tmp_path, reference):
    write_image(tmp_path / "reference.nii.gz", reference, GRID, unit="Bq/mL")
    write_image(tmp_path / "image.nii.gz", 0.9 * reference, GRID, unit="Bq/mL")
    return tmp_path


def evaluate(folder, *words, image="image.nii.gz"):
    return countless.main(["evaluate", str(folder / image), "--reference",
                           str(folder / "reference.nii.gz"), *map(str, words)])


def test_an_image_of_nine_tenths_of_the_reference_has_an_nrmse_of_10_per_cent(folder, capsys):
    assert evaluate(folder, "-o", folder / "found.json") == 0
    assert "NRMSE  10.00 %" in capsys.readouterr().out
    found = json.loads((folder / "found.json").read_text())
    assert found["nrmse"] == pytest.approx(0.1, rel=1e-5)
    assert found["unit"] == "Bq/mL" and len(found["inputs"]) == 2


def test_the_mask_and_the_data_range_are_the_users(folder, reference):
    mask = np.zeros(GRID.shape, np.float32)
    mask[8:11, 8:11, 7:9] = 1
    write_image(folder / "mask.nii.gz", mask, GRID)
    found = folder / "found.json"
    words = "--mask", folder / "mask.nii.gz", "--data-range", 3000, "-o", found
    assert evaluate(folder, *words) == 0
    found = json.loads(found.read_text())
    assert found["voxels"] == 18
    assert found["psnr"] == pytest.approx(20, abs=1e-4)  # off by 300 everywhere


def test_an_image_in_another_unit_is_converted(folder, reference):
    write_image(folder / "kilo.nii.gz", 0.9e-3 * reference, GRID, unit="kBq/mL")
    assert evaluate(folder, "-o", folder / "found.json", image="kilo.nii.gz") == 0
    found = json.loads((folder / "found.json").read_text())
    assert found["nrmse"] == pytest.approx(0.1, rel=1e-5)


def test_a_unit_that_nothing_converts_is_refused(folder, reference, capsys):
    write_image(folder / "counts.nii.gz", reference, GRID, unit="counts/mm")
    assert evaluate(folder, image="counts.nii.gz") == 2
    assert "does not turn one into the other" in capsys.readouterr().err


def test_an_image_that_does_not_say_its_unit_is_said_to_be_taken_for_the_references(
    folder, reference, capsys
):
    write_image(folder / "bare.nii.gz", 0.9 * reference, GRID)
    assert evaluate(folder, "-o", folder / "found.json", image="bare.nii.gz") == 0
    assert "bare.nii.gz does not say its unit, and is taken to be in Bq/mL" in (
        capsys.readouterr().out)
    assert len(json.loads((folder / "found.json").read_text())["notes"]) == 1
    assert evaluate(folder) == 0
    assert "does not say" not in capsys.readouterr().out


def test_two_images_without_units_are_taken_for_the_same(folder, reference, capsys):
    for name in ("image", "reference"):
        write_image(folder / f"{name}.nii.gz", reference, GRID)
        (folder / f"{name}.nii.gz.json").unlink(missing_ok=True)
    assert evaluate(folder) == 0
    assert capsys.readouterr().out.count("taken to be in the same") == 2


def test_other_voxels_are_refused(folder, reference, capsys):
    write_image(folder / "short.nii.gz", reference[1:], Grid.centred(
        shape=(19, 18, 16), voxel_mm=(10.0, 10.0, 10.0)), unit="Bq/mL")
    assert evaluate(folder, image="short.nii.gz") == 2
    assert "compared on the reference's own voxels" in capsys.readouterr().err


def test_values_that_are_not_finite_are_refused_with_the_file(folder, reference, capsys):
    reference[3, 4, 5] = np.nan
    write_image(folder / "bad.nii.gz", reference, GRID, unit="Bq/mL")
    assert evaluate(folder, image="bad.nii.gz") == 2
    said = capsys.readouterr().err
    assert "bad.nii.gz takes finite numbers, got 1 that are not, the first nan at voxel (3" in said


def test_a_data_range_that_is_not_positive_is_refused(folder, capsys):
    assert evaluate(folder, "--data-range", 0) == 2
    assert "takes a positive data_range, got 0" in capsys.readouterr().err
