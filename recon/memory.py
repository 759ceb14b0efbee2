"""How much memory there is, and how much a reconstruction needs."""

import math
import os
from pathlib import Path

from recon import backend

GIB = 1 << 30
_PROGRAM = 200 << 20  # Python, its libraries and the kernels
_IMAGES = 8  # start, image, back projection, its blur, output, its filter and two to spare


def available(device):
    """Bytes of memory that are free now: of the GPU, or of the machine or the container."""
    if device == "cuda":
        return backend.cupy().cuda.runtime.memGetInfo()[0]
    return min(_machine(), *_container())


def needed(*, arrays, bins, subsets, voxels):
    """Bytes of memory that OSEM needs besides its sensitivity images.

    Args:
        arrays: sizes (numbers of float32) of what stays: prompts, factors, background.
        bins: of the prompts; each update takes 1 / subsets of them twice.
        subsets: of the views.
        voxels: of the image.
    """
    return 4 * (sum(arrays) + 2 * math.ceil(bins / subsets) + _IMAGES * voxels) + _PROGRAM


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
    root = Path("/sys/fs/cgroup")
    for limit, used, stat, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            *("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
            *("memory/memory.stat", "total_inactive_file"),
        ),
    ):
        try:
            texts = (root / limit).read_text().strip(), (root / used).read_text().strip()
            statistics = dict(line.split() for line in (root / stat).read_text().splitlines())
        except (OSError, ValueError):
            continue
        if all(text.isdigit() for text in texts):
            # The kernel gives up cached files before it refuses memory.
            yield int(texts[0]) - int(texts[1]) + int(statistics.get(cache, 0))


def in_gib(count):
    """Text of a number of bytes."""
    return f"{count / GIB:.1f} GiB" if count < 100 * GIB else f"{count / GIB:.0f} GiB"
