"""What EM starts from where the caller gives no image."""

import numpy as np
import pytest

from recon.acquisition import AcquisitionModel
from recon.algorithms import listmode_osem, mlem, osem
from recon.listmode import ListModeProjector
from tests.recon.test_em import GRID, SPAN_1, SPAN_3, after, listed, noisy

UNIT = 1024  # a power of two, so that scaling rounds nothing


def in_units(unit):
    model, prompts = noisy()
    return AcquisitionModel(
        model.projector, factors=model.factors / np.float32(unit), background=model.background
    ), prompts


def test_an_image_in_a_unit_1024_times_as_small_is_1024_times_as_large_bit_for_bit():
    small, large = (after(5, osem(*in_units(unit), subsets=4)) for unit in (1, UNIT))
    np.testing.assert_array_equal(large, small * UNIT)


def test_an_image_of_listed_events_scales_with_its_unit_too():
    model, prompts = noisy(SPAN_1)
    index, (first, second) = listed(SPAN_1, prompts)
    background = model.background[tuple(index)]
    images = []
    for unit in (1, UNIT):
        factors = model.factors / np.float32(unit)
        sensitivity = AcquisitionModel(model.projector, factors=factors).sensitivity()
        events = AcquisitionModel(
            ListModeProjector(first, second, GRID), factors=factors[tuple(index)],
            background=background,
        )
        images.append(after(3, listmode_osem(events, sensitivity)))
    np.testing.assert_array_equal(images[1], images[0] * UNIT)


def test_a_flat_image_within_is_found_at_once():
    model, _ = noisy(SPAN_3)
    inside = np.broadcast_to(GRID.cylinder(60.0), GRID.shape)
    prompts = model(inside * np.float32(7))
    image = after(1, mlem(model, prompts))
    within = next(osem(model, prompts, subsets=1, inside=inside))
    seen = inside & (model.sensitivity() > 0)
    np.testing.assert_allclose(within[seen], 7, rtol=1e-4)
    assert not within[~inside].any() and image[~inside].any()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_prompts_below_the_background_give_a_finite_image(share):
    model, _ = noisy()
    image = after(4, osem(model, model.background * np.float32(share), subsets=4))
    assert np.isfinite(image).all() and (image >= 0).all()
