"""Values as words for the terminal: what `countless recon` and `countless info` say of them."""

import shutil
import textwrap

import numpy as np

from recon.grid import PATIENT_AXES

POSITIONS = {
    "HFS": "head first, supine",
    "HFP": "head first, prone",
    "FFS": "feet first, supine",
    "FFP": "feet first, prone",
}
ENDS = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))
_NAMED = 12  # as wide as the longest name in a table, and a space


def table(rows, width=None):
    """Rows (name, text) as lines of text, wrapped to a width, by default the terminal's."""
    width = width or max(60, min(shutil.get_terminal_size((100, 24)).columns, 120))
    return "\n".join(
        textwrap.fill(
            f"{name:<{_NAMED}}{text}",
            width,
            subsequent_indent=" " * _NAMED,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, text in rows
    )


def scanner(scanner):
    """Rings, crystals and sizes of a Scanner."""
    return (
        f"{scanner.name}: {scanner.rings} rings of {scanner.crystals} crystals, "
        f"{scanner.ring_spacing_mm:.5g} mm apart, radius {scanner.radius_mm:.5g} + "
        f"{scanner.depth_mm:.3g} mm"
    )


def layout(layout):
    """Axes and segments of a SinogramLayout."""
    tof = f" × {layout.tof_bins} time-of-flight bins" if layout.tof else ""
    widths = {s.max_ring_difference - s.min_ring_difference + 1 for s in layout.segments}
    span = f"span {max(widths)}"
    most = layout.max_ring_difference
    segments, planes = plural(len(layout.segments), "segment"), plural(layout.planes, "plane")
    return (
        f"{layout.views} views × {layout.radial_bins} radial bins{tof} × {planes} "
        f"({span}, {segments}, ring differences up to {most}), {_angles(layout)}"
    )


def _angles(layout):
    if layout.radial_mm is not None:
        return f"arc-corrected to {layout.radial_mm:.5g} mm"
    return "crystals' own angles" if layout.interleaved else "STIR's angles, not interleaved"


def time_of_flight(layout):
    """Bins and resolution of a layout with time of flight."""
    width_ps = layout.tof_mashing * layout.scanner.tof_bin_ps
    return (
        f"{layout.tof_bins} bins of {width_ps:.5g} ps ({layout.tof_bin_mm:.4g} mm), resolution "
        f"{layout.scanner.timing_resolution_ps:.4g} ps FWHM"
    )


def grid(grid):
    """Voxels of a Grid and where they lie."""
    shape = " × ".join(map(str, grid.shape))
    centre = ", ".join(f"{c:.4g}" for c in np.round(grid.centre, 3) + 0.0)
    return f"{shape} voxels of {sides(grid.voxel_mm)}, middle at ({centre}) mm"


def sides(voxel_mm):
    """Sides of a voxel."""
    return " × ".join(f"{side:.4g}" for side in voxel_mm) + " mm"


def position(patient_position):
    """How the patient lay, and where the scanner's x, y, z lead in them."""
    axes = ", ".join(
        f"{axis} to {ends[sign > 0]}"
        for axis, ends, sign in zip("xyz", ENDS, PATIENT_AXES[patient_position], strict=True)
    )
    return f"{POSITIONS[patient_position]} ({patient_position}): {axes}"


def orientation(affine):
    """Where each index of a stored image leads in the patient, and where it begins.

    Args:
        affine: (4, 4), from indices to mm (right, anterior, superior).
    """
    leads = []
    for step in np.transpose(affine[:3, :3]):
        along = int(np.argmax(np.abs(step)))
        leads.append(ENDS[along][int(step[along] > 0)])
    first = ", ".join(f"{value:.5g}" for value in affine[:3, 3] + 0.0)
    return f"indices lead to {', '.join(leads)}; first voxel at ({first}) mm in NIfTI's world"


def number_type(name):
    """A NumPy type such as '<f4', as words."""
    dtype = np.dtype(name)
    order = {"<": ", little-endian", ">": ", big-endian"}.get(dtype.str[0], "")
    return f"{dtype.name}{order}"


def number(value):
    """A count or an activity with as many digits as help."""
    whole = abs(value) >= 1e4 or value == np.round(value)
    return f"{value:,.0f}" if whole else f"{value:.4g}"


def plural(count, noun):
    """A number of things: '1 plane', '2 planes'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def fit(fit):
    """How a Fit of crystals ended."""
    ended = "converged" if fit.converged else "NOT converged"
    return f"{ended} after {plural(fit.updates, 'update')}, largest change {fit.change:.1e}"


def widths(fwhm_mm):
    """Three FWHM, or one where they are alike; 'none' where all are 0."""
    if not any(fwhm_mm):
        return "none"
    alike = len(set(fwhm_mm)) == 1
    return f"{fwhm_mm[0]:g} mm" if alike else " × ".join(f"{w:g}" for w in fwhm_mm) + " mm"
