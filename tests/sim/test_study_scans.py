"""A study that keeps its scans: sinograms from which its images can be made again."""

from itertools import islice

import numpy as np
import pytest

from recon.io import FileError
from recon.operators import GaussianBlur
from recon.reconstruction import post_filter
from sim.dataset import Pair, open_study
from sim.reconstruct import passes
from sim.study_check import problems
from sim.study_file import read_study
from tests.sim.studies import make_scans


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_scans(tmp_path_factory.mktemp("study"), realisations=2,
                      minutes="4\n  tof_mashing: 3")


@pytest.fixture
def data(folder):
    with open_study(folder) as opened:
        yield opened


@pytest.mark.parametrize("standard", [False, True])
def test_a_kept_scan_gives_the_stored_image_again(data, standard):
    pair = Pair(number=2, factor=4.0, realisation=1)
    scan = data.scan(pair, standard=standard)
    assert scan.layout.tof and scan.prompts.shape == scan.layout.shape
    images = passes(scan.prompts, scan.factors, scan.background, scan.layout, scan.grid,
                    scan.subsets, scan.psf_mm)
    made = data.index["recipe"]["reconstruction"]
    image = next(islice(images, made["iterations"] - 1, None))
    blur = GaussianBlur(scan.grid.shape, scan.grid.voxel_mm, made["post_filter_mm"])
    stored = data.read(pair, ("standard" if standard else "low",)).popitem()[1]
    np.testing.assert_allclose(post_filter(blur)(image), stored, rtol=2e-5)


def test_kept_counts_are_those_of_the_table_and_differ_by_realisation(data):
    rows = {(row["factor"], row["realisation"]): row for row in data.scans(1)}
    scans = [data.scan(Pair(number=1, factor=4.0, realisation=k)) for k in (0, 1)]
    for realisation, scan in enumerate(scans):
        row = rows[4.0, realisation]
        assert scan.prompts.sum(dtype=float) == row["prompts"]
        background = row["estimated_scatter"] + row["estimated_randoms"]
        assert scan.background.sum(dtype=float) == pytest.approx(background, rel=1e-6)
    assert not np.array_equal(scans[0].prompts, scans[1].prompts)


def test_a_study_with_scans_is_whole(folder):
    assert problems(folder) == []


def test_keeping_scans_changes_the_recipe_and_not_keeping_them_does_not(folder):
    with_scans = read_study(folder.parent / "study.yaml")
    without = type(with_scans)(**vars(with_scans) | {"keep_scans": False})
    assert with_scans.recipe()["keep_scans"] and "keep_scans" not in without.recipe()
    assert with_scans.hash() != without.hash()


def test_a_study_without_scans_says_how_to_get_them(study_folder):
    with open_study(study_folder) as data, pytest.raises(FileError, match="keep_scans: true"):
        data.scan(data.pairs()[0])


@pytest.fixture
def study_folder(tmp_path):
    from tests.denoise.studies import make_study

    return make_study(tmp_path, count=1)
