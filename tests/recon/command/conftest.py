"""A small scan in a folder, and the command line run in this process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import countless
from recon import Grid, Scanner, SinogramLayout
from recon.io import write_image, write_sinogram
from recon.projectors import SinogramProjector

LAYOUT = SinogramLayout.of(Scanner.preset("tiny"), max_ring_difference=2)
GRID = Grid.centred(shape=(21, 21, 9), voxel_mm=(6, 6, 4))
STUDY = {"patient_position": "HFS", "duration_s": 60.0}


@dataclass(frozen=True)
class Result:
    """How a run of the command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd):
    """Runs `countless` with these words, here."""

    def run(*words):
        code = countless.main([str(word) for word in words])
        return Result(code, *capfd.readouterr())

    return run


@pytest.fixture
def scan(tmp_path) -> Path:
    """Folder with prompts, efficiency, background (.hs), truth and mu map (.hv) of a cylinder."""
    return write_scan(tmp_path)


def write_scan(folder):
    """Writes the files of `scan` into a folder, and returns it."""
    truth = np.where(GRID.cylinder(45.0), 1, 0) * np.ones(GRID.shape)
    truth[12:15, 9:12, 3:6] = 4
    truth = truth.astype(np.float32)
    efficiency = np.random.default_rng(1).uniform(0.5, 1.5, LAYOUT.shape).astype(np.float32)
    efficiency[:, 3] = 0
    background = np.full(LAYOUT.shape, 2, np.float32)
    expected = efficiency * SinogramProjector(LAYOUT, GRID)(truth) + background
    prompts = np.random.default_rng(2).poisson(expected).astype(np.float32)
    for name, array in (("prompts", prompts), ("efficiency", efficiency),
                        ("background", background)):
        write_sinogram(folder / f"{name}.hs", array, LAYOUT, STUDY)
    write_image(folder / "truth.hv", truth, GRID)
    write_image(folder / "mu.hv", np.minimum(truth, 1) * np.float32(0.096), GRID)
    return folder


@pytest.fixture
def recon(run, scan):
    """Runs `countless recon` on the scan, on its truth's grid, and checks that it ends well."""

    def recon(output, *words, prompts="prompts.hs", iterations=1):
        output = scan / output
        result = run("recon", scan / prompts, "-o", output, "--grid-like", scan / "truth.hv",
                     "--iterations", iterations, *words)
        assert result.code == 0, result.err
        return output

    return recon
