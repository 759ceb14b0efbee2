"""The command `countless quantify`: an image in counts/mm to Bq/mL, and to SUV."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from recon import quantity, text
from recon.command_line import command_line, flag_of
from recon.io import FileError, check_output, like, provenance, read_image, write_image
from recon.io.image import is_interfile
from recon.io.provenance import read_sidecar

Factor = float | Path  # C, or the file that `countless calibrate` wrote


def quantify(
    image: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    calibration_factor: Factor | None = None,
    isotope: str | None = None,
    duration_s: float | None = None,
    start_s: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None,
    live_fraction: float = 1.0,
    unit: Literal["counts/mm", "Bq/mL"] | None = None,
    suv: Literal["bw", "lbm"] | None = None,
    weight_kg: float | None = None,
    dose_mbq: float | None = None,
    dose_age_min: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None,
    dose_time: str | None = None,
    reference_time: str | None = None,
    height_cm: float | None = None,
    sex: Literal["M", "F"] | None = None,
    config: Path | None = None,
):
    """Turn an image in counts/mm into Bq/mL, or either of them into SUV.

    Activities are those at the reference time, from which the frame's start counts: the scan's
    start. Every term of the equation is printed and written into the .json.

    Args:
        image: Image (.nii.gz, .nii or .hv) that `countless recon` made, or one in Bq/mL.
        output: Image to write (.nii.gz, .nii or .hv), with a .json beside it that says how.
        calibration_factor: C in (Bq/mL) per (positron pair/s/mm), or the file that
            `countless calibrate` wrote.
        isotope: Such as F-18, in place of the scan's own.
        duration_s: Of the frame, in place of the scan's own.
        start_s: When the frame begins, after the reference time; in place of the scan's own.
        live_fraction: Part of the frame in which the scanner could count; 1 where the efficiency
            holds the dead time, as `countless norm` makes it.
        unit: Of an image that does not say its own.
        suv: Kind of standardized uptake value, per body weight or lean body mass (James).
        weight_kg: Of the patient.
        dose_mbq: Injected activity, less what stayed in the syringe.
        dose_age_min: Minutes from when the dose was measured to the reference time.
        dose_time: When the dose was measured, such as 2024-05-17T09:30; beside reference_time.
        reference_time: The reference time, in the same way.
        height_cm: Of the patient, for 'lbm'.
        sex: Of the patient, for 'lbm'.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    files = [path for path in (calibration_factor, config) if isinstance(path, Path)]
    is_interfile(output)  # refuses a name that is no image's
    check_output(output, [image, *files])
    said = read_sidecar(image)
    position = (said.get("study") or {}).get("patient_position", "HFS")  # NIfTI does not say
    grid, frame = like(image, position)
    array, _, info = read_image(image, position)
    stated = _unit(image, info.get("unit"), unit)
    _refuse_unused(settings, image, stated)
    record = {key: said[key] for key in ("calibration", "study") if key in said}
    scale = 1.0
    if quantity.is_activity(stated):
        if suv is None:
            raise ValueError(f"{image} is in {stated} already; ask for --suv, or use it as it is")
        scale = quantity.conversion(image, stated, quantity.ACTIVITY)
    else:
        if calibration_factor is None:
            raise ValueError(
                f"{image} is in {stated} and takes --calibration-factor; `countless calibrate` "
                "finds it from a phantom"
            )
        calibration = quantity.calibration_of(
            info, image, quantity.factor_of(calibration_factor), isotope=isotope,
            duration_s=duration_s, start_s=start_s, live_fraction=live_fraction,
        )
        record |= quantity.activity_record(calibration)
        scale = calibration.scale
    if suv is not None:
        named = isotope or (record.get("calibration") or {}).get("isotope")
        record |= quantity.suv_record(
            suv, weight_kg=_needed("--weight-kg", weight_kg),
            dose_mbq=_needed("--dose-mbq", dose_mbq),
            dose_age_min=_dose_age_min(dose_age_min, dose_time, reference_time),
            isotope=quantity.isotope_of(info, image, named), height_cm=height_cm, sex=sex,
        )
        scale *= record["suv"]["suv_per_bq_per_ml"]
    array *= np.float32(scale)
    made = provenance(
        command=command_line(quantify, settings),
        configuration=settings,
        inputs=[image, *files],
        source=said or None,
        scale=scale,
    ) | record
    write_image(output, array, grid, unit=record["unit"], sidecar=made, frame=frame, info=info)
    print(text.table([
        ("image", f"{image} in {stated}, {text.grid(grid)}"),
        *_terms(record, quantity.is_activity(stated)),
        ("maximum", f"{array.max():.6g} {record['unit']}"),
        ("written", f"{output} in {record['unit']}: {record['quantity']}"),
    ]))


def _refuse_unused(settings, image, stated):
    """Refuses settings that would say nothing.

    Raises:
        FileError, ValueError: with the flag.
    """
    for name in ("calibration_factor", "duration_s", "start_s"):
        if quantity.is_activity(stated) and settings[name] is not None:
            raise FileError(f"{image} is in {stated} already; leave out {flag_of(name)}")
    for name in ("weight_kg", "dose_mbq", "dose_age_min", "dose_time", "height_cm", "sex"):
        if settings["suv"] is None and settings[name] is not None:
            raise ValueError(f"{flag_of(name)} is of an SUV; ask for --suv bw or lbm, or leave it")


def _unit(path, stated, given):
    """The image's unit, one that can be turned into another.

    Raises:
        FileError: it is another, not known, or contradicts the one that is given.
    """
    if stated is None and given is None:
        raise FileError(
            f"{path} does not say what its numbers are; if you know, give --unit counts/mm or "
            "--unit Bq/mL"
        )
    if stated and given and stated.lower() != given.lower():
        raise FileError(f"{path} is in {stated}, not in {given}; leave out --unit")
    unit = stated or given
    if unit != quantity.COUNTS and not quantity.is_activity(unit):
        known = "an SUV" if unit == quantity.SUV else f"in {unit}"
        raise FileError(
            f"{path} is {known}, where counts/mm or Bq/mL was expected; give the image that "
            "countless recon made"
        )
    return unit


def _needed(flag, value):
    if value is None:
        raise ValueError(f"--suv takes {flag} beside it; give it")
    return value


def _dose_age_min(age_min, dose_time, reference_time):
    """Minutes from the dose's measurement to the reference time, from whichever was given."""
    times = {"--dose-time": dose_time, "--reference-time": reference_time}
    if age_min is not None:
        if any(times.values()):
            raise ValueError(
                "--dose-age-min and --dose-time are two ways to say the same; give one of them"
            )
        return age_min
    if None in times.values():
        raise ValueError(
            "--suv takes --dose-age-min beside it, or --dose-time and --reference-time; give when "
            "the dose was measured"
        )
    first, last = (_time(flag, words) for flag, words in times.items())
    if (first.tzinfo is None) != (last.tzinfo is None):
        raise ValueError(
            f"--dose-time {dose_time} and --reference-time {reference_time} take a time zone both "
            "or neither; correct one of them"
        )
    return (last - first).total_seconds() / 60


def _time(flag, words):
    try:
        return datetime.fromisoformat(words)
    except ValueError as reason:
        raise ValueError(
            f"{flag} takes a date and time such as 2024-05-17T09:30, got {words!r}"
        ) from reason


def _terms(record, was_activity):
    """Rows of a table with every term of the equations that were used."""
    if not was_activity:
        terms = record["calibration"]
        yield "isotope", (
            f"{terms['isotope']}, half-life {terms['half_life_s']:g} s, "
            f"{terms['positron_fraction']:g} positrons per decay"
        )
        yield "frame", (
            f"{terms['duration_s']:g} s, begins {terms['start_s']:g} s after the reference time, "
            f"live {terms['live_fraction']:g} of it"
        )
        yield "decay", f"the frame's mean activity is {terms['decay']:.6g} of the reference time's"
        yield "calibration", f"C = {terms['calibration_factor']:.6g} {quantity.FACTOR_UNIT}"
        yield "Bq/mL", (
            f"C / (T L b D) = {terms['bq_per_ml_per_count_per_mm']:.6g} Bq/mL per count/mm"
        )
    if "suv" in record:
        terms = record["suv"]
        size = f", {terms['height_cm']:g} cm, {terms['sex']}" if terms["kind"] == "lbm" else ""
        yield "patient", f"{terms['weight_kg']:g} kg{size}"
        yield "dose", (
            f"{terms['dose_mbq']:g} MBq of {terms['isotope']}, {terms['dose_age_min']:g} min "
            f"before the reference time: {terms['dose_decay']:.6g} of it is left"
        )
        yield "SUV", (
            f"by {'body weight' if terms['kind'] == 'bw' else 'lean body mass'}: "
            f"{terms['suv_per_bq_per_ml']:.6g} g/mL per Bq/mL"
        )
