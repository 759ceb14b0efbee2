"""CASToR's text headers: lines `key: value`, keys case-sensitive, `#` begins a comment.

Source: CASToR's general documentation; Merlin et al., Phys Med Biol 63(18), 2018.
"""

import difflib
import json
import math
from pathlib import Path

from recon.io.files import FileError, opened

_REQUIRED = object()
_OURS = "# countless "  # a comment to CASToR: what its keys cannot say, as JSON


class Keys(dict):
    """Keys of a header as they stand there, each with (value, line number).

    Attributes:
        path: the header.
        ours: dict of what Countless wrote beside the keys; {} where it wrote nothing.
    """

    def __init__(self, path):
        super().__init__()
        self.path, self.ours = Path(path), {}

    def text(self, key, default=_REQUIRED):
        """The value of a key as it stands in the header."""
        if self.get(key, ("",))[0]:
            return self[key][0]
        if default is not _REQUIRED:
            return default
        if key in self:
            raise FileError(f"{self.place(key)} has no value; add one")
        plain = key.lower().replace(" ", "")
        for other in self:
            if other.lower().replace(" ", "") == plain:
                raise FileError(
                    f"{self.place(other)} is not the key `{key}`, which is needed: keys are "
                    "case-sensitive; correct the spelling"
                )
        near = difflib.get_close_matches(key, self, n=1, cutoff=0.85)
        near = f"; the nearest is `{near[0]}` (line {self[near[0]][1]})" if near else ""
        raise FileError(f"{self.path} lacks the key `{key}`{near}; add `{key}: ...` to the header")

    def numbers(self, key, default=_REQUIRED, *, count=1):
        """The values of `key: a,b,c` as floats; where there is but one number, for all of them."""
        text = self.text(key, default)
        if text is default:
            return default
        try:
            values = [float(word) for word in text.split(",") if word.strip()]
        except ValueError:
            values = []
        values = values * count if len(values) == 1 else values
        if len(values) != count or not all(map(math.isfinite, values)):
            wanted = "a number" if count == 1 else f"{count} numbers with commas between them"
            raise self.wrong(key, wanted)
        return values

    def number(self, key, default=_REQUIRED):
        """The value as a float."""
        values = self.numbers(key, default)
        return values if values is default else values[0]

    def integer(self, key, default=_REQUIRED, *, least=0):
        """The value as an int, not below `least`."""
        value = self.number(key, default)
        if value is default:
            return default
        if value != int(value) or value < least:
            raise self.wrong(key, f"a whole number of at least {least}")
        return int(value)

    def flag(self, key):
        """Whether the value is 1; False without the key."""
        if (text := self.text(key, "0")) not in ("0", "1"):
            raise self.wrong(key, "0 or 1")
        return text == "1"

    def place(self, key):
        """The file, the line and the key, for messages."""
        return f"{self.path}, line {self[key][1]}: `{key}`"

    def wrong(self, key, expected):
        """The error for a value that cannot be used."""
        return FileError(
            f"{self.place(key)} takes {expected}, got `{self[key][0]}`; correct the header"
        )


def read_keys(path):
    """Read a header of CASToR's.

    Args:
        path: .cdh, .geom or .hscan.
    Returns:
        Keys; of a key that stands there twice the first counts, as in CASToR.
    Raises:
        FileError: not readable, or no text of keys and values.
    """
    with opened(path) as file:
        data = file.read(1 << 20)
    keys = Keys(path)
    if b"\0" in data:
        raise FileError(
            f"{path} is no text, so no header of CASToR's; give the header (.cdh), not the data"
        )
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), start=1):
        if line.startswith(_OURS):
            try:
                keys.ours = dict(json.loads(line.removeprefix(_OURS)))
            except (ValueError, TypeError) as reason:
                raise FileError(
                    f"{path}, line {number}: the comment that Countless wrote is no JSON; "
                    "remove the line"
                ) from reason
        key, colon, value = line.split("#")[0].partition(":")
        if colon:
            keys.setdefault(key.strip(), (value.strip(" !\t\r"), number))
    if not keys:
        raise FileError(
            f"{path} has no line `key: value`, so it is no header of CASToR's; give another file"
        )
    return keys


def number_beginning(keys, key, default=_REQUIRED):
    """A number whose key may go on: `crystals size trans` is `crystals size transaxial`, too."""
    return keys.number(next((other for other in keys if other.startswith(key)), key), default)


def ours_line(content):
    """The comment that `Keys.ours` reads."""
    return _OURS + json.dumps(content)
