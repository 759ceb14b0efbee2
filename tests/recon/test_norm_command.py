"""What `countless norm` writes, prints and refuses, on few planes of the mMR."""

import json
import shutil

import numpy as np
import pytest

import countless
from recon import Scanner, SinogramLayout, memory
from recon.corrections.normalization import efficiency_factors, mmr_factors
from recon.io import read_sinogram, write_sinogram
from recon.io.petsird_writing import write_petsird
from recon.io.siemens_norm import read_norm
from tests.files import contents

LAYOUT = SinogramLayout.of(Scanner.preset("mMR"), span=3, max_ring_difference=1)


@pytest.fixture
def folder(tmp_path, reference, monkeypatch):
    """Folder with norm.n.hdr and scan.hs, in which the test runs."""
    for name in ("norm.n", "norm.n.hdr"):
        shutil.copy(reference / "mmr_norm" / name, tmp_path / name)
        (tmp_path / name).chmod(0o644)
    study = {"duration_s": 60.0, "patient_position": "FFS", "unit": "counts"}
    write_sinogram(tmp_path / "scan.hs", np.zeros(LAYOUT.shape, np.float32), LAYOUT, study)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, like="scan.hs", output="m.hs"):
    return countless.main(["norm", *(words or ["norm.n.hdr"]), "--like", like, "-o", output])


def test_the_factors_of_the_scans_bins_are_written(folder, capsys):
    assert run() == 0
    factors, layout, info = read_sinogram("m.hs")
    assert layout == LAYOUT
    np.testing.assert_array_equal(factors, mmr_factors(read_norm("norm.n.hdr"), LAYOUT))
    np.testing.assert_array_equal(factors == 0, ~np.broadcast_to(LAYOUT.mask(), LAYOUT.shape))
    # A unit would be taken for the image's.
    assert "unit" not in info and "duration_s" not in info
    assert info["patient_position"] == "FFS"
    printed = " ".join(capsys.readouterr().out.split())
    assert f"gaps {(factors == 0).sum():,} of {factors.size:,} bins" in printed
    assert f"to {factors.max():.4g}, mean" in printed
    assert "252 views × 344 radial bins × 127 planes" in printed


def test_the_sidecar_says_how(folder):
    run()
    said = json.loads((folder / "m.json").read_text())
    assert said["command"] == "countless norm norm.n.hdr --like scan.hs --output m.hs"
    assert [entry["path"] for entry in said["inputs"]] == [
        "norm.n.hdr", "norm.n", "scan.hs", "scan.s", "scan.json"]
    assert (said["unit"], said["dead_time"]) == ("1", False)
    assert said["dead_time_note"].startswith("no singles rates are known")


def with_singles(rates):
    """Writes scan.hs as `countless histogram` does, with these singles beside it."""
    said = {"mean_singles_per_second_by_block": rates}
    write_sinogram("scan.hs", np.zeros(LAYOUT.shape, np.float32), LAYOUT, sidecar=said)


def test_singles_beside_the_scan_make_its_dead_time(folder, capsys):
    singles = [1e5] * 223 + [2e5]
    with_singles(singles)
    assert run() == 0
    components = read_norm("norm.n.hdr")
    np.testing.assert_array_equal(
        read_sinogram("m.hs")[0],
        mmr_factors(components, LAYOUT, singles_per_s=np.reshape(singles, (8, 28))),
    )
    said = json.loads((folder / "m.json").read_text())
    # exp(-1.116e-6 x 1e5 / 2) = 0.9457 in all buckets but one, 0.8944 there: by hand.
    assert said["dead_time"] is True
    assert said["live_fractions"]["mean"] == pytest.approx(0.9455, abs=1e-4)
    assert said["live_fractions"]["least"] == pytest.approx(0.8944, abs=1e-4)
    printed = " ".join(capsys.readouterr().out.split())
    assert "0.9455 of singles pass on average, 0.8944 where it is least" in printed


def test_dead_time_can_be_left_out(folder, capsys):
    with_singles([1e5] * 224)
    assert countless.main(["norm", "norm.n.hdr", "--like", "scan.hs", "-o", "m.hs",
                           "--no-dead-time"]) == 0
    np.testing.assert_array_equal(
        read_sinogram("m.hs")[0], mmr_factors(read_norm("norm.n.hdr"), LAYOUT)
    )
    assert json.loads((folder / "m.json").read_text())["dead_time_note"] == "left out, as asked"
    assert "not in the factors: left out, as asked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rates", "why"),
    [
        (None, "the list held no singles in the scan's time"),
        ([1e5] * 220 + [None] * 4, "the singles rates of 4 of 224 blocks are not known"),
    ],
)
def test_without_all_singles_dead_time_is_left_out_and_said(folder, capsys, rates, why):
    with_singles(rates)
    assert run() == 0
    assert why in " ".join(capsys.readouterr().out.split())
    assert json.loads((folder / "m.json").read_text())["dead_time"] is False


@pytest.mark.parametrize("rates", [[1e5] * 225, [-1.0] * 224, "many", [[1e5] * 28] * 8])
def test_singles_that_are_not_the_scanners_are_refused(folder, capsys, rates):
    with_singles(rates)
    assert run() == 2
    assert "scan.json has singles rates" in capsys.readouterr().err


def other_scanner(folder):
    layout = SinogramLayout.of(Scanner.preset("tiny"))
    write_sinogram(folder / "scan.hs", np.zeros(layout.shape, np.float32), layout)


def other_norm(folder):
    header = (folder / "norm.n.hdr").read_text()
    (folder / "norm.n.hdr").write_text(header.replace("system:=2008", "system:=1104"))


@pytest.mark.parametrize(
    "damage, settings, message",
    [
        (other_scanner, {}, "the normalization norm.n.hdr is of Siemens mMR"),
        (other_norm, {}, "Biograph mMR"),
        (lambda folder: (folder / "norm.n").unlink(), {}, "norm.n cannot be read"),
        (lambda folder: (folder / "scan.hs").unlink(), {}, "scan.hs cannot be read"),
        (None, {"output": "m.nii"}, "ends in .hs"),
        (None, {"output": "no/m.hs"}, "there is no folder"),
        (None, {"output": "scan.hs"}, "would overwrite the input scan.hs"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    folder, capsys, damage, settings, message
):
    if damage:
        damage(folder)
    before = contents(folder)
    assert run(**settings) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert contents(folder) == before


def test_factors_larger_than_the_memory_are_refused(folder, capsys, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 300 << 20)
    assert run() == 2
    assert "a sinogram of 127 planes takes 0.4 GiB" in capsys.readouterr().err


def test_the_efficiencies_of_a_petsird_file_are_expanded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = Scanner.preset("tiny")
    layout = SinogramLayout.of(tiny, span=3, tof_mashing=3)
    values = np.random.default_rng(0).uniform(0.5, 1.5, (tiny.rings, tiny.crystals))
    write_petsird("list.petsird", [], tiny, info={"duration_s": 1}, efficiencies=values)
    write_sinogram("scan.hs", np.zeros(layout.shape, np.float32), layout, {
        "patient_position": "HFS"})
    assert run("list.petsird") == 0
    factors, found, _ = read_sinogram("m.hs")
    assert found == layout.without_tof()
    expected = efficiency_factors(layout.without_tof(), values)
    np.testing.assert_allclose(factors, expected, rtol=1e-6)
    said = json.loads((tmp_path / "m.json").read_text())
    assert (said["calibration_factor"], said["dead_time"]) == (1, False)
    assert [entry["path"] for entry in said["inputs"]] == ["list.petsird", "scan.hs", "scan.s"]
    assert "PETSIRD's is not used" in capsys.readouterr().out
