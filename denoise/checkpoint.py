"""A trained network in a file, with all that must be known to use it; reading runs no code of it.

The file is torch's own: a dict of the format's version, the settings as JSON holds them, and the
network's weights.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from denoise.networks import NETWORKS
from recon.io import FileError
from recon.io.files import opened, replacing
from recon.io.provenance import plain

FORMAT = "countless denoiser"
VERSION = 2  # of what the settings mean; another one is refused


@dataclass(frozen=True)
class Denoiser:
    """A network and what it was trained on.

    Attributes:
        network: torch.nn.Module, as `denoise.networks` says, in evaluation mode.
        settings: dict, as JSON holds it:
            network: its name; arguments: its settings (`denoise.networks.network`).
            unrolled: of a reconstruction's network, as `denoise.unrolled.made` takes it, with
                the number of subsets, the model's psf_mm and, where it serves no other, the layout
                of its scans; not there of a denoiser.
            inputs: channels' names, out of "low" and "ct".
            target: "standard", "truth" or "noise2noise".
            scaling: the rule that values are scaled by, as words and numbers.
            voxel_mm: list of three, of the voxels it knows.
            domain: what it was trained on: noise (least and most relative noise), factors,
                tracers, scanners, kinds of phantoms (None of a user's labels), and voxels_mm (sides
                of the images, before they were resampled to the network's).
            training: provenance: studies (of each what `denoise.studies.phantoms_of` says), seed,
                command, version, recipe, and the epoch and its NRMSE.
    """

    network: object
    settings: dict


def save_denoiser(path, denoiser):
    """Writes a Denoiser, whole or not at all; the same one makes the same file.

    Raises:
        FileError: the place cannot be written.
    """
    import torch

    weights = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in denoiser.network.state_dict().items()
    }
    content = {"format": FORMAT, "version": VERSION, "settings": plain(denoiser.settings),
               "weights": weights}
    packed = io.BytesIO()  # torch would write the temporary file's name into the file
    torch.save(content, packed)
    with replacing(path) as name:
        Path(name).write_bytes(packed.getbuffer())


def load_denoiser(path, foreign=None, *, reconstructs=False):
    """Reads a Denoiser.

    Args:
        path: file of `save_denoiser`.
        foreign: import path of the network, where it is none of Countless's own: a file alone
            cannot have a module imported.
        reconstructs: whether it must be an unrolled network; None for either.
    Raises:
        FileError: it cannot be read, is of another version or kind, or its weights do not fit its
            network.
    """
    from denoise.unrolled import made

    content = _content(path)
    settings = content["settings"]
    if reconstructs not in (None, "unrolled" in settings):
        raise FileError(
            f"{path} holds a network that denoises images: `countless denoise --model {path}`, or "
            f"`countless recon --algorithm pnp --model {path}`" if reconstructs else
            f"{path} holds a network that reconstructs scans: `countless recon --algorithm "
            f"{settings['unrolled']['kind']} --model {path}`"
        )
    name = settings["network"]
    if name not in NETWORKS and name != foreign:
        raise FileError(
            f"{path} holds the network {name}, which is none of Countless's own; name it as well, "
            "if you trust it, to have it imported"
        )
    try:
        found = made(settings.get("unrolled"), name, settings["arguments"])
        found.load_state_dict(content["weights"])
    except (ValueError, RuntimeError) as reason:
        raise FileError(
            f"{path} has weights or settings that do not fit the network {name} ({_line(reason)}); "
            "use the version of Countless that made it, or train again"
        ) from reason
    import torch

    if not all(bool(torch.isfinite(weights).all()) for weights in found.state_dict().values()):
        raise FileError(f"{path} has weights that are not finite; train again")
    return Denoiser(found.eval(), settings)


def _content(path):
    """The dict that a checkpoint holds."""
    import torch

    with opened(path) as file:
        packed = io.BytesIO(file.read())
    if not zipfile.is_zipfile(packed):  # of which the unpickler would say a letter's number
        raise FileError(f"{path} is no checkpoint of a network; `countless train` makes model.pt")
    packed.seek(0)
    try:
        content = torch.load(packed, map_location="cpu", weights_only=True)
    except Exception as reason:  # pickle's, zipfile's and torch's own, of many classes
        raise FileError(
            f"{path} is no checkpoint of a network ({_line(reason)}); `countless train` makes one"
        ) from reason
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileError(f"{path} is no checkpoint of a network; `countless train` makes model.pt")
    if content["version"] != VERSION:
        raise FileError(
            f"{path} is a checkpoint of version {content['version']}, and this version of "
            f"Countless reads {VERSION}; use the version that made it, or train again"
        )
    return content


def _line(reason):
    return " ".join(str(reason).split())[:200]
