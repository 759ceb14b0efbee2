import numpy as np
import petsird
import pytest
from petsird.helpers import get_detection_efficiency

from recon.corrections.normalization import efficiency_factors
from recon.corrections.petsird_efficiencies import petsird_factors, read_efficiencies
from recon.io import FileError
from recon.io.petsird import read_header
from recon.io.petsird_scanner import Bins
from recon.io.petsird_writing import write_petsird
from recon.layout import SinogramLayout
from recon.scanner import Scanner
from tests.recon.io.petsird_files import TINY, block, write

WIDE = SinogramLayout.of(TINY, span=3, view_mashing=3)


def by_group(header, energies=2):
    """Random efficiencies of 8 modules of 20 elements; groups by the modules' distance."""
    rng, said = np.random.default_rng(4), header.scanner
    edges = np.linspace(400, 650, energies + 1, dtype=np.float32)
    said.event_energy_bin_edges = [petsird.BinEdges(edges=edges)]
    given = said.detection_efficiencies
    given.calibration_factor = 3.5
    given.detection_bin_efficiencies = [rng.uniform(0.5, 1.5, 160 * energies).tolist()]
    given.module_pair_sgidlut = [[[
        [one - other - 2 if one - other > 1 else -1 for other in range(one + 1)]
        for one in range(8)
    ]]]
    given.module_pair_efficiencies_vectors = [[[
        petsird.ModulePairEfficiencies(
            values=rng.uniform(0, 2, (20 * energies,) * 2).tolist(), sgid=group)
        for group in range(6)
    ]]]


def of_the_package(header, layout, index, energies):
    """Sum over a bin's crystal pairs and energies, by the package's helper."""
    of, total = Bins(TINY).of, 0.0
    for ring1, crystal1, ring2, crystal2 in zip(*layout.crystals_of(*index), strict=True):
        one, other = of[ring1, crystal1] * energies, of[ring2, crystal2] * energies
        for e1 in range(energies):
            for e2 in range(energies):
                bins = sorted([int(one + e1), int(other + e2)], reverse=True)
                total += get_detection_efficiency(
                    header.scanner, [0, 0], petsird.CoincidenceEvent(detection_bins=bins),
                    with_calibration_factor=False)
    return total


@pytest.mark.parametrize("energies", [1, 2])
def test_a_bins_factor_is_the_packages_efficiency_summed_over_its_pairs(tmp_path, energies):
    path = write(tmp_path / "scan.petsird", block(0, 1), change=lambda h: by_group(h, energies))
    factors, header = petsird_factors(read_efficiencies(path), WIDE), read_header(path)[0]
    rng = np.random.default_rng(0)
    picked = [tuple(int(rng.integers(n)) for n in factors.shape) for _ in range(40)]
    picked += [(5, 11, 4), (5, 0, 0)]  # the last view sums fewer than three
    expected = [of_the_package(header, WIDE, index, energies) for index in picked]
    np.testing.assert_allclose([factors[index] for index in picked], expected, rtol=1e-5)
    assert min(expected) == 0 < max(expected)  # the bins of neighbouring modules are among them


def of_two_types(header):
    """The first half of the modules a type without, the second one with two energy bins."""
    rng, said = np.random.default_rng(5), header.scanner
    (type_,) = said.scanner_geometry.replicated_modules
    said.scanner_geometry.replicated_modules = [
        petsird.ReplicatedDetectorModule(object=type_.object, transforms=part)
        for part in (type_.transforms[:4], type_.transforms[4:])
    ]
    said.event_energy_bin_edges = [
        petsird.BinEdges(edges=np.array(edges, np.float32)) for edges in ((400, 650), (9, 10, 11))
    ]
    (tof,) = said.tof_bin_edges[0]
    said.tof_bin_edges = [[tof], [tof, tof]]

    def vector(*places):
        return [petsird.ModulePairEfficiencies(values=rng.uniform(0, 2, places).tolist(), sgid=k)
                for k in range(3)]

    same = [[(one + other) % 4 - 1 for other in range(one + 1)] for one in range(4)]
    across = [[(one + 2 * other) % 4 - 1 for other in range(4)] for one in range(4)]
    given = said.detection_efficiencies
    given.detection_bin_efficiencies = [rng.uniform(0.5, 1.5, n).tolist() for n in (80, 160)]
    given.module_pair_sgidlut = [[same], [across, same]]
    given.module_pair_efficiencies_vectors = [
        [vector(20, 20)], [vector(40, 20), vector(40, 40)]]


def test_modules_of_two_types_have_each_their_efficiencies(tmp_path):
    path = write(tmp_path / "scan.petsird", block(0, 1), change=of_two_types)
    layout, header = SinogramLayout.of(TINY), read_header(path)[0]
    factors, of = petsird_factors(read_efficiencies(path), layout), Bins(TINY).of
    rng = np.random.default_rng(0)
    for _ in range(60):
        index = tuple(int(rng.integers(n)) for n in factors.shape)
        ring1, crystal1, ring2, crystal2 = (int(part[0]) for part in layout.crystals_of(*index))
        larger, smaller = sorted([of[ring1, crystal1], of[ring2, crystal2]], reverse=True)
        types = [int(larger >= 80), int(smaller >= 80)]
        ends = [[int(b)] if b < 80 else [int(b - 80) * 2, int(b - 80) * 2 + 1]
                for b in (larger, smaller)]
        expected = sum(
            get_detection_efficiency(header.scanner, types, petsird.CoincidenceEvent(
                detection_bins=[one, other]), with_calibration_factor=False)
            for one in ends[0] for other in ends[1]
        )
        assert factors[index] == pytest.approx(expected, rel=1e-5)


def test_the_calibration_factor_is_told_apart(tmp_path):
    path = write(tmp_path / "scan.petsird", block(0, 1), change=by_group)
    assert read_efficiencies(path).calibration_factor == 3.5


def test_crystals_efficiencies_alone_are_those_of_any_scanner(tmp_path):
    scanner = Scanner.preset("demo")
    values = np.random.default_rng(1).uniform(0.5, 1.5, (scanner.rings, scanner.crystals))
    path = tmp_path / "scan.petsird"
    write_petsird(path, [], scanner, info={"duration_s": 1}, efficiencies=values)
    layout = SinogramLayout.of(scanner, span=3, view_mashing=8, radial_bins=31)
    found = petsird_factors(read_efficiencies(path), layout)
    np.testing.assert_allclose(found, efficiency_factors(layout, values), rtol=1e-6)


def test_absent_efficiencies_are_1_and_the_factors_numbers_of_pairs(tmp_path):
    def none(header):
        header.scanner.detection_efficiencies = petsird.DetectionEfficiencies()

    path = write(tmp_path / "scan.petsird", block(0, 1), change=none)
    crystals, rings = WIDE.pair_counts()
    np.testing.assert_array_equal(petsird_factors(read_efficiencies(path), WIDE), crystals * rings)


def _short(header):
    header.scanner.detection_efficiencies.detection_bin_efficiencies = [[1.0] * 159]


def _negative(header):
    header.scanner.detection_efficiencies.detection_bin_efficiencies = [[1.0] * 159 + [-1.0]]


def _no_such_group(header):
    by_group(header, 1)
    header.scanner.detection_efficiencies.module_pair_sgidlut[0][0][7][0] = 6


def _another_shape(header):
    by_group(header, 1)
    header.scanner.detection_efficiencies.module_pair_efficiencies_vectors[0][0][2].values = [[1.0]]


def _no_number(header):
    by_group(header, 1)
    vectors = header.scanner.detection_efficiencies.module_pair_efficiencies_vectors
    vectors[0][0][2].values[3][4] = np.nan


def _no_coincidences(header):
    by_group(header, 1)
    table = header.scanner.detection_efficiencies.module_pair_sgidlut[0][0]
    table[:] = [[-1] * len(row) for row in table]


def _ragged(part, change):
    """A header whose table of groups, or of numbers, `change` has made ragged."""
    def changed(header):
        by_group(header, 1)
        change(getattr(header.scanner.detection_efficiencies, part)[0][0])
    return changed


def _one_type_too_few(header):
    of_two_types(header)
    header.scanner.detection_efficiencies.module_pair_sgidlut[1].pop()


def _row_of_two_types_too_short(header):
    of_two_types(header)
    header.scanner.detection_efficiencies.module_pair_sgidlut[1][0][2].pop()


def _group_of_another_pair(header):
    of_two_types(header)
    header.scanner.detection_efficiencies.module_pair_sgidlut[1][0][2][3] = 3


GROUPS, VECTORS = "module_pair_sgidlut", "module_pair_efficiencies_vectors"


@pytest.mark.parametrize(("change", "words"), [
    (_ragged(GROUPS, lambda table: table[3].pop()), "row 3 of .*LUT.* takes 4 .*, got 3"),
    (_ragged(GROUPS, lambda table: table[7].append(0)), "row 7 of .*LUT.* takes 8 .*, got 9"),
    (_ragged(GROUPS, lambda table: table.pop()), "LUT of the header takes 8 rows, .* got 7"),
    (_ragged(GROUPS, lambda table: table.append([0])), "row 8 of .*LUT.* takes 9 .*, got 1"),
    (_ragged(VECTORS, lambda vector: vector[2].values[3].pop()), "20 × 20 numbers"),
    (_one_type_too_few, r"SGIDLUT .* each two of 2 types of modules, got \[1, 1\]"),
    (_row_of_two_types_too_short, "row 2 of .*LUT.* takes 4 .*, got 3"),
    (_group_of_another_pair, "symmetry group 3, where there are 3"),
    (_no_number, "numbers of at least 0"), (_no_coincidences, "no two modules in coincidence"),
    (_short, "159 numbers, not 160"), (_negative, "at least 0"),
    (_no_such_group, "symmetry group 6"), (_another_shape, "20 × 20 numbers"),
])
def test_efficiencies_that_do_not_fit_the_modules_are_refused(tmp_path, change, words):
    path = write(tmp_path / "scan.petsird", block(0, 1), change=change)
    with pytest.raises(FileError, match=words):
        read_efficiencies(path)


def test_a_sinogram_of_another_scanner_is_refused(tmp_path):
    path = write(tmp_path / "scan.petsird", block(0, 1))
    with pytest.raises(ValueError, match="give those of the data's scanner"):
        petsird_factors(read_efficiencies(path), SinogramLayout.of(Scanner.preset("demo")))
