"""Volumes and activities of test objects against what their dimensions say, to 0.5 %."""

from math import floor, pi

import numpy as np
import pytest

from recon import Grid
from sim.objects import rods
from sim.objects.nema import nema_iq, nema_scatter, nema_sensitivity
from sim.objects.shepp_logan import shepp_logan
from sim.objects.sources import line_source, point_source, uniform
from sim.shapes import paint


def grid_of(phantom, voxel_mm):
    """A Grid about the phantom: beside its middle across, and with faces at whole mm along z."""
    (left, right), (front, back), (low, high) = phantom.extent
    sides = right - left, back - front, high - low
    shape = [int(side / voxel) + 3 for side, voxel in zip(sides, voxel_mm, strict=True)]
    first = floor(low) - voxel_mm[2] + voxel_mm[2] / 2
    origin = left - 0.63 * voxel_mm[0], front - 0.41 * voxel_mm[1], first
    return Grid(shape=shape, voxel_mm=voxel_mm, origin_mm=origin)


def volumes_ml(phantom, voxel_mm, samples=3):
    """mL of each region name as painted, and MBq of the activity image."""
    grid = grid_of(phantom, voxel_mm)
    tables = [[float(region.name == name) for region in phantom.regions] for name in phantom.names]
    tables.append([region.activity_bq_ml for region in phantom.regions])
    solids = [region.solid for region in phantom.regions]
    sums = [image.sum(dtype=float) for image in paint(solids, tables, grid, samples)]
    sums = np.array(sums) * np.prod(voxel_mm) / 1000
    return dict(zip(phantom.names, sums, strict=False)), sums[-1] / 1e6


def sphere(diameter):
    return pi / 6 * diameter**3 / 1000


def tube(outside, inside, length):
    return pi / 4 * (outside**2 - inside**2) * length / 1000


def check(phantom, expected, voxel_mm, samples=3):
    """Whether the regions named have the mL expected, and all together the activity."""
    found, mbq = volumes_ml(phantom, voxel_mm, samples)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=0.005)
    activity = {region.name: region.activity_bq_ml for region in phantom.regions}
    total = sum(activity[name] * volume for name, volume in expected.items()) / 1e6
    assert {name for name, value in activity.items() if value} <= set(expected)
    assert mbq == pytest.approx(total, rel=0.005)


def test_nema_image_quality():
    phantom, diameters = nema_iq(), (10, 13, 17, 22, 28, 37)
    inside = (pi * 147**2 / 2 + 2 * pi * 77**2 / 4 + 140 * 77) * 0.18
    outside = (pi * 150**2 / 2 + 2 * pi * 80**2 / 4 + 140 * 80) * 0.2
    assert inside == pytest.approx(9727, abs=1)  # mL; Data Spectrum says 9.7 L
    expected = {f"sphere {d} mm": sphere(d) for d in diameters}
    expected["lung insert"] = tube(45, 0, 180)
    expected["background"] = inside - tube(50, 0, 180) - sum(sphere(d + 2) for d in diameters)
    expected["wall"] = outside - inside
    check(phantom, expected, (2.9, 2.8, 3))


def test_nema_scatter():
    expected = {"line": tube(3.2, 0, 700), "tube": tube(4.8, 3.2, 700),
                "cylinder": tube(203, 6.4, 700)}
    check(nema_scatter(activity_mbq=70), expected, (4, 4, 10))
    expected["table"] = 400 * 10 * 0.7
    check(nema_scatter(table_mm=10), expected, (4, 4, 10), 5)


def test_a_scatter_line_of_70_mbq_holds_70_mbq():
    (line,) = nema_scatter(activity_mbq=70).find("line")
    assert line.activity_bq_ml * tube(3.2, 0, 700) == pytest.approx(70e6)


@pytest.mark.parametrize("sleeves", [1, 5])
def test_nema_sensitivity(sleeves):
    inside, outside = (3.9, 7.0, 10.2, 13.4, 16.6), (6.4, 9.5, 12.7, 15.9, 19.1)
    pairs = list(zip(outside, inside, strict=True))[:sleeves]
    expected = {"sleeve": sum(tube(*pair, 700) for pair in pairs), "line": tube(1, 0, 700)}
    phantom = nema_sensitivity(sleeves=sleeves, activity_mbq=5, x_mm=3)
    check(phantom, expected, (2, 2, 10))
    (line,) = phantom.find("line")
    assert line.activity_bq_ml * tube(1, 0, 700) == pytest.approx(5e6)


COUNTS = {d: len(rods.rod_places(0, d, 103)) for d in rods.RODS_MM}  # tests: test_rods.py


def test_derenzo():
    expected = {f"rods {d} mm": n * tube(d, 0, 88) for d, n in COUNTS.items()}
    expected["disk"] = tube(216, 0, 88) - sum(expected.values())
    check(rods.derenzo(), expected, (3.1, 3.1, 3))


def test_jaszczak():
    cold = {f"rods {d} mm": n * tube(d, 0, 88) for d, n in COUNTS.items()}
    spheres = {f"sphere {d} mm": sphere(d) for d in (9.5, 12.7, 15.9, 19.1, 25.4, 31.8)}
    inside = tube(216, 0, 186) - sum(cold.values()) - sum(spheres.values())
    check(rods.jaszczak(), {**cold, **spheres, "background": inside}, (3.1, 3.1, 3))


def test_acr():
    expected = {f"hot {d} mm": tube(d, 0, 38) for d in (8, 12, 16, 25)}
    expected |= {f"cold {name}": tube(25, 0, 38) for name in ("air", "water", "Teflon")}
    found = volumes_ml(rods.acr(), (3.1, 3.1, 3))[0]
    filled = sum(expected.values()) + found["background"]
    filled += sum(value for name, value in found.items() if "rods" in name or ", wall" in name)
    assert filled == pytest.approx(tube(204, 0, 186), rel=0.005)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=0.005)


def test_shepp_logan():
    phantom = shepp_logan()
    expected = {"skull": (0.69 * 0.92 * 0.9 - 0.6624 * 0.874 * 0.88) * 4000 / 3 * pi}
    expected["left ventricle"] = 0.31 * 0.11 * 0.22 * 4000 / 3 * pi
    expected["upper tumour"] = 0.056 * 0.04 * 0.1 * 4000 / 3 * pi
    found = volumes_ml(phantom, (2.1, 2.2, 2.3))[0]
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(
    ("phantom", "name", "volume", "mbq"),
    [
        (uniform(), "cylinder", pi * 3000, pi * 3000 * 5300e-6),
        (uniform(diameter_mm=60, length_mm=80), "cylinder", pi * 72, pi * 72 * 5300e-6),
        (line_source(activity_mbq=2), "line", pi * 0.175, 2),
        (point_source(activity_mbq=3, x_mm=11), "point", pi / 6000, 3),
    ],
)
def test_sources(phantom, name, volume, mbq):
    found = volumes_ml(phantom, (2, 2, 2))
    assert found[0][name] == pytest.approx(volume, rel=0.005)
    assert found[1] == pytest.approx(mbq, rel=0.005)
