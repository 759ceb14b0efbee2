"""What the quality page shows: sums that are the data's, and a model that is the image's."""

from dataclasses import replace

import numpy as np
import pytest

from recon import AcquisitionModel, SinogramProjector
from recon.io import read_image
from recon.measurement import Measurement
from recon.plan import Plan
from recon.quality import Quality, draw
from tests.recon.command.conftest import GRID, LAYOUT, scan  # noqa: F401


@pytest.fixture
def page(scan):  # noqa: F811
    """Quality of the scan and its truth, and the arrays that it was made of."""
    files = {name: scan / f"{name}.hs" for name in ("efficiency", "background")}
    measurement = Measurement(scan=scan / "prompts.hs", efficiency=files["efficiency"],
                              background=(files["background"],))
    plan = Plan(measurement=measurement, output=scan / "image.hv", grid=GRID, subsets=4)
    data, truth = measurement.load(), read_image(scan / "truth.hv")[0]
    return Quality.of(plan, truth, *data), data, truth


def test_profiles_sum_to_the_data_and_to_the_images_model(page):
    quality, (prompts, factors, background), truth = page
    model = AcquisitionModel(
        SinogramProjector(LAYOUT, GRID), factors=factors, background=background
    )
    for row, array in zip(quality.across, (prompts, background, model(truth)), strict=True):
        assert np.allclose(row, array.sum(axis=(0, 2)), rtol=1e-5)


def test_direct_planes_are_those_of_segment_0(page):
    quality, (prompts, *_), _ = page
    planes = LAYOUT.segments[0].planes  # Siemens's order begins with it
    assert np.allclose(quality.along[0], prompts[..., :planes].sum(axis=(0, 1)))
    assert np.allclose(quality.before, prompts[..., :planes].sum(axis=2))


def test_what_is_left_over_the_factors_is_missing_in_gaps(page):
    quality, (prompts, factors, background), _ = page
    planes = LAYOUT.segments[0].planes
    assert np.isnan(quality.after[:, 3]).all()  # a radial bin of no efficiency
    prompts, factors, background = (
        np.delete(array, 3, 1)[..., :planes].sum(axis=2)
        for array in (prompts, factors, background)
    )
    left = (prompts - background) / factors
    assert np.allclose(np.delete(quality.after, 3, 1), left, rtol=1e-5)


def test_the_page_says_the_sums(page):
    quality, (prompts, _, background), _ = page
    rows = dict(quality.counts)
    assert rows["prompts"] == f"{prompts.sum():,.0f}"
    assert rows["trues"] == f"{prompts.sum() - background.sum():,.0f}"


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_a_page_of_nothing_is_drawn_as_well(page, tmp_path, suffix):
    quality, _, _ = page
    draw(quality, tmp_path / f"page{suffix}", title="a scan")
    nothing = replace(quality, image=0 * quality.image, before=0 * quality.before,
                      after=np.full_like(quality.after, np.nan), across=0 * quality.across)
    draw(nothing, tmp_path / f"nothing{suffix}", title="nothing")
    assert (tmp_path / f"nothing{suffix}").stat().st_size > 10_000
