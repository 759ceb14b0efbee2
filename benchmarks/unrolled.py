"""`countless benchmark unrolled`: what a block of an unrolled network costs beside projections."""

import statistics
import time
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks import machine
from recon import AcquisitionModel, Grid, Scanner, SinogramLayout, SinogramProjector, backend
from recon.algorithms import Subsets
from recon.io.files import check_writable
from recon.io.provenance import write_json

GRID = Grid.centred(shape=(100, 100, 31), voxel_mm=(4, 4, 6.25))
# Of the demo scanner; with time of flight fewer views, for its bins are many.
PROBLEMS = {
    "span 3": {"span": 3},
    "time of flight": {"span": 3, "tof_mashing": 9, "view_mashing": 4},
}


def unrolled(
    *, repeats: int = 7, device: Literal["auto", "cpu", "cuda"] = "auto",
    output: Path | None = None,
):
    """Time a block of an unrolled network, forward and backward, without its network.

    The block is FBSEM's with one EM update of all data, and the identity as its network. The update
    and its gradient take four projections. Both are timed in turn, and the ratio is the median of
    those of a turn.

    Args:
        repeats: Turns that are timed, after one that is not.
        device: Where it runs: auto takes a GPU where there is one.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    if repeats < 1:
        raise ValueError(f"--repeats takes a number from 1, got {repeats}")
    if output is not None:
        check_writable(output)
    device, _ = backend.find_device(device)
    results = machine.origin(device) | {"scanner": "demo", "repeats": repeats, "rows": []}
    print(f"{'':16}{'block, s':>10}{'projections, s':>16}{'ratio':>8}")
    for name, options in PROBLEMS.items():
        row = {"problem": name} | _timed(options, repeats, device)
        results["rows"].append(row)
        print(f"{name:16}{row['block_seconds']:>10.3f}{row['projections_seconds']:>16.3f}"
              f"{row['ratio']:>8.2f}", flush=True)
    if output is not None:
        write_json(output, results)
    return results


def _timed(options, repeats, device):
    """Seconds of the block and of its four projections, and the median of their ratios."""
    import torch

    from recon.learned import Layers, Unrolled

    class Identity(torch.nn.Module):
        def forward(self, x, noise):
            return x[:, :1]

    projector = SinogramProjector(SinogramLayout.of(Scanner.preset("demo"), **options), GRID,
                                  threads=backend.default_threads())
    rng = np.random.default_rng(1)
    bins = projector.out_shape
    image, values = (backend.to_device(rng.random(shape, dtype=np.float32), device)
                     for shape in (GRID.shape, bins))
    prompts = backend.to_device(rng.poisson(2, bins).astype(np.float32), device)
    model = AcquisitionModel(projector, factors=values + np.float32(0.1), background=values)
    layers = Layers(Subsets(model, prompts, 1), image, level=1.0, noise=0.1)
    layers.start.requires_grad_()
    network = Unrolled([Identity()], blocks=1)

    def block():
        layers.start.grad = None
        network(layers).sum().backward()

    def projections():
        for _ in range(2):
            projector(image)
            projector.T(values)

    seconds = []
    for turn in range(repeats + 1):
        taken = []
        for run in (block, projections):
            began = time.perf_counter()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - began)
        if turn:
            seconds.append(taken)
    return {
        "bins": int(np.prod(bins)), "block_seconds": statistics.median(a for a, _ in seconds),
        "projections_seconds": statistics.median(b for _, b in seconds),
        "ratio": statistics.median(a / b for a, b in seconds),
    }
