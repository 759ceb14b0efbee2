"""Networks by name: our own, or any module by the path that it is imported by."""

import importlib
import inspect

from recon.config import nearest

# Where each is, and which of a recipe's settings it takes.
NETWORKS = {
    "unet": ("denoise.unet:UNet",
             ("width", "levels", "dimensions", "slices", "keeps", "fusion")),
    "redcnn": ("denoise.redcnn:REDCNN", ("width", "dimensions", "slices")),
    "nafnet": ("denoise.nafnet:NAFNet", ("width", "levels", "dimensions", "slices")),
}


def network(name, settings):
    """A network, not yet trained.

    Args:
        name: out of NETWORKS, or `package.module:Class` of a `torch.nn.Module` whose
            forward(x, noise) takes (n, inputs, x, y, z) scaled images and (n,) relative noise, and
            returns (n, 1, x, y, z), or whose forward(x) is as `denoise.image_only` takes it.
        settings: its keyword arguments.
    Raises:
        ValueError: no such name or class, or settings that it does not take.
    """
    from torch import nn

    from denoise.image_only import ImageOnly

    found = _imported(NETWORKS[name][0] if name in NETWORKS else name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"network takes the path of a class of torch.nn.Module, got {name}")
    try:
        made = found(**settings)
    except Exception as reason:  # of many classes, where the network is the user's
        if name in NETWORKS and isinstance(reason, ValueError):
            raise
        raise ValueError(
            f"{name} cannot be made of the settings {settings}: {_line(reason)}"
        ) from reason
    return made if _takes_noise(made) else ImageOnly(made)


def answer(made, x, noise):
    """What a network makes of images.

    Args:
        made: as of `network`.
        x: (n, inputs, x, y, z), scaled.
        noise: (n,).
    Returns:
        (n, 1, x, y, z).
    Raises:
        ValueError: it takes no such images, or answers with something else.
    """
    import torch

    from denoise.image_only import ImageOnly

    wanted = (len(x), 1, *x.shape[2:])
    try:
        found = made(x, noise)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as reason:
        more = " and a channel of noise" if isinstance(made, ImageOnly) else ""
        raise ValueError(
            f"the network does not take images (n, channels, x, y, z) of {tuple(x.shape)}{more}: "
            f"{_line(reason)}; give it other settings, or other sizes of patches or tiles"
        ) from reason
    if getattr(found, "shape", None) != wanted:
        raise ValueError(
            f"the network takes images (n, channels, x, y, z) of {tuple(x.shape)} and answers with "
            f"{wanted}, got {tuple(getattr(found, 'shape', ())) or type(found).__name__}; give it "
            "other settings"
        )
    return found


def check_takes(made, inputs, patch):
    """Refuses a network that does not answer a patch with an image of its size.

    Args:
        made: as of `network`.
        inputs: number of its channels.
        patch: voxels along x, y and z.
    Raises:
        ValueError: as for `answer`.
    """
    import torch

    with torch.inference_mode():
        answer(made.eval(), torch.zeros(1, inputs, *patch), torch.full((1,), 0.1))


def _takes_noise(module):
    """Whether a module's forward takes the noise beside images."""
    parameters = inspect.signature(module.forward).parameters
    needed = [each for each in parameters.values() if each.default is each.empty]
    return "noise" in parameters or len(needed) > 1


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


def _line(reason):
    return " ".join(str(reason).split())[:300]
