"""Curves of contrast against noise: a knob's ensembles of images, and what is read off at a noise.

Noise is that between realisations, never that between voxels of one image:

    noise = sqrt(mean over voxels of the variance between realisations) / mean

in the inside of a uniform organ, over the images' own mean there: as contrast is of an image's own
background, so a method that takes a part of all activity away gains by neither.

Of the voxels a curve keeps the mean products of their deviations, (realisation, realisation), from
which the variance of any draw of realisations follows:

    sum over voxels of the variance = (sum_r w_r G_rr - sum_rs w_r G_rs w_s / R) / (R - 1)

with w_r how often a realisation was drawn, R in all.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.clinical_metrics import lesion_biases
from benchmarks.ensembles import noise_power
from benchmarks.image_metrics import nrmse


class Ensemble:
    """Realisations of an image, of which no more is kept than is measured.

    Args:
        regions: `benchmarks.regions.Regions`.
        cube: slices in the uniform organ (`benchmarks.ensembles.largest_cube`), or None.
    """

    def __init__(self, regions, cube):
        self.regions, self.cube = regions, cube
        self.inside, self.cubes, self.recoveries, self.errors = [], [], [], []

    def add(self, image):
        """Measures the image (x, y, z) of one more realisation."""
        regions = self.regions
        self.inside.append(image[regions.inside])
        self.recoveries.append([np.nan if row["recovery"] is None else row["recovery"]
                                for row in lesion_biases(image, regions)])
        self.errors.append(nrmse(image, regions.truth, regions.body))
        if self.cube:
            self.cubes.append(image[self.cube])


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """What images of a phantom are like at each value of a knob.

    Attributes:
        products: (point, realisation, realisation), see above, over the truth's mean squared.
        means: (point, realisation), of the organ, over the truth's.
        recoveries: (point, realisation, lesion), contrast recoveries; NaN where one has none.
        errors: (point, realisation), NRMSE to the truth in the body.
        patterns: (point,), standard deviation over the organ's voxels of the realisations' mean
            over the truth, less what their noise makes of it, over its mean: a pattern that all
            realisations show and the truth does not.
        powers: (point, frequency), noise power in mm^3, over the truth's mean squared; None where
            the organ holds no cube.
    """

    products: np.ndarray
    means: np.ndarray
    recoveries: np.ndarray
    errors: np.ndarray
    patterns: np.ndarray
    powers: np.ndarray | None

    @classmethod
    def of(cls, ensembles):
        """The Curve of a list of Ensemble, of two realisations or more each."""
        regions = ensembles[0].regions
        truth = regions.truth[regions.inside].astype(float)
        products, means, patterns = [], [], []
        for one in ensembles:
            values = np.array(one.inside, dtype=float) / truth.mean()
            products.append(_products(values))
            means.append(values.mean(axis=1))
            patterns.append(_pattern(np.array(one.inside, dtype=float) / truth))
        powers = None
        if ensembles[0].cube:
            powers = np.array([noise_power(one.cubes, regions.voxel_mm)[1] for one in ensembles])
            powers /= truth.mean() ** 2
        recoveries = np.array([one.recoveries for one in ensembles], dtype=float)
        return cls(
            products=np.array(products), means=np.array(means), patterns=np.array(patterns),
            recoveries=recoveries.reshape(*np.shape(means), len(regions.lesions)),
            errors=np.array([one.errors for one in ensembles]), powers=powers,
        )

    @property
    def realisations(self):
        """How many there are."""
        return self.means.shape[1]

    def noise(self, weights):
        """Noise of draws of realisations, (draw, point); NaN of a draw of one of them alone.

        Args:
            weights: (draw, realisation), how often each was drawn: as many as there are in all.
        """
        many = self.realisations
        # einsum by itself, and no BLAS, whose bits would hang on the number of threads.
        own = np.einsum("dr,prr->dp", weights, self.products)
        mean = np.einsum("prs,ds->dpr", self.products, weights)
        mean = np.einsum("dr,dpr->dp", weights, mean) / many
        variance = np.maximum(own - mean, 0) / (many - 1)  # rounding may leave less than none
        variance[np.count_nonzero(weights, axis=1) < 2] = np.nan
        return np.sqrt(variance) / (np.einsum("dr,pr->dp", weights, self.means) / many)

    def values(self, weights):
        """Means of draws of realisations, (draw, point, lesions + 2).

        That are each lesion's contrast recovery, then NRMSE and bias of the organ's mean.
        """
        found = [self.recoveries, self.errors[..., None], self.means[..., None] - 1]
        found = np.concatenate(found, axis=2)
        return np.einsum("dr,prk->dpk", weights, found) / self.realisations

    def whole(self):
        """Weights of the realisations as they are, (1, realisation)."""
        return np.ones((1, self.realisations))


def read_off(noise, values, at):
    """What curves are at a noise, by straight lines from point to point.

    Of a curve that has it more than once, the first place counts, in the order of its points.

    Args:
        noise: (draw, point).
        values: (draw, point, ...).
        at: noise, (draw,).
    Returns:
        (draw, ...); NaN where the curve does not reach the noise.
    """
    before, after, at = noise[:, :-1], noise[:, 1:], at[:, None]
    within = (np.minimum(before, after) <= at) & (at <= np.maximum(before, after))
    first = within.argmax(axis=1)
    each = np.arange(len(noise))
    low, step = before[each, first], (after - before)[each, first]
    part = np.divide(at[:, 0] - low, step, out=np.zeros_like(low), where=step != 0)
    part = np.where(within.any(axis=1), part, np.nan)
    part = part.reshape(-1, *(1,) * (values.ndim - 2))
    return (1 - part) * values[each, first] + part * values[each, first + 1]


def _products(values):
    """Mean over voxels of the products of deviations, (realisation, realisation)."""
    values = values - values.mean(axis=0)
    return np.einsum("rv,sv->rs", values, values) / values.shape[1]


def _pattern(ratios):
    """`Curve.patterns` of one point, of images over the truth (realisation, voxel)."""
    mean = ratios.mean(axis=0)
    noise = ratios.var(axis=0, ddof=1).mean() / len(ratios)
    return np.sqrt(max(mean.var() - noise, 0.0)) / mean.mean()
