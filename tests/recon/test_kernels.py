"""The kernels compile for every machine, and the CPU's vectors may have any width."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from recon import backend
from recon.acquisition import AcquisitionModel, launch_on_bins
from recon.algorithms import (
    KernelMatrix,
    RelativeDifference,
    Subsets,
    TotalVariation,
    mapem,
    osem,
    saga,
    spdhg,
)
from recon.corrections.photon_transport import PhotonSource
from recon.corrections.scatter import single_scatter
from recon.listmode import ListModeProjector
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector
from tests.recon.cases import GRIDS, LAYOUTS, uniform

ROOT = Path(__file__).resolve().parents[2]
KERNELS = {
    "blur",
    "descent",
    "differences",
    "differences_transposed",
    "em_ratio",
    "em_ratio_back",
    "em_update",
    "kernelised",
    "map_em_update",
    "most_alike",
    "photon_pairs",
    "poisson_dual",
    "primal_step",
    "prior_pairs",
    "scatter_bins",
    "scatter_pairs",
    "scatter_rays",
    "tv_diagonal",
    "tv_dual",
    "tv_flux",
    "lors_forward",
    *(f"lors_back_{axis}" for axis in (0, 1, 2)),
    *(f"sinogram_forward_{spacing}" for spacing in (0, 1, 2)),
    *(f"sinogram_back_{spacing}" for spacing in (0, 1, 2)),
}
ARCHITECTURES = ("sm_75", "sm_80", "sm_90")

# An index that only run time knows keeps an array out of registers.
RUN_TIME_INDEX = """
extern "C" __global__ void spilling(float* out, const int* index, int n) {
    float values[8] = {};
    for (int i = 0; i < n; ++i) values[index[i]] += 1.0f * i;
    for (int i = 0; i < n; ++i) out[i] = values[index[n + i]];
}
"""


@pytest.fixture(scope="module")
def nvrtc():
    if not os.environ.get("CI"):  # where CI is set, a missing CuPy fails
        pytest.importorskip("cupy")
    from cupy.cuda import nvrtc

    return nvrtc


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_compiles_for_a_gpu_without_spilling_registers(nvrtc, architecture):
    assert backend.compile_cuda(backend.cuda_source(), architecture) == ""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_kernel_with_a_run_time_register_index_is_reported(nvrtc, architecture):
    log = backend.compile_cuda(RUN_TIME_INDEX, architecture)
    assert "Local memory used for function 'spilling'" in log


def test_a_kernel_that_does_not_compile_raises_the_compilers_words(nvrtc):
    with pytest.raises(RuntimeError, match="undefined_name"):
        backend.compile_cuda("__global__ void k() { undefined_name = 1; }", "sm_80")


def test_the_kernels_that_python_launches_are_all_there_are(nvrtc):
    program = nvrtc.createProgram(backend.cuda_source(), "countless.cu", (), ())
    nvrtc.compileProgram(program, (*backend.CUDA_FLAGS, "--gpu-architecture=compute_80"))
    ptx = nvrtc.getPTX(program)
    nvrtc.destroyProgram(program)
    text = ptx.decode() if isinstance(ptx, bytes) else ptx
    assert set(re.findall(r"\.entry (\w+)", text)) == KERNELS


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_the_cpu_library_has_the_kernel(kernel):
    assert hasattr(backend.cpu_library(), kernel)


def results():
    """What every operator makes of the same input, by name."""
    found = {}
    for layout, grid in [
        ("span 1", "half the ring spacing"),
        ("span 3", "half the ring spacing"),
        ("span 3", "no fraction of the ring spacing"),
        ("one ring", "many thin slices"),
        ("odd number of TOF bins", "half the ring spacing"),
    ]:
        operator = SinogramProjector(LAYOUTS[layout], GRIDS[grid])
        found[f"{layout}, {grid}: forward"] = operator(uniform(operator.in_shape))
        found[f"{layout}, {grid}: back"] = operator.T(uniform(operator.out_shape))
    ends = 200 * uniform((2, 300, 3)) - 100
    operator = ListModeProjector(*ends, GRIDS["half the ring spacing"])
    found["lors: forward"] = operator(uniform(operator.in_shape))
    found["lors: back"] = operator.T(uniform(operator.out_shape))
    found["blur"] = GaussianBlur((7, 8, 19), (1, 1, 1), 4)(uniform((7, 8, 19)))
    return found


def run(code, cache, flags=""):
    environment = {**os.environ, "COUNTLESS_CACHE": str(cache), "COUNTLESS_CXXFLAGS": flags}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    "flags, lanes",
    [
        ("-DLANES_OVERRIDE=1", 1),
        ("-DLANES_OVERRIDE=4", 4),
        ("-DLANES_OVERRIDE=8", 8),
        ("-mno-avx512f", None),
    ],
)
def test_vectors_of_any_width_give_the_same_results(flags, lanes, tmp_path):
    code = (
        "import numpy, recon.backend, tests.recon.test_kernels as kernels\n"
        f"numpy.savez({str(tmp_path / 'results.npz')!r}, **kernels.results())\n"
        "print(recon.backend.cpu_lanes())"
    )
    if "-mno-avx" in flags and "avx512f" not in backend._processor():
        pytest.skip("this processor has no AVX-512 to leave out")
    done = run(code, backend.cache_folder(), flags)  # built for minutes where all cores are busy
    assert int(done.stdout) == (lanes or 8)
    with np.load(tmp_path / "results.npz") as others:
        for name, ours in results().items():
            gap = np.abs(others[name] - ours).max()
            assert gap <= 1e-6 * np.abs(ours).max(), name


def test_the_library_is_built_once_and_kept(tmp_path):
    code = "import recon.backend; recon.backend.cpu_library()"
    first, second = (run(code, tmp_path, "-O0") for _ in range(2))
    assert "building the CPU kernels" in first.stderr
    assert second.stderr == ""
    assert len(list(tmp_path.glob("kernels-*.so"))) == 1


def test_a_missing_compiler_is_said_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(backend.CompilerMissing, match=r"C\+\+ compiler.*install g\+\+.*set CXX"):
        backend.cpu_library(("-DNOT_BUILT_BEFORE",))


def test_a_build_that_fails_shows_the_command_and_the_compilers_words(monkeypatch, tmp_path):
    monkeypatch.setenv("COUNTLESS_CACHE", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"building the CPU kernels failed: .*-fno-such-flag"):
        backend.cpu_library(("-fno-such-flag",))
    assert not list(tmp_path.glob("*.so"))


def test_arrays_of_two_machines_are_refused():
    on_gpu = SimpleNamespace(__cuda_array_interface__={})
    with pytest.raises(TypeError, match="both NumPy and CuPy"):
        backend.array_module(np.zeros(1), on_gpu)


def signature(kernel):
    """Sizes in bytes of a kernel's arguments, after the two that say how many blocks there are."""
    text = "".join(path.read_text() for path in sorted(backend.KERNELS.glob("*.[hc]*")))
    for macro in ("GEOMETRY", "LORS"):
        body = re.search(rf"#define {macro}\b((?:.*\\\n)*.*)", text).group(1)
        text = re.sub(rf"\b{macro}\)", body.replace("\\\n", " ") + ")", text)
    name = kernel if re.search(rf"KERNEL {kernel}\(", text) else f"{kernel[:-2]}_##"
    arguments = re.search(rf"KERNEL {name}\w*\(GRID ([^)]*)\)", text).group(1)
    sizes, last = [], None
    for argument in arguments.replace("\\", " ").split(","):
        kind = re.match(r"\s*(const )?(float|double|int|long|unsigned char)?\s*(\*?)", argument)
        last = kind.group(2) or last
        sizes.append(8 if kind.group(3) else {"float": 4, "int": 4, "long": 8}[last])
    return sizes


@np.errstate(all="ignore")  # nothing is computed: outputs are what memory held
def test_a_gpu_is_given_arguments_of_the_sizes_that_its_kernels_take(monkeypatch):
    called = {}

    def record(kernel, grid, arguments, **options):
        called[kernel] = [
            8 if getattr(a, "shape", ()) else backend._as_cuda(a).nbytes for a in arguments
        ]

    monkeypatch.setattr(backend, "launch", record)
    timed = LAYOUTS["odd number of TOF bins"]
    for layout in (LAYOUTS["span 1"], LAYOUTS["span 3"], timed):
        for grid in GRIDS.values():
            projector = SinogramProjector(layout, grid, tof_sigmas=np.float64(3))
            model = AcquisitionModel(projector, blur=GaussianBlur(grid.shape, grid.voxel_mm, 9))
            start = np.ones(grid.shape, np.float32)  # nothing is computed that would give a level
            next(osem(model, np.ones(layout.shape, np.float32), subsets=1, start=start))
            data = Subsets(model, np.ones(layout.shape, np.float32), 1)
            prior = RelativeDifference(grid, strength=1, epsilon=1)
            next(mapem(data, prior, start))
            next(saga(data, TotalVariation(grid, strength=1, epsilon=1), start))
            next(spdhg(data, TotalVariation(grid, strength=1, epsilon=0), start))
    bins = np.ones(timed.shape, np.float32)
    launch_on_bins("em_ratio_back", [bins, bins, bins], [bins])
    ends = np.eye(3, dtype=np.float32) * 100
    listed = ListModeProjector(ends, -ends, GRIDS["half the ring spacing"])
    listed.T(listed(np.ones(listed.in_shape, np.float32)))

    image = np.ones(listed.in_shape, np.float32)
    KernelMatrix(image, listed.grid).T(image)
    single_scatter(image, listed.grid, 0.1 * image, listed.grid, timed)
    source = PhotonSource(image, listed.grid, 0.1 * image, listed.grid, timed.scanner)
    source.pairs(1, np.random.default_rng(1))

    assert set(called) == KERNELS
    assert called == {kernel: signature(kernel) for kernel in called}


def test_no_threads_at_all_are_refused():
    layout, grid = LAYOUTS["span 1"], GRIDS["half the ring spacing"]
    with pytest.raises(ValueError, match="threads takes a number from 1, got 0"):
        SinogramProjector(layout, grid, threads=0)(uniform(grid.shape))


def test_a_cache_that_cannot_be_written_is_named(monkeypatch):
    monkeypatch.setenv("COUNTLESS_CACHE", "/proc/nowhere")
    with pytest.raises(RuntimeError, match=r"/proc/nowhere.*set COUNTLESS_CACHE"):
        backend.cpu_library(("-DNOT_BUILT_YET",))
