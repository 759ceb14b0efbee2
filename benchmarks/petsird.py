"""`countless benchmark petsird`: how fast PETSIRD is read, by its own package and by Countless."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from benchmarks import machine
from recon import Scanner
from recon.events import Events
from recon.io.crystals import crystal_positions
from recon.io.files import check_writable
from recon.io.petsird import petsird as package
from recon.io.petsird import read_petsird
from recon.io.petsird_writing import write_petsird
from recon.io.provenance import write_json

_WRITTEN = 100_000  # events at a time
_SCANNERS = ("mMR", "Vision 600")  # without and with time of flight


def petsird(
    *,
    events: int = 1_000_000,
    events_per_ms: Annotated[
        tuple[int, ...], Parameter(consume_multiple=True, negative_iterable=())
    ] = (350, 10),
    repeats: int = 5,
    seed: int = 1,
    output: Path | None = None,
):
    """Time reading PETSIRD list mode, by the package `petsird` and by Countless, on one thread.

    Lists of random events on the crystals of a Siemens mMR and of a Vision 600 (nine prompts to one
    delayed), in time blocks of 1 ms, are read from the same file in turn. The package makes an
    object of every event, Countless arrays of rings, crystals, times and time-of-flight bins; its
    time holds both of its walks over the file, that which finds its end and that which decodes. The
    header, which the package reads for both, is not in the times; they are the processor's.

    Args:
        events: How many a list has.
        events_per_ms: How many a time block has, on average; a list each.
        repeats: Readings of each, of which the median counts.
        seed: Of the random events.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    if output is not None:
        check_writable(output)
    results = machine.origin(threads=1)
    results["machine"]["petsird"] = _version()
    results |= {"seed": seed, "repeats": repeats, "lists": []}
    for name in _SCANNERS:
        for rate in events_per_ms:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "scan.petsird"
                _write(path, Scanner.preset(name), events, rate, np.random.default_rng(seed))
                found = {"scanner": name, "events": events, "events_per_ms": rate,
                         **_read(path, events, repeats)}
            results["lists"].append(found)
            print(
                f"{name}, {rate} events per time block: package "
                f"{found['package_events_per_second'] / 1e6:.2f} M events/s, Countless "
                f"{found['events_per_second'] / 1e6:.1f} M events/s, {found['ratio']:.1f} times as "
                "fast",
                flush=True,
            )
    if output is not None:
        write_json(output, results)
    return results


def _version():
    from importlib.metadata import version

    return version("petsird")


def _read(path, events, repeats):
    """Median seconds of readings of both in turn, so that what slows the machine slows both."""
    there = read_petsird(path)
    theirs, walks, ours = [], [], []
    for _ in range(repeats):
        theirs.append(_seconds(lambda: _by_package(path, events)))
        walks.append(_seconds(lambda: list(there._blocks.batches(decode=False))))
        ours.append(_seconds(lambda: _by_countless(there, events)))
    header = _seconds(lambda: _by_package(path, None))
    package_seconds = statistics.median(theirs) - header
    walk, decode = statistics.median(walks), statistics.median(ours)
    return {
        "bytes": path.stat().st_size,
        "header_seconds": header,
        "package_seconds": package_seconds,
        "walk_seconds": walk,
        "decode_seconds": decode,
        "package_events_per_second": events / package_seconds,
        "events_per_second": events / (walk + decode),
        "ratio": package_seconds / (walk + decode),
    }


def _seconds(function):
    """Of the processor, on one thread: other work on the machine counts less than by a clock."""
    start = time.process_time()
    function()
    return time.process_time() - start


def _by_package(path, events):
    """All events by the package's reader; the header alone where `events` is None."""
    with package().BinaryPETSIRDReader(str(path), skip_completed_check=True) as reader:
        reader.read_header()
        if events is None:
            return
        count = 0
        for block in reader.read_time_blocks():
            for matrix in (block.value.prompt_events, block.value.delayed_events):
                count += len(matrix[0][0])
    _check(count, events)


def _by_countless(there, events):
    _check(sum(len(chunk) for chunk in there.chunks()), events)


def _check(count, events):
    if count != events:
        raise RuntimeError(f"{count:,} events were read of {events:,} that were written")


def _write(path, scanner, events, events_per_ms, rng):
    _, ring, crystal = crystal_positions(scanner)

    def chunks():
        for first in range(0, events, _WRITTEN):
            count = min(_WRITTEN, events - first)
            one, other = rng.integers(0, len(ring), (2, count))
            yield Events(
                ring1=ring[one], crystal1=crystal[one], ring2=ring[other], crystal2=crystal[other],
                time_ms=(first + np.arange(count)) // events_per_ms,
                delayed=rng.random(count) < 0.1,
                tof_bin=rng.integers(0, scanner.tof_bins, count).astype(np.int16),
            )

    write_petsird(path, chunks(), scanner)
