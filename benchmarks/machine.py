"""What a benchmark ran on, how fast that machine copies, and how much memory was used."""

import contextlib
import datetime
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from recon import backend, memory
from recon.version import __version__

ROOT = Path(__file__).resolve().parents[1]


def origin(device="cpu", threads=None):
    """What every result holds beside its numbers, a dict for JSON.

    That is version, commit, date, this process's command line, and of the machine all that
    `describe` tells.
    """
    return {
        "version": __version__,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["countless", *sys.argv[1:]]),
        "machine": describe(device, threads or backend.default_threads()),
    }


def commit():
    """The commit this code is at, with '-dirty' where files differ; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def describe(device, threads):
    """Names of processor, compiler and libraries; a dict for JSON."""
    facts = {"device": device, "python": platform.python_version(), "numpy": np.__version__}
    if device == "cuda":
        cp = backend.cupy()
        properties = cp.cuda.runtime.getDeviceProperties(cp.cuda.Device().id)
        return facts | {
            "processor": properties["name"].decode(),
            "cupy": cp.__version__,
            "cuda_runtime": cp.cuda.runtime.runtimeGetVersion(),
            "cuda_driver": cp.cuda.runtime.driverGetVersion(),
        }
    return facts | {
        "processor": _processor(),
        "cores": threads,
        "load_before": os.getloadavg()[0],  # other work on the machine spoils the figures
        "simd_lanes": backend.cpu_lanes(),
        "extra_flags": os.environ.get("COUNTLESS_CXXFLAGS", ""),
        "compiler": _compiler(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _compiler():
    names = os.environ.get("CXX", "g++"), "g++", "c++"  # as recon.backend chooses
    command = [next(filter(None, map(shutil.which, names))), "--version"]
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]


def environment():
    """This process's environment, in which other folders' processes find this code too."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path}


_MEASURED = """
import sys
from pathlib import Path

import countless
from recon import memory

code = countless.main(sys.argv[2:])
Path(sys.argv[1]).write_text(str(memory.peak()))
sys.exit(code)
"""


def measured(words, folder):
    """Runs `countless` with these words in a process of its own.

    Its peak memory is asked of itself: what a parent learns of a child (getrusage) is at least as
    much as the parent had when it started it.

    Args:
        words: of the command line, after `countless`.
        folder: in which it runs.
    Returns:
        Seconds from start to end, and the peak memory in bytes.
    Raises:
        RuntimeError: it failed.
    """
    peak = Path(folder) / "peak"
    command = [sys.executable, "-c", _MEASURED, str(peak), *words]
    started = time.perf_counter()
    code = subprocess.run(command, cwd=folder, env=environment()).returncode
    seconds = time.perf_counter() - started
    if code:
        raise RuntimeError(f"countless {' '.join(words)} ended with exit code {code}; see above")
    return seconds, int(peak.read_text())


def import_seconds(repeats=3):
    """Median seconds of `import recon` in a fresh process, NumPy's import included."""
    code = "import time; t = time.perf_counter(); import recon; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    times = []
    for _ in range(repeats):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    return statistics.median(times)


def copy_bandwidth(device, threads, repeats=5, megabytes=256):
    """Bytes per second, read and written together, of copying one large array to another.

    On a CPU `threads` threads copy a part each.
    """
    xp = backend.cupy() if device == "cuda" else np
    source = xp.ones(megabytes << 18, np.float32)
    target = xp.zeros_like(source)
    parts = np.array_split(np.arange(len(source)), threads if device == "cpu" else 1)
    parts = [slice(int(part[0]), int(part[-1]) + 1) for part in parts]

    def copy(part):
        target[part] = source[part]

    with ThreadPoolExecutor(len(parts)) as pool:
        times = seconds(lambda: list(pool.map(copy, parts)), repeats)
    return 2 * source.nbytes / statistics.median(times)


def seconds(function, repeats, warm_up=1):
    """Seconds of each of `repeats` calls, after calls that do not count; waits for a GPU."""
    times = []
    for index in range(warm_up + repeats):
        start = time.perf_counter()
        function()
        _synchronize()
        if index >= warm_up:
            times.append(time.perf_counter() - start)
    return times


def _synchronize():
    if "cupy" in sys.modules:
        with contextlib.suppress(Exception):  # CuPy without a GPU
            backend.cupy().cuda.Device().synchronize()


class PeakMemory:
    """Peak bytes of this process, or of the GPU's memory pool, since it was made.

    Linux alone can forget an earlier peak; elsewhere it is the peak since the process began.
    """

    def __init__(self, device):
        self.device = device
        if device == "cuda":
            backend.cupy().get_default_memory_pool().free_all_blocks()
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    @property
    def bytes(self):
        if self.device == "cuda":
            return int(backend.cupy().get_default_memory_pool().total_bytes())
        return memory.peak()
