"""How far an image is from a reference, and how long an algorithm takes until it stays near to it.

As in the PET Rapid Image Reconstruction Challenge (PETRIC, arXiv 2511.22566): differences count
relative to the reference's mean in the background; each region's mean shall differ by less than
0.5 %, and the root mean square over the object and over the background by less than 1 %. Time
begins with the scan, the prior and the first image at hand: sensitivities are on the clock,
measuring is not.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from recon.algorithms import Subsets
from recon.operators import LinearOperator

MEAN, RMSE = 0.005, 0.01  # relative to the background's mean
IN_A_ROW = 10  # updates
BLOWN_UP = 1e4  # times the thresholds: it will not come back


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A reference image and where others are compared with it.

    Attributes:
        reference: (x, y, z).
        whole, background: bool (x, y, z).
        regions: dict from names to bool (x, y, z).
    """

    reference: np.ndarray
    whole: np.ndarray
    background: np.ndarray
    regions: dict

    def distances(self, image):
        """Of an image, by name: differences of means, and root mean squares; a dict of float."""
        off = image.astype(np.float64) - self.reference
        unit = float(self.reference[self.background].mean(dtype=np.float64))
        found = {name: abs(float(off[mask].mean())) / unit for name, mask in self.regions.items()}
        for name, mask in (("whole", self.whole), ("background", self.background)):
            found[f"RMSE {name}"] = math.sqrt(float((off[mask] ** 2).mean())) / unit
        return found

    def worst(self, image):
        """The largest of the distances, each over its threshold: below 1 all are met."""
        over = [value / (RMSE if name.startswith("RMSE ") else MEAN)
                for name, value in self.distances(image).items()]
        return max(over) if all(map(math.isfinite, over)) else math.inf


class Passes:
    """Counts how much of a scan is projected forward: 1 is a pass over all of its bins."""

    def __init__(self, model):
        self.bins, self.whole, self.model = 0, math.prod(model.data_shape), model

    @property
    def number(self):
        return self.bins / self.whole

    def subsets(self, prompts, number):
        """Subsets whose projections are counted, with nothing known of them yet."""
        data = Subsets(self.model, prompts, number)
        for part in data.models:
            part.projector = _Counted(part.projector, self)
        return data


class _Counted(LinearOperator):
    """A projector that tells Passes of each forward projection."""

    def __init__(self, projector, passes):
        super().__init__(projector.in_shape, projector.out_shape)
        self.projector, self.passes, self.threads = projector, passes, projector.threads

    def _apply(self, image):
        self.passes.bins += math.prod(self.out_shape)
        return self.projector(image)

    def _apply_transposed(self, values):
        return self.projector.T(values)


def race(algorithm, case, target, most):
    """Runs an algorithm until its images stay near to the reference, or for so many passes.

    Args:
        algorithm: function of a Case and its Passes that returns images after each update.
        case: Case.
        target: Target.
        most: passes.
    Returns:
        List of (seconds, passes, worst) after each update.
    """
    passes, rows, seconds, near = Passes(case.model), [], 0.0, 0
    began = time.perf_counter()
    images = algorithm(case, passes)
    while near < IN_A_ROW:
        image = next(images)
        seconds += time.perf_counter() - began
        rows.append((seconds, passes.number, target.worst(image)))
        near = near + 1 if rows[-1][2] < 1 else 0
        if passes.number > most or rows[-1][2] > BLOWN_UP:
            break
        began = time.perf_counter()
    return rows


def arrived(rows):
    """Number, from 1, of the first of IN_A_ROW updates that are all near; None without."""
    near = 0
    for number, (*_, worst) in enumerate(rows, 1):
        near = near + 1 if worst < 1 else 0
        if near == IN_A_ROW:
            return number - IN_A_ROW + 1
    return None


def rerun(algorithm, case, updates):
    """Seconds of so many updates, nothing measured between them."""
    began = time.perf_counter()
    images = algorithm(case, Passes(case.model))
    for _ in range(updates):
        next(images)
    return time.perf_counter() - began
