"""Lines `key: value`, as CASToR reads them."""

import pytest

from recon.io import FileError
from recon.io.castor_header import number_beginning, ours_line, read_keys


@pytest.fixture
def keys(tmp_path):
    def of(text):
        (tmp_path / "a.cdh").write_text(text)
        return read_keys(tmp_path / "a.cdh")

    return of


def test_spaces_around_keys_values_and_colons_do_not_matter(keys):
    assert keys("  number of layers   :  2 \r\n").integer("number of layers") == 2


def test_what_follows_a_number_sign_is_a_comment(keys):
    found = keys("# a: 1\nradius: 443   # in mm: front face\n")
    assert dict(found) == {"radius": ("443", 2)}


def test_a_value_may_hold_a_colon(keys):
    assert keys("Data filename: D:/scan.cdf\n").text("Data filename") == "D:/scan.cdf"


def test_the_first_of_two_lines_counts(keys):
    assert keys("a: 1\na: 2\n").number("a") == 1


def test_one_number_stands_for_all(keys):
    found = keys("a: 3\nb: 1,2, 4\n")
    assert found.numbers("a", count=2) == [3, 3]
    assert found.numbers("b", count=3) == [1, 2, 4]


def test_a_flag_that_is_not_there_is_off(keys):
    found = keys("a: 1\nb: 0\n")
    assert [found.flag(key) for key in "abc"] == [True, False, False]


def test_a_key_may_go_on_where_castor_takes_its_beginning(keys):
    assert number_beginning(keys("crystals size transaxial: 4\n"), "crystals size trans") == 4


def test_what_countless_wrote_is_a_comment_and_comes_back(keys):
    found = keys("a: 1\n" + ours_line({"names": ["é", 1.5]}) + "\n")
    assert found.ours == {"names": ["é", 1.5]} and list(found) == ["a"]


@pytest.mark.parametrize(
    "text, ask, message",
    [
        ("duration (s): 1\n", lambda k: k.number("Duration (s)"), "line 1: `duration .* case-sens"),
        ("a: 1\n", lambda k: k.text("Duration (s)"), r"lacks the key `Duration \(s\)`; add"),
        ("Duration (sec): 1\n", lambda k: k.number("Duration (s)"), "lacks .* the nearest is"),
        ("a:\n", lambda k: k.text("a"), "`a` has no value"),
        ("a: x\n", lambda k: k.number("a"), "takes a number, got `x`"),
        ("a: nan\n", lambda k: k.number("a"), "takes a number"),
        ("a: 1.5\n", lambda k: k.integer("a"), "whole number"),
        ("a: 0\n", lambda k: k.integer("a", least=1), "at least 1"),
        ("a: yes\n", lambda k: k.flag("a"), "0 or 1"),
        ("a: 1,2\n", lambda k: k.numbers("a", count=3), "3 numbers"),
        ("nothing\n", None, "no line `key: value`"),
        ("a: 1\0\n", None, "not the data"),
        ("# countless {1\n", None, "line 1: .* no JSON"),
    ],
)
def test_a_header_that_cannot_be_used_is_told_with_its_line(keys, text, ask, message):
    with pytest.raises(FileError, match=message):
        ask(keys(text))


def test_a_header_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        read_keys(tmp_path / "no.cdh")
