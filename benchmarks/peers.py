"""Speed of other packages' projectors: published with this project, or measured beside ours."""

import statistics

import numpy as np

from benchmarks.machine import seconds

# Measured once for this project, not in this run. The scanner and image of problem 'mmr-like',
# TOF 'mmr-tof'; the OSEM update is 1 of 21 subsets. libparallelproj takes any LORs: its figures on
# the sinogram serve for lists in the sinogram's order.
PUBLISHED = {
    "machine": "2 cores of an AMD EPYC with AVX-512, gcc 12",
    "libparallelproj 2.0.8-dev": {
        "forward": 3.4e6, "list forward, in order": 3.4e6, "TOF forward": 0.12e6,
        "back": 1.4e6, "list back, in order": 1.4e6, "TOF back": 0.12e6,
        "OSEM update": 58.4e6 / 21 / 2.9,
    },
    "STIR 6.5": {
        "forward": 58.4e6 / 69.8, "back": 58.4e6 / 57.6, "OSEM update": 58.4e6 / 21 / 6.0,
    },
}  # in LORs/s

PEERS = tuple(name for name in PUBLISHED if name != "machine")


def published_ratio(peer, operation, lors_per_second):
    """How many times as fast as a peer's published figure; None where there is none."""
    other = PUBLISHED[peer].get(operation)
    return None if other is None else lors_per_second / other


def parallelproj_seconds(first, second, grid, repeats):
    """Median seconds of parallelproj's forward and back projection of listed LORs.

    Args:
        first, second: end points in mm, float32 (LORs, 3).
        grid: Grid.
        repeats: calls of each.
    Returns:
        dict: 'list forward' and 'list back' in seconds; or 'reason', why there are none.
    """
    try:
        import parallelproj
    except ImportError as error:
        return {"reason": f"parallelproj cannot be imported: {error}"}
    if not hasattr(parallelproj, "joseph3d_fwd"):
        version = getattr(parallelproj, "__version__", "of no known version")
        return {"reason": f"parallelproj {version} has no joseph3d_fwd, as versions 1 have"}
    image = np.ones(grid.shape, np.float32)
    values = np.ones(len(first), np.float32)
    place = np.array(grid.origin_mm, np.float32), np.array(grid.voxel_mm, np.float32)

    def forward():
        parallelproj.joseph3d_fwd(first, second, image, *place)

    def back():
        parallelproj.joseph3d_back(first, second, grid.shape, *place, values)

    return {
        "list forward": statistics.median(seconds(forward, repeats)),
        "list back": statistics.median(seconds(back, repeats)),
    }
