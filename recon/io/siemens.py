"""Siemens Biograph mMR: list mode and sinograms, by their Interfile headers (.hdr).

Siemens's headers have keys of their own, which begin with `%`, and no end mark. Its planes are in
the order of segments 0, -1, +1, -2, +2 and on.
"""

import re
from datetime import datetime

import numpy as np

from recon.grid import PATIENT_AXES
from recon.io.files import FileError, opened
from recon.io.header import read_header
from recon.io.interfile_data import data_path, number_type
from recon.io.petlink import WORD_BYTES, ListMode
from recon.layout import SinogramLayout
from recon.scanner import Scanner

MMR_SYSTEM = "2008"  # Siemens's number of it
_PLANES_READ = 32
_NUMBERS = {
    "duration_s": "image duration (sec)",
    "start_s": "image relative start time (sec)",
    "half_life_s": "isotope gamma halflife (sec)",
    "branching_ratio": "isotope branching factor",
    "injected_bq": "tracer activity at time of injection (bq)",
}
_WINDOW = "%energy window {} level (kev) [1]"
_COMPRESSED = (
    "the scanner's software compressed this sinogram, by a scheme that is not public; export it "
    "again with compression off, or make sinograms of the list mode with `countless histogram`"
)


def read_list_mode(path):
    """Open a list-mode file of an mMR.

    Args:
        path: header, such as `scan.l.hdr`.
    Returns:
        recon.io.petlink.ListMode.
    Raises:
        FileError: header or data are missing, are of another kind or cannot be used.
    """
    header = _header(path, "coincidencelist", "list mode")
    if header.integer("%lm event and tag words format (bits)", 32) != 32:
        raise header.wrong("%lm event and tag words format (bits)", "32",
                           "Countless reads no list mode of other words")
    if header.integer("%axial compression", 1) != 1:
        raise header.wrong("%axial compression", "1",
                           "a list whose ring differences were summed has lost its crystals")
    layout = _layout(header, span=1, radial_bins="%number of projections", views="%number of views")
    data = _data(header)
    size = data.stat().st_size
    words, left = divmod(size, WORD_BYTES)
    if not words:
        raise FileError(
            f"{data} has {size} bytes and so not one word of list mode; copy it again from the "
            "scanner"
        )
    notes = []
    if left:
        notes.append(f"the last {left} bytes of {data.name} are no whole word: left out")
    promised = header.integer("%total listmode word counts", words, least=0)
    if words < promised:
        notes.append(
            f"{data.name} was cut short: it has {words:,} of the {promised:,} words that its "
            f"header promises, {100 * words / promised:.3g} %; these are used, the others are lost"
        )
    return ListMode(
        data,
        layout=layout,
        words=words,
        blocks=header.integer("%total number of singles blocks", 224, least=1),
        singles_scale=header.integer("%singles scale factor", 8, least=1),
        info=(info := _study(header, layout.scanner)),
        notes=info["notes"] + notes,
        whole=words >= promised and not left,
        inputs=(header.path, data),
    )


def read_layout(path, *, interleaved=True):
    """Read the header of an mMR's sinogram; its data need not exist.

    Args:
        path: header, such as `scan.s.hdr`.
        interleaved: False for STIR's angles, see SinogramLayout.
    Returns:
        SinogramLayout and info, a dict as of `recon.io.interfile_data.study_info`, with compressed
        (why it cannot be read, or "") and datasets (1 or 2).
    Raises:
        FileError: the header is missing, of another kind or cannot be used.
    """
    return _sinogram_header(path, interleaved)[1:]


def read_sinogram(path, *, interleaved=True, dataset="prompts"):
    """Read one data set of an mMR's sinogram.

    Args:
        path: header, such as `scan.s.hdr`.
        interleaved: False for STIR's angles, see SinogramLayout.
        dataset: "prompts" or "delayeds".
    Returns:
        float32 array (view, radial, plane), its SinogramLayout, and info, as of `read_layout`.
    Raises:
        FileError: header or data are missing, compressed, of another kind or cannot be used, or
            the file has only prompts.
    """
    header, layout, info = _sinogram_header(path, interleaved)
    if info["compressed"]:
        raise FileError(f"{path}, {info['compressed']}")
    sets = _data_sets(header)
    if dataset == "delayeds" and len(sets) < 2:
        raise FileError(
            f"{path} has prompts alone ({header.place('number of scan data types')}), where "
            "delayed coincidences were asked for; export the sinogram with both, or make them of "
            "the list mode with `countless histogram --delayed-out`"
        )
    dtype, _ = number_type(header)
    data, size = _data(header), int(np.prod(layout.shape)) * dtype.itemsize
    expected = max(sets) + size
    if data.stat().st_size != expected:
        raise FileError(
            f"{data} has {data.stat().st_size:,} bytes, where {path} says {expected:,} "
            f"({len(sets)} × {size:,} and what comes before); the data were cut short, compressed, "
            "or belong to another header"
        )
    offset = sets[1] if dataset == "delayeds" else sets[0]
    return _sinogram(data, dtype, offset, layout), layout, info


def _header(path, data_format, wanted):
    header = read_header(path, complete=False)
    found = header.text("data format", "").lower()
    if found != data_format:
        said, remedy = _kind(header)
        raise FileError(f"{path} is not the header of {wanted} of an mMR but {said}; {remedy}")
    return header


def _kind(header):
    """What a header is of, and what to do with it."""
    found = header.text("data format", "").lower()
    if header.find("%number of normalization components"):
        return "of a normalization", "`countless norm` turns it into factors"
    if found == "coincidencelist":
        return "of list mode", "count it into a sinogram with `countless histogram`"
    if found == "sinogram" or header.find("minimum ring difference per segment"):
        return "of a sinogram, which is counted already", "give it to `countless recon`"
    said = f"{header.place('data format')} is `{found}`" if found else "`data format` is absent"
    return f"of something else ({said})", "give another"


def _sinogram_header(path, interleaved):
    """Header, SinogramLayout and info of a sinogram."""
    header = _header(path, "sinogram", "a sinogram")
    span = header.integer("%axial compression", least=1)
    sizes = [f"matrix size [{axis}]" for axis in (1, 2, 3)]
    layout = _layout(header, span=span, radial_bins=sizes[0], views=sizes[1])
    table = header.integers("%segment table", None)
    planes = [segment.planes for segment in layout.segments]
    if table is not None and table != planes:
        raise header.wrong("%segment table", f"the planes of span {span}, {planes}")
    if header.integer(sizes[2], layout.planes) != layout.planes:
        raise header.wrong(sizes[2], f"{layout.planes} planes, as span {span} has them")
    dtype, notes = number_type(header)
    info = _study(header, layout.scanner)
    compressed = ""
    if header.text("%compression", "off").lower() != "off":
        compressed = f"{header.place('%compression')}: {_COMPRESSED}"
    notes = [*info["notes"], *notes, *filter(None, [compressed])]
    corrections = header.words("applied corrections", header.words("%applied corrections", []))
    info |= {
        "applied_corrections": [word for word in corrections if word and word != "none"],
        "number_type": dtype.str,
        "pet_data_type": header.text("pet data type", "Emission"),
        "data_file": str(data_path(header)) if header.find("name of data file") else None,
        "compressed": compressed,
        "datasets": len(_data_sets(header)),
        "unknown_keys": [],
        "notes": notes,
    }
    layout = layout.with_(interleaved=interleaved)
    return header, layout, {name: value for name, value in info.items() if value is not None}


def _layout(header, *, span, radial_bins, views):
    """The layout that the header speaks of; radial_bins and views are names of keys."""
    system = header.text("originating system", "")
    if system != MMR_SYSTEM:
        raise FileError(
            f"{header.path} is of the scanner `{system}`; of Siemens's own files Countless reads "
            f"those of the mMR (`originating system:={MMR_SYSTEM}`): convert it to STIR's "
            "Interfile (.hs)"
        )
    scanner = Scanner.preset(system)
    for key, value in {"number of rings": scanner.rings, "%number of tof time bins": 1}.items():
        if header.integer(key, value) != value:
            raise header.wrong(key, f"{value}, as the mMR has")
    half = scanner.crystals // 2
    count = header.integer(views, half, least=1)
    try:
        layout = SinogramLayout.of(
            scanner,
            span=span,
            max_ring_difference=header.integer("%maximum ring difference", 60, least=0),
            radial_bins=header.integer(radial_bins, scanner.radial_bins, least=1),
            view_mashing=-(-half // count),
        )
    except ValueError as reason:
        raise FileError(f"{header.path}: {reason}; correct the header") from reason
    if layout.views != count or (span == 1 and views.startswith("%") and count != half):
        raise header.wrong(views, f"the {half} views of {scanner.crystals} crystals per ring")
    return layout


def _data(header):
    """Path of the data file."""
    path = data_path(header)
    if not path.is_file():
        raise FileError(
            f"{header.path}: {header.place('name of data file')} is `{path.name}`, which is not in "
            f"{path.parent}; put the data there, or correct the name"
        )
    return path


def _data_sets(header):
    """Offsets of the prompts and, where there are two sets, of the delayed coincidences."""
    count = header.choice("number of scan data types", {"1": 1, "2": 2}, 1)
    for number, kind in enumerate(("prompts", "randoms")[:count], start=1):
        header.choice(f"scan data type description [{number}]", {kind: kind}, kind)
    if count == 2 and not header.find("data offset in bytes [2]"):
        raise FileError(
            f"{header.path} speaks of two data sets and lacks the key `data offset in bytes [2]`, "
            "where the second begins; add it"
        )
    return [header.integer(f"data offset in bytes [{i}]", 0, least=0) for i in range(1, count + 1)]


def _sinogram(path, dtype, offset, layout):
    """One data set, (plane, view, radial) on disk, some planes at a time."""
    array = np.empty(layout.shape, np.float32)
    with opened(path) as file:
        file.seek(offset)
        for plane in range(0, layout.planes, _PLANES_READ):
            planes = min(_PLANES_READ, layout.planes - plane)
            part = np.fromfile(file, dtype, planes * layout.views * layout.radial_bins)
            part = part.reshape(planes, layout.views, layout.radial_bins)
            array[:, :, plane : plane + planes] = part.transpose(1, 2, 0)
    return array


def _study(header, scanner):
    """Facts of the study; absent ones have no key."""
    info = {name: header.number(key, None) for name, key in _NUMBERS.items()}
    info["isotope"] = header.text("isotope name", header.text("radionuclide name [1]", None))
    notes, position = [], header.text("%patient orientation", "").upper()
    if position not in PATIENT_AXES:
        notes = [f"the patient's position is `{position}`: taken as head first, supine"]
        position = "HFS"
    info["patient_position"] = position
    window = [header.number(_WINDOW.format(end), None) for end in ("lower", "upper")]
    info["energy_window_kev"] = None if None in window else tuple(window)
    info["singles_per_s"] = _singles(header)
    info["study_time"] = _time(header, "study")
    info["injection_time"] = _time(header, "tracer injection")
    info["originating_system"] = scanner.name
    return {key: value for key, value in info.items() if value is not None} | {"notes": notes}


def _singles(header):
    """Singles rate of each bucket, as headers of sinograms have it; None where one is missing."""
    count = header.integer("%number of buckets", 0, least=0)
    rates = [header.number(f"%bucket singles rate [{k}]", None) for k in range(1, count + 1)]
    return rates if rates and None not in rates else None


def _time(header, what):
    """Date and time in ISO 8601, as far as the header has them; its keys name the time zone."""
    date = header.text(f"%{what} date (yyyy:mm:dd)", "")
    key = next((key for key in header if key.startswith(f"%{what} time (hh:mm:ss")), None)
    zone = re.search(r"gmt([+-]\d\d:\d\d)", key or "")
    try:
        text = f"{date} {header.text(key or '', '')}{zone[1] if zone else ''}"
        return datetime.strptime(text, f"%Y:%m:%d %H:%M:%S{'%z' if zone else ''}").isoformat()
    except ValueError:
        return None
