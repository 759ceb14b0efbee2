"""Measures all methods on the test split of a study: a row for each image, means by phantom."""

import time
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from benchmarks.clinical_metrics import (
    coefficient_of_variation,
    false_spots,
    lesion_biases,
    lost_lesions,
    organ_biases,
)
from benchmarks.ensembles import against_spectrum, largest_cube, noise_and_bias, noise_power
from benchmarks.image_metrics import compare, default_range, psnr_of
from benchmarks.machine import PeakMemory
from benchmarks.methods import factor_of
from benchmarks.nema_quality import nema_quality
from benchmarks.paired import mean_with_interval, paired
from benchmarks.udpet import udpet_score
from denoise.baselines import gaussian
from recon.memory import GIB
from sim.catalogue import phantom

SMALL_MM = 10.0  # lesions that are told of by themselves
SWEEP_MM = (0.0, 4.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0)  # FWHM of Gaussians


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of an image.

    Attributes:
        title: with its unit.
        of: function of an image's row that gives it, or None where it has none.
        target: what is best, as infinity where more is better, minus infinity where less is.
        percent: whether it is shown in per cent.
    """

    title: str
    of: object
    target: float
    percent: bool = False

    @property
    def aimed(self):
        """Whether what is best is a number."""
        return isfinite(self.target)

    def compared(self, values):
        """What two methods are compared by: the distance to a target that is a number."""
        return np.abs(np.subtract(values, self.target)) if self.aimed else values

    def loss(self, compared):
        """How bad `compared` values, or their differences, are: the more, the worse."""
        return -compared if self.target == inf else compared


def _mean(values):
    values = [one for one in values if one is not None]
    return float(np.mean(values)) if values else None


def _lesions(name, most_mm=np.inf):
    return lambda row: _mean(one[name] for one in row["lesions"] if one["diameter_mm"] <= most_mm)


_MORE, _LESS = inf, -inf  # is better


METRICS = {
    "nrmse_truth": Metric(title="NRMSE to truth", of=lambda row: row["truth"]["nrmse"],
                          target=_LESS, percent=True),
    "psnr_truth": Metric(title="PSNR to truth (dB)", of=lambda row: row["truth"]["psnr"],
                         target=_MORE),
    "ssim_truth": Metric(title="SSIM to truth", of=lambda row: row["truth"]["ssim"], target=_MORE),
    "nrmse_standard": Metric(title="NRMSE to standard dose", target=_LESS, percent=True,
                             of=lambda row: (row["standard"] or {}).get("nrmse")),
    "psnr_standard": Metric(title="PSNR to standard dose (dB)", target=_MORE,
                            of=lambda row: (row["standard"] or {}).get("psnr")),
    "ssim_standard": Metric(title="SSIM to standard dose", target=_MORE,
                            of=lambda row: (row["standard"] or {}).get("ssim")),
    "uniform_bias": Metric(title="liver SUVmean bias", of=lambda row: row["organs"].get(
        row["uniform"]), target=0.0, percent=True),
    "organ_bias": Metric(title="organs' mean |SUVmean bias|", target=_LESS, percent=True,
                         of=lambda row: _mean(abs(one) for one in row["organs"].values())),
    "lesion_suvmean": Metric(title="lesion SUVmean bias", of=_lesions("suvmean"), target=0.0,
                             percent=True),
    "lesion_suvmax": Metric(title="lesion SUVmax bias", of=_lesions("suvmax"), target=0.0,
                            percent=True),
    "lesion_suvpeak": Metric(title="lesion SUVpeak bias", of=_lesions("suvpeak"), target=0.0,
                             percent=True),
    "recovery": Metric(title="lesion contrast recovery", of=_lesions("recovery"), target=1.0,
                       percent=True),
    "recovery_small": Metric(title=f"the same of lesions up to {SMALL_MM:g} mm", target=1.0,
                             of=_lesions("recovery", SMALL_MM), percent=True),
    "variation": Metric(title="liver variation", of=lambda row: row["variation"], target=_LESS,
                        percent=True),
    "noise_texture": Metric(title="noise texture from the standard dose's (dB)", target=_LESS,
                            of=lambda row: row.get("noise_texture")),
    "false": Metric(title="false spots a volume", of=lambda row: row["false"], target=_LESS),
    "lost": Metric(title="lost lesions a volume", of=lambda row: row["lost"], target=_LESS),
    "seconds": Metric(title="seconds (of a scan, or of its image)", target=_LESS,
                      of=lambda row: row.get("seconds")),
    "memory": Metric(title="peak memory of the process (GiB)", target=_LESS,
                     of=lambda row: row["peak_bytes"] / GIB if "peak_bytes" in row else None),
    "udpet": Metric(title="UDPET score, in part",
                    of=lambda row: (row["udpet"] or {}).get("score"), target=_MORE),
}


def measure_phantom(data, number, regions, methods, strengths, keep, device="cpu"):
    """All images of a phantom, measured.

    Args:
        data: StoredStudy.
        number: of the phantom.
        regions: its Regions.
        methods: list of Method.
        strengths: dict from (method's name, factor) to a baseline's strength.
        keep: called with (method, factor, realisation, image) of each image.
        device: "cpu" or "cuda".
    Returns:
        dict of rows (a dict for each image), ensembles (a dict for each method and factor, none
        with one realisation), filter_sweep (the low dose under Gaussians), and oracle: the mean
        square error to the standard dose that no denoiser is below, over the data range squared;
        None with one realisation.
    """
    grid = data.grid(number)
    found = {"rows": [], "ensembles": [], "filter_sweep": _sweep(data, number, regions)}
    ct = data.file(number)["ct"][:]
    data_range = default_range(regions.truth, regions.body)
    spheres = _nema_phantom(data, number)
    for method, factor in [(one, f) for one in methods for f in one.factors(data)]:
        which, many = {"phantom": number, "method": method.name, "factor": factor}, []
        for realisation in range(data.realisations):
            pair = method.pair(data, number, factor, realisation)
            images, given = data.read(pair, ("standard",)), method.input(data, pair)
            peak, began = PeakMemory("cpu"), time.perf_counter()
            image = method.image(given, grid, regions.body,
                                 strengths.get((method.name, factor)), ct, device)
            seconds = time.perf_counter() - began
            standard = images["standard"] if method.source == "low" else None
            row = which | {"realisation": realisation, "seconds": seconds, "peak_bytes": peak.bytes}
            row |= _row(image, standard, regions, data_range)
            if spheres:
                row["nema"] = nema_quality(image, grid, spheres)
            found["rows"].append(row)
            many.append(image)
            keep(method, factor, realisation, image)
        if data.realisations > 1 and regions.inside is not None:
            ensemble = _ensemble(many, regions, data.file(number)["standard"])
            found["ensembles"].append(which | ensemble)
            for row in found["rows"][-len(many):]:
                row["noise_texture"] = ensemble.get("texture_db")
    return found | {"oracle": _oracle(data, number, regions, data_range)}


def _nema_phantom(data, number):
    """The NEMA image quality phantom, where this phantom is one; else None."""
    if data.file(number).attrs["phantom"] != "nema-iq":
        return None
    return phantom("nema-iq", **data.index["recipe"]["phantoms"]["options"])


def _sweep(data, number, regions):
    """Contrast recovery and liver variation of the low-dose image under Gaussians of SWEEP_MM."""
    found = []
    for pair in [pair for pair in data.pairs() if pair.number == number]:
        low = data.read(pair, ("low",))["low"]
        for fwhm_mm in SWEEP_MM:
            image = gaussian(low, regions.voxel_mm, None, fwhm_mm=fwhm_mm)
            row = {"phantom": number, "factor": pair.factor, "fwhm_mm": fwhm_mm}
            row["recovery"] = _mean(one["recovery"] for one in lesion_biases(image, regions))
            found.append(row | {"variation": coefficient_of_variation(image, regions)})
    return found


def _row(image, standard, regions, data_range):
    """What is measured of one image."""
    lesions = lesion_biases(image, regions)
    against = standard is not None
    return {
        "truth": compare(image, regions.truth, regions.body, data_range),
        "standard": compare(image, standard, regions.body, data_range) if against else None,
        "udpet": udpet_score(image, standard, regions) if against else None,
        "organs": organ_biases(image, regions), "lesions": lesions, "uniform": regions.uniform,
        "variation": coefficient_of_variation(image, regions),
        "false": false_spots(image, regions), "lost": lost_lesions(lesions),
    }


def _ensemble(images, regions, standard):
    """Noise, bias and noise power of several realisations in the uniform organ.

    The power's level and texture are told against that of the standard dose, (realisation, ...).
    """
    inside, cube = regions.inside, largest_cube(regions.inside)
    found = noise_and_bias([image[inside] for image in images], regions.truth[inside])
    if cube:
        frequency, power = noise_power([image[cube] for image in images], regions.voxel_mm)
        mean = float(regions.truth[inside].mean(dtype=float))
        found |= {"frequency_per_mm": frequency, "noise_power_mm3": power / mean**2}
        found |= against_spectrum(power, noise_power(standard[(..., *cube)], regions.voxel_mm)[1])
    return found


def _oracle(data, number, regions, data_range):
    """Variance of the standard-dose images in the body, over the data range squared."""
    if data.realisations < 2:
        return None
    images = data.file(number)["standard"][:]
    variance = images[:, regions.body].astype(float).var(axis=0, ddof=1).mean()
    return float(variance / data_range**2)


def oracle_psnr(oracles, factor, pairs):
    """PSNR to a standard-dose image that its own noise sets as a bound, in dB.

    An image without noise has the standard dose's noise as its error. Where the low dose was
    thinned from that scan, it knows 1 / factor of that noise.

    Args:
        oracles: of phantoms, as `measure_phantom` gives them.
        factor: dose reduction factor.
        pairs: "independent" or "thinned".
    """
    unknown = 1 - 1 / factor if pairs == "thinned" else 1.0
    return float(np.mean([psnr_of(one * unknown, 1.0) for one in oracles]))


def per_phantom(rows, metric, method, factor, numbers):
    """A metric of each phantom, mean over its realisations: (phantoms,), NaN where it has none."""
    found = {number: [] for number in numbers}
    for row in rows:
        if row["method"] == method and row["factor"] == factor:
            value = METRICS[metric].of(row)
            if value is not None:
                found[row["phantom"]].append(value)
    return np.array([np.mean(values) if values else np.nan for values in found.values()])


def summarise(rows, methods, factors, numbers, best):
    """Mean, interval and paired comparison of each metric, method and factor: a list of dict.

    Beside the comparison with the best baseline, `against`, that of the low dose's methods with the
    standard-dose image as it is, `against_standard`, is empty where that is not among the methods.
    Both are of `Metric.compared`: of recovery and biases, the distances to 1 and 0.

    Args:
        rows: of `measure_phantom`, of all phantoms.
        methods: list of Method; those of the standard dose are compared with the best baseline at
            every factor.
        factors: dose reduction factors.
        numbers: of the phantoms.
        best: dict from a factor to the name of the baseline that did best in validation.
    """
    found = []
    for method in methods:
        for factor in factors:
            own = factor_of(method.source, factor)
            for metric in METRICS:
                values = per_phantom(rows, metric, method.name, own, numbers)
                row = {"method": method.name, "factor": factor, "metric": metric}
                row |= mean_with_interval(values)

                def against(*other, metric=metric, values=values):
                    others = per_phantom(rows, metric, *other, numbers)
                    return paired(*map(METRICS[metric].compared, (values, others)))

                if best.get(factor) not in (None, method.name):
                    row["against"] = {"baseline": best[factor]} | against(best[factor], factor)
                if method.source == "low":
                    row["against_standard"] = against("standard", 1.0)
                found.append(row)
    return found
