"""A residual U-Net for volumes, in 3D, in slices, or in slices with their neighbours.

It takes scaled low-dose images and how noisy they are, so that one network serves all doses. It
has no normalization layer: what it does to a voxel depends on the voxels around it alone and not
on what else a patch or a tile holds.

Sources: the U-Net of Ronneberger, Fischer & Brox, MICCAI 2015; conditioning by FiLM, Perez et al.,
AAAI 2018; that a voxel's neighbours are weighted by a network, Bako et al., ACM TOG 36(4), 2017.
"""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional

LEAST_NOISE = 1e-3  # relative noise below which an image is as good as without
KEEPS = ("nothing", "counts")
REACHES = (4, 2, 1)  # voxels that counts are moved by, one after the other, along each axis
STAYS = 5.0  # logit of the share that stays where it is before training: 98.7 % at each move
_EMBEDDED = 32  # features of the noise level
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
    Raises:
        ValueError: a setting does not fit.
    """

    def __init__(self, *, inputs=1, width=16, levels=3, dimensions=3, slices=1, keeps="nothing"):
        super().__init__()
        _check(inputs=inputs, width=width, levels=levels, dimensions=dimensions, slices=slices,
               keeps=keeps)
        self.levels, self.dimensions, self.slices, self.keeps = levels, dimensions, slices, keeps
        widths = [width * 2**level for level in range(levels + 1)]
        outputs = 1 if keeps == "nothing" else 2 * dimensions * len(REACHES)
        kind = getattr(nn, f"Conv{dimensions}d")
        up = getattr(nn, f"ConvTranspose{dimensions}d")
        self.embed = nn.Sequential(
            nn.Linear(1, _EMBEDDED), nn.SiLU(), nn.Linear(_EMBEDDED, _EMBEDDED), nn.SiLU()
        )
        before = [inputs * slices, *widths[1:]]
        self.encoder = nn.ModuleList(
            Block(kind, a, b) for a, b in zip(before, widths, strict=True)
        )
        self.downsample = nn.ModuleList(
            kind(a, b, 2, stride=2) for a, b in itertools.pairwise(widths)
        )
        self.upsample = nn.ModuleList(
            up(b, a, 2, stride=2) for a, b in itertools.pairwise(widths)
        )
        self.decoder = nn.ModuleList(Block(kind, 2 * a, a) for a in widths[:-1])
        # One of a single voxel would round otherwise with another number of threads.
        self.head = kind(width, outputs, 3, padding=1)
        for module in self.modules():
            if isinstance(module, (kind, up)):  # torch's own make features fade with depth
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, 0.0 if keeps == "nothing" else -STAYS)

    def forward(self, x, noise):
        """Denoises images.

        Args:
            x: (n, inputs, x, y, z), of any size; channel 0 is the low-dose image, scaled.
            noise: (n,), relative noise in the body, as `denoise.scaling.measure` finds it.
        Returns:
            (n, 1, x, y, z), in the unit of channel 0.
        """
        image, count = x[:, :1], len(x)
        if self.dimensions == 2:
            planes = x.shape[-1]
            x, image = _slices(x, self.slices), _slices(image, 1)
            noise = noise.repeat_interleave(planes)
        found = self._features(_padded(x, 2**self.levels), noise)
        found = self.head(found)[(..., *(slice(size) for size in image.shape[2:]))]
        image = image.to(torch.promote_types(image.dtype, torch.float32))
        found = image + found if self.keeps == "nothing" else moved(image, found)
        return _volumes(found, count) if self.dimensions == 2 else found

    def _features(self, x, noise):  # (n, channels, ...) -> (n, width, ...)
        known = self.embed(noise.clamp(min=LEAST_NOISE).log()[:, None])
        passed = []
        for block, downsample in zip(self.encoder, self.downsample, strict=False):
            x = block(x, known)
            passed.append(x)
            x = downsample(x)
        x = self.encoder[-1](x, known)
        for level in reversed(range(self.levels)):
            x = torch.cat((passed[level], self.upsample[level](x)), 1)
            x = self.decoder[level](x, known)
        return x


class Block(nn.Module):
    """Two convolutions, the first one's features scaled and shifted by what is known."""

    def __init__(self, kind, inputs, outputs):
        super().__init__()
        self.first = kind(inputs, outputs, 3, padding=1)
        self.second = kind(outputs, outputs, 3, padding=1)
        self.film = nn.Linear(_EMBEDDED, 2 * outputs)
        nn.init.zeros_(self.film.bias)

    def forward(self, x, known):
        x = self.first(x)
        scale, shift = self.film(known).to(x.dtype)[(..., *[None] * (x.dim() - 2))].chunk(2, 1)
        x = functional.leaky_relu(torch.addcmul(shift, x, 1 + scale), _SLOPE)
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


def _slices(x, slices):  # (n, c, x, y, z) -> (n z, c slices, x, y)
    beside = slices // 2
    x = functional.pad(x, (beside, beside, 0, 0, 0, 0), mode="replicate")
    x = x.unfold(-1, slices, 1).permute(0, 4, 1, 5, 2, 3)
    return x.reshape(-1, x.shape[2] * slices, *x.shape[4:])


def _volumes(x, count):  # (n z, 1, x, y) -> (n, 1, x, y, z)
    return x.reshape(count, -1, *x.shape[1:]).permute(0, 2, 3, 4, 1)


def _padded(x, multiple):
    """With its last voxels repeated, so that each axis can be halved."""
    lacking = [-size % multiple for size in x.shape[2:]]
    if not any(lacking):
        return x
    return functional.pad(x, [n for lack in reversed(lacking) for n in (0, lack)], mode="replicate")


def _check(*, dimensions, slices, keeps, **counts):
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"UNet takes a whole number from 1 of {name}, got {value!r}")
    if dimensions not in (2, 3):
        raise ValueError(f"UNet takes 2 or 3 dimensions, got {dimensions!r}")
    if slices < 1 or math.remainder(slices, 2) == 0 or (slices > 1 and dimensions == 3):
        raise ValueError(
            f"UNet takes an odd number of slices, and more than 1 in 2 dimensions alone, got "
            f"{slices} in {dimensions}"
        )
    if keeps not in KEEPS:
        raise ValueError(f"UNet keeps {' or '.join(KEEPS)}, got {keeps!r}")
