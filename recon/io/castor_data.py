"""CASToR's data files: what their header (.cdh) says and what an event of the data (.cdf) is.

Events are little-endian, floats of 32 bits, all of one size:

    list       time in ms (u32), [attenuation correction], [kind (u8)], [scatter/s], [randoms/s],
               [normalization], [difference of arrival times in ps], [points of interaction],
               [number of lines k (u16)], lines of two crystals (u32)
    histogram  time in ms (u32), [attenuation correction], [randoms/s], [normalization], for each
               time-of-flight bin counts and [scatter/s], [number of lines k (u16)], lines

What is in brackets is there where the header says so; k where events may have several lines, and
then lines after the k-th are no lines, but fill the event up.

Sources: CASToR's general documentation, "PET datafile format", and its reader of version 3.1;
Merlin et al., Phys Med Biol 63(18), 2018.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon.io.castor_header import Keys, ours_line, read_keys
from recon.io.files import FileError

_MODES = {
    **dict.fromkeys(("list", "listmode", "list-mode", "0"), "list"),
    **dict.fromkeys(("histogram", "histo", "1"), "histogram"),
    **dict.fromkeys(("normalization", "norm", "2"), "normalization"),
}
_WANTED = {
    "list": "a list of events (`Data mode: list-mode`)",
    "histogram": "a histogram (`Data mode: histogram`)",
}
_STUDY = ("patient_position", "half_life_s", "branching_ratio")
_KNOWN = frozenset((
    "Scanner name", "Data filename", "Number of events", "Data mode", "Data type",
    "Start time (s)", "Duration (s)", "Maximum number of lines per event", "Calibration factor",
    "Attenuation correction flag", "Normalization correction flag", "Scatter correction flag",
    "Random correction flag", "Coincidence kind flag", "Isotope", "TOF information flag",
    "TOF resolution (ps)", "Histo TOF number of bins", "Histo TOF bin size (ps)",
    "List TOF measurement range (ps)", "List TOF quantization bin size (ps)",
    "Maximum axial difference mm", "POI capability", "POI correction flag", "Gate duration (s)",
    "Horizontal bed relative position (mm)", "Per event TOF resolution flag",
))


@dataclass(frozen=True, kw_only=True)
class DataHeader:
    """What the header of a data file says.

    Attributes:
        keys: its Keys.
        data: path of the data file.
        events: how many it should have.
        start_s, duration_s: of the scan; event times count from the same zero as start_s.
        lines: lines per event at most.
        tof_bins: time-of-flight bins of a histogram; 1 without time of flight.
        tof: whether there is time of flight.
        record: NumPy dtype of an event; its fields are time_ms, acf, kind, scatter, random, norm,
            tof_ps, poi_radial, poi_tangential, poi_axial, lines and pairs (lines, 2), those that
            are there; of a histogram, bins (tof_bins,) with counts and scatter.
        notes: sentences on what is odd.
    """

    keys: Keys
    data: Path
    events: int
    start_s: float
    duration_s: float
    lines: int
    tof: bool
    tof_bins: int
    record: np.dtype
    notes: list

    @property
    def inputs(self):
        """Header and data file."""
        return self.keys.path, self.data

    @property
    def study(self):
        """Facts of the study, named as in `recon.io.interfile_data.study_info`."""
        isotope = self.keys.text("Isotope", "unknown")
        info = {"start_s": self.start_s, "duration_s": self.duration_s}
        if isotope.lower() not in ("unknown", "inf"):
            info["isotope"] = isotope
        return info | {"patient_position": "HFS"} | self.keys.ours.get("study", {})

    def whole_events(self):
        """How many events the data file has, and sentences on those that it lacks.

        Raises:
            FileError: it has none, or more bytes than the header says.
        """
        size, one = self.data.stat().st_size, self.record.itemsize
        promised = self.events * one
        count = size // one
        if size > promised or not count:
            raise FileError(
                f"{self.data} has {size:,} bytes, where {self.keys.path} says {promised:,} "
                f"({self.events:,} events of {one} bytes: {', '.join(self.record.names)}); correct "
                "the flags, the number of lines or the number of events"
            )
        if size == promised:
            return count, []
        return count, [
            f"{self.data.name} was cut short: it has {count:,} of the {self.events:,} events that "
            f"its header promises, {100 * count / self.events:.3g} %; these are used, the others "
            "are lost"
        ]


def data_file(keys):
    """Path of the data file, which a header names relative to itself.

    Converters write the path of the machine that they ran on: then the file may lie beside it.
    """
    folder = keys.path.parent
    named = folder / keys.text("Data filename").replace("\\", "/")
    beside = folder / named.name
    return beside if beside.is_file() and not named.is_file() else named


def data_mode(keys):
    """list, histogram or normalization, by a header's Keys.

    Raises:
        FileError: it says something else.
    """
    found = _MODES.get(keys.text("Data mode").lower())
    if found is None:
        raise keys.wrong("Data mode", "list-mode or histogram")
    return found


def read_data_header(path, mode):
    """Read the header of a data file (.cdh).

    Args:
        path: the header.
        mode: "list" or "histogram".
    Returns:
        DataHeader.
    Raises:
        FileError: a key is absent or cannot be used, the data file is not there, or it is one of
            another mode.
    """
    keys = read_keys(path)
    for name, said in keys.ours.items():
        if not isinstance(said, dict):
            raise FileError(
                f"{keys.path}: the comment that Countless wrote takes names and values for "
                f"`{name}`, got `{said}`; remove the line"
            )
    if (found := data_mode(keys)) != mode:
        raise FileError(
            f"{keys.place('Data mode')} is {found}, where {_WANTED[mode]} was expected; give one"
        )
    if keys.text("Data type").lower() not in ("pet", "0"):
        raise keys.wrong("Data type", "PET")
    data = data_file(keys)
    if not data.is_file():
        raise FileError(
            f"{keys.place('Data filename')} is `{data.name}`, which is not in {data.parent}; put "
            "the data there, or correct the name"
        )
    lines = keys.integer("Maximum number of lines per event", 1, least=1)
    tof = keys.flag("TOF information flag")
    tof_bins = 1
    if tof and mode == "histogram":
        tof_bins = keys.integer("Histo TOF number of bins", least=1)
    duration_s = keys.number("Duration (s)")
    if duration_s < 0:
        raise keys.wrong("Duration (s)", "a time of at least 0")
    return DataHeader(
        keys=keys,
        data=data,
        events=keys.integer("Number of events"),
        start_s=keys.number("Start time (s)"),
        duration_s=duration_s,
        lines=lines,
        tof=tof,
        tof_bins=tof_bins,
        record=_list_record(keys, lines, tof) if mode == "list" else
        histogram_record(_flagged(keys), lines, tof_bins),
        notes=list(_notes(keys)),
    )


def _notes(keys):
    unknown = [f"{key} (line {line})" for key, (_, line) in keys.items() if key not in _KNOWN]
    if unknown:
        yield f"keys that CASToR does not know: {', '.join(unknown)}"
    if "patient_position" not in keys.ours.get("study", {}):
        yield "the patient's position is not in the header: taken as head first, supine"
    if (factor := keys.number("Calibration factor", 1.0)) != 1:
        yield f"the calibration factor {factor:.10g} of the header is not applied"
    if shift := keys.number("Horizontal bed relative position (mm)", 0.0):
        yield f"the bed was {shift:.10g} mm from its reference, which is not applied"


_FLAGS = {
    "acf": "Attenuation correction flag",
    "kind": "Coincidence kind flag",
    "scatter": "Scatter correction flag",
    "random": "Random correction flag",
    "norm": "Normalization correction flag",
}


def _flagged(keys):
    return [name for name, key in _FLAGS.items() if keys.flag(key)]


def _list_record(keys, lines, tof):
    poi = []
    if keys.text("POI correction flag", "0").split(",")[0].strip() == "1":
        known = keys.numbers("POI capability", count=3)
        poi = [name for name, resolution in
               zip(("radial", "tangential", "axial"), known, strict=True) if resolution >= 0]
    return list_record(_flagged(keys), lines, tof=tof, poi=poi)


def list_record(flags, lines, *, tof, poi=()):
    """NumPy dtype of an event of a list, as DataHeader.record describes it.

    Args:
        flags: of acf, kind, scatter, random and norm, those that events have.
        lines: lines per event at most.
        tof: whether there is time of flight.
        poi: of radial, tangential and axial, the points of interaction that events have.
    """
    fields = [(name, "u1" if name == "kind" else "<f4") for name in _FLAGS if name in flags]
    fields += [("tof_ps", "<f4")] if tof else []
    fields += [(f"poi_{name}", "<f4", (2,)) for name in poi]
    return np.dtype([("time_ms", "<u4"), *fields, *_lines(lines)])


def histogram_record(flags, lines, tof_bins):
    """NumPy dtype of an event of a histogram, as DataHeader.record describes it.

    Args:
        flags: of acf, scatter, random and norm, those that events have.
        lines: lines per event at most.
        tof_bins: time-of-flight bins, 1 without time of flight.
    """
    scatter = [("scatter", "<f4")] if "scatter" in flags else []
    return np.dtype([
        ("time_ms", "<u4"),
        *((name, "<f4") for name in ("acf", "random", "norm") if name in flags),
        ("bins", [("counts", "<f4"), *scatter], (tof_bins,)),
        *_lines(lines),
    ])


def _lines(lines):
    count = [("lines", "<u2")] if lines > 1 else []
    return [*count, ("pairs", "<u4", (lines, 2))]


def check_header_path(path):
    """The path of a header to write, as a Path.

    Raises:
        FileError: it does not end in .cdh.
    """
    path = Path(path)
    if path.suffix != ".cdh":
        raise FileError(
            f"CASToR's header takes a name that ends in .cdh, got {path}; the data go to .cdf"
        )
    return path


def study(info):
    """Of info, what CASToR's keys cannot say, a dict for `header_text`'s ours; {} if nothing."""
    said = {name: info[name] for name in _STUDY if name in info}
    return {"study": said} if said else {}


def header_text(mode, *, scanner_name, data_name, events, info, lines=1, flags=(), more=(),
                ours=None):
    """A whole header of a data file.

    Args:
        mode: "list-mode" or "histogram".
        scanner_name: name of the scanner's files, without suffix.
        data_name: name of the data file, in the same folder.
        events: how many it has.
        info: dict as of `recon.io.interfile_data.study_info`; start_s, duration_s and isotope.
        lines: lines per event at most.
        flags: of acf, scatter, random and norm, those that events have.
        more: further (key, value).
        ours: dict that `Keys.ours` gives back.
    """
    rows = [
        ("Scanner name", scanner_name),
        ("Data filename", data_name),
        ("Number of events", events),
        ("Data mode", mode),
        ("Data type", "PET"),
        ("Start time (s)", repr(float(info.get("start_s", 0)))),
        ("Duration (s)", repr(float(info["duration_s"]))),
        ("Maximum number of lines per event", lines),
        *((key, int(name in flags)) for name, key in _FLAGS.items() if name != "kind"),
        *more,
    ]
    if "isotope" in info:
        rows.append(("Isotope", info["isotope"]))
    text = [f"{key}: {value}" for key, value in rows]
    return "\n".join([*text, *([ours_line(ours)] if ours else []), ""])
