"""Contrast and noise of the NEMA phantom in four rings, and the curves that are drawn of them."""

import functools
import json
from dataclasses import replace

import numpy as np
import pytest

import countless
from benchmarks import contrast_noise
from benchmarks.contrast_noise import STRENGTHS, means
from benchmarks.study import example
from recon import Scanner
from recon.corrections import scatter_estimate
from sim.protocol import Protocol
from sim.reconstruct import Reconstruction
from sim.study import Doses

WIDTHS = (0.0, 12.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder that the command wrote of a scan in four rings at the standard dose and 1/50."""
    small = replace(
        example("demo"),
        scan=Protocol(scanner=replace(Scanner.preset("demo"), rings=4), view_mashing=8, split=1,
                      minutes=10.0, photon_pairs=0),
        doses=Doses(factors=(50.0,)),
        reconstruction=Reconstruction(voxel_mm=8.0, iterations=2, subsets=8, psf_mm=0.0,
                                      post_filter_mm=5.0),
    )
    folder = tmp_path_factory.mktemp("curves")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrast_noise, "example", lambda _: small)
        patch.setattr(contrast_noise, "SWEEP_MM", WIDTHS)
        patch.setattr(scatter_estimate, "multiple_scatter", functools.partial(
            scatter_estimate.multiple_scatter, most=250_000))
        assert countless.main(["benchmark", "contrast-noise", "--methods", "bilateral",
                               "--iterations", "3", "--realisations", "1", "-o",
                               str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def rows(place):
    return json.loads((place / "contrast-noise.json").read_text())["rows"]


def chosen(rows, **wanted):
    return [row["spheres"] for row in rows
            if all(row[name] == value for name, value in wanted.items())]


def test_every_iteration_width_and_strength_is_measured_once(rows):
    keys = [(row["factor"], row["iteration"], row["method"], row["strength"]) for row in rows]
    assert len(set(keys)) == len(keys) == 2 * (3 * len(WIDTHS) + STRENGTHS)
    assert {key[1] for key in keys if key[2] == "bilateral"} == {2}  # the study's own
    assert [one["diameter_mm"] for one in rows[0]["spheres"]] == [10, 13, 17, 22, 28, 37]


def test_iterations_bring_contrast_and_noise(rows):
    first, _, last = chosen(rows, factor=1.0, method="Gaussian", strength=0.0)
    assert last[-1]["recovery"] > first[-1]["recovery"] + 0.05
    assert last[-1]["variability"] > first[-1]["variability"]


def test_a_gaussian_takes_noise_and_contrast(rows):
    for factor in (1.0, 50.0):
        plain, smooth = chosen(rows, factor=factor, method="Gaussian", iteration=3)
        assert smooth[0]["variability"] < 0.8 * plain[0]["variability"]
        assert smooth[2]["recovery"] < plain[2]["recovery"]


def test_a_lower_dose_is_noisier(rows):
    full, low = (chosen(rows, factor=factor, method="Gaussian", iteration=2, strength=0.0)[0]
                 for factor in (1.0, 50.0))
    assert low[0]["variability"] > 2 * full[0]["variability"]


def test_the_curves_are_drawn(place):
    assert (place / "contrast-noise.png").stat().st_size > 30_000


def test_means_are_over_realisations_and_none_where_one_scan_has_none():
    def scan(recovery, variability):
        return {"spheres": [{"diameter_mm": 10, "recovery": recovery, "variability": variability}]}

    key, other = (4.0, 1, "net", None), (4.0, 2, "net", None)
    first, second = means([(key, scan(0.3, 0.1)), (other, scan(None, 0.2)), (key, scan(0.5, 0.3)),
                           (other, scan(0.4, 0.2))])
    assert first["spheres"] == [{"diameter_mm": 10, "recovery": pytest.approx(0.4),
                                 "recovery_sd": pytest.approx(np.sqrt(0.02)),
                                 "variability": pytest.approx(0.2)}]
    assert (second["iteration"], second["spheres"][0]["recovery"]) == (2, None)


@pytest.mark.parametrize("words, message", [
    (["--methods", "low"], "takes denoisers, got low"),
    (["--methods", "standard:gaussian"], "takes denoisers, got standard:gaussian"),
    (["--iterations", "2"], "takes the study's 3 or more, got 2"),
])
def test_what_makes_no_curve_is_refused(tmp_path, capsys, words, message):
    command = ["benchmark", "contrast-noise", *words, "-o", str(tmp_path / "none")]
    assert countless.main(command) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "none").exists()
