import math

import numpy as np
import pytest

from recon.corrections.calibration import (
    ISOTOPES,
    Calibration,
    Isotope,
    calibration_factor,
    isotope,
    lean_body_mass_kg,
    suv_scale,
)

F18 = ISOTOPES["F-18"]
# Halves in 100 s, and half of its decays emit a positron: for values by hand.
TOY = Isotope(name="X-1", half_life_s=100.0, positron_fraction=0.5)


@pytest.mark.parametrize(
    "name", ["F-18", "F18", "18F", "18-F", "[18F]", "f18", "^18^Fluorine", "Fluorine-18", " F 18 "]
)
def test_an_isotope_has_many_names(name):
    assert isotope(name) is F18


@pytest.mark.parametrize("name", ["F-19", "Tc-99m", "", None, "fluorine"])
def test_an_isotope_that_is_not_in_the_table_is_refused(name):
    with pytest.raises(ValueError, match=r"takes one of C-11, .*, got"):
        isotope(name)


def test_all_isotopes_in_use_are_there():
    expected = "F-18 C-11 O-15 N-13 Ga-68 Ge-68 Cu-64 Zr-89 Rb-82 Y-90 I-124"
    assert set(ISOTOPES) == set(expected.split())


def test_half_of_fluorine_is_left_after_109_77_minutes():
    assert F18.decay(109.77 * 60) == pytest.approx(0.5, rel=1e-9)


def test_an_hour_of_fluorine_leaves_0_6846():
    # 2 ** (-60 / 109.77) = 2 ** -0.54660, by hand.
    assert F18.decay(3600) == pytest.approx(0.6846, abs=5e-5)


def test_the_mean_over_one_half_life_is_half_over_its_logarithm():
    # (1 - 1/2) / ln 2 = 0.721348; a half-life later, half of that.
    assert TOY.mean_decay(0, 100) == pytest.approx(0.721348, abs=1e-6)
    assert TOY.mean_decay(100, 100) == pytest.approx(0.360674, abs=1e-6)


def test_a_short_frame_decays_as_its_middle():
    assert F18.mean_decay(50, 1e-3) == pytest.approx(F18.decay(50.0005), rel=1e-12)
    assert F18.mean_decay(50, 0) == F18.decay(50)


def test_the_mean_over_two_frames_is_that_over_both():
    whole = 300 * F18.mean_decay(10, 300)
    parts = 100 * F18.mean_decay(10, 100) + 200 * F18.mean_decay(110, 200)
    assert whole == pytest.approx(parts, rel=1e-12)


def test_every_term_of_the_equation_stands_where_it_should():
    # C x / (T L b D) = 3 x 7 / (100 x 0.8 x 0.5 x 0.721348) = 0.727804, by hand.
    calibration = Calibration(isotope=TOY, duration_s=100, live_fraction=0.8, factor=3)
    activity = calibration(np.full((2, 2, 2), 7, np.float32))
    assert activity.dtype == np.float32
    np.testing.assert_allclose(activity, 0.727804, rtol=1e-5)


def test_a_frame_one_half_life_after_the_reference_counts_twice():
    early, late = (
        Calibration(isotope=TOY, duration_s=100, start_s=start, factor=1) for start in (0, 100)
    )
    assert late.scale == pytest.approx(2 * early.scale, rel=1e-12)


def test_a_phantom_gives_the_factor_that_gives_back_its_activity():
    scan = {"isotope": ISOTOPES["Ga-68"], "duration_s": 600, "start_s": -30, "live_fraction": 0.9}
    factor = calibration_factor(12.5, 8000.0, **scan)
    calibration = Calibration(**scan, factor=factor)
    assert 12.5 * calibration.scale == pytest.approx(8000, rel=1e-12)


def test_the_record_is_enough_to_redo_the_sum():
    record = Calibration(isotope=TOY, duration_s=50, start_s=20, factor=2).record()
    again = record["calibration_factor"] / (
        record["duration_s"] * record["live_fraction"] * record["positron_fraction"]
        * record["decay"]
    )
    assert again == pytest.approx(record["bq_per_ml_per_count_per_mm"], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("duration_s", 0),
        ("duration_s", math.nan),
        ("start_s", math.inf),
        ("live_fraction", 0),
        ("live_fraction", 1.01),
        ("factor", -1),
    ],
)
def test_numbers_that_no_scan_has_are_refused(name, value):
    numbers = {"duration_s": 60, "factor": 1.0} | {name: value}
    with pytest.raises(ValueError, match=name):
        Calibration(isotope=F18, **numbers)


def test_the_suv_of_a_uniform_body_is_1():
    # 370 MBq in 70 kg at 1 g/mL, an hour after the dose was measured.
    dose_bq, weight_kg = 370e6, 70
    bq_per_ml = dose_bq * F18.decay(3600) / (weight_kg * 1000)
    scale = suv_scale(weight_kg=weight_kg, dose_bq=dose_bq, isotope=F18, dose_age_s=3600)
    assert bq_per_ml * scale == pytest.approx(1, rel=1e-12)


def test_lean_body_mass_is_james_formula():
    # 1.10 x 80 - 128 (80/180)^2 = 62.716, 1.07 x 62 - 148 (62/165)^2 = 45.443, by hand.
    assert lean_body_mass_kg(80, 180, "M") == pytest.approx(62.716, abs=1e-3)
    assert lean_body_mass_kg(62, 165, "F") == pytest.approx(45.443, abs=1e-3)


def test_suv_per_lean_body_mass_is_that_per_weight_times_the_lean_part():
    patient = {"weight_kg": 80, "dose_bq": 2e8, "isotope": F18, "dose_age_s": 0}
    whole = suv_scale(**patient)
    lean = suv_scale(**patient, kind="lbm", height_cm=180, sex="M")
    assert lean / whole == pytest.approx(62.716 / 80, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_kg": 0}, "takes a weight_kg above 0"),
        ({"weight_kg": 75_000}, "up to 700 kg, got 75000; check its unit"),
        ({"dose_bq": math.nan}, "takes a dose_bq above 0"),
        ({"dose_age_s": math.inf}, "dose_age_s"),
        ({"kind": "bsa"}, "'bw' or 'lbm', got 'bsa'"),
        ({"kind": "lbm"}, "height in cm and sex"),
        ({"kind": "lbm", "height_cm": 1.7, "sex": "F"}, "height in cm"),
        ({"kind": "lbm", "height_cm": 160, "sex": "F", "weight_kg": 100}, "index up to 36"),
    ],
)
def test_patients_that_cannot_be_are_refused(change, message):
    patient = {"weight_kg": 70, "dose_bq": 1e8, "isotope": F18, "dose_age_s": 0} | change
    with pytest.raises(ValueError, match=message):
        suv_scale(**patient)
