"""Several trainings of one recipe, that differ in their seed alone: how much the seed decides."""

import numpy as np

from benchmarks.methods import factor_of
from benchmarks.paired import mean_with_interval, paired
from benchmarks.quality_measure import METRICS, per_phantom
from recon.io.provenance import plain

# What of a recipe and of its provenance may differ between trainings of one recipe. The images are
# the studies', and their noise is measured anew by each training, on a GPU to its rounding.
_SEEDS = ("seed", "command", "epoch", "nrmse", "nrmse_low", "noise", "sha256")


def groups(methods):
    """The methods that are trainings of one recipe with other seeds.

    Args:
        methods: list of `benchmarks.methods.Method`.
    Returns:
        list of lists of Method, each of two or more that begin with the same images.
    """
    found = {}
    for method in methods:
        if method.sha256:
            made = _without_seeds(plain(method.settings))
            kind = method.denoiser.algorithm if method.reconstructs else None
            found.setdefault((method.source, kind, str(made)), []).append(method)
    return [group for group in found.values() if len(group) > 1]


def over_trainings(rows, methods, factors, numbers, best):
    """Each metric of the trainings of a recipe: a list of dict.

    `methods` are their names. `mean`, `low`, `high` and `phantoms` are of the phantoms' means over
    trainings (`benchmarks.paired`), `deviation` is the standard deviation between the trainings'
    means over phantoms (n - 1), `least` and `most` are the ends of these, and `against` compares
    the phantoms' means over trainings with the best baseline, as `quality_measure.summarise` does.

    Args:
        rows, factors, numbers, best: as `quality_measure.summarise` takes them.
        methods: list of Method.
    """
    found = []
    for group in groups(methods):
        for factor in factors:
            own = factor_of(group[0].source, factor)
            for metric, about in METRICS.items():
                values = np.array([per_phantom(rows, metric, method.name, own, numbers)
                                   for method in group])
                row = {"methods": [method.name for method in group], "factor": factor,
                       "metric": metric} | mean_with_interval(values.mean(axis=0))
                told = values[:, ~np.isnan(values).any(axis=0)]
                means = told.mean(axis=1) if told.size else np.full(len(group), np.nan)
                row |= {"deviation": means.std(ddof=1), "least": means.min(), "most": means.max()}
                if best.get(factor):
                    others = per_phantom(rows, metric, best[factor], factor, numbers)
                    row["against"] = {"baseline": best[factor]} | paired(
                        about.compared(values).mean(axis=0), about.compared(others)
                    )
                found.append(row)
    return found


def _without_seeds(settings):
    """Settings of a checkpoint less what hangs on the seed, at any depth."""
    if isinstance(settings, dict):
        return {key: _without_seeds(value) for key, value in sorted(settings.items())
                if key not in _SEEDS}
    if isinstance(settings, list):
        return [_without_seeds(value) for value in settings]
    return settings
