"""Reading a study's data set: pairs by split, whole images and patches, from any process."""

import pickle

import numpy as np
import pytest

from recon.io import FileError
from recon.io.provenance import write_json
from sim import dataset_file
from sim.dataset import OPEN_FILES, Pair, open_study
from sim.study_file import read_study
from tests.sim.studies import write

SHAPE = 19, 19, 5  # of images of the study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of two doses and two realisations, whose images are random numbers."""
    folder = tmp_path_factory.mktemp("data")
    study = read_study(write(folder, factors="[4, 20]", realisations=2, count=OPEN_FILES + 3))
    rng = np.random.default_rng(1)
    records = []
    for number in range(1, study.phantoms.count + 1):
        path = folder / f"phantom-{number:04d}.h5"
        with dataset_file.creating(path) as file:
            for name, kind in (("truth", "f4"), ("ct", "f4"), ("labels", "u2")):
                dataset_file.add(file, name, rng.integers(0, 9, SHAPE).astype(kind), "")
            for images in dataset_file.add_images(file, 2, 2, SHAPE):
                images[...] = rng.random(images.shape)
            file.attrs["factors"] = study.doses.factors
            dataset_file.finish(file)
        records.append({"number": number, "file": path.name})
    split = study.split.of(study.phantoms.count)
    index = {"recipe": study.recipe(),
             "phantoms": [r | {"split": s} for r, s in zip(records, split, strict=True)]}
    write_json(folder / "study.json", index)
    return folder


@pytest.fixture
def data(folder):
    with open_study(folder) as data:
        yield data


def test_splits_share_no_phantom_and_leave_none_out(data):
    numbers = [number for split in data.numbers.values() for number in split]
    assert sorted(numbers) == list(range(1, OPEN_FILES + 4))


def test_pairs_are_those_of_a_split_and_a_dose(data):
    pairs = data.pairs("test", 20.0)
    assert {pair.number for pair in pairs} == set(data.numbers["test"])
    assert len(pairs) == 2 * len(data.numbers["test"])
    assert {pair.factor for pair in pairs} == {20.0}


def test_all_pairs_are_every_phantom_dose_and_realisation(data):
    assert len(set(data.pairs())) == (OPEN_FILES + 3) * 2 * 2


def test_a_pair_has_the_low_dose_and_the_standard_dose_of_its_realisation(data):
    images = data.read(Pair(number=2, factor=20.0, realisation=1))
    file = data.file(2)
    np.testing.assert_array_equal(images["low"], file["low"][1, 1])
    np.testing.assert_array_equal(images["standard"], file["standard"][1])
    assert {image.shape for image in images.values()} == {SHAPE}


def test_a_patch_is_a_box_of_the_same_place_in_all_images(data, rng):
    whole = data.read(Pair(number=1, factor=4.0, realisation=0))
    patch = data.patch(Pair(number=1, factor=4.0, realisation=0), (8, 7, 5), rng)
    windows = np.lib.stride_tricks.sliding_window_view(whole["low"], (8, 7, 5))
    (corner,) = np.argwhere((windows == patch["low"]).all((-1, -2, -3)))
    box = tuple(slice(c, c + n) for c, n in zip(corner, (8, 7, 5), strict=True))
    for name, image in whole.items():
        np.testing.assert_array_equal(patch[name], image[box])


def test_patches_reach_every_corner_of_an_image(data, rng):
    pair = Pair(number=1, factor=4.0, realisation=0)
    whole = data.read(pair, ("low",))["low"]
    seen = np.concatenate([data.patch(pair, (18, 18, 4), rng, ("low",))["low"].ravel()
                           for _ in range(100)])
    assert np.isin(whole[[0, 0, -1, -1], [0, -1, 0, -1], [0, -1, -1, 0]], seen).all()


def test_a_patch_larger_than_the_images_is_refused(data, rng):
    with pytest.raises(ValueError, match=r"up to the images' \(19, 19, 5\), got \(32, 32, 32\)"):
        data.patch(data.pairs()[0], (32, 32, 32), rng)


def test_a_reader_goes_to_another_process_without_its_open_files(data):
    pair = data.pairs()[0]
    before = data.read(pair, ("low",))["low"]
    with pickle.loads(pickle.dumps(data)) as copy:
        np.testing.assert_array_equal(copy.read(pair, ("low",))["low"], before)


def test_more_files_than_may_be_open_are_read_all_the_same(data):
    for pair in data.pairs(factor=4.0):
        data.read(pair, ("truth",))
    assert data.read(data.pairs()[0], ("truth",))["truth"].shape == SHAPE


def test_a_factor_that_the_study_does_not_have_is_refused_with_those_it_has(data):
    with pytest.raises(ValueError, match=r"a factor out of 4\.0, 20\.0, got 5"):
        data.pairs(factor=5)


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(FileError, match="holds no study"):
        open_study(tmp_path)


def test_a_file_that_is_no_hdf5_is_refused(tmp_path):
    path = tmp_path / "phantom-0001.h5"
    path.write_text("half")
    with pytest.raises(FileError, match="cannot be read as a phantom's file"):
        dataset_file.opened(path)


def test_a_file_that_was_not_finished_is_refused(tmp_path):
    with dataset_file.creating(tmp_path / "a.h5") as file:
        dataset_file.add(file, "truth", np.zeros(SHAPE, np.float32), "Bq/mL")
    with pytest.raises(FileError, match="no whole file"):
        dataset_file.opened(tmp_path / "a.h5")


def test_the_hash_changes_with_a_value_a_name_and_a_type(tmp_path):
    def digest(name, values):
        with dataset_file.creating(tmp_path / "a.h5") as file:
            dataset_file.add(file, name, values, "")
            return dataset_file.finish(file)

    zeros = np.zeros(SHAPE, np.float32)
    other = zeros.copy()
    other[-1, -1, -1] = 1
    made = [digest("truth", zeros), digest("truth", other), digest("ct", zeros),
            digest("truth", zeros.view(np.int32))]
    assert len(set(made)) == 4
    assert digest("truth", zeros) == made[0]
