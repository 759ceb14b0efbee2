"""Whether an output may be written: not over what is read, nor where nothing can be."""

from pathlib import Path

from recon.io.files import FileError, check_writable
from recon.io.provenance import (
    HEADERS,
    files_read,
    has_sidecar,
    read_json,
    read_sidecar,
    sidecar_path,
)

PICTURES = (".jpg", ".pdf", ".png", ".svg")


def check_output(path, inputs=()):
    """Refuse an output before the work starts, where it cannot be written or would be a loss.

    Args:
        path: what will be written; the data file and sidecar of a sinogram, list or image count.
        inputs: paths that are read; their data files and sidecars count too.
    Raises:
        FileError: no such folder, no permission, one of the inputs would be overwritten, or the
            sidecar would replace that of another output.
    """
    path = Path(path)
    outputs = [path]
    if path.suffix in HEADERS:
        outputs.append(path.with_suffix(HEADERS[path.suffix]))
    if has_sidecar(path):
        outputs.append(sidecar_path(path))
    for output in outputs:
        check_writable(output)
    for name in inputs:
        lost = [file for file in files_read(name) if _among(outputs, file)]
        beside = sidecar_path(name)
        if has_sidecar(name) and _among(outputs, beside) and read_sidecar(name):
            lost.append(beside)
        if lost:
            whose = "" if lost[0] == Path(name) else f", which belongs to {name}"
            raise FileError(
                f"{path} would overwrite the input {lost[0]}{whose}; give the output another name"
            )
    _check_sidecar(path)


def make_folder(path):
    """Makes a folder for outputs, where there is none, and returns its path.

    Raises:
        FileError: it cannot be made.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise FileError(
            f"{path} cannot be made a folder ({reason.strerror.lower()}); give --output another "
            "name"
        ) from reason
    return path


def _check_sidecar(path):
    """Refuses a name whose .json tells of another output that is still there."""
    said = read_json(sidecar_path(path)) if has_sidecar(path) else {}
    # The name alone: a path is of another place, or of another machine.
    other = path.with_name(Path(str(said.get("file", ""))).name or path.name)
    if other.name != path.name and other.exists():
        raise FileError(
            f"{path} would replace {sidecar_path(path)}, which says how {other} was made; give the "
            "output another name before its suffix, or remove the other"
        )


def check_picture(path, flag, inputs=()):
    """The same of a picture, which takes the name of one; `flag` is what asked for it."""
    if path.suffix.lower() not in PICTURES:
        raise FileError(f"{flag} takes a name that ends in {', '.join(PICTURES)}, got {path}")
    check_output(path, inputs)


def _among(paths, file):
    return any(
        path.resolve() == file.resolve()
        or (path.exists() and file.exists() and path.samefile(file))
        for path in paths
    )
