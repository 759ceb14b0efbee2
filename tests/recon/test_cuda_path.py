"""The CUDA side of the kernels, thread by thread on the CPU: it gives what the CPU side gives."""

import ctypes
import functools
import itertools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from recon import Grid, Scanner, SinogramLayout, backend
from recon.acquisition import AcquisitionModel
from recon.algorithms import (
    KernelMatrix,
    LogCosh,
    Quadratic,
    RelativeDifference,
    Subsets,
    TotalVariation,
    mapem,
    osem,
    saga,
    spdhg,
)
from recon.corrections.photon_transport import PhotonSource
from recon.learned import EMUpdate
from recon.listmode import ListModeProjector
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector

HERE = Path(__file__).parent
THREADS = 64  # two warps


class Emulated:
    """Stands for the CPU library: each kernel run as a grid of CUDA threads."""

    def __init__(self, library):
        self._library = library

    def lanes(self):
        return 1

    def __getattr__(self, kernel):
        entry = getattr(self._library, f"entry_{kernel}")
        entry.restype = ctypes.c_void_p
        function = ctypes.CFUNCTYPE(None)(entry())

        def call(parallel, serial, scratch, threads, *arguments):
            function(parallel, serial, scratch, ctypes.c_int(THREADS), *arguments)

        return call


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cuda")
    source = backend.cuda_source()
    text = "".join(path.read_text() for path in sorted(backend.KERNELS.glob("*.cu")))
    names = re.findall(r"^KERNEL (\w+)\(", text, re.MULTILINE)
    names += [f"sinogram_{way}_{n}" for way in ("forward", "back") for n in (0, 1, 2)]
    names += [f"lors_back_{axis}" for axis in (0, 1, 2)]
    entries = "".join(f"ENTRY({name})\n" for name in names)
    path = folder / "kernels.cpp"
    path.write_text(f'#include "{HERE / "cuda_on_cpu.h"}"\n{source}{entries}')
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", "-w", f"-I{backend.KERNELS}"]
    library = folder / "kernels.so"
    command = [shutil.which("g++"), *flags, str(path), "-o", str(library)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return Emulated(ctypes.CDLL(str(library)))


def both(monkeypatch, emulated, compute):
    """What a computation gives on the CPU, and in the CUDA path."""
    on_cpu = compute()
    with monkeypatch.context() as patch:
        patch.setattr(backend, "cpu_library", lambda *_: emulated)
        return on_cpu, compute()


def tiny(**changes):
    scanner = Scanner.preset("tiny")
    options = {"radial_bins": 7, "view_mashing": 4, **changes}
    return SinogramLayout.of(scanner, **options)


LAYOUTS = {
    "span 1, planes two voxels apart": (tiny(), (12, 9, 9), 4.0),
    "span 3, planes one voxel apart": (tiny(span=3), (12, 9, 9), 4.0),
    "planes any distance apart": (tiny(span=3), (12, 9, 11), 2.9),
    "steps in parts": (tiny(), (5, 5, 12), 4.0),
    "time of flight": (tiny(span=3, tof_mashing=3), (12, 9, 9), 4.0),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_cuda_path_of_the_sinogram_projector_gives_what_the_cpu_gives(
    name, monkeypatch, emulated, rng
):
    layout, shape, dz = LAYOUTS[name]
    across = 110 / shape[0]
    grid = Grid.centred(shape=shape, voxel_mm=(across, across, dz))
    x = rng.random(grid.shape, dtype=np.float32)
    y = rng.random(layout.shape, dtype=np.float32)

    forward = both(monkeypatch, emulated, lambda: SinogramProjector(layout, grid)(x))
    back = both(monkeypatch, emulated, lambda: SinogramProjector(layout, grid).T(y))

    for on_cpu, on_cuda in (forward, back):
        assert on_cpu.max() > 0
        np.testing.assert_allclose(on_cuda, on_cpu, rtol=2e-6, atol=2e-6 * on_cpu.max())


@pytest.mark.parametrize("tof", [False, True])
def test_the_cuda_path_of_the_list_mode_projector_gives_what_the_cpu_gives(
    tof, monkeypatch, emulated, rng
):
    layout = tiny(tof_mashing=3)
    grid = Grid.centred(shape=(40, 35, 50), voxel_mm=(3, 3, 1))
    first = rng.uniform(-100, 100, (100, 3))
    second = rng.uniform(-100, 100, (100, 3))
    timing = {"tof_bin": rng.integers(0, layout.tof_bins, 100), "layout": layout} if tof else {}
    x = rng.random(grid.shape, dtype=np.float32)
    y = rng.random(100, dtype=np.float32)

    def projector():
        return ListModeProjector(first, second, grid, **timing)

    for on_cpu, on_cuda in (
        both(monkeypatch, emulated, lambda: projector()(x)),
        both(monkeypatch, emulated, lambda: projector().T(y)),
    ):
        assert on_cpu.max() > 0
        np.testing.assert_allclose(on_cuda, on_cpu, rtol=2e-5, atol=2e-5 * on_cpu.max())


def test_the_cuda_path_of_an_osem_update_with_blur_gives_what_the_cpu_gives(
    monkeypatch, emulated, rng
):
    layout = tiny(span=3)
    grid = Grid.centred(shape=(12, 9, 9), voxel_mm=(9, 9, 4))
    factors = rng.random((layout.views, layout.radial_bins, layout.planes), dtype=np.float32)
    background = rng.random(layout.shape, dtype=np.float32)
    prompts = rng.poisson(5, layout.shape).astype(np.float32)

    def update():
        blur = GaussianBlur(grid.shape, grid.voxel_mm, (12, 10, 6))
        projector = SinogramProjector(layout, grid)
        model = AcquisitionModel(projector, blur=blur, factors=factors, background=background)
        return next(itertools.islice(osem(model, prompts, subsets=2), 1, None)).copy()

    on_cpu, on_cuda = both(monkeypatch, emulated, update)

    assert on_cpu.max() > 0
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=2e-5, atol=1e-6 * on_cpu.max())


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(
    "kind", ["quadratic", "relative difference", "log-cosh", "total variation"]
)
def test_the_cuda_path_of_a_prior_gives_what_the_cpu_gives(
    kind, guided, monkeypatch, emulated, rng
):
    grid = Grid.centred(shape=(4, 5, 70), voxel_mm=(4, 5, 2))  # more z than there are threads
    image = rng.random(grid.shape, dtype=np.float32)
    options = {"strength": 2, "kappa": rng.random(grid.shape, dtype=np.float32) if guided else None}
    if kind == "total variation":
        direction = rng.random((3, *grid.shape), dtype=np.float32) / 2 if guided else None
        prior = TotalVariation(grid, epsilon=0.1, direction=direction, **options)
    else:
        if guided:
            options["chosen"] = rng.integers(0, 3, (13, *grid.shape)).astype(np.uint8)
        prior = {
            "quadratic": Quadratic,
            "relative difference": functools.partial(RelativeDifference, epsilon=0.1),
            "log-cosh": functools.partial(LogCosh, delta=0.3),
        }[kind](grid, **options)

    def all_of_it():
        return np.stack([prior.gradient(image), prior.diagonal(image), prior.curvature(image),
                         *prior.descent(image), np.full_like(image, prior.value(image))])

    on_cpu, on_cuda = both(monkeypatch, emulated, all_of_it)

    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("algorithm", [saga, mapem])
def test_the_cuda_path_of_penalised_updates_gives_what_the_cpu_gives(
    algorithm, monkeypatch, emulated, rng
):
    layout = tiny(span=3)
    grid = Grid.centred(shape=(12, 9, 9), voxel_mm=(9, 9, 4))
    prompts = rng.poisson(5, layout.shape).astype(np.float32)
    background = rng.random(layout.shape, dtype=np.float32)
    prior = RelativeDifference(grid, strength=1, epsilon=0.1)

    def update():
        model = AcquisitionModel(SinogramProjector(layout, grid), background=background)
        images = algorithm(Subsets(model, prompts, 2), prior, np.ones(grid.shape, np.float32))
        return next(itertools.islice(images, 2, None)).copy()

    on_cpu, on_cuda = both(monkeypatch, emulated, update)

    assert on_cpu.max() > 0
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=2e-5, atol=1e-5 * on_cpu.max())


@pytest.mark.parametrize("guided", [False, True])
def test_the_cuda_path_of_primal_dual_updates_gives_what_the_cpu_gives(
    guided, monkeypatch, emulated, rng
):
    layout = tiny(tof_mashing=3) if guided else tiny(span=3)
    grid = Grid.centred(shape=(12, 9, 9), voxel_mm=(9, 9, 4))
    factors = rng.random((layout.views, layout.radial_bins, layout.planes), dtype=np.float32)
    background = rng.random(layout.shape, dtype=np.float32)
    prompts = rng.poisson(5, layout.shape).astype(np.float32)
    prior = TotalVariation(
        grid, strength=1, epsilon=0,
        kappa=rng.random(grid.shape, dtype=np.float32) if guided else None,
        direction=rng.random((3, *grid.shape), dtype=np.float32) / 2 if guided else None,
    )

    def update():
        projector = SinogramProjector(layout, grid)
        model = AcquisitionModel(projector, factors=factors, background=background)
        images = spdhg(Subsets(model, prompts, 2), prior, np.ones(grid.shape, np.float32))
        return next(itertools.islice(images, 2, None)).copy()

    on_cpu, on_cuda = both(monkeypatch, emulated, update)

    assert on_cpu.max() > 0
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=2e-5, atol=1e-5 * on_cpu.max())


@pytest.mark.parametrize("tof_mashing", [0, 3])
def test_the_cuda_path_of_the_gradient_of_an_update_gives_what_the_cpu_gives(
    tof_mashing, monkeypatch, emulated, rng
):
    layout = tiny(span=3, tof_mashing=tof_mashing)
    grid = Grid.centred(shape=(12, 9, 9), voxel_mm=(9, 9, 4))
    prompts = rng.poisson(2, (2 * layout.views, *layout.shape[1:])).astype(np.float32)
    sensitivity = 1 + rng.random(grid.shape, dtype=np.float32)
    data = torch.from_numpy(prompts)[::2], torch.from_numpy(sensitivity)  # views that lie apart

    def gradient():
        image = torch.ones(grid.shape, requires_grad=True)
        EMUpdate(SinogramProjector(layout, grid))(image, *data).square().sum().backward()
        return image.grad.numpy()

    on_cpu, on_cuda = both(monkeypatch, emulated, gradient)

    assert on_cpu.max() > 0
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=2e-5, atol=2e-6 * np.abs(on_cpu).max())


@pytest.mark.parametrize("transposed", [False, True])
def test_the_cuda_path_of_the_kernel_matrix_gives_what_the_cpu_gives(
    transposed, monkeypatch, emulated, rng
):
    grid = Grid.centred(shape=(4, 5, 70), voxel_mm=(4, 4, 2))  # more z than there are threads
    anatomy = rng.integers(0, 4, grid.shape).astype(np.float32)  # with ties
    image = rng.random(grid.shape, dtype=np.float32)

    def kernelised():
        kernel = KernelMatrix(anatomy, grid)
        return (kernel.T if transposed else kernel)(image)

    on_cpu, on_cuda = both(monkeypatch, emulated, kernelised)

    np.testing.assert_allclose(on_cuda, on_cpu, rtol=2e-6)


def test_the_cuda_path_of_photon_pairs_gives_what_the_cpu_gives(monkeypatch, emulated, rng):
    scanner = Scanner.preset("tiny")
    grid = Grid.centred(shape=(12, 9, 9), voxel_mm=(9, 9, 4))
    activity, mu = rng.random((2, *grid.shape), dtype=np.float32)
    source = PhotonSource(activity, grid, 0.2 * mu, grid, scanner)

    on_cpu, on_cuda = both(
        monkeypatch, emulated, lambda: source.pairs(5000, np.random.default_rng(1))
    )

    assert on_cpu.scatters.max() > 2
    assert (on_cuda.scatters == on_cpu.scatters).all()
    for name in ("first", "second", "along_mm", "kev", "weight", "cosines"):
        expected = getattr(on_cpu, name)
        np.testing.assert_allclose(
            getattr(on_cuda, name), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
        )
