import numpy as np
import pytest

from benchmarks.detectability import dog_channels, outputs
from benchmarks.detection import Lesions, check_twin, detected, observe, validated
from benchmarks.methods import find_methods
from benchmarks.regions import Regions
from recon.io import FileError
from sim.dataset import open_study
from tests.benchmarks.quality_study import LESIONS, write_study

SPLITS = ("validation",) * 4 + ("test",)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A study and the same without lesions, of noise that nearly hides the smaller lesion."""
    folder = tmp_path_factory.mktemp("detection")
    made = {"factors": (4.0,), "splits": SPLITS, "realisations": 3, "noise": 0.5}
    write_study(folder / "study", **made)
    write_study(folder / "without", lesions=0, **made)
    with open_study(folder / "study") as data, open_study(folder / "without") as without:
        yield data, without


@pytest.fixture(scope="module")
def lesions(studies):
    found = Lesions()
    found.add(5, Regions.of(studies[0], 5))
    return found


def test_channels_look_where_the_lesions_are(studies, lesions):
    data, _ = studies
    assert lesions.diameters_mm == [24.0, 10.0]
    seen = observe(data, lesions, find_methods(["low", "standard"]), {}).seen
    assert seen.keys() == {("low", 4.0), ("standard", 1.0)}
    grid, places = data.grid(5), lesions.places[5]
    for (_, _, middle), place in zip(LESIONS, places.values(), strict=True):
        at = [grid.centres(axis)[i] for axis, i in enumerate(place)]
        assert np.abs(np.subtract(at, middle)).max() <= 3  # half of a voxel
    image = data.file(5)["low"][0, 2]
    expected = outputs(image, dog_channels(grid.voxel_mm), places["lesion 2"])
    assert np.array_equal(seen["low", 4.0][5, 2, "lesion 2"], expected)


def test_only_places_that_both_studies_show_are_compared(rng):
    present, absent = Lesions(), Lesions()
    keys = [(number, realisation, "lesion 1") for number in range(8) for realisation in range(6)]
    for lesions, signal in ((present, 3.0), (absent, 0.0)):
        lesions.seen["low", 4.0] = {key: rng.normal(signal, 1, 4) for key in keys}
    del absent.seen["low", 4.0][keys[0]]
    (row,) = detected(present, absent)
    assert (row["method"], row["factor"], row["pairs"], row["phantoms"]) == ("low", 4.0, 47, 8)
    assert row["auc"] > 0.99


def test_lesions_in_the_standard_dose_of_the_validation_split_are_detected(studies):
    found = validated(*studies)
    assert (found["method"], found["pairs"], found["phantoms"]) == ("standard", 24, 4)
    assert 0.8 < found["auc"] <= 1


def test_a_twin_without_a_phantom_of_the_test_split_is_refused(studies, monkeypatch):
    data, without = studies
    check_twin(data, without)
    monkeypatch.setitem(without.index, "phantoms", without.index["phantoms"][:4])
    with pytest.raises(FileError, match="lacks phantoms 5"):
        check_twin(data, without)
