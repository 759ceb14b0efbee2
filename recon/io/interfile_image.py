"""STIR's Interfile images: a text header (.hv) beside raw data (.v), x fastest on disk.

STIR numbers x and y from -floor(n/2) and z from 0, and centres z on the scanner: the middle of the
stored planes is at z = `first pixel offset (mm) [3]`, while in x and y the offset is the first
voxel's centre.
"""

import math
from pathlib import Path

import numpy as np

from recon.backend import to_device
from recon.grid import Grid
from recon.io.files import FileError, replacing
from recon.io.header import read_header
from recon.io.interfile_data import check_kind, data_place, header_text, scale, study_info
from recon.io.provenance import sidecar_content, sidecar_path, write_json

_AXES = ("x", "y", "z")


def read_grid(path):
    """Read the header of an image; its data need not exist.

    Returns:
        Grid and info, a dict (`recon.io.interfile_data.study_info`).
    Raises:
        FileError: a key is absent or cannot be used; the message names it and its line.
    """
    return _grid(read_header(path))


def read_image(path):
    """Read an image.

    Args:
        path: header, .hv.
    Returns:
        float32 array (x, y, z), z fastest; its Grid; info, a dict
        (`recon.io.interfile_data.study_info`).
    Raises:
        FileError: header or data are missing, disagree or cannot be used.
    """
    header = read_header(path)
    grid, info = _grid(header)
    path, dtype, offset = data_place(header, math.prod(grid.shape))
    stored = np.memmap(path, dtype, "r", offset, grid.shape[::-1])
    array = np.empty(grid.shape, np.float32)
    with np.errstate(over="ignore"):  # float64 may hold what float32 calls infinite
        array[...] = stored.T
    factor = scale(header)
    if np.ndim(factor) and len(factor) != grid.shape[2]:
        raise header.wrong(
            "image scaling factor [1]", f"one number, or {grid.shape[2]} (one for each plane)"
        )
    if np.ndim(factor) or factor != 1:
        array *= np.float32(factor)
    return array, grid, info


def write_image(path, array, grid, info=None, *, sidecar=None):
    """Write an image as STIR does, in little-endian float32.

    Args:
        path: header, .hv; data go to .v and provenance to .json beside it, whole or not at all.
        array: (x, y, z) of grid.shape, NumPy or CuPy.
        grid: Grid.
        info: dict with facts of the study and `unit` (`recon.io.interfile_data.header_text`).
        sidecar: dict of `recon.io.provenance`; without it the .json holds version, unit and date.
    Raises:
        FileError: the place cannot be written.
        ValueError: the array is not of the grid's shape.
    """
    path = Path(path)
    if path.suffix != ".hv":
        raise FileError(
            f"an image's header takes a name that ends in .hv, got {path}; the data go to .v"
        )
    array = to_device(array, "cpu")
    if array.shape != grid.shape:
        raise ValueError(
            f"write_image takes an array of the grid's shape {grid.shape}, got {array.shape}; "
            "give the grid that belongs to it"
        )
    info = dict(info or {}, patient_position=grid.patient_position, pet_data_type="Image")
    data = path.with_suffix(".v")
    with replacing(data, sidecar_path(path), path) as (data_file, sidecar_file, header_file):
        with open(data_file, "wb") as file:
            file.write(np.ascontiguousarray(array.T, "<f4").data)
        text = header_text(info, data.name, "Image", _grid_lines(grid))
        header_file.write_text(text, encoding="utf-8")
        write_json(sidecar_file, sidecar_content(path, sidecar, info.get("unit")))


def _grid(header):
    check_kind(header, "an image")
    header.choice("number of dimensions", {"3": 3}, 3)
    shape, voxel_mm, origin_mm = [], [], []
    for axis, label in enumerate(_AXES, start=1):
        header.choice(f"matrix axis label [{axis}]", {label: label}, label)
        size = header.integer(f"matrix size [{axis}]", least=1)
        voxel = header.number(f"scaling factor (mm/pixel) [{axis}]")
        if label == "z":
            # To 1e-9 mm, so that a first voxel at -7.5 mm comes back as -7.5 mm.
            middle = header.number(f"first pixel offset (mm) [{axis}]", 0.0)
            first = round(middle - (size - 1) / 2 * voxel, 9)
        else:
            first = header.number(f"first pixel offset (mm) [{axis}]", -(size // 2) * voxel)
        shape.append(size)
        voxel_mm.append(voxel)
        origin_mm.append(first)
    info = study_info(header)
    try:
        grid = Grid(
            shape=shape,
            voxel_mm=voxel_mm,
            origin_mm=origin_mm,
            patient_position=info["patient_position"],
        )
    except ValueError as reason:
        raise FileError(f"{header.path}: {reason}") from reason
    return grid, info


def _grid_lines(grid):
    lines = ["number of dimensions := 3"]
    for axis, (label, size, voxel) in enumerate(
        zip(_AXES, grid.shape, grid.voxel_mm, strict=True), start=1
    ):
        lines += [
            f"matrix axis label [{axis}] := {label}",
            f"!matrix size [{axis}] := {size}",
            f"scaling factor (mm/pixel) [{axis}] := {voxel!r}",
        ]
    x, y, z = grid.origin_mm
    middle = round(z + (grid.shape[2] - 1) / 2 * grid.voxel_mm[2], 12)
    return lines + [
        f"first pixel offset (mm) [{axis}] := {first!r}"
        for axis, first in enumerate((x, y, middle), start=1)
    ]
