import numpy as np
import pytest

from recon.io.crystals import crystal_positions, raster_of
from recon.layout import SinogramLayout
from recon.presets import PRESETS
from recon.scanner import Scanner

# Gaps of every kind, a tilt, and virtual rings at the low end alone.
GAPPY = Scanner(
    name="gappy", rings=12, crystals=40, radius_mm=100.0, depth_mm=5.0, ring_spacing_mm=4.0,
    radial_bins=27, tilt_deg=10.0, block_crystals=(5, 4), virtual_crystals=(0, 3),
    virtual_rings=(0,),
)


def raster(positions, **options):
    return raster_of(positions, **({"name": "unknown"} | options))


def panels(blocks, crystals, pitch, face, rings=4, spacing=5.0):
    """Flat blocks around the axis."""
    x = (np.arange(crystals) - (crystals - 1) / 2) * pitch
    turn = 2 * np.pi * np.arange(blocks)[:, None] / blocks
    x, y = x * np.cos(turn) + face * np.sin(turn), x * np.sin(turn) - face * np.cos(turn)
    z = (np.arange(rings) - (rings - 1) / 2) * spacing
    xy = np.stack([x.ravel(), y.ravel()], axis=-1)
    return np.concatenate([np.column_stack([xy, np.full(len(xy), level)]) for level in z])


def test_crystal_0_of_a_scanner_without_tilt_is_at_the_top_where_y_is_negative():
    positions, ring, crystal = crystal_positions(PRESETS["tiny"])
    assert (ring[0], crystal[0]) == (0, 0)
    np.testing.assert_allclose(positions[0], [0, -105, -16], atol=1e-12)


def test_a_quarter_of_the_crystals_on_lies_at_positive_x():
    positions, _, _ = crystal_positions(PRESETS["tiny"])
    np.testing.assert_allclose(positions[8], [105, 0, -16], atol=1e-12)


def test_crystals_lie_where_the_layouts_lines_end():
    layout = SinogramLayout.of(GAPPY)
    positions, ring, crystal = crystal_positions(GAPPY)
    place = {(r, c): p for r, c, p in zip(ring.tolist(), crystal.tolist(), positions, strict=True)}
    for view, radial, plane in ((0, 13, 0), (7, 20, 30), (19, 5, 100)):
        pair = [index[0] for index in layout.crystals_of(view, radial, plane)]
        ends = layout.lor_end_points(view, radial, plane)
        for crystal_of_pair, end in zip((tuple(pair[:2]), tuple(pair[2:])), ends, strict=True):
            if crystal_of_pair in place:
                np.testing.assert_allclose(place[crystal_of_pair], end, atol=1e-9)


@pytest.mark.parametrize("name", PRESETS)
def test_positions_of_a_preset_give_back_the_preset_and_their_crystals(name):
    positions, ring, crystal = crystal_positions(PRESETS[name])
    order = np.random.default_rng(1).permutation(len(positions))
    given = positions[order].astype(np.float32)
    found, ring_found, crystal_found, note = raster(given, name=PRESETS[name].name)
    assert found == PRESETS[name] and note is None
    np.testing.assert_array_equal(ring_found, ring[order])
    np.testing.assert_array_equal(crystal_found, crystal[order])


@pytest.mark.parametrize("name", PRESETS)
def test_positions_alone_tell_rings_crystals_gaps_radius_spacing_and_tilt(name):
    preset = PRESETS[name]
    positions, ring, crystal = crystal_positions(preset)
    found, *indices, _ = raster(positions, depth_mm=preset.depth_mm, zero_deg=preset.tilt_deg)
    for attribute in ("rings", "crystals", "radius_mm", "ring_spacing_mm", "tilt_deg",
                      "virtual_crystals", "virtual_rings"):
        assert getattr(found, attribute) == pytest.approx(getattr(preset, attribute), abs=1e-9)
    np.testing.assert_array_equal(indices, [ring, crystal])


def test_gaps_and_virtual_rings_at_an_end_are_found():
    positions, ring, crystal = crystal_positions(GAPPY)
    found, *indices, note = raster(positions, depth_mm=5.0, zero_deg=10.0)
    assert found == Scanner(**vars(GAPPY) | {"name": "unknown"})
    np.testing.assert_array_equal(indices, [ring, crystal])
    assert note is None


def test_crystal_0_is_the_one_nearest_to_the_top_or_to_the_angle_asked_for():
    positions, _, _ = crystal_positions(Scanner(**vars(PRESETS["tiny"]) | {"tilt_deg": 50.0}))
    assert raster(positions)[0].tilt_deg == pytest.approx(50 - 4 * 11.25)  # 32 crystals
    assert raster(positions, zero_deg=-40.0)[0].tilt_deg == pytest.approx(50 - 8 * 11.25)


def test_a_tie_of_two_crystals_next_to_the_top_is_settled_whatever_the_rounding():
    tilted = Scanner(**vars(PRESETS["tiny"]) | {"tilt_deg": 11.25 / 2})
    positions, _, _ = crystal_positions(tilted)
    tilts = {raster(positions * (1 + k * 1e-9) + k * 1e-7)[0].tilt_deg for k in range(-3, 4)}
    assert len(tilts) == 1


def test_flat_blocks_become_arcs_and_the_largest_move_is_said():
    positions = panels(blocks=24, crystals=10, pitch=10.2, face=400.0)
    found, _, crystal, note = raster(positions)
    assert found.crystals == 240  # gaps of 3 mm are spread
    radius = np.hypot(*positions[:, :2].T)
    assert found.effective_radius_mm == pytest.approx(radius.mean(), abs=1e-4)
    psi = 2 * np.pi * crystal / 240 + np.radians(found.tilt_deg)
    there = found.effective_radius_mm * np.stack([np.sin(psi), -np.cos(psi)], axis=-1)
    worst = np.linalg.norm(there - positions[:, :2], axis=1).max()
    assert f"up to {worst:.3g} mm" in note


def test_a_wide_gap_between_blocks_is_a_virtual_crystal():
    found, *_ = raster(panels(blocks=24, crystals=9, pitch=10.4, face=400.0))
    assert (found.crystals, found.block_crystals[0]) == (240, 10)
    assert len(found.virtual_crystals) == 1


def test_a_missing_block_makes_no_other_scanner_but_a_longer_pattern():
    tiny = PRESETS["tiny"]
    positions, _, crystal = crystal_positions(tiny)
    found, _, there, _ = raster(positions[crystal >= 4])
    assert (found.rings, found.crystals, found.virtual_crystals) == (5, 32, (0, 1, 2, 3))
    np.testing.assert_array_equal(there, crystal[crystal >= 4])


def test_a_scanner_off_the_middle_in_z_is_counted_from_its_own():
    positions, _, _ = crystal_positions(PRESETS["tiny"])
    found, ring, _, note = raster(positions + np.array([0, 0, 100.5]))
    assert found.rings == 5 and set(ring) == {0, 1, 2, 3, 4}
    assert "100.5 mm" in note


def test_positions_that_are_no_real_crystals_are_said():
    positions, _, _ = crystal_positions(PRESETS["tiny"])
    assert "1 positions" in raster(positions[1:])[3]


@pytest.mark.parametrize(("change", "words"), {
    "off the axis": (lambda p: p + np.array([10, 0, 0]), "no cylinder"),
    "layers": (lambda p: np.concatenate([p, p * [1.01, 1.01, 1]]), "layers"),
    "an odd number": (lambda p: panels(7, 1, 1.0, 100.0), "odd number"),
    "a plate": (lambda p: p[:, [1, 2, 0]] * [1, 0, 1] + [0, 50, 0], "no cylinder"),
    "a spiral": (lambda p: p[np.arange(len(p)) % 33 % 5 == 0], "no such raster"),
    "none": (lambda p: p[:0], "finite numbers"),
    "NaN": (lambda p: p * np.nan, "finite numbers"),
}.values())
def test_what_is_no_cylinder_of_equal_steps_is_refused(change, words):
    positions, _, _ = crystal_positions(PRESETS["tiny"])
    with pytest.raises(ValueError, match=words):
        raster(change(positions))
