import numpy as np
import pytest

from recon import Grid
from sim.people import person
from sim.people.drawing import MADE_OF, UPTAKE_OF
from sim.phantom_command import LANDMARKS
from sim.uptake import TRACERS

# Visible volumes in mL that an adult's organs have. The middle of each range is about the mass that
# ICRP Publication 89 gives for its reference adults.
VOLUMES = {
    "brain": (900, 1800), "lung": (2000, 6500), "liver": (900, 2700), "spleen": (60, 350),
    "kidney": (190, 500), "pancreas": (55, 200), "myocardium": (60, 230), "thyroid": (8, 40),
    "urine": (40, 360), "stomach": (120, 600), "small bowel": (450, 1500), "colon": (400, 1600),
    "parotid gland": (20, 80), "gallbladder": (10, 110), "blood": (400, 2000),
    "marrow": (600, 2400), "bone": (1800, 6000),
}  # fmt: skip
PARTS_OF = {
    "brain": ("grey matter", "white matter"), "stomach": ("stomach wall", "stomach content"),
    "colon": ("colon wall", "colon content"), "bone": ("bone", "skull"),
}  # fmt: skip
PEOPLE = {
    "any": {"seed": 11},
    "a thin man": {"seed": 12, "sex": "male", "height_cm": 188, "weight_kg": 62, "arms": "down"},
    "a stout woman": {"seed": 13, "sex": "female", "height_cm": 158, "weight_kg": 98, "arms": "up"},
}


def grid_of(phantom, voxel_mm):
    low, high = np.array(phantom.regions[0].solid.extent).T
    shape = np.ceil((high - low) / voxel_mm).astype(int) + 4
    return Grid.centred(shape=shape, voxel_mm=(voxel_mm,) * 3, centre_mm=(low + high) / 2)


@pytest.fixture(scope="module", params=PEOPLE)
def painted(request):
    someone = person(part="whole-body", lesions=0, **PEOPLE[request.param])
    grid = grid_of(someone, 6.0)
    return someone, grid, someone.images(grid, 1, ["labels"])["labels"]


def volumes_ml(someone, grid, labels):
    counts = np.bincount(labels.ravel(), minlength=len(someone.names) + 1)[1:]
    return dict(zip(someone.names, counts * np.prod(grid.voxel_mm) / 1000, strict=True))


def test_the_mass_agrees_with_the_weight(painted):
    someone, *_ = painted
    of = {region.name: region.material.density_g_ml for region in someone.regions}
    mass_kg = sum(of[name] * ml / 1000 for name, ml in volumes_ml(*painted).items())
    assert mass_kg == pytest.approx(someone.habitus.weight_kg, rel=0.06)


def test_every_tissue_that_takes_up_a_tracer_is_made_of_something():
    assert set(MADE_OF) == set(TRACERS["FDG"].suv) | set(UPTAKE_OF)


def test_organs_have_the_volumes_of_an_adult(painted):
    found = volumes_ml(*painted)
    for organ, (low, high) in VOLUMES.items():
        volume = sum(found[name] for name in PARTS_OF.get(organ, (organ,)))
        assert low <= volume <= high, f"{organ}: {volume:.0f} mL"


def test_nothing_pokes_out_of_the_skin(painted):
    someone, grid, labels = painted
    skin = someone.regions[0].solid.contains(*np.ix_(*(grid.centres(a) for a in range(3))))
    outside = labels[~skin]
    names = {someone.names[number - 1] for number in np.unique(outside[outside > 0])}
    assert not names


def test_no_organ_is_buried_under_others(painted):
    missing = [name for name, ml in volumes_ml(*painted).items() if ml == 0]
    assert set(missing) <= {"pituitary", "lacrimal gland", "ureter"}  # smaller than a voxel


def test_organs_follow_each_other_from_head_to_foot(painted):
    someone, grid, labels = painted
    at = {organ: grid.centres(2)[np.nonzero(labels == someone.names.index(name) + 1)[2]].mean()
          for organ, name in LANDMARKS.items()}
    assert list(at) == ["brain", "thyroid", "heart", "liver", "kidneys", "bladder"]
    assert sorted(at.values()) == list(at.values())
    assert at["heart"] < 20 and at["liver"] > 40  # z = 0 lies between them


def test_hands_are_above_the_head_or_beside_the_hips(painted):
    someone, *_ = painted
    z_of_hands = someone.regions[0].solid.extent[2][0]
    above = z_of_hands < someone.find("grey matter")[0].solid.extent[2][0] - 100
    assert above == (someone.habitus.arms == "up")


def test_the_same_seed_gives_the_same_person_and_another_seed_another():
    grid = Grid.centred(shape=(40, 26, 20), voxel_mm=(10, 10, 10), centre_mm=(0, 0, 60))
    once, again, other = (person(seed, lesions=1).images(grid, 1) for seed in (5, 5, 6))
    for name, image in once.items():
        np.testing.assert_array_equal(image, again[name])
        assert (image != other[name]).mean() > 0.03


def test_activity_is_suv_times_decayed_dose_over_weight():
    someone = person(3, tracer="psma", lesions=0)
    assert (someone.tracer, someone.isotope, someone.habitus.sex) == ("PSMA", "Ga-68", "male")
    low, high = TRACERS["PSMA"].suv["kidney"]
    for kidney in someone.find("kidney"):
        assert low <= kidney.activity_bq_ml / someone.injection.suv_bq_ml <= high


def test_a_torso_leaves_off_head_and_legs():
    torso = person(4, lesions=0)
    ends = np.array([region.solid.extent[2] for region in torso.regions])
    assert -330 < ends.min() < -190 and 430 < ends.max() < 640
    assert "grey matter" not in torso.names and "thyroid" in torso.names


@pytest.mark.parametrize("given, message", [
    ({"tracer": "fdgg"}, "the nearest is 'FDG'"),
    ({"part": "head"}, "person takes part torso or whole-body, got 'head'"),
    ({"breathing_mm": 400}, "breathing_mm takes a number from 0 to 40, got 400"),
    ({"lesions": 13}, "person takes 0 to 12 lesions, got 13"),
    ({"lesions": 2.5}, "person takes a number of lesions from 0 to 12, or Lesions, got 2.5"),
    ({"lesions": ["liver"]}, "person takes a number of lesions from 0 to 12, or Lesions"),
    ({"height_cm": "tall"}, "height_cm takes a number of 0 or more, got 'tall'"),
])
def test_what_cannot_be_drawn_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        person(0, **given)
