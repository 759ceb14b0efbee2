"""Compton scatter: values worked out by hand, and invariants."""

import numpy as np
import pytest

from recon.corrections.compton import (
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
