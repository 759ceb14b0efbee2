"""The whole chain as one command: what it makes, what it makes again, and what it refuses."""

import contextlib
import io
import shutil

import numpy as np
import pytest

import countless
from recon import Scanner
from recon.events import Events
from recon.io import read_image, read_sinogram, write_image, write_sinogram
from recon.io.petsird_writing import write_petsird
from recon.io.provenance import read_sidecar
from tests.recon.cases import assert_same
from tests.recon.command.conftest import GRID, LAYOUT, STUDY, write_scan

DELAYEDS = ("--randoms", "delayed", "--delayed", "delayed.hs")
CHAIN = (*DELAYEDS, "--efficiency", "efficiency.hs",
         "--mu-map", "mu.hv", "--scatter", "on", "--scatter-rounds", 1, "--subsets", 4,
         "--iterations", 1, "--grid-like", "truth.hv", "-o", "image.nii.gz")


def write_inputs(folder):
    """Writes the scan of tests/recon/command and delayeds into a folder, and returns it."""
    counts = np.random.default_rng(7).poisson(2, LAYOUT.shape).astype(np.float32)
    write_sinogram(write_scan(folder) / "delayed.hs", counts, LAYOUT, STUDY)
    water = np.where(GRID.cylinder(45.0), 0.096, 0) * np.ones(GRID.shape)
    write_image(folder / "mu.hv", water.astype(np.float32), GRID, unit="1/cm")
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder with the chain's inputs, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return write_inputs(tmp_path)


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Folder in which the chain was run once, and what that printed."""
    folder, out = write_inputs(tmp_path_factory.mktemp("chain")), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        assert countless.main(list(map(str, ("recon", "prompts.hs", *CHAIN)))) == 0
    return folder, out.getvalue()


@pytest.fixture
def made(once, tmp_path, monkeypatch):
    """A copy of that folder, in which the test runs."""
    folder = shutil.copytree(once[0], tmp_path / "made")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def chain(run):
    """Runs the chain where the test is, with more words, and gives what it printed."""

    def chain(*words):
        result = run("recon", "prompts.hs", *CHAIN, *words)
        assert result.code == 0, result.err
        return result.out

    return chain


def test_the_chain_makes_what_the_commands_make_one_by_one(run, made):
    common = ("--efficiency", "efficiency.hs", "--mu-map", "mu.hv")
    for words in (
        ("randoms", "--delayed", "delayed.hs", "-o", "r.hs"),
        ("recon", "prompts.hs", "-o", "first.nii.gz", *common, "--randoms", "r.hs", "--subsets", 4,
         "--iterations", 2, "--voxel-mm", 6, 6, LAYOUT.scanner.ring_spacing_mm),
        ("scatter", "prompts.hs", "-o", "s.hs", *common, "--image", "first.nii.gz",
         "--randoms", "r.hs"),
        ("recon", "prompts.hs", "-o", "last.nii.gz", *common, "--randoms", "r.hs", "--scatter",
         "s.hs", "--subsets", 4, "--iterations", 1, "--grid-like", "truth.hv"),
    ):
        result = run(*words)
        assert result.code == 0, result.err
    assert_same(read_image("image.nii.gz")[0], read_image("last.nii.gz")[0])
    work = made / "image.work"
    assert_same(read_sinogram(work / "scatter1.hs")[0], read_sinogram("s.hs")[0])


def test_randoms_and_scatter_are_summed_to_the_background(made):
    sums = [read_sinogram(f"image.work/{name}.hs")[0].sum(dtype=float)
            for name in ("randoms", "scatter1")]
    counts = read_sidecar("image.nii.gz")["counts"]
    assert counts["background"] == pytest.approx(sum(sums), rel=1e-6)
    assert min(sums) > 0


def test_a_second_run_uses_all_that_was_made(chain, once, made):
    before = {path: path.stat().st_mtime_ns for path in (made / "image.work").glob("*.s")}
    image = read_image("image.nii.gz")[0]
    again = chain()
    assert (once[1].count("is used again"), again.count("is used again")) == (0, 3)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert_same(read_image("image.nii.gz")[0], image)


def test_only_what_hangs_on_a_change_is_made_again(chain, made):
    delayed = read_sinogram("delayed.hs")[0]
    write_sinogram(made / "delayed.hs", delayed + 1, LAYOUT, STUDY)
    assert chain().count("is used again") == 0  # randoms are in the images and the scatter
    efficiency = read_sinogram("efficiency.hs")[0]
    write_sinogram(made / "efficiency.hs", efficiency / 2, LAYOUT, STUDY)
    assert chain().count("is used again") == 1  # the randoms


def test_an_output_that_was_lost_is_made_again(chain, made):
    (made / "image.work" / "scatter1.s").unlink()
    assert chain().count("is used again") == 2
    assert (made / "image.work" / "scatter1.s").is_file()


def test_the_commands_are_shown_in_their_order(once):
    shown = [line.split("$ ")[1].split()[1] for line in once[1].splitlines() if " $ " in line]
    assert shown == ["randoms", "recon", "scatter"]


def test_the_quality_page_is_drawn_in_the_work_folder_or_where_asked(chain, made):
    assert (made / "image.work" / "quality.png").stat().st_size > 50_000
    chain("--quality", "page.pdf")
    assert (made / "page.pdf").read_bytes().startswith(b"%PDF")


def test_work_goes_where_asked(chain, folder):
    chain("--work", "elsewhere")
    assert (folder / "elsewhere" / "randoms.hs").is_file()
    assert not (folder / "image.work").exists()


def test_the_image_is_traced_to_all_that_was_given(made):
    names = {entry["path"].rsplit("/")[-1] for entry in read_sidecar("image.nii.gz")["inputs"]}
    assert names >= {"prompts.s", "delayed.s", "efficiency.s", "mu.v", "randoms.s", "scatter1.s"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--randoms", "delayed"), "--randoms delayed takes list mode, or --delayed beside a"),
        (("--randoms", "delayd"),
         "--randoms takes 'delayed', 'singles' or a sinogram's header, got delayd"),
        (("--scatter", "yes"), "--scatter takes 'on', 'off' or a sinogram's header, got yes"),
        (("--delayed", "delayed.hs"), "--delayed takes --randoms delayed beside it"),
        (("--scatter", "on"), "--scatter on takes the mu map that scatters, got none; give"),
        (("--scatter", "on", "--mu-map", "mu.hv", "--correction", "efficiency.hs"),
         "--scatter on takes --efficiency or --norm, got --correction"),
        (("--scatter", "on", "--mu-map", "mu.hv", "--scatter-rounds", 0),
         "--scatter-rounds takes 1 or more, got 0"),
        (("--scatter", "on", "--mu-map", "mu.hv", "--lor-angles", "stir"),
         "--scatter on is estimated at the crystals' own angles, got --lor-angles stir"),
        (("--norm", "n.hdr", "--efficiency", "efficiency.hs"), "are two ways to say the same"),
        (("--ct", "ct.nii", "--mu-map", "mu.hv"), "--mu-map and --ct are two ways to say the same"),
        (("--background", "b.hs", "--randoms", "r.hs"), "--background and --randoms are two"),
        (("--efficiency", "efficiency.hs", "--additive", "b.hs", *DELAYEDS),
         "--additive and --randoms are two"),
        (("--span", 11), "--span is of list mode, and prompts.hs is a sinogram"),
        (("--seconds", 0, 10), "--seconds is of list mode"),
        (("--kvp", 120), "are of a CT; give --ct"),
        (("--ct", "prompts.hs"), "does not say its tube voltage; give it, for instance --kvp 120"),
        (("--quality", "page.txt"), "--quality takes a name that ends in"),
        ((*DELAYEDS, "--subsets", 5), "--subsets takes a divisor of the scan's 16 views, got 5"),
        ((*DELAYEDS, "--work", "prompts.s"), "prompts.s cannot be made a folder (file exists)"),
        ((*DELAYEDS, "--preview", "prompts.hs"), "--preview takes a name that ends in"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(run, folder, words, message):
    result = run("recon", "prompts.hs", "-o", "image.nii.gz", *words)
    assert result.code == 2
    assert message in result.err
    assert not list(folder.glob("*.work/*.s"))


def test_on_and_off_are_words_in_a_file_of_settings(run, folder):
    (folder / "run.yaml").write_text("scatter: off\nsubsets: 4\niterations: 1\n")
    result = run("recon", "prompts.hs", "-o", "image.nii.gz", "--config", "run.yaml")
    assert result.code == 0, result.err
    assert read_sidecar("image.nii.gz")["configuration"]["scatter"] == "off"


@pytest.fixture
def listed(run, tmp_path, monkeypatch, rng):
    """Runs the chain on a PETSIRD list of the tiny scanner, which has 9 time-of-flight bins."""
    scanner, count = Scanner.preset("tiny"), 4000
    crystal = rng.integers(0, scanner.crystals, count).astype(np.int16)
    ring1, ring2 = rng.integers(0, scanner.rings, (2, count)).astype(np.int16)
    events = Events(
        ring1=ring1, crystal1=crystal, ring2=ring2, crystal2=(crystal + 16) % 32,
        time_ms=np.arange(count), delayed=rng.random(count) < 0.5,
        tof_bin=rng.integers(0, 9, count).astype(np.int16),
    )
    monkeypatch.chdir(tmp_path)
    write_petsird("scan.petsird", [events], scanner)

    def listed(*words):
        result = run("recon", "scan.petsird", "-o", "image.nii.gz", "--subsets", 1,
                     "--iterations", 1, *words)
        assert result.code == 0, result.err
        return result.out

    return listed


def test_delayeds_beyond_the_mashed_time_of_flight_are_in_no_randoms(listed):
    listed("--randoms", "delayed", "--tof-mashing", 5)  # 1 bin of the middle 5 of 9
    delayeds = read_sinogram("image.work/delayeds.hs")[0].sum(dtype=float)
    assert 0 < delayeds < 1500
    randoms = read_sinogram("image.work/randoms.hs")[0].sum(dtype=float)
    assert randoms == pytest.approx(delayeds, rel=1e-4)


def test_a_normalization_is_expanded_again_for_other_bins(listed):
    words = ("--norm", "scan.petsird", "--no-tof", "--span")
    listed(*words, 1)
    assert listed(*words, 1).count("is used again") == 2
    assert listed(*words, 3).count("is used again") == 0
