"""What an image's numbers mean is honoured by whoever reads it."""

import json
import math

import numpy as np
import pytest

from recon import Grid
from recon.corrections.calibration import ISOTOPES, Calibration
from recon.io import FileError, read_image, write_image
from recon.quantity import (
    activity_in,
    activity_record,
    calibration_of,
    conversion,
    factor_of,
    hashes,
    isotope_of,
    suv_record,
)

GRID = Grid.centred(shape=(3, 4, 5), voxel_mm=(2, 2, 2))
F18 = ISOTOPES["F-18"]
CALIBRATION = Calibration(isotope=F18, duration_s=600, start_s=0, factor=1e5)
PATIENT = {"weight_kg": 70, "dose_mbq": 350, "dose_age_min": 60, "isotope": F18}


def image(path, value, unit=None, **sidecar):
    """Writes an image of one value, and gives its path."""
    unit = unit or sidecar.get("unit", "")
    write_image(path, np.full(GRID.shape, value, np.float32), GRID, unit=unit, sidecar=sidecar)
    return path


@pytest.fixture(params=["image.nii.gz", "image.hv"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_an_image_in_the_unit_that_is_wanted_is_read_as_it_is(path):
    array, grid, note = activity_in(image(path, 3, "counts/mm"), "counts/mm")
    assert (array == 3).all() and grid == GRID and note is None


def test_an_image_that_says_no_unit_is_taken_for_the_wanted_one(path):
    assert (activity_in(image(path, 3), "Bq/mL")[0] == 3).all()


def test_activity_goes_back_to_counts_by_the_sidecars_calibration(path):
    image(path, CALIBRATION.scale * 7, **activity_record(CALIBRATION))
    array, _, note = activity_in(path, "counts/mm")
    np.testing.assert_allclose(array, 7, rtol=1e-6)
    assert "is in Bq/mL: multiplied by" in note


def test_counts_with_a_calibration_become_activity(path):
    image(path, 7, "counts/mm", calibration=CALIBRATION.record())
    np.testing.assert_allclose(activity_in(path, "Bq/mL")[0], 7 * CALIBRATION.scale, rtol=1e-6)


def test_suv_goes_back_to_counts_by_both_records(path):
    record = activity_record(CALIBRATION) | suv_record("bw", **PATIENT)
    suv = 7 * CALIBRATION.scale * record["suv"]["suv_per_bq_per_ml"]
    np.testing.assert_allclose(
        activity_in(image(path, suv, **record), "counts/mm")[0], 7, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("stated", "wanted", "scale"),
    [("Bq/mL", "kBq/mL", 1e-3), ("kBq/ml", "Bq/mL", 1e3), ("BQML", "Bq/mL", 1), ("X", "X", 1)],
)
def test_units_of_activity_need_no_calibration(path, stated, wanted, scale):
    assert conversion(image(path, 1, stated), stated, wanted) == scale


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [("Bq/mL", "counts/mm"), ("g/mL", "Bq/mL"), ("1/cm", "counts/mm"), ("Bq/mL", "X")],
)
def test_what_the_sidecar_cannot_turn_is_refused(path, stated, wanted):
    with pytest.raises(FileError, match=f"is in {stated}, where the factors make counts of"):
        activity_in(image(path, 1, stated), wanted)


def test_the_quantity_says_which_time_the_activity_is_of():
    late = Calibration(isotope=F18, duration_s=600, start_s=90, factor=1)
    assert "90 s before the frame began" in activity_record(late)["quantity"]


def test_terms_of_suv_are_enough_to_redo_the_sum():
    suv = suv_record("lbm", **PATIENT, height_cm=180, sex="M")["suv"]
    lean_kg = 1.10 * 70 - 128 * (70 / 180) ** 2
    again = 1000 * lean_kg / (1e6 * suv["dose_mbq"] * suv["dose_decay"])
    assert suv["suv_per_bq_per_ml"] == pytest.approx(again, rel=1e-12)
    # 2 ** (-60 / 109.77), by hand.
    assert suv["dose_decay"] == pytest.approx(0.6846, abs=5e-5)


def test_the_facts_of_a_scan_make_its_calibration():
    info = {"isotope": "^18^Fluorine", "duration_s": 60.0, "start_s": 30.0}
    made = calibration_of(info, "scan.hs", 2.0)
    assert made == Calibration(isotope=F18, duration_s=60, start_s=30, factor=2)


def test_flags_go_over_the_facts():
    made = calibration_of({"isotope": "F-18", "duration_s": 60.0}, "scan.hs", 2.0, isotope="C11",
                          duration_s=9, start_s=-1, live_fraction=0.5)
    assert made == Calibration(isotope=ISOTOPES["C-11"], duration_s=9, start_s=-1,
                               live_fraction=0.5, factor=2)


def test_an_isotope_beyond_the_table_is_taken_from_the_headers_numbers():
    info = {"isotope": "Sc-44", "half_life_s": 14400.0, "branching_ratio": 0.94}
    found = isotope_of(info, "scan.hs")
    assert (found.name, found.half_life_s, found.positron_fraction) == ("Sc-44", 14400, 0.94)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"duration_s": 60.0}, "scan.hs does not say which isotope it is of; give --isotope"),
        ({"isotope": "Tc-99m", "duration_s": 1.0}, "'Tc-99m', which is not in the table"),
        ({"isotope": "F-18"}, "scan.hs does not say how long .* give --duration-s"),
    ],
)
def test_missing_facts_name_the_flag_that_gives_them(info, message):
    with pytest.raises(FileError, match=message):
        calibration_of(info, "scan.hs", 1.0)


def test_a_factor_is_a_number_or_the_file_that_holds_it(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"calibration_factor": 12.5}))
    assert factor_of(tmp_path / "c.json") == factor_of(12.5) == 12.5


@pytest.mark.parametrize("text", ["{}", "12", "no", '{"calibration_factor": "x"}'])
def test_a_file_without_a_factor_is_refused(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(FileError, match="holds no number `calibration_factor`"):
        factor_of(tmp_path / "c.json")


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_factor_that_is_not_positive_is_refused(value):
    with pytest.raises(ValueError, match="--calibration-factor takes a positive number"):
        factor_of(value)


def test_hashes_are_those_of_the_sources_too():
    source = {"inputs": [{"path": "scan.s", "sha256": "a"}]}
    made = {"inputs": [{"path": "image.nii.gz", "sha256": "b"}], "source": source}
    assert hashes(made) == {"a", "b"}


def test_facts_of_the_study_come_back_with_an_image(path):
    study = {"isotope": "F-18", "duration_s": 60.0, "start_s": 5.0, "patient_position": "HFS"}
    write_image(path, np.ones(GRID.shape, np.float32), GRID, unit="counts/mm", info=study)
    info = read_image(path)[2]
    assert {name: info[name] for name in study} == study
    assert json.loads((path.parent / "image.json").read_text())["study"] == study
