"""Headers of an mMR's list mode and sinograms, and the sinograms' numbers."""

import numpy as np
import pytest

from recon.io import FileError
from recon.io.siemens import read_layout, read_list_mode, read_sinogram
from tests.recon.io.mmr import LIST_HEADER, SINOGRAM_HEADER, as_bytes, event, tag, written

WORDS = as_bytes([tag(0), event(10, 172, 5), tag(1)])
# 64 + 63 + 63 planes of 252 views of 5 radial bins, twice: prompts, randoms.
PROMPTS = np.arange(190 * 252 * 5).reshape(190, 252, 5) % 30011
RANDOMS = PROMPTS[::-1] // 7
DATA = PROMPTS.astype("<i2").tobytes() + RANDOMS.astype("<i2").tobytes()
assert RANDOMS.size * 4 == len(DATA)
SECOND = 190 * 252 * 5 * 2


@pytest.fixture
def list_header(tmp_path):
    """Writes scan.l.hdr, with data unless told otherwise."""
    return lambda changes=None, data=WORDS: written(
        tmp_path / "scan.l.hdr", LIST_HEADER, changes, data
    )


@pytest.fixture
def sinogram_header(tmp_path):
    """Writes scan.s.hdr and scan.s."""
    return lambda changes=None, data=DATA: written(
        tmp_path / "scan.s.hdr", SINOGRAM_HEADER, changes, data
    )


def test_a_list_header_gives_the_study(list_header):
    info = read_list_mode(list_header()).info
    assert info == {
        "isotope": "F-18",
        "half_life_s": 6586.2,
        "branching_ratio": 0.97,
        "patient_position": "HFS",
        "energy_window_kev": (430.0, 610.0),
        "study_time": "2017-03-27T17:00:35+00:00",
        "originating_system": "Siemens mMR",
        "notes": [],
    }


def test_a_list_is_of_the_mmr_with_span_1(list_header):
    events = read_list_mode(list_header())
    assert events.scanner.name == "Siemens mMR"
    assert events.layout.shape == (252, 344, 4084)
    assert [s.max_ring_difference for s in events.layout.segments[:4]] == [0, -1, 1, -2]


def test_a_sinograms_header_gives_the_singles_of_its_buckets(sinogram_header):
    rates = {"%bucket singles rate[1]": 24_000, "%bucket singles rate[2]": 16_008}
    info = read_layout(sinogram_header({"%number of buckets": 2, **rates}))[1]
    assert info["singles_per_s"] == [24_000, 16_008]
    assert "singles_per_s" not in read_layout(sinogram_header({"%number of buckets": 2}))[1]


def test_stray_carriage_returns_change_nothing(list_header):
    path = list_header()
    expected = read_list_mode(path).info
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\r\n"))
    assert read_list_mode(path).info == expected


def test_a_position_that_is_no_supine_or_prone_one_is_told(list_header):
    events = read_list_mode(list_header({"%patient orientation": "FFDR"}))
    assert events.info["patient_position"] == "HFS"
    assert events.notes == ["the patient's position is `FFDR`: taken as head first, supine"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"originating system": "1094"}, "is of the scanner `1094`; of Siemens's own files"),
        ({"data format": "sinogram"}, "not the header of list mode of an mMR but of a sinogram,"),
        ({"data format": None}, "`data format` is absent"),
        ({"name of data file": "other.l"}, r"\(line 4\) is `other.l`, which is not in"),
        ({"name of data file": None}, "lacks the key `name of data file`, which is needed"),
        ({"%LM event and tag words format (bits)": "48"}, "takes 32, got `48`"),
        ({"%axial compression": "11"}, "has lost its crystals"),
        ({"number of rings": "55"}, "takes 64, as the mMR has, got `55`"),
        ({"%number of views": "126"}, "takes the 252 views of 504 crystals per ring, got `126`"),
        ({"%maximum ring difference": "64"}, "max_ring_difference takes 0 to 63"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(list_header, changes, message):
    with pytest.raises(FileError, match=message):
        read_list_mode(list_header(changes))


def test_a_list_without_a_word_is_refused(list_header):
    with pytest.raises(FileError, match=r"scan.l has 3 bytes and so not one word"):
        read_list_mode(list_header(data=b"abc"))


def test_data_in_place_of_a_header_are_refused(tmp_path):
    (tmp_path / "scan.l").write_bytes(WORDS)
    with pytest.raises(FileError, match=r"is not an Interfile header.*\.hdr\), not the data file"):
        read_list_mode(tmp_path / "scan.l")


def test_a_header_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        read_list_mode(tmp_path / "scan.l.hdr")


def test_a_sinogram_has_its_two_data_sets_with_planes_last(sinogram_header):
    path = sinogram_header()
    prompts, layout, info = read_sinogram(path)
    delayeds = read_sinogram(path, dataset="delayeds")[0]
    assert layout.shape == prompts.shape == (252, 5, 190)
    np.testing.assert_array_equal(prompts, PROMPTS.transpose(1, 2, 0))
    np.testing.assert_array_equal(delayeds, RANDOMS.transpose(1, 2, 0))
    assert prompts.dtype == np.float32
    assert (info["duration_s"], info["number_type"]) == (60.0, "<i2")


def test_segments_of_a_sinogram_are_0_minus_1_plus_1(sinogram_header):
    layout, _ = read_layout(sinogram_header())
    assert [s.min_ring_difference for s in layout.segments] == [0, -1, 1]
    assert [s.planes for s in layout.segments] == [64, 63, 63]


def test_a_sinogram_of_span_11_has_837_planes(sinogram_header):
    changes = {
        "%axial compression": 11,
        "%maximum ring difference": 60,
        "matrix size [1]": 1,
        "matrix size [3]": 837,
        "%segment table": "{127,115,115,93,93,71,71,49,49,27,27}",
        "number of scan data types": 1,
    }
    values = np.arange(837 * 252, dtype="<i2")
    path = sinogram_header(changes, values.tobytes())
    prompts, layout, _ = read_sinogram(path)
    assert layout.planes == 837
    np.testing.assert_array_equal(prompts[:, 0].T.ravel(), values)
    expected = r"has prompts alone \(`number of scan data types` \(line 18\)\), where delayed"
    with pytest.raises(FileError, match=expected):
        read_sinogram(path, dataset="delayeds")


def test_the_place_of_the_second_data_set_is_the_headers(sinogram_header):
    data = DATA[:SECOND] + b"gap!" + DATA[SECOND:]
    path = sinogram_header({"data offset in bytes [2]": SECOND + 4}, data)
    delayeds = read_sinogram(path, dataset="delayeds")[0]
    np.testing.assert_array_equal(delayeds, RANDOMS.transpose(1, 2, 0))


def test_a_compressed_sinogram_is_refused_with_what_to_do(sinogram_header):
    path = sinogram_header({"%compression": "on"}, data=DATA[:1000])
    expected = r"compressed this sinogram, by a scheme that is not public; export it again"
    with pytest.raises(FileError, match=expected):
        read_sinogram(path)
    assert "compressed this sinogram" in read_layout(path)[1]["notes"][0]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"%segment table": "{64,63}"}, r"takes the planes of span 1, \[64, 63, 63\]"),
        ({"matrix size [3]": "837"}, "takes 190 planes, as span 1 has them, got `837`"),
        ({"scan data type description [1]": "corrected prompts"}, "takes `prompts`"),
        ({"data offset in bytes [2]": None}, r"lacks the key `data offset in bytes \[2\]`"),
        ({"data format": "CoincidenceList"}, "not the header of a sinogram.*`countless histogram`"),
        ({"number of bytes per pixel": "4"}, r"bytes, where .* says 1,436,400"),
        ({"%number of TOF time bins": "33"}, "takes 1, as the mMR has"),
    ],
)
def test_a_sinogram_that_cannot_be_used_is_refused(sinogram_header, changes, message):
    with pytest.raises(FileError, match=message):
        read_sinogram(sinogram_header(changes))


def test_a_sinogram_cut_short_is_refused_with_both_sizes(sinogram_header):
    with pytest.raises(FileError, match=r"has 957,598 bytes, where .* says 957,600"):
        read_sinogram(sinogram_header(data=DATA[:-2]))


def test_a_missing_key_is_not_blamed_on_a_likeness_with_one_of_stirs(sinogram_header):
    # `%matrix size` is no misspelt `matrix size`.
    path = sinogram_header({"%axial compression": None, "%matrix size [2]": 252})
    with pytest.raises(FileError, match="lacks the key `%axial compression`, which is needed"):
        read_layout(path)
