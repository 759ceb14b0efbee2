import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from recon import Grid, Scanner, SinogramLayout
from sim import resolution
from sim.rays import attenuated_trues

ROOT = Path(__file__).resolve().parents[2]
RING = Scanner(
    name="ring", rings=3, crystals=504, radius_mm=328.0, depth_mm=7.0, ring_spacing_mm=4.0,
    radial_bins=301, crystal_mm=(4.0, 4.0, 20.0), scintillator="LSO",
)
FINE = Grid.centred(shape=(61, 61, 45), voxel_mm=(0.5, 0.5, 0.5))


def point(grid):
    image = np.zeros(grid.shape, np.float32)
    image[tuple(n // 2 for n in grid.shape)] = 1000
    return image


def moments(weights, places):
    weights = weights / weights.sum()
    mean = (weights * places).sum()
    return mean, (weights * (places - mean) ** 2).sum()


@pytest.mark.parametrize(("isotope", "half", "tenth"), [
    ("F-18", 0.102, 1.03), ("C-11", 0.188, 1.86), ("N-13", 0.282, 2.53), ("O-15", 0.501, 4.14),
])
def test_positron_range_is_as_wide_at_a_half_and_a_tenth_as_its_source_says(isotope, half, tenth):
    shares, rates = resolution.range_terms(isotope)

    def height(x):
        return sum(s * k * np.exp(-k * x) for s, k in zip(shares, rates, strict=True))

    for level, width, tolerance in ((0.5, half, 0.08), (0.1, tenth, 0.03)):
        x = brentq(lambda x, level=level: height(x) - level * height(0), 1e-6, 10)
        assert 2 * x == pytest.approx(width, rel=tolerance)


def test_positrons_of_rubidium_go_far_farther_than_those_of_fluorine():
    # Share-weighted 2 / k^2 of F-18: 0.0802 * 0.00139 + 0.9198 * 0.2081 mm^2 = 0.1915 mm^2.
    assert resolution.range_sd_mm("F-18") == pytest.approx(0.4376, rel=1e-3)
    assert resolution.range_sd_mm("82Rb") == pytest.approx(3.647, rel=1e-3)


@pytest.mark.parametrize("isotope", ["F-18", "Ga-68"])
def test_annihilations_are_as_many_as_decays_and_spread_by_the_range_along_each_axis(isotope):
    found = resolution.annihilations(point(FINE), FINE, isotope)
    assert found.sum(dtype=float) == pytest.approx(1000, rel=1e-5)
    assert found.min() >= 0
    expected = resolution.range_sd_mm(isotope) ** 2
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        profile = found.sum(axis=others, dtype=float)
        mean, variance = moments(profile, FINE.centres(axis))
        assert mean == pytest.approx(0, abs=1e-3)
        # Ga-68's tails reach the image's edges, 11 to 15 mm away, where they are turned back.
        assert variance == pytest.approx(expected, rel=1e-3 if isotope == "F-18" else 0.05)


def test_blurred_sinograms_keep_the_counts_of_each_view_and_ring_difference():
    layout = SinogramLayout.of(RING)
    blur = resolution.DataBlur(layout=layout, split=2)
    views = np.random.default_rng(1).random((4, *layout.shape[1:]), np.float32)
    blurred = blur(views)
    first = layout.first_planes()
    for start, segment in zip(first, layout.segments, strict=True):
        part = slice(start, start + segment.planes)
        np.testing.assert_allclose(blurred[..., part].sum(axis=(1, 2)),
                                   views[..., part].sum(axis=(1, 2)), rtol=1e-4)
    assert np.abs(blurred - views).max() > 0.1


def test_an_even_sinogram_stays_even_but_for_how_much_deeper_photons_interact_at_its_edges():
    blur = resolution.DataBlur(layout=SinogramLayout.of(RING), split=2)
    even = blur.radial.sum(axis=1)
    np.testing.assert_allclose(even[60:101], 1, rtol=5e-3)
    np.testing.assert_allclose(np.diff(even[70:91]), 0, atol=1e-3)


def test_the_stated_resolution_is_the_hand_worked_one():
    # mMR, on the axis: pitch 2 pi 335 / 504 = 4.176 mm. Crystals: 4.176 / sqrt(24) 2.355 = 2.007;
    # acollinearity: 0.0022 * 670 = 1.474; decoding: 4.176 / 3 = 1.392; range 2.355 * 0.438 = 1.031.
    radial = resolution.total_fwhm_mm(Scanner.preset("mMR"), "F-18")["radial"]
    assert radial["total"] == pytest.approx(3.034, abs=2e-3)
    assert radial["penetration"] == 0


@pytest.mark.parametrize("radius_mm", [0.0, 100.0])
def test_a_points_sinogram_is_as_wide_as_the_stated_resolution_says(radius_mm):
    layout = SinogramLayout.of(RING, max_ring_difference=0)
    grid = Grid.centred(shape=(61, 61, 31), voxel_mm=(1, 1, 1), centre_mm=(radius_mm, 0, 0))
    x, y, z = np.ix_(*(grid.centres(axis) for axis in range(3)))
    blob = np.exp(-((x - radius_mm) ** 2 + y**2 + z**2) / (2 * 4.0**2)).astype(np.float32)
    trues = attenuated_trues(blob, np.zeros_like(blob), grid, layout)
    blurred = resolution.DataBlur(layout=layout, split=2)(trues[:1])
    s = layout.rays()[0, :, 2]
    own = moments(blob.sum(axis=(1, 2), dtype=float), grid.centres(0))[1] + 1 / 6  # Joseph's
    found = moments(blurred[0].sum(axis=1, dtype=float), s)[1] - own
    parts = resolution.total_fwhm_mm(RING, "F-18", radius_mm)["radial"]
    stated = parts["total"] ** 2 - parts["positron range"] ** 2
    assert found * 2.3548**2 == pytest.approx(stated, rel=0.05)
    assert stated > (3.0**2 if radius_mm else 2.2**2)


def test_the_blur_is_the_same_bit_for_bit_with_any_number_of_threads_of_the_linear_algebra():
    code = (
        "import hashlib, numpy as np; from recon import Scanner, SinogramLayout;"
        "from sim.resolution import DataBlur;"
        "layout = SinogramLayout.of(Scanner.preset('demo'), max_ring_difference=2);"
        "views = np.random.default_rng(1).random(layout.shape, np.float32);"
        "blurred = DataBlur(layout=layout, split=2)(views);"
        "print(hashlib.sha256(blurred.tobytes()).hexdigest())"
    )
    found = set()
    for threads in ("1", "2"):
        many = {f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL")}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | many,
                              capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
