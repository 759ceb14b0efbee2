"""Minima to compare with: found by two algorithms that have nothing in common but the objective."""

from itertools import islice

import numpy as np

from benchmarks.convergence_race import Target
from recon.algorithms import Subsets, objective, svrg

TIGHTER = 10.0  # than the thresholds shall both agree
ROUNDS = 6
ITERATIONS, MEMORY = 40, 10  # of L-BFGS-B in a round, and pairs of gradients that it keeps
SUBSETS, PASSES = 8, 20  # of SVRG in a round
STEPS = (2.0,) * 10 + (1.0,) * 30 + (0.5,)


def reference(case):
    """The Target of a Case, and how it was found.

    L-BFGS-B minimises over images / p not below 0, with p = 1 / sqrt(kappa^2 + the diagonal of the
    prior's Hessian) of the image at hand, new in each round; SVRG with few subsets and small steps
    goes on where it was. Rounds end when both agree.

    Args:
        case: Case.
    Returns:
        Target of the image with the lower objective, and a dict for JSON: rounds, agreed, worst
        (the largest distance between both over its threshold) and objectives of the start and both.
    """
    whole = Subsets(case.model, case.prompts, 1)
    few = Subsets(case.model, case.prompts, SUBSETS)
    descending = svrg(few, case.prior, case.start, steps=STEPS)
    newton, rounds, worst = case.start, 0, np.inf
    while rounds < ROUNDS and worst > 1 / TIGHTER:
        rounds += 1
        newton = lbfgs(case, whole, newton)
        other = next(islice(descending, PASSES * SUBSETS - 1, None)).copy()
        worst = _target(case, newton).worst(other)
    start, *ends = (objective(whole, case.prior, image) for image in (case.start, newton, other))
    found = {
        "rounds": rounds, "agreed": worst <= 1 / TIGHTER, "worst": worst, "objective_start": start,
        "objective_lbfgs": ends[0] - start, "objective_svrg": ends[1] - start,
    }
    return _target(case, newton if ends[0] <= ends[1] else other), found


def lbfgs(case, whole, image, iterations=ITERATIONS):
    """An image after iterations of preconditioned L-BFGS-B.

    Args:
        case: Case.
        whole: Subsets of it, one.
        image: to start from.
        iterations: at most.
    Returns:
        (x, y, z) float32.
    Source: Byrd, Lu, Nocedal & Zhu, SIAM J. Sci. Comput. 16(5), 1995; preconditioned as Tsai et
        al., IEEE TMI 39(1), 2020, do.
    """
    from scipy.optimize import Bounds, minimize

    prior, model, sensitivity = case.prior, case.model, whole.sensitivity(0)
    steepness = prior.kappa.astype(np.float64) ** 2 + prior.diagonal(image)
    scale = np.divide(1.0, np.sqrt(steepness), out=np.zeros_like(steepness), where=steepness > 0)
    offset = objective(whole, prior, image)

    def value_and_slope(z):
        x = (z.reshape(image.shape) * scale).astype(np.float32)
        projection = model.project(x)
        likelihood = model.log_likelihood_of(model.expected_of(projection.copy()), case.prompts)
        slope = sensitivity - model.back(model.ratio_of(projection, case.prompts))
        slope += prior.gradient(x)
        return prior.value(x) - likelihood - offset, (slope * scale).ravel()

    z = np.divide(image, scale, out=np.zeros_like(steepness), where=scale > 0)
    found = minimize(
        value_and_slope, z.ravel(), jac=True, method="L-BFGS-B", bounds=Bounds(0, np.inf),
        options={"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": MEMORY, "ftol": 0,
                 "gtol": 0},
    )
    return (found.x.reshape(image.shape) * scale).astype(np.float32)


def _target(case, image):
    return Target(reference=image, whole=case.whole, background=case.background,
                  regions=case.regions)
