"""File formats: scanners' sinograms, images, and what made them."""

from recon.io.files import FileError, check_counts
from recon.io.image import like, read_image, write_image
from recon.io.interfile import write_sinogram
from recon.io.outputs import check_output, check_picture
from recon.io.provenance import provenance, sidecar_path
from recon.io.sinogram import read_layout, read_sinogram

__all__ = [
    "FileError",
    "check_counts",
    "check_output",
    "check_picture",
    "like",
    "provenance",
    "read_image",
    "read_layout",
    "read_sinogram",
    "sidecar_path",
    "write_image",
    "write_sinogram",
]
