"""What `countless scatter` finds, writes, prints and refuses."""

import functools
import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import countless
from recon import Grid, Scanner, SinogramLayout
from recon.corrections import scatter_estimate
from recon.corrections.attenuation import attenuate
from recon.corrections.scatter import single_scatter
from recon.io import read_image, read_sinogram, write_image, write_sinogram
from recon.projectors import SinogramProjector
from tests.files import contents

TINY = SinogramLayout.of(Scanner.preset("tiny"))
GRID = Grid.centred(shape=(21, 21, 9), voxel_mm=(6, 6, 4))
CYLINDER = np.broadcast_to(GRID.cylinder(45.0), GRID.shape).astype(np.float32)
STUDY = {"patient_position": "HFS", "duration_s": 60.0}
RANDOMS = 3.0
SCALE = 1.3  # of the scatter put in over the simulated
FILES = {"--image": "image.nii.gz", "--mu-map": "mu.nii.gz", "--efficiency": "m.hs",
         "-o": "scatter.hs"}


def simulate(folder, layout=TINY, *, grid=GRID, radius_mm=45.0, activity=60.0, scale=SCALE):
    """Writes scan.hs, m.hs, randoms.hs, image.nii.gz and mu.nii.gz of a cylinder of water."""
    rng = np.random.default_rng(3)
    inside = np.broadcast_to(grid.cylinder(radius_mm), grid.shape)
    mu, image = (np.where(inside, value, 0).astype(np.float32) for value in (0.096, activity))
    m = rng.uniform(0.5, 1.5, layout.without_tof().shape).astype(np.float32)
    m[:, 4] = 0  # a gap
    spread = m[:, :, None] if layout.tof else m
    true = np.float32(scale) * spread * single_scatter(image, grid, mu, grid, layout)
    survive = np.ones_like(m)
    attenuate(survive, mu, grid, layout)
    survive = survive[:, :, None] if layout.tof else survive
    trues = spread * survive * SinogramProjector(layout, grid)(image)
    randoms = np.full(layout.shape, RANDOMS, np.float32)
    prompts = rng.poisson(trues + true + randoms).astype(np.float32)
    write_sinogram(folder / "scan.hs", prompts, layout, STUDY)
    write_sinogram(folder / "m.hs", m, layout.without_tof(), STUDY)
    write_sinogram(folder / "randoms.hs", randoms, layout, STUDY)
    write_image(folder / "image.nii.gz", image, grid, unit="counts/mm")
    write_image(folder / "mu.nii.gz", mu, grid, unit="1/cm")
    return SimpleNamespace(prompts=prompts, scatter=true, randoms=randoms, image=image)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scan(folder):
    """The scan that `simulate` writes there, without time of flight."""
    return simulate(folder)


def run(*words, multiple=False):
    """Runs the command on the folder's files, or on those that the words name instead.

    Single scatter is all that `simulate` puts in.
    """
    flags = FILES | dict(zip(words[::2], words[1::2], strict=True))
    words = [*itertools.chain(*flags.items()), *([] if multiple else ["--no-multiple"])]
    return countless.main(["scatter", "scan.hs", *words])


def said(name="scatter.json"):
    with open(name, encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize("tof_mashing", [0, 3])
def test_scatter_is_what_was_put_in_within_the_stated_sd(folder, capsys, tof_mashing):
    layout = SinogramLayout.of(TINY.scanner, tof_mashing=tof_mashing)
    true = simulate(folder, layout)
    assert run("--randoms", "randoms.hs") == 0
    found, its, info = read_sinogram("scatter.hs")
    assert (its, info["patient_position"], info["duration_s"]) == (layout, "HFS", 60)
    scale = said()["scatter_scale"]
    assert scale["scan_sd"] < 0.03 * SCALE
    assert abs(scale["scan"] - SCALE) < 2.5 * scale["scan_sd"]
    planes, sd = np.array(scale["planes"]), np.array(scale["planes_sd"])
    assert np.abs((planes - SCALE) / sd).max() < 3
    # A plane's scale is all that can differ: the simulation is the same.
    np.testing.assert_allclose(found * (SCALE / planes), true.scatter, rtol=1e-5)
    total = true.scatter.sum(dtype=float)
    assert abs(found.sum(dtype=float) / total - 1) < 2.5 * scale["scan_sd"] / SCALE
    sums = said()["sums"]
    assert sums["prompts"] == true.prompts.sum(dtype=float)
    fraction = total / (sums["prompts"] - true.randoms.sum(dtype=float))
    assert sums["scatter_fraction"] == pytest.approx(fraction, rel=0.05)
    out = capsys.readouterr().out
    assert f"scatter scaled by {scale['scan']:.3f} ± {scale['scan_sd']:.3f} from" in out
    assert "scatter fraction" in out and "multiple scatter is left out, as asked" in out


def test_recon_with_it_is_as_good_as_with_the_true_scatter(folder):
    # No line grazes its edge, where an image would be wrong (`benchmarks.corrections_truth`).
    true = simulate(folder, radius_mm=48.0, scale=1.0)
    write_sinogram("true.hs", true.scatter, TINY, STUDY)

    def mean(*words):
        words = ["recon", "scan.hs", "--efficiency", "m.hs", "--mu-map", "mu.nii.gz",
                 "--grid-like", "image.nii.gz", "--iterations", "8", "--randoms", "randoms.hs",
                 *words]
        assert countless.main([*words, "-o", "recon.nii.gz"]) == 0
        found, _, info = read_image("recon.nii.gz")
        assert info["unit"] == "counts/mm"
        return found[GRID.cylinder(35.0)[..., 0]].mean()

    best = mean("--scatter", "true.hs")
    assert mean() > 1.15 * best
    for _ in range(2):
        assert run("--image", "recon.nii.gz", "--randoms", "randoms.hs") == 0
        found = mean("--scatter", "scatter.hs")
    assert found == pytest.approx(best, rel=0.003)


def test_without_tails_the_absolute_scale_is_used_and_said(folder, capsys):
    wide = Grid.centred(shape=(33, 33, 9), voxel_mm=(6, 6, 4))
    true = simulate(folder, grid=wide, radius_mm=98.0, scale=1.0)  # on all lines
    assert run("--randoms", "randoms.hs") == 0
    scale = said()["scatter_scale"]
    # That at which trues and scatter add up to prompts less randoms: 23 million, so 1 ± 0.0002.
    assert scale["scan"] == scale["likely"] == pytest.approx(1, abs=0.001)
    found = read_sinogram("scatter.hs")[0]
    np.testing.assert_allclose(found, scale["scan"] * true.scatter, rtol=1e-5)
    assert "absolute scale is used" in " ".join(capsys.readouterr().out.split())


def test_the_absolute_scale_can_be_asked_for(scan, capsys):
    assert run("--scale", "absolute") == 0
    np.testing.assert_allclose(read_sinogram("scatter.hs")[0] * SCALE, scan.scatter, rtol=1e-5)
    record = said()
    assert record["model"] == "single scatter only: multiple scatter is left out, as asked"
    assert record["scatter_scale"]["scan_sd"] is None
    assert "as asked" in capsys.readouterr().out


def test_multiple_scatter_is_added_and_both_are_reported(scan, capsys):
    assert run("--scale", "absolute") == 0
    single, sums = read_sinogram("scatter.hs")[0], said()["sums"]
    assert (sums["multiple"], said()["multiple_scatter"]) == (0, None)
    assert sums["single"] == pytest.approx(single.sum(dtype=float))
    assert run("--scale", "absolute", "--picture", "p.png", multiple=True) == 0
    total, record = read_sinogram("scatter.hs")[0], said()
    sums, multiple = record["sums"], record["multiple_scatter"]
    # Multiple scatter is rarer; here it is a tenth or so of the single.
    assert 0.05 < multiple["to_single"] < 0.15
    assert sums["single"] == pytest.approx(single.sum(dtype=float), rel=0.003)
    assert sums["multiple"] == pytest.approx(multiple["to_single"] * sums["single"], rel=0.05)
    assert sums["scatter"] == pytest.approx(total.sum(dtype=float))
    assert (total >= single * (1 - 1e-6)).all()
    out = " ".join(capsys.readouterr().out.split())
    assert "stopped at" not in out  # it ends when it is precise
    assert "scattered once" in out and "Monte Carlo simulation of the same object" in out


def test_a_simulation_that_stops_before_its_precision_says_so(scan, capsys, monkeypatch):
    few = functools.partial(scatter_estimate.multiple_scatter, most=50_000)
    monkeypatch.setattr(scatter_estimate, "multiple_scatter", few)
    assert run("--scale", "absolute", multiple=True) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "stopped at 50,000 photon pairs, the most that it draws" in words
    assert "of the scatter rather than 0.2 %" in words


def test_the_json_says_how(scan):
    assert run("--randoms", "randoms.hs", "--device", "cpu") == 0
    record = said()
    assert record["command"] == (
        "countless scatter scan.hs --image image.nii.gz --mu-map mu.nii.gz --output scatter.hs "
        "--efficiency m.hs --randoms randoms.hs --no-multiple --device cpu"
    )
    assert (record["unit"], record["sampling"]["point_mm"]) == ("counts", 20)
    assert {entry["path"] for entry in record["inputs"]} == {
        "scan.hs", "scan.s", "m.hs", "m.s", "randoms.hs", "randoms.s", "image.nii.gz", "mu.nii.gz"
    }
    assert len(record["scatter_scale"]["planes"]) == TINY.planes


def test_an_image_in_activity_scatters_as_its_counts(folder, scan):
    assert run("--scale", "absolute") == 0
    expected = read_sinogram("scatter.hs")[0]
    assert countless.main(["quantify", "image.nii.gz", "-o", "bq.nii.gz", "--calibration-factor",
                           "7e4", "--isotope", "F-18", "--duration-s", "60"]) == 0
    assert run("--scale", "absolute", "--image", "bq.nii.gz") == 0
    np.testing.assert_allclose(read_sinogram("scatter.hs")[0], expected, rtol=1e-5)


def test_a_picture_is_drawn_and_no_input_is_changed(folder, scan):
    before = contents(folder)
    assert run("--randoms", "randoms.hs", "--picture", "p.png") == 0
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert all(path.read_bytes() == content for path, content in before.items())


def test_an_image_of_another_scan_is_noted(folder, scan, capsys):
    activity, grid, _ = read_image("image.nii.gz")
    made = {"inputs": [{"path": "other.s", "sha256": "0"}]}
    write_image("image.nii.gz", activity, grid, unit="counts/mm", sidecar=made)
    assert run() == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "image.nii.gz was not made with scan.hs" in out
    assert "without --randoms all that the tails count is taken for scatter" in out


def test_tails_that_do_not_fit_are_noted(folder, scan, capsys):
    write_sinogram("randoms.hs", np.zeros(TINY.shape, np.float32), TINY, STUDY)
    assert run("--randoms", "randoms.hs") == 0
    assert "the tails do not fit" in " ".join(capsys.readouterr().out.split())


def image(value=1.0, unit="counts/mm", **changes):
    """A function that writes such an image over image.nii.gz, or over `path`."""
    path, grid = changes.pop("path", "image.nii.gz"), replace(GRID, **changes)
    return lambda: write_image(path, CYLINDER * np.float32(value), grid, unit=unit)


def sinogram(path, value=1.0, layout=TINY):
    return lambda: write_sinogram(path, np.full(layout.shape, value, np.float32), layout, STUDY)


def nothing():
    pass


@pytest.mark.parametrize(
    "spoil, words, message",
    [
        (nothing, ["--image", "none.nii.gz"], "none.nii.gz cannot be read"),
        (nothing, ["--randoms", "none.hs"], "none.hs cannot be read"),
        (nothing, ["-o", "s.v"], "ends in .hs"),
        (nothing, ["-o", "no/s.hs"], "there is no folder"),
        (nothing, ["-o", "scan.hs"], "would overwrite the input scan.hs"),
        (nothing, ["-o", "image.hs"], "image.json, which belongs to image.nii.gz"),
        (nothing, ["--picture", "p.txt"], "--picture takes a name that ends in .jpg"),
        (nothing, ["--scale", "free"], "Choose from"),
        (image(0), [], "image.nii.gz is 0 everywhere"),
        (image(-1), [], "cannot be activities"),
        (image(unit="Bq/mL"), [], "image.nii.gz is in Bq/mL, where the factors make counts of"),
        (image(origin_mm=(500, 0, 0)), [], "does not overlap mu.nii.gz"),
        (image(0.0096, "1/mm", path="mu.nii.gz"), [], "in 1/cm, got an image in 1/mm"),
        (image(0.0096, "", path="mu.nii.gz"), [], "looks like 1/mm; multiply it by 10"),
        (image(-1000, "", path="mu.nii.gz"), [], "turn it into a mu map with"),
        (sinogram("m.hs", -1), [], "cannot be efficiencies"),
        (sinogram("scan.hs", np.nan), [], "cannot be prompts"),
        (sinogram("m.hs", layout=SinogramLayout.of(TINY.scanner, span=3)), [], "segments, where"),
        (sinogram("randoms.hs", layout=TINY.with_(radial_bins=21)),
         ["--randoms", "randoms.hs"], "21 radial bins, where scan.hs has 23"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    folder, scan, capsys, spoil, words, message
):
    spoil()
    before = contents(folder)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert contents(folder) == before


def test_a_scanner_that_does_not_state_its_energies_is_refused(folder, capsys):
    simulate(folder)
    silent = replace(TINY.scanner, name="silent", energy_resolution=None)
    for name in ("scan", "m"):
        sinogram(f"{name}.hs", layout=replace(TINY, scanner=silent))()
    assert run() == 2
    assert "states its energy resolution and window" in capsys.readouterr().err


def test_points_farther_apart_change_a_first_estimate_little(scan, capsys):
    found = []
    for point_mm in (20, 40):
        assert run("--scale", "absolute", "--point-mm", str(point_mm)) == 0
        assert said()["sampling"]["point_mm"] == point_mm
        found.append(read_sinogram("scatter.hs")[0])
    off = np.abs(found[1] - found[0]).max() / found[0].max()
    assert 0 < off < 0.15  # of an object so small that few points are left
    assert run("--point-mm", "0") == 2
    assert "--point-mm takes a positive number of mm, got 0" in capsys.readouterr().err
