"""The files of one scan, and the arrays of its model y = m (A x) + b that come from them."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recon import backend
from recon.corrections.attenuation import attenuate
from recon.io import FileError, check_counts, like, read_image, read_layout, read_sinogram

GAP = 1e20  # what STIR writes as the correction of bins between detectors


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Files that say what was counted and how a count came about.

    Attributes:
        scan: prompts, as counted.
        efficiency: what multiplies expected counts.
        correction: its inverse, as STIR writes it; infinite or 1e20 and more in gaps.
        background: expected counts of randoms and scatter.
        additive: the same divided by all multiplicative factors, as STIR writes it.
        mu_map: image of attenuation coefficients in 1/cm.
        tof: keep time of flight where the scan has it; else its bins are summed.
        interleaved: see SinogramLayout.
    Raises:
        FileError: a header is missing, cannot be used, or does not fit the scan's.
        ValueError: files that exclude or need each other.
    """

    scan: Path
    efficiency: Path | None = None
    correction: Path | None = None
    background: Path | None = None
    additive: Path | None = None
    mu_map: Path | None = None
    tof: bool = True
    interleaved: bool = True

    def __post_init__(self):
        for one, other in (("efficiency", "correction"), ("background", "additive")):
            if getattr(self, one) and getattr(self, other):
                raise ValueError(
                    f"--{one} and --{other} are two ways to say the same; give one of them"
                )
        if self.additive and not self._multiplicative:
            raise ValueError(
                "--additive takes --correction or --efficiency beside it, for the background is "
                "the additive term times the efficiency; give one, or --background in counts"
            )
        if self._multiplicative:
            self._check_fits(self._multiplicative, "factors")
        if self._added:
            self._check_fits(self._added, "background")

    @property
    def _multiplicative(self):
        return self.efficiency or self.correction

    @property
    def _added(self):
        return self.background or self.additive

    @property
    def paths(self):
        """All files that are read."""
        named = (self.scan, self._multiplicative, self._added, self.mu_map)
        return [path for path in named if path]

    @cached_property
    def _header(self):
        return read_layout(self.scan, interleaved=self.interleaved)

    @property
    def info(self):
        """What the scan's header says about the study, a dict."""
        return self._header[1]

    @property
    def stored_layout(self):
        """SinogramLayout of the scan's file."""
        return self._header[0]

    @property
    def layout(self):
        """SinogramLayout of the reconstruction."""
        return self.stored_layout if self.tof else self.stored_layout.without_tof()

    def sizes(self):
        """How many float32 prompts, factors and background take, and what summing TOF takes."""
        stored, flat = (
            math.prod(layout.shape)
            for layout in (self.stored_layout, self.stored_layout.without_tof())
        )
        bins = math.prod(self.layout.shape)
        with_tof = self._multiplicative and read_layout(self._multiplicative)[0].tof
        return [
            bins,
            bins if with_tof else flat,
            bins if self._added else 0,
            stored if stored != bins else 0,
        ]

    def factor_names(self):
        """What the factors m are products of, as words."""
        named = {self.efficiency: "efficiency", self.correction: "inverse of the correction"}
        found = [f"{name} {path}" for path, name in named.items() if path]
        found = found or ["number of crystal pairs per bin"]
        return found + ([f"attenuation from {self.mu_map}"] if self.mu_map else [])

    def background_name(self):
        """What the background b is, as words."""
        if self.additive:
            return f"{self.additive} × factors"
        return str(self.background or "none")

    def notes(self):
        """What was assumed, and what may be wrong without anything showing it; sentences."""
        yield from self.info["notes"]
        corrected = set(self.info["applied_corrections"]) - {"arc correction", "arc corrected"}
        if corrected:
            yield (
                f"{self.scan} says that it is corrected already ({', '.join(sorted(corrected))}): "
                "prompts as counted are expected, or the statistics are wrong"
            )
        if not self._multiplicative:
            yield (
                "without --efficiency or --correction all crystal pairs count alike, but for gaps "
                "between detectors, which count nothing"
            )
        elif self.mu_map:
            yield (
                f"{self._multiplicative} must not hold attenuation: --mu-map applies it, and with "
                "both it would be applied twice"
            )
        if self.additive and self.mu_map:
            yield f"{self.additive} is multiplied by all factors, attenuation included"

    def load(self, device="cpu"):
        """Prompts, factors m and background b, float32 on the device; b is None without a file.

        Without efficiency or correction, m is the number of crystal pairs of each bin.

        Raises:
            FileError: data are missing or cannot be such counts or factors.
        """
        prompts = backend.to_device(self._read(self.scan, "prompts"), device)
        factors = backend.to_device(self._factors(), device)
        if self.mu_map:
            mu, grid, _ = read_image(self.mu_map, self.info["patient_position"])
            check_counts(mu, self.mu_map, "attenuation in 1/cm", axes=("x", "y", "z"))
            attenuate(factors, backend.to_device(mu, device), grid, self.layout)
        background = None
        if self._added:
            background = backend.to_device(self._read(self._added, "background"), device)
        if self.additive:
            tof = background.ndim > factors.ndim
            background *= factors[:, :, None] if tof else factors
        return prompts, factors, background

    def mu_grid(self):
        """Grid of the mu map."""
        return like(self.mu_map, self.info["patient_position"])[0]

    def _factors(self):
        if self.efficiency:
            return self._read(self.efficiency, "efficiencies")
        if self.correction:
            return _inverse(self._read(self.correction, "corrections"), self.correction)
        layout = self.layout.without_tof()
        factors = np.empty(layout.shape, np.float32)
        return np.multiply(layout.multiplicity(), layout.mask(), out=factors)

    def _read(self, path, what):
        array, layout, _ = read_sinogram(path, interleaved=self.interleaved)
        check_counts(array, path, what, infinite=what == "corrections")
        if layout.segments != self.layout.segments:
            first = dict(zip(layout.segments, layout.first_planes(), strict=True))
            order = [first[s] + np.arange(s.planes) for s in self.layout.segments]
            order = np.concatenate(order)
            for part in array:  # a view at a time: no second array of the whole size
                part[...] = part[..., order]
        return array.sum(axis=2) if array.ndim > len(self.layout.shape) else array

    def _check_fits(self, path, what):
        """Refuses a sinogram whose bins are not the scan's, or not in time of flight."""
        theirs, mine = read_layout(path)[0], self.stored_layout
        for name, value in (
            ("rings", lambda layout: layout.scanner.rings),
            ("crystals per ring", lambda layout: layout.scanner.crystals),
            ("views", lambda layout: layout.views),
            ("radial bins", lambda layout: layout.radial_bins),
            ("mm of arc-corrected bin", lambda layout: layout.radial_mm),
            ("segments", _segments),
        ):
            found, expected = value(theirs), value(mine)
            if found != expected:
                raise FileError(
                    f"{path} has {_number(found)} {name}, where {self.scan} has "
                    f"{_number(expected)}; give {what} with the scan's layout"
                )
        if what == "background" and self.layout.tof and not theirs.tof:
            raise FileError(
                f"{path} has no time of flight, where {self.scan} has {mine.tof_bins} bins, and "
                "how its counts spread over them is not known; give a background with these bins, "
                "or sum them with --no-tof"
            )
        if what == "factors" and theirs.tof and not self.layout.tof:
            raise FileError(
                f"{path} has factors by time of flight, which cannot be summed as counts can; "
                "give factors without it"
            )
        bins = [(layout.tof_bins, layout.tof_mashing) for layout in (theirs, mine)]
        if theirs.tof and self.layout.tof and bins[0] != bins[1]:
            raise FileError(
                f"{path} has (time-of-flight bins, mashing) {bins[0]}, where {self.scan} has "
                f"{bins[1]}; give {what} with the scan's layout"
            )


def _segments(layout):
    """Segments in no order: files may have them in different ones."""
    return sorted(
        (s.min_ring_difference, s.max_ring_difference, s.planes) for s in layout.segments
    )


def _number(value):
    """A value for a message; of a list of segments, what tells it from another briefly."""
    if not isinstance(value, list):
        return "no" if value is None else value
    planes = sum(planes for *_, planes in value)
    return f"{len(value)} (ring differences {value[0][0]} to {value[-1][1]}, {planes} planes)"


def _inverse(correction, path):
    """Efficiencies of corrections, in place; 0 in gaps.

    Raises:
        FileError: a correction is 0, which no efficiency gives.
    """
    zeros = correction.size - np.count_nonzero(correction)
    if zeros:
        raise FileError(
            f"{path} has {zeros} of {correction.size} corrections of 0; a bin that counts nothing "
            "has an infinite correction: write 1e20 there"
        )
    for part in correction:
        gaps = part >= GAP
        np.divide(1, part, out=part)
        part[gaps] = 0
    return correction
