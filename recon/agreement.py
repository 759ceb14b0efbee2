"""Whether the files of a scan belong together, as far as their headers tell.

Each check yields its misfits, sentences that say what differs and what to do: `refuse` raises the
first of them for a command, and `countless info` lists them all.
"""

import math

from recon.field_of_view import radius_mm
from recon.io import FileError, read_layout
from recon.io.header import read_header
from recon.io.image import is_interfile
from recon.io.interfile_image import read_grid
from recon.io.provenance import read_sidecar

PER_CM = ("1/cm", "/cm", "cm-1", "cm^-1", "cm^{-1}", "percm")
# Sinograms that grow with the time that they count.
_COUNTED = ("background", "delayeds", "randoms", "scatter", "counts")
# How the quantity in a sinogram's sidecar begins -> role.
_ROLES = {
    "prompts": "prompts",
    "delayed": "delayeds",
    "factors": "efficiency",
    "expected random": "background",
    "expected scattered": "scatter",
}
_TAKEN = {"factors": ("efficiency", "correction"), "background": ("background", "scatter"),
          "randoms": ("background",), "delayeds": ("delayeds",), "prompts": ("prompts", "delayeds")}
# Name, value of a scanner or a layout, and by how much it may differ where headers round it.
_SCANNER = (
    ("rings", lambda scanner: scanner.rings, 0),
    ("crystals per ring", lambda scanner: scanner.crystals, 0),
    ("mm of radius, with depth", lambda scanner: scanner.effective_radius_mm, 0.1),
    ("mm between rings", lambda scanner: scanner.ring_spacing_mm, 1e-3),
    ("degrees of tilt", lambda scanner: scanner.tilt_deg, 0.01),
)
_BINS = (
    ("views", lambda layout: layout.views, 0),
    ("radial bins", lambda layout: layout.radial_bins, 0),
    ("mm of arc-corrected bin", lambda layout: layout.radial_mm, 1e-3),
)


def refuse(misfits):
    """Raises the first misfit, if there is one.

    Raises:
        FileError: what it says.
    """
    for misfit in misfits:
        raise FileError(misfit)


def check_layout(path, what, scan, *, tof):
    """Refuses a sinogram that is not of the scan's bins, or not of its time: see `layout_misfits`.

    Args:
        path, scan: headers of the sinogram and of the scan.
        what, tof: as of `layout_misfits`.
    Raises:
        FileError: with what differs.
    """
    refuse(role_misfits(path, what))
    (layout, info), (mine, its) = read_layout(path), read_layout(scan)
    refuse(layout_misfits((path, layout), (scan, mine), what, tof=tof))
    refuse(duration_misfits((path, info), (scan, its), what))


def check_position(path, patient_position, scan):
    """Refuses an Interfile image of a patient who lay otherwise than in the scan.

    Raises:
        FileError: with both positions.
    """
    refuse(position_misfits(path, patient_position, scan))


def check_per_cm(path):
    """Refuses a mu map that is said to be in another unit than 1/cm.

    Raises:
        FileError: with the unit.
    """
    refuse(unit_misfits(path))


def role_of(sidecar):
    """What a sinogram's sidecar says that it is; "" where it does not say."""
    quantity = str(sidecar.get("quantity", ""))
    return next((role for begins, role in _ROLES.items() if quantity.startswith(begins)), "")


def role_misfits(path, what):
    """How a sinogram is said to be something else than what it is given as.

    Args:
        path: its header.
        what: "prompts", "factors", "background", "randoms" or "delayeds".
    """
    sidecar = read_sidecar(path)
    role = role_of(sidecar)
    if role and role not in _TAKEN[what]:
        yield (
            f"{path} holds {sidecar['quantity']}, says the .json beside it, where {what} were "
            "expected; give another"
        )


def scanner_misfits(one, scan, what):
    """How the scanners of two files differ.

    Args:
        one, scan: (path, Scanner) of each.
        what: the first is; it goes into the advice.
    """
    yield from _differences(one, scan, _SCANNER, f"give {what} of the scan's scanner")


def layout_misfits(one, scan, what, *, tof=True):
    """How a sinogram's bins differ from the scan's.

    Args:
        one, scan: (path, SinogramLayout) of each.
        what: "factors" (which may lack time of flight), "background", or others alike.
        tof: whether time of flight is used; else bins are summed.
    """
    (path, theirs), (named, mine) = one, scan
    remedy = f"give {what} with the scan's layout"
    scanners = ((path, theirs.scanner), (named, mine.scanner))
    yield from _differences(*scanners, _SCANNER, remedy)
    yield from _differences(one, scan, _BINS, remedy)
    yield from _same(path, named, "segments", (_segments(theirs), _segments(mine)), remedy)
    if not (tof and mine.tof):
        if what == "factors" and theirs.tof:
            yield (
                f"{path} has factors by time of flight, which cannot be summed as counts can; "
                "give factors without it"
            )
        return
    if theirs.tof:
        bins = (theirs.tof_bins, mine.tof_bins)
        yield from _same(path, named, "time-of-flight bins", bins, remedy)
        widths = [layout.tof_mashing * layout.scanner.tof_bin_ps for layout in (theirs, mine)]
        yield from _same(
            path, named, "ps of time-of-flight bin", widths, remedy, 1e-3 * widths[1]
        )
    elif what != "factors":
        yield (
            f"{path} has no time of flight, where {named} has {mine.tof_bins} bins, and how its "
            f"counts spread over them is not known; give a {what} with these bins, or sum the "
            "scan's with `countless recon --no-tof`"
        )


def duration_misfits(one, scan, what):
    """How a sinogram of counts differs from the scan in the time that it counts.

    Args:
        one, scan: (path, info) of each.
        what: the first is; factors know no time.
    """
    (path, theirs), (named, mine) = one, scan
    for name, verb in (("duration_s", "counts"), ("start_s", "begins at")):
        if what not in _COUNTED or name not in theirs or name not in mine:
            continue
        found, expected = theirs[name], mine[name]
        if not math.isclose(found, expected, rel_tol=1e-3, abs_tol=0.001):
            yield (
                f"{path} {verb} {found:.6g} s, where {named} {verb} {expected:.6g} s; give "
                f"the {what} of the same time, or correct the header that is wrong"
            )


def position_misfits(path, patient_position, scan):
    """How the patient of an Interfile file lay otherwise than in the scan.

    Such an image is in scanner coordinates, in which the patient has moved. NIfTI does not say how
    the patient lay and is in the patient's own; a header that says nothing is taken as the scan's.
    """
    if not is_interfile(path):
        return
    header = read_header(path)
    stated = all(header.find(f"patient {key}") for key in ("orientation", "rotation"))
    theirs = read_grid(path)[0].patient_position
    if stated and theirs != patient_position:
        yield (
            f"{path} is of a patient who lay {theirs}, where {scan} has {patient_position}; give "
            "it as NIfTI, which is in the patient's own directions, or correct the header that "
            "is wrong"
        )


def unit_misfits(path):
    """How the unit that a mu map states is another than 1/cm."""
    unit = read_grid(path)[1].get("unit") if is_interfile(path) else read_sidecar(path).get("unit")
    if unit and not is_per_cm(unit):
        yield (
            f"{path} takes attenuation at 511 keV in 1/cm, got an image in {unit}; convert it, or "
            "correct its unit"
        )


def is_per_cm(unit):
    """Whether a unit is 1/cm, however written."""
    return str(unit).lower().replace(" ", "") in PER_CM


def extent_misfits(one, scan, what):
    """How an image leaves part of the scanner's field of view out, along its axis.

    Across it may: nothing is beyond a patient but air.

    Args:
        one: (path, Grid).
        scan: (path, SinogramLayout).
        what: the image is.
    """
    (path, grid), (named, layout) = one, scan
    (low, high), half = grid.extent[2], _half_length_mm(layout)
    ends = f"from {low:.6g} to {high:.6g} mm"
    radius = radius_mm(layout)
    beside = [axis for axis, (a, b) in zip("xy", grid.extent, strict=False)
              if a >= radius or b <= -radius]
    if low >= half or high <= -half or beside:
        yield (
            f"{path} lies beside the field of view of {named} (z {ends}, where the scanner has "
            f"{-half:.6g} to {half:.6g} mm and a radius of {radius:.4g} mm); 0 is the scanner's "
            "centre: correct where it lies"
        )
    # A voxel that ends half a ring early is a matter of definition.
    elif (missing := max(low + half, 0) + max(half - high, 0)) > layout.scanner.ring_spacing_mm:
        yield (
            f"{path} lies at z {ends} and does not cover {missing:.4g} mm of the field of view of "
            f"{named}, {-half:.6g} to {half:.6g} mm: what lies there is taken as nothing; give a "
            f"longer {what}"
        )


def _half_length_mm(layout):
    """How far from the middle the planes of a layout reach along the scanner's axis."""
    steps = layout.segment_table()[:, 1]
    return max(segment.planes * step / 2
               for segment, step in zip(layout.segments, steps, strict=True))


def _differences(one, scan, sizes, remedy):
    (path, theirs), (named, mine) = one, scan
    for name, value, tolerance in sizes:
        yield from _same(path, named, name, (value(theirs), value(mine)), remedy, tolerance)


def _same(path, scan, name, values, remedy, tolerance=0):
    found, expected = values
    near = tolerance and None not in values
    if not (math.isclose(*values, rel_tol=0, abs_tol=tolerance) if near else found == expected):
        yield f"{path} has {_words(found)} {name}, where {scan} has {_words(expected)}; {remedy}"


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
