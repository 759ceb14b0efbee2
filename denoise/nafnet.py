"""NAFNet: a U-shaped network whose nonlinearity is a product of features.

Source: Chen et al., "Simple baselines for image restoration", ECCV 2022. Its simplified channel
attention weights channels by their means over the image, by which a voxel would hang on what else a
tile or a patch holds; here channels are weighted by what is known of the noise instead, after each
normalization, which is over the channels of a voxel alone.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional

from denoise.layers import Embedding, FiLM, check, corrected

BLOCKS = 2  # at each level, on the way down and up
_EPSILON = 1e-6  # of the normalization, as in the paper


class NAFNet(nn.Module):
    """NAFNet whose output is the low-dose image and a correction, zero before training.

    A voxel depends on those up to 7 · 2**levels - 3 away.

    Args:
        inputs: channels: 1 for the low-dose image, 2 for a CT beside it.
        width: channels at full resolution; they double at each level below.
        levels: how often the resolution is halved.
        dimensions: 3, or 2 for slices across z by themselves.
        slices: neighbouring slices, an odd number, that a 2D network sees of each.
    Raises:
        ValueError: a setting does not fit.
    """

    def __init__(self, *, inputs=1, width=16, levels=3, dimensions=3, slices=1):
        super().__init__()
        check("NAFNet", inputs=inputs, width=width, levels=levels, dimensions=dimensions,
              slices=slices)
        self.levels, self.dimensions, self.slices = levels, dimensions, slices
        widths = [width * 2**level for level in range(levels + 1)]
        kind = getattr(nn, f"Conv{dimensions}d")
        up = getattr(nn, f"ConvTranspose{dimensions}d")
        self.embed = Embedding()
        self.intro = kind(inputs * slices, width, 3, padding=1)
        self.encoder = nn.ModuleList(_blocks(kind, channels) for channels in widths)
        self.downsample = nn.ModuleList(
            kind(a, b, 2, stride=2) for a, b in itertools.pairwise(widths)
        )
        # The same as the paper's convolution of a single voxel whose channels become voxels.
        self.upsample = nn.ModuleList(
            up(b, a, 2, stride=2) for a, b in itertools.pairwise(widths)
        )
        self.decoder = nn.ModuleList(_blocks(kind, channels) for channels in widths[:-1])
        self.head = kind(width, 1, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x, noise):
        """Denoises images; arguments and result as of `denoise.layers.corrected`."""
        return corrected(self._correction, x, noise, dimensions=self.dimensions,
                         slices=self.slices, multiple=2**self.levels)

    def _correction(self, x, noise):  # (n, channels, ...) -> (n, 1, ...)
        known, passed = self.embed(noise), []
        x = self.intro(x)
        for level in range(self.levels):
            for block in self.encoder[level]:
                x = block(x, known)
            passed.append(x)
            x = self.downsample[level](x)
        for block in self.encoder[-1]:
            x = block(x, known)
        for level in reversed(range(self.levels)):
            x = passed[level] + self.upsample[level](x)
            for block in self.decoder[level]:
                x = block(x, known)
        return self.head(x)


class Block(nn.Module):
    """What is found around a voxel, and then in it, each added by a learned part, first 0."""

    def __init__(self, kind, channels):
        super().__init__()
        twice = 2 * channels
        self.told_around, self.told_within = FiLM(channels), FiLM(channels)
        self.around = nn.ModuleList((
            Pointwise(channels, twice), kind(twice, twice, 3, padding=1, groups=twice),
            Pointwise(channels, channels),
        ))
        self.within = nn.ModuleList((Pointwise(channels, twice), Pointwise(channels, channels)))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.gamma = nn.Parameter(torch.zeros(channels))

    def forward(self, x, known):
        widen, spread, narrow = self.around
        found = narrow(_gated(spread(widen(self.told_around(_normalized(x), known)))))
        x = x + _over_voxels(self.beta, x) * found
        widen, narrow = self.within
        found = narrow(_gated(widen(self.told_within(_normalized(x), known))))
        return x + _over_voxels(self.gamma, x) * found


class Pointwise(nn.Linear):
    """A convolution of a single voxel.

    As a product of matrices it rounds the same for any number of threads; torch's convolution of a
    single voxel does not.
    """

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def _blocks(kind, channels):
    return nn.ModuleList(Block(kind, channels) for _ in range(BLOCKS))


def _gated(x):
    one, other = x.chunk(2, 1)
    return one * other


def _normalized(x):
    x = x.movedim(1, -1)
    return functional.layer_norm(x, x.shape[-1:], eps=_EPSILON).movedim(-1, 1)


def _over_voxels(weights, x):
    return weights.to(x.dtype)[(..., *[None] * (x.dim() - 2))]
