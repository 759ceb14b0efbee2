"""What `countless randoms` writes, prints and refuses."""

import json

import numpy as np
import pytest

import countless
from recon import Scanner, SinogramLayout
from recon.corrections.randoms import (
    crystal_singles,
    randoms,
    randoms_from_delayeds,
    randoms_from_singles,
)
from recon.histogram_command import histogram
from recon.io import read_sinogram, write_sinogram
from tests.files import contents
from tests.recon.io.mmr import LIST_HEADER, as_bytes, event, singles, tag, written

TINY = SinogramLayout.of(Scanner.preset("tiny"))
STUDY = {"duration_s": 60.0, "patient_position": "FFS"}
# Seven delayeds of real crystals before 10 ms, one after, and a prompt.
WORDS = [
    tag(0), *(event(10 + k, 172, plane, prompt=False) for k, plane in
              enumerate((5, 64, 70, 130, 7, 9, 100))),
    event(9, 172, 5), tag(10), event(12, 172, 5, prompt=False), tag(20),
]


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    """Folder with late.hs of a tiny scanner, and the test runs there."""
    delayeds = rng.poisson(0.5, TINY.shape).astype(np.float32)
    write_sinogram(tmp_path / "late.hs", delayeds, TINY, STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def listed(folder):
    """The folder with scan.l.hdr of the mMR, and its delayeds at span 3, in late.hs."""
    header = written(folder / "scan.l.hdr", LIST_HEADER, data=as_bytes(WORDS))
    histogram(header, output=folder / "scan.hs", delayed_out=folder / "late.hs", span=3,
              max_ring_difference=1, stop=0.01)
    return folder


def run(*words, delayed="late.hs", output="r.hs"):
    return countless.main(["randoms", "--delayed", delayed, "-o", output, *map(str, words)])


def test_at_span_1_they_are_the_maximum_likelihood_of_the_delayeds(folder, capsys):
    assert run() == 0
    delayeds, (found, layout, info) = read_sinogram("late.hs")[0], read_sinogram("r.hs")
    assert layout == TINY
    np.testing.assert_allclose(found, randoms_from_delayeds(delayeds, TINY)[0], rtol=1e-4)
    assert found.sum(dtype=float) == pytest.approx(delayeds.sum(), rel=1e-5)
    assert (info["patient_position"], info["duration_s"]) == ("FFS", 60)
    printed = capsys.readouterr().out
    assert "fit         converged after" in printed
    assert f"delayeds    {delayeds.sum():,.0f}\n" in printed
    said = json.loads((folder / "r.json").read_text())
    assert said["command"] == "countless randoms --delayed late.hs --output r.hs"
    assert (said["unit"], said["converged"]) == ("counts", True)
    assert said["randoms"] == pytest.approx(said["delayeds"], rel=1e-5)


def test_at_a_wider_span_smooth_singles_come_back_and_the_sum_is_the_delayeds(folder):
    layout = SinogramLayout.of(TINY.scanner, span=3)
    crystal = np.indices((5, 32))[1]
    expected = randoms(1 + 0.3 * np.cos(2 * np.pi * crystal / 32), layout)
    write_sinogram(folder / "late.hs", expected, layout)
    assert run() == 0
    np.testing.assert_allclose(read_sinogram("r.hs")[0], expected, rtol=0.01)


def test_a_lists_events_give_the_same_sum_and_their_own_crystals(listed):
    assert run("--list", "scan.l.hdr") == 0
    found, layout, _ = read_sinogram("r.hs")
    assert layout.planes == 127
    assert found.sum(dtype=float) == pytest.approx(7, rel=1e-4)
    assert found[~np.broadcast_to(layout.mask(), layout.shape)].max() == 0
    inputs = [entry["path"] for entry in json.loads((listed / "r.json").read_text())["inputs"]]
    assert inputs == ["late.hs", "late.s", "scan.l.hdr", "scan.l"]


def test_a_list_of_other_delayeds_is_refused(listed, capsys):
    written(listed / "scan.l.hdr", LIST_HEADER, data=as_bytes([*WORDS[:4], *WORDS[8:]]))
    assert run("--list", "scan.l.hdr") == 2
    error = capsys.readouterr().err
    assert "scan.l.hdr has 3 delayed coincidences in the bins and the time of late.hs" in error
    assert "which has 7; give the list" in error
    assert not (listed / "r.hs").exists()


def test_a_list_of_another_scanner_is_refused(listed, capsys):
    write_sinogram(listed / "late.hs", np.ones(TINY.shape, np.float32), TINY, STUDY)
    assert run("--list", "scan.l.hdr") == 2
    assert "scan.l.hdr is of Siemens mMR, late.hs of tiny" in capsys.readouterr().err


@pytest.mark.parametrize(
    "value, settings, message",
    [
        (0, {}, "has no delayed coincidence"),
        (-1, {}, "negative"),
        (np.nan, {}, "values that cannot be delayed coincidences"),
        (1, {"delayed": "none.hs"}, "none.hs cannot be read"),
        (1, {"output": "r.v"}, "ends in .hs"),
        (1, {"output": "no/r.hs"}, "there is no folder"),
        (1, {"output": "late.hs"}, "would overwrite the input late.hs"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(folder, capsys, value, settings, message):
    write_sinogram(folder / "late.hs", np.full(TINY.shape, value, np.float32), TINY, STUDY)
    before = contents(folder)
    assert run(**settings) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert contents(folder) == before


BLOCKS = [[1000.0 * (k % 3 + 1) for k in range(8)]]  # tiny has 1 block along and 8 around


def counted(rates=BLOCKS[0], layout=TINY, **study):
    """Writes scan.hs as `countless histogram` does, with its singles beside it."""
    said = {"mean_singles_per_second_by_block": rates}
    write_sinogram("scan.hs", np.zeros(layout.shape, np.float32), layout, STUDY | study,
                   sidecar=said)


def from_singles(*words, singles="scan.hs"):
    return countless.main(["randoms", "--singles", singles, "-o", "r.hs", *map(str, words)])


def test_singles_of_blocks_make_randoms(folder, capsys):
    counted()
    assert from_singles() == 0
    found, layout, info = read_sinogram("r.hs")
    expected = randoms_from_singles(crystal_singles(BLOCKS, TINY.scanner), TINY, 60)
    assert (layout, info["duration_s"]) == (TINY, 60)
    np.testing.assert_array_equal(found, expected)
    # A pair of crystals of 1/20 of 1000 and 2000 per second in 60 s and 1 ns: 50 x 100 x 6e-8.
    np.testing.assert_allclose(np.unique(found / (50 * 50 * 6e-8)).round(5), [1, 2, 3, 4, 6, 9])
    said = json.loads((folder / "r.json").read_text())
    assert said["singles_per_second"] == sum(BLOCKS[0])
    assert (said["decay_factor"], said["coincidence_window_ps"]) == (1, 1000)
    assert [entry["path"] for entry in said["inputs"]] == ["scan.json"]
    out = " ".join(capsys.readouterr().out.split())
    assert "of an unknown isotope: singles are taken as constant" in out
    assert "15,000 per second in 8 blocks" in out


def test_decay_raises_randoms_above_those_of_the_mean_singles(folder):
    counted(isotope="O-15", duration_s=122.24)
    assert from_singles("--window-ps", 500) == 0
    # Over one half-life: mean of squares (1 - 1/4) / (2 ln 2), mean (1 - 1/2) / ln 2.
    ratio = (0.75 / (2 * np.log(2))) / (0.5 / np.log(2)) ** 2
    expected = randoms_from_singles(crystal_singles(BLOCKS, TINY.scanner), TINY, 122.24,
                                    window_ps=500)
    np.testing.assert_allclose(read_sinogram("r.hs")[0], expected * ratio, rtol=1e-5)


def test_the_two_estimates_agree_on_a_simulated_scan(folder, rng):
    counted(rates=[2e6] * 8)
    mean = randoms_from_singles(crystal_singles([[2e6] * 8], TINY.scanner), TINY, 60)
    write_sinogram("late.hs", rng.poisson(mean).astype(np.float32), TINY, STUDY)
    assert from_singles() == 0
    expected = read_sinogram("r.hs")[0]
    assert run() == 0
    total = mean.sum(dtype=float)
    assert abs(read_sinogram("r.hs")[0].sum(dtype=float) - total) < 4 * np.sqrt(total)
    np.testing.assert_allclose(read_sinogram("r.hs")[0], expected, rtol=0.05)


def test_a_lists_singles_reach_the_randoms_and_gaps_stay_empty(folder, reference):
    words = [tag(0), *(singles(block, 8000) for block in range(224)), tag(1000)]
    written(folder / "scan.l.hdr", LIST_HEADER, data=as_bytes(words))
    histogram(folder / "scan.l.hdr", output=folder / "scan.hs", span=3, max_ring_difference=1)
    assert from_singles("--norm", reference / "mmr_norm" / "norm.n.hdr") == 0
    found, layout, _ = read_sinogram("r.hs")
    np.testing.assert_array_equal(found > 0, np.broadcast_to(layout.mask(), found.shape))
    inputs = [entry["path"].rsplit("/")[-1]
              for entry in json.loads((folder / "r.json").read_text())["inputs"]]
    assert inputs == ["scan.json", "norm.n.hdr", "norm.n"]
    # Efficiencies move singles within a bucket: 128 crystals have its 8000 on average.
    pairs = np.multiply(*layout.pair_counts()).sum(dtype=float)
    assert found.sum(dtype=float) == pytest.approx(
        pairs * (8000 / 128) ** 2 * 5860e-12 * 1.001, rel=1e-3)


def test_the_real_list_has_no_singles_and_says_so(folder, reference, capsys):
    listed = reference / "mmr_brain_0.6s" / "PET_ACQ_small.l.hdr.STIR"
    histogram(listed, output=folder / "scan.hs", span=1, max_ring_difference=0)
    assert from_singles() == 2
    assert "the list held no singles in the scan's time; use delayeds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "randoms take --delayed or --singles"),
        (["--singles", "scan.hs", "--delayed", "late.hs"], "randoms take --delayed or --singles"),
        (["--singles", "scan.hs", "--list", "scan.l.hdr"], "--list belongs to --delayed"),
        (["--delayed", "late.hs", "--norm", "norm.n.hdr"], "--norm belongs to --singles"),
        (["--delayed", "late.hs", "--window-ps", "1"], "--window-ps belongs to --singles"),
        (["--singles", "scan.hs", "--window-ps", "-1"], "coincidence window"),
        (["--singles", "late.hs"], "late.json beside the scan says them"),
        (["--singles", "scan.hs", "-o", "scan.hs"], "would overwrite the input scan.hs"),
    ],
)
def test_delayeds_or_singles_are_asked_for(folder, capsys, words, message):
    counted()
    (folder / "late.json").unlink()
    before = contents(folder)
    words = words if "-o" in words else [*words, "-o", "r.hs"]
    assert countless.main(["randoms", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert contents(folder) == before


def test_a_normalization_of_another_scanner_is_refused(folder, reference, capsys):
    counted()
    assert from_singles("--norm", reference / "mmr_norm" / "norm.n.hdr") == 2
    assert "is of Siemens mMR, the scan of tiny" in capsys.readouterr().err


def test_arc_corrected_delayeds_are_refused(folder, capsys):
    layout = SinogramLayout.of(TINY.scanner, radial_mm=5.0)
    write_sinogram(folder / "late.hs", np.ones(layout.shape, np.float32), layout, STUDY)
    assert run() == 2
    assert "arc-corrected" in capsys.readouterr().err
