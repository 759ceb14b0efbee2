"""STIR's Interfile sinograms: a text header (.hs) beside raw data (.s).

On disk the radial bins are fastest; then planes and views in either order, segments, and slowest
of all the time-of-flight bins. In memory (recon.layout) planes are fastest. Reading and writing go
by segment, so that little more than the array itself is in memory.
"""

import math
from pathlib import Path

import numpy as np

from recon.backend import to_device
from recon.io.files import FileError, replacing
from recon.io.header import read_header
from recon.io.interfile_data import check_kind, data_place, header_text, scale, study_info
from recon.io.interfile_layout import layout_from, layout_lines
from recon.io.provenance import sidecar_content, sidecar_path, write_json

_CHUNK_BYTES = 1 << 24


def read_layout(path, *, interleaved=True):
    """Read the header of a sinogram; its data need not exist.

    Args:
        path: header, .hs.
        interleaved: False for STIR's angles, see SinogramLayout.
    Returns:
        SinogramLayout and info, a dict (`recon.io.interfile_data.study_info`).
    Raises:
        FileError: a key is absent or cannot be used; the message names it and its line.
    """
    layout, _, _, info = _layout(read_header(path), interleaved)
    return layout, info


def read_sinogram(path, *, interleaved=True):
    """Read a sinogram.

    Args:
        path: header, .hs.
        interleaved: False for STIR's angles, see SinogramLayout.
    Returns:
        float32 array of layout.shape, (view, radial, plane) or (view, radial, tof, plane); its
        SinogramLayout, with segments as the file has them and time-of-flight bins from the most
        negative on; info, a dict (`recon.io.interfile_data.study_info`).
    Raises:
        FileError: header or data are missing, disagree or cannot be used.
    """
    header = read_header(path)
    layout, view_slowest, tof_order, info = _layout(header, interleaved)
    path, dtype, offset = data_place(header, math.prod(layout.shape))
    factor = scale(header)
    if np.ndim(factor):
        raise header.wrong("image scaling factor [1]", "one number for a sinogram")
    array = np.empty(layout.shape, np.float32)
    # One TOF axis for all, here and in writing; it is a view.
    bins = array.reshape(layout.views, layout.radial_bins, layout.tof_bins, layout.planes)
    for place in range(layout.tof_bins):
        tof = tof_order.index(place)
        for segment, first in zip(layout.segments, layout.first_planes(), strict=True):
            shape = (layout.views, segment.planes, layout.radial_bins)
            if not view_slowest:
                shape = (segment.planes, layout.views, layout.radial_bins)
            stored = np.memmap(path, dtype, "r", offset, shape)
            offset += stored.nbytes
            stored = stored if view_slowest else stored.swapaxes(0, 1)
            target = bins[:, :, tof, first : first + segment.planes]
            with np.errstate(over="ignore"):  # float64 may hold what float32 calls infinite
                for view in range(layout.views):  # one view's planes stay in the cache
                    target[view] = stored[view].T
    if factor != 1:
        array *= np.float32(factor)
    return array, layout, info


def write_sinogram(path, array, layout, info=None, *, sidecar=None):
    """Write a sinogram as STIR does: little-endian float32, planes within views within segments.

    Args:
        path: header, .hs; data go to .s and provenance to .json beside it, whole or not at all.
        array: of layout.shape, NumPy or CuPy.
        layout: SinogramLayout.
        info: dict with facts of the study and `unit` (`recon.io.interfile_data.header_text`).
        sidecar: dict of `recon.io.provenance`; without it the .json holds version, unit and date.
    Raises:
        FileError: the place cannot be written.
        ValueError: the array is not of the layout's shape.
    """
    path = Path(path)
    if path.suffix != ".hs":
        raise FileError(
            f"a sinogram's header takes a name that ends in .hs, got {path}; the data go to .s"
        )
    array = to_device(array, "cpu")
    if array.shape != layout.shape:
        raise ValueError(
            f"write_sinogram takes an array of the layout's shape {layout.shape}, got "
            f"{array.shape}; give the layout that belongs to it"
        )
    info = dict(info or {})
    corrections = set(info.get("applied_corrections", ())) - {"arc correction", "arc corrected"}
    arc = set() if layout.radial_mm is None else {"arc correction"}
    # A reader looks the scanner up by this name: it must be the layout's.
    info |= {
        "applied_corrections": sorted(corrections | arc),
        "originating_system": layout.scanner.name,
    }
    data = path.with_suffix(".s")
    bins = array.reshape(layout.views, layout.radial_bins, layout.tof_bins, layout.planes)
    with replacing(data, sidecar_path(path), path) as (data_file, sidecar_file, header_file):
        with open(data_file, "wb") as file:
            for tof in range(layout.tof_bins):
                for segment, first in zip(layout.segments, layout.first_planes(), strict=True):
                    planes = slice(first, first + segment.planes)
                    per_view = 4 * segment.planes * layout.radial_bins
                    step = max(_CHUNK_BYTES // per_view, 1)
                    for view in range(0, layout.views, step):
                        part = bins[view : view + step, :, tof, planes].swapaxes(1, 2)
                        file.write(np.ascontiguousarray(part, "<f4").data)
        text = header_text(info, data.name, "Emission", layout_lines(layout))
        header_file.write_text(text, encoding="utf-8")
        write_json(sidecar_file, sidecar_content(path, sidecar, info.get("unit")))


def _layout(header, interleaved):
    check_kind(header, "a sinogram")
    layout, view_slowest, tof_order, notes = layout_from(header, interleaved=interleaved)
    info = study_info(header)
    info["notes"] = info["notes"] + notes
    return layout, view_slowest, tof_order, info
