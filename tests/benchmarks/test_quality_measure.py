import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.methods import Method, find_methods
from benchmarks.quality_measure import METRICS, measure_phantom, per_phantom, summarise
from benchmarks.quality_sections import headlines
from benchmarks.regions import Regions
from recon.grid import Grid
from recon.io.provenance import write_json
from sim import dataset_file
from sim.dataset import open_study
from sim.objects.nema import SPHERES_MM, nema_iq
from sim.study_phantom import lesion_table

GRID = Grid.centred(shape=(80, 62, 14), voxel_mm=(4.0, 4.0, 4.0))


@pytest.fixture(scope="module")
def nema(tmp_path_factory):
    """The rows and ensembles of a study of the NEMA phantom, blurred, with a little noise."""
    folder, phantom = tmp_path_factory.mktemp("nema"), nema_iq()
    images = phantom.images(GRID, samples=3, names=("activity", "hu", "labels"))
    rng = np.random.default_rng(5)
    with dataset_file.creating(folder / "one.h5") as file:
        file.attrs.update(phantom="nema-iq", grid=json.dumps(asdict(GRID)),
                          label_names=json.dumps(("air", *phantom.names)))
        for name, array in (("truth", "activity"), ("ct", "hu"), ("labels", "labels")):
            dataset_file.add(file, name, images[array], "")
        dataset_file.add_table(file, "lesions", lesion_table(phantom, GRID))
        standard, low = dataset_file.add_images(file, 2, 1, GRID.shape)
        seen = ndimage.gaussian_filter(images["activity"], 0.8)
        for realisation in range(2):
            standard[realisation] = seen + rng.normal(0, 50.0, GRID.shape)
            low[0, realisation] = seen + rng.normal(0, 200.0, GRID.shape)
        dataset_file.finish(file)
    write_json(folder / "study.json", {
        "recipe": {"phantoms": {"kind": "nema-iq", "options": {}}, "realisations": 2,
                   "doses": {"factors": [4.0], "pairs": "independent"}}, "hash": "0",
        "phantoms": [{"number": 1, "file": "one.h5", "split": "test"}],
    })
    methods = find_methods(["low", "standard"])
    with open_study(folder) as data:
        regions = Regions.of(data, 1)
        yield regions, measure_phantom(data, 1, regions, methods, {}, lambda *_: None)


def test_images_of_the_nema_phantom_have_its_figures(nema):
    rows = nema[1]["rows"]
    assert len(rows) == 4
    for row in rows:
        spheres = row["nema"]["spheres"]
        assert [one["diameter_mm"] for one in spheres] == list(SPHERES_MM)
        recoveries = [one["recovery"] for one in spheres]
        assert recoveries == sorted(recoveries) and 0.1 < recoveries[0] < recoveries[-1] < 1
    low, standard = (np.mean([row["nema"]["spheres"][0]["variability"] for row in rows
                              if row["method"] == name]) for name in ("low", "standard"))
    assert low == pytest.approx(4 * standard, rel=0.4)  # as the noise


def test_spheres_are_lesions_in_the_water_and_not_in_their_walls(nema):
    regions, found = nema
    assert [round(lesion.diameter_mm) for lesion in regions.lesions] == list(SPHERES_MM)
    for lesion in regions.lesions:
        assert regions.truth[lesion.background].mean() == pytest.approx(5300, rel=0.01)
    assert regions.uniform == "background"
    for row in found["rows"]:
        assert all(0 < one["recovery"] < 1 for one in row["lesions"])


def test_noise_over_realisations_is_that_of_the_images(nema):
    noise = {row["method"]: row["noise"] for row in nema[1]["ensembles"]}
    assert noise["low"] == pytest.approx(200 / 5300, rel=0.05)
    assert noise["standard"] == pytest.approx(50 / 5300, rel=0.05)


def test_noise_of_the_standard_doses_texture_is_near_it_and_its_level_is_told(nema):
    found = {row["method"]: row for row in nema[1]["ensembles"]}
    assert (found["standard"]["level_db"], found["standard"]["texture_db"]) == (0, 0)
    assert found["low"]["level_db"] == pytest.approx(20 * np.log10(4), abs=1.0)  # both are white
    assert 0 < found["low"]["texture_db"] < 1.5
    assert [METRICS["noise_texture"].of(row) for row in nema[1]["rows"]] == [
        found[row["method"]]["texture_db"] for row in nema[1]["rows"]
    ]


def test_a_phantom_without_a_value_is_nan(nema):
    rows = [{**row, "lost": None} for row in nema[1]["rows"]]
    found = per_phantom(rows, "lost", "low", 4.0, (1, 2))
    assert np.isnan(found).all() and found.shape == (2,)


def test_noise_far_below_the_background_makes_no_false_spots(nema):
    assert [METRICS["false"].of(row) for row in nema[1]["rows"]] == [0] * 4


def image_row(method, number, nrmse, recovery):
    """A row of an image of which little is told."""
    return {
        "method": method, "factor": 4.0, "phantom": number, "realisation": 0, "uniform": "liver",
        "truth": {"nrmse": nrmse, "psnr": 30.0, "ssim": 0.9}, "standard": None, "udpet": None,
        "organs": {}, "variation": None, "false": 0, "lost": 0,
        "lesions": [dict.fromkeys(("suvmean", "suvmax", "suvpeak"), 0.0)
                    | {"diameter_mm": 20.0, "recovery": recovery}],
    }


def test_six_phantoms_that_all_lose_make_a_headline():
    numbers = range(1, 7)
    rows = [row for k in numbers for row in (
        image_row("net", k, 0.30 + k / 100, 1.3), image_row("tv", k, 0.2, 0.8 - k / 100))]
    methods = [Method(name="net", source="low", sha256="0" * 64), Method(name="tv", source="low")]
    summary = summarise(rows, methods, [4.0], numbers, {4.0: "tv"})
    found = {row["metric"]: row for row in summary if row["method"] == "net"}
    against = found["nrmse_truth"]["against"]
    assert against["mean"] == pytest.approx(0.135) and 0.1 < against["low"] < against["high"] < 0.2
    # 30 % too much is farther from all than 20 % and 1 to 6 too little: by 9 to 4 points.
    against = found["recovery"]["against"]
    assert against["mean"] == pytest.approx(0.065) and against["p"] == pytest.approx(2 / 2**6)
    results = {"summary": summary, "methods": [vars(one) for one in methods]}
    text = "".join(headlines(results))
    assert "Where models lose" in text and METRICS["nrmse_truth"].title in text
    assert "is 130.0 %, and tv's 76.5 %, farther from 100 % by 6.5 points" in text
