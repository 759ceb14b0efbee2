"""Where arrays live, and `launch`: runs one kernel source on the machine that holds its arrays.

On a GPU, CuPy compiles `kernels/*.cu`. On a CPU, the system's C++ compiler builds the same files
once and keeps the library in the user's cache, keyed by source, flags, compiler and processor. This
is the only file that imports CuPy.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

KERNELS = Path(__file__).with_name("kernels")
CUDA_FLAGS = ("--std=c++17", f"--include-path={KERNELS}")
CUDA_THREADS = 256  # per block; the kernels take any multiple of 32
CPU_FLAGS = (
    *("-x", "c++", "-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-unknown-pragmas"),
)
NULL = None  # an array that a kernel can do without
_loading = threading.Lock()  # Dask workers may all ask for the library at once


class CompilerMissing(RuntimeError):
    """No C++ compiler to build the CPU kernels with."""


def is_cuda(array):
    """Whether an array lives on a GPU, without importing CuPy."""
    return hasattr(array, "__cuda_array_interface__")


def array_module(*arrays):
    """The module, numpy or cupy, of arrays that live on one machine.

    Raises:
        TypeError: some of the arrays are NumPy's and some CuPy's.
    """
    on_gpu = {is_cuda(a) for a in arrays if a is not None}
    if on_gpu == {True, False}:
        raise TypeError(
            "the arrays must live on one machine, got both NumPy and CuPy arrays; move them with "
            "recon.backend.to_device(array, 'cuda') or to_device(array, 'cpu')"
        )
    return cupy() if on_gpu == {True} else np


def cupy():
    """The cupy module, or an error that says how to install it."""
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "a GPU needs CuPy, which is not installed; pip install 'countless[cuda13]' (or cuda12)"
        ) from error
    return cupy


def to_device(array, device):
    """A copy of `array` on 'cpu' or 'cuda', or the array itself if it lives there already."""
    if device == "cuda":
        return cupy().asarray(array)
    return array.get() if is_cuda(array) else np.asarray(array)


def find_device(device="auto"):
    """Resolves 'auto' to 'cuda' where CuPy sees a GPU, else 'cpu'; and why.

    Returns:
        (device, reason): reason is a sentence worth printing.
    Raises:
        RuntimeError: 'cuda' was asked for and is not there.
        ValueError: an unknown device.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device takes auto, cpu or cuda, got {device!r}")
    if device == "cpu":
        return "cpu", f"{default_threads()} CPU threads, as asked"
    try:
        cp = cupy()
        count = cp.cuda.runtime.getDeviceCount()
        if count == 0:
            raise RuntimeError("CuPy finds no GPU")
        name = cp.cuda.runtime.getDeviceProperties(cp.cuda.Device().id)["name"].decode()
        return "cuda", name
    except Exception as error:  # a missing driver raises CuPy's own errors
        reason = str(error).splitlines()[0]
        if device == "cuda":
            raise RuntimeError(f"--device cuda was asked for, but {reason}") from error
        return "cpu", f"{default_threads()} CPU threads; no GPU: {reason}"


def default_threads():
    """OMP_NUM_THREADS where set, else the processors this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(asked) if asked.isdigit() and int(asked) > 0 else len(os.sched_getaffinity(0))


def launch(kernel, grid, arguments, *, scratch_floats=0, threads=None):
    """Runs a kernel on the machine where its arrays live and waits for it on a CPU.

    Args:
        kernel: name of a function in `kernels/*.cu`.
        grid: (x, y) blocks; on a CPU, x is shared out among threads and y runs in order.
        arguments: arrays (C-contiguous from their first element on, as the kernel states),
            ints (np.int64 for a kernel's long) and floats, in the kernel's order.
        scratch_floats: float32 values each block needs to itself.
        threads: CPU threads; by default `default_threads()`. Results do not depend on it.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads takes a number from 1, got {threads}; None takes them all")
    arrays = [a for a in arguments if hasattr(a, "dtype") and getattr(a, "shape", ())]
    if array_module(*arrays) is np:
        values = [_as_c(a) for a in arguments]
        counts = [ctypes.c_long(grid[0]), ctypes.c_long(grid[1]), ctypes.c_long(4 * scratch_floats)]
        getattr(cpu_library(), kernel)(*counts, ctypes.c_int(threads or default_threads()), *values)
        return
    function = _cuda_function(kernel, cupy().cuda.Device().id)
    if 4 * scratch_floats > 48 * 1024:
        function.max_dynamic_shared_size_bytes = 4 * scratch_floats
    values = tuple(_as_cuda(a) for a in arguments)
    sizes = np.int64(grid[0]), np.int64(grid[1])
    blocks = min(grid[1], 2**31 - 1), min(grid[0], 65535)  # what CUDA allows along x and y
    function(blocks, (CUDA_THREADS,), (*sizes, *values), shared_mem=4 * scratch_floats)


def _as_c(value):
    if value is NULL:
        return ctypes.c_void_p(None)
    if hasattr(value, "ctypes"):
        return ctypes.c_void_p(value.ctypes.data)
    if isinstance(value, np.int64):
        return ctypes.c_long(value)
    whole = isinstance(value, (int, np.integer))
    return ctypes.c_int(value) if whole else ctypes.c_float(value)


def _as_cuda(value):
    if value is NULL:
        return np.uintp(0)  # CuPy passes None as an int
    if is_cuda(value) or isinstance(value, np.int64):
        return value
    return np.int32(value) if isinstance(value, (int, np.integer)) else np.float32(value)


def cpu_lanes():
    """Floats in a vector register, as the CPU kernels were built."""
    return cpu_library().lanes()


def shared_floats():
    """How many floats of a GPU's shared memory a block may take, by opting in."""
    properties = cupy().cuda.Device().attributes
    return properties["MaxSharedMemoryPerBlockOptin"] // 4


@functools.cache
def _cuda_function(kernel, device_id):
    return _cuda_module(device_id).get_function(kernel)


@functools.cache
def _cuda_module(device_id):
    return cupy().RawModule(code=cuda_source(), options=CUDA_FLAGS, backend="nvrtc")


def cuda_source():
    """All kernels as one translation unit, for CUDA and C++ compilers alike.

    It names the hash of what it includes, since CuPy keeps compiled kernels by this text alone.
    """
    files = sorted([*KERNELS.glob("*.cu"), *KERNELS.glob("*.h")])
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    includes = "".join(f'#include "{file.name}"\n' for file in files if file.suffix == ".cu")
    return f"// {digest}\n{includes}"


def compile_cuda(source, architecture):
    """Compiles CUDA source with NVRTC, which needs no GPU, and returns the compiler's log.

    Args:
        source: CUDA C++ text; `cuda_source()` for ours.
        architecture: for example 'sm_80'.
    Returns:
        The log, empty where no kernel spills registers or keeps arrays in local memory.
    """
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(source, "countless.cu", (), ())
    flags = (
        *CUDA_FLAGS,
        f"--gpu-architecture={architecture}",
        "--ptxas-options=--warn-on-local-memory-usage",
    )
    try:
        nvrtc.compileProgram(program, flags)
    except nvrtc.NVRTCError as error:
        raise RuntimeError(nvrtc.getProgramLog(program)) from error
    log = nvrtc.getProgramLog(program)
    nvrtc.destroyProgram(program)
    return log.strip("\0\n ")


def cpu_library(extra_flags=()):
    """The kernels built for this processor, from the user's cache or by the C++ compiler.

    Raises:
        CompilerMissing: no compiler; the message says what to install.
    """
    with _loading:
        return _cpu_library(
            tuple(extra_flags) + tuple(os.environ.get("COUNTLESS_CXXFLAGS", "").split())
        )


@functools.cache
def _cpu_library(extra_flags):
    compiler = next(
        filter(None, map(shutil.which, [os.environ.get("CXX", "g++"), "g++", "c++"])), None
    )
    if compiler is None:
        raise CompilerMissing(
            "the CPU kernels need a C++ compiler and found none; install g++ "
            "(Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++) or set CXX"
        )
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=True
    ).stdout
    flags = (*CPU_FLAGS, *extra_flags)
    identity = [version, _processor(), *flags, cuda_source()]
    key = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:20]
    library = cache_folder() / f"kernels-{key}.so"
    if not library.exists():
        _build(compiler, flags, library)
    return ctypes.CDLL(str(library))


def _build(compiler, flags, library):
    print("countless: building the CPU kernels, once for this machine …", file=sys.stderr)
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(dir=library.parent)
    except OSError as error:
        raise RuntimeError(
            f"the CPU kernels cannot be kept in {library.parent} ({error.strerror}); set "
            "COUNTLESS_CACHE to a folder that can be written"
        ) from error
    with place as folder:
        source, built = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        source.write_text(cuda_source())
        command = [compiler, *flags, f"-I{KERNELS}", str(source), "-o", str(built)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(
                f"building the CPU kernels failed: {' '.join(command)}\n{result.stderr}"
            )
        os.replace(built, library)  # another process may have built it meanwhile: either will do


def cache_folder():
    """Where built kernels are kept: COUNTLESS_CACHE, else the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("COUNTLESS_CACHE") or Path(base, "countless"))


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
        return "\n".join(sorted(names))
    except OSError:
        return platform.machine() + platform.processor()
