"""What `countless quantify` and `countless calibrate` write, print and refuse."""

import json

import numpy as np
import pytest

import countless
from recon import Grid, Scanner, SinogramLayout
from recon.corrections.calibration import ISOTOPES, Calibration
from recon.io import read_image, write_image, write_sinogram
from recon.projectors import SinogramProjector
from tests.files import contents

GRID = Grid.centred(shape=(21, 21, 9), voxel_mm=(6, 6, 4))
STUDY = {"patient_position": "HFS", "isotope": "^18^Fluorine", "duration_s": 600.0, "start_s": 60.0}
F18, C = ISOTOPES["F-18"], 5e4
SCALE = Calibration(isotope=F18, duration_s=600, start_s=60, factor=C).scale


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder with counts.nii.gz, 5 counts/mm in a cylinder, and the test runs there."""
    monkeypatch.chdir(tmp_path)
    counts = 5 * GRID.cylinder(45.0) * np.ones(GRID.shape, np.float32)
    write_image("counts.nii.gz", counts, GRID, unit="counts/mm", info=STUDY)
    return tmp_path


def run(*words):
    return countless.main([str(word) for word in words])


def quantify(*words, image="counts.nii.gz", output="out.nii.gz"):
    return run("quantify", image, "-o", output, *words)


def said(name="out.json"):
    with open(name, encoding="utf-8") as file:
        return json.load(file)


def middle(name="out.nii.gz"):
    image, _, info = read_image(name)
    return image[10, 10, 4], info["unit"]


def test_counts_become_activity_by_every_term_of_the_equation(folder, capsys):
    assert quantify("--calibration-factor", C) == 0
    # lambda = ln 2 / 6586.2 s = 1.0524235e-4/s, lambda T = 0.06314541;
    # D = exp(-0.00631454) (1 - exp(-0.06314541)) / 0.06314541 = 0.9937054 x 0.9690815;
    # 5 x 5e4 / (600 x 0.9673 x 0.9629815) = 447.311, by hand.
    value, unit = middle()
    assert (value, unit) == (pytest.approx(447.311, rel=2e-6), "Bq/mL")
    assert said()["calibration"]["decay"] == pytest.approx(0.9629815, abs=1e-6)
    out = " ".join(capsys.readouterr().out.split())
    for words in ("F-18, half-life 6586.2 s, 0.9673 positrons per decay", "live 1 of it",
                  "600 s, begins 60 s after the reference time", "0.962981 of the reference",
                  "C = 50000", "89.4622 Bq/mL per count/mm", "out.nii.gz in Bq/mL"):
        assert words in out


def test_flags_go_over_the_scans_own_facts(folder):
    assert quantify("--calibration-factor", C, "--isotope", "C-11", "--duration-s", 100,
                    "--start-s", -20, "--live-fraction", 0.9) == 0
    terms = Calibration(isotope=ISOTOPES["C-11"], duration_s=100, start_s=-20, live_fraction=0.9,
                        factor=C)
    assert middle()[0] == pytest.approx(5 * terms.scale, rel=1e-6)


def test_suv_of_counts_holds_both_equations(folder, capsys):
    assert quantify("--calibration-factor", C, "--suv", "bw", "--weight-kg", 70, "--dose-mbq", 370,
                    "--dose-age-min", 60) == 0
    # 1000 x 70 / (370e6 x 0.684633) = 2.76337e-4, by hand.
    value, unit = middle()
    assert (value, unit) == (pytest.approx(5 * SCALE * 2.76337e-4, rel=1e-5), "g/mL")
    record = said()
    assert record["calibration"]["calibration_factor"] == C
    assert record["suv"]["dose_decay"] == pytest.approx(0.684633, abs=1e-6)
    out = " ".join(capsys.readouterr().out.split())
    assert "370 MBq of F-18, 60 min before the reference time: 0.684633 of it is left" in out


def test_suv_of_activity_is_that_of_its_counts(folder):
    patient = ["--suv", "lbm", "--weight-kg", 70, "--height-cm", 175, "--sex", "F", "--dose-mbq",
               370]
    assert quantify("--calibration-factor", C, output="bq.nii.gz") == 0
    assert quantify(*patient, "--dose-time", "2024-05-17T09:30", "--reference-time",
                    "2024-05-17 10:30:00", image="bq.nii.gz", output="two.nii.gz") == 0
    assert quantify(*patient, "--dose-age-min", 60, "--calibration-factor", C) == 0
    assert middle("two.nii.gz")[0] == pytest.approx(middle()[0], rel=1e-6)
    assert said("two.json")["calibration"] == said()["calibration"]
    assert said("two.json")["source"]["source"]["study"]["duration_s"] == 600


def test_a_foreign_image_in_activity_becomes_suv_when_all_is_said(folder):
    write_image("foreign.nii.gz", np.full(GRID.shape, 2, np.float32), GRID)
    (folder / "foreign.json").unlink()
    words = ["--suv", "bw", "--weight-kg", 50, "--dose-mbq", 100, "--dose-age-min", 0]
    assert quantify(*words, "--isotope", "F-18", "--unit", "Bq/mL", image="foreign.nii.gz") == 0
    assert middle()[0] == pytest.approx(2 * 1000 * 50 / 100e6)


def test_the_index_order_and_place_are_the_images(folder):
    import nibabel

    stored = nibabel.Nifti1Image(np.arange(24, dtype=np.float32).reshape(2, 3, 4),
                                 np.diag([-3.0, 2, -1, 1]))
    nibabel.save(stored, "odd.nii")
    assert quantify("--unit", "counts/mm", "--calibration-factor", 1, "--isotope", "F18",
                    "--duration-s", 1, image="odd.nii") == 0
    found = nibabel.load("out.nii.gz")
    np.testing.assert_array_equal(found.affine, stored.affine)
    scale = Calibration(isotope=F18, duration_s=1, factor=1).scale
    np.testing.assert_allclose(found.get_fdata(), stored.get_fdata() * scale, rtol=1e-6)


def test_how_the_patient_lay_stays_known(folder):
    study = STUDY | {"patient_position": "FFP"}
    grid = Grid.centred(shape=(3, 4, 5), voxel_mm=(2, 2, 2), patient_position="FFP")
    write_image("feet.nii.gz", np.ones(grid.shape, np.float32), grid, unit="counts/mm", info=study)
    assert quantify("--calibration-factor", 1, image="feet.nii.gz", output="out.hv") == 0
    assert read_image("out.hv")[1] == grid


PATIENT = ["--weight-kg", 70, "--dose-mbq", 370]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "is in counts/mm and takes --calibration-factor"),
        (["--calibration-factor", 0], "--calibration-factor takes a positive number"),
        (["--calibration-factor", "no.json"], "no.json cannot be read"),
        (["--calibration-factor", 1, "--isotope", "Tc-99m"], "the isotope takes one of"),
        (["--calibration-factor", 1, "--duration-s", 0], "positive duration_s"),
        (["--calibration-factor", 1, "--live-fraction", 2], "live_fraction of at most 1"),
        (["--calibration-factor", 1, "--unit", "Bq/mL"], "is in counts/mm, not in Bq/mL"),
        (["--calibration-factor", 1, "--suv", "bw"], "--suv takes --weight-kg beside it"),
        (["--calibration-factor", 1, "--suv", "bw", "--weight-kg", 70],
         "--suv takes --dose-mbq beside it"),
        (["--calibration-factor", 1, "--suv", "bw", *PATIENT], "--suv takes --dose-age-min"),
        (["--calibration-factor", 1, "--suv", "bw", *PATIENT, "--dose-age-min", 1, "--dose-time",
          "2024-05-17"], "two ways to say the same"),
        (["--calibration-factor", 1, "--suv", "bw", *PATIENT, "--dose-time", "half past nine",
          "--reference-time", "2024-05-17"], "--dose-time takes a date and time"),
        (["--calibration-factor", 1, "--suv", "bw", *PATIENT, "--dose-time", "2024-05-17T09Z",
          "--reference-time", "2024-05-17T10"], "a time zone both or neither"),
        (["--calibration-factor", 1, "--suv", "lbm", *PATIENT, "--dose-age-min", 1],
         "lean body mass takes a height"),
        (["--calibration-factor", 1, "-o", "counts.nii"], "would overwrite"),
        (["--calibration-factor", 1, "-o", "out.hs"], "ends in .hv, .nii or .nii.gz"),
    ],
)
def test_what_cannot_be_quantified_is_one_sentence_and_nothing_is_written(
    folder, capsys, words, message
):
    before = contents(folder)
    words = words if "-o" in words else [*words, "-o", "out.nii.gz"]
    assert run("quantify", "counts.nii.gz", *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("unit", "words", "message"),
    [
        ("1/cm", [], "is in 1/cm, where counts/mm or Bq/mL was expected"),
        ("g/mL", [], "is an SUV, where counts/mm or Bq/mL was expected"),
        ("Bq/mL", ["--calibration-factor", 1], "is in Bq/mL already; leave out"),
        ("kBq/mL", [], "is in kBq/mL already; ask for --suv"),
        ("", ["--calibration-factor", 1], "does not say what its numbers are"),
        ("counts/mm", ["--calibration-factor", 1], "does not say which isotope it is of"),
        ("counts/mm", ["--calibration-factor", 1, "--isotope", "F18"], "give --duration-s"),
    ],
)
def test_an_image_in_a_wrong_unit_or_with_facts_missing_is_refused(
    folder, capsys, unit, words, message
):
    write_image("bare.nii.gz", np.ones(GRID.shape, np.float32), GRID, unit=unit)
    assert quantify(*words, image="bare.nii.gz") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out.nii.gz").exists()


def test_a_phantom_gives_the_factor_that_quantify_takes(folder, capsys):
    assert run("calibrate", "counts.nii.gz", "--activity-bq-ml", 900, "--region-radius-mm", 15,
               "-o", "calibration.json") == 0
    record = said("calibration.json")
    assert record["region"]["mean"] == 5
    assert record["calibration_factor"] == pytest.approx(900 / (5 * SCALE) * C, rel=1e-9)
    assert "C = 100601" in capsys.readouterr().out
    assert quantify("--calibration-factor", "calibration.json") == 0
    assert middle()[0] == pytest.approx(900, rel=1e-6)
    assert "calibration.json" in {entry["path"] for entry in said()["inputs"]}


def test_an_activity_measured_one_half_life_before_counts_half(folder):
    for age, name in ((0, "now"), (109.77, "before")):
        assert run("calibrate", "counts.nii.gz", "--activity-bq-ml", 900, "--region-radius-mm", 15,
                   "--activity-age-min", age, "-o", f"{name}.json") == 0
    now, before = (said(f"{name}.json")["calibration_factor"] for name in ("now", "before"))
    assert before == pytest.approx(now / 2, rel=1e-9)


def test_the_region_can_be_a_mask(folder):
    mask = np.zeros(GRID.shape, np.float32)
    mask[10, 10, 2:5] = 1
    mask[0, 0, 0] = 1  # outside the cylinder, where the image is 0
    write_image("mask.nii.gz", mask, GRID)
    assert run("calibrate", "counts.nii.gz", "--activity-bq-ml", 900, "--mask", "mask.nii.gz",
               "-o", "c.json") == 0
    assert (said("c.json")["region"]["voxels"], said("c.json")["region"]["mean"]) == (4, 3.75)


@pytest.mark.parametrize(("unit", "words"), [("", "says no unit"), ("Bq/mL", "is in Bq/mL")])
def test_a_phantom_in_another_unit_is_refused(folder, capsys, unit, words):
    write_image("bare.nii.gz", np.ones(GRID.shape, np.float32), GRID, unit=unit)
    assert run("calibrate", "bare.nii.gz", "--activity-bq-ml", 900, "--region-radius-mm", 15,
               "-o", "c.json") == 2
    assert f"bare.nii.gz {words}, where counts/mm was expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--region-radius-mm or --mask; give one"),
        (["--region-radius-mm", 15, "--mask", "mask.nii.gz"], "--region-radius-mm or --mask"),
        (["--region-radius-mm", 0], "a radius above 0 mm"),
        (["--region-radius-mm", 30], "reaches out of counts.nii.gz"),
        (["--mask", "mask.nii.gz"], "draw it on the image's voxels"),
        (["--region-radius-mm", 15, "-o", "c.txt"], "ends in .json"),
        (["--region-radius-mm", 15, "-o", "counts.json"], "would overwrite the input"),
        (["--region-radius-mm", 15, "--activity-bq-ml", -1], "positive image mean and activity"),
    ],
)
def test_a_region_or_activity_that_cannot_be_is_refused(folder, capsys, words, message):
    write_image("mask.nii.gz", np.ones((3, 3, 3), np.float32), Grid.centred(
        shape=(3, 3, 3), voxel_mm=(6, 6, 4)))
    before = contents(folder)
    given = {"-o": "c.json", "--activity-bq-ml": 900} | dict(
        zip(words[::2], words[1::2], strict=True))
    assert run("calibrate", "counts.nii.gz", *(w for pair in given.items() for w in pair)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert contents(folder) == before


def test_a_known_activity_comes_back_from_its_simulated_scan(folder):
    # Two cylinders, of Ga-68 for C and of F-18 to be measured, with the same unknown efficiency
    # per pair of crystals, 0.4.
    layout, rng = SinogramLayout.of(Scanner.preset("tiny")), np.random.default_rng(1)
    inside = GRID.cylinder(45.0) * np.ones(GRID.shape, np.float32)
    project = SinogramProjector(layout, GRID)

    def scan(name, isotope, bq_per_ml, duration_s, start_s):
        terms = Calibration(isotope=ISOTOPES[isotope], duration_s=duration_s, start_s=start_s,
                            factor=C)
        expected = 0.4 * project(inside * np.float32(bq_per_ml / terms.scale))
        study = STUDY | {"isotope": isotope, "duration_s": duration_s, "start_s": start_s}
        write_sinogram(f"{name}-scan.hs", rng.poisson(expected).astype(np.float32), layout, study)
        assert run("recon", f"{name}-scan.hs", "-o", f"{name}.nii.gz", "--grid-like",
                   "counts.nii.gz", "--subsets", 4, "--iterations", 8) == 0

    scan("phantom", "Ga-68", 40_000.0, 1200.0, 0.0)
    assert run("calibrate", "phantom.nii.gz", "--activity-bq-ml", 40_000, "--region-radius-mm", 16,
               "-o", "c.json") == 0
    assert said("c.json")["calibration_factor"] == pytest.approx(C / 0.4, rel=0.02)
    scan("patient", "F-18", 25_000.0, 900.0, 300.0)
    assert quantify("--calibration-factor", "c.json", image="patient.nii.gz") == 0
    image, grid, _ = read_image("out.nii.gz")
    x, y, z = np.ix_(*(grid.centres(axis) for axis in range(3)))
    region = image[x**2 + y**2 + z**2 <= 16**2]
    assert region.mean() == pytest.approx(25_000, rel=0.01)
