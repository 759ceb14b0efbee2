"""Against libparallelproj 2.0.8-dev (shared/reference/parallelproj): its LORs, its image.

Images agree where their border is zero, for there the two definitions of Joseph's method meet:
ours lets a ray that runs past the outer voxel centres fade out over one voxel.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import maximum_filter
from scipy.special import erf

from recon import Grid, SinogramLayout
from recon.layout import FWHM_PER_SIGMA, MM_PER_PS
from recon.listmode import ListModeProjector
from tests.recon.cases import DEMO
from tests.recon.reference_joseph import line_integral

TOF_WIDTH_MM, TOF_BINS = 30.0, 13


@pytest.fixture(scope="module")
def theirs(reference):
    with np.load(reference / "parallelproj" / "lors.npz") as file:
        return {name: file[name] for name in file.files if not name.startswith("w1_")}


@pytest.fixture(scope="module")
def grid(theirs):
    return Grid(
        shape=theirs["image"].shape,
        voxel_mm=theirs["voxel_size"],
        origin_mm=theirs["image_origin"],
    )


@pytest.fixture(scope="module")
def layout(theirs):
    sigma_mm = float(theirs["tof_sigma"][0])
    scanner = replace(
        DEMO,
        tof_bins=TOF_BINS,
        tof_bin_ps=TOF_WIDTH_MM / MM_PER_PS,
        timing_resolution_ps=sigma_mm * FWHM_PER_SIGMA / MM_PER_PS,
    )
    return SinogramLayout.of(scanner, tof_mashing=1)


def projector(theirs, grid, tof_bin=None, layout=None):
    # Their bins count towards the end of a LOR, ours towards its first point.
    number = len(theirs["lor_end"])
    bins = None if tof_bin is None else np.full(number, tof_bin)
    return ListModeProjector(
        theirs["lor_end"], theirs["lor_start"], grid, tof_bin=bins, layout=layout
    )


def ties(theirs):
    """LORs that run equally far along their two longest axes, to float32 rounding."""
    along = np.sort(np.abs(theirs["lor_end"] - theirs["lor_start"]), axis=1)
    return (along[:, 2] > 0) & (along[:, 2] - along[:, 1] <= 1e-6 * along[:, 2])


def test_line_integrals_agree_with_float64_within_1e_5_of_the_maximum(theirs, grid):
    expected = theirs["fwd_zero_border_float64"]
    ours = projector(theirs, grid)(theirs["image_zero_border"])
    assert np.abs(ours - expected).max() <= 1e-5 * expected.max()


def test_line_integrals_agree_within_1e_5_of_the_maximum_but_for_one_tie_of_axes(theirs, grid):
    # LOR 2921 runs 458.6811 mm along x and y alike: we step along x, they along y.
    expected = theirs["fwd_zero_border"]
    ours = projector(theirs, grid)(theirs["image_zero_border"])
    far = np.flatnonzero(np.abs(ours - expected) > 1e-5 * expected.max())
    assert set(far) <= {2921}
    assert ties(theirs)[far].all()


def test_back_projection_agrees_within_2e_5_inside_the_border_but_beside_ties_of_axes(theirs, grid):
    # Border voxels differ by definition; between the outer voxel centres both interpolate alike.
    # Both sum in float32, and the 43 ties of x and y step along one axis here and the other there.
    operator, values = projector(theirs, grid), theirs["back_input"]
    expected = theirs["back"]
    touched = operator.T(ties(theirs).astype(np.float32)) > 0
    inside = (slice(1, -1),) * 3
    same = ~maximum_filter(touched, 3)[inside]
    assert same.mean() > 0.94
    difference = np.abs(operator.T(values) - expected)[inside][same]
    assert difference.max() <= 2e-5 * expected.max()


def test_timed_line_integrals_agree_within_2_5e_3_but_for_ties_of_axes(theirs, grid, layout):
    expected = theirs["tof_fwd_zero_border"]
    same = ~ties(theirs)
    assert same.mean() > 0.99
    for tof_bin in range(TOF_BINS):
        ours = projector(theirs, grid, tof_bin, layout)(theirs["image_zero_border"])
        difference = np.abs(ours - expected[:, tof_bin])[same]
        assert difference.max() <= 2.5e-3 * expected.max(), tof_bin


def test_mirrored_time_of_flight_does_not_agree(theirs, grid, layout):
    expected = theirs["tof_fwd_zero_border"]
    ours = projector(theirs, grid, 2, layout)(theirs["image_zero_border"])
    assert np.abs(ours - expected[:, TOF_BINS - 1 - 2]).max() > 0.5 * expected.max()


def test_their_way_to_cut_the_gaussian_is_all_that_timed_line_integrals_differ_by(theirs, grid):
    # They keep whole bins within 3 sigmas, rounded outwards, and renormalise those; then a float64
    # walk along our definition agrees to 1e-5.
    sigma = float(theirs["tof_sigma"][0])
    bins = np.arange(-20, 21)

    def weight(along, tof_bin):
        edges = (np.append(bins, bins[-1] + 1) - 0.5) * TOF_WIDTH_MM
        share = np.diff(erf((edges[:, None] - along) / (np.sqrt(2) * sigma)), axis=0)
        low = np.floor((along - 3 * sigma) / TOF_WIDTH_MM)
        high = np.ceil((along + 3 * sigma) / TOF_WIDTH_MM)
        share *= (bins[:, None] >= low) & (bins[:, None] <= high)
        return share[tof_bin - TOF_BINS // 2 + 20] / share.sum(axis=0)

    expected = theirs["tof_fwd_zero_border"]
    image = theirs["image_zero_border"].astype(float)
    seen = np.flatnonzero((expected.sum(axis=1) > 0) & ~ties(theirs))
    for lor in seen[:: len(seen) // 40]:
        first, second = theirs["lor_end"][lor], theirs["lor_start"][lor]
        for tof_bin in range(0, TOF_BINS, 3):
            ours = line_integral(
                image, grid, first, second, lambda along, k=tof_bin: weight(along, k)
            )
            assert abs(ours - expected[lor, tof_bin]) <= 1e-5 * expected.max()
