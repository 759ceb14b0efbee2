"""A residual U-Net for volumes, in 3D, in slices, or in slices with their neighbours.

It takes scaled low-dose images and how noisy they are, so that one network serves all doses. It
has no normalization layer: what it does to a voxel depends on the voxels around it alone and not
on what else a patch or a tile holds.

Sources: the U-Net of Ronneberger, Fischer & Brox, MICCAI 2015; that a voxel's neighbours are
weighted by a network, Bako et al., ACM TOG 36(4), 2017. Early, intermediate and late fusion are the
fusion of inputs, layers and decisions of Zhou, Ruan & Canu, Array 3-4, 2019; that features of a
second encoder are added to those of the first, Hazirbas et al. (FuseNet), ACCV 2016.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional

from denoise.layers import Embedding, FiLM, check, corrected

KEEPS = ("nothing", "counts")
FUSIONS = ("early", "intermediate", "late")
REACHES = (4, 2, 1)  # voxels that counts are moved by, one after the other, along each axis
STAYS = 5.0  # logit of the share that stays where it is before training: 98.7 % at each move
_SLOPE = 0.1  # of the rectifiers where negative


class UNet(nn.Module):
    """U-Net whose output is the low-dose image and a correction, zero before training.

    Args:
        inputs: channels: 1 for the low-dose image, 2 for a CT beside it.
        width: channels at full resolution; they double at each level below.
        levels: how often the resolution is halved.
        dimensions: 3, or 2 for slices across z by themselves.
        slices: neighbouring slices, an odd number, that a 2D network sees of each (2.5D).
        keeps: "nothing", or "counts" for a network that only moves counts between neighbours:
            the image's sum stays, no voxel becomes negative, and there is no activity where there
            was none within the sum of REACHES.
        fusion: of the CT. "early": it is a channel beside the image. "intermediate": it has an
            encoder of its own, whose features are added to the image's at each level. "late": a
            network that sees the image and the CT, and one that sees the image alone, whose answers
            are averaged with a weight that is found for each voxel. (One that saw the CT alone
            would know nothing of the activity.) Where counts are kept, these answers are logits.
    Raises:
        ValueError: a setting does not fit.
    """

    def __init__(self, *, inputs=1, width=16, levels=3, dimensions=3, slices=1, keeps="nothing",
                 fusion="early"):
        super().__init__()
        check("UNet", inputs=inputs, width=width, levels=levels, dimensions=dimensions,
              slices=slices)
        _check_choices(inputs, keeps, fusion)
        self.levels, self.dimensions, self.slices = levels, dimensions, slices
        self.keeps, self.fusion = keeps, fusion
        widths = [width * 2**level for level in range(levels + 1)]
        outputs = 1 if keeps == "nothing" else 2 * dimensions * len(REACHES)
        kind = getattr(nn, f"Conv{dimensions}d")
        up = getattr(nn, f"ConvTranspose{dimensions}d")
        self.embed = Embedding()
        seen = slices if fusion == "intermediate" else inputs * slices
        self.encoder, self.downsample = _encoder(kind, seen, widths)
        self.upsample = nn.ModuleList(
            up(b, a, 2, stride=2) for a, b in itertools.pairwise(widths)
        )
        self.decoder = nn.ModuleList(Block(kind, 2 * a, a) for a in widths[:-1])
        # One of a single voxel would round otherwise with another number of threads.
        self.head = kind(width, outputs, 3, padding=1)
        if fusion == "intermediate":
            self.ct_encoder, self.ct_downsample = _encoder(kind, slices, widths)
        for module in self.modules():
            if isinstance(module, (kind, up)):  # torch's own make features fade with depth
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, 0.0 if keeps == "nothing" else -STAYS)
        if fusion == "late":
            self.alone = UNet(width=width, levels=levels, dimensions=dimensions, slices=slices,
                              keeps=keeps)
            self.weigh = kind(2 * width, 1, 3, padding=1)
            nn.init.zeros_(self.weigh.weight)
            nn.init.zeros_(self.weigh.bias)

    def forward(self, x, noise):
        """Denoises images; arguments and result as of `denoise.layers.corrected`."""
        return corrected(self._corrections, x, noise, dimensions=self.dimensions,
                         slices=self.slices, multiple=2**self.levels,
                         by=torch.add if self.keeps == "nothing" else moved)

    def _corrections(self, x, noise):  # (n, channels, ...) -> (n, outputs, ...)
        features = self._features(x, noise)
        found = self.head(features)
        if self.fusion != "late":
            return found
        other = self.alone._features(x[:, : self.slices], noise)
        weight = torch.sigmoid(self.weigh(torch.cat((features, other), 1)))
        return weight * found + (1 - weight) * self.alone.head(other)

    def _features(self, x, noise):  # (n, channels, ...) -> (n, width, ...)
        known, beside = self.embed(noise), ()
        if self.fusion == "intermediate":
            x, ct = x[:, : self.slices], x[:, self.slices :]
            beside = _encoded(self.ct_encoder, self.ct_downsample, ct, known)
        passed = _encoded(self.encoder, self.downsample, x, known, beside)
        x = passed.pop()
        for level in reversed(range(self.levels)):
            x = torch.cat((passed.pop(), self.upsample[level](x)), 1)
            x = self.decoder[level](x, known)
        return x


def _encoder(kind, inputs, widths):
    """Blocks of each level, and what leads from one to the next."""
    blocks = [Block(kind, a, b) for a, b in zip((inputs, *widths[1:]), widths, strict=True)]
    down = [kind(a, b, 2, stride=2) for a, b in itertools.pairwise(widths)]
    return nn.ModuleList(blocks), nn.ModuleList(down)


def _encoded(blocks, downsample, x, known, beside=()):
    """Features of each level, those beside them added."""
    found = []
    for level, block in enumerate(blocks):
        x = block(downsample[level - 1](x) if level else x, known)
        x = x + beside[level] if beside else x
        found.append(x)
    return found


class Block(nn.Module):
    """Two convolutions, the first one's features scaled and shifted by what is known."""

    def __init__(self, kind, inputs, outputs):
        super().__init__()
        self.first = kind(inputs, outputs, 3, padding=1)
        self.second = kind(outputs, outputs, 3, padding=1)
        self.film = FiLM(outputs)

    def forward(self, x, known):
        x = functional.leaky_relu(self.film(self.first(x), known), _SLOPE)
        return functional.leaky_relu(self.second(x), _SLOPE)


def moved(image, logits):
    """Counts that each voxel shares with those a few voxels beside it; the sum stays.

    One axis after the other, first far and then near (REACHES), each voxel keeps a part of what it
    has and gives one to either side; what would leave the image stays.

    Args:
        image: (n, 1, ...) with two or three axes.
        logits: (n, 2 · axes · len(REACHES), ...) of the parts that go down and up an axis, against
            0 for the part that stays.
    Returns:
        Tensor like `image`.
    """
    steps = [(reach, axis) for reach in REACHES for axis in range(2, image.dim())]
    for (reach, axis), pair in zip(steps, logits.to(image.dtype).split(2, 1), strict=True):
        size = image.shape[axis] - reach
        if size <= 0:
            continue
        parts = torch.cat((torch.zeros_like(pair[:, :1]), pair), 1).softmax(1)
        down = (image * parts[:, 1:2]).narrow(axis, reach, size)
        up = (image * parts[:, 2:3]).narrow(axis, 0, size)
        below, above = [0, 0] * (image.dim() - axis), [0, 0] * (image.dim() - axis)
        below[-1], above[-2] = reach, reach  # functional.pad begins with the last axis
        flow = functional.pad(down - up, below) + functional.pad(up - down, above)
        image = image + flow
    return image


def _check_choices(inputs, keeps, fusion):
    if keeps not in KEEPS:
        raise ValueError(f"UNet keeps {' or '.join(KEEPS)}, got {keeps!r}")
    if fusion not in FUSIONS:
        raise ValueError(f"UNet takes {', '.join(FUSIONS)} fusion, got {fusion!r}")
    if fusion != "early" and inputs != 2:
        raise ValueError(f"UNet takes 2 inputs to fuse, got {inputs} for {fusion} fusion")
