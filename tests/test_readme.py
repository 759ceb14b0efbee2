"""What the README shows works: its Python and its commands run, its links lead somewhere."""

import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import countless
from recon import Grid, Scanner, SinogramLayout, SinogramProjector
from recon.io import read_image, write_image, write_sinogram
from tests.denoise.studies import make_study
from tests.recon.io.test_dicom import write_slice

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OUTPUTS = ("-o", "--delayed-out", "--curve", "--picture", "--preview", "--efficiency-out",
           "--crystals-out", "--uncertainty")
# In the text, perhaps over two lines: they take too long to be run.
BENCHMARKS = {
    " ".join(line.split()) for line in re.findall(r"`(countless benchmark [^`]+)`", README)
}
HEAD_SLICES = 66
# Settings for time, by the first words of the commands whose flags leave them open. The head's list
# is counted into an eighth of its bins; tests/recon/command/test_real_scan.py takes all of them.
QUICKER = {
    "recon list.l.hdr": "{max_ring_difference: 5, scatter_rounds: 1, iterations: 1}",
    "histogram list.l.hdr": "{max_ring_difference: 5}",
    "recon scan.hs": "{voxel_mm: [4, 4, 2.03125]}",
    "scan nema": "{split: 1, max_ring_difference: 4}",
    "recon scan/prompts.hs": "{scatter_rounds: 1}",
}
STUDY = """
phantoms: {kind: uniform, count: 2, options: {diameter_mm: 80, length_mm: 60}}
split: {train: 0.5, validation: 0.5, test: 0}
keep_scans: true
scan: {scanner: tiny, minutes: 4, split: 1, photon_pairs: 2000}
doses: {factors: [4]}
reconstruction: {voxel_mm: 10, iterations: 1, subsets: 4}
"""
UNET = "{width: 4, levels: 1, patch: [8, 8, 8], patches: 4, epochs: 1, workers: 0}\n"
FBSEM = "{unrolled: fbsem, blocks: 1, width: 2, levels: 1, patches: 1, epochs: 1}\n"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands():
    """Command lines of all shell blocks, each a list of words."""
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


@pytest.fixture
def scan(tmp_path, monkeypatch, rng):
    """A folder with prompts.hs of a small scanner, in which the test runs."""
    layout = SinogramLayout.of(Scanner.preset("tiny"))
    prompts = rng.poisson(20, layout.shape).astype(np.float32)
    write_sinogram(tmp_path / "prompts.hs", prompts, layout, {"patient_position": "HFS"})
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_of_the_readme_writes_an_image(scan, code):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    image, _, info = read_image("image.nii.gz")
    assert image.max() > 0
    assert info["unit"] == "counts/mm"


@pytest.fixture(scope="module")
def files(reference, tmp_path_factory):
    """A folder with the files that the README's commands name and do not make themselves."""
    folder = tmp_path_factory.mktemp("readme")
    brain, thorax = reference / "mmr_brain_0.6s", reference / "stir" / "thorax"
    shutil.copy(brain / "PET_ACQ_small.l.hdr.STIR", folder / "list.l.hdr")
    for path in (brain / "small_listmode_file.l", reference / "mmr_norm" / "norm.n.hdr",
                 reference / "mmr_norm" / "norm.n"):
        shutil.copy(path, folder)
    for name in ("prompts", "mult", "additive"):
        for suffix in (".hs", ".s"):
            shutil.copy(thorax / f"{name}{suffix}", folder)
    (folder / "ct").mkdir()
    for number in range(HEAD_SLICES):
        write_head_slice(folder / "ct", number)
    write_phantom(folder)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "people").mkdir()
    make_study(folder / "people")
    (folder / "unet.yaml").write_text(UNET)
    (folder / "fbsem.yaml").write_text(FBSEM)
    yield folder
    for path in folder.rglob("*.s"):  # up to 290 MB each
        path.unlink()


def write_head_slice(folder, number, rows=64, mm=4.0):
    """A slice of a CT of water in the outline of the list's head, as long as the scanner."""
    x, y = np.meshgrid(*(np.arange(rows) * mm - (rows - 1) / 2 * mm,) * 2)
    water = (x / 77) ** 2 + ((y + 18) / 104) ** 2 <= 1  # as tests/recon/command finds it
    z = mm * (number - (HEAD_SLICES - 1) / 2)
    top = z > 60  # of the head
    stored = np.where(water & ~top, 512, 12).astype(np.uint16)  # 2 × 512 − 1024 is water's 0 HU
    corner = (x[0, 0], y[0, 0], z)
    write_slice(folder / f"{number}.dcm", stored, corner, PixelSpacing=[mm, mm],
                Rows=rows, Columns=rows)


def write_phantom(folder):
    """A phantom's scan, its activity and its mu map, of a small scanner."""
    layout = SinogramLayout.of(Scanner.preset("tiny"))
    grid = Grid.centred(shape=(41, 41, 11), voxel_mm=(4, 4, 4))
    activity = np.where(grid.cylinder(70.0), np.float32(1), np.float32(0)) * np.ones(grid.shape)
    activity = activity.astype(np.float32)
    lines = SinogramProjector(layout, grid)(activity)
    crystals, rings = layout.pair_counts()
    expected = crystals * rings * lines * np.exp(-0.0096 * lines)
    prompts = np.random.default_rng(3).poisson(5 * expected).astype(np.float32)
    write_sinogram(folder / "phantom.hs", prompts, layout, {"patient_position": "HFS"})
    write_image(folder / "phantom.nii.gz", activity, grid, unit="Bq/mL")
    write_image(folder / "phantom-mu.nii.gz", np.float32(0.096) * activity, grid, unit="1/cm")


def test_the_commands_of_the_readme_run_in_its_order(files, monkeypatch):
    # One test, for they take what those before them made.
    monkeypatch.chdir(files)
    shown = [words for words in commands() if words[0] == "countless"]
    assert set(QUICKER) <= {" ".join(words[1:3]) for words in shown}
    for words in shown:
        quicker, config = QUICKER.get(" ".join(words[1:3])), []
        if quicker:
            Path("quicker.yaml").write_text(quicker)
            config = ["--config", "quicker.yaml"]
        assert countless.main([*words[1:], *config]) == 0, shlex.join(words)
        for output in (word for flag, word in pairwise(words) if flag in OUTPUTS):
            path = Path(output)
            data = path.with_suffix(".s") if path.suffix == ".hs" else path
            assert path.stat().st_size > 0 and data.stat().st_size > 0, shlex.join(words)
    assert (files / "brain.work" / "quality.png").stat().st_size > 100_000


@pytest.mark.parametrize("line", sorted(BENCHMARKS))
def test_a_benchmark_of_the_readme_is_one(line):
    words = line.split()
    command, *_ = countless.app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert command.__name__.replace("_", "-") == words[2]


def test_the_readme_names_all_benchmarks():
    known = {name for name in countless.benchmark if not name.startswith("-")}
    assert {line.split()[2] for line in BENCHMARKS} == known


def test_every_command_has_an_example_in_the_readme():
    shown = {words[1] for words in commands() if words[0] == "countless"}
    known = {name for name in countless.app if not name.startswith("-")}
    assert known - {"demo"} <= shown | {"benchmark"}  # `make demo` runs it


@pytest.mark.parametrize("words", [w for w in commands() if w[0] == "make"], ids=shlex.join)
def test_a_target_of_the_readme_is_the_makefiles(words):
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def test_the_readme_has_examples_of_each_kind():
    assert blocks("python")
    assert {words[0] for words in commands()} >= {"countless", "make"}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_a_link_of_the_readme_leads_to_a_file(link):
    assert (ROOT / link).is_file()
