"""Work that is shared out among processes."""

import multiprocessing
import os
import time

import pytest

from benchmarks.pool import in_order
from recon import backend
from recon.io.files import FileError, check_writable
from recon.refusal import is_refusal


def square(item, progress):
    """An item's square, that of 1 after the others'; of some items something else."""
    if item == "refused":
        check_writable("nowhere/found.json")
    if item == "bug":
        int(item)
    if item == "killed":
        os._exit(1)
    if item == "threads":
        return backend.default_threads(), os.getpid()
    time.sleep(0.3 if item == 1 else 0)
    progress()
    progress(item)
    return item**2


def test_results_come_in_the_order_of_items_with_all_their_steps():
    steps = []
    found = in_order(square, [1, 2, 3], workers=2, progress=steps.append)
    assert list(found) == [1, 4, 9] and sorted(steps) == [2, 3, 4]


def test_without_workers_nothing_is_pickled():
    steps = []
    assert list(in_order(lambda item, progress: progress(item) or -item, [1, 2],
                         progress=steps.append)) == [-1, -2]
    assert steps == [1, 2]


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    threads, process = next(in_order(square, ["threads", 2], workers=2))
    assert threads == 3 and process != os.getpid()


@pytest.mark.parametrize("item, kind, message, refusal", [
    ("refused", FileError, "nowhere/found.json cannot be written", True),
    ("bug", ValueError, "invalid literal", False),
    ("killed", RuntimeError, "a worker was ended from outside", True),
])
def test_an_error_in_a_worker_comes_out_as_it_was_and_ends_the_others(item, kind, message, refusal):
    with pytest.raises(kind, match=message) as raised:
        list(in_order(square, [item, 2], workers=2))
    assert is_refusal(raised.value) == refusal
    assert none_is_left()


def test_an_interrupt_ends_the_workers():
    found = in_order(time_out, [0, 60], workers=2)
    assert next(found) == 0
    with pytest.raises(KeyboardInterrupt):
        found.throw(KeyboardInterrupt)
    assert none_is_left()


def time_out(item, _):
    """Sleeps for so many seconds."""
    time.sleep(item)
    return item


def none_is_left(seconds=10):
    """Whether processes that were started have ended, or do so soon."""
    end = time.monotonic() + seconds
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.05)
    return not multiprocessing.active_children()
