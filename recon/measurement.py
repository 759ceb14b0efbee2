"""The files of one scan, and the arrays of its model y = m (A x) + b that come from them."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recon import backend
from recon.agreement import (
    check_layout,
    check_per_cm,
    check_position,
    extent_misfits,
    refuse,
    role_misfits,
)
from recon.corrections.attenuation import attenuate
from recon.io import FileError, check_counts, like, read_image, read_layout, read_sinogram
from recon.io.provenance import read_sidecar
from recon.plausibility import GAP, attenuation_misfits, factor_misfits

UNIT = "counts/mm"
USUAL_PER_CM = (0.05, 0.5)  # largest attenuation at 511 keV, from a lung's to a dense metal's


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Files that say what was counted and how a count came about.

    Attributes:
        scan: prompts, as counted.
        efficiency: what multiplies expected counts.
        correction: its inverse, as STIR writes it; infinite or 1e20 and more in gaps.
        background: expected counts of randoms and scatter, files that are summed.
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
    background: tuple[Path, ...] = ()
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
        if self.info.get("compressed"):  # before long steps, not when the data are read
            raise FileError(f"{self.scan}, {self.info['compressed']}")
        refuse(role_misfits(self.scan, "prompts"))
        if self._multiplicative:
            check_layout(self._multiplicative, "factors", self.scan, tof=self.tof)
        for path in self._added:
            check_layout(path, "background", self.scan, tof=self.tof)
        if self.mu_map:
            check_position(self.mu_map, self.info["patient_position"], self.scan)
            check_per_cm(self.mu_map)

    @property
    def _multiplicative(self):
        return self.efficiency or self.correction

    @property
    def _added(self):
        return (self.additive,) if self.additive else self.background

    @property
    def paths(self):
        """All files that are read."""
        named = (self.scan, self._multiplicative, *self._added, self.mu_map)
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
        """How many float32 prompts, factors and background take, and what reading them takes."""
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
            stored if stored != bins or len(self._added) > 1 else 0,
        ]

    def factor_names(self):
        """What the factors m are products of, as words."""
        named = {self.efficiency: "efficiency", self.correction: "inverse of the correction"}
        found = [f"{name} {path}" for path, name in named.items() if path]
        found = found or [f"{self._pairs} per bin, {self._most_pairs:.0f} at most"]
        if self.mu_map:
            found.append(f"attenuation from {self.mu_map}, at most {self._largest_mu:.3g} 1/cm")
        return found

    @cached_property
    def unit(self):
        """Unit of the image: what the header of the efficiency or correction says, or counts/mm."""
        stated = self._multiplicative and read_layout(self._multiplicative)[1].get("unit")
        return stated or UNIT

    @property
    def quantity(self):
        """What the image's numbers are, a sentence."""
        meaning = "m times the line integral in mm, plus b, gives expected counts"
        if self.unit == UNIT:
            return f"expected counts per mm of line: {meaning}; not calibrated to activity"
        return f"{self.unit}, as {self._multiplicative} says of its factors m: {meaning}"

    def background_name(self):
        """What the background b is, as words."""
        if self.additive:
            return f"{self.additive} × factors"
        return " + ".join(map(str, self.background)) or "none"

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
                "between detectors, which count nothing; an efficiency must hold the number of "
                "pairs per bin, too"
            )
            if not self.interleaved and self._most_pairs > 1:
                yield (
                    "STIR's simulations count each bin once, however many pairs it has: for "
                    "--lor-angles stir give --efficiency of ones"
                )
        elif self.mu_map and read_sidecar(self._multiplicative).get("attenuation") is not False:
            yield (
                f"{self._multiplicative} must not hold attenuation: --mu-map applies it, and with "
                "both it would be applied twice"
            )
        if self.mu_map:
            place = (self.mu_map, self.mu_grid())
            yield from extent_misfits(place, (self.scan, self.layout), "mu map")
        low, high = USUAL_PER_CM
        if self.mu_map and not low <= self._largest_mu <= high:
            yield (
                f"{self.mu_map} has {self._largest_mu:.3g} 1/cm at most, where a patient has "
                f"{low:g} to {high:g} (water 0.096): is it in 1/cm, at 511 keV?"
            )
        if self.additive and self.mu_map:
            yield f"{self.additive} is multiplied by all factors, attenuation included"

    def load(self, device="cpu"):
        """Prompts, factors m and background b, float32 on the device; b is None without a file.

        Without efficiency or correction, m is the number of crystal pairs of each bin: real ones,
        or all where bins are arc-corrected, which are interpolated over gaps.

        Raises:
            FileError: data are missing or cannot be such counts or factors.
        """
        prompts = backend.to_device(self._read(self.scan, "prompts"), device)
        factors = backend.to_device(self._factors(), device)
        if self.mu_map:
            mu, grid = self._read_mu_map()
            attenuate(factors, backend.to_device(mu, device), grid, self.layout)
        background = None
        for path in self._added:
            part = backend.to_device(self._read(path, "background"), device)
            if background is None:
                background = part
            else:
                background += part
        if self.additive:
            tof = background.ndim > factors.ndim
            background *= factors[:, :, None] if tof else factors
        return prompts, factors, background

    def mu_grid(self):
        """Grid of the mu map."""
        return like(self.mu_map, self.info["patient_position"])[0]

    def _factors(self):
        if self.efficiency:
            return self.read_efficiency()
        if self.correction:
            factors = self._read(self.correction, "corrections")
            refuse(factor_misfits(factors, self.layout, self.correction, "correction"))
            return _inverse(factors, self.correction)
        layout = self.layout.without_tof()
        if layout.radial_mm is not None:
            return np.broadcast_to(layout.multiplicity(), layout.shape).copy()
        crystals, rings = layout.pair_counts()
        return crystals * rings

    def read_efficiency(self):
        """What the efficiency's file holds, float32 of the layout, with time of flight or without.

        Raises:
            FileError: its numbers cannot be efficiencies.
        """
        factors = self._read(self.efficiency, "efficiencies")
        refuse(factor_misfits(factors, self.layout, self.efficiency, "efficiency"))
        return factors

    @property
    def _pairs(self):
        arc_corrected = self.layout.radial_mm is not None
        return "crystal pairs, gaps included," if arc_corrected else "crystal pairs"

    @cached_property
    def _most_pairs(self):
        """Crystal pairs of the bin that has most."""
        if self.layout.radial_mm is not None:
            return float(self.layout.multiplicity().max())
        crystals, rings = self.layout.pair_counts()
        return float(crystals.max() * rings.max())

    def _read_mu_map(self):
        return read_mu_map(self.mu_map, self.info["patient_position"])

    @cached_property
    def _largest_mu(self):
        return float(self._read_mu_map()[0].max())

    def _read(self, path, what):
        return read_bins(path, what, self.layout, interleaved=self.interleaved)


def read_mu_map(path, patient_position):
    """A mu map's numbers and where they lie.

    Args:
        path: image, .hv, .nii or .nii.gz.
        patient_position: of the scan, see `read_image`.
    Returns:
        float32 (x, y, z) in 1/cm, and its Grid.
    Raises:
        FileError: the file cannot be read, or its numbers cannot be attenuation in 1/cm.
    """
    mu, grid, _ = read_image(path, patient_position)
    refuse(attenuation_misfits(mu, path))
    check_counts(mu, path, "attenuation in 1/cm", axes=("x", "y", "z"))
    return mu, grid


def read_bins(path, what, layout, *, interleaved=True):
    """A sinogram's numbers in the bins of a layout that it fits (`recon.agreement`).

    Args:
        path: header, .hs.
        what: the numbers are said to be; "corrections" may be infinite.
        layout: SinogramLayout, whose segments may be in another order and which may be without
            time of flight where the file has it.
        interleaved: see SinogramLayout.
    Returns:
        float32 of layout.shape.
    Raises:
        FileError: the file cannot be read, or its numbers cannot be such.
    """
    array, stored, _ = read_sinogram(path, interleaved=interleaved)
    check_counts(array, path, what, infinite=what == "corrections")
    if stored.segments != layout.segments:
        first = dict(zip(stored.segments, stored.first_planes(), strict=True))
        order = np.concatenate([first[s] + np.arange(s.planes) for s in layout.segments])
        for part in array:  # a view at a time: no second array of the whole size
            part[...] = part[..., order]
    return array.sum(axis=2) if array.ndim > len(layout.shape) else array


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
