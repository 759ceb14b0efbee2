"""Tiny versions of what `countless benchmark image-quality` measures in full."""

import numpy as np
import pytest

from benchmarks.image_quality import FEWER, convolved_mean, recovery, variances


def test_a_sphere_without_blur_keeps_its_activity_and_wide_blur_takes_it():
    assert convolved_mean(20.0, 4.0, (0.0, 0.0, 0.0)) == pytest.approx(4, rel=0.02)
    assert convolved_mean(10.0, 4.0, (3.0, 3.0, 3.0)) < 2.5


def test_a_cube_of_the_gaussian_of_a_sphere_is_the_same_in_any_direction():
    found = [convolved_mean(14.0, 4.0, sigmas) for sigmas in ((3, 2, 1), (1, 3, 2), (2, 1, 3))]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)


def test_spheres_come_back_by_size_as_the_stated_resolution_makes_them():
    rows = recovery("demo", 0, passes=3, fine_mm=3.0)
    assert [row["diameter_mm"] for row in rows] == [10, 13, 17, 22, 28, 37]
    found = [row["found"] for row in rows]
    assert sorted(found) == found and found[-1] > 2 * found[0]
    assert -0.25 < rows[-1]["off"] < 0  # three passes do not sharpen it all


def test_variance_goes_with_one_over_the_counts(capsys):
    found = variances("demo", realisations=8)
    for row in found.values():
        assert row["sd"] < 0.15 * FEWER
        assert row["ratio"] == pytest.approx(FEWER, abs=3 * row["sd"])
