"""The algorithm of a reconstruction with its prior, as a user names them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon import backend, text
from recon.agreement import check_position
from recon.algorithms import (
    KernelMatrix,
    LogCosh,
    Quadratic,
    RelativeDifference,
    Subsets,
    TotalVariation,
    bowsher,
    bsrem,
    direction,
    kappa,
    kem,
    mapem,
    one_step_late,
    saga,
    spdhg,
    svrg,
)
from recon.algorithms.em import updates
from recon.algorithms.penalized import first_image, level
from recon.algorithms.subsets import divisor_nearest
from recon.corrections.hounsfield import AIR_HU
from recon.field_of_view import same_place
from recon.io import FileError, like, read_image
from recon.resampling import coverage, resample

PENALISED = {"osl": one_step_late, "mapem": mapem, "bsrem": bsrem, "svrg": svrg, "saga": saga,
             "spdhg": spdhg}
UNROLLED = ("fbsem", "learned-gradient", "primal-dual")  # networks (`recon.learned.unrolled`)
LEARNED = (*UNROLLED, "pnp", "dip")  # `denoise.reconstruction`
ALGORITHMS = ("osem", "kem", *PENALISED, *LEARNED)
# Of each prior its name in words, and epsilon in units of the image's level where none is given.
PRIORS = {
    "quadratic": ("quadratic", None),
    "rdp": ("relative difference", 1e-3),
    "log-cosh": ("log-cosh", 0.1),
    "tv": ("total variation", 0.01),
    "pls": ("parallel level sets", 0.01),
}
PASSES, PENALISED_PASSES = 3, 20  # by default
TOLERANCE, STRENGTH = 1e-3, 0.01  # by default, of the penalised ones


@dataclass(frozen=True, kw_only=True)
class Method:
    """An algorithm and its prior, checked as far as names and numbers tell.

    A strength is without a unit, and smooths alike at any dose and in any unit: beta is it, times
    the image's level (`recon.algorithms.penalized.level`) for priors that grow with the image as
    the first power (all but quadratic and log-cosh), and each voxel is weighted by `kappa`.

    Attributes:
        algorithm: out of ALGORITHMS.
        prior: out of PRIORS, None for osem and kem.
        strength: of the prior, 0 or more.
        gamma: of rdp.
        epsilon: of rdp, tv and pls, and log-cosh's delta, in units of the image's level.
        anatomy: image that guides: kem and pls take it, and other priors of pairs may.
        tolerance: root mean square of what a pass changes, as a part of the image's, that ends it.
        learned: of `denoise.reconstruction.find_algorithm`, for an algorithm out of LEARNED; it
            says how many `passes` there are, whether these are a network's `blocks`, what it has
            `kept`, its `name` and `words`, refuses what it cannot serve (`check`), and makes
            `images`.
    Raises:
        ValueError: they do not go together.
    """

    algorithm: str = "osem"
    prior: str | None = None
    strength: float | None = None
    gamma: float = 2.0
    epsilon: float | None = None
    anatomy: Path | None = None
    tolerance: float | None = None
    learned: object = None

    @classmethod
    def of(cls, *, algorithm, prior, strength, epsilon, tolerance, learned=None, **others):
        """The Method of settings that may be left open.

        Raises:
            ValueError: a setting of a prior goes with an algorithm that has none.
        """
        if algorithm not in PENALISED:
            given = {"--prior": prior, "--epsilon": epsilon}
            if not learned:  # which has its own
                given["--strength"] = strength
            for flag, value in given.items():
                if value is not None:
                    raise ValueError(
                        f"{flag} takes an algorithm with a prior ({', '.join(PENALISED)}), got "
                        f"{algorithm}; add --algorithm svrg, or leave {flag} out"
                    )
            return cls(algorithm=algorithm, tolerance=tolerance, learned=learned, **others)
        prior = prior or ("tv" if algorithm == "spdhg" else "rdp")
        if epsilon is None:
            epsilon = 0.0 if algorithm == "spdhg" else PRIORS[prior][1]
        return cls(algorithm=algorithm, prior=prior, epsilon=epsilon,
                   strength=STRENGTH if strength is None else strength,
                   tolerance=TOLERANCE if tolerance is None else tolerance, **others)

    def __post_init__(self):
        for flag, value in (("--strength", self.strength), ("--gamma", self.gamma),
                            ("--epsilon", self.epsilon), ("--tolerance", self.tolerance)):
            if value is not None and not 0 <= value < np.inf:
                raise ValueError(f"{flag} takes a number of 0 or more, got {value:g}")
        if self.algorithm == "spdhg" and (self.prior not in ("tv", "pls") or self.epsilon):
            raise ValueError(
                f"spdhg takes tv or pls as they are, with epsilon 0, got {self.prior} with "
                f"{self.epsilon or 0:g}; take svrg for what is smooth"
            )
        smooth = self.algorithm != "spdhg" and self.prior in ("log-cosh", "tv", "pls")
        if smooth and not self.epsilon:
            raise ValueError(
                f"--epsilon takes a number above 0 for {self.prior}, got 0; take spdhg for total "
                "variation without it"
            )
        if self.algorithm == "mapem" and self.prior == "rdp" and (
            self.gamma < 1 or not self.epsilon
        ):
            raise ValueError(
                f"mapem takes rdp with gamma of 1 or more and epsilon above 0, got {self.gamma:g} "
                f"and {self.epsilon:g}; take svrg or bsrem for others"
            )
        if self.anatomy is None and (self.algorithm == "kem" or self.prior == "pls"):
            raise ValueError(
                f"{'kem' if self.algorithm == 'kem' else 'pls'} takes an anatomical image, got "
                "none; give it by --anatomy"
            )
        if self.anatomy and (self.algorithm == "osem" or self.prior == "tv"):
            raise ValueError(
                f"--anatomy takes kem, or a prior that it guides, got "
                f"{self.prior or self.algorithm}; take pls to guide total variation"
            )
        if self.learned:
            self.learned.check_anatomy(self.anatomy)

    def images(self, data, first, anatomy, said):
        """Yields the image after each update, without end.

        Args:
            data: Subsets of the scan.
            first: dict of `start` or `inside`, see `recon.algorithms.em.updates`.
            anatomy: of `read_anatomy`, None without.
            said: dict that gets what is settled on the way: level, beta and epsilon.
        """
        if self.algorithm == "osem":
            yield from updates(data, **first)
        elif self.learned:
            yield from self.learned.images(data, first, anatomy, said)
        elif self.algorithm == "kem":
            grid = data.model.projector.grid
            yield from kem(data, KernelMatrix(anatomy, grid), **first)
        else:
            # One pass with as many subsets whatever --subsets says: `kappa` hangs on it.
            number = divisor_nearest(data.model.data_shape[0])
            usual = Subsets(data.model, data.all_prompts, number, kept_bytes=0)
            start = first_image(data if number == data.number else usual, **first)
            prior = self._made(data, start, anatomy, said)
            yield from PENALISED[self.algorithm](data, prior, start)

    def _made(self, data, start, anatomy, said):
        """The prior, weighted by `kappa` at the first image."""
        grid, unit = data.model.projector.grid, level(start)
        grows = self.prior not in ("quadratic", "log-cosh")
        beta = self.strength * (unit if grows else 1.0)
        epsilon = unit * self.epsilon if self.epsilon is not None else None
        said |= {"level": unit, "beta": beta, "epsilon": epsilon}
        options = {"strength": beta, "kappa": kappa(data, start)}
        if self.prior in ("tv", "pls"):
            guide = direction(anatomy, grid) if self.prior == "pls" else None
            return TotalVariation(grid, epsilon=epsilon, direction=guide, **options)
        if anatomy is not None:
            options["chosen"] = bowsher(anatomy, grid)
        if self.prior == "quadratic":
            return Quadratic(grid, **options)
        if self.prior == "log-cosh":
            return LogCosh(grid, delta=epsilon, **options)
        return RelativeDifference(grid, gamma=self.gamma, epsilon=epsilon, **options)

    def check_anatomy(self, grid, scan):
        """How much of a Grid the anatomical image covers, from its header; None without one.

        Raises:
            FileError: it cannot be read, or lies elsewhere.
        """
        if self.anatomy is None:
            return None
        check_position(self.anatomy, grid.patient_position, scan)
        own = like(self.anatomy, grid.patient_position)[0]
        inside = float(np.prod([part.mean() for part in coverage(own, grid)]))
        if inside == 0:
            raise FileError(
                f"{self.anatomy} has {text.grid(own)}, and none of it lies in the image, "
                f"{text.grid(grid)}; is it of this patient, and registered?"
            )
        return inside

    def read_anatomy(self, grid, scan, device):
        """The anatomical image on a Grid and a device, and a note of how it came there, or None.

        Raises:
            FileError: as `check_anatomy`, or it has NaN.
        """
        inside = self.check_anatomy(grid, scan)
        if inside is None:
            return None, None
        image, own, _ = read_image(self.anatomy, grid.patient_position)
        if not np.isfinite(image).all():
            raise FileError(f"{self.anatomy} has NaN or infinite values; fill them in")
        note = None
        if not same_place(own, grid):
            note = (f"{self.anatomy} was resampled to the image's voxels"
                    + (f" and covers {100 * inside:.0f} % of them" if inside < 0.995 else ""))
            beyond = np.float32(AIR_HU if self.learned else 0)  # a CT's in HU
            image = resample(image - beyond, own, grid) + beyond
        return backend.to_device(np.ascontiguousarray(image, np.float32), device), note

    def kept(self, subsets):
        """How many images and sinograms it keeps beside what OSEM does, two numbers.

        Weights, gradients and curvatures; what each subset said; dual variables.
        """
        if self.learned:
            return self.learned.kept(subsets)
        if self.algorithm in ("svrg", "saga"):
            return 7 + subsets, 0
        return {"osem": (0, 0), "kem": (10, 0), "spdhg": (14, 2)}.get(self.algorithm, (7, 0))

    @property
    def passes(self):
        """How many there are by default, at most."""
        if self.learned:
            return self.learned.passes
        return PENALISED_PASSES if self.algorithm in PENALISED else PASSES

    @property
    def name(self):
        """Of the algorithm, as the field writes it."""
        if self.learned:
            return self.learned.name
        return {"saga": "SAGA", "osl": "one-step-late", "mapem": "MAP-EM"}.get(
            self.algorithm, self.algorithm.upper())

    @property
    def blocks(self):
        """Whether its passes are the blocks of an unrolled network."""
        return self.learned is not None and self.learned.blocks

    @property
    def guided_by(self):
        return f", guided by {self.anatomy.name}" if self.anatomy else ""

    def __str__(self):
        """The prior in words."""
        numbers = [f"strength {self.strength:g}"]
        if self.prior == "rdp":
            numbers.append(f"gamma {self.gamma:g}")
        if self.epsilon is not None:
            numbers.append(f"epsilon {self.epsilon:g} of the image's level")
        return f"{PRIORS[self.prior][0]}, {', '.join(numbers)}{self.guided_by}"
