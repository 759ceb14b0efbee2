"""Where an output came from: the .json beside it."""

import datetime
import hashlib
import json

import numpy as np

from recon.io.files import FileError, opened, replacing
from recon.io.outputs import files_read, sidecar_path
from recon.version import __version__


def provenance(*, command, configuration, inputs=(), unit=None, seed=None, **more):
    """What made an output, ready for `write_json`.

    Args:
        command: the command line, a str or a list of str.
        configuration: dict of all settings, defaults included.
        inputs: paths of the files that were read; an Interfile header stands for its data too.
        unit: of the output's numbers.
        seed: of random numbers, None where none were drawn.
        more: further facts, as keyword arguments.
    Returns:
        dict with version, command, configuration, seed, inputs (list of path and sha256), unit,
        date (UTC, ISO 8601), and `more`.
    Raises:
        FileError: an input cannot be read.
    """
    files = [file for path in inputs for file in files_read(path)]
    return {
        "version": __version__,
        "command": command if isinstance(command, str) else " ".join(map(str, command)),
        "configuration": configuration,
        "seed": seed,
        "inputs": [{"path": str(path), "sha256": sha256(path)} for path in files],
        "unit": unit,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **more,
    }


def sha256(path):
    """The file's SHA-256 in hexadecimal."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path, content):
    """Write a dict as JSON, whole or not at all; NaN and infinities become null.

    Raises:
        FileError: the place cannot be written.
    """
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as name:
        name.write_text(text + "\n", encoding="utf-8")


def read_sidecar(path):
    """The dict beside an output, {} where there is none.

    Raises:
        FileError: it is not JSON.
    """
    sidecar = sidecar_path(path)
    if not sidecar.is_file():
        return {}
    with opened(sidecar, "r", encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as reason:
            raise FileError(f"{sidecar} is not JSON ({reason}); remove or repair it") from reason


def _plain(value):
    """Numbers, text, lists and dicts only, for JSON."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value - value != 0:
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
