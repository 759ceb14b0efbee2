"""RED-CNN: a residual encoder and decoder that stays at full resolution.

Source: Chen et al., IEEE TMI 36(12), 2017, whose network has 96 channels and sees slices. This one
differs in three ways: convolutions pad, so that images of any size come back; there is no rectifier
at the end, for reconstructed images may be negative; and the first features are scaled and shifted
by what is known of the noise.
"""

from torch import nn
from torch.nn import functional

from denoise.layers import Embedding, FiLM, check, corrected

_SIZE, _LAYERS = 5, 5
_PASSED = (1, 3)  # convolutions whose features skip to the decoder; the image itself does too


class REDCNN(nn.Module):
    """RED-CNN whose output is the low-dose image and a correction, zero before training.

    A voxel depends on those up to 20 away.

    Args:
        inputs: channels: 1 for the low-dose image, 2 for a CT beside it.
        width: channels of all layers.
        dimensions: 3, or 2 for slices across z by themselves.
        slices: neighbouring slices, an odd number, that a 2D network sees of each.
    Raises:
        ValueError: a setting does not fit.
    """

    def __init__(self, *, inputs=1, width=16, dimensions=3, slices=1):
        super().__init__()
        check("REDCNN", inputs=inputs, width=width, dimensions=dimensions, slices=slices)
        self.dimensions, self.slices = dimensions, slices
        down = getattr(nn, f"Conv{dimensions}d")
        up = getattr(nn, f"ConvTranspose{dimensions}d")
        others = [width] * (_LAYERS - 1)
        self.embed, self.film = Embedding(), FiLM(width)
        self.encoder = nn.ModuleList(
            down(channels, width, _SIZE, padding=_SIZE // 2)
            for channels in (inputs * slices, *others)
        )
        self.decoder = nn.ModuleList(
            up(width, channels, _SIZE, padding=_SIZE // 2) for channels in (*others, 1)
        )
        for layer in (*self.encoder, *self.decoder):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.decoder[-1].weight)

    def forward(self, x, noise):
        """Denoises images; arguments and result as of `denoise.layers.corrected`."""
        return corrected(self._correction, x, noise, dimensions=self.dimensions,
                         slices=self.slices)

    def _correction(self, x, noise):  # (n, channels, ...) -> (n, 1, ...)
        passed = []
        for number, layer in enumerate(self.encoder):
            x = layer(x)
            x = functional.relu(x if number else self.film(x, self.embed(noise)))
            if number in _PASSED:
                passed.append(x)
        for number, layer in enumerate(self.decoder):
            x = layer(functional.relu(x))
            if _LAYERS - 2 - number in _PASSED:  # as deep in the decoder
                x = x + passed.pop()
        return x
