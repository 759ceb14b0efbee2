"""Wrong files and settings of every command: one sentence that says what, where and what to do.

What each is refused with is in the table; that nothing is written or lost is checked for all.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.io import read_image, write_image, write_sinogram
from tests.recon.command.conftest import GRID, LAYOUT, STUDY
from tests.recon.io.mmr import LIST_HEADER, SINOGRAM_HEADER, as_bytes, event, tag, written

WORDS = as_bytes([tag(0), event(10, 172, 5), event(11, 172, 5, prompt=False), tag(999)])
HISTOGRAM = "histogram list.l.hdr -o s.hs --span 1 --max-ring-difference 1"
NORM = "norm norm.n.hdr --like mmr.hs -o f.hs"
MU_MAP = "mu-map ct.nii.gz -o out.nii.gz --kvp 120"
RECON = "recon prompts.hs -o out.nii.gz"
SCATTER = "scatter prompts.hs -o s.hs"


@pytest.fixture(scope="module")
def files(tmp_path_factory, reference):
    """Folder with a list, a norm, a scan of few bins, delayeds, a CT, a mu map and an image."""
    folder = tmp_path_factory.mktemp("files")
    written(folder / "list.l.hdr", LIST_HEADER, data=WORDS)
    written(folder / "packed.s.hdr", SINOGRAM_HEADER, {"%compression": "on"}, bytes(1000))
    for name in ("norm.n", "norm.n.hdr"):
        shutil.copy(reference / "mmr_norm" / name, folder / name)
    mmr = SinogramLayout.of(Scanner.preset("mMR"), max_ring_difference=0, radial_bins=9)
    write_sinogram(folder / "mmr.hs", np.zeros(mmr.shape, np.float32), mmr, STUDY)
    for name, quantity in (("prompts", "prompts"), ("late", "delayed coincidences"),
                           ("m", "factors m"), ("b", "expected randoms and scatter")):
        write_sinogram(folder / f"{name}.hs", np.ones(LAYOUT.shape, np.float32), LAYOUT, STUDY,
                       sidecar={"quantity": quantity})
    inside = np.broadcast_to(GRID.cylinder(40.0), GRID.shape)
    for name, least, most, unit in (("mu", 0, 0.096, "1/cm"), ("x", 0, 9, "counts/mm"),
                                    ("ct", -1000, 40, "")):
        array = np.where(inside, most, least).astype(np.float32)
        write_image(folder / f"{name}.nii.gz", array, GRID, unit=unit)
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def folder(files, tmp_path, monkeypatch):
    """A copy of it, in which the test runs."""
    copy = tmp_path / "scan"
    shutil.copytree(files, copy)
    monkeypatch.chdir(copy)
    return copy


def nothing():
    """Leaves the files as they are."""


def edited(name, old, new):
    """A function that replaces a text in a file."""

    def edit():
        text = Path(name).read_text()
        assert old in text
        Path(name).write_text(text.replace(old, new))

    return edit


def content(name, data):
    """A function that gives a file another content."""
    return lambda: Path(name).write_bytes(data)


def cut(name, size):
    """A function that keeps the first bytes of a file."""
    return lambda: Path(name).write_bytes(Path(name).read_bytes()[:size])


def scaled(name, factor):
    """A function that multiplies an image."""

    def scale():
        array, grid, _ = read_image(name)
        write_image(name, array * np.float32(factor), grid)

    return scale


CASES = [
    # List mode
    ("histogram none.l.hdr -o s.hs", nothing, "none.l.hdr cannot be read (no such file"),
    ("histogram list.l -o s.hs", content("list.l", b"abcd"), "give a Siemens mMR's header (.hdr)"),
    ("histogram mmr.hs -o s.hs", nothing, "of a sinogram, which is counted already; give it to"),
    ("histogram norm.n.hdr -o s.hs", nothing, "of a normalization; `countless norm` turns it"),
    ("histogram empty -o s.hs", nothing, "empty is a folder; give the name of a file in it"),
    ("histogram mu.nii.gz -o s.hs", nothing, "mu.nii.gz is no list mode that Countless reads"),
    (HISTOGRAM, cut("scan.l", 3), "scan.l has 3 bytes and so not one word of list mode"),
    (HISTOGRAM, content("scan.l", bytes(400)), "holds no time tag among its 100 words"),
    (HISTOGRAM, lambda: Path("scan.l").unlink(), "is `scan.l`, which is not in .; put the data"),
    (HISTOGRAM, content("list.l.hdr", b""), "`!INTERFILE :=` was expected at its beginning"),
    (HISTOGRAM, edited("list.l.hdr", ":=2008", ":=1104"), "is of the scanner `1104`; of Siemens"),
    (HISTOGRAM, edited("list.l.hdr", "bins:=1", "bins:=33"), "takes 1, as the mMR has, got `33`"),
    # Frames
    (f"{HISTOGRAM} --frames 0 10 2000", nothing, "from 0 to 1 s, the end of scan.l, got 10 s; giv"),
    (f"{HISTOGRAM} --frames 0.5 0.1", nothing, "two or more ascending times (the list is from 0"),
    (f"{HISTOGRAM} --frames 0", nothing, "--frames takes two or more ascending times"),
    (f"{HISTOGRAM} --frames 0 ten", nothing, "takes times in seconds, got `ten`; give numbers"),
    (f"{HISTOGRAM} --frames -1 0.5", nothing, "got -1 s; give seconds within the list"),
    (f"{HISTOGRAM} --frames no.txt", nothing, "no.txt cannot be read"),
    (f"{HISTOGRAM} --frames 0 1 --start 0", nothing, "--start or --stop both set the time"),
    (f"{HISTOGRAM} --start 5", nothing, "--start takes times from 0 to 1 s"),
    (f"{HISTOGRAM} --start 0.8 --stop 0.5", nothing, "ascending times"),
    (f"{HISTOGRAM} --stop 900000", nothing, "got 900000 s; give seconds within the list"),
    (f"{HISTOGRAM} --start now", nothing, 'Invalid value for --start: unable to convert "now"'),
    ("histogram list.l.hdr -o s.hs --span 4", nothing, "--span takes an odd number (1 keeps every"),
    (f"{HISTOGRAM} --tof-mashing 3", nothing, "takes a list with time of flight, got one without"),
    # Normalization
    ("norm none.n.hdr --like mmr.hs -o f.hs", nothing, "none.n.hdr cannot be read"),
    ("norm norm.n --like mmr.hs -o f.hs", nothing, "give the header (.hs, .hv or .hdr), not the"),
    ("norm list.l.hdr --like mmr.hs -o f.hs", nothing, "lacks the key `%number of normalization"),
    ("norm m.hs --like mmr.hs -o f.hs", nothing, "give the header norm.n.hdr as the scanner wrote"),
    ("norm norm.n.hdr --like prompts.hs -o f.hs", nothing, "is of Siemens mMR (64 rings of 504)"),
    ("norm norm.n.hdr --like x.nii.gz -o f.hs", nothing, "x.nii.gz is an image, where a sinogram"),
    ("norm norm.n.hdr --like list.l.hdr -o f.hs", nothing, "count it into a sinogram with"),
    (NORM, edited("norm.n.hdr", ":=2008", ":=1104"), "the normalization of another scanner cannot"),
    (NORM, cut("norm.n", 200_000), "has 200000 bytes, crystal efficiencies end at byte 316160"),
    (NORM, content("norm.n", bytes(323_404)), "values of geometric effects that are not positive"),
    # CT
    ("mu-map none -o out.nii.gz", nothing, "none is not there; give the folder of a DICOM series"),
    ("mu-map empty -o out.nii.gz", nothing, "empty has no DICOM images among its files"),
    ("mu-map prompts.hs -o out.nii.gz", nothing, "an image takes a name that ends in .hv, .nii"),
    ("mu-map ct.nii.gz -o out.nii.gz", nothing, "does not say its tube voltage; give it"),
    (f"{MU_MAP}0", nothing, "take 80, 100, 110, 120, 130, 140 kVp, got 1200; check the tube"),
    ("mu-map mu.nii.gz -o out.nii.gz --kvp 120", nothing, "looks like a mu map, which needs no"),
    ("mu-map x.nii.gz -o out.nii.gz --kvp 120", nothing, "nothing in it is air (about -1000 HU)"),
    (MU_MAP, scaled("ct.nii.gz", np.nan), "values that are NaN or infinite, a CT has none"),
    (MU_MAP, cut("ct.nii.gz", 150), "ct.nii.gz is not a NIfTI image"),
    (f"{MU_MAP} --bed ct.nii.gz", nothing, "found -1000 to 40; give the bed in 1/cm"),
    (f"{MU_MAP} --grid-like m.hs", nothing, "an image takes a name that ends in .hv, .nii or"),
    (f"{MU_MAP} --grid-like mu.nii.gz --scanner-centre-mm 0 0 900", nothing, "do not overlap"),
    ("mu-map ct.nii.gz -o m.nii.gz --kvp 120", nothing, "which says how m.hs was made; give the"),
    # Mu maps
    (f"{RECON} --mu-map ct.nii.gz", nothing, "looks like a CT in HU; turn it into a mu map with"),
    (f"{RECON} --mu-map empty", nothing, "`countless mu-map` turns a folder of a CT into a mu"),
    (f"{RECON} --mu-map x.nii.gz", nothing, "in 1/cm, got an image in counts/mm; convert it"),
    (f"{RECON} --mu-map m.hs", nothing, "an image takes a name that ends in .hv, .nii or .nii.gz"),
    (f"{RECON} --mu-map mu.nii.gz", scaled("mu.nii.gz", 0.1), "looks like 1/mm; multiply it by 10"),
    (f"{RECON} --mu-map mu.nii.gz", scaled("mu.nii.gz", 100), "looks like 1/m; divide it by 100"),
    (f"{RECON} --mu-map mu.nii.gz", scaled("mu.nii.gz", np.nan), "cannot be attenuation in 1/cm"),
    # Scans, and sinograms in each other's place
    ("recon mu.nii.gz -o out.nii.gz", nothing, "mu.nii.gz is no list mode that Countless reads"),
    ("recon norm.n.hdr -o out.nii.gz", nothing, "of a normalization; `countless norm` turns it"),
    ("recon empty -o out.nii.gz", nothing, "empty is a folder; give the name of a file in it"),
    (f"{RECON} --norm m.hs", nothing, "give the header norm.n.hdr as the scanner wrote it"),
    (f"{RECON} --efficiency prompts.hs", nothing, "prompts.hs holds prompts, says the .json"),
    (f"{RECON} --background late.hs", nothing, "holds delayed coincidences, says the .json"),
    (f"{RECON} --background m.hs", nothing, "holds factors m, says the .json"),
    (f"{RECON} --efficiency b.hs", nothing, "where factors were expected; give another"),
    (f"{RECON} --efficiency mmr.hs", nothing, "mmr.hs has 64 rings, where prompts.hs has 5"),
    (f"{RECON} --efficiency norm.n.hdr", nothing, "but of a normalization; `countless norm` turns"),
    ("recon packed.s.hdr -o out.nii.gz", nothing, "compressed this sinogram, by a scheme that is"),
    ("recon packed.s.hdr -o out.nii.gz --norm norm.n.hdr", nothing, "compressed this sinogram"),
    ("randoms --delayed prompts.hs -o r.hs", nothing, "holds prompts, says the .json beside it"),
    ("randoms --delayed list.l.hdr -o r.hs", nothing, "count it into a sinogram with `countless"),
    ("randoms --delayed packed.s.hdr -o r.hs", nothing, "compressed this sinogram"),
    (f"{SCATTER} --image mu.nii.gz --mu-map mu.nii.gz", nothing, "mu.nii.gz is in 1/cm"),
    (f"{SCATTER} --image x.nii.gz --mu-map x.nii.gz", nothing, "in 1/cm, got an image in counts"),
    (f"{SCATTER} --image x.nii.gz --mu-map ct.nii.gz", nothing, "looks like a CT in HU"),
]


@pytest.mark.parametrize(("command", "spoil", "words"), CASES, ids=[case[0] for case in CASES])
def test_it_is_refused_with_one_sentence_and_nothing_is_lost(run, folder, command, spoil, words):
    spoil()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    result = run(*command.split())
    assert result.code == 2, result.out
    assert words in result.err
    assert result.err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_list_that_ends_within_a_word_is_used_as_far_as_it_is_whole(run, folder):
    cut("scan.l", len(WORDS) - 1)()
    result = run(*HISTOGRAM.split())
    assert result.code == 0, result.err
    assert "the last 3 bytes of scan.l are no whole word: left out" in result.out


def test_a_mu_map_that_does_not_cover_the_scanner_is_told(run, folder):
    array, grid, _ = read_image("mu.nii.gz")
    short = type(grid).centred(shape=(21, 21, 5), voxel_mm=(6, 6, 4))
    write_image("mu.nii.gz", array[:, :, 2:7], short, unit="1/cm")
    result = run(*f"{RECON} --mu-map mu.nii.gz --iterations 1".split())
    assert result.code == 0, result.err
    words = "mu.nii.gz lies at z from -10 to 10 mm and does not cover 20 mm of the field of view"
    assert words in " ".join(result.out.split())
