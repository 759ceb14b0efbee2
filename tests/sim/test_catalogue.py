import pytest

from sim import catalogue
from sim.objects.nema import nema_iq
from sim.phantoms import Phantom


@pytest.mark.parametrize(
    "name",
    ["uniform", "line-source", "point-source", "nema-iq", "nema-scatter", "nema-sensitivity",
     "derenzo", "jaszczak", "acr", "shepp-logan"],
)
def test_a_test_object_is_made_by_its_name(name):
    made = catalogue.phantom(name)
    assert isinstance(made, Phantom)
    assert made.name == name
    assert name in catalogue.phantom_names()
    assert catalogue.phantom_summary(name)


@pytest.mark.parametrize("name", ["nema-iq", "acr", "line-source"])
def test_a_phantoms_description_names_its_options(name):
    described = catalogue.phantom_description(name)
    assert all(option in described for option in catalogue.phantom_options(name))


def test_options_reach_the_phantom():
    assert catalogue.phantom("nema-iq", contrast=8, edition=2012) == nema_iq(contrast=8,
                                                                             edition=2012)


@pytest.mark.parametrize("name", ["NEMA IQ", "nema_iq", "Nema-IQ"])
def test_case_and_hyphens_of_a_name_do_not_matter(name):
    assert catalogue.phantom(name).name == "nema-iq"


def test_test_objects_draw_no_random_numbers():
    assert catalogue.phantom("acr", seed=1) == catalogue.phantom("acr", seed=2)


def test_options_are_listed_with_their_defaults():
    assert catalogue.phantom_options("nema-iq") == {
        "contrast": 4.0, "edition": 2018, "background_bq_ml": 5300.0
    }


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nema-iqq", {}, "got 'nema-iqq'; the nearest is 'nema-iq'"),
        ("shep", {}, "the nearest is 'shepp-logan'"),
        ("nema-iq", {"contrasts": 3}, "--background-bq-ml, got --contrasts; the nearest is "
                                      "--contrast"),
        ("derenzo", {"seventeen": 3}, "takes --activity-bq-ml, got --seventeen; leave it out"),
    ],
)
def test_unknown_names_and_options_are_refused_with_the_nearest(name, options, message):
    with pytest.raises(ValueError, match=message):
        catalogue.phantom(name, **options)
