"""A small sinogram and image header to vary, and the scanner they are of."""

import pytest

from recon.scanner import Scanner

SINOGRAM = """!INTERFILE :=
!imaging modality := PT
name of data file := scan.s
!type of data := PET
patient orientation := head_in
patient rotation := supine
imagedata byte order := LITTLEENDIAN
!PET data type := Emission
applied corrections := {None}
!number format := float
!number of bytes per pixel := 4
number of dimensions := 4
matrix axis label [4] := segment
!matrix size [4] := 3
matrix axis label [3] := view
!matrix size [3] := 8
matrix axis label [2] := axial coordinate
!matrix size [2] := { 2,3,2 }
matrix axis label [1] := tangential coordinate
!matrix size [1] := 5
minimum ring difference per segment := { -1,0,1 }
maximum ring difference per segment := { -1,0,1 }
Scanner parameters :=
Scanner type := userdefined
Number of rings := 3
Number of detectors per ring := 16
Inner ring diameter (cm) := 20
Average depth of interaction (cm) := 0.5
Distance between rings (cm) := 0.8
View offset (degrees) := 0
Maximum number of non-arc-corrected bins := 7
End scanner parameters :=
!END OF INTERFILE :=
"""

IMAGE = """!INTERFILE :=
name of data file := image.v
!type of data := PET
imagedata byte order := LITTLEENDIAN
!PET data type := Image
!number format := float
!number of bytes per pixel := 4
number of dimensions := 3
matrix axis label [1] := x
!matrix size [1] := 4
scaling factor (mm/pixel) [1] := 2
matrix axis label [2] := y
!matrix size [2] := 3
scaling factor (mm/pixel) [2] := 3
matrix axis label [3] := z
!matrix size [3] := 2
scaling factor (mm/pixel) [3] := 5
!END OF INTERFILE :=
"""


def _writer(folder, name, base):
    """A function that writes the header with lines replaced, removed (None) or added."""

    def write(changes=None, data=None):
        lines = base.splitlines()
        for key, value in (changes or {}).items():
            at = [i for i, line in enumerate(lines) if line.split(":=")[0].strip(" !") == key]
            new = [] if value is None else [f"{key} := {value}"]
            if at:
                lines[at[0] : at[0] + 1] = new
            else:
                lines[-1:-1] = new
        path = folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if data is not None:
            suffix = {".hs": ".s", ".hv": ".v"}[path.suffix]
            path.with_suffix(suffix).write_bytes(data)
        return path

    return write


@pytest.fixture
def sinogram_header(tmp_path):
    """Writes scan.hs: 8 views, 5 radial bins, planes 2 + 3 + 2; data is the content of scan.s."""
    return _writer(tmp_path, "scan.hs", SINOGRAM)


@pytest.fixture
def image_header(tmp_path):
    """Writes image.hv: 4 x 3 x 2 voxels of 2 x 3 x 5 mm; data is the content of image.v."""
    return _writer(tmp_path, "image.hv", IMAGE)


@pytest.fixture
def scanner():
    """3 rings of 16 crystals with 9 time-of-flight bins."""
    return Scanner(
        name="small",
        rings=3,
        crystals=16,
        radius_mm=100.0,
        depth_mm=5.0,
        ring_spacing_mm=8.0,
        tilt_deg=-5.23,
        radial_bins=7,
        radial_bin_mm=4.1,
        crystal_mm=(12.0, 7.5, 20.0),
        block_crystals=(4, 1),
        virtual_crystals=(3,),
        energy_resolution=0.145,
        energy_window_kev=(430.0, 610.0),
        coincidence_window_ps=4500.0,
        timing_resolution_ps=400.0,
        tof_bins=9,
        tof_bin_ps=100.0,
    )
