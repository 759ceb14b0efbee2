"""How well a lesion can be told from none: the channelised Hotelling observer.

    v = U' g                     what channels U see of a cube of voxels g about the place
    w = K^-1 (m1 - m0)           from training images: mean outputs with and without a lesion, and
                                 K, the mean of their covariances plus the internal noise's
    t = w' v                     of test images; the area under the curve (AUC) is the chance that
                                 t is greater with a lesion than without

The signal is known exactly as to its place, the background is variable: other people, other organs,
other noise. Channels are differences of Gaussians about the cube's middle, alike in all directions:

    C_j(f) = exp(-(f / Q s_j)^2 / 2) - exp(-(f / s_j)^2 / 2),  s_j = 0.01 2^j / mm, j = 0 … 3, Q = 2

as the sparse set of Abbey & Barrett, J. Opt. Soc. Am. A 18(3), 473-488, 2001, with one channel more
and frequencies in 1/mm. Internal noise is independent from channel to channel, and adds a part of
each output's own variance. Half of the phantoms train, the other half test, and the other way
round; the AUC is the mean of both. Its interval is a bootstrap over the phantoms that test.
"""

import numpy as np
from scipy import stats

from benchmarks.paired import LEAST, LEVEL

CHANNELS, LOWEST_PER_MM, WIDER = 4, 0.01, 2.0
CUBE_MM = 60.0
RESAMPLES = 500


def dog_channels(voxel_mm, cube_mm=CUBE_MM):
    """Channels as templates, (channel, x, y, z) with odd sides, each of norm 1."""
    shape = [2 * int(cube_mm / side / 2) + 1 for side in voxel_mm]
    squares = (np.fft.fftfreq(n, side) ** 2 for n, side in zip(shape, voxel_mm, strict=True))
    f2 = sum(np.ix_(*squares))
    s2 = (LOWEST_PER_MM * 2.0 ** np.arange(CHANNELS))[:, None, None, None] ** 2
    spectra = np.exp(-f2 / (2 * WIDER**2 * s2)) - np.exp(-f2 / (2 * s2))
    templates = np.fft.ifftn(spectra, axes=(1, 2, 3)).real
    templates = np.fft.fftshift(templates, axes=(1, 2, 3))
    return templates / np.sqrt((templates**2).sum(axis=(1, 2, 3), keepdims=True))


def outputs(image, channels, at):
    """What channels see of an image about a voxel, (channel,); None where it is too near its end.

    Args:
        image: (x, y, z).
        channels: of `dog_channels`.
        at: voxel (x, y, z).
    """
    low = np.array(at) - np.array(channels.shape[1:]) // 2
    high = low + channels.shape[1:]
    if (low < 0).any() or (high > image.shape).any():
        return None
    cube = image[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return np.einsum("cxyz,xyz->c", channels, cube.astype(float))  # no BLAS: see `nrmse`


def hotelling_template(present, absent, internal=0.0):
    """w of the docstring above, (channel,), and the internal noise's standard deviation in t.

    Args:
        present, absent: (images, channel), outputs with and without a lesion.
        internal: internal noise's variance, as a part of each output's.
    """
    covariance = (np.cov(present, rowvar=False) + np.cov(absent, rowvar=False)) / 2
    covariance = np.atleast_2d(covariance)
    noise = internal * np.diag(covariance)
    template = np.linalg.solve(covariance + np.diag(noise),
                               present.mean(axis=0) - absent.mean(axis=0))
    return template, float(np.sqrt(template**2 @ noise))


def area_under_curve(present, absent):
    """The chance that one of `present` is greater than one of `absent`; half of it where equal.

    Source: Hanley & McNeil, Radiology 143(1), 29-36, 1982.
    """
    ranks = stats.rankdata(np.concatenate([present, absent]))[: len(present)]
    return float((ranks.sum() / len(present) - (len(present) + 1) / 2) / len(absent))


def detectability(present, absent, phantoms, internal=0.0, seed=0):
    """AUC of the observer, cross-validated by halves of the phantoms.

    Args:
        present, absent: (images, channel), outputs with and without a lesion, in pairs.
        phantoms: (images,), the phantom that each pair is of.
        internal: see `hotelling_template`.
        seed: of the internal noise, and of the bootstrap.
    Returns:
        dict of auc, low, high (percentiles of `paired.LEVEL`), pairs and phantoms; auc is None
        where half of the pairs are fewer than twice the channels and 1, or there is one phantom,
        low and high also for fewer than `paired.LEAST` phantoms.
    """
    phantoms = np.asarray(phantoms)
    numbers = np.unique(phantoms)
    found = {"auc": None, "low": None, "high": None, "pairs": len(phantoms),
             "phantoms": len(numbers)}
    first = np.isin(phantoms, numbers[::2])
    if len(numbers) < 2 or min(first.sum(), (~first).sum()) < 2 * present.shape[1] + 1:
        return found
    rng = np.random.default_rng(seed)
    folds = []
    for train in (first, ~first):
        template, noise = hotelling_template(present[train], absent[train], internal)
        t = [outputs[~train] @ template + noise * rng.normal(size=(~train).sum())
             for outputs in (present, absent)]
        folds.append((*t, phantoms[~train]))
    found["auc"] = float(np.mean([area_under_curve(*fold[:2]) for fold in folds]))
    if len(numbers) < LEAST:
        return found
    means = [np.mean([_resampled(*fold, rng) for fold in folds]) for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return found | {"low": float(low), "high": float(high)}


def _resampled(present, absent, phantoms, rng):
    """AUC of phantoms drawn with replacement."""
    numbers, which = np.unique(phantoms, return_inverse=True)
    times = np.bincount(rng.integers(len(numbers), size=len(numbers)), minlength=len(numbers))
    drawn = np.repeat(np.arange(len(phantoms)), times[which])
    return area_under_curve(present[drawn], absent[drawn])
