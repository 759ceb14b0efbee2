"""Applies trained networks to an image: scaled, on the voxels they know, in tiles, and back."""

import itertools
import sys
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from denoise.domain import outside
from denoise.network_input import NetworkInput
from denoise.networks import answer
from denoise.scaling import Scaling
from denoise.tiling import Tiling, tiled
from recon.grid import Grid
from recon.resampling import resample

FLIPS = tuple(itertools.product((False, True), repeat=3))
PRECISIONS = ("float32", "bfloat16")
TILING = Tiling()


@dataclass(frozen=True, kw_only=True, eq=False)
class Denoised:
    """An image without most of its noise, and what is to be known of it.

    Attributes:
        image: (x, y, z) float32, in the unit and on the Grid of the image that was given.
        scaling: Scaling of that image on the networks' voxels.
        network_grid: Grid of these voxels; the image's own where they are alike.
        uncertainty: (x, y, z) float32 in the image's unit, None where it was not asked for.
        notes: sentences on what was done beyond the plain case.
        warnings: sentences on where the image lies outside what the networks were trained on.
        device: words.
    """

    image: np.ndarray
    scaling: Scaling
    network_grid: Grid
    uncertainty: np.ndarray | None
    notes: list
    warnings: list
    device: str


def denoise(image, grid, denoisers, *, ct=None, ct_grid=None, tracer=None, scanner=None,
            uncertainty=False, device="auto", precision="float32", tiling=TILING, progress=True):
    """An image with less noise.

    Args:
        image: (x, y, z) of activity in any unit.
        grid: its Grid.
        denoisers: `denoise.checkpoint.Denoiser`, or a list of them, whose results are averaged.
        ct: (x, y, z) in HU, for networks that see it.
        ct_grid: its Grid; the image's where it is None.
        tracer, scanner: of the image, where they are known; they are compared with the networks'.
        uncertainty: also find the standard deviation, over the networks where there are several,
            else over the image turned over along its axes in all eight ways, whose results are
            averaged. It says how far the network's answer is arbitrary, and not how far it is from
            the truth.
        device: "auto", "cpu" or "cuda".
        precision: of the network's features, "float32" or "bfloat16", which moves what the network
            changes by 1 to 2 % (RMS) and is many times slower on CPUs without instructions for it.
        tiling: Tiling, which bounds the memory.
        progress: whether a bar shows what takes more than a second.
    Returns:
        Denoised.
    Raises:
        ValueError: the image has NaN, infinite or no positive values, its voxels are too far from
            a network's, or there is no CT where one is needed.
    """
    denoisers = list(denoisers) if isinstance(denoisers, list | tuple) else [denoisers]
    device, words = find_device(device)
    if precision not in PRECISIONS:
        raise ValueError(f"precision takes {' or '.join(PRECISIONS)}, got {precision!r}")
    inputs = [NetworkInput.of(image, grid, each, ct, ct_grid) for each in denoisers]
    flips = FLIPS if uncertainty and len(denoisers) == 1 else FLIPS[:1]
    cut = [tiling.tiles(each.volume.shape[1:]) for each in inputs]
    total = len(flips) * sum(len(tiles) for tiles in cut)
    mean, squares, count = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32), 0
    with tqdm(total=total, desc="denoising", unit=" tiles", delay=1, file=sys.stderr,
              dynamic_ncols=True, disable=not progress) as bar:
        for denoiser, each in zip(denoisers, inputs, strict=True):
            network = _network(denoiser, each.scaling.noise, device, precision)
            for flip in flips:
                found = _flipped(network, each.volume, flip, tiling, bar.update)
                found *= np.float32(each.scaling.level)
                if each.grid != grid:
                    found = resample(found, each.grid, grid)
                count += 1  # Welford's recurrence: one image more in memory, and no cancellation
                change = found - mean
                mean += change / np.float32(count)
                squares += change * (found - mean)
    return Denoised(
        image=mean,
        scaling=inputs[0].scaling,
        network_grid=inputs[0].grid,
        uncertainty=np.sqrt(squares / np.float32(count - 1)) if uncertainty else None,
        notes=_once(note for each in inputs for note in each.notes),
        warnings=_once(
            warning for denoiser, each in zip(denoisers, inputs, strict=True)
            for warning in outside(denoiser.settings, each.scaling, grid.voxel_mm, tracer, scanner)
        ),
        device=words,
    )


def find_device(device="auto"):
    """Where networks run: "cpu" or "cuda", and why, in words.

    Raises:
        ValueError: an unknown device, or "cuda" where torch sees no GPU.
    """
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device takes auto, cpu or cuda, got {device!r}")
    if device != "cpu" and torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name()
    if device == "cuda":
        raise ValueError(
            "device cuda was asked for, and torch sees no GPU; install a build of torch for your "
            "driver, or leave the device to auto"
        )
    without = "as asked" if device == "cpu" else "for torch sees no GPU"
    return "cpu", f"{torch.get_num_threads()} CPU threads, {without}"


def _network(denoiser, noise, device, precision):
    """A network as a function of a part of the volume, for one image."""
    import torch

    network = denoiser.network.to(device).eval()
    noise = torch.tensor([noise], dtype=torch.float32, device=device)
    half = precision == "bfloat16"

    def applied(part):
        try:
            with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=half):
                x = torch.from_numpy(part)[None].to(device)
                return answer(network, x, noise)[0, 0].float().cpu().numpy()
        except torch.OutOfMemoryError as reason:
            raise ValueError(
                f"a tile of {' × '.join(map(str, part.shape[1:]))} voxels takes more memory than "
                f"{device} has; give a smaller tile"
            ) from reason

    return applied


def _flipped(network, volume, flip, tiling, done):
    """What a network makes of a volume turned over along some axes, turned back."""
    axes = [axis for axis, over in enumerate(flip) if over]
    turned = np.flip(volume, [axis + 1 for axis in axes])
    return np.flip(tiled(network, turned, tiling, done), axes)


def _once(sentences):
    """The sentences in order, none twice."""
    return list(dict.fromkeys(sentences))
