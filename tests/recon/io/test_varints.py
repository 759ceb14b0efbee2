from io import BytesIO

import numpy as np
import pytest

from recon.io import FileError, varints
from recon.io.varints import CutShort, Varints, encoded

# Numbers and their bytes, by hand.
KNOWN = {
    0: "00", 1: "01", 127: "7f", 128: "8001", 300: "ac02", 16383: "ff7f", 16384: "808001",
    2097151: "ffff7f", 2097152: "80808001", 268435456: "8080808001", 4294967295: "ffffffff0f",
}


def opened(content):
    """Varints of bytes."""
    return Varints(BytesIO(bytes(content)), "numbers", leave=lambda: None)


@pytest.mark.parametrize(("value", "coded"), KNOWN.items())
def test_a_number_has_the_bytes_that_it_should(value, coded):
    assert encoded(np.array([value], np.uint32)).tobytes().hex() == coded


def test_no_numbers_are_no_bytes():
    assert len(encoded(np.zeros(0, np.uint32))) == 0


def test_numbers_come_back_one_by_one_whatever_the_buffer(monkeypatch):
    values = np.array([*KNOWN, 5, 200], np.uint32)
    for size in (1, 3, 1000):
        monkeypatch.setattr(varints, "BUFFER", size)
        numbers = opened(encoded(values))
        assert [numbers.one() for _ in values] == values.tolist()
        with pytest.raises(CutShort):
            numbers.one()


def test_numbers_come_back_many_at_once():
    values = np.random.default_rng(0).integers(0, 1 << 32, 3000) >> np.arange(3000) % 32
    numbers = opened(encoded(values.astype(np.uint32)))
    assert numbers.one() == values[0]
    first, there = numbers.take(900, 3)
    assert (first, there) == (1, 900)
    found = numbers.numbers(slice(first, first + 3 * there))
    np.testing.assert_array_equal(found, values[1:2701])
    picked = np.array([0, 4, 2999, 300])
    np.testing.assert_array_equal(numbers.numbers(picked), values[picked])
    assert numbers.one() == values[2701]


def test_bytes_are_skipped_whatever_they_hold(monkeypatch):
    monkeypatch.setattr(varints, "BUFFER", 7)
    numbers = opened(b"\x05" + b"\xff" * 30 + b"\x81\x01")
    assert numbers.one() == 5
    numbers.skip(30)
    assert numbers.one() == 129


def test_numbers_of_64_bits_are_read_and_longer_ones_refused():
    assert opened(b"\xff" * 9 + b"\x01").one() == (1 << 64) - 1
    with pytest.raises(FileError, match="beyond 64 bits"):
        opened(b"\xff" * 10 + b"\x01").one()
    numbers = opened(b"\xff\xff\xff\xff\xff\x01\x00\x00")
    numbers.more()
    with pytest.raises(FileError, match="beyond 32 bits"):
        numbers.numbers(slice(0, 3))
