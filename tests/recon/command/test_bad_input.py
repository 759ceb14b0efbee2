"""Input that cannot be used: one sentence on stderr, exit code 2, no output."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from recon import Grid, backend, memory
from recon.io import read_sinogram, write_image, write_sinogram
from recon.io.files import opened
from tests.files import contents
from tests.recon.command.conftest import GRID, LAYOUT

COMMAND = ["recon", "prompts.hs", "-o", "image.nii.gz", "--grid-like", "truth.hv"]


@pytest.fixture
def refused(run, scan, monkeypatch):
    """Runs the command in the scan's folder and returns its one sentence."""
    monkeypatch.chdir(scan)

    def refused(*words, command=COMMAND):
        before = contents(scan)
        result = run(*command, *words)
        assert result.code == 2
        assert result.err.startswith("countless: ")
        assert result.err.count("\n") == 1
        assert "Traceback" not in result.err
        assert contents(scan) == before
        return result.err

    return refused


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_no_such_scan(refused):
    command = ["recon", "absent.hs", "-o", "image.nii.gz"]
    assert "absent.hs cannot be read (no such file or directory)" in refused(command=command)


def test_a_data_file_that_is_missing_is_named(refused, scan):
    (scan / "prompts.s").unlink()
    assert "`prompts.s`, which is not in" in refused()


def test_data_cut_short_are_told_with_both_sizes(refused, scan):
    data = (scan / "efficiency.s").read_bytes()
    (scan / "efficiency.s").write_bytes(data[:-4])
    message = refused("--efficiency", "efficiency.hs")
    assert f"efficiency.s has {len(data) - 4} bytes" in message
    assert f"says {len(data)}" in message


def test_a_misspelt_key_is_named_with_its_line_and_the_nearest(refused, scan):
    edit(scan / "prompts.hs", "!number format", "!number formt")
    message = refused()
    assert "line " in message
    assert "unknown key `number formt`; the nearest known one is `number format`" in message


def test_a_missing_key_is_named(refused, scan):
    edit(scan / "prompts.hs", "!number of bytes per pixel := 4\n", "")
    assert "lacks the key `number of bytes per pixel`" in refused()


def test_a_mu_map_beside_the_image_is_refused_with_both_places(refused, scan):
    away = Grid.centred(shape=(4, 4, 4), voxel_mm=(5, 5, 5), centre_mm=(0, 0, 300))
    write_image(scan / "away.hv", np.zeros(away.shape, np.float32), away)
    message = refused("--mu-map", "away.hv")
    assert "away.hv lies at z from 290 to 310 mm and does not overlap the image" in message


@pytest.mark.parametrize("value", [np.nan, -1.0])
@pytest.mark.parametrize("name", ["prompts", "efficiency", "background"])
def test_counts_that_cannot_be_are_refused_with_their_place(refused, scan, name, value):
    array, layout, _ = read_sinogram(scan / f"{name}.hs")
    array[3, 2, 1] = value
    write_sinogram(scan / f"{name}.hs", array, layout)
    words = [] if name == "prompts" else [f"--{name}", f"{name}.hs"]
    message = refused(*words)
    assert f"{name}.hs has 1 of {array.size} values" in message
    assert "(view, radial, plane) = (3, 2, 1)" in message
    assert ("before anything is subtracted" in message) == (name == "prompts")


def test_negative_attenuation_is_refused(refused, scan):
    write_image(scan / "mu.hv", np.full(GRID.shape, -1, np.float32), GRID)
    assert "cannot be attenuation in 1/cm" in refused("--mu-map", "mu.hv")


@pytest.mark.parametrize(
    ("least", "most", "words"),
    [
        (-1000, 1500, "found -1000 to 1500, which looks like a CT in HU; turn it"),
        (0, 2500, "found 0 to 2500, which looks like a CT in HU"),
        (0, 0.0096, "found 0.0096 at most, which looks like 1/mm; multiply it by 10"),
        (0, 9.6, "found 9.6 at most, which looks like 1/m; divide it by 100"),
    ],
)
def test_a_mu_map_whose_numbers_are_not_in_1_per_cm_is_refused(refused, scan, least, most, words):
    mu = np.full(GRID.shape, least, np.float32)
    mu[8:12, 8:12] = most
    write_image(scan / "mu.hv", mu, GRID, unit="1/cm")  # whatever the header says
    assert words in refused("--mu-map", "mu.hv")


def test_a_correction_given_as_efficiency_is_known_by_its_gaps(refused, scan):
    correction = np.ones(LAYOUT.shape, np.float32)
    correction[:, 3] = 1e20
    write_sinogram(scan / "c.hs", correction, LAYOUT)
    message = refused("--efficiency", "c.hs")
    assert f"c.hs has {16 * LAYOUT.planes:,} of" in message
    assert "as corrections have in gaps; give it as --correction" in message


@pytest.mark.parametrize(
    ("flag", "power", "words"),
    [
        ("--efficiency", -1, "the smaller, the more ring pairs a plane sums"),
        ("--correction", 1, "the larger, the more ring pairs a plane sums"),
    ],
)
def test_factors_given_upside_down_are_known_by_their_ring_pairs(
    refused, scan, flag, power, words
):
    layout = LAYOUT.of(LAYOUT.scanner, span=3)
    write_sinogram(scan / "prompts.hs", np.ones(layout.shape, np.float32), layout)
    crystals, rings = layout.pair_counts()
    write_sinogram(scan / "f.hs", (crystals * rings) ** power, layout)
    assert f"f.hs is {words}" in refused(flag, "f.hs")


def test_a_background_of_another_duration_is_refused(refused, scan):
    write_sinogram(scan / "b.hs", np.ones(LAYOUT.shape, np.float32), LAYOUT, {"duration_s": 600.0})
    message = refused("--background", "b.hs")
    assert "b.hs counts 600 s, where prompts.hs counts 60 s; give the background of" in message


def test_a_correction_of_zero_is_refused(refused, scan):
    write_sinogram(scan / "c.hs", np.zeros(LAYOUT.shape, np.float32), LAYOUT)
    assert "corrections of 0" in refused("--correction", "c.hs")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"radial_bins": 21}, "21 radial bins, where prompts.hs has 23; give factors"),
        ({"views": 8, "view_mashing": 2}, "8 views, where prompts.hs has 16"),
        (
            {"segments": LAYOUT.segments[:3]},
            "3 (ring differences -1 to 1, 13 planes) segments, where prompts.hs has 5",
        ),
    ],
)
def test_sinograms_that_do_not_match_are_refused_with_what_differs(refused, scan, changes, words):
    layout = LAYOUT.with_(**changes)
    write_sinogram(scan / "other.hs", np.ones(layout.shape, np.float32), layout)
    assert words in refused("--efficiency", "other.hs")


@pytest.fixture
def tof_scan(scan):
    layout = LAYOUT.with_(tof_mashing=3, tof_bins=3)
    write_sinogram(scan / "prompts.hs", np.ones(layout.shape, np.float32), layout)
    return layout


def test_a_background_without_the_prompts_time_of_flight_is_refused(refused, tof_scan):
    message = refused("--background", "background.hs")
    assert "background.hs has no time of flight, where prompts.hs has 3 bins" in message


def test_factors_by_time_of_flight_cannot_be_summed(refused, scan, tof_scan):
    write_sinogram(scan / "m.hs", np.ones(tof_scan.shape, np.float32), tof_scan)
    assert "factors by time of flight" in refused("--efficiency", "m.hs", "--no-tof")


def test_time_of_flight_bins_of_another_width_are_refused(refused, scan, tof_scan):
    other = tof_scan.with_(tof_mashing=2, tof_bins=3)
    write_sinogram(scan / "b.hs", np.ones(other.shape, np.float32), other)
    # tiny has bins of 100 ps.
    message = refused("--background", "b.hs")
    assert "200 ps of time-of-flight bin, where prompts.hs has 300" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"radius_mm": 120.0}, "125 mm of radius, with depth, where prompts.hs has 105"),
        ({"ring_spacing_mm": 8.1}, "8.1 mm between rings, where prompts.hs has 8"),
        ({"tilt_deg": 3.0}, "3 degrees of tilt, where prompts.hs has 0"),
    ],
)
def test_sinograms_of_another_scanner_are_refused_with_what_differs(refused, scan, changes, words):
    other = LAYOUT.with_(scanner=replace(LAYOUT.scanner, **changes))
    write_sinogram(scan / "other.hs", np.ones(other.shape, np.float32), other)
    assert words in refused("--background", "other.hs")


def test_a_mu_map_of_a_patient_who_lay_otherwise_is_refused(refused, scan):
    write_image(scan / "ffs.hv", np.ones(GRID.shape, np.float32),
                replace(GRID, patient_position="FFS"))
    words = "ffs.hv is of a patient who lay FFS, where prompts.hs has HFS; give it as NIfTI"
    assert words in refused("--mu-map", "ffs.hv")


def test_a_mu_map_in_another_unit_is_refused(refused, scan):
    write_image(scan / "hu.hv", np.ones(GRID.shape, np.float32), GRID, unit="HU")
    assert "hu.hv takes attenuation at 511 keV in 1/cm, got an image in HU" in refused(
        "--mu-map", "hu.hv"
    )


def test_a_start_image_of_zeros_is_refused(refused, scan):
    write_image(scan / "start.hv", np.zeros(GRID.shape, np.float32), GRID)
    assert "start.hv is 0 everywhere, and OSEM only multiplies" in refused("--start", "start.hv")


@pytest.mark.parametrize("centre_mm", [(0, 0, 300), (300, 0, 0)])
def test_an_image_outside_the_field_of_view_is_refused(refused, scan, centre_mm):
    away = Grid.centred(shape=(4, 4, 4), voxel_mm=(5, 5, 5), centre_mm=centre_mm)
    write_image(scan / "away.hv", np.zeros(away.shape, np.float32), away)
    command = ["recon", "prompts.hs", "-o", "image.nii.gz", "--grid-like", "away.hv"]
    message = refused(command=command)
    assert "none of it in the scanner's field of view (92.6 mm about the axis" in message


def test_subsets_that_do_not_divide_the_views_are_told_the_nearest_that_do(refused):
    assert "16 views, got 7; the nearest is 8" in refused("--subsets", 7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--iterations", "0"], "--iterations takes 1 or more, got 0"),
        (["--save-every", "0"], "--save-every takes 1 or more, got 0"),
        (["--psf-mm", "400"], "--psf-mm takes up to 185.2 mm, the size of the"),
        (["--post-filter-mm", "2", "2", "400"], "--post-filter-mm takes up to 185.2 mm"),
        (["--psf-mm", "1", "2"], "--psf-mm takes one or three widths"),
        (["--post-filter-mm=-1"], "--post-filter-mm takes one or three widths of 0 mm or more"),
        (["--voxel-mm", "2", "2", "2"], "--voxel-mm and --grid-like both set the voxels"),
        (["--additive", "background.hs"], "--additive takes --correction or --efficiency"),
        (
            ["--efficiency", "efficiency.hs", "--correction", "efficiency.hs"],
            "--efficiency and --correction are two ways to say the same",
        ),
        (["--preview", "image.txt"], "--preview takes a name that ends in"),
        (["--subset", "8"], "Unknown option: --subset. Did you mean --subsets?"),
        (["--iterations", "many"], "takes a whole number, got many"),
        (["--iterations", "1.5"], "--iterations: takes a whole number, got 1.5"),
        (["--subsets", "4.4"], "--subsets: takes a whole number, got 4.4"),
        (["--lor-angles", "both"], 'Choose from: "crystals", "stir"'),
    ],
)
def test_settings_that_cannot_be(refused, words, message):
    assert message in refused(*words)


@pytest.mark.parametrize("voxels", [["0", "2", "2"], ["-2", "2", "2"], ["2", "nan", "2"]])
def test_voxels_without_size_are_refused(refused, voxels):
    command = ["recon", "prompts.hs", "-o", "image.nii.gz", "--voxel-mm", *voxels]
    assert "--voxel-mm takes three sides above 0 mm" in refused(command=command)


def test_voxels_larger_than_the_field_of_view_are_refused(refused):
    command = ["recon", "prompts.hs", "-o", "image.nii.gz", "--voxel-mm", "2", "2", "2000"]
    assert "--voxel-mm takes up to 185.2 mm" in refused(command=command)


@pytest.mark.parametrize("output", ["image.dcm", "image", "image.v"])
def test_an_output_of_no_known_format_is_refused(refused, output):
    command = ["recon", "prompts.hs", "-o", output]
    assert "ends in .hv, .nii or .nii.gz" in refused(command=command)


def test_an_output_in_no_folder_is_refused(refused):
    assert "there is no folder" in refused(command=["recon", "prompts.hs", "-o", "no/image.nii"])


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "truth.hv", "--grid-like", "truth.hv"],
        ["-o", "mu.hv", "--mu-map", "mu.hv"],
        ["-o", "../{folder}/truth.hv", "--start", "truth.hv"],
        ["-o", "image.hv", "--iterations", "2", "--save-every", "1", "--start", "image.pass1.hv"],
        ["-o", "image.nii", "--start", "picture.hv", "--preview", "picture.pdf"],
    ],
)
def test_an_output_never_replaces_an_input(refused, scan, words):
    truth = (scan / "truth.hv").read_text()
    for name in ("image.pass1.hv", "picture.hv"):
        (scan / name).write_text(truth)
    (scan / "picture.pdf").hardlink_to(scan / "picture.hv")
    words = [word.format(folder=scan.name) for word in words]
    assert "would overwrite the input" in refused(command=["recon", "prompts.hs", *words])


def test_a_start_image_on_another_grid_is_refused(refused, scan):
    other = Grid.centred(shape=GRID.shape, voxel_mm=(5, 6, 4))
    write_image(scan / "start.hv", np.ones(GRID.shape, np.float32), other)
    (scan / "prompts.s").unlink()  # headers suffice
    assert "start.hv has 21 × 21 × 9 voxels of 5 × 6 × 4 mm" in refused("--start", "start.hv")


@pytest.mark.skipif(backend.find_device()[0] == "cuda", reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(refused):
    assert "--device cuda was asked for, but" in refused("--device", "cuda")


def test_too_little_memory_is_refused_with_what_takes_it(refused, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 100 << 20)
    message = refused("--device", "cpu")
    assert "0.1 GiB are free on the cpu; use larger voxels (--voxel-mm)" in message


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with little to offer, as far as the plan asks."""
    monkeypatch.setattr(backend, "find_device", lambda _: ("cuda", "imagined"))
    monkeypatch.setattr(backend, "cupy", lambda: SimpleNamespace(asarray=np.asarray))
    monkeypatch.setattr(backend, "shared_floats", lambda: 12_288)
    monkeypatch.setattr(memory, "available", {"cuda": 8 << 30, "cpu": 8 << 30}.get)


def test_a_segment_too_long_for_a_gpu_is_refused_before_data_are_read(
    refused, scan, gpu, monkeypatch
):
    (scan / "prompts.s").unlink()
    monkeypatch.setattr(backend, "shared_floats", lambda: 100)
    assert "bytes of a GPU's shared memory, which has 400" in refused()


def test_memory_of_the_machine_counts_on_a_gpu_too(refused, gpu, monkeypatch):
    monkeypatch.setattr(memory, "available", {"cuda": 8 << 30, "cpu": 1 << 20}.get)
    assert "to read a sinogram for the GPU takes 0.2 GiB of the machine's memory" in refused()


def test_a_bug_is_not_taken_for_bad_input(run, scan, monkeypatch):
    monkeypatch.setattr("recon.command.image_grid", lambda *_, **__: opened("file", "bad mode"))
    with pytest.raises(ValueError, match="invalid mode"):
        run("recon", scan / "prompts.hs", "-o", scan / "image.nii")
