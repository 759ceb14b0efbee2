"""Work on many items in this process, or shared out among several.

Workers are spawned, never forked. This file loads nothing but the standard library at first, so
that a worker is told its number of threads before NumPy, torch and the kernels come.
"""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool


def check_workers(workers):
    """Refuses a number of workers below 0."""
    if workers < 0:
        raise ValueError(f"--workers takes a whole number from 0, got {workers}")


def in_order(function, items, *, workers=0, progress=lambda steps=1: None):
    """Yields what a function makes of each item, in the items' order.

    Cores are shared out among workers, of which there are no more than items.

    Args:
        function: of an item, and of a function that it calls as steps get done, with their number
            or none. With workers it is pickled, as are items and what it makes.
        items: list.
        workers: processes; 0 for none but this one, where nothing is pickled.
        progress: called with how many steps more are done: with workers, as an item is.
    Raises:
        ValueError, RuntimeError: as the function does; all workers end then.
    """
    if not workers:
        for item in items:
            yield function(item, progress)
        return
    from recon import backend

    many, found = max(min(workers, len(items)), 1), {}
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(many, multiprocessing.get_context("spawn"), initializer=_begin,
                               initargs=(max(backend.default_threads() // many, 1),))
    try:
        futures = [pool.submit(_done, function, item) for item in items]
        coming = as_completed(futures)
        for future in futures:
            while future not in found:
                done = next(coming)
                found[done], steps, refusal = done.result()
                if refusal:
                    raise refusal
                progress(steps)
            yield found.pop(future)
    except BaseException as reason:  # an interrupt too, which workers themselves do not hear
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            if child not in others:
                child.terminate()
        if isinstance(reason, BrokenProcessPool):
            raise RuntimeError(
                "a worker was ended from outside, for want of memory perhaps; give fewer --workers"
            ) from reason
        raise
    pool.shutdown()


def _begin(threads):
    """What a worker does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # which torch and `recon.backend` go by


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
