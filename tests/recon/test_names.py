import pytest

from recon.names import ALIKE, known_name, most_alike

KNOWN = ("FDG", "HR", "HR+", "soft tissue")


@pytest.mark.parametrize(("given", "meant"), [("fdg", "FDG"), ("Soft-Tissue", "soft tissue"),
                                              ("h r +", "HR+"), ("hr", "HR")])
def test_a_name_is_known_in_any_case_with_any_hyphens(given, meant):
    assert known_name(given, KNOWN, "it takes") == meant


def test_an_alias_means_a_known_name():
    assert known_name("Glucose", KNOWN, "it takes", aliases={"glucose": "FDG"}) == "FDG"


def test_an_unknown_name_is_answered_with_all_and_the_nearest():
    with pytest.raises(ValueError, match=r"^it takes one of FDG, HR, HR\+, soft tissue, got 'FGD'; "
                                         r"the nearest is 'FDG'$"):
        known_name("FGD", KNOWN, "it takes")


def test_there_is_always_a_most_alike_name_unless_a_least_likeness_is_asked_for():
    assert most_alike("xyz", KNOWN) in KNOWN
    assert most_alike("xyz", KNOWN, least=ALIKE) is None
    assert most_alike("soft tisue", KNOWN, least=ALIKE) == "soft tissue"
