"""Reconstructions that are compared with denoised images: `countless recon`'s, of a stored scan."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from denoise.shipped import shipped
from recon import backend
from recon.io.provenance import sha256
from recon.method import Method

_CT = Path("ct")  # stands for the study's own, which lies in no file of its own


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """A reconstruction with a knob, or a network's, which has none.

    Attributes:
        algorithm: of `recon.method.Method`.
        parameter: the knob's name: strength, or passes; None without.
        range: of the knob, least and most.
        passes: over all subsets, where they are not the knob.
        guided: whether it sees the CT.
        learned: of `denoise.reconstruction.find_algorithm`, for a learned algorithm.
    """

    algorithm: str
    parameter: str | None = None
    range: tuple[float, float] | None = None
    passes: int = 3
    guided: bool = False
    learned: object = None

    def __call__(self, scan, ct, value=None, device="cpu"):
        """The image (x, y, z) of a `sim.dataset.Scan`, in Bq/mL.

        Args:
            scan: Scan.
            ct: (x, y, z) in HU.
            value: of the knob.
            device: "cpu" or "cuda".
        Raises:
            ValueError: a network that does not serve such scans.
        """
        passes = self.learned.passes if getattr(self.learned, "blocks", False) else self.passes
        if self.parameter == "passes":
            passes, value = max(round(value), 1), None
        return next(self.after([passes], scan, ct, value, device))

    def after(self, passes, scan, ct, strength=None, device="cpu", said=None):
        """Yields the image (x, y, z) after each of several numbers of passes, all of one run.

        Args:
            passes: whole numbers from 1, ascending; of blocks, for an unrolled network.
            scan, ct, device: as for `__call__`.
            strength: where that is the knob.
            said: dict that gets what the algorithm says of itself, its warnings for instance.
        Raises:
            ValueError: as `__call__`, or passes do not ascend from 1.
        """
        from denoise.unrolled import inside, subsets_of

        if min(np.diff([0, *passes])) < 1:
            raise ValueError(f"after takes ascending numbers of passes from 1, got {passes}")
        learned = self.learned
        if learned is not None:
            learned.check(scan.grid, scan.layout, device)
            if strength is not None:
                learned = learned.of_strength(strength)
        method = Method.of(
            algorithm=self.algorithm, prior=None, strength=None if learned else strength,
            epsilon=None, tolerance=None, anatomy=_CT if self.guided else None, learned=learned,
        )
        data = subsets_of(scan, 1 if method.blocks else scan.subsets, device)
        guide = backend.to_device(np.ascontiguousarray(ct), device) if self.guided else None
        images = method.images(data, inside(data), guide, {} if said is None else said)
        for more in np.diff([0, *passes]):
            image = next(islice(images, int(more) * data.number - 1, None))
            yield backend.to_device(image, "cpu").copy()


def find_reconstruction(name):
    """The Reconstruction of a name or of an unrolled network's file, and its network's SHA-256.

    Returns:
        Reconstruction and SHA-256, None of both where the name is none of these.
    Raises:
        FileError: a file that cannot be read.
    """
    if name in RECONSTRUCTIONS:
        made = RECONSTRUCTIONS[name]()
        path = made.learned.path if made.learned else None
        return made, sha256(path) if path else None
    path = shipped(reconstruct=True).get(name) or Path(name)
    kind = _kind(path)
    if kind is None:
        return None, None
    made = _learned(kind, model=str(path))
    guided = "ct" in made.settings["inputs"]
    return Reconstruction(algorithm=kind, guided=guided, learned=made), sha256(path)


def _kind(path):
    """The algorithm of an unrolled network's file; None of any other."""
    if path.suffix != ".pt" or not path.is_file():
        return None
    from denoise.checkpoint import load_denoiser

    said = load_denoiser(path, reconstructs=None).settings.get("unrolled")
    return said["kind"] if said else None


def _learned(algorithm, **options):
    from denoise.reconstruction import find_algorithm  # torch comes with it

    return find_algorithm(algorithm, **options)


RECONSTRUCTIONS = {
    "osem": lambda: Reconstruction(algorithm="osem", parameter="passes", range=(1, 6)),
    "map-rdp": lambda: Reconstruction(algorithm="svrg", parameter="strength", range=(1e-3, 0.3),
                                      passes=10),
    "kem": lambda: Reconstruction(algorithm="kem", parameter="passes", range=(1, 16), guided=True),
    "pnp": lambda: Reconstruction(algorithm="pnp", parameter="strength", range=(0.01, 1.0),
                                  passes=4, learned=_learned("pnp")),
    "dip": lambda: Reconstruction(algorithm="dip", parameter="passes", range=(1, 8), guided=True,
                                  learned=_learned("dip")),
}
