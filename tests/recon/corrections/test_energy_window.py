"""Which photons an energy window keeps, and what the crystals have to do with it."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Scanner
from recon.corrections.energy_window import (
    angle_table,
    detection_efficiency,
    relative_efficiency,
)

MMR = Scanner.preset("mMR")
GAUSS = replace(MMR, scintillator=None)


def test_half_of_the_photons_at_an_edge_of_a_wide_window_are_kept():
    assert detection_efficiency(350.0, 0.15, (350, 1e6)) == pytest.approx(0.5)


def test_a_window_of_one_fwhm_about_the_peak_keeps_76_per_cent():
    half = 0.2 * 511 / 2
    kept = detection_efficiency(511.0, 0.2, (511 - half, 511 + half))
    assert kept == pytest.approx(0.7610, abs=1e-4)


def test_without_a_scintillator_the_resolution_alone_decides():
    kev = np.array([380.0, 440.0, 511.0])
    kept = detection_efficiency(kev, 0.145, (430, 610))
    np.testing.assert_allclose(relative_efficiency(kev, GAUSS), kept / kept[-1])


@pytest.mark.parametrize("name", ["mMR", "Vision 600", "Discovery MI", "HR+", "uEXPLORER"])
def test_crystals_measure_a_tenth_or_so_more_of_scattered_photons(name):
    scanner = Scanner.preset(name)
    scanner = replace(scanner, energy_resolution=scanner.energy_resolution or 0.25)
    kev = np.array([450.0, 511.0])
    more = relative_efficiency(kev, scanner)
    more = more / relative_efficiency(kev, replace(scanner, scintillator=None))
    assert 1.04 < more[0] < 1.2 and more[1] == pytest.approx(1)


def test_a_block_without_end_measures_what_the_resolution_tells():
    endless = replace(MMR, crystal_mm=(1e4, 1e4, 1e4))
    kev = np.array([400.0, 450.0, 511.0])
    # But for photons scattered back out of the front.
    np.testing.assert_allclose(
        relative_efficiency(kev, endless), relative_efficiency(kev, GAUSS), rtol=0.05
    )


def test_the_angles_table_ends_with_photons_that_go_on_as_they_were():
    table = angle_table(1000, MMR)
    assert table.shape == (1001, 2)
    # Klein and Nishina at 0 degrees: r_e^2 = 1, over the cross section of 511 keV.
    assert table[-1, 0] == pytest.approx(1 / (2.8654e-25 / 2.8179403e-13**2), rel=1e-3)
    assert table[-1, 1] == pytest.approx(0, abs=1e-6)
    assert table[0, 0] < 1e-6  # 170 keV are below the window


def test_a_scanner_that_does_not_state_its_energies_is_refused():
    with pytest.raises(ValueError, match="its energy resolution and window, got 'Siem"):
        relative_efficiency(500.0, replace(MMR, energy_window_kev=None))
