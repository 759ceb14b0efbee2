"""Sinograms in any format that Countless knows, by the header's suffix: .hs, or Siemens's .hdr."""

from pathlib import Path

from recon.io import interfile, siemens
from recon.io.files import FileError
from recon.io.header import read_header

DATASETS = ("prompts", "delayeds")


def read_layout(path, *, interleaved=True):
    """Read the header of a sinogram; its data need not exist.

    Args:
        path: header, STIR's .hs or Siemens's .s.hdr.
        interleaved: False for STIR's angles, see SinogramLayout.
    Returns:
        SinogramLayout and info, a dict (`recon.io.interfile_data.study_info`).
    Raises:
        FileError: a key is absent or cannot be used; the message names it and its line.
    """
    return _format(path).read_layout(path, interleaved=interleaved)


def read_sinogram(path, *, interleaved=True, dataset="prompts"):
    """Read a sinogram.

    Args:
        path: header, STIR's .hs or Siemens's .s.hdr.
        interleaved: False for STIR's angles, see SinogramLayout.
        dataset: which of the two in a Siemens file, "prompts" or "delayeds"; a STIR file holds one
            sinogram, whatever it counts.
    Returns:
        float32 array of layout.shape, (view, radial, plane) or (view, radial, tof, plane); its
        SinogramLayout, with segments as the file has them; info, a dict
        (`recon.io.interfile_data.study_info`).
    Raises:
        FileError: header or data are missing, disagree or cannot be used, or there is no such data
            set in the file.
        ValueError: there is no such data set in any.
    """
    if dataset not in DATASETS:
        raise ValueError(f"dataset takes {' or '.join(DATASETS)}, got {dataset!r}")
    if (found := _format(path)) is siemens:
        return siemens.read_sinogram(path, interleaved=interleaved, dataset=dataset)
    return found.read_sinogram(path, interleaved=interleaved)


def is_siemens(path):
    """Whether a header's name is one of the scanner's own, .hdr, rather than STIR's."""
    return Path(path).suffix == ".hdr"


def is_sinogram(path):
    """Whether a scan's file is the header of a sinogram, STIR's or Siemens's, and no list.

    Raises:
        FileError: a Siemens header is missing or cannot be read.
    """
    if is_siemens(path):
        header = read_header(path, complete=False)
        return header.text("data format", "").lower() == "sinogram"
    return Path(path).suffix == ".hs"


def _format(path):
    if str(path).endswith((".nii", ".nii.gz")):
        raise FileError(
            f"{path} is an image, where a sinogram was expected; give its header (.hs or .s.hdr)"
        )
    return siemens if is_siemens(path) else interfile
