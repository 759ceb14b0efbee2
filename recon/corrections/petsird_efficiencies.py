"""Detection efficiencies of a PETSIRD header as factors m that multiply what is expected.

A pair of detection bins counts eps1 eps2 g, g a number of the pair's places in its two modules that
pairs of modules of one symmetry group share, and nothing where the group is negative (modules not
in coincidence). Absent parts are 1. A sinogram bin's factor is the sum over its crystal pairs (and
over their energy bins, whose events are counted as one), as in `recon.corrections.normalization`.
The header's calibration factor is left out: it belongs to the unit of the image.
"""

from dataclasses import dataclass

import numpy as np

from recon.corrections.coincidences import Coincidences
from recon.corrections.normalization import efficiency_factors
from recon.io.files import FileError
from recon.io.petsird import read_header
from recon.io.petsird_header import scanner_of
from recon.scanner import Scanner


@dataclass(frozen=True, kw_only=True)
class PetsirdEfficiencies:
    """What a header says of efficiencies, by detection bin.

    Attributes:
        path: of the file.
        scanner: Scanner.
        method: how they were found, as the file says it.
        calibration_factor: of the file; not in the others.
        bins: detection bin of each energy, ring and crystal, (energies, rings, crystals), types of
            modules one after another; -1 for none.
        values: of each detection bin, (bins,) float32.
        module, place: of each detection bin, its module (counted over all types) and its number
            in that, (bins,) int.
        group: index into `shared` of each pair of modules, (modules, modules), of the first with
            the larger detection bin; -1 for pairs that are not in coincidence.
        shared: list of float32 (place1, place2).
        notes: list of sentences.
    """

    path: object
    scanner: Scanner
    method: str
    calibration_factor: float
    bins: np.ndarray
    values: np.ndarray
    module: np.ndarray
    place: np.ndarray
    group: np.ndarray
    shared: list
    notes: list

    @property
    def alike(self):
        """The number that all pairs of modules share, or None."""
        first = float(self.shared[0].flat[0])
        lower = self.group[np.tril_indices(len(self.group))]
        same = (lower >= 0).all() and all((part == first).all() for part in self.shared)
        return first if same else None


def read_efficiencies(path):
    """The detection efficiencies of a PETSIRD file.

    Raises:
        FileError: as of `recon.io.petsird.read_petsird`; or they do not fit the file's modules.
    """
    header, _ = read_header(path)
    scanner, ring, crystal, first_bin, notes = scanner_of(header, path)
    said, types = header.scanner, header.scanner.scanner_geometry.replicated_modules
    given = said.detection_efficiencies
    modules = [len(type_.transforms) for type_ in types]
    places = np.diff(first_bin) // modules
    number = np.concatenate([np.arange(n * p) for n, p in zip(modules, places, strict=True)])
    of_type = np.repeat(np.arange(len(types)), np.diff(first_bin))
    values = np.ones(len(number), np.float32)
    if given.detection_bin_efficiencies:
        values = np.concatenate([np.asarray(part, np.float32)
                                 for part in given.detection_bin_efficiencies])
    if len(values) != len(number) or not ((values >= 0) & (values < np.inf)).all():
        raise FileError(
            f"{path}: detectionBinEfficiencies of the header hold {len(values):,} numbers, not "
            f"{len(number):,} (one of at least 0 for each detection bin); nothing tells which "
            "efficiency is whose"
        )
    group, shared = _groups(given, modules, places, path)
    energies = np.array([len(edges.edges) - 1 for edges in said.event_energy_bin_edges])
    bins = np.full((max(energies), scanner.rings, scanner.crystals), -1)
    bins[number % energies[of_type], ring, crystal] = np.arange(len(number))
    return PetsirdEfficiencies(
        path=path, scanner=scanner, method=given.method_description,
        calibration_factor=float(given.calibration_factor), bins=bins, values=values,
        module=number // places[of_type] + (np.cumsum(modules) - modules)[of_type],
        place=number % places[of_type], group=group, shared=shared, notes=notes,
    )


def _groups(given, modules, places, path):
    """`group` and `shared` of PetsirdEfficiencies."""
    first, total = np.cumsum(modules) - modules, sum(modules)
    tables, vectors = given.module_pair_sgidlut, given.module_pair_efficiencies_vectors
    if not vectors or not tables:
        most = int(max(places))
        return np.zeros((total, total), int), [np.ones((most, most), np.float32)]
    for name, rows in (("SGIDLUT", tables), ("EfficienciesVectors", vectors)):
        sizes = [len(row) for row in rows]
        if any(size <= one for one, size in enumerate(sizes)) or len(sizes) < len(modules):
            raise FileError(
                f"{path}: modulePair{name} of the header take an entry for each two of "
                f"{len(modules)} types of modules, got {sizes}; nothing tells the efficiency of "
                "the others"
            )
    group, shared = np.full((total, total), -1), []
    for one in range(len(modules)):
        for other in range(one + 1):
            table, vector = tables[one][other], vectors[one][other]
            _check_table(table, modules[one], modules[other], one == other, path)
            for row, ids in enumerate(table):
                ids = np.asarray(ids)
                if ids.max() >= len(vector):
                    raise FileError(
                        f"{path}: modulePairSGIDLUT of the header names symmetry group "
                        f"{ids.max()}, where there are {len(vector)}; nothing tells the efficiency "
                        "of its modules"
                    )
                at = first[other] + np.arange(len(ids))
                group[first[one] + row, at] = np.where(ids < 0, -1, ids + len(shared))
            shared += [_numbers(part.values, places[one], places[other], path) for part in vector]
    if group.max() < 0:
        raise FileError(
            f"{path}: modulePairSGIDLUT of the header has no two modules in coincidence, so all "
            "factors would be 0; give another file"
        )
    return group, shared


def _check_table(table, rows, columns, same, path):
    """Refuses a table of symmetry groups of other sizes; `same` are types of both modules."""
    for row, ids in enumerate(table):
        # Of one type the table is a triangle: the other half would say the same.
        least = row + 1 if same else columns
        if not least <= len(ids) <= columns:
            raise FileError(
                f"{path}: row {row} of modulePairSGIDLUT of the header takes {least} symmetry "
                f"groups of pairs of modules, got {len(ids)}; nothing tells which are in "
                "coincidence"
            )
    if len(table) != rows:
        raise FileError(
            f"{path}: modulePairSGIDLUT of the header takes {rows} rows, one for each module of a "
            f"type, got {len(table)}; nothing tells which are in coincidence"
        )


def _numbers(values, rows, columns, path):
    """Efficiencies of the places in two modules, float32 (rows, columns)."""
    good = len(values) == rows and all(len(row) == columns for row in values)
    numbers = np.asarray(values, np.float32) if good else None
    if not good or not ((numbers >= 0) & (numbers < np.inf)).all():
        raise FileError(
            f"{path}: modulePairEfficienciesVectors of the header take {rows} × {columns} numbers "
            "of at least 0 for each pair of modules, got others; give another file"
        )
    return numbers


def petsird_factors(efficiencies, layout, *, watch=None):
    """Factors at any span and mashing of views.

    Args:
        efficiencies: PetsirdEfficiencies.
        layout: SinogramLayout of the same scanner.
        watch: called with a number of views each time that so many are done.
    Returns:
        float32 (view, radial, plane), 0 where nothing is in coincidence.
    Raises:
        ValueError: the layout is of another scanner.
    """
    ours, theirs = efficiencies.scanner, layout.scanner
    if (ours.rings, ours.crystals) != (theirs.rings, theirs.crystals):
        raise ValueError(
            f"the efficiencies of {efficiencies.path} are of {ours.name} ({ours.rings} rings of "
            f"{ours.crystals}), the data are of {theirs.name} ({theirs.rings} rings of "
            f"{theirs.crystals}); give those of the data's scanner"
        )
    if (same := efficiencies.alike) is not None:
        values = np.where(efficiencies.bins < 0, 0, efficiencies.values[efficiencies.bins])
        return efficiency_factors(layout, values.sum(axis=0), bins=same)
    pairs = Coincidences(layout)
    planes = np.searchsorted(pairs.plane, np.arange(pairs.layout.planes))
    tables = _Shared(efficiencies)
    factors = np.zeros(pairs.layout.shape, np.float32)
    for views in pairs.chunks():
        for crystals in pairs.crystals[:, views]:
            shape = crystals.shape[:2]
            there = np.flatnonzero(crystals[..., 0].ravel() >= 0)
            one, other = crystals.reshape(-1, 2)[there].T
            sums = np.zeros((len(pairs.plane), len(there)), np.float32)
            for first in efficiencies.bins:
                for second in efficiencies.bins:
                    sums += tables.of(first[pairs.ring1][:, one], second[pairs.ring2][:, other])
            part = np.zeros((pairs.layout.planes, shape[0] * shape[1]), np.float32)
            part[:, there] = np.add.reduceat(sums, planes, axis=0)
            factors[views] += part.reshape(-1, *shape).transpose(1, 2, 0)
        if watch:
            watch(views.stop - views.start)
    return factors


class _Shared:
    """Efficiencies of pairs of detection bins, all shared numbers in one flat array."""

    def __init__(self, efficiencies):
        self._found, shared = efficiencies, efficiencies.shared
        self._flat = np.concatenate([part.ravel() for part in shared])
        size = np.array([part.size for part in shared])
        self._first, self._width = np.cumsum(size) - size, np.array([p.shape[1] for p in shared])

    def of(self, one, other):
        """Of pairs of bins in any order, float32 of their shape; 0 where a bin is -1."""
        found = self._found
        first, second = np.maximum(one, other), np.minimum(one, other)
        group = found.group[found.module[first], found.module[second]]
        at = self._first[group] + found.place[first] * self._width[group] + found.place[second]
        product = found.values[first] * found.values[second] * self._flat[at]
        return np.where((second < 0) | (group < 0), np.float32(0), product)
