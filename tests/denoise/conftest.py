"""Fixtures of denoising: one small data set for all tests."""

import pytest

from sim.dataset import open_study
from tests.denoise.studies import make_study


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory):
    """A data set of six phantoms, two doses and two realisations; not to be changed."""
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(study_folder):
    with open_study(study_folder) as data:
        yield data
