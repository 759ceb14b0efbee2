"""What `countless efficiencies` finds, writes, prints and refuses."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import countless
from recon import Grid, Scanner, SinogramLayout
from recon.corrections.attenuation import attenuate
from recon.corrections.coincidences import real_crystals
from recon.corrections.normalization import efficiency_factors
from recon.io import read_image, read_sinogram, write_image, write_sinogram
from recon.projectors import SinogramProjector
from sim.efficiency import crystal_efficiencies
from tests.files import contents

SCANNER = replace(Scanner.preset("tiny"), virtual_crystals=(0,))
TINY = SinogramLayout.of(SCANNER)
GRID = Grid.centred(shape=(31, 31, 11), voxel_mm=(6, 6, 4))
BACKGROUND = 20.0
STUDY = {"patient_position": "FFS", "duration_s": 60.0}


def simulate(layout=TINY, *, counts_per_mm=4.0, dead_blocks=0, seed=5):
    """Writes phantom.hs, background.hs, activity.nii.gz and mu.nii.gz of a cylinder of water.

    Returns:
        True efficiencies, 1 on average over the crystals that count.
    """
    rng = np.random.default_rng(seed)
    truth = crystal_efficiencies(SCANNER, rng, dead_blocks=dead_blocks)
    inside = GRID.cylinder(80.0) * np.ones(GRID.shape, np.float32)
    trues = efficiency_factors(layout.without_tof(), truth)
    attenuate(trues, inside * np.float32(0.096), GRID, layout)
    trues = trues[:, :, None] if layout.tof else trues
    mean = trues * SinogramProjector(layout, GRID)(inside * np.float32(counts_per_mm))
    background = np.where(trues > 0, np.float32(BACKGROUND / layout.tof_bins), 0) + 0 * mean
    prompts = rng.poisson(mean + background).astype(np.float32)
    write_sinogram("phantom.hs", prompts, layout, STUDY)
    write_sinogram("background.hs", background, layout, STUDY)
    write_image("activity.nii.gz", inside * np.float32(7000), GRID, unit="Bq/mL")
    write_image("mu.nii.gz", inside * np.float32(0.096), GRID, unit="1/cm")
    return truth / truth[truth > 0].mean()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, phantom="phantom.hs", **changes):
    files = {"activity": "activity.nii.gz", "mu-map": "mu.nii.gz", "background": "background.hs",
             "output": "m.hs"} | {name.replace("_", "-"): value for name, value in changes.items()}
    given = [word for name, value in files.items() if value for word in (f"--{name}", value)]
    return countless.main(["efficiencies", phantom, *given, *words])


def table(name="crystals.csv"):
    """Efficiencies and their relative errors, (rings, crystals) each."""
    found = np.zeros((2, SCANNER.rings, SCANNER.crystals))
    with open(name, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            place = int(row["ring"]), int(row["crystal"])
            found[:, *place] = float(row["efficiency"]), float(row["relative_sd"] or 0)
    return found


@pytest.mark.parametrize("layout", [TINY, SinogramLayout.of(SCANNER, span=3),
                                    SinogramLayout.of(SCANNER, tof_mashing=3)],
                         ids=["span 1", "span 3", "time of flight"])
def test_known_efficiencies_come_back_within_the_stated_errors(folder, capsys, layout):
    truth = simulate(layout)
    assert run(crystals_out="crystals.csv") == 0
    found, errors = table()
    real = real_crystals(SCANNER)
    np.testing.assert_array_equal(found > 0, real)
    pulls = (found[real] / truth[real] - 1) / errors[real]
    # 120 crystals: the mean square of their pulls is 1 within 3 standard deviations of it.
    assert abs(np.mean(pulls**2) - 1) < 3 * np.sqrt(2 / real.sum())
    factors, its, info = read_sinogram("m.hs")
    assert (its, info["patient_position"]) == (layout.without_tof(), "FFS")
    np.testing.assert_allclose(factors, efficiency_factors(its, found), rtol=2e-5)
    assert "unit" not in info and "duration_s" not in info
    said = json.loads((folder / "m.json").read_text())
    assert said["crystals"]["median_error"] == pytest.approx(np.median(errors[real]), rel=1e-2)
    assert said["crystals"]["crystals"] == real.sum()
    out = " ".join(capsys.readouterr().out.split())
    assert "% of a crystal's efficiency in the median" in out


def test_the_stated_errors_shrink_as_the_root_of_the_counts(folder):
    errors = []
    for counts_per_mm in (4.0, 400.0):
        simulate(counts_per_mm=counts_per_mm)
        write_sinogram("background.hs", np.zeros(TINY.shape, np.float32), TINY, STUDY)
        assert run() == 0
        said = json.loads((folder / "m.json").read_text())
        errors.append(said["crystals"]["median_error"] * np.sqrt(said["prompts"]))
    # Each of 120 crystals is an end of 1/60 of the counts.
    assert errors[1] == pytest.approx(np.sqrt(60), rel=0.05)
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


def test_dead_crystals_are_masked_and_told(folder, capsys):
    truth = simulate(dead_blocks=1)
    assert run(crystals_out="crystals.csv") == 0
    np.testing.assert_array_equal(table()[0] > 0, truth > 0)
    assert "15 of 120 crystals counted nothing" in " ".join(capsys.readouterr().out.split())


def test_the_factors_can_be_those_of_another_scans_bins(folder):
    simulate()
    other = SinogramLayout.of(SCANNER, span=3, view_mashing=2)
    write_sinogram("scan.hs", np.zeros(other.shape, np.float32), other, STUDY)
    assert run(like="scan.hs", crystals_out="crystals.csv") == 0
    factors, its, _ = read_sinogram("m.hs")
    assert its == other
    np.testing.assert_allclose(factors, efficiency_factors(other, table()[0]), rtol=2e-5)


def test_an_image_made_with_them_is_as_uniform_as_with_the_true_ones(folder):
    truth = simulate(counts_per_mm=200.0)
    write_sinogram("true.hs", efficiency_factors(TINY, truth), TINY, STUDY)
    assert run() == 0
    spread = []
    for efficiency in ([], ["--efficiency", "m.hs"], ["--efficiency", "true.hs"]):
        assert countless.main(["recon", "phantom.hs", "-o", "image.nii.gz", *efficiency,
                               "--mu-map", "mu.nii.gz", "--background", "background.hs",
                               "--grid-like", "mu.nii.gz", "--subsets", "2", "--iterations", "6",
                               "--post-filter-mm", "16"]) == 0
        inside = read_image("image.nii.gz")[0][GRID.cylinder(55.0)[..., 0], 3:8]
        spread.append(inside.std() / inside.mean())
    without, estimated, best = spread
    assert estimated == pytest.approx(best, rel=0.1)
    assert without > 1.5 * best


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phantom": "none.hs"}, "none.hs cannot be read"),
        ({"activity": "none.nii.gz"}, "none.nii.gz cannot be read"),
        ({"activity": "zero.nii.gz"}, "zero.nii.gz is 0 wherever the scanner looks"),
        ({"mu_map": "activity.nii.gz"}, "in 1/cm, got an image in Bq/mL"),
        ({"background": "other.hs"}, "where phantom.hs has"),
        ({"like": "other.hs"}, "other.hs is of demo, phantom.hs of tiny"),
        ({"like": "arc.hs"}, "arc.hs is arc-corrected"),
        ({"phantom": "arc.hs", "background": None}, "arc.hs is arc-corrected"),
        ({"output": "phantom.hs"}, "would overwrite the input"),
        ({"output": "m.nii"}, "ends in .hs"),
        ({"crystals_out": "c.txt"}, "ends in .csv"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(folder, capsys, changes, message):
    simulate()
    write_image("zero.nii.gz", np.zeros(GRID.shape, np.float32), GRID)
    demo = SinogramLayout.of(Scanner.preset("demo"), max_ring_difference=0)
    for name, layout in (("other", demo), ("arc", TINY.with_(radial_mm=9.0))):
        write_sinogram(f"{name}.hs", np.zeros(layout.shape, np.float32), layout, STUDY)
    before = contents(folder)
    assert run(**changes) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert contents(folder) == before
