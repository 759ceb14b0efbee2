"""The command on STIR's own files gives STIR's images (STIR 6.5, see reference/README.md)."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import countless
from recon.io import read_image, read_layout, read_sinogram, write_sinogram
from recon.operators import GaussianBlur

ROOT = Path(__file__).resolve().parents[3]
AS_STIR = ["--subsets", "8", "--subset-order", "sequential", "--lor-angles", "stir"]
STATISTICS = ["--correction", "mult.hs", "--additive", "additive.hs"]


def words(folder, output, passes, *more):
    """Words for a thorax scan; names of files are taken as names in `folder`."""
    named = [str(folder / word) if word.endswith((".hs", ".hv")) else word for word in more]
    grid = ["--grid-like", str(folder.parent / "thorax" / "truth.hv")]
    return ["recon", *named, "-o", str(output), *AS_STIR, *grid, "--iterations", str(passes)]


def error(output, theirs):
    """RMSE after smoothing with 6 mm over STIR's RMS; STIR's images are ours times the x voxel."""
    (ours, grid, _), (theirs, other, _) = read_image(output), read_image(theirs)
    assert grid.shape == other.shape
    assert np.allclose(grid.affine, other.affine, atol=1e-3)
    smooth = GaussianBlur(grid.shape, grid.voxel_mm, (6, 6, 0))
    ours, theirs = smooth(ours), smooth(theirs / np.float32(grid.voxel_mm[0]))
    return np.sqrt(np.mean((ours - theirs) ** 2) / np.mean(theirs**2))


@pytest.mark.parametrize("passes", [1, 4])
def test_noisy_thorax_is_stirs_image_within_one_percent(reference, tmp_path, passes):
    folder, output = reference / "stir" / "thorax", tmp_path / "image.nii.gz"
    assert countless.main(words(folder, output, passes, "prompts.hs", *STATISTICS)) == 0
    assert error(output, folder / f"osem_noisy_10rays_{8 * passes}.hv") < 0.01


def test_command_in_a_process_of_its_own_gives_the_same_image(reference, tmp_path):
    folder, output = reference / "stir" / "thorax", tmp_path / "image.hv"
    command = words(folder, output, 1, "prompts.hs", *STATISTICS)
    result = subprocess.run([sys.executable, "-W", "error", "-m", "countless", *command], cwd=ROOT,
                            capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "8/8" in result.stderr  # the progress bar at its end
    assert error(output, folder / "osem_noisy_10rays_8.hv") < 0.01


def test_mu_map_stands_in_for_the_attenuation_in_stirs_correction(reference, tmp_path):
    # mult is norm times STIR's attenuation correction, from the same mu map by its own projector.
    folder, output = reference / "stir" / "thorax", tmp_path / "image.nii"
    files = ["prompts.hs", "--correction", "norm.hs", "--additive", "additive.hs"]
    assert countless.main(words(folder, output, 1, *files, "--mu-map", "attenuation.hv")) == 0
    assert error(output, folder / "osem_noisy_10rays_8.hv") < 0.01


@pytest.fixture
def ones(reference, tmp_path):
    """Efficiencies of 1 without time of flight: STIR simulated mean line integrals."""
    layout = read_layout(reference / "stir" / "thorax_tof" / "prompts_tof_thorax.hs")[0]
    layout = layout.without_tof()
    write_sinogram(tmp_path / "ones.hs", np.ones(layout.shape, np.float32), layout)
    return ["--efficiency", str(tmp_path / "ones.hs")]


@pytest.mark.parametrize(("passes", "bound"), [(1, 0.012), (4, 0.028)])
def test_time_of_flight_thorax_is_stirs_image(reference, tmp_path, ones, passes, bound):
    # 4e5 counts make 1.1 and 2.6 %; their projectors differ by 0.1 %.
    folder, output = reference / "stir" / "thorax_tof", tmp_path / "image.nii.gz"
    command = words(folder, output, passes, "prompts_tof_thorax.hs")
    assert countless.main([*command, *ones]) == 0
    assert error(output, folder / f"osem_tof_thorax_{8 * passes}.hv") < bound


def test_mirrored_time_of_flight_is_far_from_stirs_image(reference, tmp_path, ones):
    folder, output = reference / "stir" / "thorax_tof", tmp_path / "image.nii.gz"
    prompts, layout, _ = read_sinogram(folder / "prompts_tof_thorax.hs")
    write_sinogram(tmp_path / "mirrored.hs", prompts[:, :, ::-1], layout)
    command = words(folder, output, 1, str(tmp_path / "mirrored.hs"))
    assert countless.main([*command, *ones]) == 0
    assert error(output, folder / "osem_tof_thorax_8.hv") > 0.3
