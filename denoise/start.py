"""A trained network as the start of another training."""

from dataclasses import dataclass

from denoise.channels import CT_HU
from denoise.scaling import RULE
from recon.io import FileError
from recon.io.provenance import sha256


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """Where a training begins.

    Attributes:
        weights: of the network, as torch's state_dict.
        sha256: of the checkpoint's file.
        domain, training: what the checkpoint says of what it was trained on.
        unrolled: whether they are of an unrolled network, rather than of a denoiser.
    """

    weights: dict
    sha256: str
    domain: dict
    training: dict
    unrolled: bool = False

    def told(self):
        """What the checkpoint of the new training says of it."""
        return {"sha256": self.sha256, "domain": self.domain, "training": self.training}


def read_start(path, recipe):
    """The Start in a checkpoint.

    Args:
        path: file that `countless train` made; of a denoiser, too, for an unrolled network.
        recipe: Recipe of the training that begins with it.
    Raises:
        FileError: it cannot be read, or is not of the recipe's network, channels or scale.
    """
    from denoise.checkpoint import load_denoiser

    denoiser = load_denoiser(path, foreign=recipe.network, reconstructs=None)
    wanted = {"network": recipe.network, "inputs": list(recipe.inputs),
              "arguments": recipe.arguments, "scaling": {"rule": RULE, "ct_hu": CT_HU}}
    if recipe.unrolled and "unrolled" in denoiser.settings:
        wanted["unrolled"] = recipe.unrolling
    there, ours = _kind(denoiser.settings), _kind(wanted)
    for name in ours | there:
        if there.get(name) != ours.get(name):
            raise FileError(
                f"--start takes a network of the same settings: {path} has {name} "
                f"{there.get(name)}, and this training {ours.get(name)}; change the setting, or "
                "leave --start out"
            )
    return Start(
        weights=denoiser.network.state_dict(), sha256=sha256(path),
        domain=denoiser.settings["domain"], training=denoiser.settings["training"],
        unrolled="unrolled" in denoiser.settings,
    )


def _kind(settings):
    """What must be the same of two networks, flat."""
    found = {"network": settings["network"], "channels": ", ".join(settings["inputs"]),
             **settings["arguments"], **settings["scaling"]}
    said = settings.get("unrolled", {})
    return found | {name: said[name] for name in ("kind", "blocks", "updates", "shared")
                    if name in said}
