"""What blurs a scan: positron range in the object; acollinearity, decoding and depth in the data.

Crystals' width is blurred by rays between parts of crystals (`sim.rays`). The rest is this.

Positron range: annihilations lie about decays as C exp(-k1 x) + (1 - C) exp(-k2 x), projected on
any axis. In three dimensions each exponential is the resolvent of a Laplacian, 1 / (1 - laplace /
k^2). On voxels the Laplacian is the discrete one, so that the kernel keeps counts, has the exact
variance 2 / k^2 along each axis and is nowhere negative. The medium is water everywhere; in lung
positrons go farther.

In the data, at the radial bin t (`recon.layout`) of a ring difference:

- acollinearity, a Gaussian of FWHM 0.0022 D across the line and along the axis, D the line's length
  in the transaxial plane: what a source half-way along the line shows;
- decoding of blocks, a Gaussian of FWHM a third of a crystal's pitch, across and along;
- what rays between the middles of parts of crystals lack of the variance of whole crystals;
- penetration, where the scintillator is known: a photon enters the crystals' inner face at the
  line's own angle and interacts after a path drawn from exp(-mu l), cut off at the crystals' end;
  the angles at which its two ends then lie give the radial bin. The line is taken to keep its view
  and its planes. Crystals are one solid without gaps.

All of these but the last are one number of bins, the same in all radial bins: bins grow narrower
towards the edge as lines grow shorter. Their Gaussians are the heat kernel on bins, which has the
exact variance however small it is, with nothing leaving at the ends.

Sources: positron range: Levin & Hoffman, Phys Med Biol 44(3), 1999, for F-18, C-11, N-13 and O-15;
for the others the kernel of the nearest of these, stretched by the ratio of mean ranges in Conti &
Eriksson, EJNMMI Physics 3:8, 2016. Acollinearity, and decoding as a third of a crystal: Moses, Nucl
Instrum Methods A 648, 2011.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recon.corrections.calibration import isotope as isotope_of
from recon.corrections.crystal import attenuation_per_mm
from recon.layout import FWHM_PER_SIGMA, SinogramLayout

ACOLLINEARITY = 0.0022  # FWHM over the length of the line
FAINT = 1e-7  # of a bin's counts
DECODING = 1 / 3  # FWHM over the pitch of crystals
_KEV = 511.0
_DEPTHS = 16  # equally likely paths into a crystal

# C, k1 and k2 in 1/mm.
_CUSPS = {
    "F-18": (0.516, 37.9, 3.10),
    "C-11": (0.488, 23.8, 1.80),
    "N-13": (0.426, 20.2, 1.42),
    "O-15": (0.379, 18.1, 0.904),
}
# Whose kernel, and how much wider.
_LIKE = {
    "Cu-64": ("F-18", 0.7 / 0.6),
    "Zr-89": ("C-11", 1.3 / 1.2),
    "Y-90": ("C-11", 1.0),  # pairs share 738 keV: half of it is C-11's mean energy within 5 %
    "Ga-68": ("O-15", 3.5 / 3.0),
    "Ge-68": ("O-15", 3.5 / 3.0),
    "I-124": ("O-15", 3.4 / 3.0),
    "Rb-82": ("O-15", 7.1 / 3.0),
}


def range_terms(isotope):
    """Positron range as exponentials: their shares of the counts, and their k in 1/mm.

    Args:
        isotope: a name that `recon.corrections.calibration.isotope` knows.
    Returns:
        Two tuples of two numbers.
    """
    name = isotope_of(isotope).name
    like, wider = _LIKE.get(name, (name, 1.0))
    weight, first, second = _CUSPS[like]
    shares = weight / first, (1 - weight) / second
    return tuple(share / sum(shares) for share in shares), (first / wider, second / wider)


def range_sd_mm(isotope):
    """Standard deviation of annihilations about decays, along one axis, in mm."""
    return math.sqrt(sum(2 * share / k**2 for share, k in zip(*range_terms(isotope), strict=True)))


def annihilations(activity, grid, isotope):
    """Where positrons annihilate, of an image of where they are emitted.

    Args:
        activity: (x, y, z), in any unit.
        grid: its Grid; nothing leaves it.
        isotope: name of the isotope.
    Returns:
        Image (x, y, z), float32, of the same sum and nowhere negative where the activity is not.
    """
    from scipy.fft import dctn, idctn

    filled = tuple(_filled(activity, grid, axis, 8 * range_sd_mm(isotope)) for axis in range(3))
    part = np.ascontiguousarray(activity[filled], np.float32)
    squares = [
        (2 - 2 * np.cos(np.pi * np.arange(size) / size)) / side**2
        for size, side in zip(part.shape, grid.voxel_mm, strict=True)
    ]
    squares = sum(np.ix_(*squares))
    factor = sum(share * k**2 / (k**2 + squares)
                 for share, k in zip(*range_terms(isotope), strict=True))
    found = np.zeros(grid.shape, np.float32)
    spectrum = dctn(part, norm="ortho")
    spectrum *= factor
    # Rounding alone can make it negative.
    found[filled] = np.maximum(idctn(spectrum, norm="ortho", overwrite_x=True), 0)
    return found


def _filled(activity, grid, axis, margin_mm):
    """Slice of an axis that holds all activity, and a margin."""
    used = np.flatnonzero(activity.any(axis=tuple(a for a in range(3) if a != axis)))
    margin = math.ceil(margin_mm / grid.voxel_mm[axis])
    if not len(used):
        return slice(0, 1)
    return slice(max(0, int(used[0]) - margin), int(used[-1]) + 1 + margin)


@dataclass(frozen=True, kw_only=True)
class DataBlur:
    """Acollinearity, decoding and penetration, as operators on a sinogram of single crystal pairs.

    Attributes:
        layout: SinogramLayout of span 1, whose views are not mashed.
        split: parts of a crystal along each side that rays join.
    """

    layout: SinogramLayout
    split: int

    def __call__(self, views):
        """Some views, blurred; the sum of each (view, ring difference, time-of-flight bin) stays.

        Args:
            views: float32 (views, radial, [tof,] plane).
        Returns:
            float32 of the same shape.
        """
        from scipy.fft import dct, idct

        rows = views.reshape(*views.shape[:2], -1)
        # Not by BLAS, whose rounding depends on its number of threads.
        blurred = np.stack([self.radial @ view for view in rows]).reshape(views.shape)
        first = self.layout.first_planes()
        for segment, start in zip(self.layout.segments, first, strict=True):
            part = blurred[..., start : start + segment.planes]
            spectrum = dct(part, axis=-1, norm="ortho")
            factors = _heat(segment.planes, self.axial_variance[:, None])
            spectrum *= factors[:, None] if self.layout.tof else factors
            part[:] = idct(spectrum, axis=-1, norm="ortho", overwrite_x=True)
        return np.maximum(blurred, 0, out=blurred)  # rounding alone makes it negative

    @cached_property
    def radial(self):
        """Share of each radial bin's counts that goes to each, sparse float32 (to, from).

        Bins that get less than FAINT of them get none, and the others so much more.
        """
        from scipy import sparse
        from scipy.linalg import expm

        scanner, bins = self.layout.scanner, self.layout.radial_bins
        variance = np.full(bins, sum(_radial_variances(scanner, self.split).values()))
        depth = self._penetration()
        if scanner.scintillator is not None:
            place = np.arange(bins)
            spread = place**2 @ depth - (place @ depth) ** 2
            # Sharing a shift of part of a bin between two bins spreads it; so much less is blurred.
            surplus = spread - np.var(seen_at(scanner, place - bins // 2), axis=1)
            variance = np.maximum(variance - surplus, 0)
        flow = np.zeros((bins, bins))
        for step in (-1, 1):
            flow += np.diag(variance[max(0, step) : bins + min(0, step)] / 2, step)
        flow -= np.diag(flow.sum(axis=0))
        shares = depth @ expm(flow)
        shares[shares < FAINT] = 0
        return sparse.csr_array((shares / shares.sum(axis=0)).astype(np.float32))

    @property
    def axial_variance(self):
        """Of the planes of one ring difference, in rings, by radial bin: (radial,)."""
        scanner = self.layout.scanner
        half = self.layout.rays()[0, :, 3]
        return sum(_axial_variances(scanner, self.split, 2 * half).values())

    def _penetration(self):
        bins = self.layout.radial_bins
        if self.layout.scanner.scintillator is None:
            return np.eye(bins)
        # Bins are moved with their edges: what was even stays even.
        edges = np.arange(bins + 1) - 0.5
        seen = seen_at(self.layout.scanner, edges - bins // 2) + bins // 2
        found = np.empty((bins, bins))
        for bin_ in range(bins):
            low, high = seen[bin_][:, None], seen[bin_ + 1][:, None]
            below = np.clip((edges - low) / (high - low), 0, 1).mean(axis=0)
            below[[0, -1]] = 0, 1  # nothing leaves
            found[:, bin_] = np.diff(below)
        return found


def seen_at(scanner, t):
    """Radial bins, with fractions, at which lines are seen for equally likely depths at both ends.

    Args:
        scanner: Scanner with scintillator and crystal_mm.
        t: radial bins of the lines, with fractions, counted from the middle one, (lines,).
    Returns:
        float64 (lines, pairs of depths), counted alike.
    """
    t = np.asarray(t, np.float64)[:, None]
    inner, outer = scanner.radius_mm, scanner.radius_mm + scanner.crystal_mm[2]
    mu = sum(float(part[0]) for part in attenuation_per_mm(np.array([_KEV]), scanner.scintillator))
    s = scanner.effective_radius_mm * np.sin(np.abs(t) * np.pi / scanner.crystals)
    s = np.minimum(s, inner)  # beyond, photons enter from the side
    enters = np.sqrt(inner**2 - s**2)
    longest = np.sqrt(outer**2 - s**2) - enters
    chance = (np.arange(_DEPTHS) + 0.5) / _DEPTHS
    path = -np.log1p(chance * np.expm1(-mu * longest)) / mu
    turn = np.arctan2(s, enters + path)  # arcsin(s / radius of the interaction)
    both = (turn[:, :, None] + turn[:, None, :]).reshape(len(t), -1) / 2
    return np.sign(t) * both * scanner.crystals / np.pi


def _heat(size, variance):
    """Eigenvalues of the heat kernel on a row of `size`, of this variance in squared steps."""
    return np.exp(variance * (np.cos(np.pi * np.arange(size) / size) - 1))


def _radial_variances(scanner, split):
    """In squared radial bins, which are half a crystal's pitch wide."""
    pitch, length = 2.0, 2 * scanner.crystals / np.pi  # of a crystal and of a diameter, in bins
    return {
        "acollinearity": (ACOLLINEARITY * length / FWHM_PER_SIGMA) ** 2,
        "decoding": (DECODING * pitch / FWHM_PER_SIGMA) ** 2,
        "crystal": pitch**2 / 24 / split**2,
    }


def _axial_variances(scanner, split, length_mm):
    """In squared rings; of lines of these lengths in the transaxial plane."""
    return {
        "acollinearity": (ACOLLINEARITY * length_mm / scanner.ring_spacing_mm
                          / FWHM_PER_SIGMA) ** 2,
        "decoding": (DECODING / FWHM_PER_SIGMA) ** 2,
        "crystal": 1 / 24 / split**2,
    }


def total_fwhm_mm(scanner, isotope, radius_mm=0.0):
    """The stated resolution of a scan: what a point's standard deviations make, times 2.355.

    Of a point at a distance from the axis, in the radial and the axial direction, before any
    reconstruction. Crystals and their decoding, acollinearity, penetration and positron range add
    up by their variances.

    Args:
        scanner: Scanner.
        isotope: name of the isotope.
        radius_mm: distance from the axis, less than the scanner's inner radius.
    Returns:
        dict with `radial` and `axial`, each a dict of the parts and their `total`, in mm.
    """
    pitch = np.pi * scanner.effective_radius_mm / scanner.crystals  # of bins, on the axis
    cosine = math.sqrt(1 - (radius_mm / scanner.effective_radius_mm) ** 2)
    length = 2 * scanner.effective_radius_mm * cosine
    radial = {k: v * (pitch * cosine) ** 2 for k, v in _radial_variances(scanner, 1).items()}
    axial = {k: v * scanner.ring_spacing_mm**2
             for k, v in _axial_variances(scanner, 1, length).items()}
    if scanner.scintillator is not None:
        t = math.asin(radius_mm / scanner.effective_radius_mm) * scanner.crystals / np.pi
        spread = float(np.var(seen_at(scanner, [t])))
        radial["penetration"] = spread * (pitch * cosine) ** 2
    found = {}
    for name, parts in (("radial", radial), ("axial", axial)):
        parts["positron range"] = range_sd_mm(isotope) ** 2
        parts["total"] = sum(parts.values())
        found[name] = {part: FWHM_PER_SIGMA * math.sqrt(v) for part, v in parts.items()}
    return found
