"""A conditional patch discriminator: is this the better image of that low-dose one, place by place?

It sees the low-dose image, a candidate for the better one, the candidate's fine detail by itself,
and how noisy the low dose is. Of an image it gives a score for each block of 4 voxels, from the 28
around it: texture is judged, and not the whole image.

Weights are divided by their largest singular values: a score then moves little with a voxel, and
what it teaches the generator stays bounded. Unlike normalization by a batch or an image it leaves
how strong the noise is, which is to be judged, and scores do not hang on what else a batch holds.

Sources: Isola et al., CVPR 2017 (conditional patch discriminator); Miyato et al., ICLR 2018
(spectral normalization).
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from denoise.layers import log_noise

DETAIL = 30.0  # gain: noise of a few per cent is as loud as an image, and is else not learned from
_WIDTH = 16
_SLOPE = 0.2  # of the rectifiers where negative


class Discriminator(nn.Module):
    """Scores of a candidate, to be 1 where it is a better image and 0 where a network made it.

    Args:
        dimensions: 3, or 2 for slices across z by themselves.
    """

    def __init__(self, *, dimensions=3):
        super().__init__()
        self.dimensions = dimensions
        kind = getattr(nn, f"Conv{dimensions}d")
        self.layers = nn.Sequential(
            spectral_norm(kind(4, _WIDTH, 4, stride=2, padding=1)), nn.LeakyReLU(_SLOPE),
            spectral_norm(kind(_WIDTH, 2 * _WIDTH, 4, stride=2, padding=1)), nn.LeakyReLU(_SLOPE),
            spectral_norm(kind(2 * _WIDTH, 4 * _WIDTH, 3, padding=1)), nn.LeakyReLU(_SLOPE),
            spectral_norm(kind(4 * _WIDTH, 1, 3, padding=1)),
        )

    def forward(self, low, candidate, noise):
        """Scores.

        Args:
            low, candidate: (n, 1, x, y, z), scaled, of 4 voxels along each axis or more; in
                2 dimensions along x and y.
            noise: (n,), relative noise of the low-dose image.
        Returns:
            (n, 1, x // 4, y // 4, z // 4); in 2 dimensions (n z, 1, x // 4, y // 4).
        """
        if self.dimensions == 2:
            noise = noise.repeat_interleave(low.shape[-1])
            low, candidate = (image.permute(0, 4, 1, 2, 3).flatten(0, 1)  # (n z, 1, x, y)
                              for image in (low, candidate))
        mean = getattr(functional, f"avg_pool{self.dimensions}d")(
            candidate, 3, stride=1, padding=1, count_include_pad=False
        )
        # In hot organs noise is stronger, about as they are.
        detail = DETAIL * (candidate - mean) / mean.clamp(min=1.0)
        level = log_noise(noise)[(..., *[None] * (low.dim() - 1))]
        level = level.expand(-1, 1, *low.shape[2:]).to(low.dtype)
        return self.layers(torch.cat((low, candidate, detail, level), 1))
