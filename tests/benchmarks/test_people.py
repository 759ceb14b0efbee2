import numpy as np
import pytest

from benchmarks.people import mass_kg, people
from recon import Grid


def test_a_litre_of_what_attenuates_like_water_has_a_mass_of_a_kg():
    grid = Grid.centred(shape=(10, 10, 10), voxel_mm=(10, 10, 10))
    assert mass_kg(np.full(grid.shape, 0.096, np.float32), grid) == pytest.approx(1, rel=1e-3)


def test_people_with_tracers_in_turn_are_drawn_and_told_of(tmp_path):
    picture, output = tmp_path / "people.png", tmp_path / "people.json"
    found = people(count=2, part="torso", voxel_mm=10.0, picture=picture, output=output)
    assert [one["tracer"] for one in found["people"]] == ["FDG", "PSMA"]
    assert picture.read_bytes().startswith(b"\x89PNG") and output.exists()
