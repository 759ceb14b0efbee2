"""A SinogramLayout as keys of a STIR Interfile header, both ways."""

import math

from recon.io.files import FileError
from recon.io.interfile_scanner import braces, in_cm, scanner_from, scanner_lines
from recon.layout import SinogramLayout
from recon.segments import Segment


def layout_from(header, *, interleaved=True):
    """The SinogramLayout of a header.

    Returns:
        SinogramLayout (segments in the file's order), `view_slowest` (axes of the data within a
        segment: (view, axial) rather than (axial, view)), the file's place of each TOF bin from the
        most negative on ([0] without TOF), and notes.
    Raises:
        FileError: a key is absent, or its value cannot be used.
    """
    axes = _axes(header)
    sizes = {label: f"matrix size [{axis}]" for label, axis in axes.items()}
    views = header.integer(sizes["view"], least=1)
    radial_bins = header.integer(sizes["tangential coordinate"], least=1)
    scanner, notes = scanner_from(header, radial_bins)
    tof = _tof(header, sizes, scanner)
    layout = {
        "scanner": scanner,
        "views": views,
        "view_mashing": _view_mashing(header, sizes["view"], scanner, views, notes),
        "radial_bins": radial_bins,
        "segments": _segments(header, sizes),
        "radial_mm": _radial_mm(header, notes),
        "interleaved": interleaved,
        **{key: tof[key] for key in ("tof_mashing", "tof_bins")},
    }
    try:
        layout = SinogramLayout(**layout)
    except ValueError as reason:
        raise FileError(f"{header.path}: {reason}; correct the header") from reason
    return layout, axes["view"] > axes["axial coordinate"], tof["order"], notes


def _axes(header):
    """Axis numbers by label; [1] is fastest."""
    dimensions = header.choice("number of dimensions", {"4": 4, "5": 5})
    allowed = {
        1: ["tangential coordinate"],
        2: ["axial coordinate", "view"],
        3: ["view", "axial coordinate"],
        4: ["segment"],
        5: ["timing positions"],
    }
    axes = {}
    for axis in range(1, dimensions + 1):
        key = f"matrix axis label [{axis}]"
        label = header.choice(key, {label: label for label in allowed[axis]})
        if label in axes:
            other = "view" if label == "axial coordinate" else "axial coordinate"
            raise header.wrong(key, f"`{other}`, as axis [{axes[label]}] is `{label}`")
        axes[label] = axis
    return axes


def _segments(header, sizes):
    count = header.integer(sizes["segment"], least=1)
    planes = header.integers(sizes["axial coordinate"], least=1)
    keys = [f"{end} ring difference per segment" for end in ("minimum", "maximum")]
    low, high = (header.integers(key) for key in keys)
    for key, values in ((sizes["axial coordinate"], planes), (keys[0], low), (keys[1], high)):
        if len(values) != count:
            raise header.wrong(
                key, f"{count} numbers, one per segment as {header.place(sizes['segment'])} says"
            )
    try:
        return tuple(
            Segment(min_ring_difference=a, max_ring_difference=b, planes=n)
            for a, b, n in zip(low, high, planes, strict=True)
        )
    except ValueError as reason:
        raise FileError(
            f"{header.path}, line {header.find(keys[0])[1]}: {reason}; correct the header"
        ) from reason


def _view_mashing(header, key, scanner, views, notes):
    """Countless's own key; else the least that gives the views (the Vision's 50 of 399: 8)."""
    half = scanner.crystals // 2
    known = "%view mashing"
    if header.find(known):
        mashing = header.integer(known, least=1)
        if math.ceil(half / mashing) != views:
            raise header.wrong(
                known, f"a number that gives the {views} views of {header.place(key)} from {half}"
            )
        return mashing
    fitting = [n for n in range(1, half + 1) if math.ceil(half / n) == views]
    if not fitting:
        raise header.wrong(
            key, f"{half} views ({scanner.crystals} crystals per ring / 2), or those mashed"
        )
    if half % fitting[0] and len(fitting) > 1:
        notes.append(
            f"`{known}` is absent, and mashing by {fitting[0]} to {fitting[-1]} gives {views} of "
            f"{half} views: taken as {fitting[0]}"
        )
    return fitting[0]


def _radial_mm(header, notes):
    """Size of arc-corrected bins; None for bins at the crystals' own places."""
    applied = header.words("applied corrections", None)
    if applied is None:
        notes.append("`applied corrections` is absent: taken as not arc-corrected")
        return None
    if not {"arc correction", "arc corrected"} & set(applied):
        return None
    size_mm = header.times("effective central bin size (cm)", 10, -1.0)
    if size_mm <= 0:
        size_mm = header.times("default bin size (cm)", 10)
        notes.append("`effective central bin size (cm)` is absent: taken as the default bin size")
    return size_mm


def _tof(header, sizes, scanner):
    key = sizes.get("timing positions")
    bins = header.integer(key, least=1) if key else 1
    if bins > 1:
        mashing = header.integer("tof mashing factor", least=1)
    else:
        mashing = header.integer("tof mashing factor", 0, least=0) if key else 0
    if mashing == 0:
        return {"tof_mashing": 0, "tof_bins": 1, "order": [0]}
    if bins > math.ceil(scanner.tof_bins / mashing):
        raise header.wrong(
            key,
            f"at most {math.ceil(scanner.tof_bins / mashing)} (the scanner's {scanner.tof_bins} "
            f"bins mashed by {mashing})",
        )
    ascending = list(range(-(bins // 2), bins - bins // 2))
    order = header.integers("tof bin order", ascending)
    if sorted(order) != ascending:
        raise header.wrong("tof bin order", f"each of {ascending[0]} to {ascending[-1]} once")
    return {"tof_mashing": mashing, "tof_bins": bins, "order": [order.index(k) for k in ascending]}


def layout_lines(layout):
    """Header lines for a layout, from `number of dimensions` to the bin size; a list of str."""
    sizes = {
        "tangential coordinate": layout.radial_bins,
        "axial coordinate": braces(s.planes for s in layout.segments),
        "view": layout.views,
        "segment": len(layout.segments),
    }
    if layout.tof:
        sizes["timing positions"] = layout.tof_bins
    lines = [f"number of dimensions := {len(sizes)}"]
    for axis, (label, size) in reversed(list(enumerate(sizes.items(), start=1))):
        lines += [f"matrix axis label [{axis}] := {label}", f"!matrix size [{axis}] := {size}"]
    if layout.tof:
        lines.append(f"TOF mashing factor := {layout.tof_mashing}")
    for end in ("min", "max"):
        values = braces(getattr(s, f"{end}_ring_difference") for s in layout.segments)
        lines.append(f"{end}imum ring difference per segment := {values}")
    lines += [f"%view mashing := {layout.view_mashing}", *scanner_lines(layout.scanner)]
    if layout.radial_mm is not None:
        lines.append(f"effective central bin size (cm) := {in_cm(layout.radial_mm)}")
    window = layout.scanner.energy_window_kev
    if window is not None:
        lines += [
            "number of energy windows := 1",
            f"energy window lower level[1] := {window[0]!r}",
            f"energy window upper level[1] := {window[1]!r}",
        ]
    return lines
