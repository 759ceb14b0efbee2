"""A study of seconds that several files of tests look at."""

import shutil

import pytest

import countless
from tests.sim.studies import write


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with study.yaml and the data set of it, `data`, made in this process."""
    folder = tmp_path_factory.mktemp("study")
    command = ["simulate", str(write(folder)), "-o", str(folder / "data"), "--workers", "0",
               "--device", "cpu"]
    assert countless.main(command) == 0
    return folder


@pytest.fixture
def data(place, tmp_path):
    """A copy of the data set that a test may spoil."""
    return shutil.copytree(place / "data", tmp_path / "data")
