"""What the header of a PETSIRD file says, and what no sinogram fits."""

import re
from dataclasses import replace

import numpy as np
import petsird
import pytest
from petsird.helpers import expand_detection_bin, generator
from petsird.helpers.geometry import get_detecting_box

from recon.io import FileError
from recon.io.petsird import read_header, read_petsird
from tests.recon.io.petsird_files import block, events, everything, write


@pytest.fixture
def written(tmp_path):
    """A function that writes blocks by the package and returns the path."""
    return lambda *blocks, **more: write(tmp_path / "scan.petsird", *blocks, **more)


def test_z_of_the_file_grows_from_front_to_back_and_ours_towards_the_front(written):
    header, _ = read_header(written(block(0, 1)))
    box = get_detecting_box(
        header.scanner, 0, petsird.ExpandedDetectionBin(module_index=0, element_index=0))
    middle = np.mean([corner.c for corner in box.corners], axis=0)
    np.testing.assert_allclose(middle, [0, -105, 16], atol=1e-4)  # ours: (0, -105, -16)


def test_energy_bins_are_counted_as_one_and_said(written):
    def three(header):
        edges = np.array([400, 450, 500, 650], np.float32)
        header.scanner.event_energy_bin_edges = [petsird.BinEdges(edges=edges)]

    path = written(block(0, 1, [(81 * 3 + 2, 2 * 3 + 1, 0)]), change=three)
    assert everything(path) == [[2, 0, 1, 16, 0, 0, 0]]
    there = read_petsird(path)
    assert there.scanner.energy_window_kev == (400.0, 650.0)
    assert any("all 3 energy bins" in note for note in there.known_notes)


def test_flat_modules_of_the_packages_example_become_rings_near_their_boxes(written):
    """20 panels of 28 x 7 crystals of 4 mm, two along the axis, 28 mm apart."""
    example = replace(generator.mtype0_def, num_crystals_per_module=(1, 28, 7),
                      module_spacing_along_axis=28.0)

    def flat(header):
        header.scanner.model_name = ""
        header.scanner.scanner_geometry = generator.get_scanner_geometry([example])

    there = read_petsird(written(block(0, 1, [(7839, 0, 0), (3920, 196 + 13, 0)]), change=flat))
    scanner = there.scanner
    # A panel takes 15.0 of its 18 degrees: 27 steps, and 5.4 more to the next one, in which there
    # are 4 virtual crystals.
    assert (scanner.rings, scanner.crystals, scanner.ring_spacing_mm) == (14, 640, 4.0)
    assert (scanner.name, scanner.crystal_mm, scanner.depth_mm) == ("unnamed", (4, 4, 20), 10)
    header, _ = read_header(there.path)
    (chunk,) = there.chunks()
    assert "2 mm from the file's zero" in " ".join(there.known_notes)
    farthest = float(re.search(r"up to (\S+) mm", " ".join(there.known_notes))[1])
    for event, bins in enumerate(([0, 7839], [209, 3920])):
        for number, one in enumerate(bins, start=1):
            box = get_detecting_box(header.scanner, 0, expand_detection_bin(
                header.scanner, 0, one))
            # The example's boxes lie 2 mm off the middle along z.
            middle = np.mean([c.c for c in box.corners], axis=0) * (1, 1, -1) + (0, 0, 2)
            ring = getattr(chunk, f"ring{number}")[event]
            psi = 2 * np.pi * getattr(chunk, f"crystal{number}")[event] / scanner.crystals
            psi += np.radians(scanner.tilt_deg)
            r = scanner.effective_radius_mm
            ours = (r * np.sin(psi), -r * np.cos(psi), (ring - 6.5) * 4)
            assert np.linalg.norm(ours - middle) <= farthest + 0.01 < 3


def test_two_types_of_modules_on_one_cylinder_are_one_scanner(written):
    """The blocks of the tiny scanner, the second half of them as a type of their own."""

    def split(header):
        (type_,) = header.scanner.scanner_geometry.replicated_modules
        header.scanner.scanner_geometry.replicated_modules = [
            petsird.ReplicatedDetectorModule(object=type_.object, transforms=part)
            for part in (type_.transforms[:4], type_.transforms[4:])
        ]
        header.scanner.event_energy_bin_edges *= 2
        edges = header.scanner.tof_bin_edges[0][0]
        header.scanner.tof_bin_edges = [[edges], [edges, edges]]

    time_block = block(0, 1)
    time_block.value.prompt_events = [
        [events((60, 2, 1))], [events((1, 2, 2)), events((79, 0, 3), (80, 0, 4))]
    ]
    there = read_petsird(written(time_block, change=split))
    (chunk,) = there.chunks()
    assert there.scanner.crystals == 32
    # The bin 80 of the second type is one too many.
    assert chunk.crystal2.tolist() == [12, 16, 31, -1]
    assert chunk.crystal1.tolist() == [0, 0, 16, -1]
    assert "1 events with a detection bin" in there.notes[-1]


def test_types_of_modules_on_two_cylinders_are_refused(written):
    def farther(header):
        modules = header.scanner.scanner_geometry.replicated_modules
        elements = modules[0].object.detecting_elements
        moved = [petsird.RigidTransformation(matrix=t.matrix * np.array([1, 1, 1, 2], np.float32))
                 for t in elements.transforms]
        modules.append(petsird.ReplicatedDetectorModule(
            object=petsird.DetectorModule(detecting_elements=petsird.ReplicatedBoxSolidVolume(
                object=elements.object, transforms=moved)),
            transforms=modules[0].transforms,
        ))
        header.scanner.event_energy_bin_edges *= 2

    with pytest.raises(FileError, match="no cylinder"):
        read_petsird(written(block(0, 1), change=farther))


def _edges(*edges):
    def change(header):
        header.scanner.tof_bin_edges = [[petsird.BinEdges(edges=np.array(edges, np.float32))]]
    return change


def _two_kinds(header):
    edges = petsird.BinEdges(edges=np.array([-9, 9], np.float32))
    header.scanner.tof_bin_edges = [*header.scanner.tof_bin_edges, [edges, edges]]


def _no_resolution(header):
    header.scanner.tof_resolution = [[0.0]]


def _no_modules(header):
    header.scanner.scanner_geometry.replicated_modules = []


def _energies(*edges):
    def change(header):
        header.scanner.event_energy_bin_edges = [
            petsird.BinEdges(edges=np.array(some, np.float32)) for some in edges]
    return change


def _no_transforms(of):
    def change(header):
        of(header.scanner.scanner_geometry.replicated_modules[0]).transforms = []
    return change


def _flat(header):
    (type_,) = header.scanner.scanner_geometry.replicated_modules
    for corner in type_.object.detecting_elements.object.shape.corners:
        corner.c[1] = 0


def _no_resolution_at_all(header):
    header.scanner.tof_resolution = []


def _empty_resolution(header):
    header.scanner.tof_resolution = [[]]


@pytest.mark.parametrize(("change", "words"), [
    (_energies(), r"eventEnergyBinEdges .* each of 1 types of modules, got \[\]"),
    (_energies([]), r"eventEnergyBinEdges .*, got \[0\]"),
    (_energies([400.0]), r"eventEnergyBinEdges .*, got \[1\]"),
    (_no_transforms(lambda module: module), r"transforms .* at least one .*, got \[0, 20\]"),
    (_no_transforms(lambda m: m.object.detecting_elements), r"transforms .*, got \[8, 0\]"),
    (_flat, "corners of .* take a box of three sides, got a flat one"),
    (_no_resolution_at_all, "tofResolution of the header takes the FWHM in mm .*, got none"),
    (_empty_resolution, "tofResolution of the header takes the FWHM in mm .*, got none"),
    (_edges(), r"tofBinEdges of the header takes two edges or more, got \[0\]"),
    (_edges(-60, -20, 20, 61), "not of one width"),
    (_edges(-60, -20, 20, 60.5, 100), "not of one width"),
    (_edges(0, 20, 40), "not of one width"),
    (_two_kinds, "other time-of-flight bins"),
    (_no_resolution, "FWHM"),
    (_no_modules, "no detector modules"),
])
def test_a_header_that_no_sinogram_fits_is_refused(written, change, words):
    with pytest.raises(FileError, match=words):
        read_petsird(written(block(0, 1), change=change))


def test_no_position_in_the_header_is_taken_as_head_first_supine_and_said(written):
    def no_exam(header):
        header.exam = None

    there = read_petsird(written(block(0, 1), change=no_exam))
    assert there.info["patient_position"] == "HFS"
    assert any("taken as head first, supine" in note for note in there.known_notes)
