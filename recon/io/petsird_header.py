"""What the header of a PETSIRD file says of scanner and study, in this package's terms.

PETSIRD's coordinates are the gantry's in DICOM (ACR-NEMA 300-1985, 5.2.5.2): for someone who faces
the gantry x grows to the right, y down and z from front to back. Ours (recon.grid) differ in the
sign of z. Lines of response end at the middle of a detecting element's box.
"""

import numpy as np

from recon.io.crystals import raster_of
from recon.io.files import FileError
from recon.layout import MM_PER_PS

EQUAL = 1e-3  # of a width: bins that differ by less have one width; edges are float32
# Codes of DICOM's context groups 20 and 21 (SNOMED CT), and words for them.
SUPINE, PRONE = ("40199007", "supine"), ("1240000", "prone")
HEAD_FIRST, FEET_FIRST = ("102540008", "headfirst"), ("102541007", "feet-first")


def scanner_of(header, path):
    """The scanner of a header.

    Args:
        header: petsird.Header.
        path: of the file, for messages.
    Returns:
        Scanner; ring and crystal of each detection bin, two int16 arrays, the types of modules one
        after another; the number of each type's first bin in them, and of all (types + 1,); notes,
        a list of sentences.
    Raises:
        FileError: its detectors or its time-of-flight bins are not of the kind that a sinogram has.
    """
    said, types = header.scanner, header.scanner.scanner_geometry.replicated_modules
    _check_counts(said, path)
    energies = [len(said.event_energy_bin_edges[i].edges) - 1 for i in range(len(types))]
    positions = [_positions(type_) for type_ in types]
    box, depth = _box(types[0], path)
    known = {"crystal_mm": box, **_energy(said), **_timing(said, path)}
    notes = []
    try:
        scanner, ring, crystal, note = raster_of(
            np.concatenate(positions), name=said.model_name or "unnamed", depth_mm=depth,
            zero_deg=_turn(types[0]), **known,
        )
    except ValueError as reason:
        raise FileError(
            f"{path}: {reason}; Countless reads cylindrical scanners with one layer of crystals"
        ) from reason
    notes += [note] if note else []
    if max(energies) > 1:
        notes.append(f"events of all {max(energies)} energy bins are counted as one")
    if said.gantry_alignment is not None:
        notes.append("the gantry's alignment with another scanner is not used")
    of_element = np.repeat(energies, [len(part) for part in positions])
    sizes = [len(part) * count for part, count in zip(positions, energies, strict=True)]
    first_bin = np.cumsum([0, *sizes])
    return scanner, np.repeat(ring, of_element), np.repeat(crystal, of_element), first_bin, notes


def _check_counts(said, path):
    """Refuses a header that lacks something, before anything is taken from it."""
    types, energies = said.scanner_geometry.replicated_modules, said.event_energy_bin_edges
    if not types:
        raise FileError(f"{path} has no detector modules in its header; it is of no use alone")
    edges = [len(item.edges) for item in energies]
    tof = [len(item.edges) for row in said.tof_bin_edges for item in row]
    placed = [len(part.transforms) for type_ in types
              for part in (type_, type_.object.detecting_elements)]
    several = max(tof, default=0) > 2
    for field, wanted, found, good in (
        ("transforms", "at least one for each type of modules and of their elements", placed,
         min(placed) > 0),
        ("eventEnergyBinEdges", f"two edges or more for each of {len(types)} types of modules",
         edges, len(edges) >= len(types) and min(edges) > 1),
        ("tofBinEdges", "two edges or more", tof, min(tof, default=2) > 1),
        ("tofResolution", "the FWHM in mm for each two types of modules", "none",
         not several or (said.tof_resolution and len(said.tof_resolution[0]))),
    ):
        if not good:
            raise FileError(f"{path}: {field} of the header takes {wanted}, got {found}; write the "
                            "file again with a whole header")


def _positions(module):
    """Middles of a type's detecting elements, module after module, in our coordinates."""
    elements = module.object.detecting_elements
    middle = np.mean([corner.c for corner in elements.object.shape.corners], axis=0, dtype=float)
    inner, outer = (np.array([t.matrix for t in transforms], float).reshape(-1, 3, 4)
                    for transforms in (elements.transforms, module.transforms))
    there = inner[:, :, :3] @ middle + inner[:, :, 3]
    there = np.einsum("mij,ej->mei", outer[:, :, :3], there) + outer[:, None, :, 3]
    return there.reshape(-1, 3) * (1, 1, -1)


def _box(module, path):
    """Sides (transaxial, axial, radial) of a type's first element, and its middle's depth."""
    elements = module.object.detecting_elements
    corners = np.array([corner.c for corner in elements.object.shape.corners], float)
    for transform in (elements.transforms[0], module.transforms[0]):
        corners = corners @ transform.matrix[:, :3].T.astype(float) + transform.matrix[:, 3]
    edges = _edges(corners)
    if edges is None:
        raise FileError(
            f"{path}: corners of the header's first detecting element take a box of three sides, "
            "got a flat one; write the file again with a whole header"
        )
    outwards = corners.mean(axis=0) * (1, 1, 0)
    axial = edges.pop(int(np.argmax([abs(e[2]) / np.linalg.norm(e) for e in edges])))
    radial = edges.pop(int(np.argmax([abs(e @ outwards) / np.linalg.norm(e) for e in edges])))
    sides = tuple(round(float(np.linalg.norm(edge)), 4) for edge in (*edges, axial, radial))
    return sides, round(sides[2] / 2, 4)


def _edges(corners):
    """The three edges of a box from its first corner, None where it is flat.

    The other corners come in any order.
    """
    others = sorted(corners[1:] - corners[0], key=np.linalg.norm)
    first, second = others[:2]
    normal = np.cross(first, second)
    upright = (e for e in others[2:] if abs(e @ normal) > 1e-3 * np.linalg.norm(normal))
    third = next(upright, None)
    return None if third is None else [first, second, third]


def _turn(module):
    """Angle in degrees by which a type's first module is turned about the axis."""
    matrix = module.transforms[0].matrix
    return float(np.degrees(np.arctan2(float(matrix[1, 0]), float(matrix[0, 0]))))


def _energy(said):
    edges = [float(edge) for edge in said.event_energy_bin_edges[0].edges]
    known = {}
    if 0 < edges[0] < edges[-1] < np.inf:
        known["energy_window_kev"] = (_short(edges[0]), _short(edges[-1]))
    if said.energy_resolution_at_511 and said.energy_resolution_at_511[0] > 0:
        known["energy_resolution"] = _short(said.energy_resolution_at_511[0])
    return known


def _timing(said, path):
    """Time-of-flight bins, the same for all pairs of types of modules."""
    tables = [np.array(edges.edges, float) for row in said.tof_bin_edges for edges in row]
    tables = tables or [np.array([-np.inf, np.inf])]
    edges = tables[0]
    bins = len(edges) - 1
    width = (edges[-1] - edges[0]) / max(bins, 1)
    if any(table.shape != edges.shape or (table != edges).any() for table in tables):
        raise FileError(
            f"{path} has other time-of-flight bins for other pairs of module types; Countless "
            "reads lists with one kind"
        )
    if bins < 2:
        window = {"coincidence_window_ps": round(float(width / MM_PER_PS), 3)}
        return window if 0 < width < np.inf else {}
    ideal = (np.arange(bins + 1) - bins / 2) * width
    worst = np.abs(edges - ideal).max() / width
    if not worst < EQUAL:
        raise FileError(
            f"{path} has time-of-flight bins that are not of one width about 0: an edge lies "
            f"{worst:.3g} widths away from where {bins} equal ones have it; Countless reads lists "
            "with equal bins"
        )
    resolution = float(said.tof_resolution[0][0])
    if not 0 < resolution < np.inf:
        raise FileError(
            f"{path} has {bins} time-of-flight bins and a resolution of {resolution:g} mm; its "
            "FWHM belongs into tofResolution of the header"
        )
    return {"tof_bins": bins, "tof_bin_ps": round(float(width / MM_PER_PS), 4),
            "timing_resolution_ps": round(resolution / MM_PER_PS, 3)}


def study_of(header):
    """Facts of the study, dict as of `recon.io.interfile_data.study_info`; absent ones no key.

    Args:
        header: petsird.Header.
    """
    exam, notes, info = header.exam, [], {}
    info["originating_system"] = header.scanner.model_name or None
    info |= {"energy_window_kev": _energy(header.scanner).get("energy_window_kev")}
    if exam is not None:
        info["study_time"] = _time(exam.start_of_acquisition or exam.start_of_study)
        if exam.radiopharmaceuticals:
            tracer = exam.radiopharmaceuticals[0]
            code = tracer.radionuclide_code_sequence
            info["isotope"] = code.code_meaning or code.code_value or None
            info["injected_bq"] = 1e6 * _short(tracer.radionuclide_total_dose) or None
            info["injection_time"] = _time(tracer.radiopharmaceutical_start_date_time)
        if len(exam.radiopharmaceuticals) > 1:
            notes.append("of several radiopharmaceuticals the first is named")
    position = _position(exam)
    if position is None:
        notes.append("the patient's position is not in the header: taken as head first, supine")
    info["patient_position"] = position or "HFS"
    return {key: value for key, value in info.items() if value is not None} | {"notes": notes}


def _position(exam):
    """HFS and on; None where the header does not say it."""
    if exam is None:
        return None
    said = exam.patient_orientation
    letters = ""
    for code, choices in (
        (said.patient_gantry_relationship_code_sequence, {"HF": HEAD_FIRST, "FF": FEET_FIRST}),
        (said.patient_orientation_modifier_code_sequence, {"S": SUPINE, "P": PRONE}),
    ):
        found = {_plain(code.code_value), _plain(code.code_meaning)}
        letters += next((letter for letter, names in choices.items()
                         if found & set(map(_plain, names))), "?")
    return None if "?" in letters else letters


def _plain(word):
    return "".join(c for c in word.lower() if c.isalnum())


def _short(value):
    """A float32 as the shortest decimal number that is it."""
    return float(str(np.float32(value)))


def _time(moment):
    """ISO 8601 in UTC; None for the beginning of 1970, which stands for no time."""
    if moment is None or not int(moment.numpy_value.astype(int)):
        return None
    return str(moment.numpy_value).rstrip("0").rstrip(".") + "+00:00"
