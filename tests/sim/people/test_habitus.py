import numpy as np
import pytest

from sim.people.habitus import Habitus, draw_habitus
from sim.people.outline import draw_outline
from sim.people.shaping import volume_ml

MAN = Habitus(sex="male", height_cm=180, weight_kg=81, age_years=40, arms="up")


def drawn(seed=1, **given):
    return draw_habitus(np.random.default_rng(seed), **given)


def test_a_man_of_81_kg_and_180_cm_has_an_index_of_25_and_23_percent_of_fat_at_40():
    assert MAN.mass_index == pytest.approx(25)
    assert MAN.fat_fraction == pytest.approx((1.2 * 25 + 0.23 * 40 - 10.8 - 5.4) / 100)


def test_volume_is_that_of_fat_the_rest_and_gas():
    fat = 0.23 * 81
    expected = 1000 * (fat / 0.9 + (81 - fat) / 1.1) + 2200 * (180 / 170) ** 2
    assert MAN.volume_ml == pytest.approx(expected)


def test_what_is_given_stays_and_does_not_change_the_rest():
    free, given = drawn(), drawn(weight_kg=88.0)
    assert given.weight_kg == 88.0
    assert (given.sex, given.height_cm, given.age_years) == (
        free.sex, free.height_cm, free.age_years
    )


def test_heights_and_indices_of_many_follow_the_population():
    men = [drawn(seed, sex="male") for seed in range(400)]
    assert np.mean([m.height_cm for m in men]) == pytest.approx(175.3, abs=1.2)
    assert np.median([m.mass_index for m in men]) == pytest.approx(28.0, abs=0.8)


@pytest.mark.parametrize("given, message", [
    ({"sex": "m"}, "person takes sex male or female, got 'm'"),
    ({"arms": "crossed"}, "person takes arms up or down, got 'crossed'"),
    ({"height_cm": 18.0}, "person takes height_cm from 140 to 210 cm, got 18"),
    ({"height_cm": 170, "weight_kg": 7.0},
     "person takes weight_kg from 43 to 144 kg at 170 cm, got 7"),
])
def test_what_no_person_has_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        drawn(**given)


@pytest.mark.parametrize("weight_kg", [58.0, 120.0])
def test_the_outline_has_the_volume_of_the_weight(weight_kg):
    habitus = drawn(weight_kg=weight_kg, height_cm=176.0, sex="male")
    skin = draw_outline(np.random.default_rng(0), habitus).skin()
    assert volume_ml(skin, 9.0) == pytest.approx(habitus.volume_ml, rel=0.02)
