"""Work that is shared out among processes."""

import multiprocessing
import os
import time

import pytest

from benchmarks.pool import pool
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
    time.sleep({"long": 60, 1: 0.3}.get(item, 0))
    progress()
    progress(item)
    return item**2


def test_results_come_in_the_order_of_items_with_all_their_steps():
    steps = []
    with pool(2) as in_order:
        assert list(in_order(square, [1, 2, 3], steps.append)) == [1, 4, 9]
        assert sorted(steps) == [2, 3, 4]
        started = multiprocessing.active_children()
        list(in_order(square, [2, 3], steps.append))
        assert multiprocessing.active_children() == started  # the same go on
    assert none_is_left()


def test_without_workers_nothing_is_pickled():
    steps = []
    with pool(0) as in_order:
        found = in_order(lambda item, progress: progress(item) or -item, [1, 2], steps.append)
        assert list(found) == [-1, -2]
    assert steps == [1, 2]


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with pool(2) as in_order:
        ((threads, process),) = in_order(square, ["threads"], print)
    assert threads == 3 and process != os.getpid()


@pytest.mark.parametrize("item, other, kind, message, refusal", [
    ("refused", "long", FileError, "nowhere/found.json cannot be written", True),
    ("bug", "long", ValueError, "invalid literal", False),
    # Python may look for the dead only as the next result comes.
    ("killed", 1, RuntimeError, "a worker was ended from outside", True),
])
def test_an_error_in_a_worker_comes_out_as_it_was_and_ends_all(item, other, kind, message, refusal):
    with pytest.raises(kind, match=message) as raised, pool(2) as in_order:
        list(in_order(square, [item, other], lambda steps: None))
    assert is_refusal(raised.value) == refusal and none_is_left()


def test_an_interrupt_ends_the_workers():
    with pytest.raises(KeyboardInterrupt), pool(2) as in_order:
        assert next(in_order(square, [2, "long"], lambda steps: None)) == 4
        raise KeyboardInterrupt
    assert none_is_left()


def none_is_left(seconds=10):
    """Whether processes that were started have ended, or do so soon."""
    end = time.monotonic() + seconds
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.05)
    return not multiprocessing.active_children()
