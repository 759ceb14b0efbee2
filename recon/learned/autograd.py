"""`apply`: a linear operator on torch's tensors, which torch differentiates.

The operator sees the memory of the tensors themselves: as NumPy arrays on a CPU, as CuPy arrays on
a GPU (DLPack), where CuPy works on torch's current stream.
"""

import contextlib
import math

import torch

from recon import backend


def apply(operator, x):
    """The operator's result for each sample of a batch; its gradient is the transpose's.

    The operator works in float32 whatever the tensor's type and under autocast, too: lines through
    an image add up more than half precision can hold. Differentiable any number of times.

    Args:
        operator: LinearOperator.
        x: tensor of floats (..., *operator.in_shape), with any batch axes.
    Returns:
        (..., *operator.out_shape) where x lives; float32, or float64 of float64 (computed in
        float32, so that `torch.autograd.gradcheck` can be used).
    Raises:
        TypeError, ValueError: x is no tensor of floats, or of another shape.
    """
    x = checked(operator, x)
    # A cast here and not `torch.amp.custom_fwd`, which casts under autocast alone.
    return _Apply.apply(x.to(torch.float32), operator).to(result_type(x))


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, operator):
        ctx.operator = operator
        batch = x.shape[: x.ndim - len(operator.in_shape)]
        samples = x.contiguous().reshape(math.prod(batch), *operator.in_shape)
        with on_stream(x):
            if len(samples) == 1:
                result = operator(as_array(samples[0])).reshape(*batch, *operator.out_shape)
                out = as_tensor(result)
                # A blur of width 0 returns the very array that it is given.
                return out.clone() if out.data_ptr() == samples.data_ptr() else out
            out = x.new_empty(*batch, *operator.out_shape)
            results = out.view(len(samples), *operator.out_shape)
            for result, sample in zip(results, samples, strict=True):
                result.copy_(as_tensor(operator(as_array(sample))))
        return out

    @staticmethod
    def backward(ctx, gradient):  # called only where x needs a gradient
        return apply(ctx.operator.T, gradient), None


def checked(operator, x):
    """The tensor, if the operator takes it."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(
            f"{operator!r} takes a tensor, got {type(x).__name__}; make one with torch.as_tensor"
        )
    if not x.is_floating_point():
        raise TypeError(f"{operator!r} takes a tensor of floats, got {x.dtype}; convert it first")
    if x.shape[-len(operator.in_shape) :] != operator.in_shape:
        expected = ", ".join(map(str, operator.in_shape))
        raise ValueError(
            f"{operator!r} takes a tensor of shape (..., {expected}), got {tuple(x.shape)}; "
            "axes of a batch come first"
        )
    return x


def result_type(x):
    """float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def as_array(x):
    """The tensor's memory as a NumPy or CuPy array."""
    return backend.cupy().from_dlpack(x.detach()) if x.is_cuda else x.detach().numpy()


def as_tensor(array):
    """The memory of a NumPy or CuPy array as a tensor."""
    return torch.from_dlpack(array) if backend.is_cuda(array) else torch.from_numpy(array)


@contextlib.contextmanager
def on_stream(x):
    """Where CuPy works: on a tensor's device and torch's current stream of it. Nothing on a CPU.

    On one stream neither library's kernels overtake the other's, and memory that either frees is
    taken again only after them. Autograd runs a backward pass on the stream of its forward pass.
    """
    if not x.is_cuda:
        yield
        return
    cuda, stream = backend.cupy().cuda, torch.cuda.current_stream(x.device)
    with torch.cuda.device(x.device), cuda.Device(x.device.index):
        # CuPy 14, which warns of ExternalStream, with torch 2.10 or later
        if hasattr(cuda.Stream, "from_external") and hasattr(stream, "__cuda_stream__"):
            ours = cuda.Stream.from_external(stream)
        else:
            ours = cuda.ExternalStream(stream.cuda_stream, x.device.index)
        with ours:
            yield
