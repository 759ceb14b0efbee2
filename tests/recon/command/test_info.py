"""`countless info` says what a file is."""

import numpy as np
import pytest

from recon.io import write_sinogram
from tests.recon.command.conftest import LAYOUT


@pytest.fixture
def said(run):
    """What `countless info` prints of a file, with single spaces."""

    def said(path):
        result = run("info", path)
        assert result.code == 0, result.err
        return " ".join(result.out.split())

    return said


def test_a_sinogram_is_told_with_layout_counts_corrections_and_orientation(said, reference):
    words = said(reference / "stir" / "thorax" / "prompts.hs")
    assert "type sinogram (Emission), float32, little-endian" in words
    assert "2 rings of 512 crystals" in words
    assert "64 views × 192 radial bins × 1 plane (span 3, 1 segment" in words
    assert "corrections none applied" in words
    assert "position head first, supine (HFS): x to left, y to posterior, z to inferior" in words
    assert "duration 60 s" in words
    assert "sum 519,559 over 12,288 values" in words


def test_time_of_flight_is_told(said, reference):
    words = said(reference / "stir" / "thorax_tof" / "prompts_tof_thorax.hs")
    assert "TOF 11 bins of 300 ps (44.97 mm), resolution 400 ps FWHM" in words


def test_numbers_that_should_not_be_there_are_counted(said, scan):
    array = np.ones(LAYOUT.shape, np.float32)
    array[0, 0, :3], array[1, 1, 1] = -1, np.nan
    write_sinogram(scan / "odd.hs", array, LAYOUT)
    assert "3 values are negative, 1 NaN or infinite" in said(scan / "odd.hs")


def test_a_template_is_told_before_its_missing_data(run, reference):
    result = run("info", reference / "mmr_nema_mu_map" / "mMR_template_span11.hs")
    assert result.code == 2
    assert "252 views × 344 radial bins × 837 planes (span 11, 11 segments" in result.out
    assert "put the data there" in result.err


def test_an_interfile_image_is_told_with_its_grid_and_orientation(said, reference):
    words = said(reference / "stir" / "thorax" / "truth.hv")
    assert "type image, Interfile" in words
    assert "155 × 155 × 1 voxels of 3.129 × 3.129 × 6.75 mm, middle at (0, 0, 0) mm" in words
    assert "indices lead to left, posterior, inferior; first voxel at (240.93, 240.93, 0)" in words
    assert "unit not said" in words


@pytest.mark.parametrize("name", ["image.nii.gz", "image.hv"])
def test_a_reconstruction_is_told_with_unit_and_command(said, recon, scan, name):
    words = said(recon(name, "--efficiency", scan / "efficiency.hs"))
    assert "unit counts/mm" in words
    assert "algorithm OSEM 1 × 16" in words
    assert f"factors efficiency {scan / 'efficiency.hs'}" in words
    assert "countless recon" in words


def test_another_file_is_refused_with_what_is_taken(run, scan):
    result = run("info", scan / "prompts.txt")
    assert result.code == 2
    assert "info takes sinograms (.hs, .s.hdr), images (.hv, .nii, .nii.gz), list" in result.err


@pytest.mark.parametrize("name", ["prompts.s", "truth.v"])
def test_data_alone_are_refused_with_the_name_of_their_header(run, scan, name):
    header = name.replace(".s", ".hs").replace(".v", ".hv")
    result = run("info", scan / name)
    assert result.code == 2
    assert f"{name} holds data alone; give its header, {scan / header}" in result.err
