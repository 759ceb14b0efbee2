"""Tiny versions of what `countless benchmark image-quality` measures in full."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.image_quality import (
    FEWER,
    convolved_mean,
    recovery,
    simulated,
    sphere,
    variances,
)
from recon import Grid, Scanner
from recon.layout import FWHM_PER_SIGMA
from sim.objects.nema import nema_iq
from sim.protocol import Protocol
from sim.resolution import total_fwhm_mm

DEMO = Scanner.preset("demo")


@pytest.fixture(scope="module")
def scan():
    """The phantom in four rings."""
    protocol = Protocol(scanner=replace(DEMO, rings=4), view_mashing=4, minutes=30.0,
                        photon_pairs=250_000)
    return simulated(protocol, voxel_mm=8.0, fine_mm=4.0)


@pytest.mark.parametrize(("diameter_mm", "sigma_mm"), [(10.0, 1.0), (10.0, 3.0), (22.0, 4.0)])
def test_the_mean_of_a_blurred_sphere_is_that_of_its_autocorrelation(diameter_mm, sigma_mm):
    # Two balls of diameter d a distance r apart share 1 - 3/2 r/d + 1/2 (r/d)^3 of each.
    r = np.linspace(0, diameter_mm, 10_001)
    shared = 1 - 1.5 * r / diameter_mm + 0.5 * (r / diameter_mm) ** 3
    gauss = np.exp(-(r**2) / (2 * sigma_mm**2)) / (2 * np.pi * sigma_mm**2) ** 1.5
    kept = np.trapezoid(4 * np.pi * r**2 * gauss * shared, r)
    found = convolved_mean(diameter_mm, 4.0, (sigma_mm,) * 3, wall_mm=0.0)
    assert found == pytest.approx(1 + 3 * kept, rel=2e-3)


def test_a_blur_does_as_much_along_any_axis():
    found = [convolved_mean(14.0, 4.0, sigmas) for sigmas in ((3, 2, 1), (1, 3, 2), (2, 1, 3))]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)


def test_a_sphere_of_the_phantom_that_is_blurred_as_stated_is_found_as_stated():
    phantom = nema_iq()
    region = next(one for one in phantom.lesions if one.name == "sphere 17 mm")  # on the x axis
    low, high = np.array(region.solid.extent).T
    grid = Grid.centred(shape=(46, 46, 46), voxel_mm=(1, 1, 1), centre_mm=(low + high) / 2)
    here, axis = (total_fwhm_mm(DEMO, "F-18", mm) for mm in (57.2, 0.0))
    fwhm = here["radial"]["total"], axis["radial"]["total"], here["axial"]["total"]
    blurred = ndimage.gaussian_filter(phantom.activity(grid), np.array(fwhm) / FWHM_PER_SIGMA)
    row = sphere(region, blurred, grid, DEMO, phantom.find("background")[0].activity_bq_ml)
    assert row["diameter_mm"] == 17 and abs(row["off"]) < 0.01


def test_before_it_converges_an_image_lacks_most_of_the_smallest_spheres(scan):
    rows = recovery(scan, passes=2)
    assert [row["diameter_mm"] for row in rows] == [10, 13, 17, 22, 28, 37]
    off = [row["off"] for row in rows]
    assert off == sorted(off) and -0.25 < off[-1] < 0


def test_variance_goes_with_one_over_the_counts(scan, capsys):
    for row in variances(scan, realisations=20).values():
        assert row["sd"] < 0.05 * FEWER
        assert row["ratio"] == pytest.approx(FEWER, abs=3 * row["sd"])
