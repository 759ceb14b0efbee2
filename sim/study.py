"""A study: who is scanned, how, at which doses, and how images are made of it; all as values.

A study's files depend on its recipe alone: on all settings but the number of phantoms and the
split, so that a study can be extended; of the user's own labels, on what their files hold. Random
numbers are drawn from generators keyed by what they are for (study, phantom, realisation, dose), so
the order and place of the work do not matter.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from recon.corrections.calibration import isotope as known_isotope
from recon.io.provenance import files_read, plain, sha256
from recon.version import __version__
from sim.dose import MODES, Dose
from sim.protocol import Protocol
from sim.reconstruct import Reconstruction
from sim.study_ct import CT

PAIRS = ("independent", "thinned")
SPLITS = ("train", "validation", "test")
MANY = 20  # phantoms of a name, unless their number is given


@dataclass(frozen=True, kw_only=True)
class Phantoms:
    """Who or what is scanned: phantoms of a name, or label images of the user's.

    Attributes:
        kind: a phantom's name, as `countless phantom` takes it; a person, where there are no
            labels.
        count: how many, each drawn with a seed of its own; 20, or the number of label images.
        options: further settings of that phantom, such as a person's tracer.
        labels: images of labels, each of which is a phantom.
        values: YAML file of what all their labels stand for (`sim.labelled`).
        isotope: of the activity, instead of the phantom's own (F-18 of labels).
    """

    kind: str | None = None
    count: int | None = None
    options: dict = field(default_factory=dict)
    labels: tuple[Path, ...] | None = None
    values: Path | None = None
    isotope: str | None = None

    def __post_init__(self):
        if self.isotope:
            object.__setattr__(self, "isotope", known_isotope(self.isotope).name)
        if self.labels is not None or self.values:
            self._check_labels()
            object.__setattr__(self, "count", len(self.labels))
            return
        object.__setattr__(self, "kind", self.kind or "person")
        object.__setattr__(self, "count", MANY if self.count is None else self.count)
        _check_from("phantoms.count", self.count, 1)
        if Path(self.kind).suffix:
            raise ValueError(
                f"phantoms.kind takes the name of a phantom, got the file {self.kind}; give images "
                "of labels as phantoms.labels, and what they stand for as phantoms.values"
            )
        if "seed" in self.options:
            raise ValueError(
                "phantoms.options takes no seed, for each phantom is drawn with its own; set the "
                "study's seed"
            )

    def _check_labels(self):
        for name, value, what in (("labels", self.labels, "images of labels"),
                                  ("values", self.values, "a YAML file of what they stand for")):
            if not value:
                raise ValueError(f"phantoms.{name} takes {what}, got none; labels and values "
                                 "belong together")
        if self.kind or self.options or self.count not in (None, len(self.labels)):
            raise ValueError(
                "phantoms takes labels or a kind, which count and options belong to, got both; "
                "each image of labels is one phantom"
            )
        first = {}
        for path, found in zip(self.labels, self.sha256["labels"], strict=True):
            if found in first:
                raise ValueError(
                    f"phantoms.labels takes different images, got {path}, which holds the same as "
                    f"{first[found]}: the split could not tell them apart; give one of them"
                )
            first[found] = path

    @cached_property
    def sha256(self):
        """Hashes of the files that phantoms are made of, by setting; {} of a phantom of a name."""
        if not self.labels:
            return {}
        return {"labels": [_sha256(path) for path in self.labels], "values": _sha256(self.values)}


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
        phantoms, scan, ct, doses, reconstruction, split: see their classes.
        realisations: scans of each phantom at each dose, which differ in their noise.
        keep_scans: whether counts, factors and background of all scans are kept beside the images,
            for what learns from sinograms.
    """

    seed: int = 1
    phantoms: Phantoms = field(default_factory=Phantoms)
    scan: Protocol
    ct: CT = field(default_factory=CT)
    doses: Doses = field(default_factory=Doses)
    realisations: int = 1
    keep_scans: bool = False
    reconstruction: Reconstruction = field(default_factory=Reconstruction)
    split: Split = field(default_factory=Split)

    def __post_init__(self):
        _check_from("seed", self.seed, 0)
        _check_from("realisations", self.realisations, 1)

    @property
    def simulates_ct(self):
        """Whether the CT and its mu map are simulated, rather than the phantom's own."""
        return self.ct.simulated and not self.scan.inverse_crime

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
        """The Generator of a phantom's acquisition, of its CT, or of the counts of a scan.

        Args:
            number: of the phantom, from 1.
            key: nothing; 0 for the CT; or the realisation, from 0, and the dose reduction factor.
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
        if not self.keep_scans:  # as studies that are older than the setting have it
            del said["keep_scans"]
        said["phantoms"].pop("count")
        said["phantoms"] |= self.phantoms.sha256  # wherever the files lie
        return said

    def hash(self):
        """SHA-256 of the recipe, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.recipe(), sort_keys=True).encode()).hexdigest()


def _check_from(name, value, least):
    if value < least:
        raise ValueError(f"{name} takes a whole number from {least}, got {value}")


def _sha256(path):
    """Of an image or a table: a header's data follow it."""
    return "+".join(sha256(file) for file in files_read(path))
