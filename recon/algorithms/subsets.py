"""Subsets of the views: their models, their prompts, and what they see of each voxel."""

from functools import cached_property

from recon import backend

SUBSETS = 21  # about as many as are usual


class Subsets:
    """Subset k of a scan is views k, k + number, k + 2 number, …

    Args:
        model: AcquisitionModel with a SinogramProjector.
        prompts: counts, float32 (view, radial, [tof,] plane).
        number: of subsets; divides the number of views.
        order: 'spread' or 'sequential', see `subset_order`.
        kept_bytes: memory for sensitivity images; those that do not fit are computed anew.
    Attributes:
        model, all_prompts: of the whole scan.
        models: AcquisitionModel of each subset.
        order: the numbers of the subsets, in the order in which they are taken.
    Raises:
        ValueError: the number does not divide the views, or the prompts do not fit the model.
    """

    def __init__(self, model, prompts, number, *, order="spread", kept_bytes=2 << 30):
        if prompts.shape != model.data_shape:
            raise ValueError(
                f"the model takes prompts of shape {model.data_shape}, got {prompts.shape}"
            )
        views = model.data_shape[0]
        if number < 1 or views % number:
            fitting = [n for n in range(1, views + 1) if views % n == 0]
            raise ValueError(
                f"subsets takes a divisor of the {views} views, got {number}; try one of {fitting}"
            )
        self.model, self.number, self.kept_bytes = model, number, kept_bytes
        self.models = [model.subset(slice(k, None, number)) for k in range(number)]
        self.order = subset_order(number, order)
        self.all_prompts, self._kept = prompts, {}
        self.xp = backend.array_module(prompts)

    def with_model(self, model):
        """The same subsets of the same prompts by another AcquisitionModel."""
        other = Subsets(model, self.all_prompts, self.number, kept_bytes=self.kept_bytes)
        other.order = self.order
        return other

    def prompts(self, k):
        """Counts of subset k."""
        return self.all_prompts[k :: self.number]

    def sensitivity(self, k):
        """Sensitivity image of subset k, (x, y, z) float32."""
        if k in self._kept:
            return self._kept[k]
        sensitivity = self.models[k].sensitivity(self.xp)
        if (len(self._kept) + 1) * sensitivity.nbytes <= self.kept_bytes:
            self._kept[k] = sensitivity
        return sensitivity

    @cached_property
    def largest_sensitivity(self):
        """The largest that each voxel has in a subset, times their number; (x, y, z) float32.

        A step that is right for the mean of the subsets is too long for one that sees more.
        """
        largest = self.sensitivity(0).copy()
        for k in range(1, self.number):
            self.xp.maximum(largest, self.sensitivity(k), out=largest)
        largest *= self.xp.float32(self.number)
        return largest

    def ratio_back(self, k, image):
        """G^T A^T (m y / expected) of subset k at an image: what EM multiplies with."""
        part = self.models[k]
        return part.back(part.ratio(image, self.prompts(k)))


def subset_order(subsets, order="spread"):
    """The order in which subsets are taken.

    'sequential' is 0, 1, 2, …; 'spread' keeps successive subsets as far apart in angle as the prime
    factors of their number allow (Herman & Meyer, IEEE TMI 12(3), 1993).
    """
    if order == "sequential":
        return list(range(subsets))
    if order != "spread":
        raise ValueError(f"order takes 'spread' or 'sequential', got {order!r}")
    factors, rest = [], subsets
    for prime in range(2, subsets + 1):
        while rest % prime == 0:
            factors.append(prime)
            rest //= prime
    taken = []
    for index in range(subsets):
        position, weight, block = 0, subsets, index
        for factor in factors:
            weight //= factor
            position += block % factor * weight
            block //= factor
        taken.append(position)
    return taken


def divisor_nearest(number, wanted=SUBSETS):
    """The divisor of a number nearest to the wanted one, the smaller of two."""
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    return min(divisors, key=lambda d: (abs(d - wanted), d))
