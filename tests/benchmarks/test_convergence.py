"""How soon algorithms converge: what is measured by hand, and all of it of a tiny scan."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import countless
from benchmarks import convergence, convergence_cases, convergence_methods
from benchmarks.convergence_cases import Object, cases
from benchmarks.convergence_published import preconditioner, published, shuffled, step
from benchmarks.convergence_race import Passes, Target, arrived, race
from benchmarks.convergence_reference import TIGHTER, reference
from recon import Grid, Scanner
from recon.algorithms import RelativeDifference, osem, saga, svrg
from recon.algorithms.em import updates
from sim import acquire
from sim.protocol import Protocol

SPHERES = Object(kind="jaszczak", options={"contrast": 4.0}, background="background",
                 regions=("sphere 31.8 mm", "sphere 25.4 mm", "sphere 9.5 mm", "no such"))
SMALL = Protocol(scanner=replace(Scanner.preset("demo"), rings=4, radial_bins=47), span=3,
                 view_mashing=8, tof_mashing=15, split=1, photon_pairs=0, minutes=1.0)


@pytest.fixture(scope="module", autouse=True)
def small():
    """A scanner of four rings and 16 views, and voxels of 12 mm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convergence_cases, "PROTOCOL", SMALL)
        patch.setattr(convergence_cases, "VOXEL_MM", (12.0, 12.0, 12.5))
        patch.setattr(convergence_cases, "LEAST_VOXELS", 1)
        patch.setattr(convergence_cases, "STRENGTH", 0.02)
        patch.setattr(acquire, "SINGLES_PAIRS", 2_000)
        patch.setattr(acquire, "SMOOTH_MM", 20.0)
        yield


@pytest.fixture(scope="module")
def scans():
    """Scans at normal counts without and with time of flight, and at low counts with it."""
    return list(cases("spheres", SPHERES, ((False, False), (False, True), (True, True)), seed=3))


@pytest.fixture(scope="module")
def found(scans):
    return reference(scans[0])


def target(image):
    """A Target of an image of one row: two voxels of a region, two of background, one outside."""
    whole, background, region = (np.zeros(image.shape, bool) for _ in range(3))
    whole[0, 0, :4], region[0, 0, :2], background[0, 0, 2:4] = True, True, True
    return Target(reference=image, whole=whole, background=background, regions={"hot": region})


def test_distances_are_relative_to_the_mean_of_the_background():
    place = target(np.array([[[8, 6, 1, 3, 0]]], np.float32))  # background's mean is 2
    image = np.array([[[9, 6, 1, 2, 7]]], np.float32)
    assert place.distances(image) == pytest.approx({
        "hot": 0.5 / 2, "RMSE whole": np.sqrt(2 / 4) / 2, "RMSE background": np.sqrt(1 / 2) / 2})
    assert place.worst(image) == pytest.approx(0.25 / 0.005)


def test_an_image_that_is_not_finite_is_infinitely_far():
    place = target(np.ones((1, 1, 5), np.float32))
    assert place.worst(np.full((1, 1, 5), np.nan, np.float32)) == np.inf


def test_an_algorithm_has_arrived_at_the_first_of_ten_near_updates_in_a_row():
    near = [(0.0, 0.0, 0.9)]
    far = [(0.0, 0.0, 1.0)]
    assert arrived(far * 3 + near * 9 + far + near * 10) == 14
    assert arrived(near * 9 + far + near * 9) is None


def test_a_race_ends_ten_updates_after_the_arrival():
    place = target(np.ones((1, 1, 5), np.float32))
    images = [np.full((1, 1, 5), value, np.float32) for value in (2.0, 1.02, *[1.001] * 30)]
    case = type("Scan", (), {"model": type("Model", (), {"data_shape": (4, 2)})})
    rows = race(lambda *_: iter(images), case, place, most=60)
    assert len(rows) == 12 and arrived(rows) == 3
    assert [round(worst, 3) for *_, worst in rows[:3]] == [200.0, 4.0, 0.2]


def test_anchors_are_passes_over_the_data(scans):
    def taken(number, make):
        passes = Passes(scans[0].model)
        list(islice(make(passes), number))
        return passes.number

    case = scans[0]
    inputs = case.prior, case.start
    assert taken(4, lambda passes: updates(passes.subsets(case.prompts, 4))) == 1
    # An anchor every second pass of four updates; SAGA has one, at its start.
    assert taken(4, lambda passes: svrg(passes.subsets(case.prompts, 4), *inputs)) == 2
    assert taken(8, lambda passes: svrg(passes.subsets(case.prompts, 4), *inputs)) == 3
    assert taken(9, lambda passes: svrg(passes.subsets(case.prompts, 4), *inputs)) == 4.25
    assert taken(9, lambda passes: saga(passes.subsets(case.prompts, 4), *inputs)) == 3.25
    # The published one's anchor is an update by itself.
    assert taken(4, lambda passes: published(passes.subsets(case.prompts, 4), *inputs)) == 1.75


def test_counting_changes_no_image(scans):
    case = scans[0]
    counted = next(islice(updates(Passes(case.model).subsets(case.prompts, 4)), 5, None))
    plain = next(islice(osem(case.model, case.prompts, subsets=4), 5, None))
    np.testing.assert_array_equal(counted, plain)


def test_without_time_of_flight_the_same_counts_are_scanned(scans):
    plain, timed, low = scans
    assert plain.prompts.shape == (16, 47, 13) and timed.prompts.shape == (16, 47, 3, 13)
    np.testing.assert_array_equal(timed.prompts.sum(axis=2), plain.prompts)
    assert low.prompts.sum() == pytest.approx(timed.prompts.sum() / 10, rel=0.01)


def test_regions_are_those_that_lie_in_the_images(scans):
    assert set(scans[0].regions) == {"sphere 31.8 mm", "sphere 25.4 mm"}  # where z is near 34 mm


def test_two_unlike_algorithms_agree_on_the_minimum(scans, found):
    goal, told = found
    assert told["agreed"] and told["worst"] <= 1 / TIGHTER
    gained = [told["objective_lbfgs"], told["objective_svrg"]]
    assert max(gained) < 0 and gained[0] == pytest.approx(gained[1], rel=1e-4)
    assert goal.worst(scans[0].start) > 10


def test_the_published_preconditioner_is_what_its_formula_says():
    grid = Grid.centred(shape=(2, 1, 1), voxel_mm=(4, 4, 4))
    prior = RelativeDifference(grid, strength=0.5, gamma=2.0, epsilon=0.1)
    smooth = np.array([3.0, 1.0], np.float32).reshape(2, 1, 1)
    sensitivity = np.array([2.0, 0.0], np.float32).reshape(2, 1, 1)
    # psi'' of the pair by the first: 2 (2 b + e)^2 / (a + b + 2 |a - b| + e)^3
    second = 0.5 * 2 * (2 * 1 + 0.1) ** 2 / (3 + 1 + 2 * 2 + 0.1) ** 3
    scale = preconditioner(smooth, sensitivity, prior, 1.5)
    assert scale.ravel() == pytest.approx([3 / (2 + 1.5 * second * 3), 0.0])


def test_the_published_steps_decrease():
    assert [step(update) for update in (0, 10, 11, 100, 101, 200, 201, 300, 301)] == [
        3, 3, 2, 2, 1.5, 1.5, 1, 1, 0.5]


def test_each_subset_comes_once_before_any_comes_again():
    taken = list(islice(shuffled(5), 15))
    for first in (0, 5, 10):
        assert sorted(taken[first : first + 5]) == [0, 1, 2, 3, 4]
    assert taken[:5] != taken[5:10]


def test_the_first_published_update_goes_down_the_whole_gradient(scans):
    case = scans[0]
    data = Passes(case.model).subsets(case.prompts, 4)
    image = next(published(data, case.prior, case.start, smooth_mm=0.0))
    sensitivity = sum(data.sensitivity(k) for k in range(4))
    slope = sensitivity - sum(data.ratio_back(k, case.start) for k in range(4))
    slope += case.prior.gradient(case.start)
    scale = preconditioner(case.start, sensitivity, case.prior, 1.5)
    expected = np.maximum(case.start - 3 * scale * slope, 0)
    np.testing.assert_allclose(image, expected, rtol=1e-4, atol=1e-5 * case.level)


def test_the_command_compares_all_on_cases_of_other_scans(scans, monkeypatch, tmp_path, capsys):
    few = {name: several[:1] for name, several in convergence_methods.SETTINGS.items()}
    few["ours"] = ({"algorithm": "svrg", "subsets": 4}, {"algorithm": "saga", "subsets": 4})
    few["osem-bsrem"] = ({"subsets": 4, "osem_passes": 1, "relaxation": 0.1},)
    for name, value in {
        "SETTINGS": few, "TESTED": {"spheres": SPHERES}, "TESTED_SCANS": ((False, True),),
        "TUNED": {"other": SPHERES}, "TUNED_SCANS": {"other": ((False, False),)},
        "SEEDS": {"spheres": 1, "other": 2}, "PASSES": 25, "TRIED_PASSES": 25,
        "cases": lambda name, *_: scans[1:2] if name == "spheres" else scans[:1],
    }.items():
        monkeypatch.setattr(convergence, name, value)
    assert countless.main(["benchmark", "convergence", "--repeats", "2", "-o",
                           str(tmp_path / "found")]) == 0
    results = json.loads((tmp_path / "found" / "convergence.json").read_text())
    assert [len(row["scans"]) for row in results["tuned"]] == [1] * 4
    assert results["settings"]["ours"] in list(few["ours"])
    (case,) = results["cases"]
    assert case["name"] == "spheres, normal counts, with TOF" and case["reference"]["agreed"]
    ours = case["algorithms"]["ours"]
    passes, worst = ours["curve"][ours["updates"] - 1]
    assert passes == pytest.approx(ours["passes"], rel=1e-3) and passes <= 25 and worst < 1
    assert len(ours["all_seconds"]) == 2 and ours["seconds"] > 0
    assert results["medians"].keys() == {"osem-bsrem", "published", "as published"}
    assert "spheres, normal counts, with TOF" in capsys.readouterr().out
    assert (tmp_path / "found" / "convergence.png").stat().st_size > 10_000


def test_ratios_are_of_what_the_others_take():
    def one(updates, seconds, passes):
        return {"updates": updates, "seconds": seconds, "passes": passes}

    ours, theirs, never = one(8, 2.0, 4.0), one(9, 3.0, 8.0), one(None, None, None)
    found = convergence.ratios({"ours": ours, "a": theirs, "b": never})
    assert found == {"a": {"seconds": 1.5, "passes": 2.0}, "b": {"seconds": np.inf,
                                                                "passes": np.inf}}
    assert convergence.ratios({"ours": never, "a": theirs})["a"]["seconds"] is None


def test_the_setting_is_chosen_by_the_median_time_and_one_that_does_not_arrive_is_last():
    def row(number, *seconds):
        scans = [{"seconds": value, "passes": value} for value in seconds]
        return {"algorithm": "a", "settings": number, "scans": scans}

    assert convergence.best([row(1, 3.0, 2.0, 9.0), row(2, 1.0, 2.5, 99.0)]) == {"a": 2}
    assert convergence.best([row(1, None, None, 1.0), row(2, 5.0, 6.0, None)]) == {"a": 2}


def test_no_repeats_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--repeats takes a number from 1, got 0"):
        convergence.convergence(repeats=0, output=tmp_path)
