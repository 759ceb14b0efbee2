"""From counts to activity: isotopes, decay, dead time, the calibration factor, and SUV.

OSEM's image x is in counts/mm: along a line it sums to the pairs that a perfect pair of crystals
would have counted in the frame. With the frame's duration T, the part L of it in which the scanner
was live, the share b of decays that emit a positron, and the calibration factor C,

    activity(t_ref) = C x / (T L b D),   D = exp(-lambda t0) (1 - exp(-lambda T)) / (lambda T),

in Bq/mL. t0 is when the frame starts, after the reference time t_ref, and lambda is ln 2 over the
half-life: D is the frame's mean activity over that at t_ref. C is in (Bq/mL) per (positron pair/s/
mm), and the same for all isotopes; `calibration_factor` gives it from a phantom of known activity.
"""

import math
import re
from dataclasses import dataclass, fields

import numpy as np

from recon.names import most_alike


@dataclass(frozen=True, kw_only=True)
class Isotope:
    """A positron emitter.

    Attributes:
        name: element and mass number, such as F-18.
        half_life_s: in seconds.
        positron_fraction: positrons per decay.
    """

    name: str
    half_life_s: float
    positron_fraction: float

    def decay(self, seconds):
        """What is left of an activity after so many seconds; above 1 before the reference time."""
        return math.exp(-self._rate * seconds)

    def mean_decay(self, start_s, duration_s):
        """Mean activity of a frame over that at the reference time, D above."""
        x = self._rate * duration_s
        return self.decay(start_s) * (-math.expm1(-x) / x if x else 1.0)

    @property
    def _rate(self):
        return math.log(2) / self.half_life_s


# Half-lives and summed positron intensities: ENSDF, Brookhaven's evaluated nuclear structure data
# file, as archived in paceENSDF 0.6.3. Y-90 has pairs instead of beta plus: Selwyn et al., Appl.
# Radiat. Isot. 65, 318-327, 2007. Ge-68 of phantoms emits Ga-68's positrons, at its own half-life
# of 270.95 d: Audi et al., Nucl. Phys. A 729, 2003.
ISOTOPES = {
    name: Isotope(name=name, half_life_s=half_life_s, positron_fraction=fraction)
    for name, half_life_s, fraction in (
        ("C-11", 1221.8, 0.997669),
        ("N-13", 597.9, 0.998036),
        ("O-15", 122.24, 0.999003),
        ("F-18", 6586.2, 0.9673),
        ("Cu-64", 45722.16, 0.1749),
        ("Ga-68", 4062.6, 0.8891),
        ("Ge-68", 270.95 * 86400, 0.8891),
        ("Rb-82", 75.45, 0.9500),
        ("Zr-89", 282276.0, 0.2274),
        ("Y-90", 230580.0, 31.86e-6),
        ("I-124", 360806.4, 0.2269),
    )
}
_ELEMENTS = {
    "carbon": "C", "nitrogen": "N", "oxygen": "O", "fluorine": "F", "copper": "Cu",
    "gallium": "Ga", "germanium": "Ge", "rubidium": "Rb", "zirconium": "Zr", "yttrium": "Y",
    "iodine": "I",
}  # fmt: skip


def isotope(name):
    """The Isotope of a name: F-18, F18, 18F, [18F], ^18^Fluorine (DICOM) and the like.

    Raises:
        ValueError: it is none of the table's.
    """
    letters = "".join(re.findall("[A-Za-z]+", str(name))).lower()
    number = "".join(re.findall(r"\d+", str(name)))
    symbol = _ELEMENTS.get(letters, letters.capitalize())
    key = f"{symbol}-{number}"
    if key not in ISOTOPES:
        raise ValueError(
            f"the isotope takes one of {', '.join(ISOTOPES)}, got {name!r}; the nearest is "
            f"{most_alike(key, ISOTOPES)}, or make an Isotope of its half-life and positron "
            "fraction"
        )
    return ISOTOPES[key]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What turns an image in counts/mm into Bq/mL, by this module's equation.

    Attributes:
        isotope: Isotope.
        duration_s: of the frame, T.
        start_s: when the frame starts, after the reference time, t0; negative before it.
        live_fraction: part of the frame in which the scanner could count, L. Leave it at 1 where
            the multiplicative factors of the model hold the dead time.
        factor: C, in (Bq/mL) per (positron pair/s/mm).
    Raises:
        ValueError: a number that no scan has.
    """

    isotope: Isotope
    duration_s: float
    start_s: float = 0.0
    live_fraction: float = 1.0
    factor: float

    def __post_init__(self):
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            good = math.isfinite(value) and (field.name == "start_s" or value > 0)
            if field.name == "live_fraction":
                good = good and value <= 1
            if not good:
                raise ValueError(
                    f"Calibration takes a positive {field.name}"
                    f"{' of at most 1' if field.name == 'live_fraction' else ''}, got {value}; "
                    "look it up in the scan's header"
                )

    @property
    def decay(self):
        """Mean activity of the frame over that at the reference time, D."""
        return self.isotope.mean_decay(self.start_s, self.duration_s)

    @property
    def scale(self):
        """Bq/mL at the reference time for one count/mm."""
        emitted = self.duration_s * self.live_fraction * self.isotope.positron_fraction
        return self.factor / (emitted * self.decay)

    def __call__(self, image):
        """The image in Bq/mL at the reference time, float32."""
        return image * np.float32(self.scale)

    def record(self):
        """Every number of the equation by name, for an image's sidecar."""
        return {
            "isotope": self.isotope.name,
            "half_life_s": self.isotope.half_life_s,
            "positron_fraction": self.isotope.positron_fraction,
            "duration_s": self.duration_s,
            "start_s": self.start_s,
            "live_fraction": self.live_fraction,
            "decay": self.decay,
            "calibration_factor": self.factor,
            "bq_per_ml_per_count_per_mm": self.scale,
        }


def calibration_factor(
    counts_per_mm, bq_per_ml, *, isotope, duration_s, start_s=0.0, live_fraction=1.0
):
    """C, from a phantom.

    Args:
        counts_per_mm: mean of the phantom's image where it is uniform.
        bq_per_ml: its known activity concentration at the reference time.
        isotope, duration_s, start_s, live_fraction: as in Calibration, of the phantom's scan.
    Returns:
        Calibration factor in (Bq/mL) per (positron pair/s/mm).
    """
    if not counts_per_mm > 0 or not bq_per_ml > 0:
        raise ValueError(
            "calibration_factor takes a positive image mean and activity, got "
            f"{counts_per_mm} counts/mm and {bq_per_ml} Bq/mL; measure them inside the phantom"
        )
    one = Calibration(
        isotope=isotope,
        duration_s=duration_s,
        start_s=start_s,
        live_fraction=live_fraction,
        factor=1.0,
    )
    return bq_per_ml / (counts_per_mm * one.scale)


def suv_scale(*, weight_kg, dose_bq, isotope, dose_age_s, kind="bw", height_cm=None, sex=None):
    """What turns Bq/mL into a standardized uptake value in g/mL.

    A body that holds the whole dose, spread evenly, has SUV 1 where 1 mL weighs 1 g.

    Args:
        weight_kg: of the patient.
        dose_bq: injected activity, less what was left in the syringe.
        isotope: Isotope.
        dose_age_s: seconds from when the dose was measured to the image's reference time.
        kind: "bw", per body weight, or "lbm", per lean body mass.
        height_cm, sex: of the patient, "M" or "F"; for "lbm".
    Raises:
        ValueError: another kind, or a number that no patient has.
    """
    for name, value, most, unit in (
        ("weight_kg", weight_kg, 700, "kg"), ("dose_bq", dose_bq, 1e11, "Bq")
    ):
        if not 0 < value <= most:
            raise ValueError(
                f"SUV takes a {name} above 0 and up to {most:g} {unit}, got {value:g}; check its "
                "unit"
            )
    if not math.isfinite(dose_age_s):
        raise ValueError(f"SUV takes a finite dose_age_s, got {dose_age_s}; check the times")
    if kind == "lbm":
        weight_kg = lean_body_mass_kg(weight_kg, height_cm, sex)
    elif kind != "bw":
        raise ValueError(f"SUV takes the kind 'bw' or 'lbm', got {kind!r}")
    return 1000 * weight_kg / (dose_bq * isotope.decay(dose_age_s))


def lean_body_mass_kg(weight_kg, height_cm, sex):
    """James's lean body mass, DICOM's SUVlbm(James128).

    Raises:
        ValueError: no height or sex, or so heavy that the formula falls as weight grows (a body
            mass index above 43 for men, 36 for women).
    Source: James, "Research on Obesity", Her Majesty's Stationery Office, London, 1976.
    """
    if sex not in ("M", "F") or not height_cm or not 50 < height_cm < 300:
        raise ValueError(
            f"lean body mass takes a height in cm and sex 'M' or 'F', got {height_cm} and {sex!r}; "
            "give them, or use SUV per body weight (bw)"
        )
    linear, square = (1.10, 128.0) if sex == "M" else (1.07, 148.0)
    if weight_kg > linear * height_cm**2 / (2 * square):
        raise ValueError(
            f"James's lean body mass takes a body mass index up to {'43' if sex == 'M' else '36'}, "
            f"got {weight_kg / (height_cm / 100) ** 2:.3g}, where the formula falls as weight "
            "grows; use SUV per body weight (bw)"
        )
    return linear * weight_kg - square * (weight_kg / height_cm) ** 2
