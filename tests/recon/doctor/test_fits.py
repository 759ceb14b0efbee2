"""`countless info` of several files: all that keeps one from being used with the first."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Grid, Scanner, SinogramLayout
from recon.histogram_command import histogram
from recon.io import write_image, write_sinogram
from tests.recon.command.conftest import GRID, LAYOUT, STUDY, recon, run, scan  # noqa: F401
from tests.recon.io.mmr import LIST_HEADER, as_bytes, event, tag, written

WORDS = as_bytes([tag(0), event(10, 172, 5), event(11, 172, 5, prompt=False), tag(20)])


@pytest.fixture
def info(run, scan, monkeypatch):  # noqa: F811
    """What `countless info` says of files of the scan's folder: rows `fits` and `misfit`."""
    monkeypatch.chdir(scan)
    monkeypatch.setenv("COLUMNS", "120")

    def info(*names, code=2):
        result = run("info", *names)
        assert result.code == code, result.err
        # Rows are wrapped, and a wrapped line begins with spaces.
        text = result.out.split("\nfirst ")[-1].replace("\n            ", " ")
        rows = [line.split(None, 1) for line in text.splitlines()[1:]]
        return {key: [said for name, said in rows if name == key] for key in ("fits", "misfit")}

    return info


def sinogram(name, layout=LAYOUT, study=STUDY, value=1.5, **sidecar):
    write_sinogram(name, np.full(layout.shape, value, np.float32), layout, study, sidecar=sidecar)
    return name


def test_the_files_of_a_scan_fit_and_the_exit_code_is_0(info, scan):  # noqa: F811
    write_image("mu-map.nii.gz", np.full(GRID.shape, 0.096, np.float32),
                Grid.centred(shape=GRID.shape, voxel_mm=(6, 6, 5)), unit="1/cm")
    said = info("prompts.hs", "efficiency.hs", "background.hs", "mu-map.nii.gz", code=0)
    assert said["misfit"] == []
    assert [row.split()[0] for row in said["fits"]] == [
        "efficiency.hs", "background.hs", "mu-map.nii.gz"
    ]


def test_all_that_differs_is_listed_and_not_the_first_alone(info):
    other = SinogramLayout.of(
        replace(LAYOUT.scanner, radius_mm=120.0, ring_spacing_mm=8.5, tilt_deg=2.0),
        radial_bins=21, max_ring_difference=1,
    )
    said = info("prompts.hs", sinogram("other.hs", other))["misfit"]
    words = ["125 mm of radius, with depth, where prompts.hs has 105", "8.5 mm between rings",
             "2 degrees of tilt", "21 radial bins, where prompts.hs has 23", "3 (ring differences"]
    assert len(said) == len(words)
    for row, word in zip(said, words, strict=True):
        assert row.startswith(f"other.hs has {word}")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (lambda: sinogram("b.hs", study=STUDY | {"duration_s": 30.0},
                          quantity="expected random coincidences"),
         "b.hs counts 30 s, where prompts.hs counts 60 s; give the background of the same time"),
        (lambda: sinogram("d.hs", study=STUDY | {"duration_s": 30.0},
                          quantity="delayed coincidences"),
         "d.hs counts 30 s, where prompts.hs counts 60 s; give the delayeds of the same time"),
        (lambda: sinogram("d.hs", study=STUDY | {"duration_s": 30.0}, value=2),
         "d.hs counts 30 s, where prompts.hs counts 60 s; give the counts of the same time"),
        (lambda: sinogram("m.hs", study={"patient_position": "FFS"}, quantity="factors m"),
         "m.hs is of a patient who lay FFS, where prompts.hs has HFS"),
        (lambda: sinogram("m.hs", value=1e20, quantity="factors m"),
         "as corrections have in gaps; give it as --correction"),
    ],
)
def test_why_a_sinogram_does_not_fit(info, file, words):
    said = info("prompts.hs", file())
    assert len(said["misfit"]) == 1
    assert words in said["misfit"][0]


def test_frames_of_one_scan_fit_each_other(info):
    for number, start in ((1, 0.0), (2, 60.0)):
        sinogram(f"f{number}.hs", study=STUDY | {"start_s": start}, quantity="prompts")
    assert info("f1.hs", "f2.hs", code=0)["misfit"] == []


def image(name, value=0.096, grid=GRID, unit="1/cm", **sidecar):
    write_image(name, np.full(grid.shape, value, np.float32), grid, unit=unit, sidecar=sidecar)
    return name


AWAY = Grid.centred(shape=(4, 4, 4), voxel_mm=(5, 5, 5), centre_mm=(0, 0, 300))
ASIDE = Grid.centred(shape=(4, 4, 12), voxel_mm=(5, 5, 5), centre_mm=(150, 0, 0))
SHORT = Grid.centred(shape=(21, 21, 5), voxel_mm=(6, 6, 4))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (lambda: image("mu.nii", 0.0096), "which looks like 1/mm; multiply it by 10"),
        (lambda: image("mu.nii", 0.0096, unit=""), "which looks like 1/mm; multiply it by 10"),
        (lambda: image("mu.nii", unit="1/mm"), "in 1/cm, got an image in 1/mm; convert it"),
        (lambda: image("ct.nii", 40, unit="HU"), "turn it into a mu map with `countless mu-map`"),
        (lambda: image("mu.hv", grid=replace(GRID, patient_position="FFS")),
         "mu.hv is of a patient who lay FFS, where prompts.hs has HFS"),
        (lambda: image("mu.nii", grid=AWAY), "mu.nii lies beside the field of view of prompts.hs"),
        (lambda: image("mu.nii", grid=ASIDE), "mu.nii lies beside the field of view of prompts.hs"),
        # Rings 0 to 4 of 8 mm: 40 mm in all, of which 20 are imaged.
        (lambda: image("mu.nii", grid=SHORT),
         "mu.nii lies at z from -10 to 10 mm and does not cover 20 mm of the field of view"),
        (lambda: image("x.nii", unit="counts/mm", algorithm="OSEM", inputs=[{"sha256": "0"}]),
         "x.nii was not made from prompts.hs, says the .json beside it"),
    ],
)
def test_why_an_image_does_not_fit(info, file, words):
    said = info("prompts.hs", file())
    assert len(said["misfit"]) == 1
    assert words in said["misfit"][0]


def test_a_reconstruction_fits_the_scan_that_it_is_of_and_no_other(info, recon):  # noqa: F811
    recon("x.nii.gz")
    assert info("prompts.hs", "x.nii.gz", code=0)["misfit"] == []
    sinogram("other.hs", value=3)
    assert "x.nii.gz was not made from other.hs" in info("other.hs", "x.nii.gz")["misfit"][0]


def test_the_first_may_be_any_of_them(info):
    said = info(image("mu.nii", grid=SHORT), "prompts.hs")["misfit"]
    assert "mu.nii lies at z from -10 to 10 mm" in said[0]
    assert "does not overlap mu.nii" in info("mu.nii", image("x.nii", grid=AWAY))["misfit"][0]


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_being_told(info, run):  # noqa: F811
    sinogram("other.hs", LAYOUT.with_(radial_bins=21))
    result = run("info", "prompts.hs", "absent.hs", "other.hs", "background.hs")
    assert result.code == 2
    out = " ".join(result.out.split())
    assert "misfit absent.hs cannot be read (no such file or directory)" in out
    assert "misfit other.hs has 21 radial bins" in out
    assert "fits background.hs" in out
    assert "2 files of 4 cannot be used with the others: absent.hs, other.hs" in result.err
    assert result.err.count("\n") == 1


@pytest.fixture
def listed(info, scan):  # noqa: F811
    """The folder with scan.l.hdr of the mMR and its prompts in list.hs."""
    header = written(scan / "scan.l.hdr", LIST_HEADER, data=WORDS)
    histogram(header, output=scan / "list.hs", span=1, max_ring_difference=1)
    return scan


def test_a_list_fits_the_sinogram_that_was_counted_from_it_either_way(info, listed):
    assert info("list.hs", "scan.l.hdr", code=0)["fits"] == ["scan.l.hdr (list mode) fits list.hs"]
    assert info("scan.l.hdr", "list.hs", code=0)["misfit"] == []


def test_another_list_and_one_of_another_scanner_do_not_fit(info, listed):
    assert "scan.l.hdr has 64 rings, where prompts.hs has 5" in info(
        "prompts.hs", "scan.l.hdr")["misfit"][0]
    (listed / "scan.l").write_bytes(WORDS[:4] + WORDS[8:])
    assert "list.hs was not counted from scan.l.hdr" in info("list.hs", "scan.l.hdr")["misfit"][0]
    sinogram("late.hs", SinogramLayout.of(Scanner.preset("mMR"), max_ring_difference=1),
             {"patient_position": "HFS", "start_s": 60.0, "duration_s": 60.0})
    said = info("late.hs", "scan.l.hdr")["misfit"]
    assert "scan.l.hdr ends at 0.021 s, where late.hs counts until 120 s" in said[0]


def test_a_norm_fits_scans_of_its_scanner_within_its_planes(info, reference):
    norm = reference / "mmr_norm" / "norm.n.hdr"
    mmr = Scanner.preset("mMR")
    sinogram("mmr.hs", SinogramLayout.of(mmr, max_ring_difference=0, radial_bins=9), value=0)
    assert info("mmr.hs", norm, code=0)["misfit"] == []
    assert "has 64 rings, where prompts.hs has 5" in info("prompts.hs", norm)["misfit"][0]
    steep = SinogramLayout.of(mmr, span=127, radial_bins=3)
    sinogram("steep.hs", steep, value=0)
    assert "takes ring differences up to 60, where steep.hs has 63; make the sinogram with" in info(
        "steep.hs", norm)["misfit"][0]


def test_what_nothing_can_be_compared_of_is_not_said_to_fit(info, reference):
    norm = reference / "mmr_norm" / "norm.n.hdr"
    assert info(norm, norm, code=0)["fits"] == [f"{norm} (normalization) cannot be compared"]
