"""A small demo, through the real command. Its images are read with nibabel alone."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from sim.demo import demo
from sim.torso import torso

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "output"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        demo(output=folder, voxel_mm=6.25, split=1, low_dose=0.2)
    return folder


@pytest.fixture(scope="module")
def image(output):
    return nibabel.load(output / "standard-dose" / "image.nii.gz")


def values_near(image, world_mm, radius_mm):
    """Values and world coordinates of the voxels around a point (right, anterior, superior)."""
    index = np.moveaxis(np.indices(image.shape), 0, -1).reshape(-1, 3)
    world = nibabel.affines.apply_affine(image.affine, index)
    near = np.linalg.norm(world - world_mm, axis=1) < radius_mm
    return image.get_fdata().reshape(-1)[near], world[near]


def test_each_lesion_is_where_the_patient_has_it(image):
    # Head first and supine: x leads to the left, y to the back, z to the feet.
    for number in (1, 3):  # right liver, right lung
        solid = torso(1).find(f"lesion {number}")[0].solid
        place = -np.array(solid.centre_mm)
        values, world = values_near(image, place, 30)
        assert np.linalg.norm(world[values.argmax()] - place) < 8  # a voxel's diagonal is 11 mm


def test_the_heart_is_at_the_left_and_the_liver_at_the_right(image):
    left, _ = values_near(image, (-48, 40, 22), 40)
    right, _ = values_near(image, (48, 40, 22), 40)
    assert left.mean() > 2 * right.mean()


def test_the_liver_has_the_activity_of_the_phantom_within_3_percent(output, image):
    liver = nibabel.load(output / "regions.nii.gz").get_fdata() == 1
    assert image.get_fdata()[liver].mean() == pytest.approx(11000, rel=0.03)


def test_the_low_dose_image_agrees_with_the_standard_one_but_for_more_noise(output):
    numbers = json.loads((output / "numbers.json").read_text())["images"]
    assert numbers["low-dose"]["liver_recovery"] == pytest.approx(1.0, rel=0.05)
    assert numbers["low-dose"]["noise"] > 1.5 * numbers["standard-dose"]["noise"]


def test_scans_hold_as_many_counts_as_their_doses_say(output):
    prompts = [
        json.loads((output / name / "prompts.json").read_text())["prompts"]
        for name in ("standard-dose", "low-dose")
    ]
    assert prompts == [pytest.approx(60e6, rel=1e-3), pytest.approx(12e6, rel=1e-3)]


def test_every_sinogram_and_image_has_a_sidecar_that_says_what_made_it(output):
    made = [path for suffix in ("hs", "hv", "nii.gz") for path in output.rglob(f"*.{suffix}")]
    assert len(made) == 2 * 4 + 3
    for path in made:
        said = json.loads((path.parent / f"{path.name.split('.')[0]}.json").read_text())
        assert said["file"] == path.name
        assert {"version", "command", "configuration", "seed", "unit", "date"} <= said.keys()


def test_the_efficiency_says_the_unit_that_images_get_by_it(output):
    header = (output / "standard-dose" / "efficiency.hs").read_text()
    assert "%unit := Bq/mL\n" in header
    assert "%unit := counts\n" in (output / "standard-dose" / "prompts.hs").read_text()


@pytest.mark.parametrize("name", ["comparison.png", "low-dose/preview.png"])
def test_pictures_are_drawn(output, name):
    assert (output / name).read_bytes().startswith(b"\x89PNG")


def test_a_dose_above_the_standard_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--low-dose takes a number above 0 and up to 1, got 3"):
        demo(output=tmp_path, low_dose=3)


def test_an_output_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match="cannot be made a folder"):
        demo(output=file)
