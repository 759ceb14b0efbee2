"""Unrolled reconstruction: a few blocks, each some EM updates of a scan and a network's answer."""

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from recon.method import UNROLLED

_FEATURES = 16  # of a dual network
_BETA = 20.0  # counts, before training: what a voxel of a person gives in a minute or so
_SPEED = 30.0  # Adam moves a parameter by the learning rate, and beta is to move by factors


class Unrolled(nn.Module):
    """Blocks of EM updates and networks, from a first image to the last.

    In each block, x being the image after its EM updates and s the sensitivity (`Layers`):

        fbsem             the minimum of  s (z - x log z) + beta / 2 (z - network(image))^2
        learned-gradient  x - beta g / (s / x + beta),  g = image - network(image), 0 at least
        primal-dual       network(x, image),  x = image (1 + G^T A^T m (h / root) / s), where h,
                          kept from block to block, is the residual and what a dual network adds

    The image that networks of the first two see is that before the block. beta, of each block, is a
    number of counts in a voxel: a network weighs more where and when little was counted.

    Args:
        networks: modules whose forward(x, noise) takes images (1, channels, x, y, z), scaled, and
            relative noise (1,), and corrects the first channel (1, 1, x, y, z); one for all blocks,
            or one for each. A primal-dual one sees two channels, the others one; and those beside.
        kind: out of `recon.method.UNROLLED`.
        blocks: their number.
        updates: EM updates in a block, each of a subset; primal-dual takes all data, and no other.
        recompute: whether blocks are computed again for gradients, which takes a third longer, and
            the memory of one block rather than of all.
    Raises:
        ValueError: the settings do not fit.
    Sources: Mehranian & Reader, IEEE TRPMS 5(1), 2021 (FBSEM); Hammernik et al., Magn Reson Med
        79(6), 2018 (learned gradients); Adler & Oktem, IEEE TMI 37(6), 2018 (learned primal-dual).
    """

    def __init__(self, networks, *, kind="fbsem", blocks=4, updates=1, recompute=False):
        super().__init__()
        if kind not in UNROLLED:
            raise ValueError(f"Unrolled takes one of {', '.join(UNROLLED)}, got {kind!r}")
        for name, value in (("blocks", blocks), ("updates", updates)):
            if value < 1:
                raise ValueError(f"Unrolled takes {name} from 1, got {value}")
        if len(networks) not in (1, blocks):
            raise ValueError(f"Unrolled takes 1 network or {blocks}, one for each block, got "
                             f"{len(networks)}")
        self.kind, self.blocks, self.updates, self.recompute = kind, blocks, updates, recompute
        self.networks = nn.ModuleList(networks)
        if kind == "primal-dual":
            self.duals = nn.ModuleList(Dual() for _ in networks)
        else:
            self.weights = nn.Parameter(torch.zeros(blocks))

    @property
    def betas(self):
        """beta of each block, (blocks,), in counts; not of primal-dual."""
        return _BETA * (_SPEED * self.weights).exp()

    def forward(self, layers):
        """The last image of a scan's Layers, (x, y, z), scaled."""
        *_, last = self.images(layers)
        return last

    def images(self, layers, *, apart=False):
        """Yields the image (x, y, z) after each block, scaled.

        Args:
            layers: Layers.
            apart: whether gradients end between blocks, so that each learns by itself.
        Raises:
            ValueError: Layers of several subsets, for primal-dual.
        """
        if self.kind == "primal-dual" and layers.number > 1:
            raise ValueError(f"primal-dual takes Layers of 1 subset, got {layers.number}")
        image, dual = layers.start, None
        for number in range(self.blocks):
            if self.recompute and torch.is_grad_enabled():
                image, dual = checkpoint(self._block, number, layers, image, dual,
                                         use_reentrant=False)
            else:
                image, dual = self._block(number, layers, image, dual)
            yield image
            if apart:
                image, dual = image.detach(), None if dual is None else dual.detach()

    def _block(self, number, layers, image, dual):
        network = self.networks[number % len(self.networks)]
        if self.kind == "primal-dual":
            residual, root = layers.residual(image)
            dual = residual + self.duals[number % len(self.duals)](residual, dual)
            x = (image * (1 + layers.back(dual / root))).relu()
            return layers.seen(network, x, image).relu(), dual
        x = layers.em(image, number * self.updates, self.updates)
        answer, beta = layers.seen(network, image), self.betas[number]
        if self.kind == "fbsem":
            return fused(x, answer, layers.sensitivity, beta), None
        # x beta / (s + beta x), which is 0 where x is and never over 1 / s of EM's own.
        weight = x * beta / torch.where(x > 0, layers.sensitivity + beta * x, 1)
        return (x - weight * (image - answer)).relu(), None


def fused(x, answer, sensitivity, beta):
    """The minimum of s (z - x log z) + beta / 2 (z - answer)^2; x where s is 0.

    Args:
        x: (x, y, z), an EM update, not negative.
        answer: (x, y, z).
        sensitivity: s, (x, y, z), which needs no gradient.
        beta: above 0, a scalar.
    Source: De Pierro, IEEE TMI 14(1), 1995; Mehranian & Reader, IEEE TRPMS 5(1), 2021.
    """
    seen = sensitivity > 0
    weight = beta / torch.where(seen, sensitivity, 1)
    return torch.where(seen, _Fusion.apply(x, answer, weight), x)


class _Fusion(torch.autograd.Function):
    """The root z >= 0 of  w z^2 + (1 - w r) z - x = 0, whose gradients are known."""

    @staticmethod
    def forward(ctx, x, answer, weight):
        half = (weight * answer - 1) / 2
        root = (half * half + weight * x).sqrt()  # half of 2 w z + 1 - w r
        # The sum that does not cancel.
        low = x / torch.where(half < 0, root - half, 1)
        z = torch.where(half < 0, low, (half + root) / weight)
        ctx.save_for_backward(answer, weight, root, z)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        answer, weight, root, z = ctx.saved_tensors
        # At a root of 0 (x = 0 and w r = 1) the image has an edge: no gradient is taken there.
        share = torch.where(root > 0, gradient / torch.where(root > 0, 2 * root, 1), 0)
        return share, share * weight * z, share * z * (answer - z)


class Dual(nn.Module):
    """What is added to a residual in bins, from it and what was there in the block before.

    Convolutions over views and radial bins, of each plane and time-of-flight bin by itself; 0
    before training.
    """

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, _FEATURES, 3, padding=1)
        self.second = nn.Conv2d(_FEATURES, _FEATURES, 3, padding=1)
        self.last = nn.Conv2d(_FEATURES, 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, residual, before):
        """Of float32 (view, radial, [tof,] plane) each, `before` None in the first block."""
        before = torch.zeros_like(residual) if before is None else before
        shape = residual.shape
        x = torch.stack((residual, before)).reshape(2, *shape[:2], -1).permute(3, 0, 1, 2)
        x = nn.functional.leaky_relu(self.first(x), 0.1)
        x = nn.functional.leaky_relu(self.second(x), 0.1)
        return self.last(x)[:, 0].permute(1, 2, 0).reshape(shape)
