"""Work on many items in this process, or shared out among several.

Workers are spawned, never forked. This file loads nothing but the standard library at first, so
that a worker is told its number of threads before NumPy, torch and the kernels come.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool


def check_workers(workers):
    """Refuses a number of workers below 0, a ValueError."""
    if workers < 0:
        raise ValueError(f"--workers takes a whole number from 0, got {workers}")


@contextlib.contextmanager
def pool(workers):
    """Gives a function that yields what another makes of items, in the items' order.

    It takes that other function, the items, and `progress`, which it calls with how many steps more
    are done, as items are with workers. The other function is of an item and of a function to call
    as steps get done, with their number or none. With workers it is pickled, as are items and what
    it makes, and what it raises comes out as it was. Workers stay until the end; after an error or
    an interrupt they are ended at once.

    Args:
        workers: processes, among which the cores are shared out; 0 for none but this one, where
            nothing is pickled.
    Raises:
        ValueError: a number below 0.
        RuntimeError: a worker was ended from outside.
    """
    check_workers(workers)
    if not workers:
        yield _here
        return
    from recon import backend

    others = multiprocessing.active_children()
    executor = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_begin,
        initargs=(max(backend.default_threads() // workers, 1),),
    )
    try:
        yield functools.partial(_shared_out, executor)
    except BaseException:  # an interrupt too, which workers themselves do not hear
        executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            if child not in others:
                child.terminate()
        raise
    executor.shutdown()


def _here(function, items, progress):
    """Yields what a function makes of items, in this process."""
    for item in items:
        yield function(item, progress)


def _shared_out(executor, function, items, progress):
    """Yields what a function makes of items, in the processes of an executor."""
    futures, found = [executor.submit(_done, function, item) for item in items], {}
    coming = as_completed(futures)
    for future in futures:
        while future not in found:
            done = next(coming)
            try:
                found[done], steps, refusal = done.result()
            except BrokenProcessPool as reason:
                raise RuntimeError(
                    "a worker was ended from outside, for want of memory perhaps; give fewer "
                    "--workers"
                ) from reason
            if refusal:
                raise refusal
            progress(steps)
        yield found.pop(future)


def _begin(threads):
    """What a worker does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # which torch and `recon.backend` go by
    os.environ["TQDM_DISABLE"] = "1"  # bars of several would run into each other


def _done(function, item):
    """What a function makes of an item, how many steps it took, and its refusal, None without."""
    from recon.refusal import is_refusal

    steps = 0

    def count(more=1):
        nonlocal steps
        steps += more

    try:
        return function(item, count), steps, None
    except (ValueError, RuntimeError) as error:
        if not is_refusal(error):
            raise
        return None, steps, error
