import pytest

from benchmarks.people import mass_kg, people
from recon import Grid
from sim.objects.parts import filled
from sim.phantoms import Phantom
from sim.shapes import Box


def test_the_mass_of_water_with_a_cube_of_teflon_in_it_is_that_of_their_volumes():
    boxes = [Box(centre_mm=(0, 0, 0), sides_mm=(side,) * 3) for side in (200.0, 100.0)]
    regions = tuple(map(filled, ("around", "cube"), boxes, ("water", "PTFE")))
    grid = Grid.centred(shape=(24, 24, 24), voxel_mm=(10, 10, 10))
    phantom = Phantom(name="cubes", regions=regions)
    labels = phantom.images(grid, 1, ["labels"])["labels"]
    assert mass_kg(phantom, labels, grid) == pytest.approx(8 - 1 + 2.16)


def test_people_with_tracers_in_turn_are_drawn_and_told_of(tmp_path):
    picture, output = tmp_path / "people.png", tmp_path / "people.json"
    found = people(count=2, part="torso", voxel_mm=10.0, picture=picture, output=output)
    assert [one["tracer"] for one in found["people"]] == ["FDG", "PSMA"]
    assert picture.read_bytes().startswith(b"\x89PNG") and output.exists()
