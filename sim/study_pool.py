"""Where a study's phantoms are made: in this process, on a local Dask cluster, or on any other.

Workers are spawned, never forked, and have one task at a time. Kernels get their number of threads
as an argument, for Dask's workers see OMP_NUM_THREADS=1; results depend on neither.
"""

import contextlib
import os
import time

from recon import backend, memory, text
from recon.io import FileError
from sim.study_phantom import simulate_phantom

CONNECT_S = 5  # until a scheduler has to answer


@contextlib.contextmanager
def pool(study, folder, numbers, *, made, workers=None, scheduler=None, device="cpu"):
    """Gives an iterator of the records of `attempt`, as phantoms get done.

    Args:
        study: Study.
        folder: where files go, an absolute Path.
        numbers: of the phantoms, at least one; the first that can be made is made alone and
            measured.
        made: dict of provenance.
        workers: processes of a local cluster; 0 for none, all in this process; by default as many
            as there are cores, and as memory holds.
        scheduler: address of a Dask scheduler instead, whose workers see the same folder.
        device: "cpu" or "cuda", where kernels run.
    """
    if workers is not None and workers < 0:
        raise ValueError(f"--workers takes 0 or more, got {workers}")
    if scheduler and workers is not None:
        raise ValueError("--workers is for a local cluster; leave it out with --scheduler")
    if workers == 0:
        yield (attempt(study, number, folder, made=made, device=device) for number in numbers)
        return
    cores = backend.default_threads()  # Dask's cluster changes what this process is told
    with _client(scheduler) as client:
        yield _results(client, study, folder, numbers, made, workers, device,
                       cores=None if scheduler else cores)


def attempt(study, number, folder, **options):
    """What `simulate_phantom` returns, or number and `failed`, the reason why it cannot be made.

    Raises:
        FileError: its file cannot be written, nor then could others.
    """
    try:
        return simulate_phantom(study, number, folder, **options)
    except FileError:
        raise
    except ValueError as reason:
        return {"number": number, "failed": str(reason)}


@contextlib.contextmanager
def _client(scheduler):
    """A distributed.Client: of a scheduler, or of a local cluster of one worker."""
    from dask import config
    from distributed import Client, LocalCluster

    if scheduler:
        try:
            client = Client(scheduler, timeout=CONNECT_S)
        except (OSError, ValueError) as reason:
            raise FileError(
                f"no Dask scheduler answers at {scheduler} ({reason}); check --scheduler, for "
                "instance tcp://host:8786"
            ) from reason
        with client:
            yield client
        return
    with (
        _environment_kept(),
        config.set({"distributed.worker.multiprocessing-method": "spawn"}),
        LocalCluster(n_workers=1, threads_per_worker=1, processes=True, memory_limit=0,
                     dashboard_address=":0", silence_logs="ERROR") as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def _environment_kept():
    """Dask sets its workers' OMP_NUM_THREADS and more in this process too, before it starts one.

    Not all of it is in its settings: all that was there is put back, and what is new removed.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _results(client, study, folder, numbers, made, workers, device, *, cores):
    """Records as phantoms get done; `cores` are those of a local cluster, else None."""
    from distributed import as_completed

    def submit(number, threads):
        return client.submit(attempt, study, number, folder, threads=threads, made=made,
                             device=device, pure=False)

    local = cores is not None
    rest, futures, record = list(numbers), [], {"failed": "none was tried"}
    try:
        while rest and "failed" in record:
            futures = [submit(rest.pop(0), cores if local else 1)]
            started = time.monotonic()
            record = futures[0].result()
            took = time.monotonic() - started
            yield record
        if not rest:
            return
        if local:
            holds = memory.available("cpu") // record["peak_bytes"]
            if device == "cuda":
                holds = min(holds, memory.available("cuda") // record["gpu_bytes"])
            many = workers or max(1, min(cores, len(rest), holds))
            threads = max(1, cores // many)
            client.cluster.scale(many)
            busy = f"{text.plural(many, 'worker')} of {text.plural(threads, 'thread')}"
            seconds = took * len(rest) * max(1.0, cores / (many * threads))
        else:
            many, threads = sum(client.nthreads().values()), 1
            busy = f"{text.plural(many, 'thread')} of the scheduler's workers"
            seconds = took * -(-len(rest) // many)
        print(text.table([("measured", (
            f"the first phantom took {took:.0f} s, {record['bytes'] / 1e6:.3g} MB of disk and "
            f"{memory.in_gib(record['peak_bytes'])} of memory: {len(rest)} more take about "
            f"{_duration(seconds)} and {len(rest) * record['bytes'] / 1e6:.3g} MB, in {busy}"
        ))]), flush=True)
        futures = [submit(number, threads) for number in rest]
        for future in as_completed(futures):
            yield future.result()
    finally:
        client.cancel(futures)


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else (
        f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
    )
