"""The ensemble of corrections on a tiny scanner: what its numbers are, and that truth is truth."""

import json

import numpy as np
import pytest

from benchmarks import corrections, corrections_chain, corrections_truth
from benchmarks.corrections_chain import errors, reference_mean
from sim.materials import MATERIALS


@pytest.fixture(scope="module")
def torso():
    problem = corrections_truth.problem("tiny", "torso", True)
    return problem, corrections_truth.simulate(problem, 1)


def test_the_truth_is_of_one_prompt_of_which_randoms_are_a_known_part(torso):
    problem, truth = torso
    assert truth.prompts.shape == problem.layout.shape
    assert truth.prompts.sum(dtype=float) == pytest.approx(1, rel=1e-6)
    assert truth.randoms.sum(dtype=float) == pytest.approx(corrections_truth.RANDOMS, rel=1e-6)
    assert truth.scatter.sum(dtype=float) == pytest.approx(0.7 * truth.scatter_fraction, rel=1e-6)
    # The same randoms, over the window that the time-of-flight bins share.
    delayeds = truth.delayeds.sum(dtype=float)
    assert delayeds == pytest.approx(corrections_truth.RANDOMS, rel=1e-5)


def test_dead_crystals_count_nothing(torso):
    _, truth = torso
    dead = truth.efficiency == 0
    assert 0.05 < dead.mean() < 0.5
    assert not truth.prompts.sum(axis=2)[dead].any()


def test_the_mu_map_that_is_told_lies_beside_the_object(torso):
    problem, truth = torso
    x, y = (problem.grid.centres(axis) for axis in (0, 1))
    weight = truth.mu_per_cm.sum(axis=2, dtype=float)
    middle = (weight.sum(1) @ x, weight.sum(0) @ y) / weight.sum()
    assert middle == pytest.approx(problem.mu_shift_mm[:2], abs=0.25)
    assert truth.mu_per_cm.max() == pytest.approx(1.03 * MATERIALS["water"].mu_per_cm)


@pytest.fixture(scope="module")
def exact(torso):
    """Errors of a scan of the tiny scanner without noise."""
    problem, truth = torso
    return errors(problem, truth, reference_mean(problem, truth), prompts=1e8, rng=None)


def test_an_estimate_without_noise_is_near_the_truth_and_says_how_near(exact):
    assert exact.randoms == pytest.approx(0, abs=1e-5) and exact.randoms_bins < 1e-3
    assert abs(exact.scatter) < 0.10 and abs(exact.region) < 0.03
    # Planes err as their sum does at least, but for their weights, which are nearly alike.
    assert exact.scatter_planes > 0.9 * abs(exact.scatter)


def test_noise_at_a_fiftieth_of_the_counts_moves_scatter_little_and_on_average_not(torso, exact):
    # Whether the tiny scanner's own bias is small is not asked here: the result of the demo
    # scanner is, in test_results.py.
    problem, truth = torso
    reference = reference_mean(problem, truth)
    found = np.array([
        errors(problem, truth, reference, prompts=2e6, rng=np.random.default_rng(seed)).scatter
        for seed in range(8)
    ])
    spread = found.std(ddof=1)
    assert 0 < spread < 0.10
    assert abs(found.mean() - exact.scatter) < 3 * spread / np.sqrt(len(found))


def test_bias_is_the_mean_spread_the_deviation_and_rms_both():
    found = corrections.summary([{"scatter": 0.0}, {"scatter": 0.2}])["scatter"]
    assert found["bias"] == pytest.approx(0.1)
    assert found["spread"] == pytest.approx(0.2 / np.sqrt(2))
    assert found["rms"] == pytest.approx(0.2 / np.sqrt(2))


def test_a_run_writes_every_case_prints_a_table_and_is_gone_on_with(
    torso, tmp_path, monkeypatch, capsys
):
    def drawn(*_, prompts, rng, threads):
        values = dict.fromkeys(corrections_chain.Errors.__dataclass_fields__, 0.0)
        scatter = 0.0 if rng is None else rng.normal()
        return corrections_chain.Errors(**values | {"scatter": scatter})

    monkeypatch.setattr(corrections, "OBJECTS", ("torso",))
    monkeypatch.setattr(corrections, "errors", drawn)
    monkeypatch.setattr(corrections_truth, "simulate", lambda *_: torso[1])
    monkeypatch.setattr(corrections, "reference_mean", lambda *_: 1.0)
    path = tmp_path / "corrections.json"
    corrections.corrections(scanner="tiny", realisations=2, output=path)
    result = json.loads(path.read_text())
    assert {"version", "commit", "date", "command", "machine", "seed", "formulas"} <= set(result)
    cases = [(case["tof"], case["prompts"]) for case in result["cases"]]
    assert cases == [(False, 1e8), (False, 2e6), (True, 1e8), (True, 2e6)]
    scatter = result["cases"][1]["scans"]["scatter"]
    assert len({*scatter, *result["cases"][0]["scans"]["scatter"]}) == 4  # noise of their own
    assert result["cases"][1]["summary"]["scatter"]["bias"] == pytest.approx(np.mean(scatter))
    assert "Asked for at 2e+06 prompts" in capsys.readouterr().out

    def never(*_):
        raise AssertionError("simulated again")

    monkeypatch.setattr(corrections_truth, "simulate", never)
    again = corrections.corrections(scanner="tiny", realisations=2, output=path)
    assert again["cases"] == result["cases"]


def test_unknown_scanners_and_no_realisations_are_refused():
    with pytest.raises(ValueError, match="--scanner takes demo or tiny, got 'mMR'"):
        corrections.corrections(scanner="mMR")
    with pytest.raises(ValueError, match="--realisations takes a number from 1, got 0"):
        corrections.corrections(realisations=0)
