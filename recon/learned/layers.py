"""A scan as the layers of an unrolled network.

Images are scaled: 1 is the activity of common tissue, so that a network serves any unit and dose.
How much a scan knows of a voxel is its sensitivity: the counts expected of it where it is 1.
"""

import numpy as np
import torch

from recon.learned.autograd import apply, as_tensor
from recon.learned.em import EMUpdate

WHOLE = (slice(None),) * 3


class Layers:
    """What an unrolled network is given of a scan.

    Args:
        data: Subsets, whose arrays lie where the network does.
        start: first image, float32 (x, y, z) in the scan's unit, not negative.
        level: what 1 stands for, in that unit.
        noise: relative noise of the first image, which networks are told.
        box: three slices of the voxels that networks see; nothing but air lies beyond.
        beside: images that networks see as well, float32 (channels, x, y, z), scaled; None for
            none.
    Attributes:
        number: of subsets.
        start: first image, scaled, a tensor (x, y, z).
        sensitivity: of all subsets, a tensor (x, y, z), in counts of a voxel at 1.
    """

    def __init__(self, data, start, *, level, noise, box=WHOLE, beside=None):
        self.number, self.order, self.level, self.box = data.number, data.order, level, box
        self.start = as_tensor(start) / level
        self.noise = self.start.new_tensor([noise])
        self.beside = () if beside is None else self.start.new_tensor(beside)
        self._updates = [EMUpdate(part.projector, part.blur) for part in data.models]
        self._prompts = _tensors(data.all_prompts, data)
        self._factors = _tensors(data.model.factors, data)
        self._background = _tensors(data.model.background, data)
        self._sensitivity = [as_tensor(data.sensitivity(k)) for k in range(data.number)]
        self.sensitivity = self.level * sum(self._sensitivity[1:], self._sensitivity[0].clone())

    def em(self, image, first, count):
        """An image after EM updates of so many subsets, from the first one's place in order on.

        Args:
            image: (x, y, z), scaled, not negative.
        """
        image = image * self.level
        for place in range(first, first + count):
            k = self.order[place % self.number]
            image = self._updates[k](image, self._prompts[k], self._sensitivity[k],
                                     self._factors[k], self._background[k])
        return image / self.level

    def seen(self, network, *images):
        """The first of some images as a network corrects it in the box, which sees them all."""
        x = torch.stack([each[self.box] for each in (*images, *self.beside)])[None]
        found = images[0].clone()
        found[self.box] = network(x, self.noise)[0, 0].to(found.dtype)
        return found

    def residual(self, image, k=0):
        """How far the counts of a subset lie from those expected, and the root of these.

        Returns:
            2 (sqrt(y + 3/8) - sqrt(e + 3/8)), whose noise has variance 1 whatever the counts, and
            sqrt(e + 3/8); float32 of the shape of the subset's bins.
        Source: Anscombe, Biometrika 35(3/4), 1948.
        """
        expected = self._factored(apply(self._updates[k].operator, image * self.level), k)
        if self._background[k] is not None:
            expected = expected + self._background[k]
        root = (expected + 0.375).sqrt()
        return 2 * ((self._prompts[k] + 0.375).sqrt() - root), root

    def back(self, values, k=0):
        """G^T A^T m of values in a subset's bins, of its sensitivity; 0 where that is 0."""
        image = apply(self._updates[k].operator.T, self._factored(values, k))
        seen = self._sensitivity[k] > 0
        return torch.where(seen, image / torch.where(seen, self._sensitivity[k], 1), 0)

    def _factored(self, values, k):
        factors = self._factors[k]
        if factors is None:
            return values
        return values * (factors.unsqueeze(-2) if factors.ndim < values.ndim else factors)


def _tensors(array, data):
    """The subsets of an array of bins as tensors, which share its memory where they can."""
    if array is None:
        return [None] * data.number
    found = []
    for k in range(data.number):
        part = data.xp.ascontiguousarray(array[k :: data.number] if len(array) > 1 else array)
        if data.xp is np and not part.flags.writeable:
            part = part.copy()
        found.append(as_tensor(part))
    return found
