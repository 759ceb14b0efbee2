"""A scanner's own sinogram, prompts and delayeds in one file, goes where STIR's goes."""

import json

import numpy as np
import pytest

from recon.io import read_image, read_layout, read_sinogram
from tests.recon.io.mmr import SINOGRAM_HEADER, written


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    """Folder with scan.s.hdr of few bins, in which the test runs."""
    layout = read_layout(written(tmp_path / "scan.s.hdr", SINOGRAM_HEADER))[0]
    live = np.broadcast_to(layout.mask(), layout.shape).transpose(2, 0, 1)
    counts = np.stack([rng.poisson(mean, live.shape) * live for mean in (3, 1)])
    (tmp_path / "scan.s").write_bytes(counts.astype("<i2").tobytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inputs(name):
    with open(name, encoding="utf-8") as file:
        return [entry["path"] for entry in json.load(file)["inputs"]]


def test_its_delayeds_become_randoms_and_its_prompts_an_image(run, folder):
    result = run("randoms", "--delayed", "scan.s.hdr", "-o", "randoms.hs")
    assert result.code == 0, result.err
    delayeds = read_sinogram("scan.s.hdr", dataset="delayeds")[0].sum(dtype=float)
    assert read_sinogram("randoms.hs")[0].sum(dtype=float) == pytest.approx(delayeds, rel=1e-3)
    assert inputs("randoms.json") == ["scan.s.hdr", "scan.s"]
    result = run("recon", "scan.s.hdr", "-o", "image.nii", "--background", "randoms.hs",
                 "--iterations", 1)
    assert result.code == 0, result.err
    prompts = read_sinogram("scan.s.hdr")[0].sum(dtype=float)
    assert f"prompts     {prompts:,.0f}, at most" in result.out
    assert read_image("image.nii")[0].max() > 0
    assert inputs("image.json")[:3] == ["scan.s.hdr", "scan.s", "randoms.hs"]
    result = run("info", "scan.s.hdr", "randoms.hs", "image.nii")
    assert result.code == 0, result.out


def test_its_bins_are_those_of_a_norm(run, folder, reference):
    norm = reference / "mmr_norm" / "norm.n.hdr"
    result = run("norm", norm, "--like", "scan.s.hdr", "-o", "efficiency.hs")
    assert result.code == 0, result.err
    assert read_layout("efficiency.hs")[0] == read_layout("scan.s.hdr")[0]


def test_an_output_never_replaces_its_data(run, folder):
    before = (folder / "scan.s").read_bytes()
    result = run("randoms", "--delayed", "scan.s.hdr", "-o", "scan.hs")
    assert result.code == 2
    assert "scan.hs would overwrite the input scan.s, which belongs to scan.s.hdr" in result.err
    assert (folder / "scan.s").read_bytes() == before


def test_its_prompts_become_a_castor_histogram(run, folder):
    result = run("convert", "scan.s.hdr", "-o", "scan.cdh")
    assert result.code == 0, result.err
    result = run("convert", "scan.cdh", "-o", "again.hs")
    assert result.code == 0, result.err
    np.testing.assert_array_equal(*(read_sinogram(name)[0] for name in ("again.hs", "scan.s.hdr")))
