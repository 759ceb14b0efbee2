"""What an image's numbers mean, and how they turn into one another.

`recon` makes counts/mm; `recon.corrections.calibration` has the one equation from there to Bq/mL at
a reference time, and to SUV in g/mL. Beside each image its .json holds `unit`, and every term of
the equation in `calibration` and `suv`, so that whoever reads it can go back:

    Bq/mL = counts/mm × calibration.bq_per_ml_per_count_per_mm
    g/mL  = Bq/mL     × suv.suv_per_bq_per_ml
"""

import json
import math
from pathlib import Path

import numpy as np

from recon.corrections.calibration import Calibration, Isotope, isotope, suv_scale
from recon.io import FileError, read_image
from recon.io.files import opened
from recon.io.provenance import read_sidecar

COUNTS, ACTIVITY, SUV = "counts/mm", "Bq/mL", "g/mL"
FACTOR_UNIT = "(Bq/mL) per (positron pair/s/mm)"
_BQ_PER_ML = {"bq/ml": 1.0, "bqml": 1.0, "kbq/ml": 1e3, "mbq/ml": 1e6}
_KINDS = {"bw": "body weight", "lbm": "lean body mass (James)"}


def is_activity(unit):
    """Whether a unit is one of activity concentration, such as Bq/mL."""
    return _plain(unit) in _BQ_PER_ML


def conversion(path, stated, wanted):
    """What turns an image's numbers from one unit into another, by the .json beside it.

    Args:
        path: the image.
        stated: its unit, as it says itself; None is taken for the wanted one.
        wanted: counts/mm, Bq/mL, kBq/mL or g/mL; any other equals only itself.
    Returns:
        A number to multiply with.
    Raises:
        FileError: its .json does not hold what turns one into the other.
    """
    if stated is None or _plain(stated) == _plain(wanted):
        return 1.0
    said = read_sidecar(path)
    sizes = [_bq_per_ml(unit, said) for unit in (stated, wanted)]
    if None in sizes:
        raise FileError(
            f"{path} is in {stated}, where the factors make counts of {wanted}, and no .json "
            "beside it holds the terms that turn one into the other; give the image that "
            "countless recon made with this --efficiency, or countless quantify made of it"
        )
    return sizes[0] / sizes[1]


def activity_in(path, unit, patient_position="HFS"):
    """Read an image of activity in any unit as one in the unit that is wanted.

    Args:
        path: image in counts/mm, Bq/mL or SUV (g/mL).
        unit: the wanted one, that which the factors turn into counts.
        patient_position: how the patient lay, for formats that do not say.
    Returns:
        float32 (x, y, z), its Grid, and a sentence on what was converted, None where nothing was.
    Raises:
        FileError: it cannot be read, or its .json does not hold what turns its unit into this one.
    """
    array, grid, info = read_image(path, patient_position)
    stated = info.get("unit")
    scale = conversion(path, stated, unit)
    if scale == 1:
        return array, grid, None
    array *= np.float32(scale)
    return array, grid, f"{path} is in {stated}: multiplied by {scale:.6g} to {unit}, by its .json"


def hashes(sidecar):
    """SHA-256 of all files that an image was made from, those of its own sources included."""
    found = {entry.get("sha256") for entry in sidecar.get("inputs", [])}
    return found | (hashes(sidecar["source"]) if sidecar.get("source") else set())


def factor_of(value):
    """The calibration factor C of a number, or of the file that `countless calibrate` wrote.

    Raises:
        FileError: no such file, or it holds no `calibration_factor`.
        ValueError: it is no positive number.
    """
    factor = value
    if isinstance(value, Path):
        with opened(value, "r", encoding="utf-8") as file:
            try:
                factor = float(json.load(file)["calibration_factor"])
            except (ValueError, TypeError, KeyError) as reason:
                raise FileError(
                    f"{value} holds no number `calibration_factor`; give the file that countless "
                    "calibrate wrote, or the number itself"
                ) from reason
    if not 0 < factor < math.inf:
        raise ValueError(f"--calibration-factor takes a positive number, got {factor} of {value}")
    return factor


def isotope_of(info, path, name=None):
    """The Isotope of a scan or image.

    Args:
        info: dict of its facts (`recon.io.interfile_data.study_info`).
        path: whose it is, for the message.
        name: isotope that is asked for instead; None for the file's own.
    Raises:
        ValueError: the name is not in the table.
        FileError: the file names none, and no half-life with branching ratio.
    """
    if name is not None:
        return isotope(name)
    own = info.get("isotope")
    try:
        return isotope(own)
    except ValueError as reason:
        if "half_life_s" in info and "branching_ratio" in info:
            return Isotope(name=str(own or "unnamed"), half_life_s=info["half_life_s"],
                           positron_fraction=info["branching_ratio"])
        said = f"names the isotope {own!r}, which is not in the table" if own else (
            "does not say which isotope it is of"
        )
        raise FileError(f"{path} {said}; give --isotope, such as F-18") from reason


def calibration_of(info, path, factor, *, isotope=None, duration_s=None, start_s=None,
                   live_fraction=1.0):
    """The Calibration of a scan or image from what its header or .json says.

    The reference time is that from which the header counts the frame's start: the scan's start.

    Args:
        info: dict of its facts (`recon.io.interfile_data.study_info`).
        path: whose they are, for messages.
        factor: C, see `recon.corrections.calibration`.
        isotope, duration_s, start_s: in place of the header's; start_s without either is 0.
        live_fraction: L; 1 where the factors m hold the dead time, as `countless norm` makes them.
    Raises:
        FileError: a fact is missing; the message names the flag that gives it.
        ValueError: a number that no scan has.
    """
    found = isotope_of(info, path, isotope)
    if duration_s is None and "duration_s" not in info:
        raise FileError(f"{path} does not say how long its frame took; give --duration-s")
    return Calibration(
        isotope=found,
        duration_s=info["duration_s"] if duration_s is None else duration_s,
        start_s=info.get("start_s", 0.0) if start_s is None else start_s,
        live_fraction=live_fraction,
        factor=factor,
    )


def activity_record(calibration):
    """What an image's .json says once it is in Bq/mL: unit, quantity and calibration."""
    return {
        "unit": ACTIVITY,
        "quantity": f"activity of {calibration.isotope.name} per volume at the reference time, "
                    f"{calibration.start_s:g} s before the frame began",
        "calibration": calibration.record() | {
            "equation": "Bq/mL = C x / (T L b D), D = exp(-lambda t0) (1 - exp(-lambda T)) / "
                        "(lambda T), lambda = ln 2 / half-life: C calibration_factor, "
                        "x counts/mm, T duration_s, L live_fraction, b positron_fraction, "
                        "D decay, t0 start_s, after the reference time",
            "reference_time": "the time from which start_s counts; the scan's start, unless "
                              "another start_s was given",
        },
    }


def suv_record(kind, *, weight_kg, dose_mbq, dose_age_min, isotope, height_cm=None, sex=None):
    """What an image's .json says once it is in g/mL: unit, quantity and suv.

    Args:
        kind: "bw" or "lbm".
        weight_kg, dose_mbq, height_cm, sex: of the patient, `suv_scale`.
        dose_age_min: minutes from when the dose was measured to the image's reference time.
        isotope: Isotope.
    Raises:
        ValueError: see `suv_scale`.
    """
    age_s = 60 * dose_age_min
    scale = suv_scale(weight_kg=weight_kg, dose_bq=1e6 * dose_mbq, isotope=isotope,
                      dose_age_s=age_s, kind=kind, height_cm=height_cm, sex=sex)
    return {
        "unit": SUV,
        "quantity": f"standardized uptake value by {_KINDS[kind]}",
        "suv": {
            "kind": kind,
            "weight_kg": weight_kg,
            "height_cm": height_cm,
            "sex": sex,
            "dose_mbq": dose_mbq,
            "dose_age_min": dose_age_min,
            "isotope": isotope.name,
            "half_life_s": isotope.half_life_s,
            "dose_decay": isotope.decay(age_s),
            "suv_per_bq_per_ml": scale,
            "equation": "g/mL = Bq/mL × 1000 × weight_kg (or lean body mass in kg) / "
                        "(dose in Bq × dose_decay)",
        },
    }


def _bq_per_ml(unit, said):
    """Bq/mL that one of a unit is, by a sidecar; None where it does not say."""
    plain = _plain(unit)
    if plain in _BQ_PER_ML:
        return _BQ_PER_ML[plain]
    if plain == _plain(COUNTS):
        return (said.get("calibration") or {}).get("bq_per_ml_per_count_per_mm")
    if plain == _plain(SUV) and said.get("suv"):
        return 1 / said["suv"]["suv_per_bq_per_ml"]
    return None


def _plain(unit):
    return "".join(str(unit).lower().split())
