"""The Poisson likelihood and the EM update as layers of a network.

Images and data may have batch axes before their own, the same ones: `tensor.expand(batch, ...)`
gives every sample the same data without a copy. Gradients are with respect to the image alone.
"""

import math

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from recon.acquisition import AcquisitionModel, launch_on_bins
from recon.learned.autograd import apply, as_array, checked, on_stream, result_type


class PoissonLikelihood(nn.Module):
    """Negative Poisson log-likelihood of an image, sum of expected - y log(expected).

    The counts expected are m (A G x) + b, as in `recon.acquisition.AcquisitionModel`. Can be
    differentiated twice, for networks that are given the gradient of the likelihood.

    Args:
        projector: A, SinogramProjector, from images (x, y, z) to bins (view, radial, [tof,] plane).
        blur: G, an operator on images; None for none.
    """

    def __init__(self, projector, blur=None):
        super().__init__()
        self.projector = projector
        self.operator = projector if blur is None else projector @ blur

    def forward(self, image, prompts, factors=None, background=None):
        """
        Args:
            image: x, (..., x, y, z).
            prompts: y, counts, (..., view, radial, [tof,] plane).
            factors: m, which broadcast to that; without a time-of-flight axis they serve every bin
                of it. None for 1.
            background: b, expected counts, of the prompts' shape. None for 0.
        Returns:
            (...) float64. Bins that can count nothing (m = 0 and b = 0) are left out; inf where
            counts stand in another bin of which none are expected.
        Raises:
            TypeError, ValueError: tensors that do not fit or, but the image, require a gradient.
        """
        image = checked(self.operator, image).to(torch.float32)
        data = _checked_data(self.projector, image, prompts, factors, background)
        return _Likelihood.apply(apply(self.operator, image), self.projector, *data)


class EMUpdate(nn.Module):
    """An update of expectation maximisation, as `recon.algorithms.osem` makes it.

    Can be differentiated once. For a subset of views, give the subset's projector and data.

    Args:
        projector: A, from images (x, y, z) to bins (view, radial, [tof,] plane).
        blur: G, an operator on images; None for none.
    Source: Shepp & Vardi, IEEE TMI 1(2), 1982.
    """

    def __init__(self, projector, blur=None):
        super().__init__()
        self.projector = projector
        self.operator = projector if blur is None else projector @ blur

    def forward(self, image, prompts, sensitivity, factors=None, background=None):
        """
        Args:
            image: x, (..., x, y, z), not negative.
            prompts, factors, background: as in `PoissonLikelihood`.
            sensitivity: back projection of the factors of these bins, G^T A^T m,
                `AcquisitionModel.sensitivity`; (..., x, y, z), or (x, y, z) for every sample.
        Returns:
            x G^T A^T (m y / expected) / sensitivity, (..., x, y, z); float32, or float64 of
            float64. A voxel that these bins do not see (sensitivity 0) stays as it is; a bin of
            which nothing is expected (below 1e-20 counts) says nothing.
        Raises:
            TypeError, ValueError: tensors that do not fit or, but the image, require a gradient.
        """
        kind, image = result_type(checked(self.operator, image)), image.to(torch.float32)
        data = _checked_data(self.projector, image, prompts, factors, background)
        sensitivity = _constant("sensitivity", sensitivity)
        if sensitivity.shape not in (image.shape, image.shape[-3:]):
            raise ValueError(
                f"sensitivity takes shape {tuple(image.shape)} like the images, got "
                f"{tuple(sensitivity.shape)}"
            )
        ratio = _Ratio.apply(apply(self.operator, image), self.projector, *data)
        back, seen = apply(self.operator.T, ratio), sensitivity > 0
        # Division by 1 and not by 0 where nothing is seen: a gradient of NaN would come back.
        change = torch.where(seen, back / torch.where(seen, sensitivity, 1), 1)
        return (image * change).to(kind)


class _Ratio(torch.autograd.Function):
    """m y / (m p + b) of a projection p, written over it, for the operator does not need it."""

    @staticmethod
    def forward(ctx, projection, projector, prompts, factors, background):
        ctx.mark_dirty(projection)
        with on_stream(projection):
            for p, y, m, b in _samples(projector, projection, prompts, factors, background):
                AcquisitionModel(projector, factors=m, background=b).ratio_of(p, y)
        ctx.projector = projector
        ctx.save_for_backward(projection, prompts)
        return projection

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        ratio, prompts = ctx.saved_tensors
        out, threads = torch.empty_like(ratio), ctx.projector.threads
        with on_stream(ratio):
            for o, g, r, y in _samples(ctx.projector, out, gradient.contiguous(), ratio, prompts):
                launch_on_bins("em_ratio_back", [o, g, r], [y], threads=threads)
        return out, None, None, None, None


class _Likelihood(torch.autograd.Function):
    """Sum of expected - y log(expected) of a projection; its gradient is m - m y / expected."""

    @staticmethod
    def forward(ctx, projection, projector, *data):
        values = []
        with on_stream(projection):
            for p, y, m, b in _samples(projector, projection, *data):
                model = AcquisitionModel(projector, factors=m, background=b)
                values.append(-model.log_likelihood_of(model.expected_of(p.copy()), y))
        ctx.projector = projector
        ctx.save_for_backward(projection, *data)
        values = torch.tensor(values, dtype=torch.float64, device=projection.device)
        return values.reshape(projection.shape[: -len(projector.out_shape)])

    @staticmethod
    def backward(ctx, gradient):
        projection, prompts, factors, background = ctx.saved_tensors
        # The ratio is written over a copy: the projection may be asked for again.
        ratio = _Ratio.apply(projection.clone(), ctx.projector, prompts, factors, background)
        if factors is None:
            factors = ratio.new_ones(())
        elif factors.ndim < ratio.ndim:
            factors = factors.unsqueeze(-2)  # the time-of-flight axis
        gradient = gradient.to(torch.float32)[(...,) + (None,) * (ratio.ndim - gradient.ndim)]
        return (factors - ratio) * gradient, None, None, None, None


def _samples(projector, *tensors):
    """The arrays of each sample, which share the tensors' memory; None for a tensor not given."""
    axes = tensors[0].ndim - len(projector.out_shape)
    count = math.prod(tensors[0].shape[:axes])
    arrays = [
        [None] * count if x is None else map(as_array, x.reshape(count, *x.shape[axes:]))
        for x in tensors
    ]
    return zip(*arrays, strict=True)


def _checked_data(projector, image, prompts, factors, background):
    """Prompts, factors and background as float32, once they fit the images."""
    named = {"prompts": prompts, "factors": factors, "background": background}
    data = {k: None if x is None else _constant(k, x) for k, x in named.items()}
    batch, expected = image.shape[:-3], (*image.shape[:-3], *projector.out_shape)
    if data["prompts"].shape != expected:
        raise ValueError(
            f"prompts takes shape {expected} with images of {tuple(image.shape)}, got "
            f"{tuple(prompts.shape)}"
        )
    for name in ("factors", "background"):  # whose other axes AcquisitionModel checks
        if data[name] is not None and data[name].shape[: len(batch)] != batch:
            raise ValueError(
                f"{name} takes the images' axes of a batch, {tuple(batch)}, before its own, got "
                f"shape {tuple(data[name].shape)}; give each sample the same with expand()"
            )
    return data.values()


def _constant(name, tensor):
    if not isinstance(tensor, torch.Tensor):
        kind = type(tensor).__name__
        raise TypeError(f"{name} takes a tensor, got {kind}; make one with torch.as_tensor")
    if tensor.requires_grad:
        raise ValueError(
            f"{name} takes a tensor that requires no gradient, for that is with respect to the "
            "image alone, got one that does; detach() it"
        )
    return tensor.to(torch.float32)
