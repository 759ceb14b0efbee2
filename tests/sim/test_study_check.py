"""`countless simulate --check` finds what is wrong with a data set."""

import json

import h5py
import numpy as np
import pytest

import countless
from sim import dataset_file
from sim.study_check import problems


def test_a_whole_data_set_has_no_problems(place, capsys):
    assert countless.main(["simulate", "-o", str(place / "data"), "--check"]) == 0
    assert "all files are whole" in " ".join(capsys.readouterr().out.split())


def spoil(data, name, change):
    with h5py.File(data / "phantom-0001.h5", "a") as file:
        values = file[name][:]
        change(values)
        file[name][:] = values
        return file


def test_a_changed_voxel_is_found(data, capsys):
    spoil(data, "low", lambda low: np.add.at(low, (0, 0, 3, 3, 2), 1))
    assert countless.main(["simulate", "-o", str(data), "--check"]) == 2
    assert "phantom-0001.h5 has arrays that do not have its hash" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("standard", lambda image: np.multiply(image, 2, out=image), "% off the truth's"),
        ("low", lambda image: image.fill(np.nan), "values that cannot be"),
        ("labels", lambda labels: labels.fill(9), "labels without a name"),
        ("scans", lambda scans: scans["prompts"].__imul__(1.5), "are expected"),
    ],
)
def test_numbers_that_do_not_agree_are_found_though_the_hash_does(data, name, change, message):
    spoil(data, name, change)
    with h5py.File(data / "phantom-0001.h5", "a") as file:
        digest = dataset_file.finish(file)
    index = json.loads((data / "study.json").read_text())
    index["phantoms"][0]["sha256"] = digest
    (data / "study.json").write_text(json.dumps(index))
    assert any(message in said for said in problems(data))


def test_a_missing_file_is_found(data):
    (data / "phantom-0003.h5").unlink()
    assert any("phantom-0003.h5 cannot be read" in said for said in problems(data))
