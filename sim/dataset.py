"""Reads a study's data set: pairs of images, whole or in patches, by split."""

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon.grid import Grid
from recon.io import FileError
from recon.io.provenance import read_json
from recon.layout import SinogramLayout
from sim import dataset_file
from sim.dose import Dose
from sim.study import SPLITS

OPEN_FILES = 64  # at a time, in each process
IMAGES = ("low", "standard", "truth", "ct", "labels")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A low-dose image, by which the images that belong to it are found.

    Attributes:
        number: of the phantom, from 1.
        factor: dose reduction factor.
        realisation: from 0; the standard-dose image has the same.
    """

    number: int
    factor: float
    realisation: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """What a scan counted, and what its image was made with.

    Attributes:
        layout: SinogramLayout.
        grid: Grid of the images, in the scanner's coordinates.
        prompts: float32 (view, radial, [tof,] plane).
        factors: what multiplies expected counts, for images in Bq/mL, (view, radial, plane).
        background: expected randoms and scatter, of the prompts' shape.
        psf_mm: FWHM of the model's point spread, 0 for none.
        subsets: of the views.
    """

    layout: SinogramLayout
    grid: Grid
    prompts: np.ndarray
    factors: np.ndarray
    background: np.ndarray
    psf_mm: float
    subsets: int


def open_study(folder):
    """The StoredStudy of a folder that `countless simulate` made, whole or as far as it got.

    Raises:
        FileError: there is no index, or it is none.
    """
    folder = Path(folder)
    index = read_json(folder / "study.json")
    if "phantoms" not in index:
        raise FileError(
            f"{folder} holds no study (no study.json that lists phantoms); make one with "
            "`countless simulate`"
        )
    return StoredStudy(folder, index)


class StoredStudy:
    """A data set on disk; files are opened when they are read, in each process by itself.

    Attributes:
        index: dict of study.json.
        factors: dose reduction factors.
        realisations: scans of each phantom at each dose.
        numbers: dict from a split's name to the numbers of its phantoms.
    """

    def __init__(self, folder, index):
        self.folder, self.index = folder, index
        self.factors = tuple(index["recipe"]["doses"]["factors"])
        self.realisations = index["recipe"]["realisations"]
        self._names = {record["number"]: record["file"] for record in index["phantoms"]}
        self.numbers = {
            split: tuple(r["number"] for r in index["phantoms"] if r["split"] == split)
            for split in SPLITS
        }
        self._files, self._process = OrderedDict(), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getstate__(self):
        return self.__dict__ | {"_files": OrderedDict(), "_process": None}

    def close(self):
        """Closes the files; reading opens them again."""
        while self._files:
            self._files.popitem()[1].close()

    def pairs(self, split=None, factor=None):
        """All pairs, of a split and a dose reduction factor or of all, a list of Pair.

        Raises:
            ValueError: there is no such split or factor.
        """
        for name, value, known in (("split", split, SPLITS), ("factor", factor, self.factors)):
            if value is not None and value not in known:
                raise ValueError(f"pairs takes a {name} out of {', '.join(map(str, known))}, got "
                                 f"{value!r}")
        numbers = sorted(self._names) if split is None else self.numbers[split]
        factors = self.factors if factor is None else (factor,)
        return [
            Pair(number=number, factor=f, realisation=realisation)
            for number in numbers for f in factors for realisation in range(self.realisations)
        ]

    def file(self, number):
        """A phantom's file, an h5py.File open for reading (`sim.dataset_file` says what it holds).

        Raises:
            FileError: it is not there, or not whole.
        """
        if self._process != os.getpid():  # HDF5's files cannot be shared with a forked process
            self._files, self._process = OrderedDict(), os.getpid()
        if number not in self._files:
            if len(self._files) == OPEN_FILES:
                self._files.popitem(last=False)[1].close()
            self._files[number] = dataset_file.opened(self.folder / self._names[number])
        self._files.move_to_end(number)
        return self._files[number]

    def grid(self, number):
        """Grid of a phantom's images, in the phantom's coordinates."""
        return dataset_file.stored_grid(self.file(number))

    def read(self, pair, names=IMAGES, box=(slice(None),) * 3):
        """Images of a pair.

        Args:
            pair: Pair.
            names: out of IMAGES: low and standard in Bq/mL, truth in Bq/mL, ct in HU, labels.
            box: three slices of voxels, of which no more is read than the chunks they touch.
        Returns:
            dict of arrays (x, y, z), float32; labels are uint16.
        """
        file = self.file(pair.number)
        index = {"low": (self.factors.index(pair.factor), pair.realisation),
                 "standard": (pair.realisation,)}
        return {name: file[name][(*index.get(name, ()), *box)] for name in names}

    def patch(self, pair, size, rng, names=IMAGES):
        """A box of voxels at a random place in the images.

        Args:
            pair: Pair.
            size: voxels along x, y and z.
            rng: numpy Generator.
            names: as in `read`.
        Returns:
            dict of arrays of this size.
        Raises:
            ValueError: the images are smaller.
        """
        shape = self.file(pair.number)["truth"].shape
        if any(wanted > there for wanted, there in zip(size, shape, strict=True)):
            raise ValueError(f"patch takes a size up to the images' {shape}, got {tuple(size)}")
        corner = rng.integers(0, np.subtract(shape, size) + 1)
        box = tuple(slice(int(c), int(c) + n) for c, n in zip(corner, size, strict=True))
        return self.read(pair, names, box)

    @property
    def keeps_scans(self):
        """Whether sinograms lie beside the images."""
        return self.index["recipe"].get("keep_scans", False)

    def scan(self, pair, *, standard=False):
        """The Scan that a pair's low-dose image was made of, or its standard-dose image.

        Raises:
            FileError: the study does not keep its scans.
        """
        if not self.keeps_scans:
            raise FileError(
                f"{self.folder} keeps no scans beside its images; simulate it with "
                "`keep_scans: true`"
            )
        file = self.file(pair.number)
        layout, grid, psf_mm, subsets = dataset_file.stored_model(file)
        dose = 0 if standard else 1 + self.factors.index(pair.factor)
        signal = Dose(factor=1 if standard else pair.factor, mode=str(file.attrs["mode"])).signal
        place = dose, pair.realisation
        return Scan(
            layout=layout, grid=grid, prompts=file["prompts"][place].astype(np.float32),
            factors=file["factors"][:] * np.float32(signal), background=file["background"][place],
            psf_mm=psf_mm, subsets=subsets,
        )

    def lesions(self, number):
        """A phantom's lesions, a structured array (`dataset_file.LESIONS`)."""
        return self.file(number)["lesions"][:]

    def scans(self, number):
        """What was counted and estimated for each image (`dataset_file.SCANS`)."""
        return self.file(number)["scans"][:]
