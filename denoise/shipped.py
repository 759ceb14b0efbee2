"""Trained networks that come with Countless, by name."""

from pathlib import Path

from recon.io import FileError
from recon.method import UNROLLED
from recon.names import most_alike

FOLDER = Path(__file__).with_name("models")
DEFAULT = "unet"  # what `countless denoise` takes without --model
_SUFFIX = ".pt"


def shipped(*, reconstruct=False):
    """Names of the networks that come with this version and denoise, or reconstruct -> files."""
    return {path.stem: path for path in sorted(FOLDER.glob(f"*{_SUFFIX}"))
            if (path.stem in UNROLLED) == reconstruct}


def find_model(name=None):
    """The file of a trained network.

    Args:
        name: of a shipped network, or the path of a file; None for DEFAULT.
    Raises:
        FileError: there is none; with what to do.
    """
    if name and (name.endswith(_SUFFIX) or Path(name).is_file()):
        return Path(name)
    known = shipped() | shipped(reconstruct=True)
    if (name or DEFAULT) in known:
        return known[name or DEFAULT]
    if not known:
        raise FileError(
            f"countless denoise takes --model with the file of a trained network, got "
            f"{name or 'none'}: no network comes with this version; simulate a study, and "
            "`countless train study -o run` makes run/model.pt of it"
        )
    raise FileError(
        f"--model takes a file (.pt) or one of {', '.join(known)}, got {name!r}; the nearest is "
        f"{most_alike(name, known)!r}"
    )
