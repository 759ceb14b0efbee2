"""Headers and words of an mMR's files, written by hand."""

import numpy as np

LIST_HEADER = """!INTERFILE:=
!originating system:=2008
%SMS-MI header name space:=PETLINK bin address
name of data file := scan.l
%study date (yyyy:mm:dd):=2017:03:27
%study time (hh:mm:ss GMT+00:00):=17:00:35
isotope name:=F-18
isotope gamma halflife (sec):=6586.2
isotope branching factor:=0.97
%patient orientation:=HFS
data format:=CoincidenceList
%energy window lower level (keV) [1]:=430
%energy window upper level (keV) [1]:=610
number of rings:=64
%number of TOF time bins:=1
%LM event and tag words format (bits):=32
%singles scale factor:=8
%total number of singles blocks:=224
%axial compression:=1
%maximum ring difference:=60
%number of projections:=344
%number of views:=252
"""

SINOGRAM_HEADER = """!INTERFILE:=
!originating system:=2008
!name of data file:=scan.s
image data byte order:=LITTLEENDIAN
%patient orientation:=HFS
data format:=sinogram
%compression:=off
number format:=signed integer
!number of bytes per pixel:=2
matrix size [1]:=5
matrix size [2]:=252
matrix size [3]:=190
%axial compression:=1
%maximum ring difference:=1
number of rings:=64
%number of segments:=3
%segment table:={64,63,63}
number of scan data types:=2
scan data type description [1]:=prompts
scan data type description [2]:=randoms
data offset in bytes [1]:=0
data offset in bytes [2]:=478800
!image duration (sec):=60
"""


def written(path, header, changes=None, data=None):
    """Writes a header with lines replaced, removed (None) or added, and its data file."""
    lines = header.splitlines()
    for key, value in (changes or {}).items():
        at = [i for i, line in enumerate(lines) if line.split(":=")[0].strip(" !") == key]
        new = [] if value is None else [f"{key}:={value}"]
        if at:
            lines[at[0] : at[0] + 1] = new
        else:
            lines += new
    path.write_text("\n".join(lines) + "\n")
    if data is not None:
        name = next(line for line in header.splitlines() if "name of data file" in line)
        (path.parent / name.split(":=")[1].strip()).write_bytes(data)
    return path


def event(view, radial, plane, prompt=True):
    """The word of an event."""
    return (prompt << 30) | ((plane * 252 + view) * 344 + radial)


def tag(time_ms):
    """The word of a time tag."""
    return 0b100 << 29 | time_ms


def singles(block, rate):
    """The word of a block's singles."""
    return 0b101 << 29 | block << 19 | rate // 8


def as_bytes(words):
    """The words as they stand in a file."""
    return np.array(words, "<u4").tobytes()
