"""A study: who is scanned, how, at which doses, and how images are made of it; all as values.

A study's files depend on its recipe alone: on all settings but the number of phantoms and the
split, so that a study can be extended. Random numbers are drawn from generators keyed by what they
are for (study, phantom, realisation, dose), so the order and place of the work do not matter.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from recon.io.provenance import plain
from recon.version import __version__
from sim.dose import MODES, Dose
from sim.protocol import Protocol
from sim.reconstruct import Reconstruction

PAIRS = ("independent", "thinned")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Phantoms:
    """Who or what is scanned.

    Attributes:
        kind: a phantom's name, as `countless phantom` takes it.
        count: how many; each is drawn with a seed of its own.
        options: further settings of that phantom, such as a person's tracer.
    """

    kind: str = "person"
    count: int = 20
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        _check_from("phantoms.count", self.count, 1)
        if Path(self.kind).suffix:
            raise ValueError(
                f"phantoms.kind takes the name of a phantom, got the file {self.kind}; a labelled "
                "volume is one phantom: `countless phantom` and `countless scan` make its scans"
            )
        if "seed" in self.options:
            raise ValueError(
                "phantoms.options takes no seed, for each phantom is drawn with its own; set the "
                "study's seed"
            )


@dataclass(frozen=True, kw_only=True)
class Doses:
    """Which low doses are simulated beside the standard one.

    Attributes:
        mode: "time" for shorter scans, "activity" for less activity, as in `sim.dose`.
        factors: dose reduction factors, each above 1.
        pairs: "independent" for low-dose scans whose noise has nothing to do with that of the
            standard-dose scan, which are fair to train with; "thinned" for counts taken out of the
            standard-dose scan, whose noise is part of it: a network trained on those pairs learns
            to keep 1 / factor of the noise.
    """

    mode: str = "time"
    factors: tuple[float, ...] = (4.0, 20.0)
    pairs: str = "independent"

    def __post_init__(self):
        for name, value, known in (("mode", self.mode, MODES), ("pairs", self.pairs, PAIRS)):
            if value not in known:
                raise ValueError(f"doses.{name} takes {' or '.join(known)}, got {value!r}")
        if not self.factors or len(set(self.factors)) < len(self.factors) or (
            not all(1 < factor < math.inf for factor in self.factors)
        ):
            raise ValueError(
                "doses.factors takes different dose reduction factors above 1, got "
                f"{list(self.factors)}; 4 is a quarter of the dose, and the standard dose is "
                "always there"
            )


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which part of the phantoms is for training, for validation and for testing."""

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self):
        parts = self.train, self.validation, self.test
        if min(parts) < 0 or not math.isclose(sum(parts), 1):
            raise ValueError(
                f"split takes three parts that sum to 1, got {', '.join(f'{p:g}' for p in parts)}"
            )

    def of(self, count):
        """The split of each of so many phantoms, a list out of SPLITS.

        Each phantom goes where most are missing, so that every beginning of the list is split as
        asked and a study that grows keeps what it had.
        """
        parts = [Fraction(getattr(self, name)).limit_denominator(10**6) for name in SPLITS]
        given, found = [0] * len(SPLITS), []
        for number in range(1, count + 1):
            missing = [part * number - had for part, had in zip(parts, given, strict=True)]
            most = missing.index(max(missing))
            given[most] += 1
            found.append(SPLITS[most])
        return found


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that a data set is made by.

    Attributes:
        seed: of everything that is random.
        phantoms, scan, doses, reconstruction, split: see their classes.
        realisations: scans of each phantom at each dose, which differ in their noise.
    """

    seed: int = 1
    phantoms: Phantoms = field(default_factory=Phantoms)
    scan: Protocol
    doses: Doses = field(default_factory=Doses)
    realisations: int = 1
    reconstruction: Reconstruction = field(default_factory=Reconstruction)
    split: Split = field(default_factory=Split)

    def __post_init__(self):
        _check_from("seed", self.seed, 0)
        _check_from("realisations", self.realisations, 1)

    @property
    def images(self):
        """Reconstructions of one phantom."""
        return self.realisations * (1 + len(self.doses.factors))

    def dose(self, factor):
        """The Dose of a reduction factor; 1 for the standard dose."""
        return Dose(factor=factor, mode=self.doses.mode)

    def phantom_seed(self, number):
        """What phantom of a number, from 1, is drawn with."""
        return int(np.random.SeedSequence(self.seed, spawn_key=(number,)).generate_state(1)[0])

    def rng(self, number, *key):
        """The Generator of a phantom's acquisition, or, by realisation and dose, of its counts.

        Args:
            number: of the phantom, from 1.
            key: nothing; or the realisation, from 0, and the dose reduction factor.
        """
        bits = [int(np.float64(value).view(np.uint64)) for value in key]
        return np.random.default_rng(
            np.random.SeedSequence(self.seed, spawn_key=(number, len(bits), *bits))
        )

    def settings(self):
        """All settings as JSON holds them."""
        return plain(asdict(self))

    def recipe(self):
        """The settings, and the version, that a phantom's file depends on."""
        said = self.settings() | {"version": __version__}
        del said["split"]
        said["phantoms"].pop("count")
        return said

    def hash(self):
        """SHA-256 of the recipe, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.recipe(), sort_keys=True).encode()).hexdigest()


def _check_from(name, value, least):
    if value < least:
        raise ValueError(f"{name} takes a whole number from {least}, got {value}")
