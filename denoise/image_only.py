"""Networks that take images alone, such as MONAI's, as denoisers."""

import torch
from torch import nn

from denoise.layers import corrected, log_noise

MULTIPLE = 16  # of which a module is given voxels along each axis: it may halve them four times


class ImageOnly(nn.Module):
    """A module that takes images alone, shown the noise as a channel, whose answer is added.

    Args:
        module: takes (n, inputs + 1, x, y, z), of which the last channel holds the logarithm of the
            relative noise and x, y and z are multiples of 16, and returns (n, 1, x, y, z), what is
            to be added to channel 0. Layers that normalize over voxels, as MONAI's do if not told
            otherwise, make a voxel depend on the whole of a tile or a patch.
    """

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x, noise):
        """Denoises images; arguments and result as of `denoise.layers.corrected`."""
        return corrected(self._correction, x, noise, dimensions=3, multiple=MULTIPLE)

    def _correction(self, x, noise):  # (n, channels, x, y, z) -> (n, 1, x, y, z)
        level = log_noise(noise).to(x.dtype)[:, None, None, None, None]
        return self.module(torch.cat((x, level.expand_as(x[:, :1])), 1))
