"""Numbers that users give, checked."""

from math import inf
from numbers import Integral, Real


def check_number(name, value, *, least=0.0, most=inf):
    """Refuses a value that is no number from `least` to `most`.

    Raises:
        ValueError: with what it takes.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not least <= value <= most or value == inf:
        ends = f"from {least:g} to {most:g}" if most < inf else f"of {least:g} or more"
        raise ValueError(f"{name} takes a number {ends}, got {value!r}")


def check_size(name, value):
    """Refuses a value that is no length above 0 mm.

    Raises:
        ValueError: with what it takes.
    """
    check_number(name, value)
    if value == 0:
        raise ValueError(f"{name} takes a length above 0 mm, got {value!r}")


def check_seed(value):
    """Refuses a value that cannot be a seed.

    Raises:
        ValueError: with what it takes.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
        raise ValueError(f"seed takes a whole number of 0 or more, got {value!r}")
