"""Means over phantoms with their uncertainty, and paired comparisons of two methods."""

import numpy as np
from scipy import stats

RESAMPLES = 5000
LEVEL = 0.95
LEAST = 6  # phantoms of an interval: of fewer Wilcoxon's p is never below 1 - LEVEL, 2 / 2^n


def mean_with_interval(values, seed=0):
    """Mean of a phantom's values, and its bootstrap interval.

    Args:
        values: (phantoms,); NaN where a phantom has none.
        seed: of the phantoms that are drawn, with replacement.
    Returns:
        dict of mean, low and high (percentiles of LEVEL), and phantoms; low and high are NaN for
        fewer than LEAST phantoms.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if not len(values):
        return {"mean": np.nan, "low": np.nan, "high": np.nan, "phantoms": 0}
    low = high = np.nan
    if len(values) >= LEAST:
        rng = np.random.default_rng(seed)
        means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
        low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high),
            "phantoms": len(values)}


def paired(values, others, seed=0):
    """Mean difference of two methods over the same phantoms, and whether it may be chance.

    The p-value is that of Wilcoxon's signed-rank test, two-sided, exact where no differences tie;
    with n phantoms it is never below 2 / 2^n.

    Returns:
        As `mean_with_interval`, of values - others, with p (NaN for fewer than two phantoms).
    """
    differences = np.asarray(values, dtype=float) - np.asarray(others, dtype=float)
    differences = differences[~np.isnan(differences)]
    p = np.nan
    if len(differences) > 1:
        p = float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0
    return mean_with_interval(differences, seed) | {"p": p}
