"""`countless benchmark unrolled`: what a layer of EM in a network costs beside its projections."""

import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks import machine
from recon import Grid, Scanner, SinogramLayout, SinogramProjector, backend
from recon.io.files import check_writable
from recon.io.provenance import write_json

GRID = Grid.centred(shape=(100, 100, 31), voxel_mm=(4, 4, 6.25))
# Of the demo scanner; with time of flight fewer views, for its bins are many.
PROBLEMS = {
    "span 3": {"span": 3},
    "time of flight": {"span": 3, "tof_mashing": 9, "view_mashing": 4},
}


def unrolled(*, repeats: int = 7, output: Path | None = None):
    """Time an EM update as a layer of a network, forward and backward, on the CPU.

    An update and its gradient take four projections. Both are timed in turn, and the ratio is the
    median of those of a turn.

    Args:
        repeats: Turns that are timed, after one that is not.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    if repeats < 1:
        raise ValueError(f"--repeats takes a number from 1, got {repeats}")
    if output is not None:
        check_writable(output)
    results = machine.origin() | {"scanner": "demo", "repeats": repeats, "rows": []}
    print(f"{'':16}{'layer, s':>10}{'projections, s':>16}{'ratio':>8}")
    for name, options in PROBLEMS.items():
        row = {"problem": name} | _timed(options, repeats)
        results["rows"].append(row)
        print(f"{name:16}{row['layer_seconds']:>10.3f}{row['projections_seconds']:>16.3f}"
              f"{row['ratio']:>8.2f}", flush=True)
    if output is not None:
        write_json(output, results)
    return results


def _timed(options, repeats):
    """Seconds of the layer and of its four projections, and the median of their ratios."""
    import torch

    from recon.learned import EMUpdate

    projector = SinogramProjector(SinogramLayout.of(Scanner.preset("demo"), **options), GRID,
                                  threads=backend.default_threads())
    rng = np.random.default_rng(1)
    bins = projector.out_shape
    image, values = (rng.random(shape, dtype=np.float32) for shape in (GRID.shape, bins))
    prompts = rng.poisson(2, bins).astype(np.float32)
    sensitivity = projector.T(np.ones(bins, np.float32))
    update, x = EMUpdate(projector), torch.from_numpy(image).requires_grad_()
    data = [torch.from_numpy(part) for part in (prompts, sensitivity, values + 0.1, values)]

    def layer():
        x.grad = None
        update(x, *data).sum().backward()

    def projections():
        for _ in range(2):
            projector(image)
            projector.T(values)

    seconds = []
    for turn in range(repeats + 1):
        taken = []
        for run in (layer, projections):
            began = time.perf_counter()
            run()
            taken.append(time.perf_counter() - began)
        if turn:
            seconds.append(taken)
    return {
        "bins": int(np.prod(bins)), "layer_seconds": statistics.median(a for a, _ in seconds),
        "projections_seconds": statistics.median(b for _, b in seconds),
        "ratio": statistics.median(a / b for a, b in seconds),
    }
