"""A study's settings: what they decide, and which are refused with their line."""

import pytest

from recon.io import FileError
from sim.study import Doses, Split
from sim.study_file import EXAMPLE, read_study
from tests.sim.studies import write


@pytest.fixture
def study(tmp_path):
    return read_study(write(tmp_path))


def test_the_example_can_be_read(tmp_path):
    study = read_study(write(tmp_path, EXAMPLE))
    assert study.doses.factors == (4.0, 20.0)
    assert study.images == 3


def test_low_doses_are_fair_by_default(tmp_path):
    assert read_study(write(tmp_path)).doses.pairs == "independent"


def test_every_beginning_of_the_phantoms_is_split_as_asked_to_less_than_one_phantom():
    parts = {"train": 0.7, "validation": 0.2, "test": 0.1}
    found = Split(**parts).of(100)
    for count in range(1, 101):
        for name, part in parts.items():
            assert abs(found[:count].count(name) - part * count) < 1


def test_a_study_that_grows_keeps_its_phantoms_and_its_split(study, tmp_path):
    grown = read_study(write(tmp_path, count=30))
    assert grown.hash() == study.hash()
    assert grown.split.of(30)[:3] == study.split.of(3)
    assert grown.phantom_seed(2) == study.phantom_seed(2)


@pytest.mark.parametrize(
    "changes",
    [{"seed": 4}, {"minutes": 7}, {"factors": "[7]"}, {"iterations": 7}, {"realisations": 2},
     {"options": "{diameter_mm: 70}"}, {"realisations": "1\nct: {photons: 1.0e+4}\n"}],
)
def test_a_setting_that_makes_other_images_makes_another_hash(study, tmp_path, changes):
    assert read_study(write(tmp_path, **changes)).hash() != study.hash()


def test_random_numbers_are_others_for_each_phantom_realisation_and_dose(study):
    scans = [(realisation, factor) for realisation in (0, 1) for factor in (1, 4)]
    keys = [(number, *key) for number in (1, 2) for key in [(), (0,), *scans]]
    drawn = [study.rng(*key).random() for key in keys]
    assert len(set(drawn)) == len(keys)
    assert drawn == [study.rng(*key).random() for key in keys]


def test_phantoms_have_seeds_of_their_own(study):
    assert len({study.phantom_seed(n) for n in range(1, 1001)}) == 1000


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"scanner": "vison"}, r"line 7: `scanner`: Scanner.preset takes .* 'Vision 600'"),
        ({"minutes": "long"}, r"line 8: `minutes` takes a number, got 'long'"),
        ({"minutes": "0"}, r"line 7: Protocol takes a number above 0 as minutes, got 0"),
        ({"factors": "[0.25]"}, r"line 12: doses.factors takes .* above 1, got \[0.25\]"),
        ({"factors": "[4, 4]"}, r"different dose reduction factors"),
        ({"count": "2.5"}, r"line 4: `count` takes a whole number, got 2.5"),
        ({"count": "0"}, r"line 3: phantoms.count takes a whole number from 1, got 0"),
        ({"seed": "true"}, r"line 1: `seed` takes a whole number, got True"),
        ({"kind": "labels.nii.gz"}, r"name of a phantom, got the file labels.nii.gz; give im"),
        ({"realisations": "1\nct: {photons: 1}\n"}, r"line 19: ct.photons takes more than 1"),
        ({"realisations": "1\nct: {kvp: 90}\n"}, r"line 19: the CT's spectrum takes 80, .* got 90"),
        ({"realisations": "1\nct: {shift_mm: -1}\n"}, r"line 19: ct.shift_mm takes 0 mm or more"),
        ({"iterations": "0"}, r"reconstruction.iterations takes 1 or more, got 0"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_line(tmp_path, changes, message):
    with pytest.raises(FileError, match=message):
        read_study(write(tmp_path, **changes))


def test_an_unknown_setting_is_refused_with_the_nearest_known_one(tmp_path):
    text = write(tmp_path).read_text().replace("minutes:", "minuts:")
    with pytest.raises(FileError, match="line 8: `scan` has no setting `minuts`; the nearest known "
                                        "one is `minutes`"):
        read_study(write(tmp_path, text))


def test_a_study_without_a_scan_is_refused(tmp_path):
    with pytest.raises(FileError, match="the study takes `scan`, which is not there"):
        read_study(write(tmp_path, "seed: 1\n"))


def test_a_setting_that_stands_twice_is_refused(tmp_path):
    text = write(tmp_path).read_text().replace("  count: 3\n", "  count: 3\n  count: 4\n")
    with pytest.raises(FileError, match="line 3: `phantoms` has a setting twice"):
        read_study(write(tmp_path, text))


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(FileError, match="takes lines `name: value`"):
        read_study(write(tmp_path, ""))


def test_parts_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match=r"sum to 1, got 0\.8, 0\.3, 0\.1"):
        Split(validation=0.3)


def test_an_unknown_kind_of_pairs_is_refused():
    with pytest.raises(ValueError, match="independent or thinned, got 'twins'"):
        Doses(pairs="twins")


def test_numbers_without_a_point_are_read_as_numbers(tmp_path):
    assert read_study(write(tmp_path, voxel_mm="1e1")).reconstruction.voxel_mm == 10.0
