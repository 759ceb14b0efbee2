"""What a data file's header says of its events."""

import pytest

from recon.io import FileError
from recon.io.castor_data import header_text, read_data_header, study
from recon.io.castor_header import read_keys
from tests.recon.io.castor import POSITION, written

ALL = {
    "Attenuation correction flag": 1, "Coincidence kind flag": 1, "Scatter correction flag": 1,
    "Random correction flag": 1, "Normalization correction flag": 1, "TOF information flag": 1,
    "Maximum number of lines per event": 3,
}
HISTOGRAM = {"Data mode": "histogram", "Histo TOF number of bins": 4}


def record(folder, mode, changes):
    return read_data_header(written(folder, changes), mode).record


def test_an_event_is_a_time_and_two_crystals(tmp_path):
    assert record(tmp_path, "list", {}).itemsize == 4 + 2 * 4


def test_fields_of_a_list_stand_in_castors_order(tmp_path):
    found = record(tmp_path, "list", ALL)
    assert [(name, found.fields[name][1]) for name in found.names] == [
        ("time_ms", 0), ("acf", 4), ("kind", 8), ("scatter", 9), ("random", 13), ("norm", 17),
        ("tof_ps", 21), ("lines", 25), ("pairs", 27),
    ]
    assert found.itemsize == 27 + 3 * 8


def test_points_of_interaction_stand_before_the_lines(tmp_path):
    known = {"POI correction flag": 1, "POI capability": "-1.,-1.,2.5"}
    found = record(tmp_path, "list", known)
    assert found.names == ("time_ms", "poi_axial", "pairs") and found.itemsize == 20


def test_fields_of_a_histogram_stand_in_castors_order(tmp_path):
    found = record(tmp_path, "histogram", ALL | HISTOGRAM | {"Coincidence kind flag": 0})
    assert [(name, found.fields[name][1]) for name in found.names] == [
        ("time_ms", 0), ("acf", 4), ("random", 8), ("norm", 12), ("bins", 16), ("lines", 48),
        ("pairs", 50),
    ]
    assert found["bins"].base.names == ("counts", "scatter") and found["bins"].shape == (4,)


def test_the_data_lie_beside_a_header_that_names_another_machines_path(tmp_path):
    path = written(tmp_path, {"Data filename": "/no/such/folder/scan.cdf"})
    assert read_data_header(path, "list").data == tmp_path / "scan.cdf"


def test_a_header_as_others_write_it_is_read(tmp_path):
    """Keys as CASToR's converter of GATE's files and its users' scripts write them."""
    path = tmp_path / "sensitivity_lm_Modular_df.Cdh"
    path.write_text(
        "Data filename: sensitivity_lm_Modular_df.Cdf\nNumber of events: 2\nData mode: list-mode\n"
        "Data type: PET\nStart time (s): 0\nDuration (s): 100000\nScanner name: Modular\n"
        "Calibration factor: 1\nIsotope: unknown\nlsotope: unknown\n"
        "TOF information flag: 1\nTOF resolution (ps): 300\nPer event TOF resolution flag: 0\n"
        "List TOF measurement range (ps): 20000.\n"
    )
    path.with_suffix(".Cdf").write_bytes(bytes(32))
    header = read_data_header(path, "list")
    assert (header.record.names, header.duration_s) == (("time_ms", "tof_ps", "pairs"), 100000)
    assert header.whole_events() == (2, [])
    assert header.study == {"start_s": 0, "duration_s": 100000, "patient_position": "HFS"}
    assert header.notes == ["keys that CASToR does not know: lsotope (line 10)", POSITION]


def test_what_the_header_says_and_we_do_not_apply_is_told(tmp_path):
    keys = {"Calibration factor": 2.5, "Horizontal bed relative position (mm)": -12}
    _, calibration, bed = read_data_header(written(tmp_path, keys), "list").notes
    assert "the calibration factor 2.5 of" in calibration and "-12 mm from" in bed


def test_the_isotope_is_the_studys(tmp_path):
    header = read_data_header(written(tmp_path, {"Isotope": "F-18"}), "list")
    assert header.study["isotope"] == "F-18"


def test_data_cut_short_are_used_as_far_as_they_go(tmp_path):
    count, notes = read_data_header(written(tmp_path, data=bytes(35)), "list").whole_events()
    assert count == 2 and "has 2 of the 3 events that its header promises" in notes[0]


@pytest.mark.parametrize("size", [0, 11, 37, 48])
def test_data_that_are_not_the_headers_are_refused(tmp_path, size):
    header = read_data_header(written(tmp_path, data=bytes(size)), "list")
    with pytest.raises(FileError, match=r"says 36 \(3 events of 12 bytes: time_ms, pairs\)"):
        header.whole_events()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"Number of events": None}, "lacks the key `Number of events`"),
        ({"Data mode": None, "data mode": "list-mode"}, "case-sensitive"),
        ({"Data mode": "histogram"}, r"is histogram, where a list of events \("),
        ({"Data mode": "norm"}, "is normalization, where a list"),
        ({"Data mode": "movie"}, "takes list-mode or histogram"),
        ({"Data type": "SPECT"}, "takes PET"),
        ({"Data filename": "other.cdf"}, "`other.cdf`, which is not in"),
        ({"Duration (s)": "-1"}, "at least 0"),
        ({"TOF information flag": "true"}, "takes 0 or 1"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(tmp_path, changes, message):
    with pytest.raises(FileError, match=message):
        read_data_header(written(tmp_path, changes), "list")


@pytest.mark.parametrize("ours", ['{"study": 5}', '{"layout": "x", "study": {}}', '{"study": []}'])
def test_what_countless_wrote_beside_the_keys_must_have_names_and_values(tmp_path, ours):
    path = written(tmp_path)
    path.write_text(path.read_text() + f"# countless {ours}\n")
    with pytest.raises(FileError, match=r"takes names and values for `(study|layout)`, got"):
        read_data_header(path, "list")


def test_a_list_is_no_histogram(tmp_path):
    with pytest.raises(FileError, match="is list, where a histogram"):
        read_data_header(written(tmp_path), "histogram")


def test_a_header_that_was_written_says_the_same(tmp_path):
    info = {"start_s": 1.5, "duration_s": 0.1, "isotope": "Ga-68", "patient_position": "FFP",
            "half_life_s": 4062.6, "branching_ratio": 0.89}
    text = header_text("list-mode", scanner_name="PET_hand", data_name="scan.cdf", events=3,
                       info=info, lines=2, flags=("norm", "acf"), ours=study(info))
    path = written(tmp_path)
    path.write_text(text)
    header = read_data_header(path, "list")
    assert header.study == info and header.events == 3 and not header.notes
    assert header.record.names == ("time_ms", "acf", "norm", "lines", "pairs")
    assert read_keys(path).text("Isotope") == "Ga-68"
