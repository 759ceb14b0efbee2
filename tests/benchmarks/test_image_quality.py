"""Tiny versions of what `countless benchmark image-quality` measures in full."""

import numpy as np
import pytest

from benchmarks import image_quality
from benchmarks.image_quality import convolved_mean, variances
from sim.shapes import ball


def test_a_sphere_without_blur_keeps_its_activity_and_wide_blur_takes_it():
    assert convolved_mean(20.0, 4.0, (0.0, 0.0, 0.0)) == pytest.approx(4, rel=0.02)
    assert convolved_mean(10.0, 4.0, (3.0, 3.0, 3.0)) < 2.5


def test_a_cube_of_the_gaussian_of_a_sphere_is_the_same_in_any_direction():
    found = [convolved_mean(14.0, 4.0, sigmas) for sigmas in ((3, 2, 1), (1, 3, 2), (2, 1, 3))]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)


def test_the_spheres_that_are_measured_are_those_of_the_phantom():
    assert np.ptp(ball((0, 0, 0), 22).extent[0]) == pytest.approx(22)


def test_variance_goes_with_one_over_the_counts(capsys):
    found = variances("demo", realisations=8)
    for row in found.values():
        assert row["ratio"] == pytest.approx(image_quality.FEWER, abs=4 * row["sd"])
        assert row["sd"] < 2
