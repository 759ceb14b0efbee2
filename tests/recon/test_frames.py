"""Frames from what a user types."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from recon.frames import frames
from recon.io import FileError


@dataclass
class Listed:
    """A list of a minute whose last word came 20 ms before its scan's end."""

    path: Path = Path("scan.l")
    end_ms: int = 59_980
    last_ms: int = 60_000


def test_the_whole_list_is_one_frame():
    assert frames(Listed()) == [(0, 59_980)]


@pytest.mark.parametrize(
    "start, stop, expected", [(10, None, (10_000, 59_980)), (None, 0.5, (0, 500)),
                              (1.2345, 60, (1234, 60_000))]
)
def test_start_and_stop_are_in_seconds(start, stop, expected):
    assert frames(Listed(), start, stop) == [expected]


def test_frames_join_successive_times():
    assert frames(Listed(), words=("0", "10", "30.5")) == [(0, 10_000), (10_000, 30_500)]


def test_frames_are_read_from_a_file(tmp_path):
    (tmp_path / "frames.txt").write_text("0, 10\n20\n\n60\n")
    edges = frames(Listed(), words=(str(tmp_path / "frames.txt"),))
    assert edges == [(0, 10_000), (10_000, 20_000), (20_000, 60_000)]


@pytest.mark.parametrize(
    "start, stop, words, message",
    [
        (61, None, None, "--start takes times from 0 to 59.98 s, the end of scan.l, got 61 s"),
        (None, 61, None, "--stop takes times from 0 to 59.98 s"),
        (59.99, 60, None, "got 59.99 s"),
        (-1, None, None, "got -1 s"),
        (20, 10, None, "--start and --stop takes two or more ascending times"),
        (None, 0, None, "ascending"),
        (None, None, ("5",), "two or more ascending"),
        (None, None, ("5", "5"), "ascending"),
        (None, None, ("0", "0.0001", "1"), "at least a millisecond apart"),
        (None, None, ("0", "900"), "--frames takes times from 0 to 59.98 s"),
        (None, None, ("0", "ten"), "takes times in seconds, got `ten`"),
        (None, None, ("0", "nan"), "got `nan`"),
        (None, None, ("absent.txt",), "absent.txt cannot be read"),
        (5, None, ("0", "1"), "both set the time"),
    ],
)
def test_times_that_cannot_be_are_refused(start, stop, words, message):
    with pytest.raises(ValueError, match=message):
        frames(Listed(), start, stop, words)


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / "frames.txt").write_text("0 10 s")
    with pytest.raises(FileError, match=r"frames.txt takes times in seconds, got `s`"):
        frames(Listed(), words=(str(tmp_path / "frames.txt"),))
