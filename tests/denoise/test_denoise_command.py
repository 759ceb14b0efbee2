"""What `countless denoise` writes, says and refuses."""

import json
from dataclasses import asdict
from pathlib import Path

import nibabel
import numpy as np
import pytest

import countless
from denoise import shipped
from denoise.checkpoint import save_denoiser
from denoise.scaling import measure
from denoise.unet import UNet
from recon.grid import Grid
from recon.io import read_image, write_image
from tests.denoise.made import denoiser, stirred
from tests.files import contents

GRID = Grid.centred(shape=(26, 22, 18), voxel_mm=(4, 4, 4), centre_mm=(5, -7, 30),
                    patient_position="FFS")
FACTS = {"patient_position": "FFS", "isotope": "F-18", "duration_s": 600.0}


def activity():
    rng = np.random.default_rng(5)
    inside = np.hypot(*np.meshgrid(*(GRID.centres(axis) - GRID.centre[axis] for axis in (0, 1)),
                                   indexing="ij")) < 36
    noise = 1 + 0.1 * rng.standard_normal(GRID.shape)
    return (700 * inside[:, :, None] * noise).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder with low.nii.gz in Bq/mL, ct.nii.gz, model.pt, and ct.pt that takes a CT; the test
    runs there."""
    monkeypatch.chdir(tmp_path)
    write_image("low.nii.gz", activity(), GRID, unit="Bq/mL", info=FACTS,
                sidecar={"scanner": "demo", "calibration": {"decay": 0.5}})
    write_image("ct.nii.gz", 1000 * (activity() > 0) - 1000.0, GRID, unit="HU")
    save_denoiser("model.pt", stirred())
    save_denoiser("ct.pt", stirred(inputs=2))
    return tmp_path


def denoise(*words, image="low.nii.gz", output="out.nii.gz", model="model.pt"):
    chosen = ("--model", model) if model else ()
    return countless.main(["denoise", image, "-o", output, *chosen, *map(str, words)])


def said(name="out.json"):
    with open(name, encoding="utf-8") as file:
        return json.load(file)


def refused(capsys, *words, **more):
    before = contents(Path())
    assert denoise(*words, **more) == 2
    assert contents(Path()) == before
    return capsys.readouterr().err


def test_unit_place_and_facts_of_the_scan_stay(folder):
    assert denoise("--tracer", "FDG") == 0
    before, after = nibabel.load("low.nii.gz"), nibabel.load("out.nii.gz")
    np.testing.assert_array_equal(after.affine, before.affine)
    assert after.shape == before.shape
    assert after.get_data_dtype() == np.float32
    assert np.abs(after.get_fdata() - before.get_fdata()).max() > 1
    kept = said()
    assert (kept["unit"], kept["calibration"]) == ("Bq/mL", {"decay": 0.5})
    assert kept["study"] == FACTS
    assert read_image("out.nii.gz", "FFS")[1] == GRID


def test_an_image_indexed_otherwise_is_written_as_it_is_indexed(folder):
    affine = np.array([[0, 0, 4.0, -30], [-4, 0, 0, 50], [0, 4, 0, 7], [0, 0, 0, 1]])
    stored = np.ascontiguousarray(np.moveaxis(activity(), 0, -1)[::-1])
    nibabel.save(nibabel.Nifti1Image(stored, affine), "turned.nii")
    untrained = {"width": 4, "levels": 1}  # which changes nothing
    save_denoiser("same.pt", denoiser(UNet(**untrained), arguments=untrained))
    assert denoise(image="turned.nii", model="same.pt") == 0
    after = nibabel.load("out.nii.gz")
    np.testing.assert_array_equal(after.affine, affine)
    np.testing.assert_allclose(after.get_fdata(), stored, rtol=1e-5)


def test_the_json_says_how(folder):
    assert denoise() == 0
    made = said()
    assert made["command"].startswith("countless denoise low.nii.gz --output out.nii.gz --model")
    assert [entry["path"] for entry in made["inputs"]] == ["low.nii.gz", "model.pt"]
    assert all(len(entry["sha256"]) == 64 for entry in made["inputs"])
    (model,) = made["models"]
    assert (model["network"], model["training"]["seed"]) == ("unet", 1)
    assert made["scaling"] == asdict(measure(activity(), GRID.voxel_mm))
    assert made["source"]["scanner"] == "demo"
    assert made["network_voxel_mm"] == [4, 4, 4]


def test_what_is_outside_of_training_is_said_aloud_and_in_the_json(folder, capsys):
    assert denoise("--tracer", "PSMA", "--scanner", "vision-600") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "WARNING the image's tracer is PSMA" in out
    assert "WARNING the image's scanner is vision-600" in out
    assert len(said()["warnings"]) == 2


def test_what_the_image_does_not_say_is_noted(folder, capsys):
    assert denoise() == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "does not say its tracer; the network was trained on tracer FDG" in out
    assert "WARNING" not in out


def test_a_picture_and_the_uncertainty_stand_beside_the_image(folder):
    assert denoise("--uncertainty", "sd.nii.gz", "--preview", "both.png") == 0
    assert Path("both.png").read_bytes().startswith(b"\x89PNG")
    deviation, grid, info = read_image("sd.nii.gz", "FFS")
    assert (grid, info["unit"]) == (GRID, "Bq/mL")
    assert deviation.max() > 1
    assert said("sd.json")["quantity"].startswith("standard deviation of the denoised image over f")


def test_several_models_are_averaged(folder):
    save_denoiser("other.pt", stirred(seed=2))
    images = []
    for models in (["model.pt"], ["other.pt"], ["model.pt", "other.pt"]):
        assert denoise("--model", *models, model=None) == 0
        images.append(read_image("out.nii.gz", "FFS")[0])
    np.testing.assert_allclose(images[2], (images[0] + images[1]) / 2, rtol=1e-4, atol=0.01)
    assert [model["path"] for model in said()["models"]] == ["model.pt", "other.pt"]


def test_a_ct_is_shown_to_a_network_that_takes_one(folder):
    assert denoise("--ct", "ct.nii.gz", model="ct.pt") == 0
    assert "ct.nii.gz" in [entry["path"] for entry in said()["inputs"]]


def test_an_interfile_image_becomes_one(folder):
    write_image("low.hv", activity(), GRID, unit="Bq/mL", info=FACTS)
    assert denoise(image="low.hv", output="out.hv") == 0
    assert read_image("out.hv")[1] == GRID


def test_without_a_model_it_is_said_how_to_make_one(folder, capsys, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", folder / "none")
    assert "`countless train study -o run` makes run/model.pt" in refused(capsys, model=None)


def test_a_shipped_model_is_known_by_its_name(folder, capsys, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", folder)
    assert denoise(model="model") == 0
    assert said()["inputs"][1]["path"] == str(folder / "model.pt")
    assert "the nearest is 'model'" in refused(capsys, model="modle")


@pytest.mark.parametrize(("words", "message"), [
    (("--model", "ct.pt"), "low.nii.gz: the network takes a CT beside the image, got none"),
    (("--model", "none.pt"), "none.pt cannot be read"),
    (("--model", "low.nii.gz"), "low.nii.gz is no checkpoint"),
    (("--uncertainty", "low.nii.gz", "--model", "model.pt"), "would overwrite the input"),
    (("--uncertainty", "out.nii.gz", "--model", "model.pt"), "are both out.nii.gz"),
    (("--uncertainty", "sd.png", "--model", "model.pt"), "ends in .hv, .nii or .nii.gz"),
    (("--preview", "both.txt", "--model", "model.pt"), "--preview takes a name that ends in .jpg"),
    (("--tile-voxels", "1000", "--model", "model.pt"), "takes 10296 at least"),
])
def test_what_cannot_be_is_one_sentence(folder, capsys, words, message):
    assert message in refused(capsys, *words, model=None)


def test_values_that_are_not_finite_are_refused_with_the_files_name(folder, capsys):
    image = activity()
    image[1, 2, 3] = np.nan
    write_image("bad.nii.gz", image, GRID)
    assert "bad.nii.gz: an image takes finite numbers, got 1" in refused(capsys, image="bad.nii.gz")


def test_settings_may_stand_in_a_file(folder):
    (folder / "run.yaml").write_text("model: [model.pt]\ntracer: FDG\n")
    assert denoise("--config", "run.yaml", model=None) == 0
    assert said()["configuration"]["tracer"] == "FDG"
