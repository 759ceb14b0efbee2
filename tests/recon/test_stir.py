"""Against STIR 6.5 (shared/reference/stir): its projections and images, our projectors.

STIR's numbers are per voxel side: values in mm are its values times the x voxel, images divided by
it. Its lines are not interleaved, so these layouts are read that way. STIR adds up exact path
lengths of 1 or 10 rays per bin, ours interpolates along one.
"""

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from recon import Grid, SinogramLayout
from recon.acquisition import AcquisitionModel
from recon.algorithms import osem
from recon.io import read_image, read_sinogram
from recon.layout import FWHM_PER_SIGMA
from recon.projectors import SinogramProjector
from tests.recon.cases import rms_difference
from tests.recon.reference_siddon import SiddonProjector


@pytest.fixture(scope="module")
def stir(reference):
    return reference / "stir"


def sinogram(path, interleaved=False):
    """Array and layout of a file of STIR's."""
    return read_sinogram(path, interleaved=interleaved)[:2]


def image(path):
    """Array and grid of a file of STIR's."""
    return read_image(path)[:2]


def projection(emission, layout):
    """Our projection of a file's image in STIR's numbers."""
    values, grid = image(emission)
    return SinogramProjector(layout, grid)(values) / grid.voxel_mm[0]


@pytest.mark.parametrize("scan, bound", [("thorax", 0.002), ("brain", 0.012)])
def test_projection_agrees_with_ten_rays(stir, scan, bound):
    # The brain has voxels of 1 mm under bins of 3 mm: ten rays average over what one interpolates.
    expected, layout = sinogram(stir / scan / "fp_10rays.hs")
    ours = projection(stir / scan / "emission.hv", layout)
    assert rms_difference(ours, expected) <= bound


def test_projection_along_true_lines_differs_from_stirs_uninterleaved_ones_within_1_percent(stir):
    expected, layout = sinogram(stir / "thorax" / "fp_10rays.hs", interleaved=True)
    ours = projection(stir / "thorax" / "emission.hv", layout)
    assert 0.004 <= rms_difference(ours, expected) <= 0.01


def test_every_plane_agrees_and_its_neighbour_does_not(stir):
    expected, layout = sinogram(stir / "brain" / "fp_10rays.hs")
    ours = projection(stir / "brain" / "emission.hv", layout)
    for plane in range(11):
        assert rms_difference(ours[..., plane], expected[..., plane]) <= 0.016
    assert rms_difference(ours[..., 1:], expected[..., :-1]) > 0.2
    assert rms_difference(ours[..., ::-1], expected) > 0.5


def test_attenuation_factors_agree_with_one_ray(stir):
    # mu in 1/cm, lengths in mm.
    expected, layout = sinogram(stir / "thorax" / "af_default.hs")
    mu, grid = image(stir / "thorax" / "attenuation.hv")
    ours = np.exp(-SinogramProjector(layout, grid)(mu) / 10)
    assert rms_difference(ours, expected) <= 0.004


def test_back_projection_agrees_with_ten_rays_inside_their_circle(stir):
    values, layout = sinogram(stir / "thorax" / "fp_10rays.hs")
    expected, grid = image(stir / "thorax" / "bp_10rays.hv")
    inside = grid.cylinder(230.0)[..., 0]
    ours = SinogramProjector(layout, grid).T(values) / grid.voxel_mm[0]
    assert rms_difference(ours[inside], expected[inside]) <= 0.012


def test_timed_projection_agrees_and_its_mirror_does_not(stir):
    expected, layout = sinogram(stir / "thorax_tof" / "fp_tof_thorax.hs")
    ours = projection(stir / "thorax" / "emission.hv", layout)
    assert rms_difference(ours, expected) <= 0.005
    assert rms_difference(ours[:, :, ::-1], expected) > 0.5


def test_timed_projection_without_a_cut_agrees_better(stir):
    # STIR cuts the Gaussian past 5 sigmas, ours after 3 unless told.
    expected, layout = sinogram(stir / "thorax_tof" / "fp_tof_thorax.hs")
    values, grid = image(stir / "thorax" / "emission.hv")
    ours = SinogramProjector(layout, grid, tof_sigmas=5)(values) / grid.voxel_mm[0]
    assert rms_difference(ours, expected) <= 0.002


@pytest.mark.parametrize(
    "file, rays, bound",
    [
        ("thorax/fp_10rays.hs", 10, 1e-5),
        ("thorax/fp_default.hs", 1, 1e-5),
        ("thorax_tof/fp_tof_thorax.hs", 10, 5e-5),
    ],
)
def test_the_reference_walk_of_stirs_rays_gives_stirs_projections(stir, file, rays, bound):
    expected, layout = sinogram(stir / file)
    values, grid = image(stir / "thorax" / "emission.hv")
    ours = SiddonProjector(layout, grid, rays)(values) / grid.voxel_mm[0]
    assert rms_difference(ours, expected) <= bound


@dataclass(frozen=True)
class Scan:
    """Prompts and model of one of STIR's noisy scans, and STIR's images after 8 and 32 updates."""

    prompts: np.ndarray
    layout: SinogramLayout
    grid: Grid
    images: dict
    factors: np.ndarray | None = None
    background: np.ndarray | None = None


def noisy_scan(folder):
    """STIR's model is expected = (projection + additive) / correction."""
    prompts, layout = sinogram(folder / "prompts.hs")
    correction, additive = sinogram(folder / "mult.hs")[0], sinogram(folder / "additive.hs")[0]
    images = {n: image(folder / f"osem_noisy_10rays_{n}.hv")[0] for n in (8, 32)}
    grid = image(folder / "emission.hv")[1]
    return Scan(prompts, layout, grid, images, 1 / correction, additive / correction)


@pytest.fixture(scope="module")
def thorax(stir):
    return noisy_scan(stir / "thorax")


@pytest.fixture(scope="module")
def timed_thorax(stir):
    """4e5 counts, without background or attenuation."""
    folder = stir / "thorax_tof"
    prompts, layout = sinogram(folder / "prompts_tof_thorax.hs")
    images = {n: image(folder / f"osem_tof_thorax_{n}.hv")[0] for n in (8, 32)}
    return Scan(prompts, layout, image(stir / "thorax" / "emission.hv")[1], images)


def reconstructed(scan, projector, order="sequential"):
    """Our images after 8 and 32 updates of 8 subsets, in STIR's numbers, from STIR's ones."""
    voxel_mm = scan.grid.voxel_mm[0]
    model = AcquisitionModel(projector, factors=scan.factors, background=scan.background)
    start = np.full(scan.grid.shape, 1 / voxel_mm, np.float32) * scan.grid.cylinder()
    updates = osem(model, scan.prompts, subsets=8, start=start, order=order)
    return {n: ours * voxel_mm for n, ours in enumerate(islice(updates, 32), 1) if n in (8, 32)}


@pytest.fixture(scope="module")
def timed_images(timed_thorax):
    """Images of the timed scan by the number of STIR's rays per bin."""
    layout, grid = timed_thorax.layout, timed_thorax.grid
    return {
        rays: reconstructed(timed_thorax, SiddonProjector(layout, grid, rays)) for rays in (1, 10)
    }


def smooth_difference(ours, theirs, grid):
    """Root mean square difference after smoothing by 6 mm FWHM, along z where there are slices."""
    sigmas = 6 / FWHM_PER_SIGMA / np.array(grid.voxel_mm) * (np.array(grid.shape) > 1)
    return rms_difference(gaussian_filter(ours, sigmas), gaussian_filter(theirs, sigmas))


def test_osem_with_stirs_rays_gives_stirs_image_voxel_by_voxel(thorax):
    # Of the algorithm itself. Voxels at the circle's rim, which few rays graze, are left out.
    projector = SiddonProjector(thorax.layout, thorax.grid, 10)
    inside = thorax.grid.cylinder(230.0)[..., 0]
    for updates, ours in reconstructed(thorax, projector).items():
        assert rms_difference(ours[inside], thorax.images[updates][inside]) <= 0.001


def test_osem_gives_stirs_image_within_1_percent_after_smoothing(thorax):
    projector = SinogramProjector(thorax.layout, thorax.grid)
    for updates, ours in reconstructed(thorax, projector).items():
        assert smooth_difference(ours, thorax.images[updates], thorax.grid) <= 0.01


@pytest.mark.parametrize("turned", [np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1]])
def test_stirs_image_turned_in_any_way_is_another(thorax, turned):
    projector = SinogramProjector(thorax.layout, thorax.grid)
    ours = reconstructed(thorax, projector)[8]
    assert smooth_difference(ours, thorax.images[8][turned], thorax.grid) > 0.2


def test_subsets_in_another_order_give_another_image(thorax):
    projector = SinogramProjector(thorax.layout, thorax.grid)
    ours = reconstructed(thorax, projector, order="spread")[8]
    assert smooth_difference(ours, thorax.images[8], thorax.grid) > 0.01


def test_timed_osem_with_one_of_stirs_rays_gives_stirs_image_voxel_by_voxel(
    timed_thorax, timed_images
):
    # One ray, not the ten of its README: the parameter file names no number. What is left is that
    # STIR's sensitivity leaves out that counts past the last time-of-flight bins are lost.
    for updates, ours in timed_images[1].items():
        assert rms_difference(ours, timed_thorax.images[updates]) <= 5e-4


def test_timed_osem_gives_the_image_of_ten_rays_within_1_percent_after_smoothing(
    timed_thorax, timed_images
):
    projector = SinogramProjector(timed_thorax.layout, timed_thorax.grid)
    for updates, ours in reconstructed(timed_thorax, projector).items():
        assert smooth_difference(ours, timed_images[10][updates], timed_thorax.grid) <= 0.01


@pytest.mark.parametrize("updates, bound", [(8, 0.012), (32, 0.028)])
def test_timed_osem_is_as_near_to_stirs_image_of_one_ray_as_ten_of_its_rays_are(
    timed_thorax, timed_images, updates, bound
):
    # One ray follows few voxels of a scan of 4e5 counts, and OSEM amplifies which: STIR's own
    # images of 1 and 10 rays differ by 1.2 % and 2.8 % after smoothing, ours by 1.1 % and 2.6 %.
    theirs, grid = timed_thorax.images[updates], timed_thorax.grid
    projector = SinogramProjector(timed_thorax.layout, grid)
    ours = smooth_difference(reconstructed(timed_thorax, projector)[updates], theirs, grid)
    assert ours <= bound
    assert ours <= smooth_difference(timed_images[10][updates], theirs, grid)


def test_timed_osem_of_mirrored_bins_is_another_image(timed_thorax):
    mirrored = replace(timed_thorax, prompts=timed_thorax.prompts[:, :, ::-1].copy())
    projector = SinogramProjector(timed_thorax.layout, timed_thorax.grid)
    ours = reconstructed(mirrored, projector)[8]
    assert smooth_difference(ours, timed_thorax.images[8], timed_thorax.grid) > 0.3


@pytest.mark.parametrize("updates, bound", [(8, 0.025), (32, 0.06)])
def test_brain_osem_gives_stirs_image_roughly_after_smoothing(stir, updates, bound):
    # Voxels of 1 mm and far too few bins for them: an independent projector came to 2.7 % and 7 %.
    brain = noisy_scan(stir / "brain")
    ours = reconstructed(brain, SinogramProjector(brain.layout, brain.grid))[updates]
    assert smooth_difference(ours, brain.images[updates], brain.grid) <= bound
