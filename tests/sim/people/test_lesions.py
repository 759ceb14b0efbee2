import numpy as np
import pytest

from recon import Grid
from sim.people import Lesion, drawing, person
from sim.people.lesions import CONTRAST, SITES
from sim.people.shaping import volume_ml
from sim.uptake import TRACERS

ASKED = (
    Lesion(site="lung", diameter_mm=14.0),
    Lesion(site="liver", diameter_mm=20.0, suv=9.0),
    Lesion(site="bone", diameter_mm=8.0),
    Lesion(site="abdominal node", diameter_mm=10.0),
)


@pytest.fixture(scope="module")
def healthy():
    return person(21, lesions=0)


@pytest.fixture(scope="module")
def ill():
    return person(21, lesions=ASKED)


def around(lesion, voxel_mm=1.0):
    box = np.array(lesion.solid.extent)
    shape = np.ceil((box[:, 1] - box[:, 0]) / voxel_mm).astype(int) + 2
    return Grid.centred(shape=shape, voxel_mm=(voxel_mm,) * 3, centre_mm=box.mean(axis=1))


def test_lesions_lie_whole_within_their_hosts(healthy, ill):
    for asked, lesion in zip(ASKED, ill.lesions, strict=True):
        grid = around(lesion)
        inside = lesion.solid.contains(*np.ix_(*(grid.centres(axis) for axis in range(3))))
        labels = healthy.images(grid, 1, ["labels"])["labels"][inside]
        hosts = {healthy.names.index(name) + 1 for name in SITES[asked.site].hosts
                 if name in healthy.names}
        assert np.isin(labels, list(hosts)).mean() > 0.995, asked  # at points it was not tried at


def test_lesions_cover_what_is_below_them_with_their_own_activity(ill):
    for lesion in ill.lesions:
        grid = around(lesion)
        inside = lesion.solid.contains(*np.ix_(*(grid.centres(axis) for axis in range(3))))
        images = ill.images(grid, 1, ["activity", "labels"])
        assert (images["labels"][inside] == ill.names.index(lesion.name) + 1).all()
        np.testing.assert_allclose(images["activity"][inside], lesion.activity_bq_ml, rtol=1e-5)


def test_a_lesion_has_the_volume_of_the_ball_of_its_diameter(ill):
    for asked, lesion in zip(ASKED, ill.lesions, strict=True):
        ball = np.pi / 6 * asked.diameter_mm**3 / 1000
        step = asked.diameter_mm / 40
        assert volume_ml(lesion.solid, step) == pytest.approx(ball, rel=0.06)


def test_lesions_are_hotter_than_their_hosts_unless_their_uptake_is_given(ill):
    unit = ill.injection.suv_bq_ml
    assert ill.lesions[1].activity_bq_ml == pytest.approx(9.0 * unit)
    (lung, *_), lesion = ill.find("lung"), ill.lesions[0]
    assert lesion.activity_bq_ml >= CONTRAST * lung.activity_bq_ml
    assert lesion.activity_bq_ml >= 0.999 * TRACERS["FDG"].lesion_suv[0] * unit


def test_lesions_change_nothing_else_of_a_person(healthy, ill):
    assert [r.activity_bq_ml for r in healthy.regions] == [
        r.activity_bq_ml for r in ill.regions if not r.lesion
    ]


def test_a_lesion_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="got lesion 1 of 40 mm in pancreas, which finds no room"):
        person(21, lesions=[Lesion(site="pancreas", diameter_mm=40.0)])


@pytest.mark.parametrize("given, message", [
    ({"site": "lungs"}, "got 'lungs'; the nearest is 'lung'"),
    ({"site": "liver", "diameter_mm": 80.0}, "Lesion takes a diameter_mm from 4 to 40, got 80"),
    ({"site": "liver", "suv": -1.0}, "Lesion takes a suv of 0 or more, got -1"),
])
def test_a_lesion_that_cannot_be_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Lesion(**given)


def test_lesions_may_be_dicts_as_yaml_has_them(monkeypatch):
    seen = []
    monkeypatch.setattr(drawing, "place_lesions", lambda *asked: seen.append(asked[3]) or [])
    drawing.person(3, lesions=[{"site": "liver", "diameter_mm": 12.0, "suv": 5.0}])
    assert seen == [[Lesion(site="liver", diameter_mm=12.0, suv=5.0)]]


@pytest.mark.parametrize("lesion", [{"diameter_mm": 12.0}, {"site": "liver", "size": 3}, {}])
def test_a_dict_that_is_no_lesion_is_refused(lesion):
    with pytest.raises(ValueError, match="a lesion takes site, and may have diameter_mm, suv, got"):
        person(3, lesions=[lesion])
