"""What `countless randoms` writes, prints and refuses."""

import json

import numpy as np
import pytest

import countless
from recon import Scanner, SinogramLayout
from recon.corrections.randoms import randoms, randoms_from_delayeds
from recon.histogram_command import histogram
from recon.io import read_sinogram, write_sinogram
from tests.recon.io.mmr import LIST_HEADER, as_bytes, event, tag, written

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
        (np.nan, {}, "late"),
        (1, {"delayed": "none.hs"}, "none.hs"),
        (1, {"output": "r.v"}, "ends in .hs"),
        (1, {"output": "no/r.hs"}, "there is no folder"),
        (1, {"output": "late.hs"}, "would overwrite the input late.hs"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(folder, capsys, value, settings, message):
    write_sinogram(folder / "late.hs", np.full(TINY.shape, value, np.float32), TINY, STUDY)
    before = sorted(folder.iterdir())
    assert run(**settings) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_arc_corrected_delayeds_are_refused(folder, capsys):
    layout = SinogramLayout.of(TINY.scanner, radial_mm=5.0)
    write_sinogram(folder / "late.hs", np.ones(layout.shape, np.float32), layout, STUDY)
    assert run() == 2
    assert "arc" in capsys.readouterr().err
