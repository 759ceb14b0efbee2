"""Networks by name: our own, or any module by the path that it is imported by."""

import importlib

from recon.config import nearest

NETWORKS = {"unet": "denoise.unet:UNet"}


def network(name, settings):
    """A network, not yet trained.

    Args:
        name: out of NETWORKS, or `package.module:Class` of a `torch.nn.Module` whose
            forward(x, noise) takes (n, inputs, x, y, z) scaled images and (n,) relative noise, and
            returns (n, 1, x, y, z).
        settings: its keyword arguments.
    Raises:
        ValueError: no such name or class, or settings that it does not take.
    """
    from torch import nn

    found = _imported(NETWORKS.get(name, name))
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"network takes the path of a class of torch.nn.Module, got {name}")
    try:
        return found(**settings)
    except TypeError as reason:
        raise ValueError(f"{name} cannot be made of the settings {settings}: {reason}") from reason


def _imported(path):
    module, _, name = path.partition(":")
    if not name:
        raise ValueError(
            f"network takes {', '.join(NETWORKS)} or a path `package.module:Class`, got {path!r}; "
            f"{nearest(path, list(NETWORKS))}"
        )
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as reason:
        raise ValueError(
            f"network {path} cannot be imported ({reason}); install it, or correct the path"
        ) from reason
