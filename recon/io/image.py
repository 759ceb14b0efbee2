"""Images in any format that Countless knows, by the file's suffix: .hv, .nii, .nii.gz."""

from pathlib import Path

from recon.io import interfile_image, nifti
from recon.io.files import FileError
from recon.io.interfile_data import study_of
from recon.io.provenance import read_sidecar


def read_image(path, patient_position="HFS"):
    """Read an image.

    Args:
        path: .hv, .nii or .nii.gz.
        patient_position: how the patient lay, for formats that do not say (NIfTI).
    Returns:
        float32 array (x, y, z), its Grid, and info, a dict: `unit` and facts of the study, as far
        as the header or, for NIfTI, the .json beside it says them.
    Raises:
        FileError: the image is missing or cannot be used.
    """
    if is_interfile(path):
        return interfile_image.read_image(path)
    array, grid, _ = nifti.read_nifti(path, patient_position)
    said = read_sidecar(path)
    unit = {"unit": said["unit"]} if said.get("unit") else {}
    return array, grid, study_of(said.get("study") or {}) | {"notes": []} | unit


def write_image(path, array, grid, *, unit="", sidecar=None, frame=None, info=None):
    """Write an image and the .json beside it, whole or not at all.

    Args:
        path: .hv, .nii or .nii.gz.
        array: (x, y, z) of grid.shape.
        grid: Grid.
        unit: of the numbers.
        sidecar: dict of `recon.io.provenance`; without it the .json holds version, unit and date.
        frame: of `like`, for the index order and affine of another image.
        info: dict with facts of the study, for the .json and the header of an Interfile image.
    Raises:
        FileError: the place cannot be written, or the suffix is of no such format.
        ValueError: the array is not of the grid's shape.
    """
    study = study_of(info or {})
    sidecar = ({"study": study} if study else {}) | (sidecar or {})
    if not is_interfile(path):
        nifti.write_nifti(path, array, grid, unit=unit, sidecar=sidecar, frame=frame)
        return
    # Interfile has one index order, and a header that says where x, y, z lead.
    info = dict(info or {}) | ({"unit": unit} if unit else {})
    interfile_image.write_image(path, array, grid, info, sidecar=sidecar)


def like(path, patient_position="HFS"):
    """The Grid of an existing image, and the frame that makes `write_image` index like it.

    Returns:
        Grid, and a `recon.io.nifti.Frame` or, for Interfile, None: Grid order is its order.
    Raises:
        FileError: the image is missing or cannot be used.
    """
    if is_interfile(path):
        return interfile_image.read_grid(path)[0], None
    return nifti.like(path, patient_position)


def is_interfile(path):
    """Whether an image's name is Interfile's, rather than NIfTI's.

    Raises:
        FileError: it is neither's.
    """
    name = Path(path).name
    if name.endswith(nifti.SUFFIXES):
        return False
    if name.endswith(".hv"):
        return True
    hint = "; give its header, .hv" if name.endswith(".v") else ""
    if Path(path).is_dir():
        hint = "; `countless mu-map` turns a folder of a CT into a mu map"
    raise FileError(f"an image takes a name that ends in .hv, .nii or .nii.gz, got {path}{hint}")
