"""Where an output came from: the .json beside it."""

import datetime
import hashlib
import json
import os
import re
import sys
from pathlib import Path

import numpy as np

from recon.io.castor_data import data_file
from recon.io.castor_header import read_keys
from recon.io.files import FileError, opened, replacing
from recon.io.header import read_header
from recon.io.interfile_data import data_path
from recon.version import __version__

# Suffix of headers of Interfile and CASToR -> that of their data.
HEADERS = {".hs": ".s", ".hv": ".v", ".cdh": ".cdf"}
LARGE_BYTES = 1 << 30  # from here on hashing takes longer than a user waits without a word
_SCANS = (".cdh", ".petsird", ".bin")
_PART_BYTES = 1 << 22
_FORMAT = re.compile(r"(\.nii)\.gz$|(\.[^.]*)$")


def sidecar_path(path):
    """image.json for image.nii.gz, image.nii or image.hv, scan.json for scan.hs.

    It is scan.cdh.json for scan.cdh, and so for lists: scan.hs may be the same scan beside it.
    """
    path = Path(path)
    name = path.name if path.suffix in _SCANS else _FORMAT.sub("", path.name)
    return path.with_name(name + ".json")


def has_sidecar(path):
    """Whether it is a sinogram, list or image, by its suffix; pictures and settings have none."""
    return _format(path) in (*HEADERS, *_SCANS, ".nii")


def sidecar_content(path, sidecar, unit):
    """What the .json beside an output holds: at least the version, unit, date and whose it is.

    Args:
        path: the output, whose name goes into `file`.
        sidecar: dict of `provenance`, or None where no more is known.
        unit: of the output's numbers, which wins over the sidecar's; "" or None if not known.
    """
    said = {"file": Path(path).name, "version": __version__, "unit": None, "date": _now()}
    return said | (sidecar or {}) | ({"unit": unit} if unit else {})


def files_read(path):
    """The files that reading `path` opens: itself and, for a header, its data.

    Args:
        path: any; headers are those of STIR (.hs, .hv) and of Siemens (.hdr).
    Raises:
        FileError: it is a header that cannot be read.
    """
    path = Path(path)
    castor = path.suffix.lower() == ".cdh"  # CASToR's own programs write .Cdh
    siemens = path.suffix == ".hdr"
    if path.suffix not in HEADERS and not (castor or siemens):
        return [path]
    if castor:
        data = data_file(read_keys(path))
    else:
        header = read_header(path, complete=not siemens)
        if siemens and not header.find("name of data file"):
            return [path]
        data = data_path(header)
    return [path, data] if data.is_file() and not data.samefile(path) else [path]


def provenance(*, command, configuration, inputs=(), unit=None, seed=None, **more):
    """What made an output, ready for `write_json`.

    Args:
        command: the command line, a str or a list of str.
        configuration: dict of all settings, defaults included.
        inputs: paths of the files that were read; a header stands for its data too.
        unit: of the output's numbers.
        seed: of random numbers, None where none were drawn.
        more: further facts, as keyword arguments.
    Returns:
        dict with version, command, configuration, seed, inputs (list of path and sha256), unit,
        date (UTC, ISO 8601), and `more`.
    Raises:
        FileError: an input cannot be read.
    """
    # A header and its data may both be given.
    files = dict.fromkeys(file for path in inputs for file in files_read(path))
    return {
        "version": __version__,
        "command": command if isinstance(command, str) else " ".join(map(str, command)),
        "configuration": configuration,
        "seed": seed,
        "inputs": [{"path": str(path), "sha256": sha256(path)} for path in files],
        "unit": unit,
        "date": _now(),
        **more,
    }


def sha256(path):
    """The file's SHA-256 in hexadecimal, with a progress bar where it is large.

    Raises:
        FileError: it cannot be read.
    """
    from tqdm import tqdm

    digest, path = hashlib.sha256(), Path(path)
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        with tqdm(total=size, desc=f"hash of {path.name}", unit="B", unit_scale=True,
                  file=sys.stderr, dynamic_ncols=True, disable=size < LARGE_BYTES) as bar:
            while part := file.read(_PART_BYTES):
                digest.update(part)
                bar.update(len(part))
    return digest.hexdigest()


def write_json(path, content):
    """Write a dict as JSON, whole or not at all; NaN and infinities become null.

    Raises:
        FileError: the place cannot be written.
    """
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as name:
        name.write_text(text + "\n", encoding="utf-8")


def read_sidecar(path):
    """The dict beside an output, {} where there is none.

    A sidecar whose `file` is of another format is another output's: scan.json may be that of
    scan.nii.gz, and not of scan.hs.

    Raises:
        FileError: it is not JSON.
    """
    said = read_json(sidecar_path(path))
    return said if _format(str(said.get("file", path))) == _format(path) else {}


def read_json(path):
    """The dict in a JSON file, {} where there is no file.

    Raises:
        FileError: it is not JSON.
    """
    if not path.is_file():
        return {}
    with opened(path, "r", encoding="utf-8") as file:
        try:
            return dict(json.load(file))
        except (ValueError, TypeError) as reason:
            raise FileError(
                f"{path} is not JSON with names and values ({reason}); remove or repair it"
            ) from reason


def _format(path):
    found = _FORMAT.search(Path(path).name)
    return found and (found[1] or found[2])  # .nii and .nii.gz are one


def _now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def plain(value):
    """The value as JSON holds it: numbers, text, lists and dicts only; NaN and infinities null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value - value != 0:
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
