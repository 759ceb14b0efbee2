"""Names that users give: what they mean, or the nearest that there is."""

import difflib

ALIKE = 0.6  # least ratio of names where one may be meant by the other


def plain_name(name):
    """A name without case, spaces, hyphens and the like."""
    # "+" stays: ECAT HR and ECAT HR+ are two scanners.
    return "".join(c for c in str(name).lower() if c.isalnum() or c == "+")


def most_alike(name, known, *, least=0.0):
    """The one of the known names that is most like a name.

    Args:
        name: as given.
        known: names.
        least: of `difflib`'s ratio, from 0 to 1 for the name itself.
    Returns:
        One of them, or None where all are less alike than `least`.
    """
    found = difflib.get_close_matches(str(name), known, n=1, cutoff=least)
    return found[0] if found else None


def known_name(name, known, takes, *, aliases=None):
    """The known name that a name means, in any case and with any hyphens.

    Args:
        name: as given.
        known: names.
        takes: how the message begins, such as "tracer takes".
        aliases: more names as `plain_name` makes them -> known ones.
    Raises:
        ValueError: there is none; the message gives the nearest.
    """
    meant = (aliases or {}) | {plain_name(one): one for one in known}
    key = plain_name(name)
    if key not in meant:
        raise ValueError(
            f"{takes} one of {', '.join(known)}, got {name!r}; the nearest is "
            f"{meant[most_alike(key, meant)]!r}"
        )
    return meant[key]
