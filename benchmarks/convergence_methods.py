"""The algorithms that `countless benchmark convergence` compares, and the settings that are tried.

Each has as many settings to choose from; which one is used is decided by other scans than those
that are reported.
"""

from functools import partial
from itertools import islice

from benchmarks.convergence_published import SUBSETS, published
from recon.algorithms import bsrem, saga, svrg
from recon.algorithms.em import updates
from recon.algorithms.subsets import divisor_nearest


def _ours(case, passes, *, algorithm, subsets, **options):
    make = {"svrg": svrg, "saga": saga}[algorithm]
    return make(passes.subsets(case.prompts, subsets), case.prior, case.start, **options)


def _osem_bsrem(case, passes, *, subsets, osem_passes, relaxation):
    data, image = passes.subsets(case.prompts, subsets), case.start
    for image in islice(updates(data, start=case.start), osem_passes * subsets):
        yield image
    yield from bsrem(data, case.prior, image, relaxation=relaxation)


def _published(case, passes, *, subsets=SUBSETS, **options):
    number = divisor_nearest(len(case.prompts), subsets)
    return published(passes.subsets(case.prompts, number), case.prior, case.start, **options)


UNTUNED = {"as published": {}}  # beside them, with the settings of its authors
_MADE = {"ours": _ours, "osem-bsrem": _osem_bsrem, "published": _published,
         "as published": _published}
SETTINGS = {
    "ours": (
        {"algorithm": "svrg", "subsets": 16},
        {"algorithm": "svrg", "subsets": 32},
        {"algorithm": "svrg", "subsets": 8},
        {"algorithm": "svrg", "subsets": 16, "anchor_passes": 1, "steps": (3.0, 1.5, 1.0)},
        {"algorithm": "svrg", "subsets": 16, "anchor_passes": 1, "steps": (2.0,)},
        {"algorithm": "saga", "subsets": 16},
    ),
    "osem-bsrem": (
        {"subsets": 16, "osem_passes": 0, "relaxation": 0.1},
        {"subsets": 16, "osem_passes": 1, "relaxation": 0.1},
        {"subsets": 16, "osem_passes": 1, "relaxation": 0.5},
        {"subsets": 8, "osem_passes": 1, "relaxation": 0.03},
        {"subsets": 8, "osem_passes": 1, "relaxation": 0.1},
        {"subsets": 8, "osem_passes": 2, "relaxation": 0.1},
    ),
    "published": (
        {},  # as its authors have it
        {"subsets": 16},
        {"hessian": 4.0},
        {"faster": 0.5},
        {"subsets": 16, "faster": 0.5},
        {"subsets": 16, "hessian": 2.0, "faster": 0.5},
    ),
}


def algorithm(name, settings):
    """The function of a Case and its Passes that runs an algorithm, see `convergence_race.race`."""
    return partial(_MADE[name], **settings)
