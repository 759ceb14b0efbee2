"""What a scanner's other raw files are: list mode, component normalizations, CT series."""

import numpy as np

from recon import progress, text
from recon.doctor.file import (
    CT,
    HISTOGRAM,
    LIST,
    NORM,
    File,
    next_row,
    note_rows,
    position_row,
    study_rows,
)
from recon.doctor.numbers import Numbers
from recon.io.castor_data import data_mode
from recon.io.castor_header import read_keys
from recon.io.castor_histogram import read_castor_layout
from recon.io.siemens_norm import read_norm


def examine_list(path, say):
    """Says what list mode is, counts its events and returns its File.

    Raises:
        FileError: it cannot be read.
    """
    from recon.io.lists import open_list

    if path.suffix.lower() == ".cdh" and data_mode(read_keys(path)) == "histogram":
        return _examine_castor_histogram(path, say)
    events = open_list(path)
    most = max(segment.max_ring_difference for segment in events.layout.segments)
    say([
        ("type", f"list mode, {events.size}"),
        ("scanner", text.scanner(events.scanner)),
        ("pairs", f"{events.layout.radial_bins} radial bins, ring differences up to {most}"),
        ("TOF", text.time_of_flight(events.layout) if events.layout.tof else "none"),
        ("corrections", "none applied: a list is as counted"),
        position_row(events.info),
        ("list", f"0 to {events.end_ms / 1000:.10g} s"),
        *study_rows(events.info),
        *note_rows(events.known_notes),
    ])
    counts = {"prompts": 0, "delayeds": 0, "impossible": 0}
    for chunk in progress.events(events.chunks(), events.end_ms):
        delayed = int(np.count_nonzero(chunk.delayed))
        counts["prompts"] += len(chunk) - delayed
        counts["delayeds"] += delayed
        counts["impossible"] += int(np.count_nonzero(chunk.crystal1 < 0))
    seconds = events.end_ms / 1000
    say([
        ("prompts", f"{counts['prompts']:,}, {counts['prompts'] / seconds:,.0f} a second"),
        ("delayeds", f"{counts['delayeds']:,}, {counts['delayeds'] / seconds:,.0f} a second"),
        *([("note", f"{counts['impossible']:,} events are on crystals that the scanner does not "
                    "have: they will be dropped")] if counts["impossible"] else []),
        *note_rows(note for note in events.notes if note not in events.known_notes),
        next_row("countless histogram", path,
                 "-o scan.hs" + " --delayed-out delayed.hs" * (counts["delayeds"] > 0)),
    ])
    info = events.info | {"list_s": events.end_ms / 1000}
    return File(path=path, kind=LIST, role=LIST, layout=events.layout, info=info)


def _examine_castor_histogram(path, say):
    """The same of bins that CASToR lists with their counts."""
    layout, header, _ = read_castor_layout(path)
    say([
        ("type", f"CASToR histogram, {header.events:,} bins with what is known of each"),
        ("scanner", text.scanner(layout.scanner)),
        ("layout", text.layout(layout)),
        ("TOF", text.time_of_flight(layout) if layout.tof else "none"),
        next_row("countless convert", path, "-o scan.hs --efficiency-out efficiency.hs "
                                            "--background-out background.hs"),
    ])
    return File(path=path, kind=HISTOGRAM, layout=layout)


def examine_norm(path, say):
    """Says what a component normalization is and returns its File.

    Raises:
        FileError: it cannot be read.
    """
    norm = read_norm(path)
    dead = int(np.count_nonzero(norm.efficiencies == 0))
    live = norm.efficiencies[norm.efficiencies > 0]
    rows = [
        ("type", "component normalization"),
        ("scanner", text.scanner(norm.scanner)),
        ("planes", f"axial effects of span {norm.span}, ring differences up to "
                   f"{norm.max_ring_difference}"),
        ("crystals", f"efficiencies {live.min():.3g} to {live.max():.3g}, mean "
                     f"{live.mean(dtype=np.float64):.3g}; {dead:,} of {norm.efficiencies.size:,} "
                     "are 0, dead" if live.size else "all efficiencies are 0"),
        ("axial", f"{norm.axial.min():.3g} to {norm.axial.max():.3g}"),
        ("dead time", f"paralyzing {norm.paralyzing_s.mean():.3g} s, non-paralyzing "
                      f"{norm.non_paralyzing_s.mean():.3g} s, means of the rings"),
    ]
    for name, value in (("calibration", norm.calibration), ("cross", norm.cross_calibration)):
        if value is not None:
            rows.append((name, f"{value:.6g}"))
    say([*rows, *note_rows(norm.notes),
         next_row("countless norm", path, "--like SCAN.hs -o efficiency.hs")])
    return File(path=path, kind=NORM, role=NORM, norm=norm)


def examine_ct(path, say):
    """Says what a folder of DICOM slices is and returns its File.

    Raises:
        FileError: it is no whole CT series.
    """
    from recon.io.dicom import read_ct

    array, grid, info = read_ct(path)
    say([
        ("type", f"CT, DICOM series of {len(info['files'])} slices: "
                 f"{info['series'] or 'not named'}"),
        ("grid", text.grid(grid)),
        ("orientation", text.orientation(grid.affine)),
        position_row(info),
        ("voltage", f"{info['kvp']:g} kVp" if info["kvp"] else "not said: give --kvp"),
        ("unit", "HU"),
        *Numbers.of(array).rows(),
        *note_rows(info.get("notes", ())),
        next_row("countless mu-map", path, "-o mu-map.nii.gz --grid-like IMAGE.nii.gz"),
    ])
    return File(path=path, kind=CT, role=CT, grid=grid, info=info)
