"""One phantom's file of a study: HDF5, written once, with a hash of all its arrays.

    truth       (x, y, z) float32, Bq/mL, the mean over each voxel
    ct          (x, y, z) float32, HU, of a simulated CT, or the phantom's own
    labels      (x, y, z) uint16, of the region at the voxel's middle; 0 is air
    standard    (realisation, x, y, z) float32, Bq/mL, reconstructed from the standard dose
    low         (dose, realisation, x, y, z) float32, Bq/mL of the standard dose
    scans       a row for each image: what was counted, expected and estimated
    prompts, background   (dose, realisation, view, radial, [tof,] plane), uint32 and float32, where
                the study keeps its scans: the standard dose first; expected randoms and scatter
    factors     (view, radial, plane) float32, of the standard dose, attenuation included
    lesions     a row for each lesion: its true volume, activity and place

Images are stored in cubes of 32 voxels (one core reads a patch of 32 in 5 ms, of 48 in 8 ms); gzip
is what every reader of HDF5 knows. Attributes of the file say the rest: `grid`, `study` and
`provenance` as JSON, doses, seeds, `ct_shift_mm` (how far the CT lies from the scan), `model` of
scans that are kept (layout, grid of the images in the scanner, point spread), and `sha256` of all
arrays, by which a whole file is known.
"""

import contextlib
import hashlib
import json
from dataclasses import asdict

import numpy as np

from recon.grid import Grid
from recon.io import FileError
from recon.layout import SinogramLayout
from recon.scanner import Scanner
from recon.segments import Segment

CHUNK = 32
LESIONS = np.dtype([
    ("name", "S32"), ("label", "u2"), ("activity_bq_ml", "f8"), ("volume_ml", "f8"),
    ("centre_mm", "f8", 3), ("inside", "f8"),
])
SCANS = np.dtype([
    ("factor", "f8"), ("realisation", "u4"), ("prompts", "f8"), ("delayeds", "f8"),
    ("expected_trues", "f8"), ("expected_scatter", "f8"), ("expected_randoms", "f8"),
    ("estimated_scatter", "f8"), ("estimated_randoms", "f8"), ("scatter_scale", "f8"),
    ("scatter_scale_sd", "f8"),
])


@contextlib.contextmanager
def creating(path):
    """An HDF5 file to be filled, an h5py.File.

    Raises:
        FileError: it cannot be written; a full disk is named.
    """
    import h5py

    try:
        # No times inside: the same arrays make the same file.
        with h5py.File(path, "w", libver="latest", track_order=False) as file:
            yield file
    except (OSError, RuntimeError) as reason:  # HDF5's own, without a number
        if "errno = 28" in str(reason) or "No space left" in str(reason):
            raise OSError(28, "No space left on device", str(path)) from reason
        raise


def add(file, name, array, unit):
    """Writes an image (x, y, z)."""
    made = file.create_dataset(name, data=array, chunks=_chunks(array.shape), **_PACKED)
    made.attrs["unit"] = unit


def add_images(file, realisations, doses, shape):
    """Makes room for reconstructed images.

    Returns:
        Datasets `standard` (realisation, x, y, z) and `low` (dose, realisation, x, y, z).
    """
    found = []
    for name, before in (("standard", (realisations,)), ("low", (doses, realisations))):
        made = file.create_dataset(
            name, (*before, *shape), np.float32,
            chunks=(*(1,) * len(before), *_chunks(shape)), **_PACKED,
        )
        made.attrs["unit"] = "Bq/mL"
        found.append(made)
    return found


def add_scans(file, realisations, doses, protocol, settings):
    """Makes room for scans.

    Args:
        doses: how many, the standard one included.
        protocol: Protocol.
        settings: Reconstruction.
    Returns:
        The file, for `write_scan`.
    """
    layout = protocol.layout
    file.attrs["model"] = json.dumps({
        "layout": asdict(layout), "grid": asdict(settings.grid(layout)), "psf_mm": settings.psf_mm,
        "subsets": settings.subsets,
    })
    for name, kind in (("prompts", np.uint32), ("background", np.float32)):
        made = file.create_dataset(
            name, (doses, realisations, *layout.shape), kind,
            chunks=(1, 1, 1, *layout.shape[1:]), **_PACKED,
        )
        made.attrs["unit"] = "counts"
    return file


def write_scan(file, place, prompts, found):
    """Writes a scan into a file of `add_scans`.

    Args:
        place: (dose, realisation), 0 for the standard dose, whose factors are kept.
        prompts: counts.
        found: `sim.reconstruct.Reconstructed`.
    """
    file["prompts"][place] = prompts
    file["background"][place] = found.background
    if place == (0, 0):
        factors = file.create_dataset("factors", data=found.factors,
                                      chunks=(1, *found.factors.shape[1:]), **_PACKED)
        factors.attrs["unit"] = "counts per Bq/mL * mm"


def add_table(file, name, rows):
    """Writes a structured array."""
    file.create_dataset(name, data=rows)


def finish(file):
    """Notes the hash of all arrays, which says that the file is whole, and returns it."""
    file.attrs["sha256"] = digest = arrays_sha256(file)
    return digest


def arrays_sha256(file):
    """SHA-256 of a file's datasets: names, types, shapes and values, image by image."""
    found = hashlib.sha256()
    for name in sorted(file):
        dataset = file[name]
        found.update(f"{name} {dataset.dtype.str} {dataset.shape}".encode())
        for index in np.ndindex(dataset.shape[:-3]):
            found.update(np.ascontiguousarray(dataset[index]).tobytes())
    return found.hexdigest()


def opened(path):
    """A phantom's file for reading, an h5py.File.

    Raises:
        FileError: it is not there, no HDF5, or not whole.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as reason:
        raise FileError(
            f"{path} cannot be read as a phantom's file ({reason}); remove it and run "
            "`countless simulate` again, which makes what is missing"
        ) from reason
    if "sha256" not in file.attrs:
        file.close()
        raise FileError(f"{path} is no whole file of a study; remove it and make it again")
    return file


def stored_grid(file):
    """The Grid of a file's images."""
    return Grid(**json.loads(file.attrs["grid"]))


def stored_model(file):
    """What a file's scans are modelled by: SinogramLayout, Grid in the scanner, psf_mm, subsets."""
    said = json.loads(file.attrs["model"])
    return layout_from(said["layout"]), Grid(**said["grid"]), said["psf_mm"], said["subsets"]


def layout_from(said):
    """The SinogramLayout of a dict of its attributes, as JSON holds it."""
    scanner = {k: tuple(v) if isinstance(v, list) else v for k, v in said["scanner"].items()}
    segments = tuple(Segment(**each) for each in said["segments"])
    return SinogramLayout(**said | {"scanner": Scanner(**scanner), "segments": segments})


def _chunks(shape):
    return tuple(min(size, CHUNK) for size in shape)


_PACKED = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "track_times": False}
