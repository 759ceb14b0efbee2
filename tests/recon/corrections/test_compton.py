"""Compton scatter: values worked out by hand, and invariants."""

import numpy as np
import pytest

from recon.corrections.compton import (
    detection_efficiency,
    scatter_density,
    scattered_kev,
    total_cross_section,
)


def test_a_photon_keeps_all_half_or_a_third_of_its_energy():
    np.testing.assert_allclose(scattered_kev([1, 0, -1]), [511, 255.5, 511 / 3])


def test_the_cross_section_of_an_electron_at_511_kev_is_287_millibarn():
    radius_cm = 2.8179403e-13
    assert total_cross_section(511) * radius_cm**2 == pytest.approx(2.8654e-25, rel=1e-3)


def test_the_cross_section_tends_to_thomsons_at_low_energy():
    assert total_cross_section(0.5) == pytest.approx(8 * np.pi / 3, rel=0.003)


def test_the_chances_of_all_directions_sum_to_one():
    cosine, weight = np.polynomial.legendre.leggauss(64)
    assert 2 * np.pi * (scatter_density(cosine) * weight).sum() == pytest.approx(1, rel=1e-9)


def test_half_of_the_photons_at_an_edge_of_a_wide_window_are_kept():
    assert detection_efficiency(350.0, 0.15, (350, 1e6)) == pytest.approx(0.5)


def test_a_window_of_one_fwhm_about_the_peak_keeps_76_per_cent():
    half = 0.2 * 511 / 2
    kept = detection_efficiency(511.0, 0.2, (511 - half, 511 + half))
    assert kept == pytest.approx(0.7610, abs=1e-4)
