import numpy as np
import pytest

from recon.corrections.hounsfield import mu_at_511
from sim.attenuation import CT_KEV, attenuation_per_cm
from sim.ct_spectrum import WATER, hounsfield, spectrum
from sim.materials import MATERIALS

# NIST (Hubbell & Seltzer, NISTIR 5632): mass attenuation in cm2/g at 40, 60, 80 and 100 keV, which
# lie between the energies of the tables.
NIST = {
    "water": (1.0, {"H": 0.111894, "O": 0.888106}, (0.2683, 0.2059, 0.1837, 0.1707)),
    "aluminium": (2.699, {"Al": 1.0}, (0.5685, 0.2778, 0.2018, 0.1704)),
}


def log_interpolated(kev, values):
    return np.exp(np.interp(np.log(kev), np.log(CT_KEV), np.log(values)))


@pytest.mark.parametrize("name", NIST)
def test_elements_attenuate_as_nist_says_to_2_percent_between_the_tables_energies(name):
    density, fractions, cm2_per_g = NIST[name]
    found = log_interpolated([40, 60, 80, 100], attenuation_per_cm(density, **fractions)[0])
    np.testing.assert_allclose(found / density, cm2_per_g, rtol=0.02)


def test_water_has_0_0960_per_cm_at_511_kev_and_0_hu():
    water = MATERIALS["water"]
    assert water.mu_per_cm == pytest.approx(0.0960, abs=5e-5)
    assert water.hu == 0


# NIST's mass attenuation of ICRU 44's tissues at 500 keV, brought to 511 keV as water's goes.
@pytest.mark.parametrize(
    ("name", "density", "cm2_per_g"),
    [("fat", 0.95, 0.0970), ("muscle", 1.05, 0.0960), ("bone", 1.92, 0.0902)],
)
def test_tissues_attenuate_511_kev_as_nist_says_to_half_a_percent(name, density, cm2_per_g):
    expected = density * cm2_per_g * 0.0960 / 0.0969
    assert MATERIALS[name].mu_per_cm == pytest.approx(expected, rel=0.005)


# What clinical scanners find at 120 kVp (test objects' data sheets, text books).
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("fat", -120, -70), ("muscle", 35, 60), ("blood", 35, 60), ("lung", -780, -700),
     ("grey matter", 35, 45), ("white matter", 20, 37), ("csf", 0, 15), ("PMMA", 110, 135),
     ("PTFE", 900, 1000), ("bone", 1300, 1700), ("marrow", 150, 350)],
)
def test_ct_numbers_are_those_of_clinical_scanners(name, low, high):
    assert low < MATERIALS[name].hu < high


def test_the_ct_number_of_every_tissue_leads_to_its_mu_at_511_kev_within_4_percent():
    made = {"PMMA", "polyethylene", "polystyrene", "PTFE", "glass", "aluminium", "carbon fibre",
            "lung insert", "foam"}
    for name, material in MATERIALS.items():
        if name not in made:
            found = float(mu_at_511([material.hu], 120)[0])
            assert found == pytest.approx(material.mu_per_cm, rel=0.04), name


def test_a_higher_tube_voltage_lowers_bone_and_raises_fat():
    bone, _ = attenuation_per_cm(1.0, Ca=0.4, O=0.6)
    fat, _ = attenuation_per_cm(0.95, C=0.86, H=0.14)
    assert hounsfield(bone, 80) > hounsfield(bone, 120) > hounsfield(bone, 140)
    assert hounsfield(fat, 80) < hounsfield(fat, 120) < hounsfield(fat, 140) < 0


@pytest.mark.parametrize("kvp", [80, 100, 120, 140])
def test_a_spectrum_sums_to_one_and_ends_at_the_tube_voltage(kvp):
    photons = spectrum(kvp)
    assert photons.sum() == pytest.approx(1)
    np.testing.assert_array_equal(photons > 0, kvp > CT_KEV)


def test_the_half_value_layer_at_120_kvp_is_that_of_the_docstring():
    # Air kerma is energy times air's mass energy absorption (NIST), the tables' bins between.
    air = np.exp(np.interp(np.log(CT_KEV), np.log([20, 30, 40, 50, 60, 80, 100, 150]),
                           np.log([0.539, 0.1537, 0.0683, 0.0410, 0.0304, 0.0241, 0.0233, 0.0250])))
    kerma = spectrum(120) * CT_KEV * air
    behind = kerma @ np.exp(-0.83 * attenuation_per_cm(2.699, Al=1.0)[0])
    assert behind == pytest.approx(kerma.sum() / 2, rel=0.01)


def test_a_voltage_without_a_spectrum_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="got 90; take 80"):
        spectrum(90)


def test_an_unknown_element_and_fractions_that_miss_are_refused():
    with pytest.raises(ValueError, match="got U"):
        attenuation_per_cm(1.0, U=1.0)
    with pytest.raises(ValueError, match="sum to 1"):
        attenuation_per_cm(1.0, H=0.1, O=0.8)


def test_water_attenuates_less_the_higher_the_energy():
    assert (np.diff(WATER) < 0).all()
