"""Whether the files of a scan belong together, as far as their headers tell."""

import math

from recon.io import FileError, read_layout
from recon.io.header import read_header
from recon.io.image import is_interfile
from recon.io.interfile_image import read_grid
from recon.io.provenance import read_sidecar

PER_CM = ("1/cm", "/cm", "cm-1", "cm^-1", "cm^{-1}", "percm")
# Name, value of a layout, and by how much it may differ where headers round it.
_SIZES = (
    ("rings", lambda layout: layout.scanner.rings, 0),
    ("crystals per ring", lambda layout: layout.scanner.crystals, 0),
    ("mm of radius, with depth", lambda layout: layout.scanner.effective_radius_mm, 0.1),
    ("mm between rings", lambda layout: layout.scanner.ring_spacing_mm, 1e-3),
    ("degrees of tilt", lambda layout: layout.scanner.tilt_deg, 0.01),
    ("views", lambda layout: layout.views, 0),
    ("radial bins", lambda layout: layout.radial_bins, 0),
    ("mm of arc-corrected bin", lambda layout: layout.radial_mm, 1e-3),
)


def check_layout(path, what, scan, *, tof):
    """Refuses a sinogram whose bins are not the scan's, or not in time of flight.

    Args:
        path: header of the sinogram.
        what: "factors" or "background".
        scan: header of the scan.
        tof: whether time of flight is used; else bins are summed.
    Raises:
        FileError: with what differs.
    """
    theirs, mine = read_layout(path)[0], read_layout(scan)[0]
    for name, value, tolerance in _SIZES:
        _same(path, scan, what, name, (value(theirs), value(mine)), tolerance)
    _same(path, scan, what, "segments", (_segments(theirs), _segments(mine)))
    if not (tof and mine.tof):
        if what == "factors" and theirs.tof:
            raise FileError(
                f"{path} has factors by time of flight, which cannot be summed as counts can; "
                "give factors without it"
            )
        return
    if theirs.tof:
        _same(path, scan, what, "time-of-flight bins", (theirs.tof_bins, mine.tof_bins))
        widths = [layout.tof_mashing * layout.scanner.tof_bin_ps for layout in (theirs, mine)]
        _same(path, scan, what, "ps of time-of-flight bin", widths, 1e-3 * widths[1])
    elif what == "background":
        raise FileError(
            f"{path} has no time of flight, where {scan} has {mine.tof_bins} bins, and how its "
            "counts spread over them is not known; give a background with these bins, or sum them "
            "with --no-tof"
        )


def check_position(path, patient_position, scan):
    """Refuses an Interfile image of a patient who lay otherwise than in the scan.

    Such an image is in scanner coordinates, in which the patient has moved. NIfTI does not say how
    the patient lay and is in the patient's own; a header that says nothing is taken as the scan's.

    Raises:
        FileError: with both positions.
    """
    if not is_interfile(path):
        return
    header = read_header(path)
    stated = all(header.find(f"patient {key}") for key in ("orientation", "rotation"))
    theirs = read_grid(path)[0].patient_position
    if stated and theirs != patient_position:
        raise FileError(
            f"{path} is of a patient who lay {theirs}, where {scan} has {patient_position}; give "
            "it as NIfTI, which is in the patient's own directions, or correct the header that "
            "is wrong"
        )


def check_per_cm(path):
    """Refuses a mu map that is said to be in another unit than 1/cm.

    Raises:
        FileError: with the unit.
    """
    unit = read_grid(path)[1].get("unit") if is_interfile(path) else read_sidecar(path).get("unit")
    if unit and str(unit).lower().replace(" ", "") not in PER_CM:
        raise FileError(
            f"{path} takes attenuation at 511 keV in 1/cm, got an image in {unit}; convert it, or "
            "correct its unit"
        )


def _same(path, scan, what, name, values, tolerance=0):
    found, expected = values
    near = tolerance and None not in values
    if math.isclose(*values, rel_tol=0, abs_tol=tolerance) if near else found == expected:
        return
    raise FileError(
        f"{path} has {_words(found)} {name}, where {scan} has {_words(expected)}; give {what} "
        "with the scan's layout"
    )


def _segments(layout):
    """Segments in no order: files may have them in different ones."""
    return sorted(
        (s.min_ring_difference, s.max_ring_difference, s.planes) for s in layout.segments
    )


def _words(value):
    """A value for a message; of a list of segments, what tells it from another briefly."""
    if isinstance(value, list):
        planes = sum(planes for *_, planes in value)
        return f"{len(value)} (ring differences {value[0][0]} to {value[-1][1]}, {planes} planes)"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "no" if value is None else value
