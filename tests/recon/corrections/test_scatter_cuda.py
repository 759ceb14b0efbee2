"""The CUDA side of the scatter kernels, thread by thread on the CPU."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.corrections.scatter import ScatterSampling, single_scatter
from tests.recon.test_cuda_path import both, emulated  # noqa: F401, a fixture


@pytest.mark.parametrize("tof_mashing", [0, 3])
def test_the_cuda_path_of_single_scatter_gives_what_the_cpu_gives(
    tof_mashing, monkeypatch, emulated, rng  # noqa: F811
):
    scanner = replace(Scanner.preset("tiny"), energy_resolution=0.15, energy_window_kev=(425, 650))
    layout = SinogramLayout.of(scanner, radial_bins=7, view_mashing=4, tof_mashing=tof_mashing)
    grid = Grid.centred(shape=(8, 7, 5), voxel_mm=(9, 9, 8), centre_mm=(3, -4, 2))
    activity = rng.random(grid.shape, dtype=np.float32)
    mu = np.float32(0.1) * rng.random(grid.shape, dtype=np.float32)
    sampling = ScatterSampling(crystals=8, ring_mm=16, point_mm=35)

    def compute():
        return single_scatter(activity, grid, mu, grid, layout, sampling=sampling)

    on_cpu, on_cuda = both(monkeypatch, emulated, compute)

    assert on_cpu.max() > 0
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=2e-5, atol=2e-6 * on_cpu.max())
