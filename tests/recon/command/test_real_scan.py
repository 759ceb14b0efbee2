"""A real scan from the scanner's own files, list mode to image by one command: a head on an mMR.

Its 0.6 s have 1/1470 of the scan's dose, the normalization is of another day, and water in the
head's outline stands for its mu map.
"""

from dataclasses import astuple, dataclass

import numpy as np
import pytest

import countless
from recon import Grid
from recon.io import read_image, read_sinogram, write_image
from recon.io.provenance import read_sidecar
from recon.measurement import Measurement
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector

# Voxels as long as planes are apart: more of them, but projected twice as fast.
GRID = Grid.centred(shape=(91, 91, 129), voxel_mm=(4.17, 4.17, 2.03125))
WATER_PER_CM = 0.096
SKULL_AND_SCALP_MM = 10.0
EDGE = 0.3  # of the profile's top


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder in which the commands leave their files."""
    folder = tmp_path_factory.mktemp("brain")
    yield folder
    for path in folder.glob("*.s"):  # 290 MB each
        path.unlink()


@pytest.fixture(scope="module")
def brain(reference, folder):
    """The work folder, whose .hs and .hv are all that was made, and the head's Outline."""
    mu = np.where(HEAD.distance(GRID) <= 1, np.float32(WATER_PER_CM), np.float32(0))
    write_image(folder / "mu.hv", mu, GRID, unit="1/cm")
    run("recon", reference / "mmr_brain_0.6s" / "PET_ACQ_small.l.hdr.STIR",
        "--norm", reference / "mmr_norm" / "norm.n.hdr", "--randoms", "delayed",
        "--mu-map", folder / "mu.hv", "--scatter", "on", "--work", folder,
        "-o", folder / "brain.hv", "--grid-like", folder / "mu.hv",
        "--subsets", 21, "--iterations", 2, "--post-filter-mm", 8)
    names = ("prompts", "randoms", "efficiency")
    arrays = [read_sinogram(folder / f"{name}.hs")[0] for name in names]
    return folder, outline_of(*arrays, read_sinogram(folder / "prompts.hs")[1])


def run(*words):
    assert countless.main([str(word) for word in words]) == 0


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A head as an elliptic cylinder with half an ellipsoid on top.

    Attributes:
        middle: of the brain's ellipse, x and y in mm.
        half_mm: its half axes along x and y.
        top_mm: z of the brain's top; z leads to inferior.
    """

    middle: tuple[float, float]
    half_mm: tuple[float, float]
    top_mm: float

    def distance(self, grid, margin_mm=SKULL_AND_SCALP_MM):
        """How far out each voxel of a Grid lies, 1 on the outline, (x, y, z)."""
        x, y, z = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
        a, b = np.add(self.half_mm, margin_mm)
        cap = (a + b) / 2
        above = np.minimum(z - (self.top_mm - margin_mm + cap), 0) / cap
        return np.sqrt(
            ((x - self.middle[0]) / a) ** 2 + ((y - self.middle[1]) / b) ** 2 + above**2
        )


HEAD = Outline(middle=(1.3, -17.8), half_mm=(67.4, 94.2), top_mm=-49.9)  # as found


def outline_of(prompts, randoms, efficiency, layout, views=21):
    """The Outline of a head from its sinogram.

    Each view's profile of trues over efficiencies has edges; they fit an ellipse, for at the
    angle phi its middle is x cos phi + y sin phi and its half width squared is quadratic in both.
    """
    flat = [array.sum(axis=2, dtype=float) for array in (prompts, randoms, efficiency)]
    trues, ideal = flat[0] - flat[1], flat[2]
    s, bins = layout.rays()[0, :, 2], slice(80, -80)  # of the crystals' 344
    found = []
    for view in range(0, layout.views, views):
        part = slice(view, view + views)
        phi = (view + (views - 1) / 2) * np.pi / layout.views
        cut = [_groups(each[part].sum(0)[bins], 4) for each in (trues, ideal)]
        found.append((phi, *_edges(cut[0] / cut[1], _groups(s[bins], 4) / 4)))
    phi, low, high = np.transpose(found)
    cos, sin = np.cos(phi), np.sin(phi)
    matrix = _least_squares((cos**2, sin**2, 2 * sin * cos), (high - low) ** 2 / 4)
    planes = layout.segments[0].planes  # 127: 21 groups of 6, and one left out
    sums = [array[:, :, : planes - 1].sum(axis=(0, 1), dtype=float)
            for array in (prompts, randoms, efficiency)]
    axial = [_groups(each, 6) for each in (sums[0] - sums[1], sums[2])]
    z = (np.arange(planes) - (planes - 1) / 2) * layout.scanner.ring_spacing_mm / 2
    return Outline(
        middle=_least_squares((cos, sin), (low + high) / 2),
        half_mm=np.sqrt(matrix[:2]),  # of the brain; its axes lie along x and y
        top_mm=_edges(axial[0] / axial[1], _groups(z[:-1], 6) / 6)[0],
    )


def _groups(values, count):
    return np.reshape(values, (-1, count)).sum(axis=1)


def _edges(profile, at):
    """Where a profile first and last passes EDGE of its top, between samples."""
    level = EDGE * np.sort(profile)[-len(profile) // 8 :].mean()
    above = np.flatnonzero(profile > level)
    ends = ((above[0] - 1, above[0]), (above[-1] + 1, above[-1]))
    return [np.interp(level, profile[list(end)], at[list(end)]) for end in ends]


def _least_squares(columns, values):
    return np.linalg.lstsq(np.stack(columns, axis=1), values, rcond=None)[0]


def test_prompts_and_delayeds_are_as_many_as_the_lists_words(brain):
    sums = [read_sinogram(brain[0] / f"{name}.hs")[0].sum(dtype=float)
            for name in ("prompts", "delayeds", "randoms")]
    assert sums[:2] == [218_881, 35_320]
    assert sums[2] == pytest.approx(35_320, rel=1e-5)


def test_the_outline_is_a_heads_and_that_of_the_mu_map(brain):
    width, length = 2 * (brain[1].half_mm + SKULL_AND_SCALP_MM)
    assert 140 < width < 175 < 185 < length < 225  # mm
    assert np.abs(brain[1].middle).max() < 30
    for found, taken in zip(astuple(brain[1]), astuple(HEAD), strict=True):
        np.testing.assert_allclose(found, taken, atol=2)  # mm


def test_outside_the_head_the_mean_is_below_5_percent_of_that_inside(brain):
    folder, outline = brain
    image, out = read_image(folder / "brain.hv")[0], outline.distance(GRID)
    seen = np.broadcast_to(GRID.cylinder(), GRID.shape)
    inside = image[out <= 1].mean(dtype=float)
    assert image[(out > 1) & seen].mean(dtype=float) < 0.01 * inside  # 0.3 %
    assert image[(out > 1) & (out < 1.4)].mean(dtype=float) < 0.05 * inside


def test_scatter_is_a_usual_part_of_a_heads_prompts_and_the_same_in_both_rounds(brain):
    sums = [read_sidecar(brain[0] / f"scatter{number}.hs")["sums"] for number in (1, 2)]
    assert 0.25 < sums[1]["scatter_fraction"] < 0.45
    assert sums[0]["scatter"] == pytest.approx(sums[1]["scatter"], rel=0.03)


def test_the_norms_axial_profile_is_the_scans(brain):
    # From plane to plane counts go up and down as planes have more ring pairs or fewer, and better
    # crystals. What varies slowly is the image's, which the mean over 9 planes takes out.
    folder, _ = brain
    layout = read_sinogram(folder / "prompts.hs")[1]
    common = {"scan": folder / "prompts.hs", "mu_map": folder / "mu.hv",
              "background": (folder / "randoms.hs", folder / "scatter2.hs")}
    norm = Measurement(**common, efficiency=folder / "efficiency.hs")
    rows = _by_plane(norm, read_image(folder / "brain.hv")[0])
    pairs = layout.multiplicity()[0, 0]
    alike = [rows[0], rows[1] * pairs.mean() / pairs, rows[2]]
    assert _misfit(layout, *rows) < 1.2
    assert _misfit(layout, *alike) > 1.5  # without the number of ring pairs


def _by_plane(measurement, image):
    """Prompts, expected trues and background of each plane."""
    prompts, factors, background = measurement.load()
    projector = SinogramProjector(measurement.layout, GRID)
    trues = np.zeros(measurement.layout.planes)
    for view in range(measurement.layout.views):
        trues += (factors[view] * projector.subset(slice(view, view + 1))(image)[0]).sum(axis=0)
    return [prompts.sum(axis=(0, 1), dtype=float), trues, background.sum(axis=(0, 1), dtype=float)]


def _misfit(layout, prompts, trues, background, planes=9, least=100):
    """Chi square per plane of those that expect at least so many trues."""
    found = []
    for segment, first in zip(layout.segments, layout.first_planes(), strict=True):
        part = slice(first, first + segment.planes)
        some = trues[part] > least
        y, x, b = (array[part][some] for array in (prompts, trues, background))
        if len(y) > planes:
            slow = [np.convolve(array, np.ones(planes), "valid") for array in (y - b, x)]
            y, x, b = (array[planes // 2 : -(planes // 2)] for array in (y, x, b))
            expected = x * slow[0] / slow[1] + b
            found.extend((y - expected) ** 2 / expected)
    return np.mean(found)


def test_left_and_right_of_the_brain_are_alike_beyond_its_outline(brain):
    # What is left of the image less its mean over each ellipse and plane is the brain's own: noise
    # and ellipses have no symmetry in it, and heads have none between front and back.
    folder, outline = brain
    z, out = GRID.centres(2), outline.distance(GRID, margin_mm=0)[:, :, -1]
    planes = (z > -20) & (z < 50)
    image = read_image(folder / "brain.hv")[0]
    image = GaussianBlur(GRID.shape, GRID.voxel_mm, 12)(image)[:, :, planes]
    ellipse = np.digitize(out, np.arange(0, 1.01, 0.1))
    for number in range(1, 11):
        image[ellipse == number] -= image[ellipse == number].mean(axis=0)
    alike = [
        np.corrcoef(image[out < 1].ravel(), _mirrored(image, axis, middle)[out < 1].ravel())[0, 1]
        for axis, middle in enumerate(outline.middle)
    ]
    assert alike[0] > 0.35  # 0.48; of noise alone less than 0.1
    assert abs(alike[1]) < 0.15


def test_its_quality_page_is_in_the_work_folder(brain):
    assert (brain[0] / "quality.png").stat().st_size > 100_000


def _mirrored(image, axis, middle_mm):
    """An image mirrored along x or y about a place on it, by the nearest voxels."""
    at = GRID.centres(axis)
    index = np.rint((2 * middle_mm - at - at[0]) / (at[1] - at[0])).astype(int)
    return np.take(image, np.clip(index, 0, len(at) - 1), axis=axis)
