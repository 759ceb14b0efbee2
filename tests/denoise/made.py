"""Denoisers of known effect, without training."""

import torch
from torch import nn

from denoise.channels import CT_HU
from denoise.checkpoint import Denoiser
from denoise.networks import NETWORKS, network
from denoise.scaling import RULE

VOXEL_MM = [4.0, 4.0, 4.0]


def denoiser(module, *, inputs=("low",), voxel_mm=VOXEL_MM, noise=(0.0, 1.0), **more):
    """A Denoiser of a module, said to be trained on FDG in the demo scanner."""
    return Denoiser(module.eval(), {
        "network": "unet", "arguments": {}, "inputs": list(inputs), "target": "standard",
        "scaling": {"rule": RULE, "ct_hu": CT_HU}, "voxel_mm": list(voxel_mm),
        "domain": {"noise": list(noise), "factors": [4.0, 20.0], "tracers": ["FDG"],
                   "scanners": ["demo"], "kinds": ["person"], "voxels_mm": [list(voxel_mm)]},
        "training": {"studies": [{"phantoms": [1, 2], "validation": [3]}], "seed": 1},
    } | more)


def stirred(name="unet", *, seed=1, **settings):
    """A Denoiser of a small network of ours of which nothing is zero, as after training."""
    small = {"width": 4, "levels": 2}
    settings = {each: small[each] for each in NETWORKS[name][1] if each in small} | settings
    torch.manual_seed(seed)
    made = network(name, settings)
    for each, weights in made.named_parameters():
        if not weights.any() and not each.endswith("bias"):
            torch.nn.init.normal_(weights, std=1.0)
    inputs = ("low", "ct")[: settings.get("inputs", 1)]
    return denoiser(made, inputs=inputs, network=name, arguments=settings)


class Identity(nn.Module):
    """Channel 0 as it is, and a number added."""

    def __init__(self, added=0.0):
        super().__init__()
        self.added = added

    def forward(self, x, noise):
        return x[:, :1] + self.added


class SeesCT(nn.Module):
    """The CT's channel."""

    def forward(self, x, noise):
        return x[:, 1:]


class SeesNoise(nn.Module):
    """The noise level in each voxel."""

    def forward(self, x, noise):
        return torch.zeros_like(x[:, :1]) + noise[:, None, None, None, None]


class Box(nn.Module):
    """Sums of cubes of seven voxels, zero beyond the volume: it looks three voxels far."""

    def forward(self, x, noise):
        return nn.functional.conv3d(x, torch.ones(1, 1, 7, 7, 7), padding=3)
