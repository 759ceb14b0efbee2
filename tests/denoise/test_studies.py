"""Several studies: what a network learns of each, and which do not go together."""

import copy

import pytest

from denoise.recipe import Recipe
from denoise.scaling import Scaling
from denoise.studies import domain, fingerprint, phantoms_of, resolved, same_phantoms, study_rows
from sim.dataset import StoredStudy, open_study
from tests.denoise.studies import make_study

RECIPE = Recipe(patch=(8, 8, 8))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes a study of two phantoms and opens it; the same settings make the same one."""
    known = {}

    def study(**settings):
        key = repr(settings)
        if key not in known:
            folder = make_study(tmp_path_factory.mktemp("study"), **(
                {"count": 2, "realisations": 1, "split": (0.5, 0.5, 0.0)} | settings))
            known[key] = open_study(folder)
        return known[key]

    yield study
    for each in known.values():
        each.close()


def changed(study, **more):
    """A study as if its index said something else: settings of its recipe by `part_name`."""
    index = copy.deepcopy(study.index) | {k: v for k, v in more.items() if k in study.index}
    for name, value in more.items():
        part, _, setting = name.partition("_")
        if part in index["recipe"]:
            index["recipe"][part][setting] = value
    return StoredStudy(study.folder, index)


def said(recipe, studies):
    return " ".join(f"{name}: {text}." for name, text in study_rows(recipe, studies))


def test_the_networks_voxels_are_those_of_the_first_study_or_as_asked(made):
    fine, coarse = made(voxel_mm=6.0, seed=4), made()
    assert resolved(RECIPE, [coarse, fine]).voxel_mm == (8, 8, 8)
    assert resolved(RECIPE, [fine, coarse]).voxel_mm == (6, 6, 6)
    asked = Recipe(patch=(8, 8, 8), voxel_mm=(7, 7, 7))
    assert resolved(asked, [fine, coarse]) == asked
    assert f"{coarse.folder}: 1 phantom for training, 1 for validation; 2 low-dose images of " \
        "each; voxels of 8 × 8 × 8 mm, resampled to 6 × 5.926 × 6.095 mm" in said(
            resolved(RECIPE, [fine, coarse]), [fine, coarse])


def test_what_a_network_is_trained_on_is_the_union(made):
    fine, coarse = made(voxel_mm=6.0, seed=4, factors=(10.0, 20.0)), made()
    renamed = changed(fine, scan_scanner="other", phantoms_kind="person")
    scalings = [Scaling(level=1.0, noise=noise) for noise in (0.3, 0.1, 0.2)]
    tiny = coarse.index["recipe"]["scan"]["scanner"]["name"]
    assert domain([coarse, renamed], scalings) == {
        "noise": [0.1, 0.3], "factors": [4, 10, 20], "tracers": ["FDG"],
        "scanners": sorted([tiny, "other"]), "kinds": ["person", "uniform"],
        "voxels_mm": [[6, 6, 6], [8, 8, 8]],
    }


def test_a_study_without_phantoms_for_validation_serves_beside_one_that_has_some(made):
    without, study = made(seed=4, split=(1.0, 0.0, 0.0)), made()
    with pytest.raises(ValueError, match="a phantom for validation at least, got 2 for train"):
        resolved(RECIPE, [without])
    recipe = resolved(RECIPE, [without, study])
    assert f"drawn from equally often; validated with {study.folder} alone" in said(
        recipe, [without, study])
    assert "validated with" not in said(recipe, [study, made(seed=5)])


def test_every_study_has_phantoms_for_training(made):
    without = made(seed=4, split=(0.0, 1.0, 0.0))
    with pytest.raises(ValueError, match=f"{without.folder} takes a phantom for training"):
        resolved(RECIPE, [made(), without])


def test_a_phantom_that_one_study_trains_on_and_another_validates_with_is_refused(made):
    study = made()
    other = made(factors=(4.0, 10.0), split=(0.3, 0.7, 0.0))
    assert (study.numbers["train"], other.numbers["validation"]) == ((1,), (1,))
    for number, studies in enumerate(([study, other], [other, study]), 1):
        with pytest.raises(ValueError, match=f"on phantoms {number}, which .* the same split"):
            resolved(RECIPE, studies)
    resolved(RECIPE, [study, made(factors=(4.0, 10.0))])  # split in the same way
    resolved(RECIPE, [study, made(factors=(4.0, 10.0), split=(0.3, 0.7, 0.0), seed=4)])


@pytest.mark.parametrize("kind, alike", [("uniform", True), (None, False)])
def test_one_seed_draws_the_same_phantoms_but_none_of_a_users_labels(made, kind, alike):
    one, other = (phantoms_of(changed(study, phantoms_kind=kind))
                  for study in (made(), made(factors=(4.0, 10.0))))
    assert same_phantoms(one, other) == alike
    assert same_phantoms(one, one)


def test_a_study_given_twice_is_refused(made):
    with pytest.raises(ValueError, match="are one study; give each study once"):
        resolved(RECIPE, [made(), made(seed=4), made()])


def test_voxels_far_from_the_networks_are_refused_by_the_studys_name(made):
    coarse = made(voxel_mm=16.0, seed=4)
    recipe = Recipe(patch=(8, 8, 8), voxel_mm=(7, 7, 7))
    with pytest.raises(ValueError, match=f"7 × 7 × 7 mm .* {coarse.folder} has 16 × 16 × 16 mm"):
        resolved(recipe, [made(), coarse])


def test_a_patch_fits_in_what_the_network_sees(made):
    recipe = Recipe(patch=(24, 20, 16), voxel_mm=(10, 10, 10))
    with pytest.raises(ValueError, match="give --patch 19 16 13"):
        resolved(recipe, [made()])
    resolved(Recipe(patch=(32, 27, 21), voxel_mm=(6, 6, 6)), [made()])


def test_an_incomplete_study_and_an_inverse_crime_are_told_of_by_name(made):
    half = changed(made(), complete=False)
    crime = changed(made(voxel_mm=6.0, seed=4), scan_inverse_crime=True)
    told = said(resolved(RECIPE, [half, crime]), [half, crime])
    assert f"{half.folder} is not complete" in told
    assert f"inverse crime: {crime.folder} was" in told
    assert told.count("not complete") == told.count("inverse crime") == 1


def test_a_fingerprint_knows_every_study(made):
    one, other, third = made(), made(seed=4), made(seed=5)
    assert fingerprint([one, other]) == fingerprint([one, other])
    assert len({fingerprint(studies) for studies in (
        [one], [one, other], [other, one], [one, third])}) == 4
