"""A scanner and a study as the header of a PETSIRD file: the inverse of `recon.io.petsird_header`.

Blocks of crystals are modules, all alike: module 0 is the block of crystal 0, turned by the
scanner's tilt, so that the numbering comes back. The middles of the boxes lie where lines of
response end, as readers of the format take it, so that lines come back; with another mean depth of
interaction than half the crystal's length, boxes stand in or out by the difference.
"""

import datetime

import numpy as np

from recon.io.crystals import crystal_positions
from recon.io.petsird import petsird
from recon.io.petsird_header import FEET_FIRST, HEAD_FIRST, PRONE, SUPINE
from recon.layout import MM_PER_PS

_MODULES = 1024  # at most: a table of all their pairs is part of the header
_ANY_KEV = (0.0, 1022.0)  # where no energy window is known


class Bins:
    """Detection bins: real crystals module after module.

    Attributes:
        of: bin of each ring and crystal, (rings, crystals) int64; -1 for virtual ones.
        order: ring and crystal of each bin, (bins, 2).
        modules: numbers of blocks around and along.
        block: crystals around and rings along of a module, virtual ones included.
        elements: real ones of a module.
    """

    def __init__(self, scanner):
        self.scanner, count = scanner, (scanner.crystals, scanner.rings)
        block = [size if n % size == 0 else n
                 for size, n in zip(scanner.block_crystals, count, strict=True)]
        modules = [n // size for size, n in zip(block, count, strict=True)]
        while np.prod(modules) > _MODULES:
            axis = int(np.argmax(modules))
            factor = next(k for k in range(2, modules[axis] + 1) if modules[axis] % k == 0)
            block[axis], modules[axis] = block[axis] * factor, modules[axis] // factor
        self.block, self.modules = tuple(block), tuple(modules)
        _, ring, crystal = crystal_positions(scanner)
        around, along = self.block
        order = np.lexsort((ring, crystal, ring // along, crystal // around))
        self.order = np.stack([ring, crystal], axis=-1)[order].astype(int)
        self.of = np.full((scanner.rings, scanner.crystals), -1)
        self.of[tuple(self.order.T)] = np.arange(len(self.order))
        self.elements = len(self.order) // int(np.prod(modules))


def header_of(bins, info, efficiencies=None):
    """A header.

    Args:
        bins: Bins.
        info: dict as of `recon.io.interfile_data.study_info`.
        efficiencies: of each crystal, (rings, crystals); None for 1.
    Returns:
        petsird.Header.
    """
    package, scanner = petsird(), bins.scanner
    window = info.get("energy_window_kev") or scanner.energy_window_kev or _ANY_KEV
    other = package.CoincidencePolicy.OTHER
    said = package.ScannerInformation(
        model_name=scanner.name,
        scanner_geometry=package.ScannerGeometry(replicated_modules=[_modules(bins)]),
        bulk_materials=[package.BulkMaterial(id=0, name="scintillator")],
        tof_bin_edges=[[_edges(_tof_edges_mm(scanner))]],
        tof_resolution=[[(scanner.timing_resolution_ps or 0.0) * MM_PER_PS]],
        event_energy_bin_edges=[_edges(window)],
        energy_resolution_at_511=[scanner.energy_resolution or 0.0],
        prompt_event_policy=other,
        delayed_event_policy=other,
        detection_efficiencies=_efficiencies(bins, efficiencies),
    )
    return package.Header(scanner=said, exam=_exam(package, info))


def _modules(bins):
    """The one type of module, and where its copies are."""
    package, scanner = petsird(), bins.scanner
    around, along = bins.block
    psi = 2 * np.pi / scanner.crystals
    pitch, spacing = psi * scanner.effective_radius_mm, scanner.ring_spacing_mm
    sides = scanner.crystal_mm or (pitch, spacing, 2 * scanner.depth_mm or pitch)
    # Corners of a box about 0 whose radial side lies along y.
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = signs * (sides[0], sides[2], sides[1]) / 2
    box = package.BoxShape(corners=[
        package.Coordinate(c=corner.astype(np.float32)) for corner in corners
    ])
    elements = package.ReplicatedBoxSolidVolume(object=package.BoxSolidVolume(shape=box))
    middle = (along - 1) / 2
    for ring, crystal in bins.order[: bins.elements]:
        turn = crystal * psi
        place = (0, -scanner.effective_radius_mm, (middle - ring) * spacing)
        elements.transforms.append(_turned(turn, place))
    module = package.ReplicatedDetectorModule(
        object=package.DetectorModule(detecting_elements=elements)
    )
    tilt, rows = np.radians(scanner.tilt_deg), (scanner.rings - 1) / 2
    for block in range(bins.modules[0]):
        for row in range(bins.modules[1]):
            z = (rows - row * along - middle) * spacing
            module.transforms.append(_turned(tilt + block * around * psi, (0, 0, z)))
    return module


def _turned(turn, place):
    """What turns a place about the axis, and all that is there with it."""
    c, s = np.cos(turn), np.sin(turn)
    turned = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
    matrix = np.column_stack([turned, turned @ place])
    return petsird().RigidTransformation(matrix=matrix.astype(np.float32))


def _edges(values):
    return petsird().BinEdges(edges=np.array(values, np.float32))


def _tof_edges_mm(scanner):
    """Time-of-flight bins; without them, the window of what is a coincidence."""
    if scanner.tof_bins > 1:
        bins = np.arange(scanner.tof_bins + 1) - scanner.tof_bins / 2
        return bins * scanner.tof_bin_ps * MM_PER_PS
    if scanner.coincidence_window_ps:
        half = scanner.coincidence_window_ps / 2 * MM_PER_PS
        return (-half, half)
    return (-np.inf, np.inf)


def _efficiencies(bins, efficiencies):
    """Of the crystals; all pairs of modules are in coincidence, and alike."""
    package, modules = petsird(), int(np.prod(bins.modules))
    values = np.ones(len(bins.order))
    if efficiencies is not None:
        values = np.asarray(efficiencies, float)[tuple(bins.order.T)]
    pairs = [[1.0] * bins.elements for _ in range(bins.elements)]
    return package.DetectionEfficiencies(
        method_description="by crystal",
        calibration_factor=1.0,
        detection_bin_efficiencies=[[float(v) for v in values]],
        module_pair_sgidlut=[[[[0] * (module + 1) for module in range(modules)]]],
        module_pair_efficiencies_vectors=[[[
            package.ModulePairEfficiencies(values=pairs, sgid=0)
        ]]],
    )


def _exam(package, info):
    begin = _moment(info.get("study_time"))
    exam = package.ExamInformation(modality="PT", start_of_study=begin, start_of_acquisition=begin)
    position = info.get("patient_position")
    if position in ("HFS", "HFP", "FFS", "FFP"):
        exam.patient_orientation = package.DICOMPatientOrientationInformation(
            patient_orientation_code_sequence=_code("102538003", "recumbent"),
            patient_orientation_modifier_code_sequence=_code(
                *(SUPINE if position[2] == "S" else PRONE)),
            patient_gantry_relationship_code_sequence=_code(
                *(HEAD_FIRST if position[:2] == "HF" else FEET_FIRST)),
        )
    if "isotope" in info or "injected_bq" in info:
        exam.radiopharmaceuticals.append(package.DICOMRadiopharmaceuticalInformation(
            radiopharmaceutical_start_date_time=_moment(info.get("injection_time")),
            radionuclide_total_dose=info.get("injected_bq", 0.0) / 1e6,
            radionuclide_code_sequence=package.DICOMBasicCodeSequence(
                code_meaning=info.get("isotope", "")),
        ))
    return exam


def _code(value, meaning):
    return petsird().DICOMBasicCodeSequence(code_value=value, coding_scheme_designator="SCT",
                                            code_meaning=meaning)


def _moment(text):
    """ISO 8601 as the format has it, in UTC; the beginning of 1970 for none."""
    from petsird.yardl_types import DateTime

    if not text:
        return DateTime(0)
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return DateTime.from_datetime(moment)
