"""A Scanner as keys of a STIR Interfile header, both ways.

Countless's own keys begin with `%`, as those that Siemens adds do; STIR passes over them with a
warning. They hold what STIR knows only by the name, virtual crystals, and what it does not know:
crystals' size and scintillator, and how photons are counted in them.
"""

import math
from decimal import Decimal

from recon.io.files import FileError
from recon.scanner import Scanner

# Scanner's field -> key and the mm in its unit.
_LENGTHS = {
    "radius_mm": ("inner ring diameter (cm)", 5),
    "depth_mm": ("average depth of interaction (cm)", 10),
    "ring_spacing_mm": ("distance between rings (cm)", 10),
}
_NUMBERS = {
    "tilt_deg": "view offset (degrees)",
    "timing_resolution_ps": "tof timing resolution (ps)",
    "tof_bin_ps": "size of unmashed tof time bins (ps)",
    "coincidence_window_ps": "%coincidence window (ps)",
    "effective_threshold_kev": "%effective energy threshold (kev)",
    "dead_time_ns": "%dead time of a block (ns)",
}
_OWN_NUMBERS = ("coincidence_window_ps", "effective_threshold_kev", "dead_time_ns")
_ADDS_BLOCKS = "%energies of blocks added"
_LISTS = {
    "crystal_mm": "%crystal size (mm)",
    "virtual_crystals": "%virtual crystals",
    "virtual_rings": "%virtual rings",
}
_BLOCK = (
    "number of crystals per block in transaxial direction",
    "number of crystals per block in axial direction",
)


def scanner_from(header, radial_bins):
    """The Scanner of a header: its keys, and for absent ones the preset of its name.

    Args:
        header: Header of a sinogram.
        radial_bins: of the sinogram, in place of the scanner's own number where that is absent.
    Returns:
        Scanner, and notes (list of sentences) on what the header did not say.
    Raises:
        FileError: neither the header nor a preset has what is needed.
    """
    names = [header.text(key, "") for key in ("scanner type", "originating system")]
    preset, notes = _preset(header, names)
    fields = _fields(header, required=preset is None)
    if preset is None:
        fields = {"name": names[0] or names[1] or "unknown", "radial_bins": radial_bins} | fields
    elif "virtual_crystals" not in fields and "virtual_rings" not in fields:
        # Where the gaps are, is said of the preset's blocks.
        block = fields.pop("block_crystals", preset.block_crystals)
        if block != preset.block_crystals:
            notes.append(
                f"blocks and their gaps are those of the preset {preset.name!r}, "
                f"{preset.block_crystals} crystals, not the header's {block}"
            )
    try:
        return (preset.stating(**fields) if preset else Scanner(**fields)), notes
    except ValueError as reason:
        raise FileError(f"{header.path}: {reason}; correct the scanner's keys") from reason


def _preset(header, names):
    """The preset of a scanner's name, unless the header's own numbers are another scanner's."""
    if header.find("%virtual crystals"):  # Countless wrote it, and left out only what is not known
        return None, []
    for name in filter(None, names):
        try:
            preset = Scanner.preset(name)
        except ValueError:
            continue
        for key, value in (
            ("number of rings", preset.rings),
            ("number of detectors per ring", preset.crystals),
        ):
            if header.integer(key, value) != value:
                return None, [
                    f"{header.place(key)} is not the {value} of the preset {preset.name!r}: "
                    "only the header's keys are used"
                ]
        absent = [key for key, _ in _LENGTHS.values() if not header.find(key)]
        taken = f"{', '.join(absent)} taken from the preset {preset.name!r}"
        return preset, [taken] if absent else []
    return None, []


def _fields(header, required):
    """Scanner's fields that the header has; those without which there is no scanner, always."""
    fields = {}
    default = {} if required else {"default": None}
    fields["rings"] = header.integer("number of rings", least=1, **default)
    fields["crystals"] = header.integer("number of detectors per ring", least=1, **default)
    for field, (key, scale) in _LENGTHS.items():
        fields[field] = header.times(key, scale, **default)
    bins = header.integer("maximum number of non-arc-corrected bins", 0)
    fields["radial_bins"] = bins if bins > 0 else None
    size_mm = header.times("default bin size (cm)", 10, -1.0)
    fields["radial_bin_mm"] = size_mm if size_mm > 0 else None
    for field, key in _NUMBERS.items():
        value = header.number(key, None)
        # STIR writes -1 and 0 for "not known"; a tilt may well be 0 or negative.
        known = value is not None and (value > 0 or field == "tilt_deg")
        fields[field] = value if known else None
    for field, key in _LISTS.items():
        fields[field] = header.numbers(key, None)
    fields["scintillator"] = header.text("%scintillator", "") or None
    fields["adds_blocks"] = header.integer(_ADDS_BLOCKS, 0) == 1 or None
    block = [header.integer(key, 0) for key in _BLOCK]
    fields["block_crystals"] = tuple(block) if min(block) > 0 else None
    tof_bins = header.integer("maximum number of (unmashed) tof time bins", 0)
    fields["tof_bins"] = tof_bins if tof_bins > 0 else None
    resolution = header.number("energy resolution", -1.0)
    reference_kev = header.number("reference energy (in kev)", 511.0)
    if resolution > 0 and reference_kev > 0:
        # FWHM / E goes with 1 / sqrt(E) (counting statistics of the scintillation light).
        fields["energy_resolution"] = resolution * math.sqrt(reference_kev / 511.0)
    window = [header.number(f"energy window {end} level [1]", -1.0) for end in ("lower", "upper")]
    if min(window) >= 0 and window[1] > 0:
        fields["energy_window_kev"] = tuple(window)
    return {field: value for field, value in fields.items() if value is not None}


def scanner_lines(scanner):
    """Header lines for a scanner, a list of str."""
    values = {
        "Scanner type": scanner.name,
        "Number of rings": scanner.rings,
        "Number of detectors per ring": scanner.crystals,
        "Inner ring diameter (cm)": in_cm(2 * scanner.radius_mm),
        "Average depth of interaction (cm)": in_cm(scanner.depth_mm),
        "Distance between rings (cm)": in_cm(scanner.ring_spacing_mm),
        "Default bin size (cm)": -1
        if scanner.radial_bin_mm is None
        else in_cm(scanner.radial_bin_mm),
        "View offset (degrees)": repr(scanner.tilt_deg),
        "Maximum number of non-arc-corrected bins": scanner.radial_bins,
        "Default number of arc-corrected bins": scanner.radial_bins,
        "Maximum number of (unmashed) TOF time bins": scanner.tof_bins,
        "Size of unmashed TOF time bins (ps)": scanner.tof_bin_ps,
        "TOF timing resolution (ps)": scanner.timing_resolution_ps,
        "Energy resolution": scanner.energy_resolution,
        "Reference energy (in keV)": scanner.energy_resolution and 511,
        "Number of blocks per bucket in transaxial direction": 1,
        "Number of blocks per bucket in axial direction": 1,
        "Number of crystals per block in axial direction": scanner.block_crystals[1],
        "Number of crystals per block in transaxial direction": scanner.block_crystals[0],
        "Number of detector layers": 1,
        "Scanner geometry (BlocksOnCylindrical/Cylindrical/Generic)": "Cylindrical",
        "%crystal size (mm)": scanner.crystal_mm and braces(scanner.crystal_mm),
        "%scintillator": scanner.scintillator,
        "%virtual crystals": braces(scanner.virtual_crystals),
        "%virtual rings": braces(scanner.virtual_rings),
        **{_NUMBERS[field]: getattr(scanner, field) for field in _OWN_NUMBERS},
        _ADDS_BLOCKS: 1 if scanner.adds_blocks else None,
    }
    lines = [f"  {key} := {value}" for key, value in values.items() if value is not None]
    return ["Scanner parameters :=", *lines, "End scanner parameters :="]


def in_cm(length_mm):
    """Text of a length in cm, for a header, with all decimals of the mm (`Header.times`)."""
    return f"{Decimal(repr(length_mm)).scaleb(-1).normalize():f}"


def braces(values):
    """Text of a list, for a header."""
    return "{ " + ", ".join(map(str, values)) + " }"
