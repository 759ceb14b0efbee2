"""Settings that networks to be shipped are made by: studies, and a recipe that fits them."""

from pathlib import Path

import pytest
import yaml

from denoise import shipped
from denoise.network_input import network_grid
from denoise.recipe import Recipe
from sim.study_file import read_study
from sim.study_phantom import draw_phantom, fine_grid, image_grid

STUDIES = sorted(shipped.FOLDER.glob("study-*.yaml"))


def recipe():
    settings = yaml.safe_load((shipped.FOLDER / "unet.yaml").read_text())
    return Recipe(**{name: tuple(value) if isinstance(value, list) else value
                     for name, value in settings.items()})


def test_there_is_a_study_of_the_demo_and_of_two_clinical_scanners_one_of_them_timed():
    scans = [read_study(path).scan for path in STUDIES]
    assert [scan.scanner.name for scan in scans] == [
        "demo", "GE Discovery MI 4 rings", "Siemens mMR"]
    assert [scan.layout.tof for scan in scans] == [False, True, False]


def test_no_two_studies_draw_the_same_people():
    assert len({read_study(path).seed for path in STUDIES}) == len(STUDIES)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: Path(path).stem)
def test_a_studys_people_are_in_its_scanner_and_its_images_hold_a_patch(path):
    study = read_study(path)
    fine_grid(study, draw_phantom(study, 1))  # refuses people beyond the scanner
    seen = network_grid(image_grid(study), recipe().voxel_mm)
    assert all(size <= there for size, there in zip(recipe().patch, seen.shape, strict=True))
