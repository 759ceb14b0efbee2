"""A file as the doctor knows it: its kind, and what its header and its numbers say."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from recon import text
from recon.io import FileError
from recon.io.header import read_header

SINOGRAM, IMAGE, LIST, NORM, CT = "sinogram", "image", "list mode", "normalization", "CT"
HISTOGRAM = "CASToR histogram"
_DATA = {".s": (".hs", ".s.hdr"), ".v": (".hv",), ".l": (".l.hdr",), ".n": (".n.hdr",),
         ".cdf": (".cdh",)}


@dataclass(kw_only=True)
class File:
    """What the comparison of files takes of one.

    Attributes:
        path: Path.
        kind: SINOGRAM, IMAGE, LIST, NORM, CT or HISTOGRAM.
        role: what its numbers are: prompts, delayeds, efficiency, correction, background, scatter,
            mu map, activity, or "" where nothing tells.
        layout: SinogramLayout of a sinogram or a list.
        grid: Grid of an image.
        info: of its header, a dict.
        sidecar: of the .json beside it, a dict.
        misfits: sentences on numbers that cannot be what they are said to be.
        norm: NormComponents.
    """

    path: Path
    kind: str
    role: str = ""
    layout: object = None
    grid: object = None
    info: dict = field(default_factory=dict)
    sidecar: dict = field(default_factory=dict)
    misfits: list = field(default_factory=list)
    norm: object = None

    @property
    def position(self):
        """How the patient lay, HFS where nothing says."""
        return self.info.get("patient_position", "HFS")


def kind_of(path):
    """The kind of a file, by its name and, for Siemens's headers, by what they say.

    Raises:
        FileError: it is of no kind that Countless reads, with what to give in its place.
    """
    path = Path(path)
    if path.is_dir():
        return CT
    if path.suffix == ".hs":
        return SINOGRAM
    if path.name.endswith((".hv", ".nii", ".nii.gz")):
        return IMAGE
    if ".hdr" in path.suffixes:
        return _siemens(path)
    if path.suffix.lower() in (".cdh", ".petsird", ".bin"):
        return LIST
    named = [path.with_suffix(suffix) for suffix in _DATA.get(path.suffix, ())]
    found = next((header for header in named if header.is_file()), None)
    if found:
        raise FileError(f"{path} holds data alone; give its header, {found}")
    raise FileError(
        "info takes sinograms (.hs, .s.hdr), images (.hv, .nii, .nii.gz), list mode (.l.hdr, "
        f".petsird, .cdh), normalizations (.n.hdr) or the folder of a DICOM series, got {path}"
    )


def _siemens(path):
    header = read_header(path, complete=False)
    said = header.text("%data format", header.text("data format", "")).lower()
    if "norm components" in said or header.find("%number of normalization components"):
        return NORM
    kinds = {"coincidencelist": LIST, "sinogram": SINOGRAM}
    if said in kinds:
        return kinds[said]
    what = f"`{said}`" if said else "no `data format`"
    raise FileError(
        f"{path} is a Siemens header of {what}; give that of a sinogram (.s.hdr), of list mode "
        "(.l.hdr) or of a component normalization (.n.hdr)"
    )


def study_rows(info):
    """Rows of what a header says about the study."""
    if "duration_s" in info:
        began = f", from {info['start_s']:g} s on" if info.get("start_s") else ""
        yield "duration", f"{info['duration_s']:g} s{began}"
    if "isotope" in info:
        half = f", half-life {info['half_life_s']:g} s" if "half_life_s" in info else ""
        branching = (
            f", branching {info['branching_ratio']:g}" if "branching_ratio" in info else ""
        )
        yield "isotope", f"{info['isotope']}{half}{branching}"
    if "injected_bq" in info:
        at = f" at {info['injection_time']}" if "injection_time" in info else ""
        yield "injected", f"{info['injected_bq'] / 1e6:.4g} MBq{at}"
    if "study_time" in info:
        yield "began", info["study_time"]
    if "energy_window_kev" in info:
        yield "energy", "{:g} to {:g} keV".format(*info["energy_window_kev"])


def made_rows(sidecar):
    """Rows of what the .json beside an output says of how it was made."""
    for name in ("quantity", "calibration", "suv", "algorithm", "factors", "background", "model",
                 "command", "version", "date"):
        value = sidecar.get(name)
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_short(item)}" for key, item in value.items())
        if value:
            yield name, " × ".join(value) if isinstance(value, list) else value


def _short(value):
    return text.number(value) if isinstance(value, float) else value


def note_rows(notes):
    """A row for each note."""
    return (("note", note) for note in notes)


def next_row(*words):
    """The row of the command to run next; a word may be a path."""
    return "next", " ".join(
        shlex.quote(str(word)) if isinstance(word, Path) else word for word in words
    )


def position_row(info):
    """How the patient lay, and where the scanner's axes lead in them."""
    return "position", text.position(info.get("patient_position", "HFS"))
