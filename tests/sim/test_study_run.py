"""A study from its settings to its files: the same however it runs, resumed, refused, checked."""

import functools
import json
import os
import shutil
from dataclasses import replace

import h5py
import pytest
from distributed import LocalCluster
from matplotlib.figure import Figure

import countless
from recon import backend, memory
from recon.corrections import scatter_estimate
from recon.io import FileError
from sim import dataset_file, study_phantom, study_pool, study_run
from sim.contact_sheet import draw_sheet
from sim.dataset import open_study
from sim.study_check import problems
from sim.study_file import read_study
from sim.study_lock import locked
from sim.study_phantom import simulate_phantom
from tests.recon.cases import MACHINES, rms_difference
from tests.sim.studies import write


@pytest.fixture
def study(place):
    return read_study(place / "study.yaml")


def arrays(folder):
    """The hash of each phantom's arrays, as found."""
    found = {}
    for path in sorted(folder.glob("phantom-*.h5")):
        with dataset_file.opened(path) as file:
            found[path.name] = dataset_file.arrays_sha256(file)
    return found


def run(study, folder, **options):
    return study_run.run_study(study, folder, made={}, **options)


def test_workers_of_a_local_cluster_make_the_same_arrays(place, tmp_path, study, capsys):
    before = dict(os.environ)
    run(study, tmp_path / "dask", workers=2)
    assert dict(os.environ) == before
    assert arrays(tmp_path / "dask") == arrays(place / "data")
    assert "the first phantom took" in capsys.readouterr().out


def test_a_local_cluster_takes_all_cores_where_memory_holds(
    place, tmp_path, study, capsys, monkeypatch
):
    monkeypatch.setattr(
        backend, "default_threads", lambda: int(os.environ.get("OMP_NUM_THREADS", 2))
    )
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run(study, tmp_path / "cluster")
    assert "in 2 workers of 1 thread" in " ".join(capsys.readouterr().out.split())
    assert arrays(tmp_path / "cluster") == arrays(place / "data")


def test_phantoms_of_one_split_alone_are_made_and_later_the_others(place, tmp_path, study, capsys):
    split = study.split.of(study.phantoms.count)
    index = run(study, tmp_path / "data", only=("train",), workers=0)
    assert [record["split"] for record in index["phantoms"]] == [s for s in split if s == "train"]
    assert not index["complete"]
    index = run(study, tmp_path / "data", only=("validation", "test"), workers=0)
    assert index["complete"]
    assert arrays(tmp_path / "data") == arrays(place / "data")


def test_a_split_without_phantoms_is_refused_before_a_folder_is_made(study, tmp_path):
    none = replace(study, split=replace(study.split, train=0.0, validation=0.5, test=0.5))
    with pytest.raises(ValueError, match="--only train takes phantoms of that split, got none"):
        run(none, tmp_path / "data", only=("train",))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("machine", MACHINES)
def test_the_number_of_threads_makes_no_difference_and_a_gpu_one_of_rounding(
    machine, place, tmp_path, study
):
    made = simulate_phantom(study, 2, tmp_path, threads=3, device=machine)
    name = "phantom-0002.h5"
    if machine == "cpu":
        assert made["sha256"] == arrays(place / "data")[name]
        return
    with h5py.File(tmp_path / name) as ours, h5py.File(place / "data" / name) as theirs:
        for each in ("truth", "ct", "low", "standard"):
            assert rms_difference(ours[each][:], theirs[each][:]) <= 1e-3


def test_phantoms_differ_in_their_noise(place):
    assert len(set(arrays(place / "data").values())) == 3


def test_a_study_that_was_stopped_makes_what_is_missing_and_keeps_the_rest(data, study, place):
    before = arrays(data)
    kept = (data / "phantom-0001.h5").stat().st_mtime_ns
    (data / "phantom-0002.h5").unlink()
    (data / ".x.phantom-0002.h5").write_bytes(b"half")
    run(study, data, workers=0)
    assert arrays(data) == before
    assert (data / "phantom-0001.h5").stat().st_mtime_ns == kept
    assert not list(data.glob(".*.h5"))


def test_another_study_in_the_folder_is_refused_with_what_differs(data, tmp_path):
    other = read_study(write(tmp_path, minutes=5))
    with pytest.raises(FileError, match=r"made with scan.minutes 4.0, and this one has 5.0"):
        run(other, data, workers=0)


def test_a_second_run_into_the_folder_is_refused(data, study):
    with locked(data), pytest.raises(FileError, match="in use by process"):
        run(study, data, workers=0)


def test_the_lock_of_a_run_that_was_broken_off_is_taken_over_and_said(tmp_path):
    with pytest.raises(KeyboardInterrupt), locked(tmp_path):
        raise KeyboardInterrupt
    with locked(tmp_path) as said:
        assert "ended before it was done" in said
    with locked(tmp_path) as said:
        assert said is None


def test_what_a_broken_off_run_left_half_written_is_removed(study, tmp_path, monkeypatch):
    def broken_off(*_, **__):
        (tmp_path / ".x.phantom-0001.h5").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(study_run, "pool", broken_off)
    with pytest.raises(KeyboardInterrupt):
        run(study, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "study.json"]


def test_a_scan_that_memory_does_not_hold_is_refused_before_a_folder_is_made(
    study, tmp_path, monkeypatch
):
    monkeypatch.setattr(memory, "available", lambda _: 1 << 20)
    with pytest.raises(ValueError, match=r"0\.0 GiB are free; give a smaller scan.max_ring_diff"):
        run(study, tmp_path / "large")
    assert not (tmp_path / "large").exists()


def test_a_disk_that_is_too_full_is_said_before_the_work(study, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(study_run.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(FileError, match=r"takes up to .* more, and .* free; free space: what is"):
        run(study, tmp_path / "full", workers=0)
    assert not list((tmp_path / "full").glob("*.h5"))


def test_a_disk_that_fills_while_a_file_is_written_leaves_no_file(study, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("file write failed: errno = 28, error message = 'No space left on device'")

    monkeypatch.setattr(dataset_file, "add", full)
    with pytest.raises(FileError, match=r"no space left on device.*; free space"):
        simulate_phantom(study, 1, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def hard_to_draw(monkeypatch):
    """Numbers of phantoms that cannot be drawn, as a set to change."""
    numbers, draw = set(), study_phantom.draw_phantom

    def drawn(study, number):
        if number in numbers:
            raise ValueError("person takes lesions that fit, got one that does not")
        return draw(study, number)

    monkeypatch.setattr(study_phantom, "draw_phantom", drawn)
    return numbers


def test_a_phantom_that_cannot_be_drawn_keeps_no_other_from_being_made(
    place, tmp_path, hard_to_draw, capsys
):
    hard_to_draw.add(1)
    command = ["simulate", str(place / "study.yaml"), "-o", str(tmp_path / "data"), "--workers",
               "0"]
    assert countless.main(command) == 2
    said = capsys.readouterr().err
    assert "1 phantom of 3 cannot be simulated (phantom 1 of the study: person takes" in said
    assert "the other 2 are made and kept, but the study is not complete" in said
    made = arrays(place / "data")
    del made["phantom-0001.h5"]
    assert arrays(tmp_path / "data") == made
    assert not json.loads((tmp_path / "data" / "study.json").read_text())["complete"]
    assert "the study is not complete: run `countless simulate` again" in (
        problems(tmp_path / "data"))
    hard_to_draw.clear()
    assert countless.main(command) == 0
    assert arrays(tmp_path / "data") == arrays(place / "data")


def test_scatter_estimates_that_miss_their_precision_are_said(study, tmp_path, monkeypatch, capsys):
    few = functools.partial(scatter_estimate.multiple_scatter, most=20_000)
    monkeypatch.setattr(scatter_estimate, "multiple_scatter", few)
    run(replace(study, phantoms=replace(study.phantoms, count=1)), tmp_path / "data", workers=0)
    said = " ".join(capsys.readouterr().out.split())
    assert "the scatter estimates of phantom 1 have a noise of" in said
    assert "of the scatter rather than 0.20%" in said


def test_settings_of_which_no_phantom_can_be_drawn_are_refused_at_once(
    study, tmp_path, hard_to_draw
):
    hard_to_draw.update({1, 2, 3})
    with pytest.raises(ValueError, match="person takes lesions that fit"):
        run(study, tmp_path / "none", workers=0)
    assert not (tmp_path / "none").exists()


def test_a_local_cluster_tries_phantoms_alone_until_one_can_be_measured(tmp_path, capsys):
    study = read_study(write(tmp_path, factors="[1e12]"))  # of which no phantom has a count
    with pytest.raises(ValueError, match=r"3 phantoms of 3 .*phantom 3 of the study: 1 / 1e\+12"):
        run(study, tmp_path / "none", workers=1)
    assert "the first phantom took" not in capsys.readouterr().out


def test_a_dose_without_counts_is_refused_by_the_phantoms_number(tmp_path):
    study = read_study(write(tmp_path, factors="[1e12]"))
    with pytest.raises(ValueError, match=r"phantom 1 of the study: 1 / 1e\+12 of the dose gives"):
        simulate_phantom(study, 1, tmp_path)


@pytest.mark.parametrize(
    "old, new, message",
    [("kind: uniform", "kind: unifrom", "the nearest is 'uniform'"),
     ("length_mm", "lenght_mm", "the nearest is --length-mm"),
     ("minutes: 4", "minutes: 4\n  bed_mm: 400", "-30 to 30 mm along x, y and z, and none of it"),
     ("minutes: 4", "minutes: 4\n  bed_mm: 400", "give scan.bed_mm 0"),
     ("subsets: 4", "subsets: 5", "divisor of the scan's 16 views, got 5; the nearest is 4")],
)
def test_what_cannot_be_simulated_is_refused_before_a_folder_is_made(
    tmp_path, capsys, old, new, message
):
    path = write(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    assert countless.main(["simulate", str(path), "-o", str(tmp_path / "none")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_workers_of_a_scheduler_by_address_make_the_same_arrays(data, study):
    before = arrays(data)
    (data / "phantom-0002.h5").unlink()
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        run(study, data, scheduler=cluster.scheduler_address)
    assert arrays(data) == before


def test_an_address_where_no_scheduler_answers_is_refused(data, study, monkeypatch):
    monkeypatch.setattr(study_pool, "CONNECT_S", 1)
    (data / "phantom-0002.h5").unlink()
    with pytest.raises(FileError, match="no Dask scheduler answers at tcp://127"):
        run(study, data, scheduler="tcp://127.0.0.1:1")


def test_workers_are_refused_beside_a_scheduler(data, study):
    (data / "phantom-0002.h5").unlink()
    with pytest.raises(ValueError, match="--workers is for a local cluster"):
        run(study, data, workers=1, scheduler="tcp://127.0.0.1:1")


def test_the_index_says_split_hashes_and_what_made_it(place):
    index = json.loads((place / "data" / "study.json").read_text())
    assert index["complete"]
    assert [record["split"] for record in index["phantoms"]] == ["train", "validation", "test"]
    assert index["command"].startswith("countless simulate")
    assert [record["sha256"] for record in index["phantoms"]] == [*arrays(place / "data").values()]


def test_a_contact_sheet_is_drawn(place):
    assert (place / "data" / "contact-sheet.png").stat().st_size > 10_000


@pytest.mark.parametrize("crime", [False, True])
def test_a_contact_sheet_is_marked_where_scans_are_an_inverse_crime(data, monkeypatch, crime):
    marks = []
    monkeypatch.setattr(Figure, "text", lambda *words, **_: marks.append(words[-1]))
    with open_study(data) as stored:
        stored.index["recipe"]["scan"]["inverse_crime"] = crime
        draw_sheet(data / "sheet.png", stored)
    assert marks == ["INVERSE CRIME (not for results)"] * crime


def test_totals_of_images_are_the_truths_as_far_as_one_pass_over_five_rings_finds_them(place):
    with open_study(place / "data") as data:
        for pair in data.pairs():
            images = data.read(pair)
            assert images["standard"].sum() == pytest.approx(images["truth"].sum(), rel=0.2)
            assert images["low"].sum() == pytest.approx(images["truth"].sum(), rel=0.2)
