"""How tall, heavy and fat a person is: drawn from a population, or as given."""

from dataclasses import dataclass

import numpy as np

SEXES = ("male", "female")
ARMS = ("up", "down")
# Mean heights of adults in the United States, as remembered from Fryar et al., Anthropometric
# reference data for children and adults: United States, 2015-2018, Vital Health Stat. 3(46), 2021.
# All else is ours: the medians of the body mass index, which we set below that survey's means, the
# spreads, and the shapes (height normal, body mass index log-normal).
HEIGHT_CM = {"male": (175.3, 7.2), "female": (161.3, 6.8)}  # mean, standard deviation
MASS_INDEX = {"male": (28.0, 0.18), "female": (27.8, 0.22)}  # median, standard deviation of its log
AGE_YEARS = (60.0, 13.0)  # of patients: ours too
LIMITS = {"height_cm": (140.0, 210.0), "mass_index": (15.0, 50.0)}
_DRAWN = {"height_cm": (145.0, 200.0), "mass_index": (18.0, 42.0), "age_years": (20.0, 90.0)}


@dataclass(frozen=True, kw_only=True)
class Habitus:
    """What is known of a person from outside.

    Attributes:
        sex: male or female.
        height_cm, weight_kg, age_years: numbers.
        arms: up (beside and above the head) or down (beside the body).
    """

    sex: str
    height_cm: float
    weight_kg: float
    age_years: float
    arms: str

    @property
    def mass_index(self):
        """Body mass index, kg/m2."""
        return self.weight_kg / (self.height_cm / 100) ** 2

    @property
    def fat_fraction(self):
        """Fat's part of the mass: Deurenberg et al., Br. J. Nutr. 65, 105-114, 1991; least 6%."""
        men = self.sex == "male"
        percent = 1.20 * self.mass_index + 0.23 * self.age_years - 10.8 * men - 5.4
        return max(percent, 6.0) / 100

    @property
    def surface_m2(self):
        """Skin's area: Du Bois & Du Bois, Arch. Intern. Med. 17, 863-871, 1916."""
        return 0.007184 * self.weight_kg**0.425 * self.height_cm**0.725

    @property
    def volume_ml(self):
        """Of the body with the gas in it.

        Fat has 0.9 g/mL and all else 1.1 (Siri's two compartments); lungs and bowel hold about
        2.2 L of gas at rest.
        """
        fat = self.fat_fraction
        gas = 2200 * (self.height_cm / 170) ** 2
        return 1000 * self.weight_kg * (fat / 0.9 + (1 - fat) / 1.1) + gas


def draw_habitus(rng, *, sex=None, height_cm=None, weight_kg=None, arms=None):
    """A Habitus: what is given, and the rest drawn from a Generator.

    Raises:
        ValueError: a name or number that no person has.
    """
    # All numbers are drawn, whether used or not: what is given does not change the rest.
    is_male, is_up, age, tall, heavy = rng.random(2).tolist() + rng.standard_normal(3).tolist()
    sex = _one_of("sex", sex, SEXES) or SEXES[is_male < 0.5]
    arms = _one_of("arms", arms, ARMS) or ARMS[is_up < 0.25]
    mean, sd = HEIGHT_CM[sex]
    median, log_sd = MASS_INDEX[sex]
    height = np.clip(mean + sd * tall, *_DRAWN["height_cm"]) if height_cm is None else height_cm
    _check("height_cm", height, "cm", LIMITS["height_cm"])
    index = np.clip(median * np.exp(log_sd * heavy), *_DRAWN["mass_index"])
    weight = index * (height / 100) ** 2 if weight_kg is None else weight_kg
    least, most = (limit * (height / 100) ** 2 for limit in LIMITS["mass_index"])
    _check("weight_kg", weight, f"kg at {height:.0f} cm", (least, most))
    return Habitus(
        sex=sex, height_cm=float(height), weight_kg=float(weight), arms=arms,
        age_years=float(np.clip(AGE_YEARS[0] + AGE_YEARS[1] * age, *_DRAWN["age_years"])),
    )


def _one_of(key, value, names):
    if value is not None and value not in names:
        raise ValueError(f"person takes {key} {' or '.join(names)}, got {value!r}")
    return value


def _check(key, value, unit, limits):
    if not limits[0] <= value <= limits[1]:
        raise ValueError(
            f"person takes {key} from {limits[0]:.0f} to {limits[1]:.0f} {unit}, got {value:g}"
        )
