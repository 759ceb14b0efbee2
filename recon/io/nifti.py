"""NIfTI images (.nii, .nii.gz): Grid-ordered arrays with the affine that puts them in the patient.

nibabel is imported where it is used: `import recon` stays light.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon.backend import to_device
from recon.grid import Grid, IndexOrder
from recon.io.files import FileError, replacing
from recon.io.provenance import sidecar_content, sidecar_path, write_json

SUFFIXES = (".nii", ".nii.gz")
_MM = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}


@dataclass(frozen=True)
class Frame:
    """How an existing NIfTI image is indexed; called with a Grid-ordered array, it reorders it.

    Attributes:
        order: IndexOrder to and from Grid order.
        affine: the image's own, (4, 4) from its indices to mm (right, anterior, superior).
    """

    order: IndexOrder
    affine: np.ndarray

    def __call__(self, array):
        """The array (x, y, z) in the image's index order, of the image's shape."""
        return self.order.from_grid(array)


def read_nifti(path, patient_position="HFS"):
    """Read a NIfTI image.

    Args:
        path: .nii or .nii.gz.
        patient_position: how the patient lay in the scanner, which NIfTI does not say.
    Returns:
        float32 array (x, y, z) in Grid order, its Grid, and the Frame that takes such an array
        back to the file's own index order.
    Raises:
        FileError: not a NIfTI image, not 3D, cut short, or its axes are not the patient's.
    """
    image, grid, frame = _open(path, patient_position)
    try:
        stored = image.get_fdata(dtype=np.float32, caching="unchanged")
    except Exception as reason:  # zlib, EOF and value errors of nibabel, by how it was cut
        raise FileError(
            f"{path}: its image data cannot be read ({reason}); the file was cut short or damaged"
        ) from reason
    stored = stored.reshape(stored.shape[:3])
    return np.ascontiguousarray(frame.order.to_grid(stored)), grid, frame


def like(path, patient_position="HFS"):
    """The Grid of a NIfTI image and the Frame with which `write_nifti` writes another just like it.

    Raises:
        FileError: not a NIfTI image, not 3D, or its axes are not the patient's.
    """
    return _open(path, patient_position)[1:]


def write_nifti(path, array, grid, *, unit="", sidecar=None, frame=None):
    """Write an image as float32 NIfTI and the .json beside it, whole or not at all.

    Args:
        path: .nii or .nii.gz.
        array: (x, y, z) of grid.shape, NumPy or CuPy.
        grid: Grid, from which the affine follows.
        unit: of the numbers; it goes to the header's description.
        sidecar: dict of `recon.io.provenance`; without it the .json holds version, unit and date.
        frame: Frame of another image, whose index order and affine to use.
    Raises:
        FileError: the place cannot be written.
        ValueError: the array is not of the grid's shape.
    """
    import nibabel

    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise FileError(f"a NIfTI image takes a name that ends in .nii or .nii.gz, got {path}")
    array = to_device(array, "cpu")
    if array.shape != grid.shape:
        raise ValueError(
            f"write_nifti takes an array of the grid's shape {grid.shape}, got {array.shape}; "
            "give the grid that belongs to it"
        )
    affine = grid.affine
    if frame is not None:
        array, affine = frame(array), frame.affine
    image = nibabel.Nifti1Image(np.asarray(array, np.float32), affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = f"Countless, {unit}".encode()[:79] if unit else b"Countless"
    with replacing(sidecar_path(path), path) as (sidecar_file, image_file):
        nibabel.save(image, image_file)
        write_json(sidecar_file, sidecar_content(path, sidecar, unit))


def _open(path, patient_position):
    import nibabel

    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path} cannot be read: there is no such file; check the name")
    try:
        image = nibabel.load(path)
    except Exception as reason:  # nibabel, gzip and OS errors alike mean: not such an image
        raise FileError(
            f"{path} is not a NIfTI image ({reason}); give a .nii or .nii.gz"
        ) from reason
    if len(image.shape) < 3 or any(size != 1 for size in image.shape[3:]):
        raise FileError(
            f"{path} takes three axes, got the shape {image.shape}; write one frame to a file"
        )
    # Others than NIfTI (Analyze, MGH) have no such units; theirs are mm.
    units = getattr(image.header, "get_xyzt_units", lambda: ("mm",))()[0]
    affine = np.asarray(image.affine, np.float64).copy()
    affine[:3] *= _MM[units]
    try:
        grid, order = Grid.from_affine(image.shape[:3], affine, patient_position)
    except ValueError as reason:
        raise FileError(f"{path}: {reason}") from reason
    return image, grid, Frame(order, affine)
