"""What the networks share: how they are told of noise, and volumes of any size, or their slices.

Sources: features that are scaled and shifted by what is known (FiLM): Perez et al., AAAI 2018.
"""

import math

import torch
from torch import nn
from torch.nn import functional

LEAST_NOISE = 1e-3  # relative noise below which an image is as good as without
_EMBEDDED = 32  # features of the noise level


def log_noise(noise):
    """What networks are told of relative noise."""
    return noise.clamp(min=LEAST_NOISE).log()


class Embedding(nn.Sequential):
    """Features of relative noise: (n,) -> (n, features)."""

    def __init__(self):
        super().__init__(nn.Linear(1, _EMBEDDED), nn.SiLU(),
                         nn.Linear(_EMBEDDED, _EMBEDDED), nn.SiLU())

    def forward(self, noise):
        return super().forward(log_noise(noise)[:, None])


class FiLM(nn.Linear):
    """Features (n, channels, ...), each scaled and shifted by what an Embedding knows."""

    def __init__(self, channels):
        super().__init__(_EMBEDDED, 2 * channels)
        nn.init.zeros_(self.bias)

    def forward(self, x, known):
        found = super().forward(known).to(x.dtype)
        scale, shift = found[(..., *[None] * (x.dim() - 2))].chunk(2, 1)
        return torch.addcmul(shift, x, 1 + scale)


def corrected(found, x, noise, *, dimensions, slices=1, multiple=1, by=torch.add):
    """Low-dose images with what a network finds to change.

    Args:
        found: takes scaled images (n, channels, ...) with two or three axes and noise (n,), and
            returns (n, corrections, ...).
        x: (n, inputs, x, y, z), of any size; channel 0 is the low-dose image, scaled.
        noise: (n,), relative noise in the body, as `denoise.scaling.measure` finds it.
        dimensions: 3, or 2 where `found` takes slices across z by themselves.
        slices: of which each is shown with its neighbours, so many in all, as channels.
        multiple: of which `found` takes a number of voxels along each axis.
        by: takes the low-dose image and the corrections, and returns what comes of them.
    Returns:
        (n, 1, x, y, z), in the unit of channel 0.
    """
    image, count = x[:, :1], len(x)
    if dimensions == 2:
        noise = noise.repeat_interleave(x.shape[-1])
        x, image = _slices(x, slices), _slices(image, 1)
    within = (..., *(slice(size) for size in image.shape[2:]))
    corrections = found(padded(x, multiple), noise)[within]
    image = by(image.to(torch.promote_types(image.dtype, torch.float32)), corrections)
    return _volumes(image, count) if dimensions == 2 else image


def padded(x, multiple):
    """With its last voxels repeated, up to a multiple along each axis."""
    lacking = [-size % multiple for size in x.shape[2:]]
    if not any(lacking):
        return x
    return functional.pad(x, [n for lack in reversed(lacking) for n in (0, lack)], mode="replicate")


def _slices(x, slices):  # (n, c, x, y, z) -> (n z, c slices, x, y)
    beside = slices // 2
    x = functional.pad(x, (beside, beside, 0, 0, 0, 0), mode="replicate")
    x = x.unfold(-1, slices, 1).permute(0, 4, 1, 5, 2, 3)
    return x.reshape(-1, x.shape[2] * slices, *x.shape[4:])


def _volumes(x, count):  # (n z, 1, x, y) -> (n, 1, x, y, z)
    return x.reshape(count, -1, *x.shape[1:]).permute(0, 2, 3, 4, 1)


def check(network, *, dimensions, slices, **counts):
    """Refuses settings that no network can be made of.

    Args:
        network: its name, for the message.
        dimensions, slices: as `corrected` takes them.
        counts: numbers of channels and the like, by name.
    Raises:
        ValueError: a setting does not fit.
    """
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{network} takes a whole number from 1 of {name}, got {value!r}")
    if dimensions not in (2, 3):
        raise ValueError(f"{network} takes 2 or 3 dimensions, got {dimensions!r}")
    if slices < 1 or math.remainder(slices, 2) == 0 or (slices > 1 and dimensions == 3):
        raise ValueError(
            f"{network} takes an odd number of slices, and more than 1 in 2 dimensions alone, got "
            f"{slices} in {dimensions}"
        )
