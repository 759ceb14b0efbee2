"""`countless recon --calibration-factor`: the image in Bq/mL, and what reads it afterwards."""

import math

import numpy as np
import pytest

from recon.io import read_image
from recon.io.provenance import read_sidecar

HALF_LIFE_S, POSITRONS = 6586.2, 0.9673  # of F-18


def test_the_image_is_in_activity_at_the_scans_start(recon):
    counts = read_image(recon("counts.nii", "--subsets", 4))[0]
    path = recon("activity.nii", "--subsets", 4, "--calibration-factor", 50, "--isotope", "F-18")
    activity, _, info = read_image(path)
    rate = math.log(2) / HALF_LIFE_S
    decay = (1 - math.exp(-60 * rate)) / (60 * rate)  # the scan takes 60 s
    assert info["unit"] == "Bq/mL"
    assert np.allclose(activity, counts * 50 / (60 * POSITRONS * decay), rtol=1e-6)
    assert read_sidecar(path)["calibration"]["calibration_factor"] == 50


def test_a_first_image_in_activity_is_taken_as_its_counts(recon, scan):
    words = ("--calibration-factor", 50, "--isotope", "F-18")
    recon("counts.nii", "--subsets", 4)
    recon("activity.nii", "--subsets", 4, *words)
    found = [read_image(recon(f"on-{name}.nii", "--subsets", 4, "--start", scan / f"{name}.nii"))[0]
             for name in ("counts", "activity")]
    assert np.allclose(*found, rtol=1e-5)


def test_what_calibrate_found_is_taken_from_its_file(recon, run, scan):
    truth = recon("image.nii", "--subsets", 4)
    result = run("calibrate", truth, "--activity-bq-ml", 1000, "--region-radius-mm", 15,
                 "--isotope", "F-18", "-o", scan / "c.json")
    assert result.code == 0, result.err
    path = recon("activity.nii", "--subsets", 4, "--calibration-factor", scan / "c.json",
                 "--isotope", "F-18")
    counts = read_image(truth)[0]
    of_region = read_sidecar(path)["calibration"]["bq_per_ml_per_count_per_mm"]
    assert np.allclose(read_image(path)[0], of_region * counts, rtol=1e-6)
    assert any(entry["path"].endswith("c.json") for entry in read_sidecar(path)["inputs"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--calibration-factor", 50), "does not say which isotope it is of; give --isotope"),
        (("--calibration-factor", -1, "--isotope", "F-18"), "takes a positive number"),
        (("--calibration-factor", "no.json", "--isotope", "F-18"), "no.json cannot be read"),
        (("--calibration-factor", 50, "--isotope", "Xy-1"), "the isotope takes one of"),
        (("--isotope", "F-18"), "--isotope takes --calibration-factor beside it"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(run, scan, words, message):
    result = run("recon", scan / "prompts.hs", "-o", scan / "image.nii", *words)
    assert result.code == 2
    assert message in result.err
    assert not (scan / "image.nii").exists()
