"""Whether a file fits another, by the same checks that the commands refuse by."""

from recon.agreement import (
    duration_misfits,
    extent_misfits,
    layout_misfits,
    position_misfits,
    scanner_misfits,
    unit_misfits,
)
from recon.doctor.file import HISTOGRAM, IMAGE, LIST, NORM, SINOGRAM
from recon.doctor.image import HOUNSFIELD, MU_MAP
from recon.doctor.sinogram import is_known
from recon.io import like
from recon.io.provenance import files_read, sha256

_FACTORS = ("efficiency", "correction", "")
_TAIL_S = 1.0  # a scan's nominal end may be this much after its list's


def misfits(file, first):
    """All that keeps a file from being used with the first.

    Args:
        file, first: File of each, of any kind.
    Returns:
        List of sentences, empty where it fits; None where nothing of the two can be compared.
    """
    counted = first.kind == LIST and file.kind == SINOGRAM
    if counted or (first.layout is None and file.layout is not None):
        file, first = first, file
    check = _CHECKS.get(file.kind) if first.layout is not None else None
    if file.kind == first.kind == IMAGE:
        check = _images
    return list(check(file, first)) if check else None


def _sinogram(file, first):
    """A sinogram beside a scan's sinogram."""
    what = "factors" if file.role in _FACTORS else file.role
    if file.role == "prompts" and not is_known(file):
        what = "counts"  # whose, nothing says
    yield from layout_misfits((file.path, file.layout), (first.path, first.layout), what)
    yield from duration_misfits((file.path, file.info), (first.path, first.info), what)
    yield from _position(file, first)


def _list(file, first):
    """A list beside a sinogram that may have been counted from it, or beside a list."""
    scanners = ((file.path, file.layout.scanner), (first.path, first.layout.scanner))
    yield from scanner_misfits(*scanners, "list mode")
    yield from _position(file, first)
    if first.kind != SINOGRAM:
        return
    ends = first.info.get("start_s", 0) + first.info.get("duration_s", 0)
    if ends > file.info["list_s"] + _TAIL_S:
        yield (
            f"{file.path} ends at {file.info['list_s']:.10g} s, where {first.path} counts until "
            f"{ends:.10g} s; give the list that it was counted from"
        )
    used = _hashes(first)
    if used and first.role in ("prompts", "delayeds") and not _is_among(file, used):
        yield (
            f"{first.path} was not counted from {file.path}, says the .json beside it; give the "
            "list that it was counted from"
        )


def _norm(file, first):
    norm, layout = file.norm, first.layout
    scanners = ((file.path, norm.scanner), (first.path, layout.scanner))
    yield from scanner_misfits(*scanners, "the normalization")
    most = max(max(-s.min_ring_difference, s.max_ring_difference) for s in layout.segments)
    if most > norm.max_ring_difference:
        yield (
            f"{file.path} takes ring differences up to {norm.max_ring_difference}, where "
            f"{first.path} has {most}; make the sinogram with --max-ring-difference "
            f"{norm.max_ring_difference}"
        )
    if layout.radial_bins > (bins := norm.geometric.shape[1]):
        yield (
            f"{file.path} has {bins} radial bins, where {first.path} has {layout.radial_bins}; "
            "give the normalization of that scanner"
        )
    if layout.radial_mm is not None:
        yield (
            f"{first.path} is arc-corrected, and {file.path} is of crystals; give the sinogram "
            "before arc correction"
        )


def _image(file, first):
    yield from position_misfits(file.path, first.position, first.path)
    if file.role == HOUNSFIELD:
        yield (
            f"{file.path} is a CT in HU, which no reconstruction takes; turn it into a mu map "
            "with `countless mu-map`"
        )
        return
    if file.role == MU_MAP:
        yield from unit_misfits(file.path)
    # NIfTI is in the patient's directions: where the scanner has it depends on how they lay.
    grid = like(file.path, first.position)[0]
    what = "mu map" if file.role == MU_MAP else "image"
    yield from extent_misfits((file.path, grid), (first.path, first.layout), what)
    used = _hashes(file)
    made = "algorithm" in file.sidecar and first.kind == SINOGRAM and first.role == "prompts"
    if used and made and not _is_among(first, used):
        yield (
            f"{file.path} was not made from {first.path}, says the .json beside it; give the "
            "image of this scan"
        )


def _histogram(file, first):
    """A CASToR histogram beside a sinogram that may have become it, or a list of its scanner."""
    theirs, mine = (file.path, file.layout), (first.path, first.layout)
    if first.kind == LIST:
        scanners = ((path, layout.scanner) for path, layout in (theirs, mine))
        yield from scanner_misfits(*scanners, "the histogram")
    else:
        yield from layout_misfits(theirs, mine, "counts")


def _images(file, first):
    yield from position_misfits(file.path, first.position, first.path)
    for axis, (low, high), (a, b) in zip("xyz", file.grid.extent, first.grid.extent, strict=True):
        if low >= b or high <= a:
            yield (
                f"{file.path} lies at {axis} from {low:g} to {high:g} mm and does not overlap "
                f"{first.path}, {a:g} to {b:g} mm; 0 is the scanner's centre"
            )


def _position(file, first):
    """Positions of two headers that both state one."""
    notes = [note for each in (file, first) for note in each.info.get("notes", ())]
    unsure = any("patient's position" in note for note in notes)
    if not unsure and file.position != first.position:
        yield (
            f"{file.path} is of a patient who lay {file.position}, where {first.path} has "
            f"{first.position}; correct the header that is wrong"
        )


def _hashes(file):
    """SHA-256 of what the file was made from, as its sidecar says; empty where it does not."""
    entries = file.sidecar.get("inputs", [])
    return {entry["sha256"] for entry in entries if isinstance(entry, dict) and "sha256" in entry}


def _is_among(file, hashes):
    return sha256(files_read(file.path)[-1]) in hashes  # its data, where it is a header


_CHECKS = {SINOGRAM: _sinogram, LIST: _list, NORM: _norm, IMAGE: _image, HISTOGRAM: _histogram}
