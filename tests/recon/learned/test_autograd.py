import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from recon import GaussianBlur, LinearOperator, backend
from recon.learned import apply
from tests.gpu import on_gpu
from tests.recon.learned.small import PLAIN, TIMED

BLUR = GaussianBlur(PLAIN.in_shape, (20, 25, 8), 30, threads=1)
OPERATORS = {
    "plain": PLAIN,
    "timed": TIMED,
    "transposed": PLAIN.T,
    "blurred": PLAIN @ BLUR,
}
each_operator = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)

# Differences of a linear map are its derivative whatever the step, so it is as large as the values:
# float32 rounds sums of up to 1000 mm by 6e-5, which a step of 1e-6 would make 60 mm per unit.
STEP = {"eps": 1.0, "atol": 1e-3, "rtol": 1e-4}


class Recorder(LinearOperator):
    """Doubles, and keeps the addresses that it reads and writes, its calls and CuPy's stream."""

    def __init__(self, shape=(3, 4)):
        super().__init__(shape, shape)
        self.read = self.written = self.stream = None
        self.calls = []

    def _apply(self, x, name="forward"):
        result = 2 * x
        self.calls.append(name)
        self.read, self.written = address(x), address(result)
        if backend.is_cuda(x):
            self.stream = backend.cupy().cuda.get_current_stream().ptr
        return result

    def _apply_transposed(self, y):
        return self._apply(y, "back")


def address(array):
    return array.data.ptr if backend.is_cuda(array) else array.ctypes.data


def rand(*shape, **options):
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape)), **options)


@each_operator
def test_the_gradient_is_what_differences_give(operator):
    x = rand(*operator.in_shape, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: apply(operator, x), x, **STEP)


@pytest.mark.parametrize("operator", [PLAIN, TIMED], ids=["plain", "timed"])
def test_the_gradient_of_the_gradient_is_what_differences_give(operator):
    x = rand(*operator.in_shape, dtype=torch.float64, requires_grad=True)
    assert gradgradcheck(lambda x: apply(operator, x), x, **STEP)


@each_operator
def test_the_gradient_is_the_transpose_to_the_bit(operator):
    x = rand(*operator.in_shape, requires_grad=True)
    y = rand(*operator.out_shape)
    (apply(operator, x) * y).sum().backward()
    assert x.grad.equal(torch.from_numpy(operator.T(y.numpy())))


@each_operator
def test_the_transpose_is_the_adjoint(operator):
    x, y = rand(*operator.in_shape), rand(*operator.out_shape)
    forward, back = apply(operator, x).double(), apply(operator.T, y).double()
    assert (forward * y).sum().item() == pytest.approx((x * back).sum().item(), rel=1e-6)


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (0,)])
def test_a_batch_gives_what_its_samples_give(batch):
    x = rand(*batch, *PLAIN.in_shape, requires_grad=True)
    y = rand(*batch, *PLAIN.out_shape)
    out = apply(PLAIN, x)
    (out * y).sum().backward()
    assert (out.shape, x.grad.shape) == (y.shape, x.shape)
    for each, grad, sample, weights in zip(
        *(t.reshape(-1, *t.shape[len(batch) :]) for t in (out, x.grad, x, y) if t.numel()),
        strict=True,
    ):
        assert each.equal(torch.from_numpy(PLAIN(sample.detach().numpy())))
        assert grad.equal(torch.from_numpy(PLAIN.T(weights.numpy())))


def test_a_tensor_that_is_not_contiguous_is_taken_as_it_reads():
    x = rand(*PLAIN.in_shape[::-1], 2).permute(3, 2, 1, 0)
    assert apply(PLAIN, x).equal(apply(PLAIN, x.contiguous()))


def test_the_gradient_of_a_plain_sum_is_the_back_projection_of_ones():
    # Its gradient comes as a single 1 that is repeated by strides of 0.
    x = rand(*PLAIN.in_shape, requires_grad=True)
    apply(PLAIN, x).sum().backward()
    assert x.grad.equal(apply(PLAIN.T, torch.ones(PLAIN.out_shape)))


def test_the_operator_reads_and_writes_the_memory_of_the_tensors():
    operator, x = Recorder(), rand(3, 4, requires_grad=True)
    out = apply(operator, x)
    assert (operator.read, operator.written) == (x.data_ptr(), out.data_ptr())
    weights = rand(3, 4)
    (grad,) = torch.autograd.grad(out, x, weights)
    assert (operator.read, operator.written) == (weights.data_ptr(), grad.data_ptr())


def test_samples_of_a_batch_are_read_where_they_lie():
    operator, x = Recorder(), rand(2, 3, 4)
    apply(operator, x)
    assert operator.read == x[1].data_ptr()


def test_what_an_operator_hands_through_is_no_longer_the_input():
    x = rand(*PLAIN.in_shape)
    unblurred = GaussianBlur(PLAIN.in_shape, (1, 1, 1), 0)
    apply(unblurred, x).zero_()
    assert x.max() > 0


def test_nothing_is_back_projected_that_no_gradient_needs():
    operator, weight = Recorder(), rand(3, 4, requires_grad=True)
    (apply(operator, rand(3, 4)) * weight).sum().backward()
    assert operator.calls == ["forward"]


def test_under_autocast_the_operator_works_in_float32():
    x = rand(*PLAIN.in_shape)
    with torch.autocast("cpu", torch.bfloat16):
        out = apply(PLAIN, x)
    assert out.equal(apply(PLAIN, x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [False, True])
def test_of_half_precision_come_float32_and_a_gradient_of_half_precision(dtype, autocast):
    x = rand(*PLAIN.in_shape).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = apply(PLAIN, x)
    out.sum().backward()
    assert out.equal(apply(PLAIN, x.detach().float()))
    assert x.grad.equal(apply(PLAIN.T, torch.ones(PLAIN.out_shape)).to(dtype))


def test_of_float64_comes_float64_that_holds_what_float32_gives():
    x = rand(*PLAIN.in_shape)
    out = apply(PLAIN, x.double())
    assert out.dtype == torch.float64 and out.equal(apply(PLAIN, x).double())


def test_an_array_is_refused_with_how_to_make_a_tensor():
    with pytest.raises(TypeError, match=r"takes a tensor, got ndarray; .*torch\.as_tensor"):
        apply(PLAIN, rand(*PLAIN.in_shape).numpy())


def test_whole_numbers_are_refused():
    with pytest.raises(TypeError, match=r"takes a tensor of floats, got torch\.int64"):
        apply(PLAIN, torch.ones(PLAIN.in_shape, dtype=torch.int64))


@pytest.mark.parametrize("shape", [(4, 3, 6), (3, 5), (4, 3, 5, 1)])
def test_another_shape_is_refused_and_both_are_named(shape):
    with pytest.raises(ValueError, match=r"\(\.\.\., 4, 3, 5\), got .*; axes of a batch"):
        apply(PLAIN, torch.ones(shape))


@on_gpu
def test_on_a_gpu_the_operator_works_on_the_tensors_memory_and_torchs_stream():
    operator, stream = Recorder(), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        x = rand(3, 4).cuda().requires_grad_()
        out = apply(operator, x)
        assert (operator.read, operator.written) == (x.data_ptr(), out.data_ptr())
        assert operator.stream == stream.cuda_stream
        operator.stream = None
    out.sum().backward()  # outside of the stream: autograd goes back to it
    assert operator.stream == stream.cuda_stream


@on_gpu
@each_operator
def test_on_a_gpu_results_and_gradients_are_the_cpus(operator):
    x, y = rand(2, *operator.in_shape), rand(2, *operator.out_shape)
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(10**8)  # an operator that does not wait would read what is not yet there
        image = x.cuda().mul(2).requires_grad_()
        out = apply(operator, image)
        (out * y.cuda()).sum().backward()
        torch.cuda.current_stream().synchronize()
    for ours, theirs in ((out, apply(operator, 2 * x)), (image.grad, apply(operator.T, y))):
        torch.testing.assert_close(ours.detach().cpu(), theirs, rtol=1e-5, atol=1e-5 * theirs.max())
