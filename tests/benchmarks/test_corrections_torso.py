import numpy as np
import pytest

from benchmarks.corrections_torso import torso
from recon import Grid, Scanner
from sim.materials import MATERIALS


def test_fractions_of_all_regions_lie_in_0_to_1_and_add_up_to_1_inside_the_body():
    phantom = torso(1)
    grid = Grid.centred(shape=(50, 40, 20), voxel_mm=(8, 8, 10))
    names = phantom.names
    total = np.zeros(grid.shape)
    for name in names:
        fraction = phantom.fraction(name, grid)
        assert fraction.min() >= 0 and fraction.max() <= 1
        total += fraction
    assert total.max() <= 1 + 1e-5
    assert total[25, 20].min() >= 1 - 1e-5


def test_the_torso_has_the_same_activity_on_other_grids():
    phantom = torso(1)
    totals = []
    for shape, voxel_mm in [((200, 136, 66), (2, 2, 3)), ((57, 39, 18), (7, 7, 11))]:
        grid = Grid.centred(shape=shape, voxel_mm=voxel_mm)
        totals.append(phantom.activity(grid).sum(dtype=float) * np.prod(voxel_mm))
    assert totals[1] == pytest.approx(totals[0], rel=2e-3)


def test_the_liver_holds_its_activity_and_attenuation_where_nothing_else_is():
    phantom = torso(1)
    grid = Grid.centred(shape=(1, 1, 1), voxel_mm=(4, 4, 4), centre_mm=(-110, 20, 55))
    assert phantom.activity(grid).item() == pytest.approx(11000.0)
    assert phantom.mu_per_cm(grid).item() == pytest.approx(
        MATERIALS["soft tissue"].mu_per_cm
    )


def test_one_seed_gives_one_torso_and_another_seed_another():
    assert torso(5) == torso(5)
    assert torso(5) != torso(6)


@pytest.mark.parametrize("seed", range(6))
def test_every_lesion_lies_whole_within_the_torso_and_the_scanner(seed):
    phantom = torso(seed)
    reach = Scanner.preset("demo").rings * Scanner.preset("demo").ring_spacing_mm / 2
    body = phantom.find("muscle")[0].solid
    for number in range(1, 7):
        (region,) = phantom.find(f"lesion {number}")
        extent = np.array(region.solid.extent)
        assert np.abs(extent[2]).max() < reach
        assert body.contains(*np.meshgrid(*extent)).all()
        near = Grid.centred(shape=(40,) * 3, voxel_mm=(1,) * 3, centre_mm=region.solid.centre_mm)
        whole = 4 / 3 * np.pi * region.solid.radii_mm[0] ** 3
        seen = phantom.fraction(region.name, near).sum(dtype=float)
        assert seen == pytest.approx(whole, rel=0.02)


def test_an_unknown_region_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"'torso' takes a name out of fat, .*, got 'brain'"):
        torso(0).find("brain")
