import json

import numpy as np
import pytest
from cyclopts import App

from recon.grid import Grid
from recon.io import FileError, read_image, write_image
from recon.mu_map_command import mu_map

GRID = Grid.centred(shape=(40, 40, 20), voxel_mm=(4, 4, 5))


@pytest.fixture
def run(capsys):
    """Runs `countless mu-map` with these words and returns what it printed."""
    app = App(name="countless", suppress_keyboard_interrupt=False)
    app.command(mu_map, name="mu-map")

    def run(*words):
        options = {"exit_on_error": False, "print_error": False, "result_action": "return_value"}
        app(["mu-map", *map(str, words)], **options)
        return " ".join(capsys.readouterr().out.split())

    return run


@pytest.fixture
def ct(tmp_path):
    """A CT of a water cylinder of 50 mm radius with a rod of bone (1000 HU), in air."""
    radius_mm = np.hypot(GRID.centres(0)[:, None, None], GRID.centres(1)[:, None])
    array = np.where(radius_mm < 50, 0, -1000) + np.zeros(GRID.shape)
    array[25:30, 18:22] = 1000
    path = tmp_path / "ct.nii.gz"
    write_image(path, array.astype(np.float32), GRID)
    return path


@pytest.fixture
def mu(tmp_path):
    return tmp_path / "mu.nii.gz"


def test_water_bone_and_air_have_their_attenuation(run, ct, mu):
    said = run(ct, "-o", mu, "--kvp", 120)
    array, grid, info = read_image(mu)
    assert grid == GRID
    assert info["unit"] == "1/cm"
    assert array[12, 20, 10] == pytest.approx(0.096, rel=1e-5)
    assert array[27, 20, 10] == pytest.approx(0.1491, rel=1e-5)
    assert array[0, 0, 10] == 0
    assert "120 kVp" in said
    assert "0 to 0.1491 1/cm" in said


def test_the_sidecar_says_voltage_source_and_inputs(run, ct, mu):
    run(ct, "-o", mu, "--kvp", 120)
    said = json.loads((mu.parent / "mu.json").read_text("utf-8"))
    assert (said["unit"], said["kvp"]) == ("1/cm", 120)
    assert said["source"].startswith("Carney")
    assert said["command"] == f"countless mu-map {ct} --output {mu} --kvp 120.0"
    assert [entry["path"] for entry in said["inputs"]] == [str(ct)]


def test_another_grid_keeps_the_total_and_its_own_affine(run, ct, mu, tmp_path):
    like = Grid.centred(shape=(30, 30, 15), voxel_mm=(7, 7, 8), patient_position="FFS")
    write_image(tmp_path / "pet.nii.gz", np.zeros(like.shape, np.float32), like)
    run(ct, "-o", mu, "--kvp", 120)
    total = read_image(mu)[0].sum(dtype=float) * np.prod(GRID.voxel_mm)
    said = run(ct, "-o", mu, "--kvp", 120, "--grid-like", tmp_path / "pet.nii.gz")
    array, grid, _ = read_image(mu, "FFS")
    assert grid == like
    assert array.sum(dtype=float) * np.prod(like.voxel_mm) == pytest.approx(total, rel=1e-4)
    # 15 x 8 = 120 mm of PET, 100 mm of CT.
    assert "the CT does not cover 20 mm (2 of 15 voxels) along z" in said


def test_voxels_of_other_sides_cover_what_the_ct_covers(run, ct, mu):
    run(ct, "-o", mu, "--kvp", 120, "--voxel-mm", 8, 8, 10)
    array, grid, _ = read_image(mu)
    assert (grid.shape, grid.voxel_mm, grid.extent) == ((20, 20, 10), (8, 8, 10), GRID.extent)
    assert array[6, 9, 5] == pytest.approx(0.096, rel=1e-5)


def test_the_scanners_centre_becomes_the_origin(run, ct, mu):
    run(ct, "-o", mu, "--kvp", 120, "--scanner-centre-mm", 10, -20, 30)
    array, grid, _ = read_image(mu)
    # The CT's middle was world (0, 0, 0).
    middle = np.array(grid.affine) @ [19.5, 19.5, 9.5, 1]
    np.testing.assert_allclose(middle[:3], [-10, 20, -30], atol=1e-6)
    assert array[12, 20, 10] == pytest.approx(0.096, rel=1e-5)


def test_a_bed_is_added_where_it_lies(run, ct, mu, tmp_path):
    bed = Grid.centred(shape=(40, 4, 20), voxel_mm=(4, 4, 5), centre_mm=(0, 66, 0))
    write_image(tmp_path / "bed.nii.gz", np.full(bed.shape, 0.02, np.float32), bed, unit="1/cm")
    run(ct, "-o", mu, "--kvp", 120)
    before = read_image(mu)[0]
    run(ct, "-o", mu, "--kvp", 120, "--bed", tmp_path / "bed.nii.gz")
    added = read_image(mu)[0] - before
    rows = GRID.centres(1)
    np.testing.assert_allclose(added[:, (rows > 58) & (rows < 74)], 0.02, atol=1e-6)
    np.testing.assert_allclose(added[:, (rows < 58) | (rows > 74)], 0, atol=1e-6)


def test_smoothing_keeps_the_total_and_lowers_the_bone(run, ct, mu):
    run(ct, "-o", mu, "--kvp", 120)
    sharp = read_image(mu)[0][:, :, 10]
    run(ct, "-o", mu, "--kvp", 120, "--smooth-mm", 8)
    smooth = read_image(mu)[0][:, :, 10]
    assert smooth.sum(dtype=float) == pytest.approx(sharp.sum(dtype=float), rel=1e-3)
    assert smooth[25, 20] < sharp[25, 20] - 0.01


def test_padding_outside_the_field_of_view_is_said(run, ct, mu):
    array, grid, _ = read_image(ct)
    array[:2] = -3024
    write_image(ct, array, grid)
    assert "voxels below -1024 HU" in run(ct, "-o", mu, "--kvp", 120)
    assert read_image(mu)[0].min() == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "does not say its tube voltage"),
        (["--kvp", "125"], "got 125"),
        (["--kvp", "120", "--voxel-mm", "4", "4", "0"], "--voxel-mm takes three sides"),
        (["--kvp", "120", "--smooth-mm", "-1"], "--smooth-mm takes"),
        (["--kvp", "120", "--grid-like", "CT", "--voxel-mm", "4", "4", "4"], "give one of them"),
        (["--kvp", "120", "--bed", "CT"], "give the bed in 1/cm"),
        (
            ["--kvp", "120", "--grid-like", "CT", "--scanner-centre-mm", "0", "0", "900"],
            "do not overlap along z",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(run, ct, mu, words, message):
    with pytest.raises(ValueError, match=message):
        run(ct, "-o", mu, *[str(ct) if word == "CT" else word for word in words])
    assert not mu.exists()


def test_the_ct_is_not_overwritten(run, ct):
    with pytest.raises(FileError, match="would overwrite the input"):
        run(ct, "-o", ct, "--kvp", 120)
