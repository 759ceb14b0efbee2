import nibabel
import numpy as np
import pytest

from recon.grid import Grid
from recon.io import FileError
from recon.io.nifti import like, read_nifti, write_nifti

# Where scanner point (30, -20, 14) mm lies in a patient, (right, anterior, superior), by hand:
# lying head first supine, x leads left, y back, z to the feet; and so on as recon.grid says.
POSITIONS = {
    "HFS": (-30, 20, -14),
    "HFP": (30, -20, -14),
    "FFS": (30, 20, 14),
    "FFP": (-30, -20, 14),
}

# From indices to mm (right, anterior, superior): common, radiological, and axes in another order.
AFFINES = {
    "RAS": np.array([[2.0, 0, 0, -11], [0, 3, 0, -7], [0, 0, 4, 5], [0, 0, 0, 1]]),
    "LPS": np.array([[-2.0, 0, 0, 11], [0, -3, 0, 7], [0, 0, 4, -5], [0, 0, 0, 1]]),
    "SRP": np.array([[0, 3.0, 0, -11], [0, 0, -4, 7], [2, 0, 0, -5], [0, 0, 0, 1]]),
}


def marker(position="HFS"):
    """A grid off centre with one voxel set, at scanner (30, -20, 14) mm."""
    grid = Grid(
        shape=(9, 8, 7), voxel_mm=(5, 4, 2), origin_mm=(10, -28, 6), patient_position=position
    )
    array = np.zeros(grid.shape, np.float32)
    array[4, 2, 4] = 1
    return array, grid


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_marker_lands_at_its_place_in_the_patient(tmp_path, position, suffix):
    array, grid = marker(position)
    path = tmp_path / f"image{suffix}"
    write_nifti(path, array, grid, unit="Bq/mL")
    image = nibabel.load(path)
    index = np.unravel_index(np.argmax(image.get_fdata()), image.shape)
    assert (image.affine @ [*index, 1])[:3].tolist() == list(POSITIONS[position])
    np.testing.assert_array_equal(image.get_sform(), image.get_qform())


@pytest.mark.parametrize("position", POSITIONS)
def test_what_is_written_comes_back_bit_for_bit(tmp_path, rng, position):
    _, grid = marker(position)
    array = rng.standard_normal(grid.shape, dtype=np.float32)
    write_nifti(tmp_path / "image.nii.gz", array, grid)
    back, back_grid, frame = read_nifti(tmp_path / "image.nii.gz", position)
    assert back_grid == grid
    assert back.tobytes() == array.tobytes() == frame(back).tobytes()


def reference_image(tmp_path, rng, name, dtype=np.float32):
    stored = rng.random((4, 5, 6)).astype(dtype)
    path = tmp_path / f"{name}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(stored, AFFINES[name]), path)
    return path, stored


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("name", AFFINES)
def test_every_index_order_is_read_to_the_same_places(tmp_path, rng, name, position):
    path, stored = reference_image(tmp_path, rng, name)
    array, grid, _ = read_nifti(path, position)
    for index in [(0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (1, 2, 3)]:
        world = AFFINES[name] @ [*index, 1]
        here = np.linalg.solve(grid.affine, world)[:3].round().astype(int)
        np.testing.assert_allclose(grid.affine @ [*here, 1], world, atol=1e-9)
        assert array[tuple(here)] == stored[index]


@pytest.mark.parametrize("name", AFFINES)
def test_an_image_like_another_has_its_shape_index_order_and_affine(tmp_path, rng, name):
    path, stored = reference_image(tmp_path, rng, name)
    grid, frame = like(path)
    array, same_grid, _ = read_nifti(path)
    assert same_grid == grid
    write_nifti(tmp_path / "out.nii.gz", array, grid, frame=frame)
    image = nibabel.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(image.affine, AFFINES[name])
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), stored)


def test_a_rotated_image_is_refused_with_advice(tmp_path):
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.float32), affine), tmp_path / "r.nii")
    with pytest.raises(FileError, match=r"r\.nii: .*axes along the patient's.*resample"):
        read_nifti(tmp_path / "r.nii")


def test_lengths_in_metres_become_millimetres(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.float32), np.diag([0.002, 0.003, 0.004, 1]))
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "image.nii")
    assert like(tmp_path / "image.nii")[0].voxel_mm == pytest.approx((2, 3, 4))


def test_a_last_axis_of_one_frame_is_dropped(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4, 1), np.float32), np.eye(4))
    nibabel.save(image, tmp_path / "image.nii")
    assert read_nifti(tmp_path / "image.nii")[0].shape == (2, 3, 4)


def test_several_frames_are_refused(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4, 5), np.float32), np.eye(4))
    nibabel.save(image, tmp_path / "image.nii")
    with pytest.raises(FileError, match=r"three axes, got the shape \(2, 3, 4, 5\)"):
        read_nifti(tmp_path / "image.nii")


def test_what_is_no_nifti_image_is_refused(tmp_path):
    (tmp_path / "image.nii.gz").write_bytes(b"not an image")
    with pytest.raises(FileError, match=r"image\.nii\.gz is not a NIfTI image"):
        read_nifti(tmp_path / "image.nii.gz")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileError, match=r"absent\.nii cannot be read: there is no such file"):
        like(tmp_path / "absent.nii")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_an_image_that_was_cut_short_is_refused(tmp_path, rng, suffix):
    path = tmp_path / f"image{suffix}"
    array = rng.random((20, 20, 20), dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileError, match="cut short or damaged"):
        read_nifti(path)


def test_the_sidecar_lies_beside_the_image(tmp_path):
    array, grid = marker()
    write_nifti(tmp_path / "image.nii.gz", array, grid, sidecar={"unit": "Bq/mL"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.json", "image.nii.gz"]


def test_a_write_that_fails_leaves_neither_image_nor_sidecar(tmp_path, monkeypatch):
    array, grid = marker()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(nibabel, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        write_nifti(tmp_path / "image.nii.gz", array, grid, sidecar={})
    assert list(tmp_path.iterdir()) == []


def test_an_array_of_another_shape_is_not_written(tmp_path):
    array, grid = marker()
    with pytest.raises(ValueError, match=r"the grid's shape \(9, 8, 7\), got \(8, 8, 7\)"):
        write_nifti(tmp_path / "image.nii", array[1:], grid)
