"""What `countless convert` writes, prints and refuses."""

import json
import shutil

import numpy as np
import pytest

import countless
from recon import Grid, Scanner, SinogramLayout, memory
from recon.corrections.attenuation import attenuate
from recon.io import read_sinogram, write_image, write_sinogram
from recon.io.castor_histogram import read_castor_histogram
from recon.io.castor_list import read_castor_list
from tests.recon.io.castor import packed, written
from tests.recon.io.mmr import LIST_HEADER, as_bytes, event, tag
from tests.recon.io.mmr import written as mmr_written

TOF = {"TOF information flag": 1, "TOF resolution (ps)": 400,
       "List TOF measurement range (ps)": 500, "List TOF quantization bin size (ps)": 100}
LAYOUT = SinogramLayout.of(Scanner.preset("tiny"), span=3, max_ring_difference=1, tof_mashing=3)
FLAT = LAYOUT.without_tof()
STUDY = {"duration_s": 20.0, "patient_position": "FFS", "isotope": "F-18"}
GRID = Grid.centred(shape=(8, 8, 9), voxel_mm=(15, 15, 4), patient_position="FFS")
WORDS = [tag(0), event(10, 172, 5), event(11, 172, 5, prompt=False), event(9, 172, 5), tag(20)]


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    """A scan of a small scanner with all of its model, and the work is done there."""
    monkeypatch.chdir(tmp_path)
    counts = rng.poisson(2, LAYOUT.shape).astype(np.float32)
    write_sinogram(tmp_path / "scan.hs", counts, LAYOUT, STUDY)
    for name, layout, quantity in (  # as the commands that make them say
        ("m", FLAT, "factors m that multiply expected counts"),
        ("randoms", FLAT, "expected random coincidences"),
        ("scatter", LAYOUT, "expected scattered coincidences"),
    ):
        array = rng.gamma(3, 1, layout.shape).astype(np.float32)
        write_sinogram(tmp_path / f"{name}.hs", array, layout, STUDY,
                       sidecar={"quantity": quantity})
    mu = np.where(GRID.cylinder(50), np.float32(0.096), np.float32(0)) * np.ones(GRID.shape, "f4")
    write_image(tmp_path / "mu.nii", mu.astype(np.float32), GRID, unit="1/cm")
    return tmp_path


def run(*words):
    return countless.main(["convert", *words])


def printed(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_a_sinogram_becomes_a_histogram_with_its_model(folder, capsys):
    assert run("scan.hs", "-o", "scan.cdh", "--efficiency", "m.hs", "--randoms", "randoms.hs",
               "--scatter", "scatter.hs", "--mu-map", "mu.nii") == 0
    found = read_castor_histogram("scan.cdh")
    assert found.layout.shape == LAYOUT.shape and found.info["isotope"] == "F-18"
    assert (found.info["duration_s"], found.info["patient_position"]) == (20, "FFS")
    survival = np.ones(FLAT.shape, np.float32)
    mu = np.where(GRID.cylinder(50), np.float32(0.096), np.float32(0)) * np.ones(GRID.shape, "f4")
    attenuate(survival, mu.astype(np.float32), GRID, FLAT)
    np.testing.assert_array_equal(found.prompts, read_sinogram("scan.hs")[0])
    for array, expected in ((found.efficiency, read_sinogram("m.hs")[0]),
                            (found.randoms, read_sinogram("randoms.hs")[0]),
                            (found.scatter, read_sinogram("scatter.hs")[0]),
                            (found.attenuation, survival)):
        np.testing.assert_allclose(array, expected, rtol=3e-7)
    assert 0.3 < survival.min() < 0.5
    said = printed(capsys)
    assert f"bins {FLAT.views * FLAT.radial_bins * FLAT.planes:,}, written to scan.cdh" in said
    assert "of all time-of-flight bins together, shared evenly" in said


def test_the_sidecar_says_how(folder):
    run("scan.hs", "-o", "out.cdh", "--efficiency", "m.hs")
    said = json.loads((folder / "out.cdh.json").read_text())
    assert said["command"] == "countless convert scan.hs --output out.cdh --efficiency m.hs"
    assert [entry["path"] for entry in said["inputs"]] == ["scan.hs", "scan.s", "m.hs", "m.s"]
    assert said["configuration"]["span"] is None and said["unit"] == "counts"


def test_a_histogram_becomes_a_sinogram_and_comes_back(folder, capsys):
    run("scan.hs", "-o", "a.cdh", "--efficiency", "m.hs", "--randoms", "randoms.hs",
        "--scatter", "scatter.hs", "--mu-map", "mu.nii")
    assert run("a.cdh", "-o", "b.hs", "--efficiency-out", "m-out.hs", "--background-out",
               "b-out.hs") == 0
    prompts, layout, info = read_sinogram("b.hs")
    np.testing.assert_array_equal(prompts, read_sinogram("scan.hs")[0])
    assert layout == LAYOUT and {name: info[name] for name in STUDY} == STUDY
    found = read_castor_histogram("a.cdh")
    np.testing.assert_array_equal(read_sinogram("m-out.hs")[0], found.factors())
    np.testing.assert_array_equal(read_sinogram("b-out.hs")[0], found.background())
    said = json.loads((folder / "m-out.json").read_text())
    assert [entry["path"] for entry in said["inputs"]][:2] == ["a.cdh", "a.cdf"]
    assert "m, attenuation included, written to m-out.hs" in printed(capsys)


def test_what_a_histogram_holds_and_nobody_asked_for_is_told(folder, capsys):
    run("scan.hs", "-o", "a.cdh", "--randoms", "randoms.hs")
    capsys.readouterr()
    assert run("a.cdh", "-o", "b.hs") == 0
    said = printed(capsys)
    assert "factors m; --efficiency-out writes them" in said
    assert "randoms and scatter; --background-out writes them" in said


def test_a_histogram_of_others_becomes_one_of_the_span_asked_for(folder):
    changes = {"Data mode": "histogram", "Number of events": 1,
               "Maximum number of lines per event": 2}
    written(folder, changes, packed("IfHIIII", (0, 5.0, 2, 0, 12, 8, 4)))
    (folder / "PET_hand.geom").rename(folder / "other.geom")
    assert run("scan.cdh", "-o", "b.hs", "--span", "3", "--scanner", "other.geom") == 0
    prompts, layout, _ = read_sinogram("b.hs")
    assert layout.planes == 3 and np.argwhere(prompts).tolist() == [[0, 2, 1]]


def test_bins_without_a_duration_are_of_a_second(folder, capsys):
    write_sinogram(folder / "b.hs", read_sinogram("scan.hs")[0], LAYOUT)
    assert run("b.hs", "-o", "b.cdh", "--scatter", "scatter.hs") == 0
    assert "`Duration (s): 1` is written" in printed(capsys)
    np.testing.assert_array_equal(
        read_castor_histogram("b.cdh").scatter, read_sinogram("scatter.hs")[0]
    )


def test_prompts_in_bins_without_efficiency_are_told(folder, capsys):
    factors = read_sinogram("m.hs")[0]
    factors[0, 0, 0] = 0
    write_sinogram(folder / "m.hs", factors, FLAT)
    lost = read_sinogram("scan.hs")[0][0, 0, :, 0].sum()
    assert run("scan.hs", "-o", "b.cdh", "--efficiency", "m.hs") == 0
    assert f"1 bins without crystals or with factors of 0, with {lost:g} prompts" in printed(capsys)


@pytest.fixture
def listed(folder):
    """A list of an mMR: two prompts and a delayed coincidence, and one prompt on a gap."""
    return mmr_written(folder / "list.l.hdr", LIST_HEADER, data=as_bytes(WORDS))


def test_a_list_becomes_castors_without_its_delayeds(listed, capsys):
    assert run("list.l.hdr", "-o", "list.cdh") == 0
    said = printed(capsys)
    assert "events 1, written to list.cdh" in said
    assert "1 delayed coincidences, which CASToR's lists cannot hold" in said
    assert "1 events on crystals or in time-of-flight bins that the scanner does not" in said
    events = read_castor_list("list.cdh")
    assert (events.layout.max_ring_difference, events.end_ms) == (60, 21)
    assert events.scanner == Scanner.preset("mMR")
    sidecar = json.loads((listed.parent / "list.cdh.json").read_text())
    assert sidecar["counts"] == {"events": 1, "delayeds": 1, "impossible": 1}
    assert [entry["path"] for entry in sidecar["inputs"]] == ["list.l.hdr", "scan.l"]


@pytest.mark.parametrize("with_tof", [False, True])
def test_a_list_comes_back_from_petsird(folder, capsys, with_tof):
    form, tof = ("IfII", TOF) if with_tof else ("III", {})
    events = [(3, *([-100.0] * with_tof), 0, 13), (700, *([200.0] * with_tof), 13, 2)]
    written(folder, {"Number of events": 2} | tof, packed(form, *events))
    pytest.importorskip("petsird")
    assert run("scan.cdh", "-o", "list.petsird") == 0
    assert "events 2, written to list.petsird" in printed(capsys)
    said = json.loads((folder / "list.petsird.json").read_text())
    assert [e["path"] for e in said["inputs"]] == ["scan.cdh", "scan.cdf", "PET_hand.geom"]
    assert (said["file"], said["counts"]["events"]) == ("list.petsird", 2)
    assert run("list.petsird", "-o", "again.cdh") == 0
    first, second = (np.concatenate([np.stack([e.ring1, e.crystal1, e.ring2, e.crystal2,
                                               e.time_ms, e.tof_bin if with_tof else e.ring1])
                                     for e in read_castor_list(name).chunks()], axis=1)
                     for name in ("scan.cdh", "again.cdh"))
    for one, two in zip(first.T, second.T, strict=True):
        # PETSIRD says which of the two crystals comes first; time of flight follows it.
        turned = [*one[2:4], *one[:2], one[4], 4 - one[5] if with_tof else one[2]]
        assert two.tolist() in (one.tolist(), turned)


def test_a_real_list_counts_to_the_same_sinogram_either_way(reference, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mmr = str(reference / "mmr_brain_0.6s" / "PET_ACQ_small.l.hdr.STIR")
    assert run(mmr, "-o", "list.cdh") == 0
    for scan in (mmr, "list.cdh"):
        words = ["histogram", scan, "-o", "scan.hs", "--span", "11", "--max-ring-difference", "5"]
        assert countless.main(words) == 0
        (tmp_path / "scan.s").rename(tmp_path / f"{scan == mmr}.s")
    assert (tmp_path / "True.s").read_bytes() == (tmp_path / "False.s").read_bytes()


def no_tof(folder):
    write_sinogram(folder / "scatter.hs", np.ones(FLAT.shape, np.float32), FLAT)


def tof(folder):
    write_sinogram(folder / "m.hs", np.ones(LAYOUT.shape, np.float32), LAYOUT)


def other_bins(folder):
    layout = SinogramLayout.of(Scanner.preset("tiny"), tof_mashing=3)
    write_sinogram(folder / "randoms.hs", np.ones(layout.shape, np.float32), layout)


def per_mm(folder):
    write_image(folder / "mu.nii", np.full(GRID.shape, 0.0096, np.float32), GRID, unit="1/cm")


def no_time(folder):
    write_sinogram(folder / "scan.hs", np.ones(LAYOUT.shape, np.float32), LAYOUT,
                   {"duration_s": 0.0, "patient_position": "FFS"})
    write_sinogram(folder / "randoms.hs", np.ones(FLAT.shape, np.float32), FLAT)


def other_time(folder):
    study = {"duration_s": 7.0, "patient_position": "FFS"}
    write_sinogram(folder / "randoms.hs", np.ones(FLAT.shape, np.float32), FLAT, study)


def no_prompts(folder):
    write_sinogram(folder / "scan.hs", np.ones(LAYOUT.shape, np.float32), LAYOUT,
                   sidecar={"quantity": "expected random coincidences"})


def upside_down(folder):
    gaps = np.full(FLAT.shape, 2, np.float32)
    gaps[:, :2] = 1e20
    write_sinogram(folder / "m.hs", gaps, FLAT)


def no_data(folder):
    (folder / "scan.s").unlink()


def a_list(folder):
    written(folder, {"Number of events": 1}, packed("III", (0, 0, 4)))
    shutil.copy(folder / "scan.cdh", folder / "list.cdh")


def an_mmr_list(folder):
    mmr_written(folder / "list.l.hdr", LIST_HEADER, data=as_bytes(WORDS))
    (folder / "taken.petsird.json").mkdir()


def a_histogram(folder):
    run("scan.hs", "-o", "a.cdh")


@pytest.mark.parametrize("damage, words, message", [
    (None, "scan.hs -o b.hs", "scan.hs is a sinogram and becomes .cdh, got b.hs"),
    (None, "scan.hs -o b.petsird", "becomes .cdh"),
    (None, "scan.hs -o no/b.cdh", "there is no folder"),
    (None, "none.hs -o b.cdh", "none.hs cannot be read"),
    (None, "scan.hs -o b.cdh --span 3", "--span is of no use where scan.hs is a sinogram"),
    (None, "scan.hs -o b.cdh --scanner x.geom", "--scanner is of no use where scan.hs is a sin"),
    (an_mmr_list, "list.l.hdr -o b.cdh --scanner x.geom", "goes with CASToR's lists (.cdh) alone"),
    (an_mmr_list, "list.l.hdr -o taken.petsird", "taken.petsird.json cannot be written"),
    (None, "scan.hs -o b.cdh --mu-map scan.hs", "scan.hs"),
    (no_tof, "scan.hs -o b.cdh --scatter scatter.hs", "scatter.hs has no time of flight"),
    (tof, "scan.hs -o b.cdh --efficiency m.hs", "factors by time of flight"),
    (other_bins, "scan.hs -o b.cdh --randoms randoms.hs", "give randoms with the scan's layout"),
    (per_mm, "scan.hs -o b.cdh --mu-map mu.nii", "looks like 1/mm"),
    (no_time, "scan.hs -o b.cdh --randoms randoms.hs", "take a duration above 0 s, got 0 s"),
    (other_time, "scan.hs -o b.cdh --randoms randoms.hs", "give the randoms of the same time"),
    (no_prompts, "scan.hs -o b.cdh", "expected random coincidences"),
    (upside_down, "scan.hs -o b.cdh --efficiency m.hs", "give it as --correction"),
    (no_data, "scan.hs -o b.cdh", "scan.s"),
    (a_list, "list.cdh -o b.hs", "`countless histogram` makes sinograms of lists"),
    (a_list, "list.cdh -o b.cdh --efficiency m.hs", "--efficiency is of no use where list.cdh is"),
    (a_list, "list.cdh -o list.cdh", "would overwrite the input list.cdh"),
    (a_list, "list.cdh -o scan.cdh", "would overwrite the input scan.cdf"),
    (a_list, "scan.cdh -o b.cdh --scanner none.geom", "none.geom cannot be read"),
    (a_histogram, "a.cdh -o b.cdh", "becomes .hs, got b.cdh"),
    (a_histogram, "a.cdh -o b.hs --background-out c.hs", "neither randoms nor scatter"),
    (a_histogram, "a.cdh -o b.hs --efficiency-out b.hs", "the name of one another"),
    (a_histogram, "a.cdh -o b.hs --efficiency-out m.nii", "ends in .hs"),
    (a_histogram, "a.cdh -o b.hs --span 4", "odd number"),
])
def test_bad_input_is_one_sentence_and_nothing_is_written(folder, capsys, damage, words, message):
    if damage:
        damage(folder)
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert run(*words.split()) == 2
    error = capsys.readouterr().err
    assert message in error and error.splitlines()[-1].startswith("countless: ")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_more_than_the_memory_is_refused(folder, capsys, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 300 << 20)
    assert run("scan.hs", "-o", "b.cdh") == 2
    assert "of memory to make" in capsys.readouterr().err
