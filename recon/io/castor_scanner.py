"""CASToR's crystal numbers and ours: the scanner of a data file, found, read and written.

A scanner that Countless wrote is described in a comment of its .hscan and comes back as it was; any
other becomes the regular raster that its positions lie on (`recon.io.crystals`).
"""

import hashlib
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from recon.io.castor_geometry import OURS, WORD, read_places
from recon.io.castor_header import number_beginning, ours_line
from recon.io.crystals import crystal_positions, preset_or_none, raster_of
from recon.io.files import FileError
from recon.scanner import Scanner

SUFFIXES = (".geom", ".hscan")  # where both are there, CASToR takes the first
_SAME_MM = 1e-3  # what 32-bit floats and other processors' sines make of a position, and more


@dataclass(frozen=True, kw_only=True)
class Crystals:
    """CASToR's crystal numbers of a scanner.

    Attributes:
        scanner: the Scanner.
        ring, crystal: of each number, (crystals + 1,) int16; the last is -1, for foreign ones.
        notes: sentences on what was assumed.
        files: what was read.
    """

    scanner: Scanner
    ring: np.ndarray
    crystal: np.ndarray
    notes: list
    files: tuple

    def of(self, numbers):
        """Ring and crystal, int16, of CASToR's numbers; -1 for those the scanner does not have."""
        index = np.minimum(numbers, np.uint32(len(self.ring) - 1))
        return self.ring[index], self.crystal[index]


def read_crystals(header, scanner_file=None):
    """The scanner of a data file.

    Args:
        header: recon.io.castor_data.DataHeader; it says the time-of-flight bins, too.
        scanner_file: .geom or .hscan; without it, one of the scanner's name that lies beside the
            header or in $CASTOR_CONFIG/scanner.
    Returns:
        Crystals.
    Raises:
        FileError: it is not found or cannot be used.
    """
    places = read_places(scanner_file or _found(header.keys))
    ours = _written_by_us(places)
    if ours is not None:
        _, ring, crystal = _real(ours)
        return Crystals(scanner=ours, ring=_ended(ring), crystal=_ended(crystal), notes=[],
                        files=places.files)
    name = re.sub("^PET_", "", places.name)
    try:
        scanner, ring, crystal, note = raster_of(
            places.positions_mm, name=name, depth_mm=places.depth_mm, **_sizes(places.keys)
        )
    except ValueError as reason:
        raise FileError(
            f"{places.files[0]}: {reason}; Countless takes crystals on one cylinder"
        ) from reason
    least_deg = places.keys.number("min angle difference", 0.0)
    if least_deg > 0:
        # A preset's bins are those of its other files.
        most = max(int(scanner.crystals * (0.5 - least_deg / 360)), 0)
        bins = min(2 * most + 1, scanner.crystals - 1)
        scanner = scanner if preset_or_none(name) else replace(scanner, radial_bins=bins)
    return Crystals(scanner=scanner, ring=_ended(ring), crystal=_ended(crystal),
                    notes=[f"{places.files[0].name}: {note}"] if note else [], files=places.files)


def numbers_of(scanner):
    """CASToR's crystal numbers of a scanner as we write it, (rings, crystals) int64.

    Virtual crystals have none: -1.
    """
    numbers = np.full((scanner.rings, scanner.crystals), -1, np.int64)
    _, ring, crystal = _real(scanner)
    numbers[ring, crystal] = np.arange(len(ring))
    return numbers


def scanner_files(scanner):
    """A scanner's files for CASToR.

    Returns:
        Name, which goes with the content (the same scanner gives the same name, another one
        another); content of the .lut and of the .hscan, bytes.
    """
    depth_mm = scanner.crystal_mm[2] if scanner.crystal_mm else 2 * scanner.depth_mm
    centre, ring, _ = _real(scanner, scanner.radius_mm + depth_mm / 2)
    outward = centre / (scanner.radius_mm + depth_mm / 2)
    outward[:, 2] = 0
    words = np.empty(len(ring), WORD)
    words["position"], words["orientation"] = centre * OURS, outward * OURS
    lut = words.tobytes()
    across, along = (scanner.crystal_mm or (
        2 * np.pi * scanner.radius_mm / scanner.crystals, scanner.ring_spacing_mm, None))[:2]
    half = scanner.crystals // 2
    rows = {
        "modality": "PET",
        "description": "crystals on a circle, as Countless has them",
        "scanner radius": scanner.radius_mm,
        "number of rings in scanner": len(np.unique(ring)),
        "number of elements": len(ring),
        "number of layers": 1,
        "number of crystals in layer(s)": len(ring),
        "crystals size depth": depth_mm,
        "crystals size transaxial": across,
        "crystals size axial": along,
        "mean depth of interaction": scanner.depth_mm,
        "voxels number transaxial": scanner.radial_bins,
        "voxels number axial": 2 * scanner.rings - 1,
        "field of view transaxial": 2 * scanner.effective_radius_mm
        * np.sin(np.pi * (scanner.radial_bins // 2) / scanner.crystals),
        "field of view axial": scanner.rings * scanner.ring_spacing_mm,
        # Half a crystal less than the outermost line's: none is lost to rounding.
        "min angle difference": 360 / scanner.crystals
        * max(half - scanner.radial_bins // 2 - 0.5, 0),
    }
    text = "\n".join([*(f"{key}: {_plain(value)}" for key, value in rows.items()),
                      ours_line({"scanner": asdict(scanner)}), ""])
    name = re.sub(r"\W+", "_", f"PET_{scanner.name}").strip("_")
    name += "_" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return name, lut, f"scanner name: {name}\n{text}".encode()


def _plain(value):
    return f"{value:.10g}" if isinstance(value, float) else value


def _found(keys):
    name = keys.text("Scanner name")
    folders = [keys.path.parent]
    if os.environ.get("CASTOR_CONFIG"):
        folders.append(Path(os.environ["CASTOR_CONFIG"]) / "scanner")
    for folder in folders:
        for suffix in SUFFIXES:
            if (path := folder / (name + suffix)).is_file():
                return path
    looked = " and ".join(map(str, folders))
    raise FileError(
        f"{keys.place('Scanner name')} is `{name}`, of which there is no .geom and no .hscan in "
        f"{looked}; put it beside the header, or set CASTOR_CONFIG to CASToR's config "
        "folder"
    )


def _written_by_us(places):
    """The Scanner of the comment, if the crystals still are where it puts them."""
    said = places.keys.ours.get("scanner")
    if said is None:
        return None
    try:
        scanner = Scanner(**said)
    except (TypeError, ValueError) as reason:
        raise FileError(
            f"{places.files[0]}: the comment that Countless wrote is of no scanner ({reason}); "
            "remove the line"
        ) from reason
    positions, _, _ = _real(scanner)
    if positions.shape != places.positions_mm.shape:
        return None
    same = np.abs(positions - places.positions_mm).max() < _SAME_MM
    return scanner if same else None


def _real(scanner, radius_mm=None):
    """Positions, rings and crystals of the real crystals in the order of CASToR's numbers."""
    positions, ring, crystal = crystal_positions(scanner, radius_mm)
    order = np.argsort(-ring, kind="stable")
    return positions[order], ring[order], crystal[order]


def _sizes(keys):
    """Sides of a crystal as the file has them, as attributes of Scanner."""
    sides = [number_beginning(keys, f"crystals size {way}", 0.0)
             for way in ("trans", "axial", "depth")]
    return {"crystal_mm": tuple(sides)} if min(sides) > 0 else {}


def _ended(array):
    return np.append(array, -1).astype(np.int16)


def with_tof(scanner, resolution_ps, bins, bin_ps):
    """The scanner with a data file's time of flight, which may differ from its usual one."""
    return replace(scanner, timing_resolution_ps=resolution_ps, tof_bins=bins, tof_bin_ps=bin_ps)
