"""The NEMA scatter fraction: its analysis by hand, and a tiny scanner's."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import benchmarks.scatter_fraction as benchmark
from benchmarks import nema_scatter
from benchmarks.scatter_fraction import FITTED, PUBLISHED, fitted, points_off, scatter_fraction
from recon import Scanner, SinogramLayout

LAYOUT = SinogramLayout.of(
    Scanner.preset("demo"), radial_bins=101, radial_mm=4.0, view_mashing=16, max_ring_difference=1
)


def test_a_peak_on_a_flat_background_gives_the_backgrounds_part():
    slices = np.ones((8, 101, 3))
    middle = np.arange(8) * 3 + 38  # a source off the axis wanders
    slices[np.arange(8), middle] += 20
    s = LAYOUT.rays()[0, :, 2]
    flat = (np.abs(s) <= 120).sum()
    assert flat == 61
    expected = flat / (flat + 20)
    assert nema_scatter.fraction(slices, LAYOUT) == pytest.approx(expected)


def test_the_counts_of_a_slice_are_all_planes_of_its_z():
    sinogram = np.ones(LAYOUT.shape, np.float32)
    slices = nema_scatter.rebinned(sinogram, LAYOUT)
    # 16 rings: 31 slices; even ones hold one direct plane, odd ones two with a difference of 1.
    assert slices.shape == (8, 101, 31)
    assert (slices[0, 0] == [1 + index % 2 for index in range(31)]).all()


def test_polyethylene_attenuates_as_tables_say():
    # Its mass attenuation is 0.0986 cm2/g at 511 keV, of which coherent scatter is 0.0002.
    assert nema_scatter.mu_per_cm() == pytest.approx(0.96 * 0.0984, rel=2e-3)
    mu, grid = nema_scatter.cylinder()
    area = mu[..., 0].sum() / nema_scatter.mu_per_cm() * grid.voxel_mm[0] ** 2
    assert area == pytest.approx(np.pi * 101.5**2, rel=2e-3)
    assert grid.shape[2] * grid.voxel_mm[2] == 700


def test_a_tiny_run_agrees_with_the_simulation_of_photon_pairs(tmp_path):
    path = tmp_path / "fraction.json"
    scatter_fraction(scanner=("demo",), pairs=1_200_000, output=path)
    (row,) = json.loads(path.read_text())["rows"]
    assert 20 < row["single"] < row["total"] < 50
    assert row["monte_carlo_sd"] < 0.8
    assert abs(row["total"] - row["monte_carlo"]) < 3 * row["monte_carlo_sd"]
    assert (row["published_range"], row["points_off"]) == (None, None)
    assert row["fitted_to"] == "predicted" and row["effective_threshold_kev"] == 430
    changes = row["changes"]
    assert changes["window from 10 keV lower"] > 1
    assert changes["the window's own threshold"] == 0
    assert changes["energy resolution alone, all energy measured"] < -0.3
    assert changes["no patient table"] < 0
    assert 0.2 < changes["photons at an angle recorded better"] < 1.5


def test_the_phantom_lies_on_its_table_near_the_line():
    mu, grid = nema_scatter.cylinder_on_table(5.0)
    alone, _ = nema_scatter.cylinder()
    volume = np.prod(grid.voxel_mm)
    wide = grid.shape[0] * grid.voxel_mm[0]
    assert wide == pytest.approx(400, abs=8)
    table = 0.096 * 5 * wide * 700  # 1/cm times mm^3
    assert mu.sum() * volume == pytest.approx(alone.sum() * volume + table, rel=1e-3)
    assert (mu[:, 2:-2].sum(axis=(0, 1)) == pytest.approx(alone.sum(axis=(0, 1)), rel=1e-5))
    behind = grid.centres(1)[np.flatnonzero(mu[0].any(axis=1))]  # beside the phantom: table alone
    _, lines = nema_scatter.line()
    assert len(behind) == 1 and behind > lines.centres(1).mean() + 101.5 - 45
    assert lines.centres(1).mean() == pytest.approx(45)


def test_a_fit_finds_the_threshold_that_makes_a_scatter_fraction(monkeypatch):
    # As if each keV of threshold made a third of a point, and curved a little.
    def made(scanner, pairs):
        away = scanner.effective_threshold_kev - 400
        return 0.0, 40.0 - away / 3 - 1e-3 * away**2, None

    monkeypatch.setattr(benchmark, "fractions", made)
    demo = Scanner.preset("demo")
    found = fitted(demo, made(replace(demo, effective_threshold_kev=413.0), 1)[1], 1)
    assert found == replace(demo, effective_threshold_kev=413.0)
    monkeypatch.setattr(benchmark, "fractions", lambda scanner, pairs: (0.0, 30.0, None))
    with pytest.raises(ValueError, match="threshold of demo cannot be fitted to a scatter fr"):
        fitted(demo, 40.0, 1)


def test_fits_are_of_scanners_with_a_published_value():
    with pytest.raises(ValueError, match="--fit takes a --scanner out of Discovery MI, Vision Q"):
        scatter_fraction(scanner=("mMR",), fit=True)
    for name, (value, _) in FITTED.items():
        assert value in [published for published, _ in PUBLISHED[name]]


@pytest.mark.parametrize(("total", "off"), [(35.0, -1.0), (36.5, 0), (38.9, 1.0)])
def test_a_total_is_as_far_off_as_it_lies_from_the_published_range(total, off):
    row = {"published_range": [36.0, 37.9], "total": total}
    assert points_off(row) == pytest.approx(off)


def test_every_published_value_names_a_paper_and_its_year():
    sources = [source for values in PUBLISHED.values() for _, source in values]
    assert sources
    assert all(re.search(r"(J Nucl Med|EJNMMI Phys).*\b20[12]\d\b", source) for source in sources)


def test_a_scanner_whose_resolution_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"energy_resolution, got 'HR\+'"):
        scatter_fraction(scanner=("HR+",))
