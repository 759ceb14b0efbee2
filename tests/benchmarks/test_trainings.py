import copy

import numpy as np
import pytest

from benchmarks.methods import Method
from benchmarks.quality_measure import METRICS
from benchmarks.quality_sections import trainings
from benchmarks.trainings import groups, over_trainings
from denoise.checkpoint import Denoiser

SETTINGS = {
    "network": "unet", "domain": {"noise": [0.1, 0.2], "factors": (4.0,)},
    "training": {"seed": 1, "command": "countless train …", "epoch": 3, "nrmse": 0.25,
                 "studies": [{"hash": "ab", "phantoms": [1, 2]}],
                 "recipe": {"seed": 1, "width": 16}},
}
NUMBERS = (3, 5)


def trained(name, seed=1, source="low", **recipe):
    settings = copy.deepcopy(SETTINGS)
    settings["training"] |= {"seed": seed, "epoch": seed, "nrmse": 0.2 + 0.01 * seed,
                             "nrmse_low": 0.5 + 0.01 * seed}
    settings["domain"]["noise"] = [0.1, 0.2 + 1e-8 * seed]
    settings["training"]["recipe"] |= {"seed": seed, **recipe}
    return Method(name=name, source=source, denoiser=Denoiser(None, settings), sha256=name)


def row(phantom, method, nrmse):
    return {"phantom": phantom, "method": method, "factor": 4.0, "lesions": [], "organs": {},
            "uniform": "liver", "variation": None, "false": 0, "lost": None, "standard": None,
            "udpet": None, "truth": {"nrmse": nrmse, "psnr": 30.0, "ssim": 0.9}}


def test_trainings_of_one_recipe_and_other_seeds_are_one_group():
    methods = [trained("a", 1), Method(name="low", source="low"), trained("b", 2),
               trained("wide", 3, width=32), trained("standard:a", 1, source="standard")]
    assert [[method.name for method in group] for group in groups(methods)] == [["a", "b"]]


def test_deviation_is_between_the_trainings_means_over_phantoms():
    methods = [trained("a", 1), trained("b", 2)]
    rows = [row(3, "a", 0.20), row(5, "a", 0.30), row(3, "b", 0.22), row(5, "b", 0.36),
            row(3, "gaussian", 0.3), row(5, "gaussian", 0.4)]
    found = over_trainings(rows, methods, (4.0,), NUMBERS, {4.0: "gaussian"})
    assert len(found) == len(METRICS)
    told = next(one for one in found if one["metric"] == "nrmse_truth")
    assert told["methods"] == ["a", "b"] and told["phantoms"] == 2
    assert told["mean"] == pytest.approx(0.27)
    assert (told["least"], told["most"]) == pytest.approx((0.25, 0.29))
    assert told["deviation"] == pytest.approx(np.std([0.25, 0.29], ddof=1))
    assert told["against"]["mean"] == pytest.approx(-0.08)


def test_the_page_shows_mean_and_deviation_of_the_trainings():
    methods = [trained("a", 1), trained("b", 2)]
    rows = [row(3, "a", 0.20), row(5, "a", 0.30), row(3, "b", 0.22), row(5, "b", 0.36)]
    found = over_trainings(rows, methods, (4.0,), NUMBERS, {})
    page = "".join(trainings({"trainings": found, "factors": [4.0]}))
    assert "a, b" in page and "27.0 %" in page and "± 2.8 %" in page
    assert trainings({"trainings": []}) == []
