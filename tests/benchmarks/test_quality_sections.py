import re

from benchmarks.quality_measure import METRICS
from benchmarks.quality_sections import (
    against_standard,
    detectability,
    headlines,
    metrics,
    nema,
)
from benchmarks.quality_table import star

METHODS = [{"name": "low", "source": "low", "sha256": None},
           {"name": "net", "source": "low", "sha256": "0" * 64},
           {"name": "standard", "source": "standard", "sha256": None}]


def results(**more):
    return {"methods": METHODS, "factors": [4.0], "rows": [], "detectability": None,
            "summary": []} | more


def row(method, factor, *spheres):
    return {"method": method, "factor": factor, "nema": {"spheres": [
        {"diameter_mm": mm, "recovery": recovery, "variability": variability}
        for mm, recovery, variability in spheres]}}


def test_nemas_spheres_stand_in_columns_with_means_over_realisations():
    rows = [row("low", 4.0, (10, 0.3, 0.10), (37, 0.9, 0.05)),
            row("low", 4.0, (10, 0.5, 0.20), (37, 0.9, 0.05)),
            row("net", 4.0, (10, 0.2, 0.02), (37, 0.8, 0.01)),
            row("standard", 1.0, (10, 0.6, 0.08), (37, 1.0, 0.03))]
    text = "".join(nema(results(rows=rows)))
    assert "<th>10 mm</th><th>37 mm</th>" in text
    assert "<td>low</td><td>40.0 %<small>15.0 %</small></td><td>90.0 %" in text
    assert "<td>standard</td><td>60.0 %<small>8.0 %</small></td>" in text


def test_a_sphere_without_a_recovery_has_a_dash():
    rows = [row(name, factor, (10, None, None))
            for name, factor in (("low", 4.0), ("net", 4.0), ("standard", 1.0))]
    assert "".join(nema(results(rows=rows))).count("<td>–</td>") == 3


def test_an_auc_is_told_with_its_interval_where_it_has_one():
    rows = [{"method": "low", "factor": 4.0, "auc": 0.8, "low": 0.7, "high": 0.9},
            {"method": "net", "factor": 4.0, "auc": 0.85, "low": None, "high": None},
            {"method": "standard", "factor": 1.0, "auc": None, "low": None, "high": None}]
    told = {"rows": [row | {"pairs": 40, "phantoms": 3} for row in rows], "observer": "O",
            "channels": "C", "internal_noise": 0.0, "split": "S", "diameters_mm": [8.0, 12.0],
            "validation_of_standard": None}
    text = "".join(detectability(results(detectability=told)))
    for line in ("low</td><td>0.800<small>[0.700, 0.900]</small></td>",
                 "net</td><td>0.850</td>", "standard</td><td>–</td>"):
        assert line in text


def test_sections_without_numbers_are_left_out():
    assert nema(results()) == [] and detectability(results()) == []


def summary(method, metric, mean, against=None, standard=None):
    def paired(value):
        return {"baseline": "tv", "mean": value, "low": value - 0.01, "high": value + 0.01,
                "p": 0.03, "phantoms": 6}

    empty = {"mean": None, "low": None, "high": None, "p": None}
    found = {"method": method, "factor": 4.0, "metric": metric, "mean": mean, "low": None,
             "against_standard": paired(standard) if standard is not None else empty}
    return found | ({"against": paired(against)} if against is not None else {})


def test_only_a_models_sure_losses_are_headlines():
    cases = [("net", "nrmse_truth", 0.3, 0.35), ("net", "psnr_truth", 30.0, 32.0),  # a loss
             ("net", "recovery_small", 0.3, 0.5),  # farther from 1: a loss
             ("net", "recovery", 1.3, 0.9),  # so is this, though it is more
             ("net", "ssim_truth", 0.9, 0.905),  # its interval holds 0
             ("net", "uniform_bias", 0.02, -0.04), ("net", "lesion_suvmax", 0.1, 0.3),
             ("net", "lesion_suvmean", -0.2, -0.05),  # a loss
             ("low", "nrmse_truth", 0.9, 0.40)]  # no model
    rows = []
    for name, metric, own, other in cases:
        compared = METRICS[metric].compared
        rows += [summary(name, metric, own, against=compared(own) - compared(other)),
                 summary("tv", metric, other)]
    text = "".join(headlines(results(summary=rows)))
    assert len(re.findall("<li>", text)) == 4 and "PSNR to truth (dB) is 30.00" in text
    assert ("lesions up to 10 mm is 30.0 %, and tv's 50.0 %, farther from 100 % by 20.0 points "
            "(p = 0.03)") in text
    assert "contrast recovery is 130.0 %, and tv's 90.0 %, farther from 100 % by 20.0 p" in text
    assert "lesion SUVmean bias is -20.0 %, and tv's -5.0 %, farther from 0 % by 15.0 po" in text


def test_of_few_phantoms_nothing_is_a_headline_or_starred():
    rows = [summary("net", "nrmse_truth", 0.9, against=0.5), summary("tv", "nrmse_truth", 0.4)]
    assert headlines(results(summary=rows)) and star(rows[0]) == "*"
    rows[0]["against"] |= {"low": None, "high": None}
    assert headlines(results(summary=rows)) == [] and star(rows[0]) == ""


def test_a_recovery_above_1_is_no_better_than_one_as_far_below():
    rows = [summary("low", name, 0.8) for name in METRICS]
    rows += [summary("net", name, 1.1 if name == "recovery" else 0.8) for name in METRICS]
    rows += [summary("standard", name, 1.0) for name in METRICS]
    text = metrics(results(summary=rows, best_baseline={}), 4.0)
    assert "<td class=best>110.0 %" in text
    rows[len(METRICS) + list(METRICS).index("recovery")]["mean"] = 1.3
    text = metrics(results(summary=rows, best_baseline={}), 4.0)
    assert "<td>130.0 %" in text and "<td>lesion contrast recovery</td><td class=best>80.0" in text


def test_a_difference_to_the_standard_dose_is_marked_where_it_is_sure():
    rows = [summary("low", "nrmse_truth", 0.4, standard=0.2),
            summary("net", "nrmse_truth", 0.1, standard=-0.1)]
    rows += [{"method": "standard", "factor": 4.0, "metric": "nrmse_truth", "mean": 0.2}]
    text = "".join(against_standard(results(summary=rows)))
    assert "<td>low</td><td>+20.0<small>[+19.0, +21.0], p = 0.03</small></td>" in text
    assert "<td>net</td><td class=best>-10.0<small>" in text
