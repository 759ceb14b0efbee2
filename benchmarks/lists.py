"""`countless benchmark histogram`: speed and memory of counting a list into a sinogram."""

import shlex
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from benchmarks import machine
from recon import Scanner, SinogramLayout
from recon.io.files import check_writable
from recon.io.provenance import write_json

_EVENTS_PER_MS = 350  # of a head scan, between two of its time tags
_CHUNK = 1 << 20
_HEADER = """!INTERFILE:=
!originating system:=2008
name of data file:=scan.l
data format:=CoincidenceList
%patient orientation:=HFS
"""


def histogram(
    *,
    events: Annotated[
        tuple[int, ...], Parameter(consume_multiple=True, negative_iterable=())
    ] = (25_000_000, 100_000_000),
    span: int = 11,
    seed: int = 1,
    output: Path | None = None,
):
    """Time `countless histogram` on lists of a Siemens mMR, and measure its peak memory.

    Lists of random events (nine prompts to one delayed, in all planes) are written and counted into
    sinograms of both. It runs on one core; a longer list shows whether memory grows.

    Args:
        events: How many events each list has.
        span: Ring differences in a segment.
        seed: Of the random events.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    if output is not None:
        check_writable(output)
    results = machine.origin()
    results |= {"span": span, "seed": seed, "lists": []}
    for count in events:
        with tempfile.TemporaryDirectory() as folder:
            found = _counted(Path(folder), count, span, np.random.default_rng(seed))
        results["lists"].append(found)
        print(
            f"{count / 1e6:.0f} M events, {found['bytes'] / 1e6:.0f} MB: {found['seconds']:.1f} s, "
            f"{found['events_per_second'] / 1e6:.1f} M events/s, "
            f"at most {found['peak_bytes'] / 2**20:.0f} MiB of memory, "
            f"{found['sinogram_bytes'] / 2**20:.0f} MiB of it the sinograms",
            flush=True,
        )
    if output is not None:
        write_json(output, results)
    return results


def _counted(folder, events, span, rng):
    """Writes a list and counts it in a process of its own; a dict of figures."""
    scanner = Scanner.preset("mMR")
    listed = SinogramLayout.of(scanner, max_ring_difference=60)
    size = _write_list(folder, events, int(np.prod(listed.shape)), rng)
    words = ("histogram", "scan.l.hdr", "-o", "scan.hs", "--span", str(span),
             "--delayed-out", "delayed.hs")
    seconds, peak = machine.measured(words, folder)
    layout = SinogramLayout.of(scanner, span=span, max_ring_difference=60)
    return {
        "events": events,
        "bytes": size,
        "seconds": seconds,
        "events_per_second": events / seconds,
        "peak_bytes": peak,
        "sinogram_bytes": 2 * 4 * int(np.prod(layout.shape)),
        "histogram_command": shlex.join(["countless", *words]),
    }


def _write_list(folder, events, bins, rng):
    """Words of events with a time tag after every so many; bytes written."""
    (folder / "scan.l.hdr").write_text(_HEADER)
    with open(folder / "scan.l", "wb") as file:
        for first in range(0, events, _CHUNK):
            count = min(_CHUNK, events - first)
            word = rng.integers(0, bins, count, dtype=np.uint32)
            word |= (rng.random(count) < 0.9).astype(np.uint32) << np.uint32(30)
            at = np.arange(0, count, _EVENTS_PER_MS)
            tags = np.uint32(0b100 << 29) | ((first + at) // _EVENTS_PER_MS).astype(np.uint32)
            np.insert(word, at, tags).astype("<u4").tofile(file)
        return file.tell()
