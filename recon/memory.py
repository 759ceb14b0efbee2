"""How much memory there is, and how much a reconstruction needs."""

import contextlib
import math
import os
import resource
from pathlib import Path

from recon import backend

GIB = 1 << 30
CONTROL_GROUP = Path("/sys/fs/cgroup")
_PROGRAM = 200 << 20  # Python, its libraries and the kernels
_CONTEXT = 600 << 20  # of CUDA, in each process
_IMAGES = 5  # start, image, back projection, output and one to spare
BLUR_IMAGES = 2  # one axis of a blur from one into the other, beside what is blurred


def available(device):
    """Bytes of memory that are free now: of the GPU, or of the machine or the container."""
    if device == "cuda":
        return backend.cupy().cuda.runtime.memGetInfo()[0]
    return min([_machine(), *_container()])


def needed(*, arrays, bins, subsets, voxels, more_images=0):
    """Bytes of memory that OSEM needs besides its sensitivity images.

    Args:
        arrays: sizes (numbers of float32) of what stays: prompts, factors, background.
        bins: of the prompts; each update takes 1 / subsets of them twice.
        subsets: of the views.
        voxels: of the image.
        more_images: what blurs take, see BLUR_IMAGES.
    """
    updates = 2 * math.ceil(bins / subsets)
    return 4 * (sum(arrays) + updates + (_IMAGES + more_images) * voxels) + _PROGRAM


def needed_by_host(*, arrays, voxels):
    """Bytes of the machine's memory that a reconstruction on a GPU needs.

    Args:
        arrays: sizes of what is in it at once: a sinogram while it is read, and summed.
        voxels: of the image, which is copied to be written.
    """
    return 4 * (sum(arrays) + 2 * voxels) + _PROGRAM


def peak():
    """The most bytes of memory that this process has had.

    Linux is asked for the program's own: `getrusage` begins with what the process had that
    started it.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def held_by_gpu():
    """Bytes of a GPU's memory that this process holds: CuPy's arrays and, about, its context."""
    return backend.cupy().get_default_memory_pool().total_bytes() + _CONTEXT


def _machine():
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:  # no Linux
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _container():
    """What control groups (version 2, then 1) leave to their processes, in bytes."""
    for files, cache in (
        (("memory.max", "memory.current", "memory.stat"), "inactive_file"),
        (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"),
            "total_inactive_file",
        ),
    ):
        folder = CONTROL_GROUP / ("memory" if "limit" in files[0] else "")
        try:
            limit, used, stat = ((folder / name).read_text() for name in files)
            statistics = dict(line.split() for line in stat.splitlines())
            # The kernel gives up cached files before it refuses memory.
            yield int(limit) - int(used) + int(statistics.get(cache, 0))
        except (OSError, ValueError):  # no such files, or no limit ("max")
            continue


def in_gib(count):
    """Text of a number of bytes."""
    return f"{count / GIB:.1f} GiB" if count < 100 * GIB else f"{count / GIB:.0f} GiB"
