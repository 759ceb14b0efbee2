"""`countless benchmark study`: seconds, memory and disk that people of a data set take."""

import math
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from benchmarks import machine
from recon import Scanner, backend
from recon.algorithms.subsets import divisor_nearest
from recon.io.files import check_writable
from recon.io.provenance import write_json
from recon.memory import in_gib
from sim.protocol import Protocol
from sim.study_file import EXAMPLE, read_study
from sim.study_phantom import image_grid, simulate_phantom

MANY = 20  # people whose time is told


def study(*, people: int = 2, scanner: str = "demo", output: Path | None = None):
    """Make the first people of the example's study; measure time, memory and disk, on the CPU.

    As many are made at a time as there are cores, each in a process of its own. Of another scanner
    than the demo's, the scan has all views, its default span and no time of flight.

    Args:
        people: How many are made.
        scanner: Preset.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    if people < 1:
        raise ValueError(f"--people takes 1 or more, got {people}")
    if output is not None:
        check_writable(output)
    made = example(scanner)
    results = machine.origin() | {
        "settings": made.settings(), "bins": made.scan.layout.shape,
        "voxels": image_grid(made).shape,
    }
    results |= measured(made, people)
    print(f"{scanner}: {results['seconds_per_person']:.0f} s a person, "
          f"{results['seconds_per_pair']:.0f} s a pair, {results['workers']} at a time; at most "
          f"{in_gib(results['peak_bytes'])} of memory each\n{MANY} people take "
          f"{results['seconds_of_many'] / 60:.0f} min and "
          f"{results['bytes_of_many'] / 1e6:.0f} MB of disk")
    if output is not None:
        write_json(output, results)
    return results


def example(scanner):
    """The Study that `countless simulate --example` prints, of any preset."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(EXAMPLE)
        made = read_study(path)
    preset = Scanner.preset(scanner)
    if preset == made.scan.scanner:
        return made
    scan = Protocol(scanner=preset, minutes=made.scan.minutes)
    subsets = divisor_nearest(scan.layout.views, made.reconstruction.subsets)
    return replace(made, scan=scan, reconstruction=made.reconstruction.with_(subsets=subsets))


def measured(study, people):
    """Makes the first people of a Study, and what that took, a dict for JSON."""
    cores = backend.default_threads()
    workers = min(cores, people)
    # A process for each, so that its peak of memory is its own.
    processes = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"),
                                    max_tasks_per_child=1)
    with tempfile.TemporaryDirectory() as folder, processes as pool:
        began = time.perf_counter()
        running = [pool.submit(_made, study, number, folder, cores // workers)
                   for number in range(1, people + 1)]
        rows = [each.result() for each in tqdm(running, unit="person")]
        seconds = time.perf_counter() - began
    pairs = study.realisations * len(study.doses.factors)
    return {
        "people": rows, "workers": workers, "pairs_per_person": pairs,
        "seconds_per_person": seconds / people, "seconds_per_pair": seconds / people / pairs,
        "peak_bytes": max(row["peak_bytes"] for row in rows),
        "seconds_of_many": seconds * math.ceil(MANY / workers) / math.ceil(people / workers),
        "bytes_of_many": MANY * sum(row["bytes"] for row in rows) / people,
    }


def _made(study, number, folder, threads):
    """What one person took."""
    began, cpu = time.perf_counter(), time.process_time()
    record = simulate_phantom(study, number, folder, threads=threads)
    return {
        "number": number, "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "bytes": record["bytes"], "peak_bytes": record["peak_bytes"],
    }
