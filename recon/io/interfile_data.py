"""What Interfile headers of sinograms and images have in common: the data file and the study."""

import numpy as np

from recon.io.files import FileError

_FORMATS = {
    "signed integer": "i",
    "unsigned integer": "u",
    "float": "f",
    "short float": "f",
    "long float": "f",
}
_SIZES = {"i": (1, 2, 4), "u": (1, 2, 4), "f": (4, 8)}
_ORDERS = {"littleendian": "<", "bigendian": ">"}
_POSITIONS = {
    "orientation": {"head in": "HF", "feet in": "FF"},
    "rotation": {"supine": "S", "prone": "P"},
}
_KINDS = {
    "image": "an image",
    **dict.fromkeys(
        ("emission", "transmission", "blank", "attenuationcorrection", "normalisation"),
        "a sinogram",
    ),
}
_STUDY = (
    "patient_position", "isotope", "half_life_s", "branching_ratio", "duration_s", "start_s",
)
# What info calls it -> key.
_TIMES = {
    "duration_s": "image duration (sec) [1]",
    "start_s": "image relative start time (sec) [1]",
    "half_life_s": "radionuclide halflife (sec) [1]",
    "branching_ratio": "radionuclide branching factor [1]",
}


def check_kind(header, wanted):
    """Refuse a header of something else than `wanted`, "an image" or "a sinogram".

    Raises:
        FileError: it is the other one, or not PET, or several time frames.
    """
    header.choice("type of data", {"pet": "pet"}, "pet")
    # Before misspelt keys are missed one by one, with a default in their place.
    header.unknown_keys()
    default = "an image" if header.find("scaling factor (mm/pixel) [1]") else "a sinogram"
    found = header.choice("pet data type", _KINDS, default)
    if found != wanted:
        raise FileError(f"{header.path} is {found}, where {wanted} was expected; give {wanted}")
    if header.integer("number of time frames", 1) != 1:
        raise header.wrong("number of time frames", "1", "write one frame to a file of its own")


def data_path(header):
    """Path of the data file, which a header names relative to itself."""
    return header.path.parent / header.text("name of data file").replace("\\", "/")


def number_type(header):
    """The data's NumPy dtype, byte order included; and a note where the order is a default."""
    kind = header.choice("number format", _FORMATS)
    size = header.integer("number of bytes per pixel", least=1)
    if size not in _SIZES[kind]:
        sizes = " or ".join(map(str, _SIZES[kind]))
        raise header.wrong(
            "number of bytes per pixel", f"{sizes} for {header.place('number format')}"
        )
    order = header.choice("imagedata byte order", _ORDERS, None)
    note = []
    if order is None and size > 1:
        note = ["`imagedata byte order` is absent: taken as big-endian, Interfile's default"]
    return np.dtype(f"{order or '>'}{kind}{size}"), note


def data_place(header, count):
    """Where the numbers stand, after checking that they can be there.

    Args:
        header: Header.
        count: how many numbers the header speaks of.
    Returns:
        path, NumPy dtype, offset in bytes.
    Raises:
        FileError: no such file, or its size is another.
    """
    path = data_path(header)
    dtype, _ = number_type(header)
    offset = header.integer("data offset in bytes [1]", 0, least=0)
    named = header.place("name of data file")
    if path.exists() and path.samefile(header.path):
        raise FileError(
            f"{header.path}: {named} is the header itself, so it is a template without data; "
            "only its layout can be used"
        )
    if not path.is_file():
        raise FileError(
            f"{header.path}: {named} is `{path.name}`, which is not in {path.parent}; put the data "
            "there, or correct the name"
        )
    expected = offset + count * dtype.itemsize
    if path.stat().st_size != expected:
        skipped = f"{offset} bytes of offset + " if offset else ""
        raise FileError(
            f"{path} has {path.stat().st_size} bytes, where {header.path} says {expected} "
            f"({skipped}{count} numbers of {dtype.itemsize} bytes); the sizes in the header are "
            "wrong, or the data were cut short"
        )
    return path, dtype, offset


def scale(header):
    """What stored numbers are multiplied by: one number, or one for each plane; 1 if not given."""
    factors = header.numbers("image scaling factor [1]", None)
    if factors is None:
        try:
            factors = header.numbers("quantification units", [1.0])
        except FileError:  # others than STIR write the unit's name here
            factors = [1.0]
    return factors[0] if len(factors) == 1 else np.array(factors, dtype=np.float32)


def study_info(header):
    """What the header says about the study, as a dict; absent facts have no key.

    Returns:
        dict with duration_s, start_s, isotope, half_life_s, branching_ratio, patient_position,
        energy_window_kev, applied_corrections, unit, scanner_type, originating_system,
        pet_data_type, number_type, data_file, unknown_keys and notes (what was assumed).
    """
    info = {name: header.number(key, None) for name, key in _TIMES.items()}
    texts = {
        "isotope": "radionuclide name [1]",
        "unit": "%unit",
        "scanner_type": "scanner type",
        "originating_system": "originating system",
        "pet_data_type": "pet data type",
    }
    info |= {name: header.text(key, None) for name, key in texts.items()}
    words = header.words("applied corrections", [])
    info["applied_corrections"] = [word for word in words if word and word != "none"]
    window = [header.number(f"energy window {end} level [1]", None) for end in ("lower", "upper")]
    if None not in window and window[1] > 0:
        info["energy_window_kev"] = tuple(window)
    dtype, notes = number_type(header)
    position = [
        header.choice(f"patient {key}", choices, None) for key, choices in _POSITIONS.items()
    ]
    if None in position:
        notes = [*notes, "the patient's position is not in the header: taken as head first, supine"]
    info["patient_position"] = (position[0] or "HF") + (position[1] or "S")
    info |= {
        "number_type": dtype.str,
        "data_file": str(data_path(header)),
        "unknown_keys": header.unknown_keys(),
        "notes": notes,
    }
    return {key: value for key, value in info.items() if value is not None}


def study_of(info):
    """What an estimate or image has in common with the scan it is of, from the scan's info."""
    return {name: info[name] for name in _STUDY if name in info}


def header_text(info, data_name, kind, geometry):
    """A whole header.

    Args:
        info: dict as of `study_info`; of it duration_s, start_s, isotope, half_life_s,
            branching_ratio, patient_position, applied_corrections, unit, originating_system
            and pet_data_type are written.
        data_name: name of the data file, in the same folder.
        kind: default of `PET data type`.
        geometry: the lines from `number of dimensions` on.
    Returns:
        Text of the header, for float32 little-endian data.
    """
    lines = ["!INTERFILE :=", "!imaging modality := PT", f"name of data file := {data_name}"]
    if "originating_system" in info:
        lines.append(f"originating system := {info['originating_system']}")
    lines += ["!version of keys := STIR6.0", "!GENERAL DATA :=", "!GENERAL IMAGE DATA :="]
    lines.append("!type of data := PET")
    position = info.get("patient_position")
    if position:
        head, face = position[:2] == "HF", position[2] == "S"
        lines.append(f"patient orientation := {'head_in' if head else 'feet_in'}")
        lines.append(f"patient rotation := {'supine' if face else 'prone'}")
    lines.append("imagedata byte order := LITTLEENDIAN")
    if "isotope" in info:
        lines += ["number of radionuclides := 1", f"radionuclide name[1] := {info['isotope']}"]
    lines += _time_lines(info, ("half_life_s", "branching_ratio"))
    lines += ["!PET STUDY (General) :=", f"!PET data type := {info.get('pet_data_type', kind)}"]
    if kind == "Image":
        lines.append("process status := Reconstructed")
    else:
        corrections = ", ".join(info.get("applied_corrections") or ["None"])
        lines.append(f"applied corrections := {{{corrections}}}")
    lines += ["!number format := float", "!number of bytes per pixel := 4", *geometry]
    lines += ["number of time frames := 1", *_time_lines(info, ("duration_s", "start_s"))]
    if "unit" in info:
        lines.append(f"%unit := {info['unit']}")
    return "\n".join([*lines, "!END OF INTERFILE :=", ""])


def _time_lines(info, names):
    return [
        f"{_TIMES[name].replace(' [', '[')} := {info[name]!r}" for name in names if name in info
    ]
