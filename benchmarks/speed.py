"""`countless benchmark projector`: how many lines of response per second each projector takes."""

import contextlib
import math
import os
import statistics
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from benchmarks import machine, peers, speed_problems, speed_table
from recon import backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import osem
from recon.io.files import check_writable
from recon.io.provenance import write_json
from recon.listmode import ListModeProjector
from recon.projectors import SinogramProjector

Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())]


def projector(
    *,
    scanner: Names = speed_problems.DEFAULT,
    repeats: int = 5,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    simd: Literal["native", "avx2"] = "native",
    output: Path | None = None,
):
    """Time forward and back projection, with time of flight, of listed events, and OSEM updates.

    Args:
        scanner: Problems to time: mmr-like, mmr-tof, mmr-span11, mmr-span1, vision, total-body.
        repeats: Calls that are timed, after one that is not; their median counts.
        device: Where to run.
        threads: CPU threads; by default all this process may use.
        simd: Native for this processor's widest vectors, avx2 to build without AVX-512.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    problems = [(name, speed_problems.problem(name)) for name in scanner]
    for name, number in (("repeats", repeats), ("threads", threads)):
        if number is not None and number < 1:
            raise ValueError(f"--{name} takes a number from 1, got {number}")
    if output is not None:
        check_writable(output)
    device, reason = backend.find_device(device)
    threads = threads or backend.default_threads()
    with _vectors(simd):
        results = machine.origin(device, threads)
        results["repeats"] = repeats
        results["import_recon_seconds"] = machine.import_seconds()
        bandwidth = machine.copy_bandwidth(device, threads)
        results["copy_bytes_per_second"] = bandwidth
        print(speed_table.introduction(results, reason))
        print(f"\n{speed_table.HEADER}")
        results["rows"], results["parallelproj"] = [], {}
        for name, problem in problems:
            for row in _measure(problem, device, threads, repeats):
                row = {"problem": name} | row | _derived(row, name, bandwidth)
                results["rows"].append(row)
                print(speed_table.line(row), flush=True)
            if problem.events:
                ours = {
                    row["operation"]: row["seconds"]
                    for row in results["rows"] if row["problem"] == name
                }
                results["parallelproj"][name] = _beside_parallelproj(problem, ours, repeats)
    results["published"] = peers.PUBLISHED
    print(f"\n{speed_table.notes(results)}")
    if output is not None:
        write_json(output, results)
    return results


def _measure(problem, device, threads, repeats):
    """Rows of a problem's operations; each row's arrays are gone before the next are made."""
    yield from _measure_sinogram(problem, device, threads, repeats)
    if problem.events:
        for order in ("in order", "shuffled"):
            yield from _measure_list(problem, order, device, threads, repeats)


def _measure_sinogram(problem, device, threads, repeats):
    a = SinogramProjector(problem.layout, problem.grid, views=problem.views, threads=threads)
    rng = np.random.default_rng(1)
    voxels, bins, tof_bins = math.prod(a.in_shape), math.prod(a.out_shape), problem.layout.tof_bins
    image = backend.to_device(rng.random(a.in_shape, np.float32), device)
    values = backend.to_device(rng.random(a.out_shape, np.float32), device)
    timed = "TOF " if problem.layout.tof else ""
    for name, function in (("forward", lambda: a(image)), ("back", lambda: a.T(values))):
        row = _row(f"{timed}{name}", bins // tof_bins, voxels + bins, function, device, repeats)
        yield row | {"bins": bins}
    if problem.subsets:
        model, n = AcquisitionModel(a, factors=values, background=values), problem.subsets
        prompts = backend.to_device(np.floor(4 * rng.random(a.out_shape, np.float32)), device)
        updates = osem(model, prompts, subsets=n)
        for _ in range(n):  # the first pass makes the sensitivity images
            next(updates)
        # Expected counts, prompts, m and b are read, a ratio written and read, and six images.
        moved, lors = 7 * bins // n + 6 * voxels, bins // tof_bins // n
        row = _row("OSEM update", lors, moved, lambda: next(updates), device, repeats)
        yield row | {"bins": bins // n}


def _measure_list(problem, order, device, threads, repeats):
    ends = _listed(problem, shuffled=order == "shuffled")
    ends = [backend.to_device(end, device) for end in ends]
    a = ListModeProjector(*ends, problem.grid, threads=threads)
    rng, events = np.random.default_rng(1), problem.events
    image = backend.to_device(rng.random(a.in_shape, np.float32), device)
    values = backend.to_device(rng.random(a.out_shape, np.float32), device)
    moved = 7 * events + math.prod(a.in_shape)
    for name, function in (("forward", lambda: a(image)), ("back", lambda: a.T(values))):
        row = _row(f"list {name}, {order}", events, moved, function, device, repeats)
        yield row | {"bins": events}


def _listed(problem, shuffled=False):
    """End points of 20 stretches of bins all over the sinogram, in its order or in none."""
    layout, stretch = problem.layout.without_tof(), problem.events // 20
    first = np.linspace(0, math.prod(layout.shape) - stretch, 20).astype(np.int64)
    bins = (first[:, None] + np.arange(stretch)).ravel()
    if shuffled:
        np.random.default_rng(2).shuffle(bins)
    ends = layout.lor_end_points(*np.unravel_index(bins, layout.shape))
    return [end.astype(np.float32) for end in ends]


def _row(operation, lors, numbers_moved, function, device, repeats):
    peak = machine.PeakMemory(device)
    times = machine.seconds(function, repeats)
    return {
        "operation": operation, "lors": lors, "all_seconds": times,
        "bytes_moved": 4 * numbers_moved, "peak_bytes": peak.bytes,
    }


def _derived(row, problem, bandwidth):
    seconds = statistics.median(row["all_seconds"])
    rate = row["lors"] / seconds
    same = problem in ("mmr-like", "mmr-tof")
    return {
        "seconds": seconds,
        "lors_per_second": rate,
        "fraction_of_copy": row["bytes_moved"] / bandwidth / seconds,
        "ratio_across_runs": {
            peer: peers.published_ratio(peer, row["operation"], rate) if same else None
            for peer in peers.PEERS
        },
    }


def _beside_parallelproj(problem, ours, repeats):
    """parallelproj's seconds on the listed LORs in order, and its over ours."""
    theirs = peers.parallelproj_seconds(*_listed(problem), problem.grid, repeats)
    ratios = {
        name: seconds / ours[f"{name}, in order"]
        for name, seconds in theirs.items() if name != "reason"
    }
    return theirs | {"ratio": ratios}


@contextlib.contextmanager
def _vectors(simd):
    """Builds the CPU kernels without AVX-512 inside the block, if so asked."""
    flags = os.environ.get("COUNTLESS_CXXFLAGS")
    if simd == "avx2":
        os.environ["COUNTLESS_CXXFLAGS"] = f"{flags or ''} -mno-avx512f"
    try:
        yield
    finally:
        if simd == "avx2":
            del os.environ["COUNTLESS_CXXFLAGS"]
            if flags is not None:
                os.environ["COUNTLESS_CXXFLAGS"] = flags
