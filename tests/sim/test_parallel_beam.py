import numpy as np
import pytest

from recon import Grid
from sim.parallel_beam import ParallelBeam
from sim.shapes import Cylinder, paint


@pytest.fixture(scope="module", params=[(0, 0, 0), (40, -30, 500)])
def grid(request):
    return Grid.centred(shape=(80, 64, 3), voxel_mm=(2, 2, 4), centre_mm=request.param)


def disc(grid, radius_mm, dx=0.0, dy=0.0):
    x, y, _ = grid.centre
    solid = Cylinder(centre_mm=(x + dx, y + dy, 0), radii_mm=(radius_mm, radius_mm, np.inf))
    return paint([solid], [[0.02]], grid, 5)[0]


def test_rays_through_a_disc_in_the_middle_measure_its_chords_in_cm(grid):
    lines = ParallelBeam(grid).project(disc(grid, 50))
    s = (np.arange(lines.shape[1]) - lines.shape[1] // 2) * 2.0
    chords_cm = 2 * np.sqrt(np.maximum(50**2 - s**2, 0)) / 10
    inside = np.abs(s) < 45
    for view in lines[:: len(lines) // 7]:
        expected = np.broadcast_to(0.02 * chords_cm[inside, None], view[inside].shape)
        np.testing.assert_allclose(view[inside], expected, rtol=0.02)
        assert not view[np.abs(s) > 53].any()


def test_every_view_sees_all_of_a_disc_wherever_it_lies_in_the_grid(grid):
    # The corner's disc reaches the outermost rays.
    lines = ParallelBeam(grid).project(disc(grid, 10, dx=65, dy=50))
    areas_cm2 = lines.sum(axis=1) * 0.2
    np.testing.assert_allclose(areas_cm2, 0.02 * np.pi, rtol=0.05)


def test_a_disc_is_reconstructed_from_its_line_integrals_within_1_percent(grid):
    image, beam = disc(grid, 40, dx=20), ParallelBeam(grid)
    found = beam.reconstruct(beam.project(image), "hann")
    error = np.abs(found - image)
    radius = np.hypot(
        grid.centres(0)[:, None] - grid.centre[0] - 20, grid.centres(1) - grid.centre[1]
    )
    assert error[radius < 34].max() < 0.01 * 0.02
    assert error[(radius > 46) & (radius < 60)].max() < 0.01 * 0.02
