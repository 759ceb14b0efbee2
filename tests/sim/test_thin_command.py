"""`countless thin`: what it keeps of lists and sinograms, writes and refuses."""

import json

import numpy as np
import pytest

import countless
from recon import Scanner, SinogramLayout
from recon.agreement import role_of
from recon.events import Events
from recon.io import read_layout, read_sinogram, sidecar_path, write_sinogram
from recon.io.castor_list_writing import write_castor_list
from recon.io.lists import open_list
from recon.io.petsird_writing import write_petsird
from recon.io.provenance import read_sidecar
from tests.recon.io.mmr import SINOGRAM_HEADER, written

SCANNER = Scanner.preset("tiny")
LAYOUT = SinogramLayout.of(SCANNER, max_ring_difference=1)
EVENTS = 20_000


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    """Lists and sinograms of random counts, and the work is done there."""
    monkeypatch.chdir(tmp_path)
    crystal = rng.integers(SCANNER.crystals, size=EVENTS)
    across = (crystal + SCANNER.crystals // 2) % SCANNER.crystals
    rings = rng.integers(SCANNER.rings, size=(2, EVENTS))
    events = Events(
        ring1=rings[0].astype(np.int16), crystal1=crystal.astype(np.int16),
        ring2=rings[1].astype(np.int16), crystal2=across.astype(np.int16),
        time_ms=np.arange(EVENTS) // 10, delayed=rng.random(EVENTS) < 0.3,
        tof_bin=rng.integers(SCANNER.tof_bins, size=EVENTS).astype(np.int16),
    )
    write_castor_list(tmp_path / "list.cdh", [events], SCANNER)
    write_petsird(tmp_path / "list.petsird", [events], SCANNER)
    counts = rng.poisson(3, LAYOUT.shape).astype(np.float32)
    for name in ("prompts", "delayeds"):
        write_sinogram(tmp_path / f"{name}.hs", counts, LAYOUT, {"duration_s": 2.0})
    return tmp_path


def run(*words):
    return countless.main(["thin", *map(str, words)])


def listed(path):
    """All columns of a list, (columns, events)."""
    chunks = [np.stack([part.time_ms, part.ring1, part.crystal1, part.ring2, part.crystal2,
                        part.delayed, part.tof_bin]) for part in open_list(path).chunks()]
    return np.concatenate(chunks, axis=1)


@pytest.mark.parametrize("name", ["list.cdh", "list.petsird"])
def test_events_are_kept_in_their_order_each_with_a_chance_of_1_to_the_factor(folder, name, capsys):
    low = f"low-{name}"
    assert run(name, "-o", low, "--drf", 5) == 0
    whole, kept = listed(name), listed(low)
    for delayed in (False, True):
        count = np.count_nonzero(whole[-2] == delayed)
        sigma = np.sqrt(count * 0.2 * 0.8)
        assert abs(np.count_nonzero(kept[-2] == delayed) - 0.2 * count) <= 4 * sigma
    rest = iter(whole.T.tolist())
    assert all(event in rest for event in kept.T.tolist())  # each after the one before
    assert "1 / 5 of the activity" in " ".join(capsys.readouterr().out.split())


def test_a_sinogram_keeps_part_of_each_bins_counts(folder):
    assert run("prompts.hs", "-o", "low.hs", "--drf", 4) == 0
    (whole, layout, info), (kept, low, said) = read_sinogram("prompts.hs"), read_sinogram("low.hs")
    assert low == layout
    assert said["duration_s"] == info["duration_s"] == 2.0
    assert (kept <= whole).all() and (kept == np.rint(kept)).all()
    assert abs(kept.sum() - whole.sum() / 4) < 4 * np.sqrt(whole.sum() * 3 / 16)


def test_prompts_and_delayeds_of_one_seed_are_drawn_apart(folder):
    for name in ("prompts", "delayeds"):  # of the same counts, here
        assert run(f"{name}.hs", "-o", f"low-{name}.hs", "--drf", 2) == 0
    whole = read_sinogram("prompts.hs")[0]
    first, second = (read_sinogram(f"low-{name}.hs")[0] - whole / 2
                     for name in ("prompts", "delayeds"))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / np.sqrt(whole.size)


def test_both_data_sets_of_a_scanners_own_sinogram_are_thinned_apart(folder, rng):
    counts = np.tile(rng.poisson(3, 478_800 // 2), 2)  # the same twice
    written(folder / "scan.s.hdr", SINOGRAM_HEADER, data=counts.astype("<i2").tobytes())
    kept = []
    for name, words in (("p.hs", ()), ("d.hs", ("--dataset", "delayeds"))):
        assert run("scan.s.hdr", "-o", name, "--drf", 2, *words) == 0
        kept.append(read_sinogram(name)[0])
    whole, layout, _ = read_sinogram("scan.s.hdr")
    assert read_layout("p.hs")[0] == layout
    assert [role_of(read_sidecar(name)) for name in ("p.hs", "d.hs")] == ["prompts", "delayeds"]
    for part in kept:
        assert (part <= whole).all()
        assert abs(part.sum() - whole.sum() / 2) < 4 * np.sqrt(whole.sum() / 4)
    first, second = ((part - whole / 2).ravel() for part in kept)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(whole.size)


@pytest.mark.parametrize("name", ["list.cdh", "prompts.hs"])
def test_the_draw_is_the_seeds(folder, name):
    suffix = name.split(".")[-1]
    for output, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(name, "-o", f"{output}.{suffix}", "--drf", 2, "--seed", seed) == 0
    read = listed if suffix == "cdh" else lambda path: read_sinogram(path)[0]
    first, again, other = (read(f"{output}.{suffix}") for output in "abc")
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


def test_the_sidecar_says_the_dose(folder):
    assert run("prompts.hs", "-o", "low.hs", "--drf", 4, "--seed", 7) == 0
    said = json.loads((folder / "low.json").read_text())
    assert (said["dose_reduction_factor"], said["mode"], said["seed"]) == (4, "time", 7)
    assert said["command"].startswith("countless thin prompts.hs")


@pytest.mark.parametrize("name, low", [("delayeds.hs", "low.hs"), ("list.cdh", "low.cdh")])
def test_the_sidecar_says_what_was_thinned_and_keeps_the_mark_of_an_inverse_crime(
    folder, name, low
):
    said = {"file": name, "quantity": "delayed coincidences", "inverse_crime": True}
    sidecar_path(folder / name).write_text(json.dumps(said))
    assert run(name, "-o", low, "--drf", 4) == 0
    made = json.loads(sidecar_path(folder / low).read_text())
    assert (made["quantity"], made["inverse_crime"]) == ("delayed coincidences", True)


@pytest.mark.parametrize(
    "words, message",
    [
        (("list.cdh", "-o", "low.hs", "--drf", 4), "is a list and is thinned to one, .cdh or"),
        (("prompts.hs", "-o", "low.cdh", "--drf", 4), "is a sinogram and is thinned to one, .hs,"),
        (("prompts.hs", "-o", "low.hs", "--drf", 0.5), "reduction factor of 1 or more, got 0.5"),
        (("prompts.hs", "-o", "low.hs", "--drf", 1e12), "none is kept; give a smaller --drf"),
        (("prompts.hs", "-o", "prompts.hs", "--drf", 4), "prompts.hs"),
        (("prompts.hs", "-o", "low.hs", "--drf", 4, "--scanner", "a.geom"), "is of no use"),
        (("prompts.hs", "-o", "low.hs", "--drf", 4, "--dataset", "delayeds"), "is of Siemens"),
        (("smooth.hs", "-o", "low.hs", "--drf", 4), "whole numbers of 0 or more"),
        (("prompts.s", "-o", "low.hs", "--drf", 4), "prompts.s is no list mode"),
        (("none.hs", "-o", "low.hs", "--drf", 4), "none.hs"),
    ],
)
def test_what_cannot_be_thinned_is_refused(folder, capsys, words, message):
    smooth = np.full(LAYOUT.shape, 0.5, np.float32)
    write_sinogram(folder / "smooth.hs", smooth, LAYOUT, {})
    assert run(*words) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "low.hs").exists()
