"""What `countless info` says of each kind of file, and which command comes next."""

import shutil

import numpy as np
import pytest

import countless
from recon import Grid, Scanner, SinogramLayout, memory
from recon.io import write_image, write_sinogram
from recon.io.castor_histogram_writing import write_castor_histogram
from tests.recon.io.mmr import (
    LIST_HEADER,
    SINOGRAM_HEADER,
    as_bytes,
    event,
    singles,
    tag,
    written,
)

GAPS = SinogramLayout.of(Scanner.preset("mMR"), max_ring_difference=0, radial_bins=9)
GRID = Grid.centred(shape=(6, 5, 4), voxel_mm=(4, 4, 5))


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """What `countless info` prints of a file here, with single spaces."""
    monkeypatch.chdir(tmp_path)

    def said(name, code=0):
        assert countless.main(["info", str(name)]) == code
        printed = capsys.readouterr()
        return " ".join((printed.out + printed.err).split())

    return said


def sinogram(name, value, **sidecar):
    array = np.broadcast_to(value, GAPS.shape).astype(np.float32)
    write_sinogram(name, array, GAPS, {"patient_position": "HFS"}, sidecar=sidecar or None)
    return name


def image(name, value, **more):
    array = np.full(GRID.shape, value, np.float32)
    array[0] = 0
    write_image(name, array, GRID, **more)
    return name


def test_a_scanners_sinogram_is_told_with_its_two_data_sets(said, tmp_path):
    counts = np.ones((2, 190, 252, 5), "<i2")
    counts[1] = 2
    written(tmp_path / "scan.s.hdr", SINOGRAM_HEADER, data=counts.tobytes())
    words = said("scan.s.hdr")
    assert "type sinogram (Emission), int16, little-endian, Siemens" in words
    assert "compressed no" in words
    assert "duration 60 s" in words
    assert "sum 239,400 over 239,400 values" in words
    assert "delayeds 478,800, the file's second data set" in words
    assert "--mu-map MU.nii.gz --randoms delayed" in words


def test_a_compressed_sinogram_is_told_with_what_to_do_and_without_its_data(said, tmp_path):
    written(tmp_path / "scan.s.hdr", SINOGRAM_HEADER, {"%compression": "on"})
    words = said("scan.s.hdr")
    assert "compressed yes" in words
    assert "by a scheme that is not public; export it again with compression off" in words
    assert "next export it again" in words


def test_a_list_is_told_with_counts_of_its_events_and_what_is_odd(said, tmp_path):
    words = [tag(0), event(10, 172, 5), event(11, 172, 5, prompt=False), singles(300, 8),
             event(12, 172, 5000), tag(499)]
    header = {"%total listmode word counts": 12, "!tracer activity at time of injection (Bq)": 2e8}
    written(tmp_path / "scan.l.hdr", LIST_HEADER, header, as_bytes(words))
    words = said("scan.l.hdr")
    assert "list 0 to 0.5 s" in words
    assert "isotope F-18, half-life 6586.2 s, branching 0.97" in words
    assert "injected 200 MBq" in words
    assert "scan.l was cut short: it has 6 of the 12 words" in words
    assert "prompts 2, 4 a second delayeds 1, 2 a second" in words
    assert "1 events are on crystals that the scanner does not have: they will be dropped" in words
    assert "1 singles words of a block beyond the scanner's 224" in words
    assert "next countless histogram scan.l.hdr -o scan.hs --delayed-out delayed.hs" in words


def test_a_histogram_of_castor_is_told_with_how_to_convert_it(said, tmp_path):
    counts = np.ones(GAPS.shape, np.float32)
    write_castor_histogram(tmp_path / "scan.cdh", counts, GAPS)
    words = said("scan.cdh")
    shutil.copy("scan.cdh", "Other.Cdh")  # as CASToR's own programs name it
    assert said("Other.Cdh") == words.replace("scan.cdh", "Other.Cdh")
    assert "type CASToR histogram" in words
    assert "next countless convert scan.cdh -o scan.hs" in words


def test_a_normalization_is_told_with_its_components(said, tmp_path, reference):
    for name in ("norm.n", "norm.n.hdr"):
        shutil.copy(reference / "mmr_norm" / name, tmp_path / name)
    words = said("norm.n.hdr")
    assert "scanner Siemens mMR: 64 rings of 504 crystals" in words
    assert "axial effects of span 11, ring differences up to 60" in words
    assert "0 of 32,256 are 0, dead" in words
    assert "next countless norm norm.n.hdr --like SCAN.hs -o efficiency.hs" in words


@pytest.mark.parametrize(
    ("quantity", "meaning", "following"),
    [
        ("prompts", "coincidences as counted", "countless recon f.hs -o image.nii.gz --norm"),
        ("delayed coincidences", "delayed coincidences as", "randoms --delayed f.hs -o randoms.hs"),
        ("factors m that", "factors m that multiply expected counts", "--efficiency f.hs"),
        ("expected random coincidences", "expected counts", "--background f.hs"),
        ("expected randoms and scatter", "expected counts", "--background f.hs"),
        ("expected scattered coincidences", "scatter alone", "--scatter f.hs"),
    ],
)
def test_what_a_sinogram_is_for_follows_from_its_sidecar(said, quantity, meaning, following):
    words = said(sinogram("f.hs", GAPS.mask(), quantity=quantity))
    assert f"quantity {quantity}" in words
    assert meaning in words
    assert following in words


def test_without_a_sidecar_the_numbers_tell(said):
    assert "so counts: taken as prompts" in said(sinogram("f.hs", 2 * GAPS.mask()))
    assert "corrections, the inverse" in said(sinogram("f.hs", np.where(GAPS.mask(), 0.5, 1e20)))
    assert "corrections, the inverse" in said(sinogram("f.hs", np.where(GAPS.mask(), 0.5, np.inf)))
    assert "no whole numbers: factors, expected" in said(sinogram("f.hs", 0.5 * GAPS.mask()))


def test_counts_between_detectors_are_told(said):
    gaps = GAPS.shape[2] * int((~GAPS.mask()).sum())
    assert f"note {2 * gaps:,} of {2 * np.prod(GAPS.shape):,} counts are in bins between" in said(
        sinogram("f.hs", 2)
    )
    assert "counts are in bins between" not in said(sinogram("f.hs", 2 * GAPS.mask()))


def test_numbers_that_no_command_takes_are_misfits_and_have_no_next_command(said):
    negative = np.where(np.arange(GAPS.radial_bins) == 5, -1, 2)[:, None]
    words = said(sinogram("p.hs", negative, quantity="prompts"))
    assert "values that cannot be prompts" in words
    assert "next " not in words


def test_efficiencies_that_are_corrections_are_told(said):
    words = said(sinogram("f.hs", np.where(GAPS.mask(), 1, 1e20), quantity="factors m"))
    assert "as corrections have in gaps; give it as --correction" in words


def test_factors_without_the_number_of_pairs_are_told(said):
    layout = SinogramLayout.of(Scanner.preset("tiny"), span=3)
    sidecar = {"quantity": "factors m"}
    write_sinogram("m.hs", np.ones(layout.shape, np.float32), layout, sidecar=sidecar)
    assert "factors must hold the number of pairs of each bin" in said("m.hs")


def test_numbers_larger_than_the_memory_are_not_read(said, monkeypatch):
    sinogram("f.hs", 2)
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    assert "of memory, where 0.0 GiB are free: not read" in said("f.hs")


@pytest.mark.parametrize(
    ("name", "value", "more", "meaning", "following"),
    [
        ("x.nii", 900, {}, "taken as activity", "--grid-like x.nii"),
        ("x.nii", 0.09, {}, "activity, or attenuation in 1/cm", "--grid-like"),
        ("x.nii", 7, {"unit": "Bq/mL"}, "activity, as its unit says", "--grid-like"),
        ("x.nii", -7, {"unit": "Bq/mL"}, "some of it is negative", "--grid-like"),
        ("x.nii", 0.09, {"unit": "1/cm"}, "attenuation, as its unit says", "--mu-map x.nii"),
        ("mu.nii", 0.0096, {}, "which looks like 1/mm; multiply it by 10", None),
        ("mu.nii", 9.6, {}, "which looks like 1/m; divide it by 100", None),
        ("x.hv", 40, {"unit": "HU"}, "a CT in HU, as its unit says", "countless mu-map x.hv"),
        ("x.nii", -1000, {}, "a CT in HU, as its range says", "countless mu-map x.nii"),
    ],
)
def test_what_an_image_is_follows_from_its_unit_name_and_range(
    said, name, value, more, meaning, following
):
    words = said(image(name, value, **more))
    assert meaning in words
    if following is None:  # of what no command takes
        assert "next " not in words
    else:
        assert following in words.split("next ")[1]


def test_a_ct_without_a_unit_is_known_by_its_range(said):
    array = np.full(GRID.shape, -1000, np.float32)
    array[2:4] = 1200
    write_image("x.nii.gz", array, GRID)
    assert "a CT in HU, as its range says" in said("x.nii.gz")


def test_a_folder_without_dicom_is_refused(said, tmp_path):
    (tmp_path / "ct").mkdir()
    assert "ct has no DICOM images among its files" in said("ct", code=2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data format": "image"}, "is a Siemens header of `image`; give that of a sinogram"),
        ({"data format": None}, "is a Siemens header of no `data format`"),
    ],
)
def test_another_header_of_the_scanner_is_refused(said, tmp_path, changes, words):
    written(tmp_path / "scan.hdr", SINOGRAM_HEADER, changes)
    assert words in said("scan.hdr", code=2)
