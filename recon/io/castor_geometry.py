"""Where CASToR's scanner files (.geom, or .hscan with .lut) put a scanner's crystals.

CASToR's coordinates, seen from the front of the gantry: x points right, y up, z away into the
gantry. Ours (`recon.grid`) are half a turn about x from it: x = x, y = -y, z = -z; the bed is taken
to be at the front. Its crystals are numbered as ours are around a ring, clockwise seen from the
front and from the top where nothing is tilted, and its rings from the front on, against ours.

Source: CASToR's general documentation, "PET systems", and its reader of version 3.1.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon.io.castor_header import Keys, number_beginning, read_keys
from recon.io.files import FileError, opened

OURS = np.array([1.0, -1.0, -1.0])  # from CASToR's coordinates to ours, and back
WORD = np.dtype([("position", "<f4", (3,)), ("orientation", "<f4", (3,))])


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the crystals of a scanner file are.

    Attributes:
        name: of the scanner.
        positions_mm: where photons interact in each on average, (crystals, 3) float64, in ours.
        depth_mm: from a crystal's inner face to there.
        keys: Keys of the file.
        files: what was read.
    """

    name: str
    positions_mm: np.ndarray
    depth_mm: float
    keys: Keys
    files: tuple


def read_places(path):
    """Read a scanner file.

    Args:
        path: .geom, or .hscan with its .lut beside it.
    Returns:
        Places, by CASToR's crystal numbers.
    Raises:
        FileError: a key is absent or cannot be used, the .lut is not of the size that the .hscan
            says, or the crystals have several layers.
    """
    path = Path(path)
    keys = read_keys(path)
    if keys.text("modality") != "PET":
        raise keys.wrong("modality", "PET")
    if keys.integer("number of layers", least=1) != 1:
        raise keys.wrong("number of layers", "1, for Countless has no layers of crystals")
    depth = keys.number("crystals size depth")
    interaction = keys.number("mean depth of interaction", -1.0)
    interaction = interaction if interaction >= 0 else depth / 2
    count = keys.integer("number of elements", least=1)
    files = [path]
    if path.suffix == ".geom":
        centres, outwards = _generated(keys, count, depth)
    else:
        lut = path.with_suffix(".lut")
        files.append(lut)
        centres, outwards = _listed(keys, lut, count)
    positions = (centres + (interaction - depth / 2) * outwards) * OURS
    return Places(name=keys.text("scanner name", path.stem), positions_mm=positions,
                  depth_mm=interaction, keys=keys, files=tuple(files))


def _listed(keys, path, count):
    """Centres and outward unit vectors of a .lut, (crystals, 3) float64 each."""
    with opened(path) as file:
        words = np.fromfile(file, WORD)
    size = path.stat().st_size
    if size != count * WORD.itemsize:
        raise FileError(
            f"{path} has {size:,} bytes, where {keys.path} says {count * WORD.itemsize:,} "
            f"({count:,} crystals of 6 32-bit floats); give the .lut that belongs to it"
        )
    return words["position"].astype(np.float64), words["orientation"].astype(np.float64)


def _generated(keys, count, depth):
    """The same of a .geom: flat sectors around the axis, each one a grid of crystals."""
    along = _steps(keys, "axial", number_beginning(keys, "crystals size axial"),
                   keys.number("rsector gap axial", 0.0))
    across = _steps(keys, "transaxial", number_beginning(keys, "crystals size trans"), None)
    sectors = keys.integer("number of rsectors", least=1)
    direction = keys.text("rotation direction", "CW")
    if direction not in ("CW", "CCW"):
        raise keys.wrong("rotation direction", "CW or CCW")
    turn = 1 if direction == "CW" else -1
    step = keys.number("rsectors angular span", 360.0) / sectors
    angle = np.radians(keys.number("rsectors first angle", 0.0) + np.arange(sectors) * step)
    angle = np.repeat(angle, len(across))
    x, y = np.tile(turn * across, sectors), keys.number("scanner radius") + depth / 2
    sin, cos = turn * np.sin(angle), np.cos(angle)
    shifts = keys.integer("rsectors nbZShift", 0)
    shift = np.array(keys.numbers("rsectors ZShift", count=shifts)) if shifts else np.zeros(1)
    shift = np.repeat(shift[np.arange(sectors) % len(shift)], len(across))
    shape = len(along), len(angle)
    if math.prod(shape) != count:
        raise keys.wrong("number of elements", f"{math.prod(shape)}, as sectors, modules, "
                         "submodules and crystals make")
    centres = np.stack([np.broadcast_to(x * cos + y * sin, shape),
                        np.broadcast_to(y * cos - x * sin, shape),
                        along[:, None] + shift], axis=-1)
    outwards = np.stack(np.broadcast_arrays(sin, cos, 0.0), axis=-1)
    return centres.reshape(-1, 3), np.broadcast_to(outwards, (*shape, 3)).reshape(-1, 3)


def _steps(keys, way, size, sector_gap):
    """Centres of crystals along or across a sector, the whole row of sectors centred on 0."""
    centres, extent = np.zeros(1), size
    levels = [("crystal", "crystals"), ("submodule", "submodules"), ("module", "modules")]
    if sector_gap is not None:
        levels.append(("rsector", "rsectors"))
    for one, many in levels:
        required = () if one == "crystal" else (1,)
        number = keys.integer(f"number of {many} {way}", *required, least=1)
        gap = keys.number(f"{one} gap {way}", 0.0)
        starts = (np.arange(number) - (number - 1) / 2) * (extent + gap)
        centres = (starts[:, None] + centres).ravel()
        extent = number * extent + (number - 1) * gap
    return centres
