"""Interfile headers: lines `key := value`, read with their line numbers so that errors can point.

Tolerated: any capitalisation and spacing, `!` present or not, blank lines, `;` comments, carriage
returns, lists over several lines, junk after headings, anything after `!END OF INTERFILE`. Refused:
a header without its end, a needed key that is absent, and a key that is a misspelling of a known
one, since ignoring that would use a default where the file says otherwise.

Source: Todd-Pokropek et al., Nucl Med Commun 13, 1992 (Interfile 3.3), and STIR 6's own keys.
"""

import difflib
import re
from fractions import Fraction
from pathlib import Path

from recon.io.files import FileError, opened

_REQUIRED = object()

# Other spellings of the same key: Siemens's, Interfile 3.3's, and those of older STIRs.
_ALIASES = {
    "image data byte order": "imagedata byte order",
    "number of tof time bins": "maximum number of (unmashed) tof time bins",
    "size of timing bin (ps)": "size of unmashed tof time bins (ps)",
    "timing resolution (ps)": "tof timing resolution (ps)",
    "%tof mashing factor": "tof mashing factor",
    "isotope name": "radionuclide name [1]",
}

_KNOWN = """
interfile; imaging modality; name of data file; originating system; version of keys; general data
general image data; type of data; patient orientation; patient rotation; imagedata byte order
pet study (general); pet data type; process status; number format; number of bytes per pixel
number of dimensions; matrix axis label; matrix size; scaling factor (mm/pixel)
first pixel offset (mm); number of time frames; image duration (sec)
image relative start time (sec); image scaling factor; data offset in bytes; quantification units
maximum pixel count; minimum pixel count; study date; study time; calibration factor
number of radionuclides; radionuclide name; radionuclide halflife (sec)
radionuclide branching factor; number of energy windows; energy window lower level
energy window upper level; applied corrections; effective central bin size (cm)
minimum ring difference per segment; maximum ring difference per segment; tof mashing factor
tof bin order; scanner parameters; end scanner parameters; scanner type; number of rings
number of detectors per ring; inner ring diameter (cm); average depth of interaction (cm)
distance between rings (cm); default bin size (cm); view offset (degrees)
transaxial fov diameter (cm); maximum number of non-arc-corrected bins
default number of arc-corrected bins; number of detector layers; energy resolution
reference energy (in kev); maximum number of (unmashed) tof time bins
size of unmashed tof time bins (ps); tof timing resolution (ps)
number of blocks per bucket in transaxial direction; number of blocks per bucket in axial direction
number of crystals per block in axial direction
number of crystals per block in transaxial direction
number of crystals per singles unit in axial direction
number of crystals per singles unit in transaxial direction
scanner geometry (blocksoncylindrical/cylindrical/generic)
distance between crystals in axial direction (cm)
distance between crystals in transaxial direction (cm)
distance between blocks in axial direction (cm)
distance between blocks in transaxial direction (cm)
start vertical bed position (mm); start horizontal bed position (mm)
end horizontal bed position (mm); end vertical bed position (mm)
image data type description; index nesting level; number of image data types; end of interfile
%crystal size (mm); %scintillator; %virtual crystals; %virtual rings; %coincidence window (ps)
%effective energy threshold (kev); %dead time of a block (ns); %energies of blocks added
%unit; %view mashing
"""
KNOWN_KEYS = frozenset(key.strip() for key in re.split(r"[;\n]", _KNOWN) if key.strip())


def read_header(path, *, complete=True):
    """Read an Interfile header.

    Args:
        path: the header, such as `scan.hs` or `image.hv`.
        complete: refuse a header without `!END OF INTERFILE` (Siemens's have none).
    Returns:
        Header: key in lower case -> (value, line number).
    Raises:
        FileError: not readable, not an Interfile header, or cut short.
    """
    path = Path(path)
    with opened(path) as file:
        if b"interfile" not in file.read(1024).lower():
            raise FileError(
                f"{path} is not an Interfile header: `!INTERFILE :=` was expected at its "
                "beginning; give the header (.hs, .hv or .hdr), not the data file"
            )
        file.seek(0)
        text = file.read(1 << 22).decode("utf-8-sig", errors="replace")
    header = Header(path, stirs=complete)
    ended = False
    lines = iter(enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1))
    for number, line in lines:
        if line.lstrip().startswith(";") or ":=" not in line:
            continue
        key, value = line.split(":=", 1)
        key = _canonical(key)
        if ended := key == "end of interfile":
            break
        value = _whole_list(path, key, value.strip(), number, lines)
        header[_ALIASES.get(key, key)] = value, number
    if complete and not ended:
        raise FileError(
            f"{path} has no `!END OF INTERFILE :=` after its {number} lines, so it was cut short; "
            "copy the header again, or add that line if all keys are there"
        )
    return header


class Header(dict):
    """Keys of a header, in lower case and without `!`, each with (value, line number).

    An index is kept as in `matrix size [2]`; a key asked for with [1] may stand without an index.

    Args:
        path: of the header.
        stirs: its keys are STIR's, so one that is nearly one of them is misspelt.
    """

    def __init__(self, path, *, stirs=True):
        super().__init__()
        self.path, self._stirs = Path(path), stirs

    def find(self, key):
        """(value, line number) of a key that stands in the header with a value, else None."""
        found = self.get(key)
        if found is None and key.endswith(" [1]"):
            found = self.get(key.removesuffix(" [1]"))
        return found if found and found[0] else None

    def text(self, key, default=_REQUIRED):
        """The value of a key as it stands in the header."""
        found = self.find(key)
        if found:
            return found[0]
        if default is _REQUIRED:
            raise self._missing(key)
        return default

    def number(self, key, default=_REQUIRED):
        """The value as a float."""
        return self._parsed(key, default, _float, "a number")

    def times(self, key, factor, default=_REQUIRED):
        """The value times a whole number, rounded once: cm become the very mm that were written."""
        return self._parsed(key, default, lambda text: _times(text, factor), "a number")

    def integer(self, key, default=_REQUIRED, *, least=None):
        """The value as an int, not below `least`."""
        wanted = "a whole number" + ("" if least is None else f" of at least {least}")
        return self._parsed(key, default, lambda text: _int(text, least), wanted)

    def numbers(self, key, default=_REQUIRED):
        """The values of `{a, b, c}`, or of one number without braces, as floats."""
        return self._parsed(key, default, lambda t: [_float(x) for x in _items(t)], "numbers")

    def integers(self, key, default=_REQUIRED, *, least=None):
        """The values of `{a, b, c}`, or of one number without braces, as ints."""
        return self._parsed(
            key, default, lambda t: [_int(x, least) for x in _items(t)], "a list of whole numbers"
        )

    def words(self, key, default=_REQUIRED):
        """The values of `{a, b c}` in lower case."""
        text = self.text(key, default)
        return default if text is default else [_plain(w) for w in text.strip("{}").split(",")]

    def choice(self, key, choices, default=_REQUIRED):
        """What `choices`, a dict with keys in lower case, says for the value."""
        text = self.text(key, default)
        if text is default:
            return default
        if _plain(text) not in choices:
            raise self.wrong(key, " or ".join(f"`{c}`" for c in choices))
        return choices[_plain(text)]

    def place(self, key):
        """`key` and its line, for messages."""
        found = self.find(key)
        return f"`{key}` (line {found[1]})" if found else f"`{key}`"

    def wrong(self, key, expected, remedy="correct the header"):
        """The error for a value that cannot be used."""
        value, line = self.find(key)
        return FileError(
            f"{self.path}, line {line}: `{key}` takes {expected}, got `{value}`; {remedy}"
        )

    def unknown_keys(self):
        """Keys that neither STIR nor Countless knows, with their lines: told, not refused.

        Raises:
            FileError: one of them is nearly a known key.
        """
        unknown = []
        for key, (_, line) in self.items():
            stem = re.sub(r" \[\d+\]$", "", key)
            if stem in KNOWN_KEYS:
                continue
            nearest = difflib.get_close_matches(stem, KNOWN_KEYS, n=1, cutoff=0.92)
            if nearest:
                raise FileError(
                    f"{self.path}, line {line}: unknown key `{key}`; the nearest known one is "
                    f"`{nearest[0]}`: correct the spelling, or remove the line"
                )
            unknown.append(f"{key} (line {line})")
        return unknown

    def _missing(self, key):
        if self._stirs:
            self.unknown_keys()  # a misspelt key explains an absent one better
        lines = max((line for _, line in self.values()), default=0)
        empty = self.get(key)
        where = f", line {empty[1]}: `{key}` has no value" if empty else f" lacks the key `{key}`"
        return FileError(
            f"{self.path}{where}, which is needed (read up to line {lines}); "
            f"add `{key} := ...` to the header"
        )

    def _parsed(self, key, default, parse, wanted):
        text = self.text(key, default)
        if text is default:
            return default
        try:
            return parse(text.split(";")[0])
        except ValueError:
            raise self.wrong(key, wanted) from None


def _canonical(key):
    key = re.sub(r"[\s_]+", " ", key.replace("!", " ")).strip().lower()
    return re.sub(r"\s*\[\s*(\d+)\s*\]$", r" [\1]", key)


def _plain(text):
    return re.sub(r"[\s_]+", " ", text.split(";")[0]).strip().lower()


def _items(text):
    return text.strip().strip("{}").replace(",", " ").split()


def _float(text):
    value = float(text)
    if value - value != 0:  # NaN or infinite
        raise ValueError
    return value


def _times(text, factor):
    _float(text)  # Fraction takes more than numbers
    return float(Fraction(text.strip()) * factor)


def _int(text, least):
    value = _float(text)
    if value != int(value) or (least is not None and value < least):
        raise ValueError
    return int(value)


def _whole_list(path, key, value, number, lines):
    """A list may go on over several lines until its brace closes."""
    while "{" in value and "}" not in value:
        _, more = next(lines, (0, ":="))
        if ":=" in more:
            raise FileError(
                f"{path}, line {number}: the list of `{key}` opens with `{{` and does not close "
                "before the next key; add `}`"
            )
        value = f"{value} {more.strip()}"
    return value
