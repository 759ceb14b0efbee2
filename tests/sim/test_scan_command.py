import functools
import json

import numpy as np
import pytest

from countless import main
from recon import Grid, Scanner, presets
from recon.agreement import role_misfits
from recon.histogram import histogram
from recon.io import read_image, read_layout, read_sinogram, write_image
from recon.io.lists import open_list
from sim import acquire, scan_command
from sim.materials import MATERIALS
from sim.phantoms import Phantom, Region
from sim.protocol import Protocol
from sim.scan_command import scan
from sim.shapes import Cylinder

GRID = Grid.centred(shape=(50, 50, 21), voxel_mm=(2, 2, 2))
SMALL = Scanner(
    name="small", rings=4, crystals=128, radius_mm=150.0, depth_mm=7.0, ring_spacing_mm=10.0,
    crystal_mm=(7.0, 9.5, 20.0), scintillator="LSO", block_crystals=(8, 4), radial_bins=71,
    energy_resolution=0.12, energy_window_kev=(430.0, 650.0), coincidence_window_ps=4500.0,
)
MADE = ("prompts.hs", "delayeds.hs", "efficiency.hs", "mu-map.nii.gz", "truth.nii.gz",
        "scan.json", "preview.png")


@pytest.fixture(scope="module", autouse=True)
def _small():
    """A preset for tests, and Monte Carlo simulations of seconds."""
    few = functools.partial(Protocol, photon_pairs=100_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "small", SMALL)
        patch.setattr(scan_command, "Protocol", few)
        patch.setattr(acquire, "SINGLES_PAIRS", 50_000)
        yield


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """The folder of a cylinder of water with 5 kBq/mL of F-18."""
    folder = tmp_path_factory.mktemp("cylinder")
    solid = Cylinder(centre_mm=(0, 0, 0), radii_mm=(45, 45, 50))
    water = Region(name="water", solid=solid, activity_bq_ml=5e3, material=MATERIALS["water"])
    made = Phantom(name="cylinder", regions=(water,))
    write_image(folder / "activity.nii.gz", made.activity(GRID), GRID, unit="Bq/mL")
    write_image(folder / "mu-map.nii.gz", made.mu_per_cm(GRID), GRID, unit="1/cm")
    (folder / "phantom.json").write_text('{"isotope": "F-18"}')
    return folder


@pytest.fixture(scope="module")
def output(phantom, tmp_path_factory):
    """A scan of it with all files."""
    folder = tmp_path_factory.mktemp("scans") / "scan"
    scan(phantom, output=folder, scanner="small", minutes=2, truth=True, list_mode="petsird")
    return folder


def said(folder, name="scan.json"):
    return json.loads((folder / name).read_text())


def test_a_scan_is_written_as_the_files_that_are_promised(output):
    names = {path.name for path in output.iterdir()}
    assert {*MADE, "trues.hs", "scatter.hs", "randoms.hs", "list.petsird"} <= names
    assert (output / "preview.png").read_bytes().startswith(b"\x89PNG")
    for path in output.glob("*.hs"):
        assert read_layout(path)[0].scanner.rings == 4
    assert read_layout(output / "efficiency.hs")[1]["unit"] == "Bq/mL"
    assert read_layout(output / "prompts.hs")[1]["duration_s"] == 120


def test_scan_json_says_what_the_sinograms_hold(output):
    numbers = said(output)
    for name in ("trues", "scatter", "randoms"):
        counts = read_sinogram(output / f"{name}.hs")[0].sum(dtype=float)
        assert numbers["expected"][name] == pytest.approx(counts, rel=1e-5)
    assert numbers["drawn"]["prompts"] == read_sinogram(output / "prompts.hs")[0].sum(dtype=float)
    assert numbers["protocol"]["minutes"] == 2
    assert numbers["resolution_fwhm_mm"]["0 mm from the axis"]["radial"]["total"] > 4


def test_sinograms_are_known_for_what_they_are(output):
    for name, misused in (("prompts", "factors"), ("delayeds", "factors"),
                          ("efficiency", "prompts"), ("scatter", "prompts"),
                          ("randoms", "prompts")):
        assert any(role_misfits(output / f"{name}.hs", misused))
    for name, right in (("prompts", "prompts"), ("delayeds", "delayeds"),
                        ("efficiency", "factors"), ("scatter", "background"),
                        ("randoms", "randoms")):
        assert not any(role_misfits(output / f"{name}.hs", right))


def test_the_list_holds_the_sinograms_events(output):
    events = open_list(output / "list.petsird")
    found = histogram(events.chunks(), read_layout(output / "prompts.hs")[0])
    np.testing.assert_array_equal(found.prompts, read_sinogram(output / "prompts.hs")[0])
    np.testing.assert_array_equal(found.delayeds, read_sinogram(output / "delayeds.hs")[0])


def test_the_truth_is_the_phantoms_mean_over_the_images_voxels(output):
    truth, grid, _ = read_image(output / "truth.nii.gz")
    middle = grid.cylinder(25) & (np.abs(grid.centres(2)) < 15)
    np.testing.assert_allclose(truth[middle], 5000, rtol=1e-5)


def test_countless_recon_recovers_the_activity_within_3_percent(output):
    assert main([
        "recon", f"{output}/prompts.hs", "-o", f"{output}/image.nii.gz", "--efficiency",
        f"{output}/efficiency.hs", "--mu-map", f"{output}/mu-map.nii.gz", "--randoms", "delayed",
        "--delayed", f"{output}/delayeds.hs", "--scatter", "on",
        "--voxel-mm", "4", "4", "5",
    ]) == 0
    image, grid, info = read_image(output / "image.nii.gz")
    assert info["unit"] == "Bq/mL"
    middle = grid.cylinder(30) & (np.abs(grid.centres(2)) < 13)
    assert image[middle].mean() == pytest.approx(5000, rel=0.03)


def test_a_dose_reduced_by_less_activity_has_a_tenth_of_the_randoms_of_one_by_less_time(
    phantom, tmp_path
):
    for mode in ("time", "activity"):
        scan(phantom, output=tmp_path / mode, scanner="small", minutes=20, drf=10, mode=mode)
    time, activity = (said(tmp_path / mode)["expected"] for mode in ("time", "activity"))
    assert activity["randoms"] / time["randoms"] == pytest.approx(0.1, rel=0.15)  # decay differs
    assert activity["trues"] / time["trues"] == pytest.approx(1.0, rel=0.07)


def test_an_inverse_crime_is_marked_on_every_output(phantom, tmp_path, capsys):
    scan(phantom, output=tmp_path / "crime", scanner="small", inverse_crime=True, truth=True,
         list_mode="castor")
    assert "inverse crime" in capsys.readouterr().out
    written = list((tmp_path / "crime").glob("*.json"))
    assert len(written) == 10
    for path in written:
        assert json.loads(path.read_text())["inverse_crime"] is True


def test_the_mu_map_that_is_known_may_be_noisy_and_out_of_place(phantom, tmp_path):
    scan(phantom, output=tmp_path / "wrong", scanner="small", mu_noise=0.1, mu_shift_mm=(0, 5, 0))
    known, grid, _ = read_image(tmp_path / "wrong" / "mu-map.nii.gz")
    true, own, _ = read_image(phantom / "mu-map.nii.gz")
    assert grid.origin_mm[1] == pytest.approx(own.origin_mm[1] + 5)
    water = true > 0.09
    assert (known - true)[water].std() == pytest.approx(0.0096, rel=0.05)


@pytest.mark.parametrize(("changes", "words"), [
    ({"scanner": "mmrr"}, "nearest is 'mMR'"),
    ({"drf": 0.5}, "--drf takes a factor of 1 or more"),
    ({"scanner": "HR+"}, r"energy_resolution is known, got 'ECAT HR\+'"),
    ({"isotope": "F-19"}, "isotope takes one of .* the nearest is F-18"),
    ({"bed_mm": 300.0}, "give --bed-mm 0"),
])
def test_scans_that_cannot_be_are_refused_and_no_folder_is_made(phantom, tmp_path, changes, words):
    settings = {"scanner": "small"} | changes
    with pytest.raises(ValueError, match=words):
        scan(phantom, output=tmp_path / "scan", **settings)
    assert not (tmp_path / "scan").exists()


def test_a_scan_without_counts_is_refused(phantom, tmp_path):
    with pytest.raises(ValueError, match="the scan has no counts"):
        scan(phantom, output=tmp_path / "scan", scanner="small", drf=1e12)


def test_a_folder_with_other_files_is_refused_and_keeps_them(phantom, tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(ValueError, match=r"no scan\.json of an earlier scan"):
        scan(phantom, output=tmp_path, scanner="small")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_without_a_phantom_is_refused_with_how_to_make_one(tmp_path):
    with pytest.raises(ValueError, match="countless phantom NAME"):
        scan(tmp_path, output=tmp_path / "scan")


def test_halves_are_two_independent_scans_that_sum_to_the_whole(phantom, tmp_path):
    scan(phantom, output=tmp_path / "scan", scanner="small", minutes=2, halves=True)
    assert said(tmp_path / "scan")["halves"] == ["half-1", "half-2"]

    def read(*name):
        return read_sinogram(tmp_path.joinpath("scan", *name))[0]

    for name in ("prompts.hs", "delayeds.hs", "efficiency.hs"):
        first, second = read("half-1", name), read("half-2", name)
        np.testing.assert_allclose(first + second, read(name), rtol=1e-6)
    first, second = (read(half, "prompts.hs").astype(float) for half in ("half-1", "half-2"))
    whole = first + second
    # Each of n counts goes to either half: (first - second)^2 has mean n and variance 2 n (n - 1).
    sd = np.sqrt(2 * np.sum(whole * (whole - 1)))
    assert np.sum((first - second) ** 2) == pytest.approx(whole.sum(), abs=4 * sd)


def test_a_scan_without_halves_leaves_none_of_an_earlier_scan_but_what_was_made_of_them(
    phantom, tmp_path
):
    output = tmp_path / "scan"
    scan(phantom, output=output, scanner="small", minutes=2, halves=True)
    (output / "half-1" / "image.work").mkdir()  # as `countless recon` leaves beside its image
    scan(phantom, output=output, scanner="small", minutes=2)
    assert list(output.glob("half-*/*")) == [output / "half-1" / "image.work"]


def test_a_full_disk_is_said_before_anything_is_simulated(phantom, tmp_path, monkeypatch):
    from sim import scan as scans

    monkeypatch.setattr(scans.shutil, "disk_usage", lambda _: type("usage", (), {"free": 1000}))
    with pytest.raises(ValueError, match=r"0\.0 GB free, where the scan takes 0\.0 GB"):
        scan(phantom, output=tmp_path / "scan", scanner="small")
