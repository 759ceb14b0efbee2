"""What the demo runs, and what it says of images. The whole of it takes minutes: `make demo`."""

import subprocess
from pathlib import Path

import pytest

from countless import app
from sim import demo as module
from sim.demo import demo


@pytest.fixture
def commands(monkeypatch):
    """The command lines that the demo runs, recorded instead of run."""
    found = []

    def record(words):
        found.append(words[words.index("countless") + 1 :])
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(module.subprocess, "run", record)
    monkeypatch.setattr(module, "_compare", lambda *_: {})
    return found


def test_the_demo_makes_a_person_two_scans_and_two_images(commands, tmp_path):
    demo(output=tmp_path / "out", drf=20, minutes=3)
    assert [words[0] for words in commands] == ["phantom", "scan", "scan", "recon", "recon"]
    drf = [words[words.index("--drf") + 1] for words in commands[1:3]]
    assert drf == ["1", "20"]


def test_every_command_of_the_demo_is_one_that_countless_takes(commands, tmp_path):
    demo(output=tmp_path / "out")
    for words in commands:
        _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
        assert bound.arguments


def test_files_that_a_command_reads_were_written_by_one_before(commands, tmp_path):
    demo(output=tmp_path / "out")
    folders = {Path(words[words.index("-o") + 1]) for words in commands[:3]}
    for words in commands[1:]:
        assert Path(words[1]) in folders or Path(words[1]).parent in folders


def test_a_command_that_fails_ends_the_demo(monkeypatch, tmp_path):
    monkeypatch.setattr(
        module.subprocess, "run", lambda words: subprocess.CompletedProcess(words, 2)
    )
    with pytest.raises(RuntimeError, match="ended with exit code 2, so the demo ends too"):
        demo(output=tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drf": 0.5}, "--drf takes a factor of 1 or more, got 0.5"),
        ({"minutes": 0}, "--minutes takes a positive number, got 0"),
        ({"voxel_mm": 11}, "--voxel-mm takes 1 to 10 mm, got 11"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        demo(output=tmp_path, **settings)


def test_an_output_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match="cannot be made a folder"):
        demo(output=file)
