"""CASToR's crystal numbers as ours: of scanners that others describe, and of our own."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from recon import Scanner
from recon.io import FileError
from recon.io.castor_data import read_data_header
from recon.io.castor_scanner import numbers_of, read_crystals, scanner_files
from recon.io.crystals import crystal_positions
from recon.presets import PRESETS
from tests.recon.io.castor import SCANNER, packed, written

DATA = packed("III", *[(0, 0, 4)] * 3)

# The GE Discovery RX as CASToR's configuration of it has it.
DRX = {
    "scanner name": "PET_GE_DRX", "scanner radius": 443, "number of elements": 15120,
    "number of rsectors": 70, "rsectors first angle": 90, "number of modules axial": 4,
    "module gap axial": 1.5, "number of crystals transaxial": 9, "number of crystals axial": 6,
    "crystal gap transaxial": 0.065, "crystal gap axial": 0.1, "crystals size depth": 30,
    "crystals size transaxial": 4.23, "crystals size axial": 6.35,
    "mean depth of interaction": -1, "min angle difference": 40,
}


@pytest.fixture
def crystals(tmp_path):
    """Crystals of the hand-written scanner, changed."""

    def of(scanner=None, scanner_file=None):
        path = written(tmp_path, data=DATA, scanner=scanner)
        return read_crystals(read_data_header(path, "list"), scanner_file)

    return of


@pytest.fixture
def files(tmp_path):
    """Writes our files of a scanner and reads them."""

    def of(scanner, hscan=lambda text: text, lut=lambda data: data):
        name, table, text = scanner_files(scanner)
        path = written(tmp_path, {"Scanner name": name}, DATA)
        (tmp_path / f"{name}.lut").write_bytes(lut(table))
        (tmp_path / f"{name}.hscan").write_bytes(hscan(text))
        return read_crystals(read_data_header(path, "list"))

    return of


def test_numbers_go_around_the_last_of_our_rings_first():
    numbers = numbers_of(SCANNER)
    assert (numbers[1, 0], numbers[1, 7], numbers[0, 0], numbers[0, 5]) == (0, 7, 8, 13)


def test_virtual_crystals_have_no_number():
    numbers = numbers_of(Scanner.preset("mMR"))
    assert (numbers[63, 0], numbers[63, 1], numbers[63, 9], numbers[63, 10]) == (-1, 0, -1, 8)
    assert numbers.max() == 64 * 448 - 1


def test_a_described_scanner_becomes_the_raster_that_it_is(crystals):
    found = crystals()
    assert found.scanner == Scanner(
        name="hand", rings=2, crystals=8, radius_mm=100.0, depth_mm=5.0, ring_spacing_mm=8.0,
        radial_bins=5, crystal_mm=(30.0, 7.0, 20.0),
    )
    assert found.notes == []
    ring, crystal = found.of(np.array([0, 13, 16, 2**32 - 1], np.uint32))
    assert (ring.tolist(), crystal.tolist()) == ([1, 0, -1, -1], [0, 5, -1, -1])


def test_gaps_of_flat_blocks_become_virtual_crystals(crystals):
    found = crystals(DRX)
    scanner = found.scanner
    assert (scanner.rings, scanner.crystals, scanner.virtual_crystals) == (24, 700, (0,))
    assert scanner.effective_radius_mm == pytest.approx(443 + 15, abs=0.5)
    assert "moves them by up to 1.01 mm" in found.notes[0]
    # The first sector is at positive x; it lies along our y, which points down, from -17.18 mm on.
    ring, crystal = found.of(np.arange(9, dtype=np.uint32))
    angle = np.degrees(np.arctan(np.arange(-4, 5) * 4.295 / 458))
    np.testing.assert_allclose(crystal * (360 / 700) - 90, angle, atol=0.15)
    assert set(ring) == {23}


def test_lines_are_those_that_the_least_angle_between_crystals_leaves(crystals):
    # 90 degrees are 2 of 8 crystals: 2 on each side of opposite ones.
    assert crystals({"min angle difference": 90}).scanner.radial_bins == 5
    assert crystals({"min angle difference": 91}).scanner.radial_bins == 3
    assert crystals({"min angle difference": 0.1}).scanner.radial_bins == 7


def test_a_scanner_of_a_known_name_is_the_preset(crystals, tmp_path):
    """CASToR's file of the mMR, with crystals in 56 flat blocks of 8 of 4 mm."""
    position = []
    for ring in range(64):
        for block in range(56):
            turn = 2 * np.pi * (block + 0.5) / 56  # our raster's gap is at the block's beginning
            for crystal in range(8):
                along, out = (crystal - 3.5) * 4.0, 338.0
                position.append((along * np.cos(turn) + out * np.sin(turn),
                                 out * np.cos(turn) - along * np.sin(turn),
                                 (ring - 31.5) * 4.0625, np.sin(turn), np.cos(turn), 0))
    (tmp_path / "mmr.lut").write_bytes(b"".join(struct.pack("<6f", *p) for p in position))
    (tmp_path / "mmr.hscan").write_text(
        "scanner name:    PET_SIEMENS_MMR\nmodality:    PET\nscanner radius:    328\n"
        "number of rings in scanner:    64\nnumber of elements:    28672\nnumber of layers:    1\n"
        "number of crystals in layer(s):    28672\ncrystals size depth:    20.00\n"
        "crystals size transaxial:    4.00\ncrystals size axial:    4.00\n"
        "min angle difference:    40 #deg\nmean depth of interaction:    -1\n"
    )
    found = crystals(scanner_file=tmp_path / "mmr.hscan")
    mmr = Scanner.preset("mMR")
    assert (found.scanner.crystals, found.scanner.virtual_crystals) == (504, (0,))
    assert (found.scanner.radial_bins, found.scanner.energy_resolution) == (344, 0.145)
    ring, crystal = found.of(np.arange(448, dtype=np.uint32))
    assert set(ring) == {63}
    np.testing.assert_array_equal(crystal, np.flatnonzero(numbers_of(mmr)[63] >= 0))


@pytest.mark.parametrize("name", PRESETS)
def test_our_own_scanners_come_back_as_they_were(files, name):
    found = files(PRESETS[name])
    assert found.scanner == PRESETS[name] and not found.notes
    numbers = numbers_of(PRESETS[name])
    there = found.ring[:-1], found.crystal[:-1]
    np.testing.assert_array_equal(numbers[there], np.arange(np.count_nonzero(numbers >= 0)))


def test_positions_in_our_files_are_those_of_the_crystals(files):
    tilted = replace(SCANNER, tilt_deg=11.0)
    _, table, _ = scanner_files(tilted)
    words = np.frombuffer(table, "<f4").reshape(16, 6)
    positions, ring, crystal = crystal_positions(tilted, 110.0)  # the middle of 20 mm
    order = numbers_of(tilted)[ring, crystal]
    np.testing.assert_allclose(words[order, :3], positions * [1, -1, -1], atol=1e-4)
    np.testing.assert_allclose((words[:, 3:5] ** 2).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(words[:, 3:5] * 110, words[:, :2], atol=1e-4)


def test_our_files_as_any_others_give_the_same_raster(files):
    """Without the comment, what others read is all there is."""
    known = files(SCANNER, hscan=lambda text: text[: text.index(b"# countless")])
    lost = {"timing_resolution_ps": None, "tof_bins": 1, "tof_bin_ps": None}
    name = known.scanner.name
    assert known.scanner == replace(SCANNER, name=name, **lost)
    again = files(SCANNER)
    np.testing.assert_array_equal(known.ring, again.ring)
    np.testing.assert_array_equal(known.crystal, again.crystal)


def test_positions_may_differ_by_what_another_processors_sine_does(files):
    def nearly(data):
        return (np.frombuffer(data, "<f4") + np.float32(1e-4)).tobytes()

    assert files(SCANNER, lut=nearly).scanner == SCANNER


def test_our_comment_does_not_count_beside_another_table(files):
    def turned(data):
        return np.frombuffer(data, "<f4").reshape(16, 6)[::-1].tobytes()

    found = files(SCANNER, lut=turned)
    assert found.of(np.array([0], np.uint32))[0] == 0


def test_another_scanner_has_another_name():
    names = {scanner_files(scanner)[0] for scanner in (SCANNER, replace(SCANNER, depth_mm=6.0))}
    assert len(names) == 2 and all(name.startswith("PET_small_") for name in names)


def test_a_file_in_castors_configuration_is_found(tmp_path, monkeypatch):
    path = written(tmp_path, data=DATA)
    (tmp_path / "config" / "scanner").mkdir(parents=True)
    (tmp_path / "PET_hand.geom").rename(tmp_path / "config" / "scanner" / "PET_hand.geom")
    with pytest.raises(FileError, match="line 7: `Scanner name` is `PET_hand`, of which there is "):
        read_crystals(read_data_header(path, "list"))
    monkeypatch.setenv("CASTOR_CONFIG", str(tmp_path / "config"))
    assert read_crystals(read_data_header(path, "list")).scanner.rings == 2


def test_crystals_that_form_no_cylinder_are_refused(crystals):
    with pytest.raises(FileError, match=r"PET_hand.geom: .* one cylinder"):
        crystals({"number of rsectors": 3, "number of elements": 6})
