"""Which files belong together: a header and its data, an image and its sidecar."""

import re
from pathlib import Path

from recon.io.files import FileError, check_writable
from recon.io.header import read_header
from recon.io.interfile_data import data_path

_DATA = {".hs": ".s", ".hv": ".v"}


def sidecar_path(path):
    """image.json for image.nii.gz, image.nii or image.hv."""
    path = Path(path)
    return path.with_name(re.sub(r"(\.nii\.gz|\.[^.]*)$", "", path.name) + ".json")


def files_read(path):
    """The files that reading `path` opens: itself and, for an Interfile header, its data.

    Raises:
        FileError: it is a header that cannot be read.
    """
    path = Path(path)
    if path.suffix not in _DATA:
        return [path]
    data = data_path(read_header(path))
    return [path, data] if data.is_file() and not data.samefile(path) else [path]


def check_output(path, inputs=()):
    """Refuse an output before the work starts, where it cannot be written or would be a loss.

    Args:
        path: the image or sinogram that will be written; its data file and sidecar count too.
        inputs: paths that are read; an Interfile header stands for its data too.
    Raises:
        FileError: no such folder, no permission, or one of the inputs would be overwritten.
    """
    path = Path(path)
    outputs = [path, sidecar_path(path)]
    if path.suffix in _DATA:
        outputs.append(path.with_suffix(_DATA[path.suffix]))
    read = [file for name in inputs for file in files_read(name)]
    for output in outputs:
        check_writable(output)
        for file in read:
            if output.resolve() == file.resolve() or (
                output.exists() and file.exists() and output.samefile(file)
            ):
                raise FileError(
                    f"{path} would overwrite the input {file}; give the output another name"
                )
