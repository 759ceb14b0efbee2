"""Where CASToR's scanner files put crystals, worked out by hand in its coordinates and in ours."""

import struct

import numpy as np
import pytest

from recon.io import FileError
from recon.io.castor_geometry import read_places
from tests.recon.io.castor import GEOM, changed

HSCAN = """scanner name: PET_two
modality: PET
number of elements: 2
number of layers: 1
number of crystals in layer(s): 2
crystals size depth: 20
mean depth of interaction: -1
"""


@pytest.fixture
def places(tmp_path):
    def of(changes=None):
        (tmp_path / "a.geom").write_text(changed(GEOM, changes))
        return read_places(tmp_path / "a.geom")

    return of


@pytest.fixture
def two(tmp_path):
    """Crystals above the axis and to its right, as someone in front of the scanner sees them."""

    def of(changes=None, values=(0, 110, -4, 0, 1, 0, 110, 0, 4, 1, 0, 0)):
        (tmp_path / "a.hscan").write_text(changed(HSCAN, changes))
        (tmp_path / "a.lut").write_bytes(struct.pack(f"<{len(values)}f", *values))
        return read_places(tmp_path / "a.hscan")

    return of


def test_the_first_crystal_is_at_the_top_of_the_front_ring(places):
    # Front face at 100 mm, 5 mm to the interaction; rings 8 mm apart, the front one at CASToR's
    # z = -4. Our y points down and our z out of the gantry.
    np.testing.assert_allclose(places().positions_mm[0], [0, -105, 4], atol=1e-9)


def test_crystals_go_clockwise_around_a_ring_and_then_to_the_next_behind(places):
    found = places().positions_mm
    np.testing.assert_allclose(found[2], [105, 0, 4], atol=1e-9)
    np.testing.assert_allclose(found[8], [0, -105, -4], atol=1e-9)


def test_sectors_may_go_the_other_way_around(places):
    found = places({"rotation direction": "CCW"}).positions_mm
    np.testing.assert_allclose(found[2], [-105, 0, 4], atol=1e-9)


def test_the_first_angle_is_clockwise_from_the_top(places):
    found = places({"rsectors first angle": 90}).positions_mm
    np.testing.assert_allclose(found[0], [105, 0, 4], atol=1e-9)


def test_sectors_may_span_a_part_of_the_turn(places):
    found = places({"rsectors angular span": 180}).positions_mm
    np.testing.assert_allclose(found[4], [105, 0, 4], atol=1e-9)


def test_without_a_depth_of_interaction_it_is_the_middle_of_the_crystal(places):
    found = places({"mean depth of interaction": -1})
    np.testing.assert_allclose(found.positions_mm[0], [0, -110, 4], atol=1e-9)
    assert found.depth_mm == 10


def test_sectors_are_shifted_along_the_axis_in_turn(places):
    found = places({"rsectors nbZShift": 2, "rsectors ZShift": "-1,2"}).positions_mm
    assert [round(z, 9) for z in found[:3, 2]] == [5, 2, 5]


def test_a_flat_sector_of_modules_submodules_and_gaps(places):
    # Across: crystals of 30 mm and 2 mm between them, submodules of 2 with 5 mm between, 2 modules
    # with 7 mm: centres from the left at 15, 47, 99, 131, 183, ... less half of 62*4 + 5*2 + 7.
    found = places({
        "number of elements": 64, "number of rsectors": 4, "number of crystals transaxial": 2,
        "crystal gap transaxial": 2, "number of submodules transaxial": 2,
        "submodule gap transaxial": 5, "number of modules transaxial": 2,
        "module gap transaxial": 7,
    }).positions_mm
    left = -(62 * 4 + 5 * 2 + 7) / 2
    np.testing.assert_allclose(found[:3, 0], [left + 15, left + 47, left + 82], atol=1e-9)
    np.testing.assert_allclose(found[4, 0], left + 129 + 7 + 15, atol=1e-9)
    np.testing.assert_allclose(found[:8, 1], -105, atol=1e-9)


def test_rings_of_sectors_along_the_axis_repeat(places):
    # Two sectors of 15 mm with 3 mm between.
    found = places({"number of elements": 32, "number of rsectors axial": 2,
                    "rsector gap axial": 3}).positions_mm
    np.testing.assert_allclose(found[::8, 2], [13, 5, -5, -13], atol=1e-9)


def test_a_table_of_positions_is_moved_along_each_crystals_orientation(two):
    np.testing.assert_array_equal(two().positions_mm, [[0, -110, 4], [110, 0, -4]])
    found = two({"mean depth of interaction": 5})
    np.testing.assert_array_equal(found.positions_mm, [[0, -105, 4], [105, 0, -4]])
    assert (found.name, found.depth_mm, len(found.files)) == ("PET_two", 5, 2)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"number of elements": 15}, "takes 16, as sectors"),
        ({"number of layers": 2}, "no layers of crystals"),
        ({"modality": "SPECT_CONVERGENT"}, "takes PET"),
        ({"scanner radius": None}, "lacks the key `scanner radius`"),
        ({"number of crystals axial": None}, "lacks the key `number of crystals axial`"),
        ({"rotation direction": "left"}, "CW or CCW"),
        ({"rsectors nbZShift": 2, "rsectors ZShift": "1,2,3"}, "2 numbers"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(places, changes, message):
    with pytest.raises(FileError, match=message):
        places(changes)


def test_a_table_of_another_size_is_refused(two):
    with pytest.raises(FileError, match=r"has 24 bytes, where .* says 48 \(2 crystals"):
        two(values=(0, 1, 0, 0, 1, 0))


def test_a_table_that_is_not_there_is_told(tmp_path):
    (tmp_path / "a.hscan").write_text(HSCAN)
    with pytest.raises(FileError, match=r"a\.lut cannot be read"):
        read_places(tmp_path / "a.hscan")
