"""What is compared: images at low and standard dose as they are, denoised, or made another way."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.image_metrics import around
from benchmarks.reconstructions import RECONSTRUCTIONS, Reconstruction, find_reconstruction
from denoise import scaling
from denoise.baselines import BASELINES, find_baseline
from denoise.shipped import find_model, shipped
from denoise.studies import phantoms_of, same_phantoms
from recon.io import FileError
from recon.io.provenance import sha256
from sim.dataset import Pair, StoredStudy, open_study

SOURCES = ("low", "standard")
AROUND_MM = 32.0  # beyond the body, where baselines look no farther


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to an image.

    Attributes:
        name: as it was asked for.
        source: the image it begins with, out of SOURCES.
        denoiser: None for that image itself, a Baseline, a `denoise.checkpoint.Denoiser`, or a
            Reconstruction of the image's scan.
        sha256: of a checkpoint, None without one.
    """

    name: str
    source: str
    denoiser: object = None
    sha256: str | None = None

    @property
    def tuned(self):
        """Whether it has a strength, which validation images say."""
        return self.parameter is not None

    @property
    def baseline(self):
        """Whether it is tuned, and no network has a part in it."""
        return self.tuned and getattr(self.denoiser, "learned", None) is None

    @property
    def parameter(self):
        """What its strength is called; None without one."""
        return getattr(self.denoiser, "parameter", None)

    @property
    def reconstructs(self):
        """Whether it begins with the scan of an image."""
        return isinstance(self.denoiser, Reconstruction)

    @property
    def settings(self):
        """Of a network (`denoise.checkpoint.Denoiser`), None of all else."""
        if self.sha256 is None:
            return None
        return self.denoiser.learned.settings if self.reconstructs else self.denoiser.settings

    @property
    def domain(self):
        """What a network was trained on (`denoise.checkpoint`), None of all else."""
        return self.settings["domain"] if self.sha256 else None

    def factors(self, data):
        """Dose reduction factors of the images of a StoredStudy that it begins with."""
        return (1.0,) if self.source == "standard" else data.factors

    def pair(self, data, number, factor, realisation):
        """The Pair of such an image."""
        factor = data.factors[0] if self.source == "standard" else factor
        return Pair(number=number, factor=factor, realisation=realisation)

    def input(self, data, pair):
        """What it begins with of a StoredStudy's Pair: an image (x, y, z) in Bq/mL, or a Scan.

        Raises:
            FileError: it begins with a scan, and the study keeps none.
        """
        if self.reconstructs:
            return data.scan(pair, standard=self.source == "standard")
        return data.read(pair, (self.source,))[self.source]

    def image(self, image, grid, body, strength=None, ct=None, device="cpu"):
        """What it makes of an image.

        Args:
            image: of `input`.
            grid: Grid.
            body: bool (x, y, z), whose surroundings alone a baseline is worked out in.
            strength: of what is `tuned`.
            ct: (x, y, z) in HU.
            device: "cpu" or "cuda", of reconstructions and networks; baselines are on the CPU.
        Returns:
            (x, y, z) float32; beyond the body a baseline leaves the image as it is.
        """
        if self.denoiser is None:
            return image
        if self.reconstructs:
            return self.denoiser(image, ct, strength, device)
        if not self.tuned:
            from denoise.inference import denoise

            return denoise(image, grid, self.denoiser, ct=ct, device=device, progress=False).image
        box = around(body, int(np.ceil(AROUND_MM / min(grid.voxel_mm))))
        found, measured = image.copy(), scaling.measure(image, grid.voxel_mm)
        found[box] = self.denoiser(image[box], grid.voxel_mm, measured, strength, ct[box])
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """A study with the methods that are compared in it; other processes open both by their names.

    Attributes:
        data: StoredStudy.
        methods: list of Method.
        names: by which `find_methods` finds them.
    """

    data: StoredStudy
    methods: list
    names: tuple

    def __reduce__(self):
        return _opened, (self.data.folder, self.names)


@functools.cache
def _opened(folder, names):
    """A Compared that a worker keeps from one task to the next."""
    return Compared(data=open_study(folder), methods=find_methods(names), names=names)


def factor_of(source, factor):
    """The dose reduction factor of a source's images that are compared at one: 1 of the standard.

    Args:
        source: out of SOURCES.
        factor: dose reduction factor of the low-dose images.
    """
    return 1.0 if source == "standard" else factor


def find_methods(names):
    """The Methods of names, a list.

    A name is `low` or `standard` for that image itself; a baseline's, a shipped model's or a
    checkpoint's file for what it makes of the low-dose image; a reconstruction's for what it makes
    of its scan; or `standard:` and one of these for what it makes at the standard dose.

    Raises:
        ValueError: there is no such method, or one twice.
        FileError: a checkpoint cannot be read.
    """
    found = [_find(name) for name in names]
    if len({method.name for method in found}) < len(found):
        raise ValueError(
            "--methods takes each method once, and models by different names of file or run, got "
            f"{' '.join(map(str, names))}"
        )
    return found


def check_unseen(methods, data):
    """Refuses a model that was trained on what it is tested with.

    Args:
        methods: list of Method.
        data: StoredStudy.
    Raises:
        ValueError: phantoms of the test split are among those that the checkpoint was trained on or
            validated with, of this study or of another that draws them from the same seed, at other
            doses or in another scanner for instance.
    """
    tested = phantoms_of(data)
    for method in methods:
        if method.sha256 is None:
            continue
        seen, training = set(), method.settings["training"]
        while training:  # a network may have started from another one's weights
            seen |= set(data.numbers["test"]) & {
                number for study in training["studies"] if same_phantoms(study, tested)
                for number in (*study["phantoms"], *study["validation"])
            }
            training = (training.get("start") or {}).get("training")
        if seen:
            raise ValueError(
                f"{method.name} was trained on phantoms {', '.join(map(str, sorted(seen)))} of "
                "this study, or of one with its seed, or validated with them, and they are in its "
                "test split; test it on others"
            )


def _find(name):
    source, _, what = name.rpartition(":")
    source = source or "low"
    if source not in SOURCES:
        raise ValueError(f"--methods takes NAME or standard:NAME, got {name!r}")
    if what in SOURCES:
        return Method(name=name, source=what)
    reconstruction, digest = find_reconstruction(what)
    if reconstruction:
        return Method(name=_named(source, what, Path(what)), source=source,
                      denoiser=reconstruction, sha256=digest)
    if Path(what).suffix or what in shipped():
        from denoise.checkpoint import load_denoiser

        path = find_model(what)
        if not path.is_file():
            raise FileError(f"--methods names {what}, and there is no such checkpoint")
        return Method(name=_named(source, what, path), source=source,
                      denoiser=load_denoiser(path), sha256=sha256(path))
    try:
        return Method(name=name, source=source, denoiser=find_baseline(what))
    except ValueError as reason:
        known = *BASELINES, *RECONSTRUCTIONS, *shipped(), *shipped(reconstruct=True)
        raise ValueError(
            f"--methods takes low, standard, {', '.join(known)} or a "
            "checkpoint's file, and standard: before these for the standard-dose image, got "
            f"{name!r}; {reason}"
        ) from reason


def _named(source, what, path):
    """The name of a method: every run of `countless train` writes a model.pt, so its folder's."""
    name = what
    if path.suffix == ".pt":
        name = path.resolve().parent.name if path.stem == "model" else path.stem
    return f"standard:{name}" if source == "standard" else name


def body_of(data, number):
    """The body of a phantom of a StoredStudy: all that is not air around it, bool (x, y, z)."""
    return data.file(number)["labels"][:] > 0
