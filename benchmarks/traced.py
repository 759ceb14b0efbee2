"""Methods with the knobs by which they trace their curves, and the scans they are given."""

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.matched_noise_summary import REFERENCE
from benchmarks.methods import Method
from recon.operators import GaussianBlur
from recon.reconstruction import post_filter
from sim.dataset import Pair
from sim.dose import parts

FWHM_MM = (0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0, 16.0)
BLENDS = tuple(np.linspace(0, 1, 9))  # the network's part
SCOUTED = 7  # strengths over a method's whole range, in validation
NEAR = 1.5  # times the reference's noise, and as much below it, lie the strengths that are tested


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A method, and the knob by which it traces its curve.

    Attributes:
        method: `benchmarks.methods.Method`.
        knob, values: its name, and the values that are taken.
    """

    method: Method
    knob: str
    values: tuple

    @property
    def name(self):
        """Of the method."""
        return self.method.name

    @classmethod
    def of(cls, method):
        """A Method with its knob; of a strength, values over all its range.

        Raises:
            ValueError: it does not begin with a low dose, or is that image as it is.
        """
        if method.denoiser is None or method.source != "low":
            raise ValueError(
                f"matched-noise --methods takes denoisers and reconstructions, got {method.name}; "
                "OSEM at the low dose, under Gaussians, is always there"
            )
        if method.name == REFERENCE:
            return cls(method=method, knob="fwhm_mm", values=FWHM_MM)
        if not method.tuned:
            return cls(method=method, knob="blend", values=BLENDS)
        values = np.geomspace(*method.denoiser.range, SCOUTED)
        if method.parameter == "passes":
            values = np.unique(np.round(values))
        return cls(method=method, knob=method.parameter, values=tuple(map(float, values)))

    def near(self, validated, target, points):
        """The same with other strengths: about a noise, and that of the least error.

        Straight lines over the whole range would cut a curve short between its points.

        Args:
            validated: dict of noise and least_at, what was found over the whole range.
            target: noise.
            points: values from noise NEAR times as high to as much lower.
        Returns:
            Traced; itself where it has no strength, or none of such noise.
        """
        if self.method.name == REFERENCE or self.knob in ("blend", "passes"):
            return self
        noise, order = np.array(validated["noise"]), np.argsort(validated["noise"])
        first, last = np.interp([target * NEAR, target / NEAR], noise[order],
                                np.log(self.values)[order])
        if first == last:
            return self
        best = validated["least_at"]
        values = [value for value in np.geomspace(*np.exp([first, last]), points)
                  if not np.isclose(value, best)]  # which may be an end
        return replace(self, values=tuple(sorted(map(float, [*values, best]))))

    def images(self, scan, plain_image, data, number, settings, device):
        """Yields the image (x, y, z) of a scan at each value; of passes, all from one run.

        Args:
            scan: `sim.dataset.Scan`.
            plain_image: of OSEM, without a filter.
            data, number: StoredStudy and phantom.
            settings: dict, the study's reconstruction.
            device: "cpu" or "cuda", of reconstructions and networks; baselines are on the CPU.
        """
        if self.method.name == REFERENCE:
            for fwhm_mm in self.values:
                yield _filtered(plain_image, scan.grid, fwhm_mm)
            return
        file, make = data.file(number), self.method.denoiser
        ct, filtered = file["ct"][:], _filtered(plain_image, scan.grid, settings["post_filter_mm"])
        if self.knob == "passes":
            yield from make.after([round(value) for value in self.values], scan, ct, device=device)
            return
        if self.knob != "blend":
            for value in self.values:
                yield (make(scan, ct, value, device) if self.method.reconstructs else
                       self.method.image(filtered, data.grid(number), file["labels"][:] > 0, value,
                                         ct))
            return
        if self.method.reconstructs:
            answer = make(scan, ct, device=device)
        else:
            from denoise.inference import denoise

            answer = denoise(filtered, data.grid(number), make, ct=ct, device=device,
                             progress=False).image
        for part in self.values:
            yield np.float32(part) * answer + np.float32(1 - part) * filtered


def low_scans(data, number, factor):
    """Yields independent scans of a phantom at 1 / factor of the dose, as shorter scans count.

    Counts of its standard-dose scans are split (`sim.dose.parts`). Expected randoms and scatter are
    the standard dose's estimates, shared out alike: a low-dose scan's own would be noisier.

    Args:
        data: StoredStudy that keeps its scans.
        number: of the phantom.
        factor: whole number of parts of each scan.
    Yields:
        `sim.dataset.Scan`, factor times the study's realisations.
    """
    seed = data.index["recipe"]["seed"]
    # No key of `sim.study.Study.rng`, by which the counts were drawn, has a 3 there.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 3)))
    share = np.float32(1 / factor)
    for realisation in range(data.realisations):
        pair = Pair(number=number, factor=data.factors[0], realisation=realisation)
        scan = data.scan(pair, standard=True)
        own = replace(scan, factors=scan.factors * share, background=scan.background * share)
        for prompts in parts(scan.prompts, factor, rng):
            yield replace(own, prompts=prompts)


def _filtered(image, grid, fwhm_mm):
    """An image under a Gaussian, as `countless recon` filters."""
    blur = GaussianBlur(grid.shape, grid.voxel_mm, fwhm_mm) if fwhm_mm else None
    return post_filter(blur)(image)
