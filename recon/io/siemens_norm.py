"""Siemens's component normalization files: `norm.n.hdr` beside `norm.n`, of the Biograph mMR.

Eight components, each described in the header by its name, offset and size. Crystal efficiencies
are stored one crystal earlier than this package (and STIR) number crystals; they are shifted when
read, so that positions 0 mod 9, which hold no crystal, get the file's values of such positions. The
file has ordinary values there: gaps are known from the scanner, not from the file.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recon.io.files import FileError, opened
from recon.io.header import read_header
from recon.io.interfile_data import data_path
from recon.io.siemens import MMR_SYSTEM
from recon.scanner import Scanner
from recon.segments import segments_of

_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, eq=False, kw_only=True)
class NormComponents:
    """What a component normalization file of the mMR holds.

    Attributes:
        scanner: Scanner that the file is of.
        path: the header.
        span, max_ring_difference: of the planes of the axial effects, segments 0, -1, +1, ….
        geometric: float32 (ring1 + ring2, radial).
        interference: float32 (radial, view mod 9), by the crystals' places in their blocks.
        efficiencies: float32 (rings, crystals), numbered as in `recon.layout`.
        axial: float32 (planes of that span); efficiencies are divided by it.
        more_axial: float32 (planes), "additional axial effects"; kept, not applied, as in STIR.
        paralyzing_s, non_paralyzing_s: float32 (rings), dead time per singles of a bucket.
        crystal_dead_time_s: float32 (9), by the crystal's place in its block; not applied.
        calibration: "scanner quantification factor" in Bq s / ECAT count, or None.
        cross_calibration: "cross calibration factor", or None.
        notes: what the header made worth telling, sentences.
    """

    scanner: Scanner
    path: Path
    span: int
    max_ring_difference: int
    geometric: np.ndarray
    interference: np.ndarray
    efficiencies: np.ndarray
    axial: np.ndarray
    more_axial: np.ndarray
    paralyzing_s: np.ndarray
    non_paralyzing_s: np.ndarray
    crystal_dead_time_s: np.ndarray
    calibration: float | None = None
    cross_calibration: float | None = None
    notes: tuple[str, ...] = field(default=())


_COMPONENTS = "%number of normalization components"
_NAMES = {
    "geometric effects": "geometric",
    "crystal interference": "interference",
    "crystal efficiencies": "efficiencies",
    "axial effects": "axial",
    "paralyzing ring dt parameters": "paralyzing_s",
    "non-paralyzing ring dt parameters": "non_paralyzing_s",
    "tx crystal dt parameter": "crystal_dead_time_s",
    "additional axial effects": "more_axial",
}


def read_norm(path):
    """Read a component normalization of a Biograph mMR.

    Args:
        path: the header, `.n.hdr`; the data file that it names lies beside it.
    Returns:
        NormComponents.
    Raises:
        FileError: not such a header, of another scanner, a component missing or of another size,
            or a data file that is missing, too short, or holds what no component can.
    """
    path = Path(path)
    header = read_header(path, complete=False)
    if not header.find(_COMPONENTS):
        raise FileError(
            f"{path} lacks the key `{_COMPONENTS}`, so it is no component normalization; give the "
            "header norm.n.hdr as the scanner wrote it"
        )
    scanner = _scanner(header)
    header.choice("number format", {"float": 4})
    if header.integer("number of bytes per pixel", 4) != 4:
        raise header.wrong("number of bytes per pixel", "4, of 32-bit floats")
    header.choice("imagedata byte order", {"littleendian": "<"}, "<")
    span = header.integer("%axial compression", least=1)
    largest = header.integer("%maximum ring difference", least=0)
    shapes = _shapes(scanner, span, largest, header)
    arrays, notes = _read_components(header, shapes)
    arrays["efficiencies"] = np.roll(arrays["efficiencies"], 1, axis=1)
    return NormComponents(
        scanner=scanner,
        path=path,
        span=span,
        max_ring_difference=largest,
        calibration=header.number("%scanner quantification factor (bq*s/ecat counts)", None),
        cross_calibration=header.number("%cross calibration factor", None),
        notes=tuple(notes),
        **arrays,
    )


def _scanner(header):
    """The mMR, or a FileError that says which scanner the file is of."""
    if header.text("%data format", "norm components").find("norm components") < 0:
        raise header.wrong(
            "%data format", "`sinogram - expandable from norm components`",
            "give the component normalization (norm.n.hdr)",
        )
    system = header.text("originating system")
    scanner = Scanner.preset("mMR")
    if system != MMR_SYSTEM:
        raise header.wrong(
            "originating system", f"{MMR_SYSTEM} (Biograph mMR)",
            "the normalization of another scanner cannot be read: give an mMR's, or expand it to a "
            "sinogram elsewhere and give it as --correction or --efficiency",
        )
    if header.integer("number of rings") != scanner.rings:
        raise header.wrong("number of rings", f"{scanner.rings}, as {scanner.name} has")
    return scanner


def _shapes(scanner, span, largest, header):
    try:
        segments = segments_of(scanner.rings, span, largest)
    except ValueError as reason:
        raise header.wrong("%axial compression", "a span that fits the rings") from reason
    planes = sum(segment.planes for segment in segments)
    block, radial, rings = scanner.block_crystals[0], scanner.radial_bins, scanner.rings
    return {
        "geometric": (2 * rings - 1, radial),
        "interference": (radial, block),
        "efficiencies": (rings, scanner.crystals),
        "axial": (planes,),
        "more_axial": (planes,),
        "paralyzing_s": (rings,),
        "non_paralyzing_s": (rings,),
        "crystal_dead_time_s": (block,),
    }


def _read_components(header, shapes):
    arrays, notes = {}, []
    path = data_path(header)
    with opened(path) as file:
        size = file.seek(0, 2)
        for k in range(1, header.integer(_COMPONENTS, least=1) + 1):
            key = f"%normalization component [{k}]"
            words = " ".join(header.text(key).lower().split())
            if words not in _NAMES:
                notes.append(f"{header.path}: unknown component {words!r} is not used")
                continue
            shape, name = shapes[_NAMES[words]], _NAMES[words]
            stored = tuple(header.integers(f"%matrix size [{k}]", least=1)[::-1])
            if stored != shape:
                raise header.wrong(
                    f"%matrix size [{k}]",
                    f"{{{','.join(map(str, shape[::-1]))}}} for {words} of this scanner",
                    "the normalization is of another scanner, or its header is damaged",
                )
            offset = header.integer(f"data offset in bytes [{k}]", least=0)
            count = int(np.prod(shape))
            end = offset + count * _FLOAT.itemsize
            if size < end:
                raise FileError(
                    f"{path} has {size} bytes, {words} end at byte {end} (line "
                    f"{header.find(key)[1]} of {header.path}); copy the whole file again"
                )
            file.seek(offset)
            raw = file.read(count * _FLOAT.itemsize)
            arrays[name] = np.frombuffer(raw, _FLOAT).reshape(shape).astype(np.float32)
            _check(arrays[name], name, words, path)
    missing = [words for words, name in _NAMES.items() if name not in arrays]
    if missing:
        raise FileError(
            f"{header.path} lacks the normalization components {', '.join(missing)}; give the "
            "complete component normalization"
        )
    return arrays, notes


def _check(array, name, words, path):
    positive = name in ("geometric", "interference", "axial", "more_axial")
    good = np.isfinite(array)
    if positive:
        good &= array > 0
    elif name == "efficiencies":
        good &= array >= 0  # 0: a crystal that is dead
    if not good.all():
        kind = "positive" if positive else "finite"
        raise FileError(
            f"{path} has {int((~good).sum())} of {array.size} values of {words} that are not "
            f"{kind}, the first {array[~good][0]:g}; the file is damaged or its offsets are wrong: "
            "copy both files again"
        )
