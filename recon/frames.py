"""Frames: the times between which a scan's events are counted."""

import math
from itertools import pairwise

from recon.io.files import FileError, opened


def frames(events, start=None, stop=None, words=None):
    """The frames of a list, from what the user gave.

    Args:
        events: a list of `recon.io.lists.open_list`.
        start, stop: seconds of one frame; None for the list's beginning and end.
        words: in place of them, words that are the times at which frames begin and the last one's
            end, or the one name of a text file of these.
    Returns:
        List of (start, stop) in whole ms.
    Raises:
        ValueError: times that do not ascend, or both ways at once.
        FileError: times outside the list, or a file that cannot be read.
    """
    if words and not (start is None and stop is None):
        raise ValueError("--frames and --start or --stop both set the time; give one of them")
    end = events.end_ms / 1000
    if words:
        edges, flag = _edges(words), "--frames"
    else:
        edges = [0.0 if start is None else start, end if stop is None else stop]
        flag = "--start" if stop is None else "--stop" if start is None else "--start and --stop"
    outside = [edge for edge in edges if not 0 <= edge * 1000 < events.last_ms + 0.5]
    if outside or edges[0] >= end:
        raise FileError(
            f"{flag} takes times from 0 to {end:.10g} s, the end of {events.path.name}, got "
            f"{(outside or edges)[0]:.10g} s; give seconds within the list"
        )
    if len(edges) < 2 or not all(a < b for a, b in pairwise(edges)):
        raise ValueError(
            f"{flag} takes two or more ascending times (the list is from 0 to {end:.10g} s), got "
            f"{' '.join(f'{edge:.10g}' for edge in edges)}"
        )
    edges_ms = [round(1000 * edge) for edge in edges]
    if len(set(edges_ms)) < len(edges):
        raise ValueError(f"{flag} takes times at least a millisecond apart, got nearer ones")
    return list(pairwise(edges_ms))


def _edges(words):
    """Times of words, or of the file that the only word names."""
    where = "--frames"
    if len(words) == 1 and _number(words[0]) is None:
        where = words[0]
        with opened(where, "r", encoding="utf-8", errors="replace") as file:
            words = file.read().replace(",", " ").split()
    wrong = [word for word in words if _number(word) is None]
    if wrong:
        raise FileError(f"{where} takes times in seconds, got `{wrong[0]}`; give numbers alone")
    return [_number(word) for word in words]


def _number(word):
    """The finite number that a word is, else None."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
