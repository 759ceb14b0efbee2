import numpy as np
import pytest

from recon import backend
from recon.acquisition import AcquisitionModel
from recon.operators import Diagonal, GaussianBlur
from recon.projectors import SinogramProjector
from tests.recon.cases import GRIDS, LAYOUTS, MACHINES, on_cpu, uniform

GRID = GRIDS["half the ring spacing"]
PLAIN = SinogramProjector(LAYOUTS["span 3"], GRID)
TIMED = SinogramProjector(LAYOUTS["odd number of TOF bins"], GRID)
BLUR = GaussianBlur(GRID.shape, GRID.voxel_mm, (9, 9, 5))


class Doubling(Diagonal):
    """A projector of 2 views, 1 radial bin and 2 planes that doubles: sums fit in a head."""

    threads = None

    def __init__(self, shape=(2, 1, 2)):
        super().__init__(np.full(shape, 2, np.float32), shape)


def bins(*values):
    return np.array(values, np.float32).reshape(2, 1, 2)


def test_model_multiplies_by_the_factors_then_adds_the_background():
    model = AcquisitionModel(
        Doubling(), factors=bins(1, 0.5, 0, 3), background=bins(0, 1, 5, 0.25)
    )
    np.testing.assert_array_equal(model(bins(1, 2, 3, 4)), bins(2, 3, 5, 24.25))


def test_model_without_factors_and_background_is_the_projector():
    image = uniform(GRID.shape)
    np.testing.assert_array_equal(AcquisitionModel(PLAIN)(image), PLAIN(image))


@pytest.mark.parametrize("machine", MACHINES)
def test_model_blurs_the_image_before_it_projects(machine):
    image = backend.to_device(uniform(GRID.shape), machine)
    ours = on_cpu(AcquisitionModel(PLAIN, blur=BLUR)(image))
    np.testing.assert_array_equal(ours, on_cpu(PLAIN(BLUR(image))))


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("projector", [PLAIN, TIMED], ids=["plain", "timed"])
def test_adjoint_is_the_transpose_of_the_linear_part(projector, machine):
    factors = backend.to_device(uniform(projector.layout.without_tof().shape, 3), machine)
    model = AcquisitionModel(projector, blur=BLUR, factors=factors)
    x, y = uniform(GRID.shape, 1), uniform(projector.out_shape, 2)
    forward = on_cpu(model(backend.to_device(x, machine))).astype(np.float64)
    back = on_cpu(model.adjoint(backend.to_device(y, machine))).astype(np.float64)
    assert np.vdot(x, back) == pytest.approx(np.vdot(forward, y), rel=1e-6)


def test_sensitivity_is_the_back_projection_of_the_factors():
    factors = uniform(PLAIN.out_shape, 3)
    model = AcquisitionModel(PLAIN, blur=BLUR, factors=factors)
    np.testing.assert_array_equal(model.sensitivity(), BLUR.T(PLAIN.T(factors)))


def test_sensitivity_without_factors_is_the_back_projection_of_ones():
    ones = np.ones(PLAIN.out_shape, np.float32)
    np.testing.assert_array_equal(AcquisitionModel(PLAIN).sensitivity(), PLAIN.T(ones))


def test_factors_without_a_time_of_flight_axis_serve_every_bin():
    factors = uniform(TIMED.layout.without_tof().shape, 3)
    repeated = np.repeat(factors[:, :, None], TIMED.layout.tof_bins, axis=2)
    image, prompts = uniform(GRID.shape), uniform(TIMED.out_shape, 4)
    one = AcquisitionModel(TIMED, factors=factors)
    other = AcquisitionModel(TIMED, factors=repeated)
    np.testing.assert_array_equal(one(image), other(image))
    np.testing.assert_array_equal(one.ratio(image, prompts), other.ratio(image, prompts))
    np.testing.assert_array_equal(one.sensitivity(), other.sensitivity())


@pytest.mark.parametrize("shape", [(16, 1, 1), (1, 23, 1), (1, 1, 19), (16, 23, 1)])
def test_factors_broadcast_over_the_axes_they_lack(shape):
    factors = uniform(shape, 3)
    full = np.ascontiguousarray(np.broadcast_to(factors, PLAIN.out_shape))
    image, prompts = uniform(GRID.shape), uniform(PLAIN.out_shape, 4)
    one = AcquisitionModel(PLAIN, factors=factors, background=full)
    other = AcquisitionModel(PLAIN, factors=full, background=full)
    np.testing.assert_array_equal(one.ratio(image, prompts), other.ratio(image, prompts))


def test_a_background_without_the_time_of_flight_axis_is_refused():
    background = np.ones(TIMED.layout.without_tof().shape, np.float32)
    with pytest.raises(ValueError, match="spread it over the time-of-flight bins"):
        AcquisitionModel(TIMED, background=background)


def test_a_background_is_not_broadcast():
    with pytest.raises(ValueError, match=r"background .*\(16, 23, 19\).*\(16, 23, 1\)"):
        AcquisitionModel(PLAIN, background=np.ones((16, 23, 1), np.float32))


def test_factors_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(16, 22, 19\).*\(16, 23, 19\)"):
        AcquisitionModel(PLAIN, factors=np.ones((16, 22, 19), np.float32))


def test_a_blur_of_other_images_is_refused():
    with pytest.raises(ValueError, match="the blur takes images"):
        AcquisitionModel(PLAIN, blur=GaussianBlur((3, 3, 3), (1, 1, 1), 1))


@pytest.mark.parametrize("part", [slice(2, 3), slice(1, None, 4)])
@pytest.mark.parametrize("projector", [PLAIN, TIMED], ids=["plain", "timed"])
def test_model_of_a_subset_gives_those_views(projector, part):
    factors = uniform(projector.layout.without_tof().shape, 3)
    background = uniform(projector.out_shape, 5)
    model = AcquisitionModel(projector, blur=BLUR, factors=factors, background=background)
    image, prompts = uniform(GRID.shape), uniform(projector.out_shape, 4)
    subset = model.subset(part)
    np.testing.assert_array_equal(subset(image), model(image)[part])
    np.testing.assert_array_equal(
        subset.ratio(image, prompts[part]), model.ratio(image, prompts)[part]
    )


def test_ratio_is_what_each_bins_counts_are_over_what_is_expected():
    # Expected 2, 3, 5 and 24.25 counts; the factors multiply what is back projected.
    model = AcquisitionModel(
        Doubling(), factors=bins(1, 0.5, 0, 3), background=bins(0, 1, 5, 0.25)
    )
    ratio = model.ratio(bins(1, 2, 3, 4), bins(4, 6, 7, 48.5))
    np.testing.assert_array_equal(ratio, bins(2, 1, 0, 6))


def test_ratio_is_0_where_nothing_is_expected_whatever_was_counted():
    model = AcquisitionModel(Doubling(), factors=bins(1, 0, 0, 1))
    ratio = model.ratio(bins(0, 0, 1, 1), bins(9, 9, np.nan, 4))
    np.testing.assert_array_equal(ratio, bins(0, 0, 0, 2))


def test_log_likelihood_worked_out_by_hand():
    # Expected 2 and 4: 3 log 2 - 2 and 5 log 4 - 4; expected 6 and counted none: -6; m = b = 0
    # counts nothing and is left out.
    model = AcquisitionModel(Doubling(), factors=bins(1, 1, 1, 0))
    value = model.log_likelihood(bins(1, 2, 3, 4), bins(3, 5, 0, 7))
    assert value == pytest.approx(3 * np.log(2) - 2 + 5 * np.log(4) - 4 - 6, rel=1e-7)


def test_log_likelihood_of_counts_where_none_are_expected_is_minus_infinity():
    value = AcquisitionModel(Doubling()).log_likelihood(bins(0, 1, 1, 1), bins(1, 1, 1, 1))
    assert value == -np.inf


def test_log_likelihood_of_many_views_adds_them_all():
    model, image = AcquisitionModel(PLAIN), uniform(GRID.shape) + np.float32(0.1)
    prompts = uniform(PLAIN.out_shape, 4)
    expected = model(image).astype(np.float64)
    seen = expected > 0
    prompts[~seen] = 0
    value = np.sum(prompts[seen] * np.log(expected[seen])) - expected.sum()
    assert model.log_likelihood(image, prompts) == pytest.approx(value, rel=1e-9)


def test_factors_of_0_with_a_background_still_expect_the_background():
    model = AcquisitionModel(Doubling(), factors=bins(0, 1, 1, 1), background=bins(4, 0, 0, 0))
    value = model.log_likelihood(bins(1, 1, 1, 1), bins(3, 0, 0, 0))
    assert value == pytest.approx(3 * np.log(4) - 4 - 2 - 2 - 2, rel=1e-7)
