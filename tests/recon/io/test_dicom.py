import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from recon.grid import Grid
from recon.io import FileError, read_image
from recon.io.dicom import read_ct
from recon.mu_map_command import mu_map

COLUMNS, ROWS, SLICES = 6, 5, 4
BETWEEN_COLUMNS, BETWEEN_ROWS, STEP = 2.0, 3.0, 4.0
CORNER = np.array([-10.0, 20.0, -50.0])  # (left, posterior, superior) of the first pixel
# Where the row, the column and the slice index lead, (left, posterior, superior).
ORIENTATIONS = {
    "axial": ([1, 0, 0], [0, 1, 0], [0, 0, 1]),
    "axial, feet first": ([-1, 0, 0], [0, 1, 0], [0, 0, -1]),
    "coronal": ([1, 0, 0], [0, 0, -1], [0, 1, 0]),
    "sagittal": ([0, 1, 0], [0, 0, -1], [-1, 0, 0]),
}


def write_slice(path, stored, corner, *, orientation="axial", series="1.2.3", **changes):
    """A CT slice; changes set DICOM's attributes, None removes one."""
    ct = pydicom.uid.CTImageStorage
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ct
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    header = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    along_row, along_column, _ = ORIENTATIONS[orientation]
    values = {
        "SOPClassUID": ct,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "SeriesInstanceUID": series,
        "SeriesDescription": "AC CT",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "PatientPosition": "HFS",
        "KVP": "120",
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "PixelSpacing": [BETWEEN_ROWS, BETWEEN_COLUMNS],
        "ImageOrientationPatient": [*along_row, *along_column],
        "ImagePositionPatient": [f"{value:.6g}" for value in corner],
        "RescaleSlope": "2",
        "RescaleIntercept": "-1024",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "PixelData": stored.astype("<u2").tobytes(),
    }
    for name, value in (values | changes).items():
        if value is not None:
            setattr(header, name, value)
    header.save_as(path, enforce_file_format=True)


@pytest.fixture
def series(tmp_path):
    """Writes a series under shuffled names; gives the folder and what is stored, (s, r, c)."""

    def write(*, slices=range(SLICES), orientation="axial", changes=None, step=None, **all_slices):
        stored = np.arange(SLICES * ROWS * COLUMNS).reshape(SLICES, ROWS, COLUMNS) % 500
        along_slice = np.array(ORIENTATIONS[orientation][2], float)
        names = np.random.default_rng(3).permutation(SLICES)
        for index in slices:
            corner = CORNER + index * (STEP * along_slice if step is None else np.array(step))
            each = {"orientation": orientation} | all_slices | (changes or {}).get(index, {})
            corner = each.pop("corner", corner)
            write_slice(tmp_path / f"IM{names[index]:04}", stored[index], corner, **each)
        return tmp_path, stored

    return write


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_pixel_lands_at_its_place_in_the_patient(series, orientation):
    folder, stored = series(orientation=orientation)
    array, grid, _ = read_ct(folder)
    row, column, along = np.array(ORIENTATIONS[orientation], float)
    for s, r, c in [(0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (2, 1, 3)]:
        left, posterior, superior = (
            CORNER + c * BETWEEN_COLUMNS * row + r * BETWEEN_ROWS * column + s * STEP * along
        )
        world = [-left, -posterior, superior, 1]
        here = np.linalg.solve(grid.affine, world)[:3]
        np.testing.assert_allclose(here, here.round(), atol=1e-9)
        assert array[tuple(here.round().astype(int))] == 2 * stored[s, r, c] - 1024


def test_a_marker_on_the_left_at_the_back_and_above_is_found_there(series):
    # By hand, supine head first: column 5 is left -10 + 5 x 2 = 0, row 4 is back 20 + 4 x 3 = 32,
    # slice 3 is up -50 + 3 x 4 = -38; right is -left, front is -back.
    folder, stored = series()
    array, grid, _ = read_ct(folder)
    index = np.argwhere(array == 2 * stored[3, 4, 5] - 1024)
    assert [(grid.affine @ [*i, 1])[:3].tolist() for i in index] == [[0, -32, -38]]


def test_the_grid_has_the_slices_own_voxels(series):
    _, grid, info = read_ct(series()[0])
    assert (grid.shape, grid.voxel_mm) == ((COLUMNS, ROWS, SLICES), (2, 3, 4))
    assert isinstance(grid, Grid)
    assert (info["kvp"], info["series"], info["notes"]) == (120, "AC CT", [])
    assert len(info["files"]) == SLICES


def test_each_slice_has_its_own_rescale(series):
    folder, _ = series(changes={1: {"RescaleSlope": "0", "RescaleIntercept": "77"}})
    array, _, _ = read_ct(folder)
    # Slices go up, z of a patient head first supine goes down.
    assert (array[:, :, SLICES - 2] == 77).all()
    assert (array[:, :, SLICES - 1] != 77).any()


def test_signed_pixels_are_read_as_such(series):
    folder, _ = series(
        PixelRepresentation=1,
        RescaleSlope="1",
        RescaleIntercept="0",
        PixelData=np.full((ROWS, COLUMNS), -1000, "<i2").tobytes(),
    )
    assert (read_ct(folder)[0] == -1000).all()


def test_a_patient_position_without_a_grid_is_said(series):
    folder, _ = series(PatientPosition="HFDL")
    _, grid, info = read_ct(folder)
    assert grid.patient_position == "HFS"
    assert info["notes"][0].startswith("patient position HFDL")


def test_other_files_and_scouts_are_left_out_and_said(series):
    folder, _ = series()
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "DICOMDIR").write_bytes(b"x")
    write_slice(folder / "report", np.zeros((1, 1)), CORNER, Modality="SR", Rows=None)
    scout = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write_slice(folder / "scout", np.zeros((9, 9)), CORNER, series="1.2.9", ImageType=scout)
    array, _, info = read_ct(folder)
    assert array.shape == (COLUMNS, ROWS, SLICES)
    assert info["notes"] == ["files that are not slices left out: 3, such as notes.txt"]


def test_slices_missing_at_an_end_are_told_where_headers_count_them(series):
    folder, _ = series(slices=[0, 1, 2], ImagesInAcquisition="5")
    said = "3 of the 5 slices that the headers speak of are there: some at an end may be missing"
    assert read_ct(folder)[2]["notes"] == [said]


def test_a_missing_slice_is_counted_and_placed(series):
    folder, _ = series(slices=[0, 1, 3])
    with pytest.raises(FileError, match=r"lacks 1 of 4 slices, the first between -46 and -38 mm"):
        read_ct(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corner": np.add(CORNER, [0, 0, 9.5])}, r"evenly spaced slices, found 4 mm and"),
        ({"corner": np.add(CORNER, [0, 0, 4])}, r"two slices at the same place"),
        ({"corner": np.add(CORNER, [3, 0, 8])}, r"some \d.* mm aside"),
        ({"series": "1.2.4"}, r"takes one series, found 2 \('AC CT' with"),
        ({"Modality": "MR"}, r"takes modality CT, found MR"),
        ({"KVP": "100"}, r"found KVP"),
        ({"PixelSpacing": [1, 1]}, r"found PixelSpacing"),
        ({"RescaleIntercept": None}, r"lacks RescaleIntercept"),
        ({"ImagePositionPatient": None}, r"lacks ImagePositionPatient"),
        ({"ImagePositionPatient": [1, 2]}, r"takes 3 numbers as ImagePositionPatient, found"),
        ({"ImageOrientationPatient": [1, 0, 0]}, r"takes 6 numbers as ImageOrientationPatient"),
        ({"PixelSpacing": "3"}, r"IM000. takes 2 numbers as PixelSpacing, found 3; export"),
        ({"RescaleType": "OD"}, r"rescale type HU, found OD"),
        ({"NumberOfFrames": "3"}, r"found 3 frames"),
        ({"PixelData": b"\0" * 4}, r"its pixels cannot be read"),
    ],
)
def test_a_slice_that_does_not_fit_is_refused(series, change, message):
    folder, _ = series(changes={2: change})
    with pytest.raises(FileError, match=message):
        read_ct(folder)


def test_pixels_that_fail_without_a_word_are_refused_with_the_kind_of_error(series, monkeypatch):
    def fails(dataset):
        raise AssertionError

    folder, _ = series()
    monkeypatch.setattr(pydicom.dataset.FileDataset, "pixel_array", property(fails))
    with pytest.raises(FileError, match=r"its pixels cannot be read \(AssertionError\); the file"):
        read_ct(folder)


def test_a_tilted_gantry_is_refused_with_its_angle(series):
    # Slices are axial, and follow each other 4 mm up and 0.7053 mm to the back: 10 degrees.
    folder, _ = series(step=[0, STEP * np.tan(np.radians(10)), STEP])
    with pytest.raises(FileError, match=r"found 10 degrees off: a tilted gantry"):
        read_ct(folder)


def test_slices_of_a_turned_patient_axis_are_refused(series):
    turn = [np.cos(0.2), np.sin(0.2), 0, -np.sin(0.2), np.cos(0.2), 0]
    folder, _ = series(ImageOrientationPatient=[f"{value:.8f}" for value in turn])
    with pytest.raises(FileError, match="axes along the patient's"):
        read_ct(folder)


def test_one_slice_is_no_series(series):
    folder, _ = series(slices=[0])
    with pytest.raises(FileError, match="found one"):
        read_ct(folder)


def test_a_slice_cut_within_its_header_is_refused(series):
    folder, _ = series()
    path = folder / "IM0001"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(FileError, match=r"IM0001"):
        read_ct(folder)


def test_a_scanners_own_series_lies_where_its_header_says():
    # A GE scanner's, cut to 16 x 16 pixels; it comes with pydicom.
    folder = Path(pydicom.__file__).parent / "data/test_files/dicomdirtests/98892001/CT5N"
    array, grid, info = read_ct(folder)
    assert (array.shape, info["kvp"], grid.patient_position) == ((16, 16, 5), 120, "FFS")
    first, last = (pydicom.dcmread(folder / name) for name in ("3353", "2062"))
    for header, superior in ((first, -1.2375), (last, 8.7625)):
        index = np.linalg.solve(grid.affine, [72.199997, 143, superior, 1])[:3]
        pixel = header.pixel_array[0, 0] * header.RescaleSlope + header.RescaleIntercept
        assert array[tuple(index.round().astype(int))] == pixel


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path, make):
    folder = tmp_path / "ct"
    if make:
        folder.mkdir()
    with pytest.raises(FileError, match=r"give the (folder they lie in|series' folder)"):
        read_ct(folder)


def test_without_pydicom_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(FileError, match=r"pip install 'countless\[dicom\]'"):
        read_ct(tmp_path)


def test_a_mu_map_of_a_series_takes_its_voltage_from_the_slices(series, tmp_path_factory):
    # Stored 512 x 2 - 1024 is water; corners of air make it a CT.
    stored = np.full((ROWS, COLUMNS), 512, "<u2")
    stored[0, 0] = 12
    folder, _ = series(PixelData=stored.tobytes())
    output = tmp_path_factory.mktemp("out") / "mu.nii.gz"
    mu_map(folder, output=output)
    array, grid, info = read_image(output)
    assert grid == read_ct(folder)[1]
    assert (info["unit"], array.max()) == ("1/cm", pytest.approx(0.096, rel=1e-5))
    with pytest.raises(FileError, match="120 kVp, and --kvp says 100"):
        mu_map(folder, output=output, kvp=100)
