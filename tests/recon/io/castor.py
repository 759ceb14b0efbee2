"""CASToR's files for tests, written by hand: a small scanner, headers and data."""

import struct

from recon.scanner import Scanner

# CASToR numbers ring 1 first, for its z runs against ours: crystal 5 of ring 0 is number 13.
SCANNER = Scanner(
    name="small", rings=2, crystals=8, radius_mm=100.0, depth_mm=5.0, ring_spacing_mm=8.0,
    radial_bins=5, crystal_mm=(30.0, 7.0, 20.0), timing_resolution_ps=400.0, tof_bins=5,
    tof_bin_ps=100.0,
)

GEOM = """# eight crystals around the axis, two along it
modality : PET
scanner name : PET_hand
number of elements : 16   # in all
number of layers : 1
scanner radius : 100
number of rsectors : 8
number of crystals transaxial : 1
number of crystals axial : 2
crystals size depth : 20
crystals size transaxial : 30
crystals size axial : 7
crystal gap axial : 1
mean depth of interaction : 5
"""

HEADER = """Data filename: scan.cdf
Number of events: 3
Data mode: list-mode
Data type: PET
Start time (s): 0
Duration (s): 2
Scanner name: PET_hand
Calibration factor: 1
Isotope: unknown
"""


# What readers say of a header that CASToR or others wrote.
POSITION = "the patient's position is not in the header: taken as head first, supine"


def changed(text, changes):
    """The header with lines replaced, removed (None) or added."""
    lines = {line.split(":")[0].strip(): line for line in text.splitlines()}
    for key, value in (changes or {}).items():
        lines[key] = f"{key}: {value}"
        if value is None:
            del lines[key]
    return "\n".join(lines.values()) + "\n"


def written(folder, changes=None, data=b"", scanner=None):
    """Writes scan.cdh, scan.cdf and PET_hand.geom; returns the header's path."""
    (folder / "PET_hand.geom").write_text(changed(GEOM, scanner))
    (folder / "scan.cdh").write_text(changed(HEADER, changes))
    (folder / "scan.cdf").write_bytes(data)
    return folder / "scan.cdh"


def packed(form, *events):
    """Little-endian bytes of events, without any padding."""
    return b"".join(struct.pack("<" + form, *event) for event in events)
