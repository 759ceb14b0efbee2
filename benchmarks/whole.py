"""`countless benchmark recon`: time and peak memory of `countless recon` on a scan's files."""

import shlex
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import machine
from recon import Grid, Scanner, SinogramLayout, SinogramProjector
from recon.io import write_image, write_sinogram
from recon.io.files import check_writable
from recon.io.provenance import write_json

VOXEL_MM = (2.08626, 2.08626, 2.03125)
MU_PER_CM = 0.096  # water at 511 keV


def recon(
    *,
    scanner: str = "mMR",
    span: int = 11,
    max_ring_difference: int = 60,
    subsets: int = 21,
    iterations: int = 1,
    output: Path | None = None,
):
    """Time `countless recon` on a whole scan's files, and measure its peak memory, on the CPU.

    Prompts, efficiency, background and mu map of a water cylinder are written (by default of a
    Siemens mMR, 252 × 344 × 837 bins) and reconstructed on 200 × 200 × 127 voxels.

    Args:
        scanner: Preset whose sinogram it is.
        span: Ring differences in a segment.
        max_ring_difference: The greatest.
        subsets: Of the views.
        iterations: Passes over all subsets.
        output: JSON file to write.
    Returns:
        What the JSON file holds, a dict.
    """
    if output is not None:
        check_writable(output)
    results = machine.origin()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        scanner = Scanner.preset(scanner)
        layout = SinogramLayout.of(scanner, span=span, max_ring_difference=max_ring_difference)
        results["bins"] = layout.shape
        _write_scan(folder, layout)
        words = [
            *("recon", "prompts.hs", "-o", "image.nii.gz", "--mu-map", "mu-map.hv"),
            *("--efficiency", "efficiency.hs", "--background", "background.hs"),
            *("--grid-like", "mu-map.hv", "--subsets", str(subsets)),
            *("--iterations", str(iterations)),
            *("--device", "cpu"),
        ]
        results["recon_command"] = shlex.join(["countless", *words])
        results["seconds"], results["peak_bytes"] = machine.measured(words, folder)
    print(f"{results['seconds']:.1f} s, at most {results['peak_bytes'] / 2**30:.2f} GiB of memory")
    if output is not None:
        write_json(output, results)
    return results


def _write_scan(folder, layout):
    """A water cylinder's scan without noise: what matters here is its size."""
    grid = Grid.centred(shape=(200, 200, 127), voxel_mm=VOXEL_MM)
    water = np.broadcast_to(grid.cylinder(100.0), grid.shape).astype(np.float32)
    write_image(folder / "mu-map.hv", MU_PER_CM * water, grid, unit="1/cm")
    values = SinogramProjector(layout, grid)(water)  # mm of water
    background = np.full(layout.shape, 0.2, np.float32)
    write_sinogram(folder / "background.hs", background, layout)
    efficiency = np.broadcast_to(layout.multiplicity(), layout.shape)
    write_sinogram(folder / "efficiency.hs", efficiency, layout)
    values *= np.exp(-MU_PER_CM / 10 * values)
    values *= layout.multiplicity()
    write_sinogram(folder / "prompts.hs", np.rint(values + background), layout)
