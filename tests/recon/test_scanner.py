import math

import numpy as np
import pytest

from recon.presets import ALIASES, PRESETS
from recon.scanner import Scanner, preset_names

SMALL = {
    "name": "small",
    "rings": 3,
    "crystals": 12,
    "radius_mm": 100,
    "depth_mm": 5,
    "ring_spacing_mm": 4,
    "radial_bins": 9,
}


def test_effective_radius_is_the_radius_plus_the_depth_of_interaction():
    assert Scanner(**SMALL).effective_radius_mm == 105


def test_mmr_preset_has_the_effective_radius_of_335_mm():
    assert Scanner.preset("mMR").effective_radius_mm == 335


def test_repr_is_the_constructor():
    made = Scanner(**SMALL | {"radius_mm": np.float32(100), "energy_window_kev": [430, 610]})
    assert eval(repr(made)) == made


@pytest.mark.parametrize("name", preset_names())
def test_repr_of_a_preset_is_its_constructor(name):
    assert eval(repr(Scanner.preset(name))) == Scanner.preset(name)


@pytest.mark.parametrize(
    "name", ["mMR", "mmr", "Siemens mMR", "SIEMENS_MMR", "Biograph mMR", "Siemens Biograph mMR"]
)
def test_names_of_a_preset_are_read_in_any_form(name):
    assert Scanner.preset(name) is PRESETS["mMR"]


@pytest.mark.parametrize("name", preset_names())
def test_the_name_a_preset_carries_finds_it(name):
    scanner = Scanner.preset(name)
    assert Scanner.preset(scanner.name) == scanner


def test_every_alias_names_a_preset():
    assert set(ALIASES.values()) <= set(preset_names())


def test_unknown_preset_is_refused_and_the_message_names_the_nearest():
    with pytest.raises(ValueError, match=r"got 'Visoin 600'; the nearest is 'Vision 600'"):
        Scanner.preset("Visoin 600")


def test_ecat_hr_is_not_taken_for_the_hr_plus():
    with pytest.raises(ValueError, match=r"the nearest is 'HR\+'"):
        Scanner.preset("ECAT HR")


def test_a_fitted_threshold_goes_where_a_file_states_another_window():
    preset = Scanner.preset("Discovery MI")
    assert preset.effective_threshold_kev is not None
    other = preset.stating(energy_window_kev=(400.0, 650.0), timing_resolution_ps=380.0)
    assert other.effective_threshold_kev is None and other.timing_resolution_ps == 380
    assert preset.stating(energy_window_kev=preset.energy_window_kev) == preset


# Axial field of view in cm, as published: Delso 2011, van Sluis 2019, Hsu 2017, Brix 1997,
# Spencer 2021.
@pytest.mark.parametrize(
    ("name", "length_cm"),
    [
        ("mMR", 25.8),
        ("Vision 600", 26.3),
        ("Discovery MI", 20),
        ("HR+", 15.5),
        ("uEXPLORER", 194),
        ("demo", 20),
    ],
)
def test_rings_of_a_preset_add_up_to_its_published_length(name, length_cm):
    scanner = Scanner.preset(name)
    assert scanner.rings * scanner.ring_spacing_mm / 10 == pytest.approx(length_cm, rel=0.01)


# Numbers of real crystals, as published (same papers).
@pytest.mark.parametrize(
    ("name", "crystals"),
    [
        ("mMR", 28672),
        ("Vision 600", 60800),
        ("Discovery MI", 19584),
        ("HR+", 18432),
        ("uEXPLORER", 564480),
    ],
)
def test_real_crystals_of_a_preset_are_as_many_as_published(name, crystals):
    scanner = Scanner.preset(name)
    share = 1 - len(scanner.virtual_crystals) / scanner.block_crystals[0]
    assert scanner.rings * scanner.crystals * share == pytest.approx(crystals)


@pytest.mark.parametrize("name", preset_names())
def test_crystals_of_a_preset_fit_on_its_circle_and_between_its_rings(name):
    scanner = Scanner.preset(name)
    transaxial, axial, _ = scanner.crystal_mm
    assert transaxial <= 2 * math.pi * scanner.radius_mm / scanner.crystals
    assert axial <= scanner.ring_spacing_mm


@pytest.mark.parametrize("name", preset_names())
def test_blocks_of_a_preset_fill_its_rings(name):
    scanner = Scanner.preset(name)
    assert scanner.crystals % scanner.block_crystals[0] == 0
    assert scanner.rings % scanner.block_crystals[1] == 0


def test_vision_takes_214_ps():
    assert Scanner.preset("Vision").timing_resolution_ps == 214


def test_discovery_mi_takes_about_375_ps():
    assert Scanner.preset("Discovery MI").timing_resolution_ps == pytest.approx(375, abs=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rings": 0}, "positive rings, got 0"),
        ({"radius_mm": math.nan}, "positive radius_mm"),
        ({"depth_mm": -1}, "depth_mm of at least 0"),
        ({"crystals": 13}, "even number of crystals"),
        ({"radial_bins": 12}, "fewer radial_bins than its 12 crystals"),
        ({"tof_bins": 5}, "takes tof_bin_ps and timing_resolution_ps"),
        ({"timing_resolution_ps": 0}, "positive timing_resolution_ps"),
        ({"block_crystals": (5, 1), "virtual_crystals": (0,)}, "whole blocks of 5"),
        ({"block_crystals": (4, 1), "virtual_crystals": (4,)}, "virtual_crystals from 0 to 3"),
        ({"virtual_rings": (0,)}, "fewer virtual_rings than the block's 1"),
    ],
)
def test_wrong_scanner_is_refused_and_the_message_says_how(change, message):
    with pytest.raises(ValueError, match=message):
        Scanner(**SMALL | change)
