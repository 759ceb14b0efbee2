"""Fixtures of denoising: one small data set for all tests."""

import pytest

from sim.dataset import open_study
from tests.denoise.studies import make_study


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Networks of a few features take longer with the threads of as many tests as run at a time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory):
    """A data set of six phantoms, two doses and two realisations; not to be changed."""
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(study_folder):
    with open_study(study_folder) as data:
        yield data
